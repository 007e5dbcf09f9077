//! Rendering hostile messages: four times the text may take at most six times as long.
//! `cargo bench --bench markdown` ends with exit code 1 where it takes longer.
#![allow(clippy::print_stdout, missing_docs)]

use pieces_lsp::markdown::body;
use std::process::Command;
use std::time::{Duration, Instant};

const SMALL: usize = 1 << 18;
/// The longest message that is rendered.
const LARGE: usize = 1 << 20;
const MOST: f64 = 6.0;

/// Texts of one thing again and again.
#[rustfmt::skip]
const UNITS: [&str; 47] = [
    "<b>", "# a\n", "[a](b) ", "![a](b)", "[", "]", "[a](", "*a_ ", "` ``", "> ", "- ", "a\n\n", "<", "<a ", "\\<",
    "[a]: x\n", "[a]", "|a|b|\n|-|-|\n", "https://a/<b> ", "https://a/`", "```\n", "~~~x\n", "   1. a\n", "<!--",
    "<?", "&lt;", "**a", "~~a", "<![CDATA[", "`a\n", "``` `\n", "[a]:\n", "![[]()", "[a](<b", "<https://a>", "<div>\n",
    "- a\n\n", ">a\n", "\\", "- <b>\n", "> ```\n", "a\n===\n", "[^1]:", "|-|-|\n", "`<b>` ", "`<b>`", "www.",
];

/// Large buffers stay with glibc. Otherwise each is new memory, and page faults are measured.
const KEEP_MEMORY: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "1000000000"),
    ("MALLOC_TRIM_THRESHOLD_", "1000000000"),
];

fn main() {
    if std::env::var_os(KEEP_MEMORY[0].0).is_none() {
        let again = std::env::current_exe().map(Command::new);
        let ended = again.and_then(|mut again| again.envs(KEEP_MEMORY).status());
        std::process::exit(ended.ok().and_then(|ended| ended.code()).unwrap_or(1));
    }
    let mut failed = false;
    for unit in UNITS {
        failed |= measure(&format!("{unit:?}"), |size| unit.repeat(size / unit.len()));
    }
    failed |= measure("lists in lists", |size| {
        let deep: String = (0..size.isqrt() / 2)
            .map(|depth| format!("{}- a\n", "  ".repeat(depth)))
            .collect();
        let blank = "\n".repeat(size - deep.len());
        format!("{deep}{blank}x")
    });
    failed |= measure("one link, often", |size| {
        let url = "y".repeat(size / 4);
        format!("[a]: https://x.org/{url}\n\n{}", "[a] ".repeat(size / 8))
    });
    failed |= measure("a wide table", |size| {
        let columns = size / 8;
        format!(
            "{}|\n{}|\n{}",
            "|a".repeat(columns),
            "|-".repeat(columns),
            "|b\n".repeat(size / 9)
        )
    });
    if failed {
        std::process::exit(1);
    }
}

/// Whether it takes too long.
fn measure(name: &str, text: impl Fn(usize) -> String) -> bool {
    let best = |size| {
        let text = text(size);
        let round = || {
            let start = Instant::now();
            std::hint::black_box(body(&text));
            start.elapsed()
        };
        (0..5).map(|_| round()).min().unwrap_or_default()
    };
    let (small, large) = (best(SMALL), best(LARGE));
    // Below that it is the memory that is measured.
    let ratio = large.as_secs_f64() / small.max(Duration::from_millis(2)).as_secs_f64();
    println!("{name:24} {small:>10.1?} {large:>10.1?}  ×{ratio:.1}");
    ratio > MOST
}
