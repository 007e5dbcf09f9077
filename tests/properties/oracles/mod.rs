//! What any input must come to. Shared with the targets of `fuzz/`: each module has one, `fuzz`.

pub mod events;
pub mod frames;
pub mod json;
pub mod list;
pub mod markdown;

/// Splits off the first bytes of the input, which say how to go about the rest; they are 0 where there are none.
fn options<const N: usize>(input: &[u8]) -> ([u8; N], &[u8]) {
    let mut options = [0; N];
    let (first, rest) = input.split_at(input.len().min(N));
    options[..first.len()].copy_from_slice(first);
    (options, rest)
}

/// Places in `text`, each by a byte: the further the greater.
fn places(bytes: [u8; 4], text: &[u8]) -> Vec<usize> {
    let place = |byte: u8| usize::from(byte) * text.len() / 255;
    bytes.into_iter().map(place).collect()
}
