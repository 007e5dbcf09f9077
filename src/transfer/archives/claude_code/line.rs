//! One line of a log, and the message in it.

use serde_json::Value;

use super::super::objects;
use super::super::out::Out;
use crate::json;
use crate::json::lenient::{Flag, Parsed, lenient_object};

lenient_object! {
    /// A line, whatever its type.
    struct Logged {
        "type" => kind: Parsed<String>,
        "uuid" => id: Parsed<String>,
        "sessionId" => session: Parsed<String>,
        "timestamp" => timestamp: Parsed<String>,
        "cwd" => directory: Parsed<String>,
        "isSidechain" => side_chain: Flag,
        "isMeta" => meta: Flag,
        "isCompactSummary" => compacted: Flag,
        "isApiErrorMessage" => failed: Flag,
        "message" => message: Message,
        "leafUuid" => leaf: Parsed<String>,
        "summary" => summary: Parsed<String>,
        "customTitle" => custom_title: Parsed<String>,
        "aiTitle" => ai_title: Parsed<String>,
        "title" => title: Parsed<String>,
    }
}

lenient_object! {
    struct Message {
        "content" => content: Value,
        "model" => model: Parsed<String>,
    }
}

/// The role and text of a message.
pub(super) struct Said {
    pub(super) role: &'static str,
    pub(super) text: String,
}

/// How a line names its session; a later one of the same rank wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Summary,
    Made,
    Chosen,
}

impl Logged {
    pub(super) fn is_of_a_session(&self) -> bool {
        let kind = self.kind.0.as_deref();
        kind.is_some() && self.session.0.is_some()
            || kind == Some("summary") && self.leaf.0.is_some()
    }

    /// In microseconds since the Unix epoch.
    pub(super) fn time(&self) -> Option<i64> {
        json::time::parse(self.timestamp.0.as_deref()?)
    }

    pub(super) fn name(&self) -> Option<(Rank, &str)> {
        let kind = self.kind.0.as_deref()?;
        if kind != "summary" && !kind.ends_with("title") {
            return None;
        }
        let titles = [
            (Rank::Chosen, &self.custom_title),
            (Rank::Made, &self.ai_title),
            (Rank::Made, &self.title),
            (Rank::Summary, &self.summary),
        ];
        let mut named = titles
            .into_iter()
            .filter_map(|(rank, title)| Some((rank, title.0.as_deref()?)));
        named.next().filter(|(_, name)| !name.trim().is_empty())
    }

    /// The message of the user or the assistant; other content is counted.
    pub(super) fn said(&self, count: Option<&mut Out>) -> Option<Said> {
        let mut left_out = Counter(count);
        let role = match self.kind.0.as_deref() {
            Some("user") => "USER",
            Some("assistant") => "ASSISTANT",
            _ => {
                left_out.add("meta line");
                return None;
            }
        };
        let skipped = [
            (self.side_chain.0, "side chain line"),
            (self.meta.0, "meta line"),
            (self.compacted.0, "compaction"),
            (self.failed.0, "error notice"),
            (
                self.message.model.0.as_deref() == Some("<synthetic>"),
                "error notice",
            ),
        ];
        if let Some((_, what)) = skipped.into_iter().find(|(is, _)| *is) {
            left_out.add(what);
            return None;
        }
        let mut texts = Vec::new();
        match &self.message.content {
            Value::String(text) => texts.extend(spoken(role, text, &mut left_out)),
            Value::Array(blocks) => {
                for block in blocks {
                    match block.get("type").and_then(Value::as_str) {
                        Some("text") => {
                            let text = block
                                .get("text")
                                .and_then(Value::as_str)
                                .unwrap_or_default();
                            texts.extend(spoken(role, text, &mut left_out));
                        }
                        Some("image") => texts.push("[Image]".to_owned()),
                        Some("document") => {
                            let name = block.get("title").and_then(Value::as_str);
                            texts.push(
                                name.map_or("[File]".to_owned(), |name| format!("[File: {name}]")),
                            );
                        }
                        Some("thinking" | "redacted_thinking") => left_out.add("thought"),
                        Some("tool_use" | "server_tool_use") => left_out.add("tool call"),
                        Some(kind) if kind.ends_with("tool_result") => left_out.add("tool result"),
                        _ => left_out.add("part of an unknown kind"),
                    }
                }
            }
            _ => {}
        }
        let text = objects::joined(texts, "\n\n");
        (!text.trim().is_empty()).then_some(Said { role, text })
    }
}

