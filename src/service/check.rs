//! Whatever is asked of the local service, it never fails, and what it keeps stays whole.

#![allow(clippy::panic, reason = "a check fails by it")]

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderValue, Method, Request, header},
};
use rusqlite::Connection;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower_service::Service as _;

use super::{
    http,
    store::{self, Kind, Store},
};
use crate::pieces::check::{list, wire};

/// Requests in a row; more of them find nothing else.
const MOST: usize = 32;
const PORT: u16 = 39300;

/// A service without a socket.
struct Served {
    store: Arc<Store>,
    router: Router,
    /// Streams end when this is dropped.
    _stop: watch::Sender<bool>,
}

struct Answer {
    status: u16,
    json: bool,
    text: String,
}

impl Served {
    fn open(dir: &Path) -> Self {
        let opened = match Store::open(dir, super::hold::Watch::new(dir), ()) {
            Ok(opened) => opened,
            Err(error) => panic!("no store: {error}"),
        };
        assert_eq!(opened.notice, None);
        let (stop, stopped) = watch::channel(false);
        let (router, _) = http::router(opened.store.clone(), PORT, None, stopped);
        Self {
            store: opened.store,
            router,
            _stop: stop,
        }
    }

    fn reader(&self) -> Connection {
        self.store
            .own_reader()
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    async fn send(&self, method: Method, path: &str, body: &str) -> Option<Answer> {
        let application = store::identifiers(&self.reader(), Kind::Application);
        let application = application.ok()?.pop().unwrap_or_default().0;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HeaderValue::from_static("127.0.0.1:39300"))
            .header("application", application)
            .body(Body::from(body.to_owned()));
        let answer = self.router.clone().call(request.ok()?).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        let json = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/json");
        let status = answer.status().as_u16();
        let text = to_bytes(answer.into_body(), usize::MAX).await;
        let text = text.unwrap_or_else(|error| panic!("{path} was cut off: {error}"));
        Some(Answer {
            status,
            json,
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    async fn get(&self, path: &str) -> String {
        match self.send(Method::GET, path, "").await {
            Some(answer) if answer.status == 200 => answer.text,
            answer => panic!("GET {path}: {:?}", answer.map(|answer| answer.status)),
        }
    }

    /// One line: `METHOD PATH BODY`, with `<KIND N>` for the id of the Nth object of a kind.
    async fn line(&self, line: &str) {
        let line = self.with_ids(line);
        let mut parts = line.splitn(3, ' ');
        let method = parts.next().unwrap_or_default();
        let (Ok(method), Some(path)) = (Method::from_bytes(method.as_bytes()), parts.next()) else {
            return;
        };
        // A path that is none is the client's problem.
        let Some(answer) = self
            .send(method, path, parts.next().unwrap_or_default())
            .await
        else {
            return;
        };
        let Answer { status, json, text } = answer;
        assert!(status < 500 && status != 408, "{status} {text} to {line}");
        let read = serde_json::from_str::<IgnoredAny>(&text);
        assert!(!json || text.is_empty() || read.is_ok(), "{text} to {line}");
    }

    fn with_ids(&self, line: &str) -> String {
        let db = self.reader();
        let mut line = line.to_owned();
        for kind in Kind::ALL {
            let start = format!("<{} ", kind.noun());
            if !line.contains(&start) {
                continue;
            }
            let ids = store::identifiers(&db, kind).unwrap_or_default();
            for n in 0..10_usize {
                let id = n.checked_rem(ids.len()).and_then(|at| ids.get(at));
                let id = id.map_or("00000000-0000-4000-8000-000000000000", |(id, _)| id);
                line = line.replace(&format!("{start}{n}>"), id);
            }
        }
        line
    }

    /// All there is, as a client sees it, without what depends on when it is read.
    async fn everything(&self) -> Vec<(Kind, Vec<Value>)> {
        let mut all = Vec::new();
        for kind in Kind::ROUTED {
            let body = self
                .get(&format!("/{}?transferables=true", kind.plural()))
                .await;
            let mut list: Value = serde_json::from_str(&body).unwrap_or_default();
            forget_phrases(&mut list);
            let Value::Array(objects) = list["iterable"].take() else {
                panic!("no list of {}: {body}", kind.plural());
            };
            all.push((kind, objects));
        }
        all
    }

    /// What one route says, all others do.
    async fn agrees_with_itself(&self) {
        for (kind, objects) in self.everything().await {
            let (one, many) = (kind.noun(), kind.plural());
            let ids: Vec<_> = objects.iter().map(|object| object["id"].clone()).collect();
            let listed = self.get(&format!("/{many}/identifiers")).await;
            let listed: Value = serde_json::from_str(&listed).unwrap_or_default();
            let listed = listed["iterable"].as_array().into_iter().flatten();
            let mut listed: Vec<_> = listed.map(|reference| reference["id"].clone()).collect();
            let mut sorted = ids.clone();
            listed.sort_unstable_by_key(Value::to_string);
            sorted.sort_unstable_by_key(Value::to_string);
            assert_eq!(listed, sorted, "{many}");
            for object in &objects {
                let path = format!(
                    "/{one}/{}?transferables=true",
                    object["id"].as_str().unwrap_or_default()
                );
                let mut alone: Value =
                    serde_json::from_str(&self.get(&path).await).unwrap_or_default();
                forget_phrases(&mut alone);
                assert_eq!(alone, *object, "{path}");
                self.is_tied_both_ways(kind, object).await;
            }
            // Our own client reads all of it.
            let body = self.get(&format!("/{many}?transferables=true")).await;
            match kind {
                Kind::Conversation => {
                    assert_eq!(list::counts(body.as_bytes()), Some((objects.len(), 0)))
                }
                Kind::Anchor => {
                    assert_eq!(wire::count_of_anchors(body.as_bytes()), Some(objects.len()))
                }
                _ => {}
            }
        }
    }

    /// Whatever an object says it is associated with says so, too.
    async fn is_tied_both_ways(&self, kind: Kind, object: &Value) {
        for other in Kind::ROUTED {
            let ids = object[other.plural()]["indices"].as_object();
            for id in ids.into_iter().flat_map(|ids| ids.keys()) {
                let path = format!("/{}/{id}", other.noun());
                let other: Value = serde_json::from_str(&self.get(&path).await).unwrap_or_default();
                let own = object["id"].as_str().unwrap_or_default();
                let many = other[kind.plural()]["indices"].get(own).is_some();
                let back = many || other[kind.noun()]["id"] == own;
                // Not every kind lists every other.
                let tells = other.get(kind.plural()).is_some() || other.get(kind.noun()).is_some();
                assert!(back || !tells, "{path} does not know {} {own}", kind.noun());
            }
        }
    }

    fn close(self) {
        self.store.close();
    }
}

/// Removes `readable` beside every `value`.
fn forget_phrases(value: &mut Value) {
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

/// What no row may be.
const BROKEN: [(&str, &str); 6] = [
    ("rows that SQLite finds fault with", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
    ("references to nothing", "SELECT count(*) FROM pragma_foreign_key_check"),
    ("documents that are no objects", "SELECT count(*) FROM entity WHERE NOT json_valid(doc) OR json_type(doc) <> 'object'"),
    ("associations in one direction", "SELECT count(*) FROM link WHERE NOT EXISTS
        (SELECT 1 FROM link AS back WHERE (back.a_kind, back.a, back.b_kind, back.b) = (link.b_kind, link.b, link.a_kind, link.a))"),
    ("associations of another kind", "SELECT count(*) FROM link JOIN entity ON seq = a WHERE kind <> a_kind"),
    ("parts without a whole", "SELECT count(*) FROM entity LEFT JOIN entity AS whole ON entity.owner = whole.seq
        WHERE CASE entity.kind WHEN 2 THEN 1 WHEN 4 THEN 3 WHEN 6 THEN 5 END IS NOT whole.kind AND entity.kind IN (2, 4, 6)"),
];

fn is_whole(db: &Connection) {
    for (what, count) in BROKEN {
        let found = db.query_row(count, [], |row| row.get::<_, i64>(0));
        assert_eq!(found.as_ref().ok(), Some(&0), "{what}: {found:?}");
    }
}

/// Sends each line of `script` as a request to a new service in `dir`. None may fail; afterwards all routes
/// agree, what is there is still there when it is opened again, and an export of it imports as what it was.
pub(crate) fn requests_leave_it_whole(script: &str, dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let [first, second] = ["first", "second"].map(|name| dir.join(name));
        for dir in [&first, &second] {
            std::fs::create_dir_all(dir).unwrap_or_else(|error| panic!("no directory: {error}"));
        }
        let served = Served::open(&first);
        for line in script.lines().take(MOST) {
            served.line(line).await;
        }
        is_whole(&served.reader());
        served.agrees_with_itself().await;
        let before = served.everything().await;
        let export = served.get("/pieces-lsp/export").await;
        served.close();

        let served = Served::open(&first);
        assert_eq!(served.everything().await, before, "opened again");
        served.close();

        let served = Served::open(&second);
        let lines: Vec<&str> = export.lines().collect();
        let end = format!("{{\"end\":{{\"objects\":{}}}}}", lines.len() - 2);
        assert_eq!(lines.last(), Some(&&*end));
        let objects = lines[1..lines.len() - 1].join(",");
        let import = format!("{{\"objects\":[{objects}]}}");
        let answer = served
            .send(Method::POST, "/pieces-lsp/import", &import)
            .await;
        let answer = answer.unwrap_or_else(|| panic!("no import"));
        let outcomes: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let new = json!(vec!["new"; lines.len() - 2]);
        assert_eq!(outcomes["outcomes"], new, "{} to {import}", answer.text);
        is_whole(&served.reader());
        assert_eq!(served.everything().await, before, "imported");
        served.close();
    });
}
