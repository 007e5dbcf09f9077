//! The editor's own form of the URIs of its documents.
//!
//! URIs are normalised when they are read, but editors compare them as text, so each is sent back exactly as it was
//! received. A plain path counts as a file; any other text that is not a URI gets a stand-in.

use crate::lsp::limits::MAX_SPELLINGS;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use url::Url;

/// The scheme of stand-ins for texts that are not URIs.
const STAND_IN: &str = "pieces-unreadable";

/// The editor's form of each URI whose normal form differs, by the normal form.
#[derive(Debug, Default)]
pub(super) struct Spelling(RwLock<HashMap<String, String>>);

impl Spelling {
    /// Reads the URIs in the parameters of a request or notification.
    pub fn read(&self, method: &str, params: &mut Value) {
        if let Some(Value::String(uri)) = params.pointer_mut("/textDocument/uri") {
            self.read_uri(uri, method == "textDocument/didOpen");
        }
        if let Some(Value::String(uri)) = params.pointer_mut("/arguments/0/uri")
            && Url::parse(uri).is_err()
            && let read = stand_in(uri)
            && self.knows(&read)
        {
            *uri = read;
        }
    }

    fn knows(&self, normal: &str) -> bool {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.contains_key(normal)
    }

    fn read_uri(&self, uri: &mut String, opened: bool) {
        match Url::parse(uri) {
            Ok(read) if !opened => drop(read),
            Ok(read) if read.as_str() == uri => self.forget(uri),
            Ok(read) => self.note(read.into(), uri),
            Err(_) => {
                let read = stand_in(uri);
                self.note(read.clone(), uri);
                *uri = read;
            }
        }
    }

    fn note(&self, normal: String, spelled: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_SPELLINGS || all.contains_key(&normal) {
            all.insert(normal, spelled.to_owned());
        }
    }

    fn forget(&self, normal: &str) {
        if !self.is_empty() {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            all.remove(normal);
        }
    }

    /// Whether the editor uses normal forms only, which is usual.
    pub fn is_empty(&self) -> bool {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.is_empty()
    }

    /// Replaces the URIs in a message by the editor's forms.
    pub fn write(&self, message: &mut Value) {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if !all.is_empty() {
            write(&all, message);
        }
    }
}

/// A stand-in for a text that is not a URI.
fn stand_in(text: &str) -> String {
    let name = || format!("{STAND_IN}:{}", utf8_percent_encode(text, NON_ALPHANUMERIC));
    Url::from_file_path(text).map_or_else(|()| name(), String::from)
}

fn write(all: &HashMap<String, String>, value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(spelled) = all.get(text.as_str()) {
                text.clone_from(spelled);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| write(all, item)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|field| write(all, field));
            let named = fields.keys().filter(|name| all.contains_key(*name));
            for name in named.cloned().collect::<Vec<String>>() {
                if let (Some(field), Some(spelled)) = (fields.remove(&name), all.get(&name)) {
                    fields.insert(spelled.clone(), field);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn uris_are_sent_as_they_were_received() {
        for spelled in [
            "file:///C:/a b.rs",
            "FILE:///x/../é.rs",
            "file://localhost/a",
            "a.rs",
            "/home/u/a.rs",
            "",
            "untitled:Untitled-1",
            "file:///c%3A/a%20b.rs",
        ] {
            let spelling = Spelling::default();
            let mut opened = json!({"textDocument": {"uri": spelled}});
            spelling.read("textDocument/didOpen", &mut opened);
            let mut asked = opened.clone();
            asked["textDocument"]["uri"] = json!(spelled);
            spelling.read("textDocument/hover", &mut asked);
            let normal: Url =
                serde_json::from_value(opened["textDocument"]["uri"].clone()).unwrap();
            let again: Url = serde_json::from_value(asked["textDocument"]["uri"].clone()).unwrap();
            assert_eq!(normal, again, "{spelled}");
            let mut answer = json!({"uri": normal, "edit": {"changes": {normal.as_str(): [normal]}}, "text": "x"});
            spelling.write(&mut answer);
            assert_eq!(
                answer,
                json!({"uri": spelled, "edit": {"changes": {spelled: [spelled]}}, "text": "x"})
            );
        }
    }

    #[test]
    fn arguments_may_name_open_documents() {
        let spelling = Spelling::default();
        let mut opened = json!({"textDocument": {"uri": "a.rs"}});
        spelling.read("textDocument/didOpen", &mut opened);
        for (uri, expected) in [
            ("a.rs", opened["textDocument"]["uri"].clone()),
            ("no uri", json!("no uri")),
            ("file:///a b", json!("file:///a b")),
        ] {
            let mut params = json!({"arguments": [{"uri": uri}]});
            spelling.read("workspace/executeCommand", &mut params);
            assert_eq!(params["arguments"][0]["uri"], expected);
        }
    }

    #[test]
    fn the_form_of_the_last_open_counts() {
        let spelling = Spelling::default();
        for (uri, empty) in [("file:///a b", false), ("file:///a%20b", true)] {
            let mut opened = json!({"textDocument": {"uri": uri}});
            spelling.read("textDocument/didOpen", &mut opened);
            assert_eq!(spelling.is_empty(), empty);
        }
    }
}
