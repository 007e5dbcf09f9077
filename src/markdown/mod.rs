//! Conversations as Markdown. Names and messages are hostile text: what is made of them shows what they
//! say and does nothing else.

mod body;
mod inline;
mod outline;
mod plain;
mod scan;
mod transcript;

pub use body::body;
pub use inline::{
    UNNAMED, inline, inline_isolated, isolated, label, shows_nothing, visible, within_code,
};
pub use plain::plain;
pub use transcript::{Part, Tie, Transcript, heading};
