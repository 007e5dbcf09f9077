//! Builds archives as the vendor's exporter writes them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub const CONVERSATION: &str = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";
pub const FIRST: &str = "3c1d8a52-6f0e-4b7a-9a41-5d2f8e7c0b01";
pub const SECOND: &str = "3c1d8a52-6f0e-4b7a-9a41-5d2f8e7c0b02";
pub const GONE: &str = "3c1d8a52-6f0e-4b7a-9a41-5d2f8e7c0b99";
pub const ASSET: &str = "7e55a1c0-2b3d-4e5f-8a9b-0c1d2e3f4a5b";
pub const FORMAT: &str = "5f0a6b1c-3d4e-4f50-9a6b-7c8d9e0f1a2b";
pub const ANCHOR: &str = "9d31b2c4-5e6f-4a7b-8c9d-0e1f2a3b4c5d";
pub const POINT: &str = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5e";
pub const WEBSITE: &str = "b2c3d4e5-f6a7-4b8c-9d0e-1f2a3b4c5d6e";
pub const ANNOTATION: &str = "c3d4e5f6-a7b8-4c9d-8e0f-2a3b4c5d6e7f";
pub const PATH: &str = "/Users/me/p/src/retry.rs";

/// An archive on the disk.
pub struct Archive {
    pub dir: TempDir,
    base: &'static str,
}

pub fn time(second: u32) -> Value {
    json!({"value": format!("2026-07-20T09:14:{second:02}.118243Z"), "readable": "2 months ago"})
}

pub fn of(ids: &[&str]) -> Value {
    crate::support::local::wrapper(ids.iter().copied())
}

fn material(folder: &str) -> &'static str {
    match folder {
        "websites" => "WEBSITES",
        "formats" => "FORMATS",
        "assets" => "ASSETS",
        "anchor_points" => "ANCHOR_POINTS",
        "anchors" => "ANCHORS",
        "conversations" => "CONVERSATIONS",
        "messages" => "CONVERSATION_MESSAGES",
        "annotations" => "ANNOTATIONS",
        other => panic!("{other}"),
    }
}

pub fn reference(folder: &str, id: &str) -> String {
    let hash = Sha256::digest(format!("{}\0{id}", material(folder)));
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Archive {
    /// An empty one, `filtered` or `preserve`.
    pub fn new(mode: &str) -> Self {
        let archive = Self {
            dir: tempfile::tempdir().unwrap(),
            base: if mode == "preserve" { "raw" } else { "data" },
        };
        fs::create_dir(archive.path().join(archive.base)).unwrap();
        archive.manifest(json!({"mode": mode}));
        archive
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the manifest, with these fields instead of the usual ones.
    pub fn manifest(&self, other: Value) {
        let mut manifest = json!({
            "format_version": 5, "tool_version": "0.18.0-rc5", "mode": "filtered",
            "status": "complete_for_implemented_scope", "coverage": [], "issues": [],
            "Started": "2026-10-08T10:00:00Z", "Finished": "2026-10-09T11:00:00Z", "os_version": "12.6.2",
            "scope": {"name": "all", "inventoried_materials": ["CONVERSATIONS"], "omitted_materials": []},
        });
        for (key, value) in other.as_object().unwrap() {
            manifest[key] = value.clone();
        }
        fs::write(self.path().join("manifest.json"), manifest.to_string()).unwrap();
    }

    pub fn folder(&self, folder: &str) -> PathBuf {
        let folder = self.path().join(self.base).join(folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub fn file(&self, folder: &str, id: &str) -> PathBuf {
        self.folder(folder)
            .join(format!("{}.json", reference(folder, id)))
    }

    pub fn put(&self, folder: &str, record: &Value) {
        let id = record["id"].as_str().unwrap();
        fs::write(
            self.file(folder, id),
            serde_json::to_string_pretty(record).unwrap() + "\n",
        )
        .unwrap();
    }

    pub fn remove(&self, folder: &str, id: &str) {
        fs::remove_file(self.file(folder, id)).unwrap();
    }

    /// One of everything, as it is after filtering.
    pub fn filled() -> Self {
        let archive = Self::new("filtered");
        archive.put("conversations", &conversation());
        archive.put(
            "messages",
            &message(FIRST, "USER", 2, "Why does this retry twice?"),
        );
        archive.put(
            "messages",
            &message(SECOND, "ASSISTANT", 9, "Because of `loop`.\n"),
        );
        archive.put("assets", &json!({
            "id": ASSET, "name": "retry.rs", "creator": CONVERSATION, "mechanism": "MANUAL",
            "formats": of(&[FORMAT]), "original": {"id": FORMAT}, "preview": {}, "created": time(0), "updated": time(1),
        }));
        archive.put("formats", &json!({
            "id": FORMAT, "asset": {"id": ASSET}, "role": "BOTH", "bytes": {"export_status": "withheld_binary"},
            "classification": {"generic": "CODE", "specific": "rs"},
            "fragment": {"string": {"raw": "fn retry() {}\n"}, "metadata": {"ext": "rs"}},
            "created": time(0), "updated": time(1),
        }));
        archive.put("anchors", &json!({
            "id": ANCHOR, "type": "FILE", "name": "retry.rs", "points": of(&[POINT]),
            "conversations": {"indices": {(CONVERSATION): 0}, "iterable": []}, "created": time(0), "updated": time(1),
        }));
        archive.put("anchor_points", &json!({
            "id": POINT, "anchor": {"id": ANCHOR}, "fullpath": PATH, "platform": "MACOS", "verified": true,
            "created": time(0), "updated": time(1),
        }));
        archive.put("websites", &json!({
            "id": WEBSITE, "name": "Backoff", "url": "https://example.com/backoff?token=REDACTED",
            "conversations": {"indices": {(CONVERSATION): 0}, "iterable": []}, "created": time(0), "updated": time(1),
        }));
        archive.put("annotations", &json!({
            "id": ANNOTATION, "type": "SUMMARY", "text": "How the retry helper works", "mechanism": "AUTOMATIC",
            "conversation": {"id": CONVERSATION}, "created": time(0), "updated": time(1),
        }));
        archive
    }
}

pub fn conversation() -> Value {
    json!({
        "id": CONVERSATION, "name": "Retry with jitter", "type": "COPILOT",
        "created": time(2), "updated": time(41),
        "anchors": of(&[ANCHOR]), "annotations": of(&[ANNOTATION]), "assets": of(&[ASSET]),
        "application": {"id": "55f4576b-8be6-4508-bf89-e85f263a083b", "name": "VS_CODE", "platform": "MACOS",
            "privacy": "OPEN", "onboarded": true, "version": "2.0.0"},
        "messages": {"indices": {(FIRST): 0, (SECOND): 1, (GONE): -1}, "iterable": [{"id": FIRST}, {"id": SECOND}]},
        "model": {"id": "48d2a32b-aa93-455c-a6b6-e52dfce4118e"},
    })
}

pub fn message(id: &str, role: &str, second: u32, text: &str) -> Value {
    json!({
        "id": id, "conversation": {"id": CONVERSATION}, "role": role, "created": time(second), "updated": time(second),
        "fragment": {"string": {"raw": text}},
    })
}
