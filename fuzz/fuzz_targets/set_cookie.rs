//! Any Set-Cookie header can be parsed, and an edit keeps everything else byte for byte.
#![no_main]

use burdock::http::set_cookie::SetCookieLine;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u32)| {
    let (text, new, now) = input;
    let Ok(header) = HeaderValue::from_bytes(&text) else { return };
    let Some(line) = SetCookieLine::parse(&header) else { return };
    let deletes = line.deletes(now);
    let start = line.value().as_ptr() as usize - header.as_bytes().as_ptr() as usize;
    let (before, after) = (&header.as_bytes()[..start], &header.as_bytes()[start + line.value().len()..]);
    if let Some(edited) = line.with_value(&new) {
        assert_eq!(edited.as_bytes(), [before, &new, after].concat());
        only_the_value_differs(&edited, &line, &new, deletes, now);
    }
    if let Some(edited) = line.with_prefix(&new) {
        let value = [&new, line.value()].concat();
        assert_eq!(edited.as_bytes(), [before, &value, after].concat());
        only_the_value_differs(&edited, &line, &value, deletes, now);
    }
});

fn only_the_value_differs(edited: &HeaderValue, line: &SetCookieLine<'_>, value: &[u8], deletes: bool, now: u32) {
    let parsed = SetCookieLine::parse(edited).expect("a line keeps its name");
    assert_eq!((parsed.name(), parsed.value(), parsed.deletes(now)), (line.name(), value, deletes));
}
