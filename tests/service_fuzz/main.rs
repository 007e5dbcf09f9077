//! Requests that nobody would send, on every route of the local service: it never fails, says JSON where it
//! says so, and what it kept stays whole ([`oracle`]).
//!
//! `FUZZ_REQUESTS=1000000 cargo test --release --test service_fuzz` sends more; `FUZZ_SEED=n` sends others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod oracle;
#[path = "../sync_simulation/rng.rs"]
mod rng;
#[path = "../support/mod.rs"]
mod support;

use rng::Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::local::{KINDS, Local, Method, serve};

/// By default; some five seconds.
const REQUESTS: u64 = 6_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The routes with their methods, from the description.
fn routes() -> Vec<(String, bool)> {
    let page: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let mut routes = vec![];
    for (path, methods) in page["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.push((path.clone(), method == "post"));
        }
    }
    routes
}

/// What a client would send here, with `<kind>` where an id of that kind belongs.
fn sensible(path: &str, rng: &mut Rng) -> Value {
    let own = &format!("<{}>", kind_of(path));
    let assets = json!({"iterable": [{"id": "<assets>"}]});
    let message = json!({"role": "USER", "fragment": {"string": {"raw": "Why? /// `x` <b>"}}, "conversation": {"id": "<conversations>"}});
    let anchor = json!({"type": "FILE", "fullpath": format!("/tmp/{}", rng.below(9)), "conversation": "<conversations>", "asset": {"id": "<assets>"}});
    let annotation = json!({"type": "SUMMARY", "text": "An odd one.", "conversation": {"id": "<conversations>"}});
    let wrapper = json!({"iterable": [{"id": own}, {"id": own}], "indices": {own: 0}});
    let conversation = json!({"type": "COPILOT", "name": "one", "messages": [message], "anchors": [anchor],
        "annotations": [annotation], "assets": assets});
    let asset = json!({"type": "SEEDED_ASSET", "asset": {"metadata": {"name": "a.rs", "anchors": [anchor]},
        "format": {"fragment": {"string": {"raw": "fn main() {}"}, "metadata": {"ext": "rs"}}}}});
    let website =
        json!({"url": "https://example.org", "name": "site", "conversation": "<conversations>"});
    let object = json!({"id": own, "name": "other", "text": "t", "updated": {"value": "2026-11-20T09:14:02Z"},
        "fragment": {"string": {"raw": "new"}}, "messages": wrapper, "original": {"id": "<formats>", "reference": {}},
        "created": {"value": "2026-11-20T09:14:02Z"}, "type": "COPILOT", "role": "USER",
        "conversation": {"id": "<conversations>"}, "points": wrapper, "formats": wrapper, "url": "u"});
    match path {
        "/connect" => {
            json!({"application": {"name": "VS_CODE", "version": "1", "platform": "LINUX"}})
        }
        "/conversations/create" => conversation,
        "/messages/create" => message,
        "/assets/create" => asset,
        "/anchors/create" => anchor,
        "/annotations/create" => annotation,
        "/websites/create" => website,
        "/pieces-lsp/import" => {
            let kinds = [
                "conversation",
                "message",
                "asset",
                "anchor",
                "annotation",
                "website",
            ];
            let kind = kinds[rng.below(6) as usize];
            json!({"objects": [{kind: object}, {"conversation": object}], "dryRun": rng.once_in(4)})
        }
        path if path.ends_with("/search") => {
            json!({"engines": {"iterable": [{"query": "why \"odd* OR -"}]}})
        }
        path if path.ends_with("/batch/fetch") => {
            let kind = path.split('/').nth(1).unwrap();
            json!({kind: wrapper})
        }
        _ => object,
    }
}