/// Counts what is left out, on the first of two passes only.
struct Counter<'a>(Option<&'a mut Out>);

impl Counter<'_> {
    fn add(&mut self, what: &'static str) {
        if let Some(out) = &mut self.0 {
            out.left_out(what, 1);
        }
    }
}

/// A text without the blocks that Claude Code injected.
fn spoken(role: &str, text: &str, left_out: &mut Counter<'_>) -> Option<String> {
    if role != "USER" {
        return (!text.trim().is_empty()).then(|| text.to_owned());
    }
    if text.starts_with("[Request interrupted by user") {
        left_out.add("injected block");
        return None;
    }
    let (text, blocks) = without_injected(text);
    (0..blocks).for_each(|_| left_out.add("injected block"));
    (!text.trim().is_empty()).then_some(text)
}

/// Tags of injected blocks.
const INJECTED: [&str; 6] = [
    "system-reminder",
    "task-notification",
    "user-memory-input",
    "user-prompt-submit-hook",
    "new-diagnostics",
    "persisted-output",
];
/// After this many unclosed blocks the rest of the text is kept as it is.
const MAX_ENDLESS: usize = 16;
const INJECTED_BY_START: [&str; 4] = ["command-", "local-command-", "bash-", "ide_"];

/// Cuts `<tag>…</tag>` at the start of a line for the tags above, and counts them.
fn without_injected(text: &str) -> (String, usize) {
    let mut kept = String::with_capacity(text.len());
    let mut blocks = 0;
    // Searching for the same missing end repeatedly would be quadratic.
    let mut endless: Vec<&str> = Vec::new();
    let mut rest = text;
    let mut at_line_start = true;
    while !rest.is_empty() {
        let open = at_line_start && endless.len() < MAX_ENDLESS;
        let tag = injected_tag(rest).filter(|tag| open && !endless.contains(tag));
        if let Some(tag) = tag {
            let close = format!("</{tag}>");
            if let Some(end) = rest.find(&close) {
                rest = &rest[end + close.len()..];
                blocks += 1;
                // Another may follow at once.
                continue;
            }
            endless.push(tag);
        }
        let indent = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if at_line_start && indent > 0 && injected_tag(&rest[indent..]).is_some() {
            kept.push_str(&rest[..indent]);
            rest = &rest[indent..];
            continue;
        }
        let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        kept.push_str(&rest[..end]);
        at_line_start = true;
        rest = &rest[end..];
    }
    match blocks {
        0 => (text.to_owned(), 0),
        _ => (kept.trim().to_owned(), blocks),
    }
}

/// The tag of an injected block that begins here.
fn injected_tag(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('<')?;
    // Longer than any tag.
    let end = rest.bytes().take(64).position(|byte| byte == b'>')?;
    let tag = &rest[..end];
    let known =
        INJECTED.contains(&tag) || INJECTED_BY_START.iter().any(|start| tag.starts_with(start));
    known.then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injected_blocks_are_cut_and_words_are_kept() {
        for (text, expected, blocks) in [
            ("How?", "How?", 0),
            ("<system-reminder>\nx\n</system-reminder>", "", 1),
            ("How?\n<system-reminder>x</system-reminder>\n", "How?", 1),
            (
                "<command-name>/x</command-name>\n  <command-args>a</command-args>",
                "",
                2,
            ),
            ("  <ide_opened_file>x</ide_opened_file>Why?", "Why?", 1),
            (
                "Why <system-reminder>x</system-reminder>?",
                "Why <system-reminder>x</system-reminder>?",
                0,
            ),
            (
                "<system-reminder> is a tag",
                "<system-reminder> is a tag",
                0,
            ),
            ("<div>x</div>\n", "<div>x</div>\n", 0),
            ("<é", "<é", 0),
        ] {
            assert_eq!(
                without_injected(text),
                (expected.to_owned(), blocks),
                "{text}"
            );
        }
    }

    #[test]
    fn cutting_is_linear() {
        for part in [
            "<system-reminder>\n",
            "<bash-input>\n",
            "<command-a>\n<command-b>",
            " \t<",
            "\n",
        ] {
            without_injected(&part.repeat(100_000));
        }
        // Every tag is another one.
        let many: String = (0..20_000).map(|n| format!("<bash-{n}>\n")).collect();
        without_injected(&many);
    }
}
