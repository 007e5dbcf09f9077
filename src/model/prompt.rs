//! Fits a conversation into the context size of a model, and reports what was left out.

use serde::{Deserialize, Serialize};

use super::{Message, Role};

/// One message of the conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its author; never [`Role::System`].
    pub role: Role,
    /// Its text.
    pub text: String,
    /// For a question, whether it has an answer. Unanswered questions are left out.
    pub answered: bool,
}

/// A text that is sent with the prompt.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// What it is.
    pub kind: Kind,
    /// Its name, such as `retry.rs`.
    pub name: String,
    /// Where it is.
    pub uri: Option<String>,
    /// First and last line of a selection, from 1.
    pub lines: Option<(u32, u32)>,
    /// The text itself.
    pub text: String,
}

/// The kind of a part of the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The selected lines of a document.
    Selection,
    /// An open document.
    Document,
    /// A file that was named.
    File,
    /// A saved text.
    Asset,
    /// Earlier messages of the conversation.
    Messages,
}

/// How much of one part was sent: an item of the `context` of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its length in bytes.
    pub bytes: u64,
    /// Bytes of it that were sent.
    pub sent: u64,
}

/// A conversation that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The messages to send, the prompt last.
    pub messages: Vec<Message>,
    /// How much of each part is sent.
    pub sent: Vec<Context>,
    /// Estimated tokens of `messages`.
    pub tokens: u32,
}

/// Estimated tokens of a message in addition to its text.
const FRAME: u32 = 4;

/// Builds the request for `prompt`: the system message, the history, then the texts and the prompt in one message. Joins
/// neighbouring messages of one role. If it does not fit into three quarters of `context_tokens`, the oldest messages are
/// left out first, then the longest texts are cut. The system message and the prompt are never cut: if they are too long,
/// the endpoint refuses the question.
pub fn build(
    history: &[Turn],
    system: Option<&str>,
    texts: &[Text],
    prompt: &str,
    context_tokens: u32,
) -> Prompt {
    let system = system.map(str::trim).filter(|system| !system.is_empty());
    let history: Vec<&Turn> = history
        .iter()
        .filter(|turn| turn.role != Role::User || turn.answered)
        .filter(|turn| !turn.text.trim().is_empty())
        .collect();
    let fixed = tokens(prompt) + FRAME + system.map_or(0, |system| tokens(system) + FRAME);
    let room = (context_tokens / 4 * 3).saturating_sub(fixed);

    let kept = newest(&history, room.saturating_sub(whole_cost(texts)));
    let parts = fitted(texts, room);

    let mut messages = Messages::default();
    if let Some(system) = system {
        messages.add(Role::System, system);
    }
    for turn in kept {
        messages.add(turn.role, &turn.text);
    }
    for part in &parts {
        messages.add(Role::User, part.quoted.as_str());
    }
    messages.add(Role::User, prompt);

    let mut sent = Vec::new();
    if !history.is_empty() {
        let bytes = |turns: &[&Turn]| turns.iter().map(|turn| turn.text.len() as u64).sum();
        sent.push(Context {
            kind: Kind::Messages,
            name: match history.len() {
                1 => "1 earlier message".to_owned(),
                count => format!("{count} earlier messages"),
            },
            uri: None,
            bytes: bytes(&history),
            sent: bytes(kept),
        });
    }
    sent.extend(texts.iter().zip(&parts).map(|(text, part)| Context {
        kind: text.kind,
        name: text.name.clone(),
        uri: text.uri.clone(),
        bytes: text.text.len() as u64,
        sent: part.sent as u64,
    }));
    Prompt {
        tokens: messages.tokens(),
        messages: messages.0,
        sent,
    }
}

/// Estimated tokens of a text: 3.5 bytes each, a character outside ASCII as one.
pub fn tokens(text: &str) -> u32 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    let tokens = (2 * ascii).div_ceil(7) + other;
    u32::try_from(tokens).unwrap_or(u32::MAX / 2)
}

impl Prompt {
    /// Fewer tokens than any tokenizer makes of the messages.
    pub fn least_tokens(&self) -> u32 {
        let texts = self.messages.iter().map(|message| &*message.text);
        texts.map(least_tokens).fold(0, u32::saturating_add)
    }
}

/// Fewer tokens than tokenizers make of a text: a token has less than 7 bytes of ASCII on average, belongs to one
/// word in other alphabets, and has less than three characters of a script without words.
fn least_tokens(text: &str) -> u32 {
    /// More characters than a token has of what looks like a word and is none.
    const LONGEST: usize = 16;
    let (mut ascii, mut words, mut dense) = (0, 0, 0);
    let (mut run, mut is_ascii) = (0, true);
    for c in text.chars().chain([' ']) {
        // Marks and signs of other scripts may belong to the word: then there are fewer.
        if c.is_ascii_alphanumeric() || !(c.is_ascii() || c.is_whitespace() || is_dense(c)) {
            (run, is_ascii) = (run + 1, is_ascii && c.is_ascii());
            continue;
        }
        match is_ascii {
            true => ascii += run,
            false => words += usize::div_ceil(run, LONGEST),
        }
        (run, is_ascii) = (0, true);
        match is_dense(c) {
            true => dense += 1,
            false => ascii += 1,
        }
    }
    u32::try_from(ascii / 7 + words + dense / 3).unwrap_or(u32::MAX)
}

