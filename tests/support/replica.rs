//! A client's copy of the list, kept by what the server tells of changes.

use super::client::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The notification that tells of changes.
pub const CHANGED: &str = "pieces/didChangeConversations";

/// What a client has that follows the notifications.
#[derive(Default)]
pub struct Replica {
    pub items: BTreeMap<String, Value>,
    pub revision: u64,
}

impl Replica {
    /// Takes in the parameters of one notification.
    pub fn apply(&mut self, change: &Value, client: &mut Client) {
        let revision = change["revision"].as_u64().unwrap();
        assert!(
            revision > self.revision,
            "{revision} after {}",
            self.revision
        );
        self.revision = revision;
        if change["reset"] == true {
            self.items = list(client).1;
        }
        for id in change["removed"].as_array().unwrap() {
            self.items.remove(id.as_str().unwrap());
        }
        for item in change["upserted"].as_array().unwrap() {
            let id = item["id"].as_str().unwrap().to_owned();
            self.items.insert(id, item.clone());
        }
    }
}

/// The revision of the list, and its items by id.
pub fn list(client: &mut Client) -> (Value, BTreeMap<String, Value>) {
    let command = "pieces.conversations.list";
    let list = client
        .command(command, json!({"limit": 1_000_000}))
        .unwrap();
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    let items = items.map(|item| (id(item), item.clone())).collect();
    (list["revision"].clone(), items)
}
