//! A conversation as a Markdown file: front matter, a title, one section per message.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use serde_json::Value;
use uuid::Uuid;

use super::filename::is_invisible;
use super::sink::id_of;
use crate::json::plural::live_ids;
use crate::json::time;
use crate::markdown::{Clock, Part, heading, visible};
use crate::pieces::{EXTRACT_SIGNED, is_extract};
use crate::service::Kind;

/// The name shown to the user.
pub(super) fn name(conversation: &Value) -> &str {
    let name = conversation.get("name").and_then(Value::as_str);
    visible(name.unwrap_or_default())
}

/// The part before the messages. `assets`: names by id.
pub(super) fn head(conversation: &Value, assets: &HashMap<Uuid, String>) -> String {
    let mut out = String::from("---\n");
    let text = |key: &str| conversation.get(key).and_then(Value::as_str);
    let mut field = |key: &str, value: &str| line(&mut out, &[key, ": ", &yaml(value)]);
    field("id", text("id").unwrap_or_default());
    field("name", name(conversation));
    field("created", text_of_time(conversation, "created"));
    field("updated", text_of_time(conversation, "updated"));
    let label = conversation.pointer("/application/label");
    if let Some(label) = label.and_then(Value::as_str) {
        field("from", label);
    }
    let ids = conversation.get(Kind::Asset.plural()).map(live_ids);
    let ids = ids.unwrap_or_default();
    list(&mut out, "assets", ids.iter(), |id| {
        let named = assets.get(id).map(|name| format!(" # {}", one_line(name)));
        format!("\"{id}\"{}", named.unwrap_or_default())
    });
    list(&mut out, "files", paths(conversation).into_iter(), yaml);
    line(&mut out, &["---\n"]);
    out.push_str(&heading(name(conversation)));
    out
}

/// One message as a section. A file may be read at any time, so times have their dates.
pub(super) fn section(message: &Value) -> String {
    let role = message.get("role").and_then(Value::as_str);
    let created = time::grouped(message.get("created"));
    Part {
        role: match role {
            Some("USER") => "You".to_owned(),
            Some("ASSISTANT") if is_extract(message) => EXTRACT_SIGNED.to_owned(),
            Some("ASSISTANT") => "Assistant".to_owned(),
            Some("SYSTEM") => "System".to_owned(),
            other => other.unwrap_or("Unknown").to_owned(),
        },
        time: created.map_or_else(String::new, |at| Clock::now(None).full(at)),
        text: message
            .pointer("/fragment/string/raw")
            .and_then(Value::as_str),
        asks: role == Some("USER"),
        ..Part::default()
    }
    .render(&[])
}

fn text_of_time<'a>(object: &'a Value, key: &str) -> &'a str {
    let value = object.get(key).and_then(|time| time.get("value"));
    value.and_then(Value::as_str).unwrap_or_default()
}

/// The files and directories that a conversation is associated with.
fn paths(conversation: &Value) -> Vec<&str> {
    fn items(wrapper: Option<&Value>) -> impl Iterator<Item = &Value> {
        let items = wrapper.and_then(|wrapper| wrapper.get("iterable"));
        let items = items.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.get("reference"))
    }
    let mut paths = Vec::new();
    let mut seen = HashSet::new();
    for anchor in items(conversation.get(Kind::Anchor.plural())) {
        for point in items(anchor.get("points")) {
            let path = point.get("fullpath").and_then(Value::as_str);
            paths.extend(path.filter(|path| seen.insert(*path)));
        }
    }
    paths
}

fn line(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
    out.push('\n');
}

fn list<T>(
    out: &mut String,
    key: &str,
    items: impl ExactSizeIterator<Item = T>,
    write: impl Fn(T) -> String,
) {
    if items.len() == 0 {
        return line(out, &[key, ": []"]);
    }
    line(out, &[key, ":"]);
    items.for_each(|item| line(out, &["  - ", &write(item)]));
}

/// A double-quoted YAML scalar on one line.
fn yaml(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || is_invisible(c) || matches!(c, '\u{2028}' | '\u{2029}') => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text on one line, without invisible characters.
fn one_line(text: &str) -> String {
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let spaced: String = visible
        .map(|c| match c {
            '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The id and name of an asset.
pub(super) fn asset_name(asset: &Value) -> Option<(Uuid, String)> {
    let name = asset.get("name").and_then(Value::as_str)?;
    Some((id_of(asset)?, name.to_owned()))
}
