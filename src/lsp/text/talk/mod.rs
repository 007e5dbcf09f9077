//! Talk files: conversations that are continued in a document of any editor.
//!
//! Such a file shows the conversation, and below a marker it has space for the next question. Markers contain a random
//! token that is unique to the file, so no text can forge one, and no text has to be escaped for it. The text above
//! the marker is a copy: editing it changes nothing else.

pub(crate) mod find;
pub(crate) mod frame;
mod paragraphs;
pub(crate) mod section;

use std::ops::Range;

/// The heading above the marker and the next question.
const HEADING: &str = "## You";

/// The markers of one talk file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Markers {
    token: String,
}

/// The places in the text of a talk file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The start of the line above which questions and answers are written.
    pub insert: usize,
    /// The start of the marker.
    pub marker: usize,
    /// The text below the marker.
    pub prompt: Range<usize>,
    /// The answer that is being written.
    pub answer: Option<Answer>,
}

/// The frame of an answer: its marker, and the text between that and the heading of the next question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Without its line break.
    pub marker: Range<usize>,
    /// From the line below the marker up to [`Places::insert`].
    pub text: Range<usize>,
}

/// Why the text below the marker cannot be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Missing,
    /// There are several.
    Doubled,
}

impl Markers {
    /// The markers of a file with this token.
    pub fn new(token: impl Into<String>) -> Self {
        Markers {
            token: token.into(),
        }
    }

    fn starts(&self, kind: &str) -> String {
        format!("<!-- pieces:{} {kind}", self.token)
    }

    fn prompt(&self) -> String {
        let start = self.starts("write");
        format!("{start} your question below this line, then choose the code action “Send” -->")
    }

    fn answer(&self) -> String {
        let start = self.starts("answer");
        format!("{start} is written here, unless you edit it -->")
    }

    /// Composes the file: the conversation so far, the marker, and the draft below it.
    pub fn compose(&self, shown: &str, draft: &str) -> String {
        let shown = shown.trim_end_matches('\n');
        let marker = self.prompt();
        let draft = draft.trim_matches('\n');
        // An empty line for the question, above the code that it is about.
        let room = if draft.starts_with(['`', '~']) {
            "\n\n"
        } else {
            ""
        };
        format!("{shown}\n\n{HEADING}\n{marker}\n\n{room}{draft}\n")
    }

    /// The line of a composed file on which the user writes, from 0.
    pub fn prompt_line(&self, text: &str) -> usize {
        let start = self.starts("write");
        let marker = text.lines().position(|line| line.starts_with(&start));
        marker.map_or(0, |line| line + 2)
    }

    /// Finds the places in a text, which may have been edited in any way.
    ///
    /// # Errors
    /// The marker is not there exactly once.
    pub fn locate(&self, text: &str) -> Result<Places, Broken> {
        let (write, answer) = (self.starts("write"), self.starts("answer"));
        let (mut found, mut frame) = (None, None);
        let (mut at, mut above) = (0, 0..0);
        for line in text.split_inclusive('\n') {
            let whole = at..at + line.len();
            at = whole.end;
            if line.starts_with(&write) {
                if found.is_some() {
                    return Err(Broken::Doubled);
                }
                found = Some((above.clone(), whole.clone()));
            } else if line.starts_with(&answer) && found.is_none() {
                frame = Some(whole.start..whole.start + bare(line).len());
            }
            above = whole;
        }
        let (above, marker) = found.ok_or(Broken::Missing)?;
        let insert = match bare(&text[above.clone()]) == HEADING {
            true => above.start,
            false => marker.start,
        };
        let answer = frame.map(|marker: Range<usize>| {
            let below = text[marker.end..].find('\n');
            let start = below.map_or(text.len(), |at| marker.end + at + 1);
            Answer {
                marker,
                text: start.min(insert)..insert,
            }
        });
        Ok(Places {
            insert,
            marker: marker.start,
            prompt: marker.end..text.len(),
            answer,
        })
    }
}

