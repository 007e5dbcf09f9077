//! Links and tags: where any reader may see one, and which are harmless.

/// Schemes that only show something: the web in the browser, or a conversation.
const HARMLESS: [&str; 5] = [
    "https:",
    "http:",
    "mailto:",
    "pieces-conversation:",
    "pieces-asset:",
];
/// Longest word that is looked at for a link, in bytes.
const WORD: usize = 4096;

/// Whether following a link only shows something.
pub(super) fn is_harmless(url: &str) -> bool {
    HARMLESS.iter().any(|scheme| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// An address that stands between parentheses as it is.
pub(super) fn address(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    let mut bytes = url.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let entity = byte == b'&'
            && bytes
                .peek()
                .is_some_and(|c| c.is_ascii_alphabetic() || *c == b'#');
        match byte {
            // Nothing but letters behind it could be an entity.
            b'&' if entity && url.contains(';') => out.push_str("&amp;"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            byte if b"-._~:/?#@!$&'*+,;=%".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Whether the text could mean something if it were not code.
pub(super) fn starts_something(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .windows(2)
        .any(|pair| matches!(pair, b"![" | b"](" | b"]:") || pair[0] == b'<' && opens_tag(pair[1]))
}

/// Whether a tag or a link in angle brackets goes on with this behind its `<`.
pub(super) fn opens_tag(next: u8) -> bool {
    next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?')
}

/// Whether the text ends within what may be a link without brackets. A very long word is one.
pub(super) fn in_bare_link(text: &str) -> bool {
    let bytes = text.as_bytes();
    let near = &bytes[bytes.len().saturating_sub(WORD)..];
    match near.iter().rposition(u8::is_ascii_whitespace) {
        Some(space) => is_link(&near[space + 1..]),
        None => near.len() == WORD || is_link(near),
    }
}

pub(super) fn is_link(word: &[u8]) -> bool {
    word.windows(3).any(|at| at == b"://")
        || word.windows(4).any(|at| at.eq_ignore_ascii_case(b"www."))
}

/// The length of a link in angle brackets that only shows something.
pub(super) fn autolink(bytes: &[u8]) -> Option<usize> {
    let plain =
        |c: &u8| c.is_ascii_alphanumeric() || *c >= 0x80 || b"-._~:/?#@!$&'()*+,;=%[]|".contains(c);
    let length = bytes[1..].iter().take_while(|c| plain(c)).count();
    let inside = std::str::from_utf8(&bytes[1..=length]).ok()?;
    let closed = bytes.get(length + 1) == Some(&b'>');
    let email = || {
        let (name, host) = inside.split_once('@')?;
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"-._+".contains(&c))
        };
        (plain(name) && plain(host)).then_some(())
    };
    (closed && (is_harmless(inside) || email().is_some())).then_some(length + 2)
}
