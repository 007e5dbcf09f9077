//! Conversations as Markdown. Names and messages are hostile text: what is made of them shows what they
//! say and does nothing else.

mod body;
#[cfg(any(test, fuzzing))]
pub(crate) mod check;
mod inline;
mod transcript;

pub use body::body;
pub use inline::{inline, is_hidden, label, within_code};
pub use transcript::{Part, Tie, Transcript};
