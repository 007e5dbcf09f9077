//! Lines of a file that may have any length.

use std::io::{self, BufRead, Read as _};

/// Reads lines, none longer than `max` bytes into memory.
pub(in crate::transfer) struct Lines<R> {
    reader: R,
    /// Longest line in bytes, including its line break.
    max: usize,
    line: Vec<u8>,
    /// Lines read so far.
    pub(in crate::transfer) number: u64,
    /// Bytes read so far.
    pub(in crate::transfer) position: u64,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::transfer) enum Line<'a> {
    /// With its line break, if it has one.
    Whole(&'a [u8]),
    /// It was longer than the limit and was skipped.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(in crate::transfer) fn new(reader: R, max: usize) -> Self {
        Self {
            reader,
            max,
            line: Vec::new(),
            number: 0,
            position: 0,
        }
    }

    pub(in crate::transfer) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        // The buffer of a huge line must not be kept for the next ones.
        self.line.shrink_to(1 << 20);
        let (mut any, mut whole) = (false, true);
        loop {
            let room = self.max + 1 - self.line.len();
            let mut limited = (&mut self.reader).take(room as u64);
            let length = limited.read_until(b'\n', &mut self.line)?;
            any |= length > 0;
            self.position += length as u64;
            if length == 0 || self.line.ends_with(b"\n") {
                if !any {
                    return Ok(None);
                }
                self.number += 1;
                return Ok(Some(match whole && self.line.len() <= self.max {
                    true => Line::Whole(&self.line),
                    false => Line::TooLong,
                }));
            }
            if self.line.len() > self.max {
                whole = false;
                self.line.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_costs_only_itself() {
        let text = [b"ab\n\n".as_slice(), &[b'x'; 100], b"\n12345678\nlast"].concat();
        let mut lines = Lines::new(&*text, 9);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(match line {
                Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(found, ["ab\n", "\n", "too long", "12345678\n", "last"]);
        assert_eq!((lines.number, lines.position), (5, text.len() as u64));
    }
}
