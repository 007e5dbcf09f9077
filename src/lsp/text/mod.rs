//! Conversations and links to them as a person reads and writes them.

pub(crate) mod comment;
pub(crate) mod item;
pub(crate) mod language;
pub(crate) mod message;
pub(crate) mod real_path;
pub(crate) mod reference;
pub(crate) mod subject;
pub(crate) mod talk;
