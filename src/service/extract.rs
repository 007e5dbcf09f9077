//! An honest summary without a language model: what a text says about itself.
//!
//! Line-based rules per family of languages. They look at column 0 only, so what they find is top
//! level; what they cannot tell they leave out.

use std::fmt::Write as _;

/// Definitions listed; the rest is counted.
const DEFINITIONS: usize = 40;
/// Lines of the leading comment that are quoted.
const COMMENT_LINES: usize = 12;
/// Characters of one quoted line.
const WIDTH: usize = 120;

struct Language {
    name: &'static str,
    extensions: &'static [&'static str],
    /// What a line comment starts with; longer ones first.
    line: &'static [&'static str],
    /// What a block comment starts and ends with.
    block: &'static [(&'static str, &'static str)],
    /// Words that may stand before a definition.
    modifiers: &'static [&'static str],
    /// Words that start a definition.
    keywords: &'static [&'static str],
    /// Definitions that no keyword announces.
    other: fn(&str) -> bool,
}

const C_LINE: &[&str] = &["//!", "///", "//"];
const C_BLOCK: &[(&str, &str)] = &[("/**", "*/"), ("/*!", "*/"), ("/*", "*/")];

const LANGUAGES: &[Language] = &[
    Language {
        name: "Rust",
        extensions: &["rs"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &["pub", "async", "unsafe", "default", "extern", "\"C\""],
        keywords: &[
            "fn",
            "struct",
            "enum",
            "trait",
            "impl",
            "mod",
            "type",
            "union",
            "macro_rules!",
            "const",
            "static",
        ],
        other: |_| false,
    },
    Language {
        name: "Python",
        extensions: &["py", "pyi", "pyx"],
        line: &["#"],
        block: &[("\"\"\"", "\"\"\""), ("'''", "'''")],
        modifiers: &["async"],
        keywords: &["def", "class"],
        other: |_| false,
    },
    Language {
        name: "JavaScript",
        extensions: &["js", "jsx", "mjs", "cjs"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &["export", "default", "async"],
        keywords: &["function", "function*", "class", "const", "let", "var"],
        other: |_| false,
    },
    Language {
        name: "TypeScript",
        extensions: &["ts", "tsx", "mts", "cts"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &["export", "default", "declare", "abstract", "async"],
        keywords: &[
            "function",
            "function*",
            "class",
            "interface",
            "type",
            "enum",
            "namespace",
            "const",
            "let",
            "var",
        ],
        other: |_| false,
    },
    Language {
        name: "Go",
        extensions: &["go"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &[],
        keywords: &["func", "type", "var", "const"],
        other: |_| false,
    },
    Language {
        name: "C",
        extensions: &["c", "h"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &["static", "inline", "extern", "const", "typedef"],
        keywords: &["struct", "enum", "union", "#define"],
        other: looks_like_c_function,
    },
    Language {
        name: "C++",
        extensions: &["cc", "cpp", "cxx", "hh", "hpp", "hxx"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &["static", "inline", "extern", "constexpr", "typedef"],
        keywords: &[
            "struct",
            "class",
            "enum",
            "union",
            "namespace",
            "template",
            "concept",
            "#define",
        ],
        other: looks_like_c_function,
    },
    Language {
        name: "Java",
        extensions: &["java"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &[
            "public",
            "abstract",
            "final",
            "sealed",
            "non-sealed",
            "strictfp",
        ],
        keywords: &["class", "interface", "enum", "record", "@interface"],
        other: |_| false,
    },
    Language {
        name: "C#",
        extensions: &["cs", "csx"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &[
            "public", "internal", "abstract", "sealed", "static", "partial", "readonly", "ref",
            "file",
        ],
        keywords: &[
            "namespace",
            "class",
            "interface",
            "enum",
            "record",
            "struct",
            "delegate",
        ],
        other: |_| false,
    },
    Language {
        name: "Kotlin",
        extensions: &["kt", "kts"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &[
            "public", "private", "internal", "open", "abstract", "sealed", "data", "suspend",
            "inline", "const",
        ],
        keywords: &[
            "fun",
            "class",
            "interface",
            "object",
            "enum",
            "val",
            "var",
            "typealias",
        ],
        other: |_| false,
    },
    Language {
        name: "Swift",
        extensions: &["swift"],
        line: C_LINE,
        block: C_BLOCK,
        modifiers: &[
            "public",
            "private",
            "fileprivate",
            "open",
            "final",
            "internal",
        ],
        keywords: &[
            "func",
            "class",
            "struct",
            "enum",
            "protocol",
            "extension",
            "actor",
            "typealias",
        ],
        other: |_| false,
    },
    Language {
        name: "PHP",
        extensions: &["php"],
        line: &["//", "#"],
        block: C_BLOCK,
        modifiers: &["abstract", "final", "readonly"],
        keywords: &[
            "function",
            "class",
            "interface",
            "trait",
            "enum",
            "namespace",
        ],
        other: |_| false,
    },
    Language {
        name: "Ruby",
        extensions: &["rb", "rake", "rbi"],
        line: &["#"],
        block: &[("=begin", "=end")],
        modifiers: &[],
        keywords: &["class", "module", "def"],
        other: |_| false,
    },
    Language {
        name: "Shell",
        extensions: &["sh", "bash", "zsh"],
        line: &["#"],
        block: &[],
        modifiers: &[],
        keywords: &["function"],
        other: looks_like_shell_function,
    },
    Language {
        name: "Lua",
        extensions: &["lua", "luau"],
        line: &["---", "--"],
        block: &[("--[[", "]]")],
        modifiers: &["local"],
        keywords: &["function"],
        other: |line| line.contains("= function(") || line.contains("= function ("),
    },
    Language {
        name: "Markdown",
        extensions: &["md", "markdown"],
        line: &[],
        block: &[("<!--", "-->")],
        modifiers: &[],
        keywords: &["#", "##", "###"],
        other: |_| false,
    },
];

/// The first message of a conversation about a text. `extension` without a dot.
pub(crate) fn summary(name: &str, extension: Option<&str>, text: &str) -> String {
    let extension = extension.or_else(|| name.rsplit_once('.').map(|(_, extension)| extension));
    let language = extension.and_then(|extension| {
        LANGUAGES.iter().find(|l| {
            l.extensions
                .iter()
                .any(|e| e.eq_ignore_ascii_case(extension))
        })
    });
    let mut out = format!(
        "`{}`\n\nThis summary is extractive: no language model was used, everything below is taken \
         from the text itself.\n\n",
        quoted(name)
    );
    // Writing to a String cannot fail.
    let _ = match (language, extension) {
        (Some(language), _) => writeln!(out, "- Language: {}", language.name),
        (None, Some(extension)) => {
            writeln!(out, "- Language: not recognised (.{})", quoted(extension))
        }
        (None, None) => writeln!(out, "- Language: not recognised"),
    };
    let lines = text.lines().count();
    let _ = writeln!(
        out,
        "- Size: {}, {}",
        count(lines, "line"),
        count(text.len(), "byte")
    );
    let Some(language) = language else { return out };

    let comment = leading_comment(language, text);
    if !comment.is_empty() {
        out.push_str("\nLeading comment:\n\n");
        for line in &comment {
            let _ = writeln!(out, "> {}", cut(line));
        }
    }
    let found = definitions(language, text);
    if !found.is_empty() {
        let what = if language.name == "Markdown" {
            "Headings"
        } else {
            "Top-level definitions"
        };
        let _ = write!(out, "\n{what} ({}):\n\n", found.len());
        for (line, definition) in found.iter().take(DEFINITIONS) {
            let _ = writeln!(out, "- line {line}: `{}`", quoted(definition));
        }
        if found.len() > DEFINITIONS {
            let _ = writeln!(out, "- and {} more", found.len() - DEFINITIONS);
        }
    }
    out
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

/// One line that cannot end a code span.
fn quoted(text: &str) -> String {
    cut(&text.replace('`', "'").replace(['\n', '\r'], " "))
}

/// The first comment of the text that is not a licence.
fn leading_comment(language: &Language, text: &str) -> Vec<String> {
    let mut lines = text.lines().peekable();
    loop {
        while lines.next_if(|line| is_preamble(line.trim())).is_some() {}
        let Some(line) = lines.peek() else {
            return Vec::new();
        };
        let mut comment = Vec::new();
        if let Some((open, close)) = language
            .block
            .iter()
            .find(|(open, _)| line.starts_with(open))
        {
            let mut rest = line[open.len()..].to_owned();
            lines.next();
            loop {
                if let Some((before, _)) = rest.split_once(close) {
                    comment.push(before.to_owned());
                    break;
                }
                comment.push(rest);
                let Some(line) = lines.next() else { break };
                rest = line.to_owned();
            }
        } else {
            while let Some(body) = lines.peek().and_then(|line| {
                language
                    .line
                    .iter()
                    .find_map(|mark| line.strip_prefix(mark))
            }) {
                comment.push(body.to_owned());
                lines.next();
            }
        }
        if comment.is_empty() {
            return comment;
        }
        let comment = tidied(&comment);
        let licence = comment
            .iter()
            .any(|line| line.contains("Copyright") || line.contains("SPDX-"));
        if !comment.is_empty() && !licence {
            return comment;
        }
    }
}

/// What stands before a file's own comment.
fn is_preamble(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("#!")
        || line.starts_with("<?php")
        || line.starts_with("# -*-")
        || line == "#pragma once"
        || line.contains("use strict")
        || line.starts_with("# frozen_string_literal")
}

/// Without the stars of block comments and the empty lines around.
fn tidied(comment: &[String]) -> Vec<String> {
    let lines: Vec<_> = comment
        .iter()
        .map(|line| line.trim().trim_start_matches('*').trim().to_owned())
        .collect();
    let start = lines
        .iter()
        .position(|line| !line.is_empty())
        .unwrap_or(lines.len());
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(start, |at| at + 1);
    lines[start..end]
        .iter()
        .take(COMMENT_LINES)
        .cloned()
        .collect()
}

/// Line numbers (from 1) and first lines of what is defined at column 0.
fn definitions<'t>(language: &Language, text: &'t str) -> Vec<(usize, &'t str)> {
    let mut found = Vec::new();
    let mut inside: Option<&str> = None;
    for (at, line) in text.lines().enumerate() {
        if let Some(close) = inside {
            inside = (!line.contains(close)).then_some(close);
            continue;
        }
        if let Some((open, close)) = language
            .block
            .iter()
            .find(|(open, _)| line.starts_with(open))
        {
            inside = (!line[open.len()..].contains(close)).then_some(close);
            continue;
        }
        if language.name == "Markdown" && line.starts_with("```") {
            inside = Some("```");
            continue;
        }
        if is_definition(language, line) {
            let end = line.find('{').filter(|at| *at > 0).unwrap_or(line.len());
            found.push((
                at + 1,
                line[..end]
                    .trim_end()
                    .trim_end_matches([':', ';'])
                    .trim_end(),
            ));
        }
    }
    found
}

fn is_definition(language: &Language, line: &str) -> bool {
    let comment =
        language.line.iter().any(|mark| line.starts_with(mark)) && !line.starts_with("#define");
    let comment = comment && language.name != "Markdown";
    if line.is_empty() || line.starts_with(char::is_whitespace) || comment {
        return false;
    }
    let is_modifier = |word: &str| {
        let word = word.split_once('(').map_or(word, |(head, _)| head);
        language.modifiers.contains(&word)
    };
    let mut words = line.split_whitespace().skip_while(|word| is_modifier(word));
    let word = words.next().unwrap_or_default();
    let head = word.split_once(['<', '(']).map_or(word, |(head, _)| head);
    language.keywords.contains(&word) || language.keywords.contains(&head) || (language.other)(line)
}

fn looks_like_c_function(line: &str) -> bool {
    const NOT: &[&str] = &["if", "for", "while", "switch", "return", "else", "do"];
    let first = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or_default();
    line.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && line
            .split_once('(')
            .is_some_and(|(before, _)| before.trim().contains([' ', '*']))
        && !line.trim_end().ends_with(';')
        && !line.contains('=')
        && !NOT.contains(&first)
}

fn looks_like_shell_function(line: &str) -> bool {
    line.split_once("()").is_some_and(|(name, _)| {
        let name = name.trim_end();
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || "_-.:".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, comment: &[&str], definitions: &[&str]) {
        let summary = summary(name, None, text);
        let quoted: Vec<_> = summary
            .lines()
            .filter_map(|line| line.strip_prefix("> "))
            .collect();
        assert_eq!(quoted, comment, "{name}: {summary}");
        let found: Vec<_> = summary
            .lines()
            .filter(|line| line.starts_with("- line "))
            .map(|l| &l[7..])
            .collect();
        assert_eq!(found, definitions, "{name}: {summary}");
        assert!(summary.contains("extractive"), "{summary}");
    }

    #[test]
    fn each_family_of_languages() {
        check(
            "retry.rs",
            "// Copyright 2026 Somebody\n\n//! Retries with jitter.\n//! Twice at most.\n\nuse std::io;\n\npub(crate) async fn retry() -> io::Result<()> {\n    fn inner() {}\n}\nimpl<T> Retry<T> {}\nconst LIMIT: u8 = 2;\n",
            &["Retries with jitter.", "Twice at most."],
            &[
                "8: `pub(crate) async fn retry() -> io::Result<()>`",
                "11: `impl<T> Retry<T>`",
                "12: `const LIMIT: u8 = 2`",
            ],
        );
        check(
            "a.py",
            "#!/usr/bin/env python\n\"\"\"Does things.\n\nWell.\n\"\"\"\nasync def go(x):\n    def inner(): pass\nclass A(B):\n    pass\n# def no(): pass\n",
            &["Does things.", "", "Well."],
            &["6: `async def go(x)`", "8: `class A(B)`"],
        );
        check(
            "a.ts",
            "/**\n * Talks to the server.\n */\nexport default class Client {}\nexport type Id = string;\ntype Fn<T> = (t: T) => void\n",
            &["Talks to the server."],
            &[
                "4: `export default class Client`",
                "5: `export type Id = string`",
                "6: `type Fn<T> = (t: T) => void`",
            ],
        );
        check(
            "a.go",
            "// Package a does.\npackage a\n\nfunc (s *S) Go() error {\n}\n",
            &["Package a does."],
            &["4: `func (s *S) Go() error`"],
        );
        check(
            "a.c",
            "/* Adds. */\n#include <x.h>\nint add(int a, int b)\n{\n  return a;\n}\nint decl(void);\nstruct s {\n};\n",
            &["Adds."],
            &["3: `int add(int a, int b)`", "8: `struct s`"],
        );
        check(
            "A.java",
            "package a;\npublic final class A {\n  void m() {}\n}\n",
            &[],
            &["2: `public final class A`"],
        );
        check(
            "a.cs",
            "namespace N;\npublic sealed record R(int A);\n",
            &[],
            &["1: `namespace N`", "2: `public sealed record R(int A)`"],
        );
        check(
            "a.rb",
            "# Says hello.\nmodule A\n  def x; end\nend\n",
            &["Says hello."],
            &["2: `module A`"],
        );
        check(
            "a.sh",
            "#!/bin/sh\n# Builds.\nset -e\nbuild() {\n  :\n}\nfunction clean {\n}\n",
            &["Builds."],
            &["4: `build()`", "7: `function clean`"],
        );
        check(
            "a.lua",
            "--- A module.\nlocal M = {}\nlocal function f(x)\nend\nM.g = function(y)\nend\n",
            &["A module."],
            &["3: `local function f(x)`", "5: `M.g = function(y)`"],
        );
        check(
            "README.md",
            "# Title\ntext\n## Part\n```sh\n# not a heading\n```\n",
            &[],
            &["1: `# Title`", "3: `## Part`"],
        );
        check("notes.txt", "fn main() {}\n", &[], &[]);
    }

    #[test]
    fn sizes_are_said_and_long_lists_cut() {
        let text = (0..50)
            .map(|n| format!("fn f{n}() {{}}\n"))
            .collect::<String>();
        let summary = summary("Untitled", Some("rs"), &text);
        assert!(
            summary.contains("- Size: 50 lines, 590 bytes\n"),
            "{summary}"
        );
        assert!(summary.ends_with("- and 10 more\n"), "{summary}");
    }

    #[test]
    fn any_text_is_survived() {
        for text in ["", "\u{feff}", "/*", "\"\"\"", "é{", "{", "#", "fn \u{0}`*"] {
            for language in LANGUAGES {
                let summary = summary("x`\n*", Some(language.extensions[0]), text);
                assert!(summary.contains(language.name));
            }
        }
    }
}
