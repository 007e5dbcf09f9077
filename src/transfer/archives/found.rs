//! Describes a recognised source for users.

use std::fmt;

/// Kind, age and counts of an archive: `a Pieces archive of 2026-10-09, 312 conversations`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// `a Pieces archive`.
    pub(super) what: String,
    /// When it was made, if known: `2026-10-09`.
    pub(super) date: Option<String>,
    /// Counts and their nouns in the singular, without zeros.
    pub(super) counts: Vec<(u64, &'static str)>,
    /// Sentences with more about it.
    pub(super) notes: Vec<String>,
}

impl Found {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }

    pub(super) fn of(mut self, date: Option<String>) -> Self {
        self.date = date;
        self
    }

    /// Adds a count; `what` in the singular.
    pub(super) fn with(mut self, count: u64, what: &'static str) -> Self {
        self.counts.push((count, what));
        self
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(date) = &self.date {
            write!(f, " of {date}")?;
        }
        for (count, what) in &self.counts {
            write!(f, ", {}", counted(*count, what))?;
        }
        Ok(())
    }
}

/// `1 thought`, `2 thoughts`, `3 entries`, `4 parts of an unknown kind`.
pub(in crate::transfer) fn counted(count: u64, what: &str) -> String {
    let end = [" of ", " with ", " without "].map(|word| what.find(word));
    let end = end.into_iter().flatten().min().unwrap_or(what.len());
    let (noun, rest) = what.split_at(end);
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies{rest}"),
        (_, None) => format!("{count} {noun}s{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noun_has_the_plural() {
        let table = [
            (1, "part of an unknown kind", "1 part of an unknown kind"),
            (2, "part of an unknown kind", "2 parts of an unknown kind"),
            (3, "anchor without a path", "3 anchors without a path"),
            (0, "thought", "0 thoughts"),
            (2, "entry", "2 entries"),
        ];
        for (count, what, expected) in table {
            assert_eq!(counted(count, what), expected);
        }
    }

    #[test]
    fn kind_age_and_counts_are_one_phrase() {
        let found = Found::new("a Pieces archive").of(Some("2026-10-09".to_owned()));
        let found = found
            .with(312, "conversation")
            .with(1, "message")
            .with(0, "entry");
        assert_eq!(
            found.to_string(),
            "a Pieces archive of 2026-10-09, 312 conversations, 1 message, 0 entries"
        );
    }
}
