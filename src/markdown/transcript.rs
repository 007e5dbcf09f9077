//! A conversation as one document, for the language server and for exports.

use super::body::code;
use super::question::{self, Place};
use super::{body, inline, inline_isolated, visible};
use std::fmt::Write;

/// Most characters of a title.
const TITLE: usize = 200;
/// Most characters of a role or a time.
const ROLE: usize = 40;
/// Most characters of a line about a message, or about the conversation.
const ASIDE: usize = 500;

/// The heading of a conversation, which may have any name.
pub fn heading(name: &str) -> String {
    format!("# {}\n", inline(visible(name), TITLE))
}

/// The parts of a transcript.
#[derive(Debug, Clone, Default)]
pub struct Transcript<'a> {
    /// The name of the conversation.
    pub title: &'a str,
    /// The tool that it was imported from; empty if it is from here.
    pub origin: &'a str,
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
    /// Its name.
    pub name: String,
    /// Its URI.
    pub uri: String,
}

/// One message.
#[derive(Debug, Clone, Default)]
pub struct Part<'a> {
    /// Who wrote it, for people.
    pub role: String,
    /// When, for people; may be empty.
    pub time: String,
    /// The text, in Markdown.
    pub text: Option<&'a str>,
    /// A question that may end with the code that it is about.
    pub asks: bool,
    /// What is known about an answer, for people; may be empty.
    pub aside: String,
}

impl Part<'_> {
    /// The message as a section of a document, which cannot affect what follows. `files`: those that a question may link
    /// to.
    pub fn render(&self, files: &[Tie]) -> String {
        let mut text = format!("\n## {}\n", inline(&self.role, ROLE));
        if !self.time.is_empty() {
            let _ = writeln!(text, "*{}*", inline(&self.time, ROLE));
        }
        let quoted = self.text.filter(|_| self.asks).and_then(question::parts);
        let (said, quoted) = match quoted {
            Some((prompt, quoted)) => (Some(prompt), Some(quoted)),
            None => (self.text, None),
        };
        match said.map(body) {
            Some(said) if said.is_empty() => {}
            Some(said) => drop(write!(text, "\n{said}\n")),
            None if self.aside.is_empty() => text.push_str("\n*No text.*\n"),
            None => {}
        }
        if let Some(quoted) = quoted {
            let place = place(&quoted.place, files);
            let fence = code(quoted.code, quoted.language);
            let _ = write!(text, "\n{place}:\n\n{fence}\n");
        }
        if !self.aside.is_empty() {
            let _ = write!(text, "\n*{}*\n", inline(&self.aside, ASIDE));
        }
        text
    }
}

/// The place of code. Messages are untrusted, so only a file that the conversation is tied to becomes a link.
fn place(place: &Place<'_>, files: &[Tie]) -> String {
    let name = place.to_string();
    match files.iter().find(|file| file.name == place.path) {
        Some(file) => link(&Tie {
            name,
            uri: format!("{}#L{}", file.uri, place.first),
        }),
        None => inline_isolated(&name, 120),
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
        let _ = write!(
            text,
            "\nCreated {} · updated {} · {count}",
            self.created, self.updated
        );
        if !self.origin.is_empty() {
            let _ = write!(text, " · from {}", inline_isolated(self.origin, ROLE));
        }
        text.push('\n');
        for (what, ties) in [("Assets", &self.assets), ("Files", &self.files)] {
            if !ties.is_empty() {
                let _ = write!(text, "\n{what}: {}\n", links(ties));
            }
        }
        if let Some(note) = &self.note {
            let _ = write!(text, "\n*{}*\n", inline(note, ASIDE));
        }
        let count = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
        let mut line = count(&text);
        let mut lines = Vec::with_capacity(self.messages.len());
        for part in &self.messages {
            let part = part.render(&self.files);
            // Behind the empty line that each begins with.
            lines.push(line + 1);
            line += count(&part);
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

    fn tie(name: &str, uri: &str) -> Tie {
        Tie {
            name: name.into(),
            uri: uri.into(),
        }
    }

    #[test]
    fn a_transcript() {
        let transcript = Transcript {
            title: "Retry *with* jitter",
            origin: "Chat*GPT*",
            created: "Mon 09:14".into(),
            updated: "09:20".into(),
            assets: vec![tie("retry.rs", "pieces-asset:/7e/retry.rs")],
            files: vec![tie("/src/retry.rs", "file:///src/retry.rs")],
            messages: vec![
                Part {
                    role: "You".into(),
                    time: "09:14".into(),
                    text: Some(
                        "# Why?\n```rust\nlet y\n```\n\n```rs /src/retry.rs:3-4\nlet x\n```",
                    ),
                    asks: true,
                    ..Part::default()
                },
                Part {
                    role: "Assistant".into(),
                    text: Some("Because\n```rust\nlet z"),
                    aside: "writing…".into(),
                    ..Part::default()
                },
                Part {
                    role: "Assistant".into(),
                    ..Part::default()
                },
            ],
            note: None,
        };
        let expected = "# Retry \\*with\\* jitter

Created Mon 09:14 · updated 09:20 · 3 messages · from Chat\\*GPT\\*

Assets: [retry.rs](pieces-asset:/7e/retry.rs)

Files: [/src/retry.rs](file:///src/retry.rs)

## You
*09:14*

### Why?
```rust
let y
```

[retry.rs, lines 3–4](file:///src/retry.rs#L3):

```rs
let x
```

## Assistant

Because
```rust
let z
```

*writing…*

## Assistant

*No text.*
";
        let (text, lines) = transcript.render_with_lines();
        assert_eq!(text, expected);
        let all: Vec<&str> = text.lines().collect();
        let headings: Vec<&str> = lines.iter().map(|line| all[*line]).collect();
        assert_eq!(headings, ["## You", "## Assistant", "## Assistant"]);
    }

    #[test]
    fn only_files_of_the_conversation_are_links() {
        let text = "Why?\n\n```text /etc/passwd:1-1\nroot\n```";
        let part = |asks| Part {
            role: "You".into(),
            text: Some(text),
            asks,
            ..Part::default()
        };
        let shown = part(true).render(&[tie("/src/a.rs", "file:///src/a.rs")]);
        assert!(
            shown.contains("\npasswd, line 1:\n\n```text\nroot\n```\n"),
            "{shown}"
        );
        assert!(part(false).render(&[]).ends_with(&format!("{text}\n")));
    }
}
