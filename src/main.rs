//! The `pieces-lsp` binary: see the library for everything it does.

fn main() -> std::process::ExitCode {
    pieces_lsp::cli::main()
}