/// Puts something else in some places, or takes it out.
fn damage(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Object(object) if !object.is_empty() && !rng.once_in(4) => {
            let at = rng.below(object.len() as u64) as usize;
            let key = object.keys().nth(at).unwrap().clone();
            match rng.below(6) {
                0 => drop(object.remove(&key)),
                1 => drop(object.insert(odd_text(rng), odd(rng))),
                _ => damage(&mut object[&key], rng),
            }
        }
        Value::Array(items) if !items.is_empty() && !rng.once_in(4) => {
            let at = rng.below(items.len() as u64) as usize;
            match rng.below(6) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => damage(&mut items[at], rng),
            }
        }
        other => *other = odd(rng),
    }
}

fn odd(rng: &mut Rng) -> Value {
    match rng.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1e300),
        4 => json!(u64::MAX),
        5 => json!([]),
        6 => json!({}),
        7 => json!([[[{"id": [null]}]]]),
        8 => json!({"id": "<assets>"}),
        9 => json!({"iterable": [null, {"id": 7}], "indices": {"x": "y", "<assets>": -1}}),
        10 => json!({"value": "9999-99-99T99:99:99Z"}),
        11 => json!({"string": {"raw": odd_text(rng)}}),
        _ => odd_text(rng).into(),
    }
}

fn odd_text(rng: &mut Rng) -> String {
    let texts = [
        "",
        "<assets>",
        "\u{0}",
        "a\u{202e}b\u{fffd}\u{10ffff}",
        "' OR 1=1 --",
        "%00/../..",
        "\"*:^()NEAR AND",
        "2026-11-20T09:14:02Z",
        "-00001-01-01T00:00:00Z",
    ];
    match rng.below(12) {
        0 => "x".repeat(100_000),
        other => texts[other as usize % texts.len()].to_owned(),
    }
}

fn body(path: &str, rng: &mut Rng) -> String {
    match rng.below(30) {
        0 => String::new(),
        1 => "[".repeat(10_000),
        2 => "{\"a\":".repeat(200),
        3 => "\u{feff}{}".to_owned(),
        4 => odd(rng).to_string(),
        other => {
            let mut body = sensible(path, rng);
            for _ in 0..[0, 0, 0, 1, 1, 2, 5][other as usize % 7] {
                damage(&mut body, rng);
            }
            body.to_string()
        }
    }
}

/// The kind that a path is about at its end.
fn kind_of(path: &str) -> &'static str {
    let parts = path.rsplit('/');
    let kind = |part: &str| {
        let mut kinds = KINDS.into_iter();
        kinds.find(|kind| *kind == part || kind.strip_suffix('s') == Some(part))
    };
    parts.filter_map(kind).next().unwrap_or("conversations")
}

type Ids = BTreeMap<&'static str, Vec<String>>;

/// An id of that kind that is there, now and then one of another kind, one that is not there, or none at all.
fn id(known: &Ids, kind: &str, rng: &mut Rng) -> String {
    let kind = match rng.below(20) {
        0 => return "00000000-0000-4000-8000-000000000000".to_owned(),
        1 => {
            let none = ["x", "%00", "%F0%9F", "..", "null", "%7B%7D"];
            return none[rng.below(6) as usize].to_owned();
        }
        2 => KINDS[rng.below(6) as usize],
        _ => kind,
    };
    let ids = known.get(kind).map_or(&[][..], Vec::as_slice);
    let at = rng.next().checked_rem(ids.len() as u64);
    let id = at.and_then(|at| ids.get(at as usize));
    id.cloned()
        .unwrap_or_else(|| uuid::Uuid::from_u128(u128::from(rng.next())).to_string())
}

/// The ids of everything there is.
async fn ids(local: &Local) -> Ids {
    let mut ids = Ids::new();
    for kind in KINDS {
        let list = local.get(&format!("/{kind}/identifiers")).await;
        let all = list["iterable"].as_array().unwrap().iter();
        ids.insert(
            kind,
            all.map(|one| one["id"].as_str().unwrap().to_owned())
                .collect(),
        );
    }
    ids
}

