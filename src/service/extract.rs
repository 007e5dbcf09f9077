//! The first message of a conversation about a text: an extract, since there is no language model.
//!
//! Name, language, size, leading comment and first lines, all copied from the text.

use std::fmt::Write as _;

/// Maximum quoted lines of code.
const FIRST_LINES: usize = 20;
/// Maximum quoted lines of the leading comment.
const COMMENT_LINES: usize = 12;
/// Maximum characters of a quoted line.
const WIDTH: usize = 120;

/// Comment syntax, for comments at column 0.
struct Comments {
    /// Prefixes of line comments; longer ones first.
    line: &'static [&'static str],
    /// Start and end of block comments; longer ones first.
    block: &'static [(&'static str, &'static str)],
}

const C: Comments = Comments {
    line: &["//!", "///", "//"],
    block: &[("/**", "*/"), ("/*!", "*/"), ("/*", "*/")],
};
const PHP: Comments = Comments {
    line: &["//", "#"],
    block: C.block,
};
const HASH: Comments = Comments {
    line: &["#"],
    block: &[],
};
const PYTHON: Comments = Comments {
    line: &["#"],
    block: &[("\"\"\"", "\"\"\""), ("'''", "'''")],
};
const RUBY: Comments = Comments {
    line: &["#"],
    block: &[("=begin", "=end")],
};
const LUA: Comments = Comments {
    line: &["---", "--"],
    block: &[("--[[", "]]")],
};
const SQL: Comments = Comments {
    line: &["--"],
    block: &[("/*", "*/")],
};
const MARKUP: Comments = Comments {
    line: &[],
    block: &[("<!--", "-->")],
};

/// Name, file extensions, comments.
const LANGUAGES: &[(&str, &[&str], &Comments)] = &[
    ("Rust", &["rs"], &C),
    ("Python", &["py", "pyi", "pyx"], &PYTHON),
    ("JavaScript", &["js", "jsx", "mjs", "cjs"], &C),
    ("TypeScript", &["ts", "tsx", "mts", "cts"], &C),
    ("Go", &["go"], &C),
    ("C", &["c", "h"], &C),
    ("C++", &["cc", "cpp", "cxx", "hh", "hpp", "hxx"], &C),
    ("Java", &["java"], &C),
    ("C#", &["cs", "csx"], &C),
    ("Kotlin", &["kt", "kts"], &C),
    ("Swift", &["swift"], &C),
    ("PHP", &["php"], &PHP),
    ("Ruby", &["rb", "rake", "rbi"], &RUBY),
    ("Shell", &["sh", "bash", "zsh"], &HASH),
    ("Makefile", &["hljs-makefile", "mk"], &HASH),
    ("CMake", &["hljs-cmake", "cmake"], &HASH),
    ("Dockerfile", &["dockerfile"], &HASH),
    ("TOML", &["toml"], &HASH),
    ("YAML", &["yaml", "yml"], &HASH),
    ("Lua", &["lua", "luau"], &LUA),
    ("SQL", &["sql"], &SQL),
    ("CSS", &["css", "scss"], &C),
    ("HTML", &["html", "htm"], &MARKUP),
    ("Markdown", &["md", "markdown"], &MARKUP),
];

/// The first message of a conversation about a text, as Markdown. `extension` has no dot; if absent, the
/// extension of `name` is used.
pub(crate) fn summary(name: &str, extension: Option<&str>, text: &str) -> String {
    let extension = extension.or_else(|| {
        let (_, extension) = name.rsplit_once('.')?;
        // A conversation about a selection is called `retry.rs, lines 3–9`.
        (!extension.contains(char::is_whitespace)).then_some(extension)
    });
    let language = extension.and_then(|extension| {
        let is_its = |own: &&str| own.eq_ignore_ascii_case(extension);
        LANGUAGES
            .iter()
            .find(|(_, extensions, _)| extensions.iter().any(is_its))
    });
    let said = match (language, extension) {
        (Some((name, ..)), _) => (*name).to_owned(),
        (None, Some(extension)) => {
            let extension = extension.strip_prefix("hljs-").unwrap_or(extension);
            format!("not recognised (.{})", in_code(extension))
        }
        (None, None) => "not recognised".to_owned(),
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut out = format!(
        "`{}`\n\nThis summary is extractive: no language model was used, everything below is taken \
         from the text itself.\n\n- Language: {said}\n- Size: {}, {}\n",
        in_code(name),
        count(lines.len(), "line"),
        count(text.len(), "byte")
    );
    let (comment, start) = language.map_or_else(Default::default, |(.., style)| {
        leading_comment(style, &lines)
    });
    if !comment.is_empty() {
        out.push_str("\nLeading comment:\n\n");
        for line in &comment {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "> {}", cut(line));
        }
    }
    quote_first_lines(
        &mut out,
        &lines,
        start,
        language.map(|(_, tags, _)| tags[0]),
    );
    out
}

