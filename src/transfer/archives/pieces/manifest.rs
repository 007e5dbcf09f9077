//! `manifest.json`: the description of an archive.

use serde_json::Value;

use super::super::elements::has_too_many_parts;
use super::super::tree::Tree;
use super::record::Type;
use crate::json;

/// Largest manifest that the exporter itself reads, in bytes.
const MAX_MANIFEST: usize = 16 << 20;
/// The newest format that is known.
const KNOWN_FORMAT: u64 = 6;

pub(super) struct Manifest(Value);

impl Manifest {
    /// The manifest of an archive: other tools have a file of that name, too, but not these three fields.
    pub(super) fn read(tree: &mut Tree) -> Option<Self> {
        let text = tree.read("manifest.json", MAX_MANIFEST).ok()?;
        if has_too_many_parts(&text) {
            return None;
        }
        let manifest: Value = json::from_slice(&text).ok()?;
        let is_one = manifest.get("format_version")?.is_u64()
            && manifest.get("tool_version")?.is_string()
            && manifest.get("coverage")?.is_array();
        is_one.then_some(Self(manifest))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// The folder with the records.
    pub(super) fn base(&self, tree: &mut Tree) -> String {
        base(
            tree,
            if self.text("mode") == Some("preserve") {
                "raw"
            } else {
                "data"
            },
        )
    }

    pub(super) fn is_unfinished(&self) -> bool {
        matches!(self.text("status"), Some("running" | "failed"))
    }

    /// The day on which it was finished, or begun.
    pub(super) fn date(&self) -> Option<String> {
        let times = ["Finished", "Started"]
            .into_iter()
            .filter_map(|key| self.text(key));
        let mut known =
            times.filter(|time| !time.starts_with("0001") && json::time::parse(time).is_some());
        known.next()?.get(..10).map(str::to_owned)
    }

    /// Who made it, and from what.
    pub(super) fn origin(&self) -> Option<String> {
        let mut origin = format!(
            "Made by Pieces Export {}",
            plain(self.text("tool_version")?)
        );
        if let Some(mode) = self.text("mode") {
            origin += &format!(", {}", plain(mode));
        }
        if let Some(scope) = self.scope() {
            origin += &format!(", scope {}", plain(scope));
        }
        if let Some(version) = self.text("os_version") {
            origin += &format!(", from Pieces OS {}", plain(version));
        }
        Some(origin + ".")
    }

    pub(super) fn unknown_format(&self) -> Option<String> {
        let format = self.0.get("format_version")?.as_u64()?;
        (format > KNOWN_FORMAT).then(|| {
            format!("Its format, {format}, is newer than this program; everything that could be read was imported.")
        })
    }

    fn scope(&self) -> Option<&str> {
        self.0.get("scope")?.get("name")?.as_str()
    }

    /// How many conversations the exporter counted.
    pub(super) fn conversations(&self) -> u64 {
        let coverage = self.0.get("coverage").and_then(Value::as_array);
        let mut coverage = coverage.into_iter().flatten();
        let line = coverage.find(|line| line["material"] == Type::Conversation.material());
        line.and_then(|line| line["included"].as_u64())
            .unwrap_or_default()
    }

    /// Why it has no conversations, if it was not to have any.
    pub(super) fn why_left_out(&self) -> Option<String> {
        if !self.leaves_out_conversations() {
            return None;
        }
        let (scope, default) = match self.scope().unwrap_or("summaries") {
            "summaries" => ("summaries".to_owned(), ", the default"),
            scope => (plain(scope), ""),
        };
        Some(format!(
            "it was made with the scope \"{scope}\"{default}, which leaves them out; \
             `pieces-export --scope all` includes them"
        ))
    }

    fn leaves_out_conversations(&self) -> bool {
        let lists = |key: &str| {
            let listed = self
                .0
                .get("scope")
                .and_then(|scope| scope.get(key))
                .and_then(Value::as_array);
            listed.is_some_and(|listed| listed.iter().any(|one| one == "CONVERSATIONS"))
        };
        lists("omitted_materials")
            || (self.scope() != Some("all") && !lists("inventoried_materials"))
    }
}

/// The preferred folder of records, or the other one if only that is there.
pub(super) fn base(tree: &mut Tree, preferred: &str) -> String {
    let other = if preferred == "data" { "raw" } else { "data" };
    match !tree.has_folder(preferred) && tree.has_folder(other) {
        true => other.to_owned(),
        false => preferred.to_owned(),
    }
}

/// A text of the archive for a terminal: without control characters.
fn plain(text: &str) -> String {
    let visible = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    visible.take(60).collect()
}
