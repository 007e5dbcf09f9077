//! Lists of conversations in any chunks.

use pieces_lsp::pieces::ListParser;

type Outcome = Option<(Vec<String>, usize)>;

/// Four bytes for where it is cut, then the body of a list.
pub fn fuzz(input: &[u8]) {
    let (cuts, body) = super::options(input);
    let mut cuts = super::places(cuts, body);
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    let whole = parse([body]);
    let parts = parse(cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]));
    assert_eq!(whole, parts, "cut at {cuts:?}");
    assert_eq!(whole, parse(body.chunks(1)), "byte by byte");
}

/// The conversations that were read and how many were not; nothing where it is no list. Which error is found first may
/// depend on the chunks.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut read = Vec::new();
    let mut parser = ListParser::new(|conversation| read.push(format!("{conversation:?}")));
    for (at, chunk) in chunks.into_iter().enumerate() {
        match str::from_utf8(chunk) {
            Ok(text) if at % 2 == 0 => parser.feed_text(text).ok()?,
            _ => parser.feed(chunk).ok()?,
        }
    }
    let (accepted, rejected) = parser.finish().ok()?;
    assert_eq!(accepted, read.len());
    Some((read, rejected))
}
