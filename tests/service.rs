//! The local service from outside: its wire shapes, its streams, its refusals, and its durability.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use pieces_lsp::service::{
    Asking, Attached, Options, Role, ServiceError, attach, has_conversations, prefer_pieces_os,
    prefers_pieces_os,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest as _},
};

const DEADLINE: Duration = Duration::from_secs(60);
const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

fn options(dir: &Path) -> Options {
    Options {
        data_dir: dir.to_owned(),
        port: 0,
        token: true,
        asking: Asking::default(),
    }
}

struct Service {
    attached: Attached,
    http: reqwest::Client,
    dir: TempDir,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Service {
    async fn start() -> Self {
        Self::start_in(TempDir::new().unwrap()).await
    }

    async fn start_in(dir: TempDir) -> Self {
        let attached = attach(&options(dir.path())).await.unwrap();
        assert_eq!(attached.role, Role::Serving);
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .unwrap();
        Self {
            attached,
            http,
            dir,
        }
    }

    fn token(&self) -> &str {
        self.attached.token.as_deref().unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: Option<String>) -> (StatusCode, String) {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.attached.url));
        request = request.bearer_auth(self.token());
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let answer = request.send().await.unwrap();
        assert!(
            answer.headers()["server"]
                .to_str()
                .unwrap()
                .starts_with("pieces-lsp/")
        );
        (answer.status(), answer.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, text) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, text) = self.send(Method::POST, path, Some(body.to_string())).await;
        assert_eq!(status, 200, "POST {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// POST without a body.
    async fn act(&self, path: &str) -> (StatusCode, String) {
        self.send(Method::POST, path, None).await
    }

    async fn status(&self, path: &str) -> StatusCode {
        self.send(Method::GET, path, None).await.0
    }

    async fn asset(&self, name: &str, text: &str, path: &str) -> String {
        let seed = json!({"type": "SEEDED_ASSET", "asset": {
            "metadata": {"name": name, "anchors": [{"type": "FILE", "fullpath": path}]},
            "format": {"fragment": {"string": {"raw": text}, "metadata": {"ext": "rs"}}},
        }});
        id(&self.post("/assets/create", seed).await)
    }

    async fn conversation(&self, seed: Value) -> String {
        id(&self.post("/conversations/create", seed).await)
    }

    async fn stream(&self, path: &str) -> Socket {
        let url = format!("{}{path}", self.attached.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", self.token());
        request
            .headers_mut()
            .insert("authorization", bearer.parse().unwrap());
        connect_async(request).await.unwrap().0
    }
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

async fn frame(socket: &mut Socket) -> Value {
    loop {
        match timeout(DEADLINE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
        {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn ids(list: &Value) -> Vec<String> {
    list["iterable"]
        .as_array()
        .unwrap()
        .iter()
        .map(id)
        .collect()
}

#[tokio::test]
async fn the_six_endpoints_have_the_shapes_of_the_api() {
    let service = Service::start().await;
    let empty = json!({"iterable": [], "indices": {}});
    assert_eq!(service.get("/conversations").await, empty);
    assert_eq!(service.get("/conversations/identifiers").await, empty);

    let made = service
        .post(
            "/conversations/create",
            json!({"type": "COPILOT", "name": "One"}),
        )
        .await;
    let one = id(&made);
    assert_eq!(
        (&made["name"], &made["type"]),
        (&json!("One"), &json!("COPILOT"))
    );
    for wrapper in ["messages", "annotations", "assets", "anchors", "websites"] {
        assert_eq!(made[wrapper], empty, "{wrapper}");
    }
    for time in ["created", "updated"] {
        let value = made[time]["value"].as_str().unwrap();
        assert!(value.len() == 27 && value.ends_with('Z'), "{value}");
        assert_eq!(made[time]["readable"], "Just now...");
    }

    let asset = service
        .asset("retry.rs", "//! Retries.\nfn retry() {}\n", "/p/retry.rs")
        .await;
    let (status, text) = service
        .act(&format!("/conversations/create/from_asset/{asset}"))
        .await;
    assert_eq!(status, 200);
    let two = id(&serde_json::from_str::<Value>(&text).unwrap()["conversation"]);
    assert_eq!(
        ids(&service.get("/conversations/identifiers").await),
        [two.clone(), one.clone()]
    );
    assert_eq!(
        service.get("/conversations?transferables=false").await["indices"],
        json!({&one: 0, &two: 1})
    );

    let (status, text) = service.act(&format!("/conversations/{one}/delete")).await;
    assert_eq!((status, text.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(ids(&service.get("/conversations").await), [two]);
}

#[tokio::test]
async fn a_conversation_from_an_asset_is_tied_to_it_and_says_what_it_is() {
    let service = Service::start().await;
    let asset = service
        .asset("retry.rs", "//! Retries.\nfn retry() {}\n", "/p/retry.rs")
        .await;
    let (_, text) = service
        .act(&format!("/conversations/create/from_asset/{asset}"))
        .await;
    let made = id(&serde_json::from_str::<Value>(&text).unwrap()["conversation"]);
    let conversation = service.get(&format!("/conversation/{made}")).await;
    assert_eq!(conversation["name"], "retry.rs");
    assert_eq!(ids(&conversation["assets"]), [asset.as_str()]);
    let point = &conversation["anchors"]["iterable"][0]["reference"]["points"]["iterable"][0];
    assert_eq!(point["reference"]["fullpath"], "/p/retry.rs");

    let messages = service.get(&format!("/conversation/{made}/messages")).await;
    assert_eq!(ids(&messages), ids(&conversation["messages"]));
    let message = &messages["iterable"][0];
    assert_eq!(
        (&message["role"], &message["conversation"]["id"]),
        (&json!("ASSISTANT"), &json!(made))
    );
    let raw = message["fragment"]["string"]["raw"].as_str().unwrap();
    for part in [
        "extractive",
        "Rust",
        "2 lines",
        "> Retries.",
        "```rs\nfn retry() {}\n```",
    ] {
        assert!(raw.contains(part), "{part} in {raw}");
    }
    let tied = service.get(&format!("/asset/{asset}/conversations")).await;
    assert_eq!(ids(&tied), [made.as_str()]);
    let anchors = service.get("/anchors").await;
    assert_eq!(ids(&anchors["iterable"][0]["conversations"]), [made]);
}

#[tokio::test]
async fn a_seed_may_have_every_field_and_unknown_ones_stay() {
    let service = Service::start().await;
    let asset = service.asset("a.rs", "x", "/p/a.rs").await;
    let made = service
        .post("/conversations/create", json!({
            "type": "COPILOT", "name": "Full", "favorited": true, "novel": {"deep": [1]},
            "messages": [
                {"role": "USER", "fragment": {"string": {"raw": "first"}}},
                {"role": "ASSISTANT", "fragment": {"string": {"raw": "second"}}},
            ],
            "anchors": [{"type": "FILE", "fullpath": "/p/a.rs"}, {"type": "DIRECTORY", "fullpath": "/p"}],
            "assets": {"iterable": [], "indices": {&asset: 0}},
            "annotations": [{"type": "SUMMARY", "text": "In short"}],
        }))
        .await;
    assert_eq!(
        (&made["favorited"], &made["novel"]),
        (&json!(true), &json!({"deep": [1]}))
    );
    assert_eq!(ids(&made["assets"]), [asset.as_str()]);
    assert_eq!(made["anchors"]["iterable"].as_array().unwrap().len(), 2);
    assert_eq!(
        service.get("/anchors").await["iterable"]
            .as_array()
            .unwrap()
            .len(),
        2,
        "one per path"
    );
    let annotation = service
        .get(&format!("/annotation/{}", ids(&made["annotations"])[0]))
        .await;
    assert_eq!(
        (&annotation["text"], &annotation["conversation"]["id"]),
        (&json!("In short"), &made["id"])
    );
    let messages = service
        .get(&format!("/conversation/{}/messages", id(&made)))
        .await;
    let texts: Vec<_> = messages["iterable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["fragment"]["string"]["raw"])
        .collect();
    assert_eq!(texts, [&json!("first"), &json!("second")]);
    let without = service
        .get(&format!(
            "/message/{}?transferables=false",
            ids(&messages)[0]
        ))
        .await;
    assert_eq!(without["fragment"], Value::Null);
}

#[tokio::test]
async fn a_stale_whole_object_write_loses_nothing() {
    let service = Service::start().await;
    let stale = service
        .post("/conversations/create", json!({"name": "Old", "novel": 7}))
        .await;
    let made = id(&stale);
    let seed = json!({"role": "USER", "fragment": {"string": {"raw": "hi"}}, "conversation": {"id": made}});
    let message = id(&service.post("/messages/create", seed).await);
    let asset = service.asset("a.rs", "x", "/p/a.rs").await;
    let (status, _) = service
        .act(&format!("/conversation/{made}/assets/associate/{asset}"))
        .await;
    assert_eq!(status, 204);
    let before = service.get(&format!("/conversation/{made}")).await;

    // As a typed client writes it: without what it does not know, with times of its own making.
    let mut body = stale.clone();
    body["name"] = json!("New");
    body["updated"]["value"] = json!("2020-01-01T00:00:00+00:00");
    body.as_object_mut().unwrap().remove("novel");
    let after = service
        .post("/conversation/update?transferables=false", body)
        .await;
    assert_eq!(
        (&after["name"], &after["novel"]),
        (&json!("New"), &json!(7))
    );
    assert_eq!(ids(&after["messages"]), [message]);
    assert_eq!(ids(&after["assets"]), [asset]);
    assert_eq!(after["created"]["value"], stale["created"]["value"]);
    assert!(after["updated"]["value"].as_str() > before["updated"]["value"].as_str());
}

#[tokio::test]
async fn a_delete_removes_owned_objects_and_announces_linked_ones() {
    let service = Service::start().await;
    let asset = service.asset("a.rs", "x", "/p/a.rs").await;
    let made = service
        .conversation(json!({
            "name": "Doomed",
            "messages": [{"role": "USER", "fragment": {"string": {"raw": "hi"}}}],
            "assets": {"iterable": [{"id": asset}]},
            "anchors": [{"type": "FILE", "fullpath": "/p/a.rs"}],
            "annotations": [{"type": "SUMMARY", "text": "In short"}],
        }))
        .await;
    let conversation = service.get(&format!("/conversation/{made}")).await;
    let message = ids(&conversation["messages"]).remove(0);
    let annotation = ids(&conversation["annotations"]).remove(0);
    let anchor = ids(&conversation["anchors"]).remove(0);
    let mut assets = service.stream("/assets/stream/identifiers").await;
    let mut messages = service.stream("/messages/stream/identifiers").await;
    assert_eq!(
        frame(&mut assets).await["iterable"][0]["asset"]["id"],
        asset.as_str()
    );
    assert_eq!(
        frame(&mut messages).await["iterable"][0]["conversationMessage"]["id"],
        message.as_str()
    );

    assert_eq!(
        service
            .act(&format!("/conversations/{made}/delete"))
            .await
            .0,
        204
    );
    for path in [
        format!("conversation/{made}"),
        format!("message/{message}"),
        format!("annotation/{annotation}"),
    ] {
        assert_eq!(service.status(&format!("/{path}")).await, 410, "{path}");
    }
    let anchor = service.get(&format!("/anchor/{anchor}")).await;
    assert_eq!(
        anchor["conversations"],
        json!({"iterable": [], "indices": {}})
    );
    assert_eq!(
        frame(&mut messages).await,
        json!({"iterable": [{"conversationMessage": {"id": message}, "deleted": true}]})
    );
    assert_eq!(
        frame(&mut assets).await["iterable"][0]["asset"]["id"],
        asset.as_str()
    );
    assert_eq!(
        service
            .act(&format!("/conversations/{made}/delete"))
            .await
            .0,
        410
    );

    let (status, text) = service.act(&format!("/assets/{asset}/delete")).await;
    assert_eq!((status, text), (StatusCode::OK, asset.clone()));
    assert_eq!(service.status(&format!("/asset/{asset}")).await, 410);
}

#[tokio::test]
async fn every_stream_starts_with_all_live_ids() {
    let service = Service::start().await;
    for kind in [
        "conversations",
        "assets",
        "anchors",
        "messages",
        "annotations",
    ] {
        let mut socket = service.stream(&format!("/{kind}/stream/identifiers")).await;
        assert_eq!(frame(&mut socket).await, json!({"iterable": []}), "{kind}");
    }
    let one = service.conversation(json!({"name": "One"})).await;
    let two = service.conversation(json!({"name": "Two"})).await;
    let mut socket = service.stream("/conversations/stream/identifiers").await;
    let first = frame(&mut socket).await;
    let items = first["iterable"].as_array().unwrap();
    assert_eq!(
        items
            .iter()
            .map(|i| id(&i["conversation"]))
            .collect::<Vec<_>>(),
        [one, two]
    );
    assert!(
        items
            .iter()
            .all(|i| i["updated"]["value"].as_str().unwrap().ends_with('Z'))
    );

    let mut health = service.stream("/.well-known/stream/health").await;
    let Message::Text(text) = timeout(DEADLINE, health.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
    else {
        panic!("not a text")
    };
    assert!(text.starts_with("ok:"), "{text}");
}

#[tokio::test]
async fn a_change_is_announced_once_it_can_be_read() {
    let service = Service::start().await;
    let mut socket = service.stream("/conversations/stream/identifiers").await;
    frame(&mut socket).await;
    let create = async {
        for n in 0..20 {
            let made = service.conversation(json!({"name": format!("C{n}")})).await;
            assert_eq!(
                service
                    .act(&format!("/conversations/{made}/delete"))
                    .await
                    .0,
                204
            );
        }
    };
    let follow = async {
        let mut deleted = 0;
        while deleted < 20 {
            let told = frame(&mut socket).await;
            let items = told["iterable"].as_array().unwrap();
            assert_eq!(items.len(), 1, "one change in a frame");
            let status = service
                .status(&format!("/conversation/{}", id(&items[0]["conversation"])))
                .await;
            if items[0]["deleted"] == true {
                deleted += 1;
                assert_eq!(status, 410);
            } else {
                // It may be deleted again by now, but then its delete is told as well.
                assert!(status == 200 || status == 410, "{status}");
            }
        }
    };
    tokio::join!(create, follow);

    let made = service.conversation(json!({"name": "Stays"})).await;
    let told = frame(&mut socket).await;
    assert_eq!(id(&told["iterable"][0]["conversation"]), made);
    assert_eq!(service.status(&format!("/conversation/{made}")).await, 200);
}

#[tokio::test]
async fn errors_are_one_sentence() {
    let service = Service::start().await;
    let made = service.conversation(json!({"name": "One"})).await;
    let (get, post) = (Method::GET, Method::POST);
    for (method, path, body, status, part) in [
        (&get, "/nothing".to_owned(), None, 404, "Route not found"),
        (
            &get,
            format!("/conversation/{ABSENT}"),
            None,
            410,
            "conversation",
        ),
        (&get, "/conversation/x".to_owned(), None, 400, "UUID"),
        (&get, format!("/asset/{ABSENT}"), None, 410, "asset"),
        (&get, format!("/message/{made}"), None, 410, "message"),
        (
            &post,
            format!("/conversations/{ABSENT}/delete"),
            None,
            410,
            "conversation",
        ),
        (
            &post,
            format!("/conversations/create/from_asset/{ABSENT}"),
            None,
            410,
            "asset",
        ),
        (
            &post,
            "/conversations/create".to_owned(),
            Some("{\"type\":"),
            400,
            "not JSON",
        ),
        (
            &post,
            "/conversations/create".to_owned(),
            Some("[]"),
            400,
            "object",
        ),
        (
            &post,
            "/conversations/create".to_owned(),
            Some("{\"name\":3}"),
            400,
            "`name`",
        ),
        (
            &post,
            "/conversations/create".to_owned(),
            Some("{\"messages\":{}}"),
            400,
            "`messages`",
        ),
        (
            &post,
            "/conversation/update".to_owned(),
            Some("{\"name\":\"x\"}"),
            400,
            "`id`",
        ),
        (
            &post,
            "/messages/create".to_owned(),
            Some("{\"role\":\"USER\",\"fragment\":{}}"),
            400,
            "`conversation`",
        ),
        (
            &post,
            "/assets/create".to_owned(),
            Some("{}"),
            400,
            "`asset`",
        ),
        (
            &get,
            "/conversations?transferables=perhaps".to_owned(),
            None,
            400,
            "transferables",
        ),
    ] {
        let (found, text) = service
            .send(method.clone(), &path, body.map(str::to_owned))
            .await;
        assert_eq!(found.as_u16(), status, "{method} {path}: {text}");
        assert!(text.contains(part), "{method} {path}: {text}");
        assert!(!text.starts_with('{'), "plain text: {text}");
    }
    assert!(
        service
            .status("/conversations/stream/identifiers")
            .await
            .is_client_error()
    );
    assert_eq!(
        ids(&service.get("/conversations").await),
        [made],
        "a refused seed leaves nothing"
    );
}

#[tokio::test]
async fn requests_without_token_or_loopback_page_are_refused() {
    let service = Service::start().await;
    let url = format!("{}/conversations", service.attached.url);
    let port = service.attached.url.rsplit(':').next().unwrap();
    let bearer = format!("Bearer {}", service.token());
    let host = format!("127.0.0.1:{port}");
    for (headers, status) in [
        (vec![], 401),
        (vec![("authorization", "Bearer wrong")], 401),
        (vec![("authorization", bearer.as_str())], 200),
        (
            vec![("authorization", bearer.as_str()), ("host", "evil.example")],
            403,
        ),
        (
            vec![("authorization", bearer.as_str()), ("host", host.as_str())],
            200,
        ),
        (
            vec![
                ("authorization", bearer.as_str()),
                ("origin", "https://evil.example"),
            ],
            403,
        ),
        (
            vec![
                ("authorization", bearer.as_str()),
                ("origin", "http://localhost:3000"),
            ],
            200,
        ),
    ] {
        let mut request = service.http.get(&url);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let allowed = answer.headers().get("access-control-allow-origin").cloned();
        assert_eq!(answer.status(), status, "{headers:?}");
        assert!(allowed.is_none_or(|origin| origin == "http://localhost:3000"));
    }
    for (origin, status) in [
        ("http://localhost:3000", 204),
        ("https://evil.example", 403),
    ] {
        let preflight = service
            .http
            .request(Method::OPTIONS, &url)
            .header("origin", origin)
            .send()
            .await;
        assert_eq!(preflight.unwrap().status(), status, "{origin}");
    }

    let stream = format!("ws://{host}/conversations/stream/identifiers");
    for (headers, status) in [
        (vec![], 401),
        (
            vec![
                ("authorization", bearer.as_str()),
                ("origin", "https://evil.example"),
            ],
            403,
        ),
    ] {
        let mut request = stream.as_str().into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), status),
            other => panic!("not refused: {other:?}"),
        }
    }
    let mut socket = service.stream("/conversations/stream/identifiers").await;
    frame(&mut socket).await;
    socket.send(Message::text("x".repeat(1 << 20))).await.ok();
    let ended = timeout(DEADLINE, async {
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    assert!(ended.is_ok(), "a huge frame ends the stream");

    let huge = " ".repeat((32 << 20) + 1);
    let (status, text) = service
        .send(Method::POST, "/conversations/create", Some(huge))
        .await;
    assert_eq!((status.as_u16(), text.contains("32 MiB")), (413, true));
}

/// As clients do that read nothing before they have sent everything.
#[tokio::test]
async fn bodies_that_are_too_large_are_refused_once_they_are_sent() {
    use std::io::{Read as _, Write as _};
    let service = Service::start().await;
    let address = service.attached.url.replace("http://", "");
    let token = service.token().to_owned();
    let sending = tokio::task::spawn_blocking(move || {
        for (path, megabytes) in [("conversations/create", 100), ("pieces-lsp/import", 300)] {
            let length = megabytes << 20;
            let mut connection = std::net::TcpStream::connect(&address).unwrap();
            connection.set_read_timeout(Some(DEADLINE)).unwrap();
            let head = format!(
                "POST /{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
                 content-length: {length}\r\n\r\n"
            );
            connection.write_all(head.as_bytes()).unwrap();
            for _ in 0..megabytes {
                connection.write_all(&[b' '; 1 << 20]).unwrap();
            }
            let mut answer = [0; 12];
            connection.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 413");
        }
    });
    sending.await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_readable_by_their_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("a/b");
    let attached = attach(&options(&dir)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "lock",
            "service.json",
            "socket",
            "store.db",
            "store.db-shm",
            "store.db-wal"
        ]
    );
    attached.shutdown().await;
    for gone in ["service.json", "socket"] {
        assert!(!dir.join(gone).exists(), "{gone}");
    }
}

/// Such as one that was copied back from a backup.
#[cfg(unix)]
#[tokio::test]
async fn files_with_wider_permissions_are_made_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let service = Service::start().await;
    service.conversation(json!({"name": "Kept"})).await;
    let Service { attached, dir, .. } = service;
    attached.shutdown().await;
    fs::write(dir.path().join("service.json.tmp"), "{}").unwrap();
    for name in ["store.db", "service.json.tmp"] {
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(dir.path().join(name), open).unwrap();
    }
    let service = Service::start_in(dir).await;
    for name in ["store.db", "store.db-wal", "service.json"] {
        let mode = fs::metadata(service.dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(ids(&service.get("/conversations").await).len(), 1);
}

#[tokio::test]
async fn one_process_serves_and_another_takes_over() {
    let dir = TempDir::new().unwrap();
    // What a killed process leaves behind.
    fs::write(dir.path().join("lock"), "").unwrap();
    fs::write(dir.path().join("service.json"), r#"{"url":"http://127.0.0.1:9","token":"t","pid":1,"version":"0","store":"00000000-0000-0000-0000-000000000000"}"#).unwrap();
    let first = Service::start_in(dir).await;
    let path = first.dir.path().to_owned();
    let second = attach(&options(&path)).await.unwrap();
    assert_eq!(
        (second.role, &second.url, &second.token),
        (Role::Client, &first.attached.url, &first.attached.token)
    );
    let made = first.conversation(json!({"name": "Kept"})).await;

    let Service { attached, dir, .. } = first;
    let begun = std::time::Instant::now();
    attached.shutdown().await;
    assert!(
        begun.elapsed() < Duration::from_millis(600),
        "{:?}",
        begun.elapsed()
    );
    second.shutdown().await;

    let (a, b) = (options(&path), options(&path));
    let (a, b) = tokio::join!(attach(&a), attach(&b));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a.role, b.role, "one serves, one joins");
    assert_eq!(a.url, b.url);
    let serving = if a.role == Role::Serving { a } else { b };
    serving.shutdown().await;
    let again = Service::start_in(dir).await;
    assert_eq!(ids(&again.get("/conversations").await), [made]);
}

#[tokio::test]
async fn conversations_are_detected_without_serving() {
    let dir = TempDir::new().unwrap();
    assert!(!has_conversations(dir.path()).await);
    assert!(!dir.path().join("store.db").exists());
    let service = Service::start_in(dir).await;
    assert!(!has_conversations(service.dir.path()).await);
    service.conversation(json!({"name": "Kept"})).await;
    assert!(has_conversations(service.dir.path()).await);
    let Service { attached, dir, .. } = service;
    attached.shutdown().await;
    assert!(has_conversations(dir.path()).await);
    fs::write(dir.path().join("store.db"), "damaged").unwrap();
    assert!(has_conversations(dir.path()).await, "nobody knows");
    assert!(!prefers_pieces_os(dir.path()).await);
    prefer_pieces_os(dir.path()).await;
    assert!(prefers_pieces_os(dir.path()).await);
}

#[tokio::test]
async fn dropping_it_frees_the_lock() {
    let service = Service::start().await;
    let Service { attached, dir, .. } = service;
    drop(attached);
    let again = attach(&options(dir.path())).await.unwrap();
    assert_eq!(again.role, Role::Serving);
}

#[tokio::test]
async fn a_corrupt_store_is_set_aside_not_lost() {
    let dir = TempDir::new().unwrap();
    let garbage = b"this is no database, but it may be somebody's".repeat(200);
    fs::write(dir.path().join("store.db"), &garbage).unwrap();
    let service = Service::start_in(dir).await;
    let notice = service.attached.notice.clone().unwrap();
    let kept = fs::read_dir(service.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("corrupt"))
        .unwrap();
    assert!(notice.contains(kept.to_str().unwrap()), "{notice}");
    assert_eq!(fs::read(kept).unwrap(), garbage);
    assert_eq!(ids(&service.get("/conversations").await), [""; 0]);
}

#[tokio::test]
async fn damage_inside_a_store_is_found_at_the_start() {
    let service = Service::start().await;
    for n in 0..200 {
        service
            .conversation(
                json!({"name": format!("conversation number {n} with some text to fill pages")}),
            )
            .await;
    }
    let Service { attached, dir, .. } = service;
    attached.shutdown().await;
    let path = dir.path().join("store.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    for page in bytes[4096..].chunks_mut(4096) {
        page[..64].fill(0xA5);
    }
    assert!(middle > 4096);
    fs::write(&path, bytes).unwrap();
    let service = Service::start_in(dir).await;
    assert!(service.attached.notice.is_some());
    assert_eq!(ids(&service.get("/conversations").await), [""; 0]);
}

#[tokio::test]
async fn a_newer_store_is_refused_untouched() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE later (x); PRAGMA user_version = 999;")
        .unwrap();
    drop(db);
    let before = fs::read(&path).unwrap();
    let error = attach(&options(dir.path())).await.unwrap_err();
    assert!(
        matches!(error, ServiceError::Newer { found: 999, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("update pieces-lsp"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains("corrupt")),
        "{left:?}"
    );
}

#[tokio::test]
async fn obstacles_at_the_start_are_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = attach(&options(&file.path().join("below")))
        .await
        .unwrap_err();
    assert!(matches!(error, ServiceError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = TempDir::new().unwrap();
    let mut options = options(dir.path());
    options.port = port;
    let error = attach(&options).await.unwrap_err();
    assert!(matches!(error, ServiceError::Port { .. }), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    drop(taken);
    options.port = 0;
    assert_eq!(
        attach(&options).await.unwrap().role,
        Role::Serving,
        "the lock is free again"
    );

    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("store.db")).unwrap();
    let error = attach(&self::options(dir.path())).await.unwrap_err();
    assert!(
        matches!(
            error,
            ServiceError::Store { .. } | ServiceError::Unusable { .. }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_holder_that_does_not_answer_is_named() {
    let dir = TempDir::new().unwrap();
    let lock = fs::File::create(dir.path().join("lock")).unwrap();
    lock.try_lock().unwrap();
    let error = attach(&options(dir.path())).await.unwrap_err();
    assert!(matches!(error, ServiceError::Holder { .. }), "{error}");
}

#[tokio::test]
async fn concurrent_writes_are_all_kept_and_counted_once() {
    let service = Service::start().await;
    let made = service.conversation(json!({"name": "Busy"})).await;
    let posts = (0..200).map(|n| {
        let seed = json!({"role": "USER", "fragment": {"string": {"raw": format!("{n}")}}, "conversation": {"id": made}});
        service.post("/messages/create", seed)
    });
    let mut expected: Vec<_> = futures_util::future::join_all(posts)
        .await
        .iter()
        .map(id)
        .collect();
    let mut found = ids(&service.get(&format!("/conversation/{made}")).await["messages"]);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn search_finds_words_in_names_messages_notes_and_saved_texts() {
    let service = Service::start().await;
    let named = service
        .conversation(json!({"name": "Retry with jitter"}))
        .await;
    let said = service
        .conversation(json!({"name": "Other", "messages": [
            {"role": "USER", "fragment": {"string": {"raw": "why does the backoff overflow?"}}},
        ]}))
        .await;
    let noted = service
        .conversation(
            json!({"name": "Third", "annotations": [{"type": "SUMMARY", "text": "Über Überlauf"}]}),
        )
        .await;
    let asset = service
        .asset("sum.rs", "fn checksum() {}", "/p/sum.rs")
        .await;
    let ask = |typed: &str| json!({"engines": {"iterable": [{"query": typed, "full_text": {}}]}});
    let found = async |typed: &str| -> Vec<String> {
        let found = service.post("/conversations/search", ask(typed)).await;
        found["iterable"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| id(&hit["conversation"]))
            .collect()
    };
    for (typed, expected) in [
        ("jitter", vec![&named]),
        ("JITT", vec![&named]),
        ("overflow backoff", vec![&said]),
        ("uber", vec![&noted]),
        ("jitter overflow", vec![]),
        ("checksum", vec![]),
        ("\" OR *", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(
            found(typed).await.iter().collect::<Vec<_>>(),
            expected,
            "{typed}"
        );
    }
    let within = service
        .post(&format!("/conversation/{said}/search"), ask("backoff"))
        .await;
    assert_eq!(within["iterable"].as_array().unwrap().len(), 1);
    let elsewhere = service
        .post(&format!("/conversation/{named}/search"), ask("backoff"))
        .await;
    assert_eq!(elsewhere["iterable"].as_array().unwrap().len(), 0);
    let assets = service.get("/assets/search?query=checksum").await;
    assert_eq!(assets["iterable"][0]["identifier"], asset.as_str());

    let mut renamed = service.get(&format!("/conversation/{named}")).await;
    renamed["name"] = json!("Something else");
    service.post("/conversation/update", renamed).await;
    assert_eq!(found("jitter").await, [""; 0]);
    assert_eq!(
        service
            .act(&format!("/conversations/{said}/delete"))
            .await
            .0,
        204
    );
    assert_eq!(found("overflow").await, [""; 0]);
}

#[tokio::test]
async fn a_batch_returns_found_objects_and_missing_ids() {
    let service = Service::start().await;
    let made = service.conversation(json!({"name": "One"})).await;
    let body = json!({"conversations": {"iterable": [{"id": made}, {"id": ABSENT}]}});
    let answer = service.post("/conversations/batch/fetch", body).await;
    assert_eq!(ids(&answer["conversations"]), [made]);
    assert_eq!(answer["notFound"], json!([ABSENT]));
    let many: Vec<_> = (0..51)
        .map(|_| json!({"id": uuid::Uuid::new_v4()}))
        .collect();
    let body = json!({"conversations": {"iterable": many}}).to_string();
    let (status, text) = service
        .send(Method::POST, "/conversations/batch/fetch", Some(body))
        .await;
    assert_eq!(status, 400, "{text}");
}

#[tokio::test]
async fn an_import_keeps_ids_and_times_and_makes_no_duplicates() {
    let service = Service::start().await;
    let seed = json!({
        "id": ABSENT, "name": "Old", "type": "COPILOT",
        "created": {"value": "2024-07-17T16:00:00.000Z"}, "updated": {"value": "2024-07-18T16:00:00.5Z"},
    });
    let made = service.post("/conversations/create", seed.clone()).await;
    assert_eq!(id(&made), ABSENT);
    assert_eq!(
        made["created"],
        json!({"value": "2024-07-17T16:00:00.000000Z", "readable": made["created"]["readable"]})
    );
    assert_eq!(made["updated"]["value"], "2024-07-18T16:00:00.500000Z");
    let (status, _) = service
        .send(
            Method::POST,
            "/conversations/create",
            Some(seed.to_string()),
        )
        .await;
    assert_eq!(status, 409);
    assert_eq!(ids(&service.get("/conversations").await), [ABSENT]);
}

#[tokio::test]
async fn an_update_keeps_required_fields() {
    let service = Service::start().await;
    service.asset("a.rs", "fn main() {}", "/a.rs").await;
    let message = json!({"role": "USER", "fragment": {"string": {"raw": "Why?"}}});
    let annotation = json!({"type": "SUMMARY", "text": "t"});
    let seed = json!({"messages": [message], "annotations": [annotation]});
    service.conversation(seed).await;
    let website = json!({"url": "https://example.org/a", "name": "a"});
    let made = service.post("/websites/create", website.clone()).await;
    for (kind, keys) in [
        ("conversation", &["type"][..]),
        ("message", &["role"]),
        ("asset", &["creator", "mechanism"]),
        ("anchor", &["type"]),
        ("annotation", &["type", "text"]),
        ("website", &["name", "url"]),
    ] {
        let all = service.get(&format!("/{kind}s")).await;
        for key in keys {
            for value in [json!(null), json!(7)] {
                let body = json!({"id": all["iterable"][0]["id"], *key: value}).to_string();
                let path = format!("/{kind}/update");
                let (status, text) = service.send(Method::POST, &path, Some(body)).await;
                let sentence = format!("`{key}` must be a string.");
                assert_eq!((status.as_u16(), text), (400, sentence), "{kind}");
            }
        }
    }
    // Another address makes it another website.
    let moved = json!({"id": id(&made), "url": "https://example.org/b"});
    service.post("/website/update", moved).await;
    let again = service.post("/websites/create", website).await;
    assert_ne!(id(&again), id(&made));
}

/// Readers of JSON take 128 levels, and a list puts its own around an object.
#[tokio::test]
async fn documents_nested_too_deeply_are_refused() {
    let service = Service::start().await;
    let conversation = |id: &str, levels: usize| {
        let deep = (1..levels).fold(json!(1), |inner, _| json!([inner]));
        json!({"id": id, "type": "COPILOT", "x": deep})
    };
    service
        .post("/conversations/create", conversation(ABSENT, 100))
        .await;
    assert_eq!(ids(&service.get("/conversations").await), [ABSENT]);
    let export = service
        .send(Method::GET, "/pieces-lsp/export", None)
        .await
        .1;
    let mut exported = export.lines().skip(1).map(serde_json::from_str::<Value>);
    let exported = exported.next().unwrap().unwrap();

    let deeper = conversation(ABSENT, 101).to_string();
    for route in ["/conversations/create", "/conversation/update"] {
        let refused = service
            .send(Method::POST, route, Some(deeper.clone()))
            .await;
        let sentence = "The conversation is nested more than 100 levels deep.";
        assert_eq!(
            (refused.0.as_u16(), &*refused.1),
            (400, sentence),
            "{route}"
        );
    }
    let other = Service::start().await;
    let odd = json!({"conversation": conversation("0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10", 101)});
    let answer = other
        .post("/pieces-lsp/import", json!({"objects": [odd, exported]}))
        .await;
    let why = json!({"unreadable": "it is nested too deeply"});
    assert_eq!(answer["outcomes"], json!([why, "new"]));
    assert_eq!(ids(&other.get("/conversations").await), [ABSENT]);
}

#[tokio::test]
async fn a_large_store_is_listed_whole_and_consistent() {
    let service = Service::start().await;
    let text = "x".repeat(500);
    let posts = (0..1200).map(|n| {
        service.post(
            "/conversations/create",
            json!({"name": format!("C{n}"), "anchors": [{"type": "FILE", "fullpath": "/p/a.rs"}],
            "messages": [{"role": "USER", "fragment": {"string": {"raw": text}}}]}),
        )
    });
    futures_util::stream::iter(posts)
        .buffer_unordered(64)
        .collect::<Vec<_>>()
        .await;
    let all = service.get("/conversations?transferables=false").await;
    let items = all["iterable"].as_array().unwrap();
    assert_eq!(items.len(), 1200);
    for (at, item) in items.iter().enumerate() {
        assert_eq!(all["indices"][id(item)], at);
        let message = ids(&item["messages"]);
        assert_eq!(message.len(), 1);
        assert_eq!(item["messages"]["indices"], json!({&message[0]: 0}));
        let points = &item["anchors"]["iterable"][0]["reference"]["points"];
        assert_eq!(points["iterable"][0]["reference"]["fullpath"], "/p/a.rs");
    }
    assert_eq!(
        service.get("/messages").await["iterable"]
            .as_array()
            .unwrap()
            .len(),
        1200
    );
}
