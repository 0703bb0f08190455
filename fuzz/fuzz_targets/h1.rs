//! Any bytes of HTTP/1: a request's head that is accepted, once written plainly, reads again as the same; and heads and chunked
//! bodies read the same in pieces as whole.
#![no_main]

use burdock::http::h1::chunks::{Chunks, Piece};
use burdock::http::h1::fault::RequestFault;
use burdock::http::h1::head_end::HeadEnd;
use burdock::http::h1::request_head::{Form, RequestHead, Version};
use burdock::http::h1::upgrade::{AllowedUpgrade, AllowedUpgrades};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (any_upgrade, size, bytes) = input;
    let allowed = if any_upgrade { AllowedUpgrades::new(vec![AllowedUpgrade::Any]) } else { AllowedUpgrades::default() };
    let size = usize::from(size).max(1);
    let end = HeadEnd::default().find(bytes);
    assert_eq!(end_in_pieces(bytes, size), end);
    if let Ok(Some(end)) = end {
        check_head(&bytes[..end], &allowed);
    }
    assert_eq!(body(bytes.chunks(size)), body([bytes]));
});

/// The end of a head that comes in pieces.
fn end_in_pieces(bytes: &[u8], size: usize) -> Result<Option<usize>, RequestFault> {
    let mut scan = HeadEnd::default();
    for until in (0..bytes.len()).step_by(size).skip(1).chain([bytes.len()]) {
        let end = scan.find(&bytes[..until])?;
        if end.is_some() {
            return Ok(end);
        }
    }
    Ok(None)
}

fn check_head(head: &[u8], allowed: &AllowedUpgrades) {
    let Ok(first) = RequestHead::read(head, allowed) else { return };
    let plain = written(&first, allowed);
    assert_eq!(HeadEnd::default().find(&plain), Ok(Some(plain.len())), "one head");
    let again = match RequestHead::read(&plain, allowed) {
        // The Host of an absolute target was one line more than there may be.
        Err(RequestFault::FieldCount) if first.target.authority().is_some() => return,
        again => again.expect("what is written plainly can be read"),
    };
    assert_eq!(again.method, first.method);
    assert_eq!((again.version, again.body, again.upgrade), (first.version, first.body, first.upgrade));
    assert_eq!(target(&again), target(&first));
    assert!(again.version == Version::Http10 || again.target.authority().is_none());
    // Max-Forwards of these methods goes down by one each time.
    if !matches!(first.method, b"TRACE" | b"OPTIONS") {
        assert_eq!((again.form, again.answerer), (Form::AsReceived, first.answerer));
        assert_eq!(written(&again, allowed), plain);
    }
}

fn written(head: &RequestHead<'_>, allowed: &AllowedUpgrades) -> Vec<u8> {
    let mut out = Vec::new();
    head.write(allowed, &mut out);
    out
}

fn target(head: &RequestHead<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    head.target.write(&mut out);
    out
}

/// The data of a chunked body and the number of bytes behind it, if it has ended.
fn body<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(Vec<u8>, Option<usize>), RequestFault> {
    let (mut chunks, mut data, mut behind) = (Chunks::default(), Vec::new(), 0);
    for piece in pieces {
        let mut input = piece;
        while let Piece::Data(bytes) = chunks.next(&mut input)? {
            data.extend_from_slice(bytes);
        }
        behind += input.len();
    }
    Ok((data, chunks.has_ended().then_some(behind)))
}
