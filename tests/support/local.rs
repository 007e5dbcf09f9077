//! The local service as a plain HTTP client sees it.

use super::DEADLINE;
use pieces_lsp::service::{Asking, Attached, Options, attach};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// All kinds that have a list of their own.
pub const KINDS: [&str; 6] = [
    "websites",
    "assets",
    "anchors",
    "conversations",
    "messages",
    "annotations",
];

/// A service and how to speak to it.
#[derive(Clone)]
pub struct Local {
    pub url: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// The options of a service in this directory.
pub fn options(dir: &Path, token: bool) -> Options {
    Options {
        data_dir: dir.to_owned(),
        port: 0,
        token,
        asking: Asking::default(),
    }
}

/// Attaches to the service of this directory, serving it if nobody does.
pub async fn serve(dir: &Path, token: bool) -> (Attached, Local) {
    let attached = attach(&options(dir, token)).await.unwrap();
    let local = Local::new(&attached.url, attached.token.clone());
    (attached, local)
}

impl Local {
    pub fn new(url: &str, token: Option<String>) -> Self {
        Self {
            url: url.to_owned(),
            token,
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(DEADLINE)
                .build()
                .unwrap(),
        }
    }

    /// What requests have to carry.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The service of this directory, whoever serves it, as `service.json` tells of it.
    pub fn of(dir: &Path) -> Option<Self> {
        let info = std::fs::read(dir.join("service.json")).ok()?;
        let info: Value = serde_json::from_slice(&info).ok()?;
        let token = info["token"].as_str().map(str::to_owned);
        Some(Self::new(info["url"].as_str()?, token))
    }

    /// The answer's status and text; `None` when there was none.
    pub async fn try_send(&self, request: Method, path: &str) -> Option<(u16, String)> {
        let url = format!("{}{path}", self.url);
        let mut request = match request {
            Method::Get => self.http.get(url),
            Method::Post(body) => self
                .http
                .post(url)
                .header("content-type", "application/json")
                .body(body),
            Method::Other(name) => self.http.request(name.parse().unwrap(), url),
        };
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    pub async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    pub async fn text(&self, path: &str) -> String {
        let (status, text) = self.try_send(Method::Get, path).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {text}");
        text
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let body = Method::Post(body.to_string());
        let (status, text) = self.try_send(body, path).await.unwrap();
        assert!(status < 300, "POST {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Every object of every kind by id, without what depends on when it is read.
    pub async fn everything(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for kind in KINDS {
            let mut list = self.get(&format!("/{kind}?transferables=true")).await;
            for mut object in std::mem::take(list["iterable"].as_array_mut().unwrap()) {
                forget_phrases(&mut object);
                all.insert(format!("{kind} {}", object["id"].as_str().unwrap()), object);
            }
        }
        all
    }

    /// Takes objects over as they are (`{"conversation": {…}}`).
    pub async fn plant(&self, objects: Vec<Value>) -> Vec<Value> {
        let answer = self
            .post("/pieces-lsp/import", json!({"objects": objects}))
            .await;
        answer["outcomes"].as_array().unwrap().clone()
    }
}

pub enum Method {
    Get,
    Post(String),
    Other(String),
}

/// Removes `readable` beside every `value`.
pub fn forget_phrases(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.contains_key("value") {
                map.remove("readable");
            }
            map.values_mut().for_each(forget_phrases);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_phrases),
        _ => {}
    }
}

/// Fails with the first object that differs.
pub fn assert_same(found: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>) {
    for (key, object) in expected {
        let found = found.get(key).unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!(found, object, "{key}");
    }
    let extra: Vec<_> = found
        .keys()
        .filter(|key| !expected.contains_key(*key))
        .collect();
    assert!(extra.is_empty(), "nobody expected {extra:?}");
}

/// `{"value": …}`.
pub fn at(time: &str) -> Value {
    json!({"value": time})
}

/// A wrapper of these ids, in this order.
pub fn wrapper<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    let ids: Vec<_> = ids.into_iter().collect();
    let indices: Map<_, _> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| ((*id).to_owned(), json!(at)))
        .collect();
    let items: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
    json!({"iterable": items, "indices": indices})
}

/// The process that serves the store in `dir`, as `service.json` says.
pub fn holder(dir: &Path) -> Option<u32> {
    let info = std::fs::read(dir.join("service.json")).ok()?;
    let info: Value = serde_json::from_slice(&info).ok()?;
    u32::try_from(info["pid"].as_u64()?).ok()
}

/// SQLite's own opinion of a store that nobody serves.
pub fn check_integrity(dir: &Path) {
    let db = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    let verdict: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let dangling: i64 = db
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(dangling, 0);
    db.execute("INSERT INTO search (search) VALUES ('integrity-check')", [])
        .unwrap();
}
