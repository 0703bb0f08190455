//! Blocks: how records are kept together, and how damage is noticed.

/// What stands before a payload.
pub const FRAME: usize = 12;

/// No payload is longer, so that no damaged length asks for much memory.
pub const MOST: usize = 1 << 20;

/// What stands at a place in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next<'o> {
    Block {
        payload: &'o [u8],
        /// The next block begins so many octets on.
        octets: usize,
    },
    /// A block whose payload is corrupt.
    Damaged { octets: usize },
    /// So many octets are needed to tell. At the end of a file: it is torn.
    Needs(usize),
    /// No block. Nothing behind it can be found.
    Nothing,
}

/// What begins at the beginning of `octets`.
pub fn next(octets: &[u8]) -> Next<'_> {
    let Some((frame, rest)) = octets.split_first_chunk::<FRAME>() else { return Next::Needs(FRAME) };
    let [a, b, c, d, e, f, g, h, sums @ ..] = *frame;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if crc32fast::hash(&frame[..8]) != u32::from_be_bytes(sums) || length > MOST {
        return Next::Nothing;
    }
    match rest.get(..length) {
        None => Next::Needs(FRAME + length),
        Some(payload) if crc32fast::hash(payload) == u32::from_be_bytes([e, f, g, h]) => {
            Next::Block { payload, octets: FRAME + length }
        }
        Some(_) => Next::Damaged { octets: FRAME + length },
    }
}

/// Leaves room for a frame at the end of `octets`. The payload is to be appended behind it.
pub(crate) fn open(octets: &mut Vec<u8>) {
    octets.extend([0; FRAME]);
}

/// Fills the frame of the block that was opened at `begin` and goes to the end.
pub(crate) fn close(octets: &mut [u8], begin: usize) {
    let Some((frame, payload)) = octets.get_mut(begin..).and_then(<[u8]>::split_first_chunk_mut::<FRAME>) else { return };
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
        let mut octets = Vec::new();
        open(&mut octets);
        octets.extend(payload);
        close(&mut octets, 0);
        octets
    }

    #[test]
    fn a_file_that_ends_in_zeros_ends_where_they_begin() {
        assert_eq!(next(&[0; 4096]), Next::Nothing);
    }

    #[test]
    fn a_length_beyond_all_blocks_is_none() {
        let mut frame = [0; FRAME];
        frame[..4].copy_from_slice(&(MOST as u32 + 1).to_be_bytes());
        let sum = crc32fast::hash(&frame[..8]);
        frame[8..].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(next(&frame), Next::Nothing);
    }

    proptest! {
        #[test]
        fn a_block_is_read_as_written_and_any_part_of_it_asks_for_more(payload: Vec<u8>, behind: Vec<u8>, cut: usize) {
            let octets = block(&payload);
            let length = octets.len();
            let cut = cut % length;
            let needs = if cut < FRAME { FRAME } else { length };
            prop_assert_eq!(next(&octets[..cut]), Next::Needs(needs));
            let all = [octets, behind].concat();
            prop_assert_eq!(next(&all), Next::Block { payload: &payload, octets: length });
        }

        #[test]
        fn a_flipped_bit_is_noticed(payload: Vec<u8>, bit: usize) {
            let mut octets = block(&payload);
            let bit = bit % (octets.len() * 8);
            octets[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit / 8 < FRAME { Next::Nothing } else { Next::Damaged { octets: octets.len() } };
            prop_assert_eq!(next(&octets), expected);
        }

        #[test]
        fn reading_is_total(octets: Vec<u8>) {
            let _ = next(&octets);
        }
    }
}