/// Adds the first lines from `start` on, in a fence longer than any in the lines.
fn quote_first_lines(out: &mut String, lines: &[&str], start: usize, tag: Option<&str>) {
    let blank = lines[start..]
        .iter()
        .take_while(|line| line.trim().is_empty());
    let start = start + blank.count();
    let end = lines.len().min(start + FIRST_LINES);
    if start == end {
        return;
    }
    let quoted: Vec<_> = lines[start..end].iter().map(|line| cut(line)).collect();
    let longest = quoted.iter().flat_map(|line| line.split(|c| c != '`'));
    let longest = longest.map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    let (first, total, tag) = (start + 1, lines.len(), tag.unwrap_or_default());
    let _ = write!(
        out,
        "\nFirst lines ({first} to {end} of {total}):\n\n{fence}{tag}\n{}\n{fence}\n",
        quoted.join("\n")
    );
}

fn count(number: usize, unit: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// One line that cannot close a code span.
fn in_code(text: &str) -> String {
    cut(&text.replace('`', "'").replace(['\n', '\r'], " "))
}

/// The first comment that is not a licence, and the number of lines up to its end (or to the end of the
/// licence).
fn leading_comment(style: &Comments, lines: &[&str]) -> (Vec<String>, usize) {
    let mut end = 0;
    loop {
        let preamble = lines[end..]
            .iter()
            .take_while(|line| is_preamble(line.trim()));
        let start = end + preamble.count();
        let (comment, length) = comment(style, &lines[start..]);
        if length == 0 {
            return (Vec::new(), end);
        }
        end = start + length;
        let comment = tidied(&comment);
        let licence = comment
            .iter()
            .any(|line| line.contains("Copyright") || line.contains("SPDX-"));
        if !comment.is_empty() && !licence {
            return (comment, end);
        }
    }
}

/// The comment that `lines` begin with, without its markers, and its number of lines.
fn comment<'t>(style: &Comments, lines: &[&'t str]) -> (Vec<&'t str>, usize) {
    let block = lines.first().and_then(|first| {
        let opened = |(open, close)| Some((first.strip_prefix(open)?, close));
        style.block.iter().copied().find_map(opened)
    });
    let Some((first, close)) = block else {
        let text = |line: &&'t str| style.line.iter().find_map(|mark| line.strip_prefix(mark));
        let found: Vec<_> = lines.iter().map_while(text).collect();
        let length = found.len();
        return (found, length);
    };
    let mut found = Vec::new();
    for line in [first].into_iter().chain(lines[1..].iter().copied()) {
        let (before, closed) = line
            .split_once(close)
            .map_or((line, false), |(b, _)| (b, true));
        found.push(before);
        if closed {
            break;
        }
    }
    let length = found.len();
    (found, length)
}

/// Lines that may precede a file's leading comment.
fn is_preamble(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("#!")
        || line.starts_with("<?php")
        || line.starts_with("# -*-")
        || line == "#pragma once"
        || line.contains("use strict")
        || line.starts_with("# frozen_string_literal")
}

