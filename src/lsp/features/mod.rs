//! LSP requests: a file for each method, or for a few that belong together.

pub(crate) mod action;
pub(crate) mod code_action;
pub(crate) mod code_lens;
pub(crate) mod completion;
pub(crate) mod content;
pub(crate) mod copy;
pub(crate) mod diagnostics;
pub(crate) mod hover;
pub(crate) mod inlay_hint;
pub(crate) mod navigation;
pub(crate) mod rename;
pub(crate) mod symbols;
mod talk;
