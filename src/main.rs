//! The `pieces-lsp` program.

fn main() {}
