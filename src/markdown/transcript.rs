//! A conversation as one document: what the language server shows, and the files of an export.

use super::{body, inline, inline_isolated, visible};
use std::fmt::Write;

/// Most characters of a title.
const TITLE: usize = 200;
/// Most characters of a role.
const ROLE: usize = 40;

/// The heading of a conversation, which may have any name.
pub fn heading(name: &str) -> String {
    format!("# {}\n", inline(visible(name), TITLE))
}

/// What a transcript is made of.
#[derive(Debug, Clone, Default)]
pub struct Transcript<'a> {
    /// The name of the conversation.
    pub title: &'a str,
    /// When it was created, for people.
    pub created: String,
    /// When it last changed, for people.
    pub updated: String,
    /// The assets it is about.
    pub assets: Vec<Tie>,
    /// The files it is about.
    pub files: Vec<Tie>,
    /// Its messages, in order.
    pub messages: Vec<Part<'a>>,
    /// A sentence about what could not be shown.
    pub note: Option<String>,
}

/// Something a conversation is tied to.
#[derive(Debug, Clone)]
pub struct Tie {
    /// What it is called.
    pub name: String,
    /// Where it is, as a URI.
    pub uri: String,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Who wrote it, for people.
    pub role: String,
    /// When, for people; may be empty.
    pub time: String,
    /// The text, in Markdown.
    pub text: Option<&'a str>,
}

impl Part<'_> {
    /// The message as a section of a document. Nothing in it reaches what follows.
    pub fn render(&self) -> String {
        let mut text = format!("\n## {}", inline(&self.role, ROLE));
        if !self.time.is_empty() {
            let _ = write!(text, " · {}", inline(&self.time, ROLE));
        }
        text.push('\n');
        let said = match self.text {
            Some(said) => body(said),
            None => "*No text.*".to_owned(),
        };
        if !said.is_empty() {
            let _ = write!(text, "\n{said}\n");
        }
        text
    }
}

impl Transcript<'_> {
    /// The document. Its only headings of the first two levels are the title and one per message.
    pub fn render(&self) -> String {
        self.render_with_lines().0
    }

    /// The document, and the line, from 0, of each message's heading.
    pub fn render_with_lines(&self) -> (String, Vec<usize>) {
        let mut text = heading(self.title);
        let count = match self.messages.len() {
            1 => "1 message".to_owned(),
            many => format!("{many} messages"),
        };
        let _ = writeln!(
            text,
            "\nCreated {} · updated {} · {count}",
            self.created, self.updated
        );
        for (what, ties) in [("Assets", &self.assets), ("Files", &self.files)] {
            if !ties.is_empty() {
                let _ = write!(text, "\n{what}: {}\n", links(ties));
            }
        }
        if let Some(note) = &self.note {
            let _ = write!(text, "\n*{}*\n", inline(note, 500));
        }
        let breaks = |text: &str| text.bytes().filter(|c| *c == b'\n').count();
        let mut line = breaks(&text);
        let mut lines = Vec::with_capacity(self.messages.len());
        for part in &self.messages {
            let part = part.render();
            // A blank line comes before the heading.
            lines.push(line + 1);
            line += breaks(&part);
            text.push_str(&part);
        }
        (text, lines)
    }
}

fn links(ties: &[Tie]) -> String {
    ties.iter().map(link).collect::<Vec<_>>().join(", ")
}

fn link(tie: &Tie) -> String {
    let uri = tie.uri.replace(['<', '>', '\n', '\\', ' '], "");
    let name = inline_isolated(&tie.name, 120);
    // Brackets of its own would end the link too early.
    match uri.contains(['(', ')']) {
        true => format!("[{name}](<{uri}>)"),
        false => format!("[{name}]({uri})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript() {
        let transcript = Transcript {
            title: "Retry *with* jitter",
            created: "2026-11-20 09:14".into(),
            updated: "2026-11-20 09:20".into(),
            assets: vec![Tie {
                name: "retry.rs".into(),
                uri: "pieces-asset:/7e/retry.rs".into(),
            }],
            files: vec![],
            messages: vec![
                Part {
                    role: "User".into(),
                    time: "09:14".into(),
                    text: Some("# Why?\n```rust\nlet x"),
                },
                Part {
                    role: "Assistant".into(),
                    time: String::new(),
                    text: None,
                },
            ],
            note: None,
        };
        let expected = "# Retry \\*with\\* jitter

Created 2026-11-20 09:14 · updated 2026-11-20 09:20 · 2 messages

Assets: [retry.rs](pieces-asset:/7e/retry.rs)

## User · 09:14

### Why?
```rust
let x
```

## Assistant

*No text.*
";
        assert_eq!(
            transcript.render_with_lines(),
            (expected.to_owned(), vec![6, 13])
        );
    }
}
