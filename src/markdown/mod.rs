//! Conversations as Markdown. Names and messages are untrusted: their Markdown only shows text and has no other effect.

mod body;
mod clock;
mod code;
mod gist;
mod inline;
mod lines;
mod links;
mod outline;
mod plain;
pub mod question;
mod scan;
mod transcript;

pub use body::body;
pub use clock::Clock;
pub use code::{CodeBlock, code_blocks};
pub use gist::gist;
pub use inline::{
    UNNAMED, inline, inline_isolated, isolated, label, shows_nothing, visible, within_code,
};
pub use plain::plain;
pub use transcript::{Part, Tie, Transcript, heading};
