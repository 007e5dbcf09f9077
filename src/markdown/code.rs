//! The code in a message.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A fenced block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeBlock {
    /// The first word behind the fence; empty if there is none.
    pub language: String,
    /// The code, with the line break at its end.
    pub text: String,
}

/// The fenced blocks of a message, in order.
pub fn code_blocks(text: &str) -> Vec<CodeBlock> {
    // Most messages have none.
    if !text.contains("```") && !text.contains("~~~") {
        return Vec::new();
    }
    let mut blocks = Vec::new();
    let mut open: Option<CodeBlock> = None;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let language = info.split_whitespace().next().unwrap_or_default();
                open = Some(CodeBlock {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            Event::Text(text) => {
                if let Some(block) = &mut open {
                    block.text.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fenced_blocks() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let found = code_blocks(text);
            let found: Vec<_> = found
                .iter()
                .map(|one| (one.language.as_str(), one.text.as_str()))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("", &[]);
        check("a `b` c\n\n    indented\n", &[]);
        check(
            "Use:\n\n```rs a.rs:1-2\nlet x;\n```\n",
            &[("rs", "let x;\n")],
        );
        check(
            "~~~\na\n~~~\n- ```py\n  b\n  ```\n",
            &[("", "a\n"), ("py", "b\n")],
        );
        check("````md\n```\nx\n```\n````", &[("md", "```\nx\n```\n")]);
        check("```rs\nunfinished", &[("rs", "unfinished")]);
    }
}