impl Markers {
    /// What stands below the last heading for a question, where the marker was deleted and the heading was not.
    /// Questions of the picture have their time below the heading.
    pub fn without_marker(&self, text: &str) -> Option<Range<usize>> {
        let mut below = None;
        let (mut at, mut is_below) = (0, false);
        for line in text.split_inclusive('\n') {
            let is_time = line.starts_with('*') && bare(line).ends_with('*');
            if is_below && is_time {
                below = None;
            }
            at += line.len();
            is_below = bare(line) == HEADING;
            if is_below {
                below = Some(at..text.len());
            }
        }
        below
    }
}

/// A line without its line break.
fn bare(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

/// The part of `range` between its first and its last character that is not blank.
pub(crate) fn said(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markers() -> Markers {
        Markers::new("5f3a")
    }

    #[test]
    fn a_composed_file_has_its_places() {
        let markers = markers();
        let text = markers.compose("# Retry\n\n## You\n\nWhy?\n", "And then?");
        let places = markers.locate(&text).unwrap();
        assert!(
            text[places.insert..].starts_with("## You\n<!-- pieces:5f3a write"),
            "{text}"
        );
        assert_eq!(&text[places.prompt.clone()], "\nAnd then?\n");
        assert_eq!(&text[said(&text, places.prompt)], "And then?");
        assert_eq!(places.answer, None);
        let line = text.lines().nth(markers.prompt_line(&text));
        assert_eq!(line, Some("And then?"));
    }

    #[test]
    fn code_below_the_marker_leaves_room_for_the_question() {
        let text = markers().compose("# Retry\n", "```rs a.rs:1-2\nx\n```");
        let lines: Vec<&str> = text.lines().collect();
        let at = markers().prompt_line(&text);
        assert_eq!(lines[at..], ["", "", "```rs a.rs:1-2", "x", "```"]);
    }

    #[test]
    fn the_marker_counts_wherever_it_is_and_only_once() {
        let markers = markers();
        let text = markers.compose("# Retry\n", "");
        // Words and lines around it may be edited, the heading too.
        let moved = text.replace("## You\n", "").replace("your question", "it");
        let places = markers.locate(&moved).unwrap();
        assert_eq!(places.insert, places.marker);
        assert_eq!(markers.locate("# Retry\n"), Err(Broken::Missing));
        assert_eq!(
            markers.locate(&text.replace("5f3a", "5f3b")),
            Err(Broken::Missing)
        );
        assert_eq!(
            markers.locate(&text.replace("<!--", " <!--")),
            Err(Broken::Missing)
        );
        assert_eq!(
            markers.locate(&format!("{text}{text}")),
            Err(Broken::Doubled)
        );
        let crlf = text.replace('\n', "\r\n") + "Why?\r\n";
        let places = markers.locate(&crlf).unwrap();
        assert_eq!(&crlf[said(&crlf, places.prompt)], "Why?");
    }

    #[test]
    fn without_its_marker_a_draft_is_found_by_its_heading() {
        let markers = markers();
        let found = |text: &str| {
            let lines = text.split_inclusive('\n');
            let text: String = lines.filter(|line| !line.starts_with("<!--")).collect();
            let range = markers.without_marker(&text)?;
            Some(text[range].trim().to_owned())
        };
        let text = markers.compose("# Retry\n\n## You\n*14:03*\n\nWhy?\n", "And then?\n## So\n");
        assert_eq!(found(&text).as_deref(), Some("And then?\n## So"));
        assert_eq!(
            found(&text.replace('\n', "\r\n")).as_deref(),
            Some("And then?\r\n## So")
        );
        assert_eq!(found("# Retry\n\n## You\n*14:03*\n\nWhy?\n"), None);
        assert_eq!(found("# Retry\n"), None);
    }

    #[test]
    fn an_answer_is_between_its_marker_and_the_room_for_the_question() {
        let markers = markers();
        let shown = format!("# Retry\n\n## Assistant\n{}\n\nYes.\n", markers.answer());
        let text = markers.compose(&shown, "next");
        let places = markers.locate(&text).unwrap();
        let answer = places.answer.unwrap();
        assert_eq!(&text[answer.text], "\nYes.\n\n");
        assert_eq!(&text[answer.marker], markers.answer());
        // Below the marker it is what somebody writes.
        let text = markers.compose("# Retry\n", &markers.answer());
        assert_eq!(markers.locate(&text).unwrap().answer, None);
    }
}
