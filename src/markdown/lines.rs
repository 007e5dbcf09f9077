//! What a line of text may mean to any reader, whatever the lines around it are.

/// A fence at the beginning of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fence<'a> {
    pub(super) mark: u8,
    /// How many marks.
    pub(super) length: usize,
    /// What stands behind them.
    pub(super) info: &'a str,
    /// How much of that means nothing else to any reader.
    pub(super) plain: usize,
}

/// The fence that a line without its prefix begins with.
pub(super) fn fence(line: &str) -> Option<Fence<'_>> {
    let mark = *line.as_bytes().first()?;
    let length = line.bytes().take_while(|c| *c == mark).count();
    if !matches!(mark, b'`' | b'~') || length < 3 {
        return None;
    }
    let info = &line[length..];
    let plain = |c: char| c.is_alphanumeric() || " +-#._,=:/{}()'\"@".contains(c);
    let plain = info.find(|c| !plain(c)).unwrap_or(info.len());
    let plain = info[..plain].trim_end().len();
    Some(Fence {
        mark,
        length,
        info,
        plain,
    })
}

/// Whether a line may close a fence. `strictly`: it does for every reader.
pub(super) fn closes(line: &str, opening: &Fence<'_>, strictly: bool) -> bool {
    let bare = if strictly {
        line.trim_start_matches(' ')
    } else {
        unprefixed(line)
    };
    let indent = line.len() - bare.len();
    let found = fence(bare).filter(|found| found.info.trim().is_empty());
    found.is_some_and(|found| found.mark == opening.mark && found.length >= opening.length)
        && !(strictly && indent > 3)
}

/// The line without what may be marks of quotes and lists, and indentation.
pub(super) fn unprefixed(line: &str) -> &str {
    let mut rest = line;
    loop {
        let next = rest.trim_start_matches([' ', '\t', '>']);
        let digits = next.bytes().take_while(u8::is_ascii_digit).count();
        let bytes = &next.as_bytes()[digits..];
        let mark = match bytes.first() {
            Some(b'-' | b'+' | b'*') if digits == 0 => 1,
            Some(b'.' | b')') if (1..10).contains(&digits) => digits + 1,
            _ => return next,
        };
        match next.as_bytes().get(mark) {
            None => return &next[mark..],
            Some(b' ' | b'\t') => rest = &next[mark..],
            _ => return next,
        }
    }
}

/// The text of a task behind its box.
pub(super) fn untasked(line: &str) -> &str {
    let mut rest = line;
    while let [b'[', b' ' | b'x' | b'X', b']', b' ' | b'\t', ..] = rest.as_bytes() {
        rest = unprefixed(&rest[3..]);
    }
    rest
}

/// Where the line of this byte begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |at| at + 1)
}

/// Where the next line begins.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |found| at + found + 1)
}

/// Whether all readers take these lines for the same table: at least two columns, and as many in the
/// second line as in the first.
pub(super) fn is_plain_table(text: &str) -> bool {
    let mut lines = text.lines().map(unprefixed_row);
    let columns = |line: &str| {
        let row = line.trim();
        let row = row.strip_prefix('|').unwrap_or(row);
        let row = match row.strip_suffix('|') {
            Some(cut) if !cut.ends_with('\\') => cut,
            _ => row,
        };
        1 + row.replace("\\|", "").matches('|').count()
    };
    let (Some(head), Some(second)) = (lines.next(), lines.next()) else {
        return false;
    };
    columns(head) >= 2 && columns(head) == columns(second) && !text.contains("\\\\|")
}

/// A row of a table without the quotes it stands in.
pub(super) fn unprefixed_row(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '>'])
}

/// Whether a line may be the second of a table.
pub(super) fn is_delimiter_row(line: &str) -> bool {
    let known = line
        .bytes()
        .all(|c| matches!(c, b'|' | b':' | b'-' | b' ' | b'\t' | 0x0b | 0x0c));
    known && line.contains('-') && line.contains(['|', ':'])
}