/// Whether a character is of Chinese or Japanese.
fn is_dense(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The newest messages that fit. The first is never an answer whose question does not fit.
fn newest<'a>(history: &'a [&'a Turn], room: u32) -> &'a [&'a Turn] {
    let mut left = room;
    let mut from = history.len();
    while from > 0 {
        let cost = tokens(&history[from - 1].text) + FRAME;
        if cost > left {
            break;
        }
        left -= cost;
        from -= 1;
    }
    let mut kept = &history[from..];
    while from > 0
        && kept
            .first()
            .is_some_and(|turn| turn.role == Role::Assistant)
    {
        kept = &kept[1..];
    }
    kept
}

/// A text as it is sent.
struct Part {
    quoted: String,
    /// Bytes of the text in it.
    sent: usize,
}

/// Estimated tokens of the texts if none is cut, with the empty line after each.
fn whole_cost(texts: &[Text]) -> u32 {
    let costs = texts
        .iter()
        .map(|text| tokens(&quoted(text, &text.text)) + tokens("\n\n"));
    costs.fold(0, u32::saturating_add)
}

/// The texts, of which the longest are cut until all fit.
fn fitted(texts: &[Text], room: u32) -> Vec<Part> {
    let costs: Vec<u32> = texts.iter().map(|text| tokens(&text.text)).collect();
    // The fence and title of a text, and the note that it was cut.
    let around: u32 = texts
        .iter()
        .map(|text| tokens(&text.name) + 48)
        .fold(0, u32::saturating_add);
    let longest = costs.iter().copied().max().unwrap_or(0);
    let most = match whole_cost(texts) <= room {
        true => longest,
        false => most_of_each(&costs, room.saturating_sub(around)),
    };
    let part = |text: &Text| {
        let start = start_of(&text.text, most);
        Part {
            quoted: match start.len() == text.text.len() {
                true => quoted(text, start),
                false => shortened(text, start),
            },
            sent: start.len(),
        }
    };
    texts.iter().map(part).collect()
}

/// The largest number of tokens per text with which all texts fit into `room`.
fn most_of_each(costs: &[u32], room: u32) -> u32 {
    let (mut enough, mut too_much) = (
        0,
        costs.iter().copied().max().unwrap_or(0).saturating_add(1),
    );
    while too_much - enough > 1 {
        let most = enough + (too_much - enough) / 2;
        let all: u64 = costs.iter().map(|cost| u64::from(*cost.min(&most))).sum();
        match all <= u64::from(room) {
            true => enough = most,
            false => too_much = most,
        }
    }
    enough
}

/// The start of a text with at most `most` tokens, cut at the end of a line if there is one.
fn start_of(text: &str, most: u32) -> &str {
    // In sevenths of a token, so that the sums are exact.
    let most = u64::from(most) * 7;
    let mut cost = 0;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        cost += if c.is_ascii() { 2 } else { 7 };
        if cost > most {
            end = at;
            break;
        }
    }
    let start = &text[..end];
    match start.rfind('\n') {
        Some(line) if end < text.len() => &text[..=line],
        _ => start,
    }
}

/// A text in a fence longer than any in it, with its name above.
fn quoted(text: &Text, part: &str) -> String {
    let fence = fence(part);
    let newline = if part.ends_with('\n') || part.is_empty() {
        ""
    } else {
        "\n"
    };
    format!("{}:\n\n{fence}\n{part}{newline}{fence}", title(text))
}

fn shortened(text: &Text, start: &str) -> String {
    let bytes = text.text.len();
    match start {
        "" => format!(
            "{} ({bytes} bytes) is left out because it does not fit.",
            title(text)
        ),
        start => format!(
            "{}\n\n(Only the first {} of {bytes} bytes; the rest does not fit.)",
            quoted(text, start),
            start.len()
        ),
    }
}

fn title(text: &Text) -> String {
    let name = text.name.replace(['\n', '\r'], " ");
    match (text.kind, text.lines) {
        (Kind::Selection, Some((first, last))) if first == last => {
            format!("Selection: {name}, line {first}")
        }
        (Kind::Selection, Some((first, last))) => {
            format!("Selection: {name}, lines {first}–{last}")
        }
        (Kind::Selection, None) => format!("Selection: {name}"),
        (Kind::Document | Kind::File, _) => format!("File: {name}"),
        (Kind::Asset | Kind::Messages, _) => format!("Saved text: {name}"),
    }
}

/// Backticks that are longer than all in the text.
fn fence(text: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}

/// Messages whose roles alternate.
#[derive(Default)]
struct Messages(Vec<Message>);

impl Messages {
    fn add(&mut self, role: Role, text: &str) {
        match self.0.last_mut() {
            Some(last) if last.role == role => {
                last.text.push_str("\n\n");
                last.text.push_str(text);
            }
            _ => self.0.push(Message {
                role,
                text: text.to_owned(),
            }),
        }
    }

    fn tokens(&self) -> u32 {
        let costs = self.0.iter().map(|message| tokens(&message.text) + FRAME);
        costs.fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests;