#[tokio::test]
async fn no_request_makes_it_fail() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), false).await;
    let seed = number("FUZZ_SEED").unwrap_or(1);
    let mut rng = Rng::new(seed);
    let routes = routes();
    let mut known = Ids::new();
    let creates = routes
        .iter()
        .filter(|(route, _)| route.ends_with("/create"));
    let creates: Vec<_> = creates.collect();
    for request in 0..number("FUZZ_REQUESTS").unwrap_or(REQUESTS) {
        if request % 100 == 0 {
            known = ids(&local).await;
        }
        let (route, post) = match rng.once_in(8) {
            true => creates[rng.below(creates.len() as u64) as usize],
            false => &routes[rng.below(routes.len() as u64) as usize],
        };
        // Deleting less than is made leaves something to work on.
        if route.ends_with("/delete") && !rng.once_in(3) {
            continue;
        }
        let mut path = String::new();
        for part in route.split('/').skip(1) {
            let part = match part.starts_with('{') {
                true => id(&known, kind_of(&path), &mut rng),
                false => part.to_owned(),
            };
            path = format!("{path}/{part}");
        }
        if rng.once_in(3) {
            let queries = [
                "transferables=false",
                "transferables=maybe",
                "query=a%00\"",
                "&&=%zz",
                "query=why*",
            ];
            path = format!("{path}?{}", queries[rng.below(5) as usize]);
        }
        let mut body = body(route, &mut rng);
        for kind in KINDS {
            let place = format!("<{kind}>");
            while body.contains(&place) {
                body = body.replacen(&place, &id(&known, kind, &mut rng), 1);
            }
        }
        let shown: String = body.chars().take(2000).collect();
        let said = format!("FUZZ_SEED={seed}, request {request}: {route} {path} {shown}");
        let method = if *post {
            Method::Post(body)
        } else {
            Method::Get
        };
        let answer = local.try_send(method, &path).await;
        let (status, text) = answer.unwrap_or_else(|| panic!("no answer to {said}"));
        assert!(status < 500, "{status} {text} to {said}");
        // A path that is not what it says may be another route, but then with another id.
        let garbled = path.contains("/..") || path.contains("/x") || path.contains('%');
        assert!(
            garbled || ![404, 405].contains(&status),
            "{status} to {said}"
        );
        let lines = route == "/pieces-lsp/export";
        if status == 200 && (text.starts_with(['{', '[']) && !lines) {
            let read = serde_json::from_str::<Value>(&text);
            assert!(read.is_ok(), "{text} to {said}");
        }
    }
    let made = local.everything().await.len();
    assert!(made > 200, "there was something to work on: {made}");
    attached.shutdown().await;
    oracle::is_whole(dir.path()).await;
}

/// Sessions that once found a bug, or that reach what random requests rarely do.
#[tokio::test]
async fn sessions_leave_it_whole() {
    for session in include_str!("sessions.txt").split("\n\n") {
        let dir = tempfile::tempdir().unwrap();
        let (attached, local) = serve(dir.path(), false).await;
        for line in session.lines().filter(|line| !line.starts_with('#')) {
            let line = with_ids(&local, line).await;
            let mut parts = line.splitn(3, ' ');
            let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
            let method = match method {
                "GET" => Method::Get,
                "POST" => Method::Post(parts.next().unwrap_or_default().to_owned()),
                other => Method::Other(other.to_owned()),
            };
            let answer = local.try_send(method, path).await;
            let (status, text) = answer.unwrap_or_else(|| panic!("no answer to {line}"));
            assert!(status < 500, "{status} {text} to {line}");
        }
        attached.shutdown().await;
        oracle::is_whole(dir.path()).await;
    }
}

/// `<kind N>` becomes the id of the Nth object of that kind.
async fn with_ids(local: &Local, line: &str) -> String {
    let known = ids(local).await;
    let mut line = line.to_owned();
    for (kind, ids) in known {
        for (at, id) in ids.iter().enumerate() {
            line = line.replace(&format!("<{} {at}>", kind.trim_end_matches('s')), id);
        }
    }
    line
}
