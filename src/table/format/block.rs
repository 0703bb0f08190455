//! Blocks hold records and detect damage.

/// The length of the frame before a payload.
pub const FRAME: usize = 12;

/// The longest payload. The limit keeps a damaged length from allocating much memory.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// What is at a position in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next<'o> {
    Block {
        payload: &'o [u8],
        /// The next block begins this many bytes further on.
        bytes: usize,
    },
    /// A block whose payload is corrupt.
    Damaged { bytes: usize },
    /// This many bytes are needed to decide. At the end of a file, it is torn.
    Needs(usize),
    /// There is no block, and nothing after it can be found.
    Nothing,
}

/// Reads the start of `bytes`.
pub fn next(bytes: &[u8]) -> Next<'_> {
    let Some((frame, rest)) = bytes.split_first_chunk::<FRAME>() else { return Next::Needs(FRAME) };
    let [a, b, c, d, e, f, g, h, sums @ ..] = *frame;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if crc32fast::hash(&frame[..8]) != u32::from_be_bytes(sums) || length > MAX_PAYLOAD {
        return Next::Nothing;
    }
    match rest.get(..length) {
        None => Next::Needs(FRAME + length),
        Some(payload) if crc32fast::hash(payload) == u32::from_be_bytes([e, f, g, h]) => {
            Next::Block { payload, bytes: FRAME + length }
        }
        Some(_) => Next::Damaged { bytes: FRAME + length },
    }
}

/// Appends room for a frame to `bytes`. The payload is appended next.
pub(crate) fn open(bytes: &mut Vec<u8>) {
    bytes.extend([0; FRAME]);
}

/// Fills in the frame of the block that begins at `begin` and reaches to the end.
pub(crate) fn close(bytes: &mut [u8], begin: usize) {
    let Some((frame, payload)) = bytes.get_mut(begin..).and_then(<[u8]>::split_first_chunk_mut::<FRAME>) else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame[4..8].copy_from_slice(&crc32fast::hash(payload).to_be_bytes());
    let sum = crc32fast::hash(&frame[..8]);
    frame[8..].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        open(&mut bytes);
        bytes.extend(payload);
        close(&mut bytes, 0);
        bytes
    }

    #[test]
    fn zeros_are_not_a_block() {
        assert_eq!(next(&[0; 4096]), Next::Nothing);
    }

    #[test]
    fn an_oversized_length_is_not_a_block() {
        let mut frame = [0; FRAME];
        frame[..4].copy_from_slice(&(MAX_PAYLOAD as u32 + 1).to_be_bytes());
        let sum = crc32fast::hash(&frame[..8]);
        frame[8..].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(next(&frame), Next::Nothing);
    }

    proptest! {
        #[test]
        fn a_block_is_read_as_written_and_a_part_needs_more(payload: Vec<u8>, behind: Vec<u8>, cut: usize) {
            let bytes = block(&payload);
            let length = bytes.len();
            let cut = cut % length;
            let needs = if cut < FRAME { FRAME } else { length };
            prop_assert_eq!(next(&bytes[..cut]), Next::Needs(needs));
            let all = [bytes, behind].concat();
            prop_assert_eq!(next(&all), Next::Block { payload: &payload, bytes: length });
        }

        #[test]
        fn a_flipped_bit_is_detected(payload: Vec<u8>, bit: usize) {
            let mut bytes = block(&payload);
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit / 8 < FRAME { Next::Nothing } else { Next::Damaged { bytes: bytes.len() } };
            prop_assert_eq!(next(&bytes), expected);
        }

        #[test]
        fn reading_accepts_any_bytes(bytes: Vec<u8>) {
            let _ = next(&bytes);
        }
    }
}