/// At most [`COMMENT_LINES`], without the stars of block comments and surrounding empty lines.
fn tidied(comment: &[&str]) -> Vec<String> {
    let tidy = |line: &&str| line.trim().trim_start_matches('*').trim().to_owned();
    let lines = comment.iter().map(tidy);
    let lines = lines.skip_while(String::is_empty).take(COMMENT_LINES);
    let mut lines: Vec<_> = lines.collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quoted comment and the first quoted line of code.
    fn parts(name: &str, text: &str) -> (Vec<String>, Option<String>) {
        let summary = summary(name, None, text);
        assert!(summary.contains("extractive"), "{summary}");
        let quoted = summary.lines().filter_map(|line| line.strip_prefix("> "));
        let code = summary.lines().skip_while(|line| !line.starts_with("```"));
        let first = code.skip(1).map(str::to_owned).next();
        (quoted.map(str::to_owned).collect(), first)
    }

    #[test]
    fn leading_comment_and_first_line() {
        let licence = "// Copyright 2026 Somebody\n\n";
        let rust =
            format!("{licence}//! Retries with jitter.\n//! Twice at most.\n\nuse std::io;\n");
        let only_licence = format!("{licence}fn main() {{}}\n");
        let python = "#!/usr/bin/env python\n\"\"\"Does things.\n\nWell.\n\"\"\"\nimport io\n";
        let lua = "--[[ A module.\n]]\nlocal M = {}\n";
        for (name, text, comment, first) in [
            (
                "retry.rs",
                &*rust,
                &["Retries with jitter.", "Twice at most."][..],
                "use std::io;",
            ),
            ("main.rs", &only_licence, &[], "fn main() {}"),
            ("A.RS", "fn a() {}\n// later\n", &[], "fn a() {}"),
            ("a.py", python, &["Does things.", "", "Well."], "import io"),
            (
                "a.ts",
                "/**\n * Talks.\n */\nexport class A {}\n",
                &["Talks."],
                "export class A {}",
            ),
            (
                "a.c",
                "/* Adds. */\n#include <x.h>\n",
                &["Adds."],
                "#include <x.h>",
            ),
            (
                "a.sh",
                "#!/bin/sh\n# Builds.\nset -e\n",
                &["Builds."],
                "set -e",
            ),
            ("a.lua", lua, &["A module."], "local M = {}"),
            ("a.md", "<!-- Draft -->\n# Title\n", &["Draft"], "# Title"),
            ("notes.txt", "\n# not a comment\n", &[], "# not a comment"),
        ] {
            let expected = (
                comment.iter().map(ToString::to_string).collect(),
                Some(first.into()),
            );
            assert_eq!(parts(name, text), expected, "{name}");
        }
    }

    #[test]
    fn says_what_is_left_out() {
        let text: String = (1..=50).map(|n| format!("fn f{n}() {{}}\n")).collect();
        let summary = summary("Untitled", Some("rs"), &text);
        for part in [
            "- Language: Rust\n- Size: 50 lines, 591 bytes\n",
            "First lines (1 to 20 of 50):\n\n```rs\nfn f1() {}\n",
            "fn f20() {}\n```\n",
        ] {
            assert!(summary.contains(part), "{part} in {summary}");
        }
        assert!(!summary.contains("f21"), "{summary}");
    }

    #[test]
    fn long_lines_are_cut() {
        let summary = summary("a.js", None, &"é".repeat(1_000_000));
        assert!(summary.contains("- Size: 1 line, 2000000 bytes\n"));
        assert!(summary.ends_with(&format!("\n{}…\n```\n", "é".repeat(WIDTH))));
    }

    #[test]
    fn no_line_of_the_text_ends_the_fence() {
        let summary = summary("a.md", None, "````\ncode\n```\n");
        assert!(
            summary.ends_with("\n`````md\n````\ncode\n```\n`````\n"),
            "{summary}"
        );
    }

    #[test]
    fn odd_texts() {
        for text in [
            "",
            "\n",
            "\u{feff}",
            "/*",
            "\"\"\"",
            "é{",
            "{",
            "#",
            "//\n\n//",
            "fn \u{0}`*",
        ] {
            for (language, extensions, _) in LANGUAGES {
                let summary = summary("x`\n*", Some(extensions[0]), text);
                let head = "`x' *`\n\nThis summary is extractive: ";
                assert!(summary.starts_with(head), "{summary}");
                assert!(
                    summary.contains(&format!("- Language: {language}\n")),
                    "{summary}"
                );
                assert_eq!(summary.matches("```").count() % 2, 0, "{summary}");
            }
        }
    }
}
