//! The Pieces client against small real servers that answer with prepared bytes, good and bad.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pieces_lsp::pieces::{BaseUrl, Client, Error, Frame, Kind, PlainHttp, wire::Conversation};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x0b9f6f0e_7d0b_4d4e_9d5e_2f7f3c1f4a10);

/// What the server does with one request, once it has read it.
#[derive(Clone)]
enum Answer {
    /// Sends these bytes and keeps the connection.
    Keep(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Close(Vec<u8>),
    /// Sends these bytes and then nothing, with the connection open.
    Hang(Vec<u8>),
}
use Answer::{Close, Hang, Keep};

struct Server {
    base: BaseUrl,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers the n-th request with the n-th answer, and all further ones with the last.
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            base: BaseUrl::loopback(listener.local_addr().unwrap().port()),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let answers: Arc<[Answer]> = answers.into_iter().collect();
        let (requests, connections) = (server.requests.clone(), server.connections.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(connection, answers.clone(), requests.clone()));
            }
        });
        server
    }

    fn client(&self) -> Client {
        Client::new(self.base.clone(), None).unwrap()
    }

    /// The first lines of the requests so far.
    fn asked(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| {
                request
                    .lines()
                    .next()
                    .unwrap()
                    .trim_end_matches(" HTTP/1.1")
                    .to_owned()
            })
            .collect()
    }
}

async fn serve(
    mut connection: TcpStream,
    answers: Arc<[Answer]>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    while let Some(request) = read_request(&mut connection).await {
        let nth = {
            let mut requests = requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        match answers.get(nth).or(answers.last()).unwrap() {
            Keep(bytes) => connection.write_all(bytes).await.unwrap(),
            Close(bytes) => {
                let _ = connection.write_all(bytes).await;
                return;
            }
            Hang(bytes) => {
                connection.write_all(bytes).await.unwrap();
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn read_request(connection: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if connection.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

fn answer(status: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn ok(body: impl ToString) -> Vec<u8> {
    answer("200 OK", body.to_string())
}

/// The same body in HTTP chunks of `size` bytes.
fn chunked(body: &str, size: usize) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn conversation(name: &str) -> Value {
    json!({"id": ID, "name": name, "type": "COPILOT", "messages": {"iterable": []}})
}

fn collect(names: &mut Vec<String>, conversation: Conversation<'_>) {
    names.push(conversation.name.unwrap_or_default().into_owned());
}

async fn list(client: &Client) -> Result<(Vec<String>, usize, usize), Error> {
    let (names, listed) = client.list(false, Vec::new(), collect).await?;
    Ok((names, listed.total, listed.rejected))
}

// ---- What is asked, and what is made of a good answer.

#[tokio::test]
async fn every_call_matches_the_api() {
    let full = conversation("Retry");
    let object = ok(&full);
    let ids = ok(json!({"iterable": [{"id": ID}], "indices": {ID.to_string(): 0}}));
    let server = Server::start(
        [
            ok("ok:1\n"),
            ok(" 12.5.0 "),
            ok(json!({"os": {}, "application": {"id": "x"}})),
            ids.clone(),
            ids.clone(),
            ids.clone(),
            ids.clone(),
            object.clone(),
            object.clone(),
            object.clone(),
            object.clone(),
            ok(json!({"conversation": {"id": ID}})),
            answer("204 No Content", ""),
            object.clone(),
            object.clone(),
            ok(json!({"indices": {ID.to_string(): 0}})),
            ok(json!({"iterable": [{"id": ID}, {}]})),
            object.clone(),
        ]
        .map(Keep),
    )
    .await;
    let client = server.client();
    let name = |conversation: Conversation<'_>| conversation.name.unwrap().into_owned();
    let seed = json!({"type": "COPILOT"});

    assert_eq!(client.health().await.unwrap(), "ok:1");
    assert_eq!(client.version().await.unwrap(), "12.5.0");
    assert_eq!(client.connect().await.unwrap(), json!({"id": "x"}));
    assert!(client.identifiers().await.unwrap().get().starts_with('{'));
    assert_eq!(client.identifier_ids().await.unwrap(), [ID]);
    assert!(client.snapshot(None).await.unwrap().get().starts_with('{'));
    assert!(
        client
            .snapshot(Some(true))
            .await
            .unwrap()
            .get()
            .starts_with('{')
    );
    assert_eq!(name(client.conversation(ID).await.unwrap()), "Retry");
    assert_eq!(client.conversation_raw(ID, true).await.unwrap(), full);
    assert_eq!(client.create(&seed, None).await.unwrap().0, full);
    assert_eq!(
        name(client.create(&seed, Some(false)).await.unwrap().1),
        "Retry"
    );
    assert_eq!(client.create_from_asset(ID).await.unwrap(), ID);
    client.delete(ID).await.unwrap();
    assert_eq!(name(client.update(&full).await.unwrap()), "Retry");
    assert_eq!(client.create_asset(&seed).await.unwrap(), ID);
    assert_eq!(client.asset_identifiers().await.unwrap(), [ID]);
    assert_eq!(client.anchors().await.unwrap().len(), 1);

    let expected = [
        "GET /.well-known/health",
        "GET /.well-known/version",
        "POST /connect",
        "GET /conversations/identifiers",
        "GET /conversations/identifiers",
        "GET /conversations",
        "GET /conversations?transferables=true",
        "GET /conversation/ID?transferables=false",
        "GET /conversation/ID?transferables=true",
        "POST /conversations/create",
        "POST /conversations/create?transferables=false",
        "POST /conversations/create/from_asset/ID",
        "POST /conversations/ID/delete",
        "POST /conversation/update?transferables=false",
        "POST /assets/create?transferables=false",
        "GET /assets/identifiers",
        "GET /anchors?transferables=true",
    ];
    assert_eq!(
        server.asked(),
        expected.map(|line| line.replace("ID", &ID.to_string()))
    );

    let requests = server.requests.lock().unwrap().clone();
    for request in &requests {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert_eq!(head.contains("\ncontent-type:"), !body.is_empty(), "{head}");
        assert!(
            !head.contains("\nauthorization:") && !head.contains("\norigin:"),
            "{head}"
        );
    }
    let sent: Value = serde_json::from_str(requests[2].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(sent["application"]["name"], "OPEN_SOURCE");
    assert_eq!(sent["application"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        ["LINUX", "MACOS", "WINDOWS"].contains(&sent["application"]["platform"].as_str().unwrap())
    );
}

#[tokio::test]
async fn the_token_goes_with_every_request() {
    let server = Server::start([Keep(ok("ok:1")), Keep(ok(conversation("x")))]).await;
    let client = Client::new(server.base.clone(), Some("t0k3n".into())).unwrap();
    client.health().await.unwrap();
    client.create(&json!({}), None).await.unwrap();
    let _ = client.watch().await;
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    for request in requests.iter() {
        assert!(
            request
                .to_ascii_lowercase()
                .contains("\r\nauthorization: bearer t0k3n\r\n"),
            "{request}"
        );
    }
    drop(requests);
    let error = Client::new(server.base.clone(), Some("a\nb".into()))
        .err()
        .unwrap();
    assert!(!error.to_string().contains("a\nb"));
}

// ---- Statuses and transport failures, the same for every call.

/// How a call ended: the kind, the status, and whether the outcome is unknown.
type Ended = (Kind, Option<u16>, bool);

fn ended<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Ended {
    let error = outcome.unwrap_err();
    assert!(
        error.message.ends_with('.') && !error.message.contains('\n'),
        "{error}"
    );
    (error.kind, error.status, error.outcome_unknown)
}

#[tokio::test]
async fn statuses() {
    let table = [
        ("401 Unauthorized", Kind::SignedOut, false),
        ("593 Update Required", Kind::UpdateRequired, false),
        ("404 Not Found", Kind::NotFound, false),
        ("410 Gone", Kind::NotFound, false),
        ("301 Moved", Kind::Refused, false),
        ("302 Found", Kind::Refused, false),
        ("307 Temporary", Kind::Refused, false),
        ("304 Not Modified", Kind::Refused, false),
        ("400 Bad", Kind::Refused, false),
        ("403 Forbidden", Kind::Refused, false),
        ("418 Teapot", Kind::Refused, false),
        ("429 Slow", Kind::Refused, false),
        ("500 Oops", Kind::Refused, true),
        ("501 Never", Kind::Refused, false),
        ("502 Gateway", Kind::Refused, true),
        ("503 Later", Kind::Busy, false),
        ("999 Odd", Kind::Refused, false),
    ];
    // Where a redirect would lead: nobody may ever go there.
    let elsewhere = Server::start([Keep(ok(conversation("elsewhere")))]).await;
    for (status, kind, post_unknown) in table {
        let head = format!("{status}\r\nlocation: {}/conversations", elsewhere.base);
        let body = if status.starts_with("304") { "" } else { "why" };
        let server = Server::start([Keep(answer(&head, body))]).await;
        let client = server.client();
        let code = status[..3].parse().ok();
        assert_eq!(
            ended(client.conversation(ID).await),
            (kind, code, false),
            "{status}"
        );
        assert_eq!(ended(list(&client).await), (kind, code, false), "{status}");
        assert_eq!(
            ended(client.watch().await.map(drop)),
            (kind, code, false),
            "{status}"
        );
        assert_eq!(
            ended(client.create(&json!({}), None).await),
            (kind, code, post_unknown),
            "{status}"
        );
        assert_eq!(
            ended(client.delete(ID).await),
            (kind, code, post_unknown),
            "{status}"
        );
        assert_eq!(server.asked().len(), 5, "{status}: nothing is repeated");
    }
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_text_of_a_refusal_is_cut() {
    let text = |body: &[u8]| {
        let bytes = answer("403 No", body);
        async {
            let server = Server::start([Close(bytes)]).await;
            let error = server.client().conversation(ID).await.unwrap_err();
            assert_eq!(error.kind, Kind::Refused);
            error.detail
        }
    };
    assert_eq!(text(b"").await, None);
    assert_eq!(text(b" no model \n").await.as_deref(), Some("no model"));
    assert_eq!(text(b"caf\xe9").await.as_deref(), Some("caf\u{fffd}"));
    // 10 MB of three-byte characters: 341 of them fit into 1024 bytes.
    assert_eq!(
        text("€".repeat(3 << 20).as_bytes()).await,
        Some("€".repeat(341))
    );
    // Announced, and never sent.
    let server = Server::start([Hang(
        b"HTTP/1.1 403 No\r\ncontent-length: 100\r\n\r\nhalf".to_vec(),
    )])
    .await;
    tokio::time::pause();
    assert_eq!(
        server
            .client()
            .conversation(ID)
            .await
            .unwrap_err()
            .detail
            .as_deref(),
        Some("half")
    );
}

#[tokio::test]
async fn messages_never_contain_content() {
    let secret = "canary-6f1d";
    let bodies = [
        answer("500 Oops", secret),
        answer("302 Found", secret),
        ok(secret),
        ok(json!({"name": secret})),
        ok(json!({"iterable": secret, "id": secret})),
    ];
    for body in bodies {
        let server = Server::start([Close(body.clone())]).await;
        let client = server.client();
        let errors = [
            client.version().await.unwrap_err(),
            client.conversation(ID).await.unwrap_err(),
            list(&client).await.unwrap_err(),
            client.identifier_ids().await.unwrap_err(),
            client
                .create(&json!({"name": secret}), None)
                .await
                .unwrap_err(),
        ];
        for error in errors {
            assert!(!error.message.contains(secret), "{error}");
        }
    }
}

#[tokio::test]
async fn refused_connections() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = Client::new(BaseUrl::loopback(port), None).unwrap();
    let offline = (Kind::Offline, None, false);
    assert_eq!(ended(client.health().await), offline);
    assert_eq!(ended(list(&client).await), offline);
    assert_eq!(
        ended(client.create(&json!({}), None).await),
        offline,
        "it never left"
    );
    assert_eq!(ended(client.delete(ID).await), offline);
    assert_eq!(ended(client.watch().await.map(drop)), offline);
    let message = client.health().await.unwrap_err().message;
    assert_eq!(
        message,
        format!(
            "Pieces OS is not running at http://127.0.0.1:{port}; start it, or set `pieces.backend` to `local`."
        )
    );
}

#[tokio::test]
async fn responses_that_do_not_match_the_api() {
    let announced =
        |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    let table = [
        ("closed without a word", Close(vec![]), Kind::Offline),
        (
            "not HTTP",
            Close(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
            Kind::Protocol,
        ),
        (
            "cut within the head",
            Close(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
            Kind::Offline,
        ),
        (
            "cut within the body",
            Close([announced(100), b"{\"id\":".to_vec()].concat()),
            Kind::Protocol,
        ),
        ("empty", Keep(ok("")), Kind::Protocol),
        ("HTML", Keep(ok("<!doctype html>")), Kind::Protocol),
        ("half an object", Keep(ok("{\"id\":")), Kind::Protocol),
        ("no id", Keep(ok("{}")), Kind::Protocol),
        ("no object", Keep(ok("[]")), Kind::Protocol),
        (
            "announced too large",
            Hang(announced((16 << 20) + 1)),
            Kind::Protocol,
        ),
        (
            "chunked too large",
            Close(chunked(&" ".repeat((16 << 20) + 1), 1 << 20)),
            Kind::Protocol,
        ),
    ];
    for (name, answer, kind) in table {
        let server = Server::start([answer]).await;
        let client = server.client();
        assert_eq!(
            ended(client.create(&json!({}), None).await),
            (kind, None, true),
            "POST {name}"
        );
        assert_eq!(server.asked().len(), 1, "a POST is sent once: {name}");
        assert_eq!(
            ended(client.conversation(ID).await),
            (kind, None, false),
            "GET {name}"
        );
    }
}

#[tokio::test]
async fn a_success_without_a_usable_answer_is_enough_for_a_delete() {
    for bytes in [
        answer("200 OK", "deleted"),
        answer("204 No Content", ""),
        answer("202 Accepted", "{"),
    ] {
        let server = Server::start([Keep(bytes)]).await;
        server.client().delete(ID).await.unwrap();
    }
}

#[tokio::test]
async fn a_get_survives_a_kept_connection_that_died() {
    let server = Server::start([Keep(ok("ok:1")), Close(vec![]), Keep(ok("ok:2"))]).await;
    let client = server.client();
    assert_eq!(client.health().await.unwrap(), "ok:1");
    assert_eq!(client.health().await.unwrap(), "ok:2");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_get_is_tried_twice_at_most() {
    let server = Server::start([Close(vec![])]).await;
    assert_eq!(
        ended(server.client().health().await),
        (Kind::Offline, None, false)
    );
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn gets_share_a_connection_and_posts_do_not() {
    let server = Server::start([Keep(ok(conversation("x")))]).await;
    let client = server.client();
    for _ in 0..3 {
        client.clone().conversation(ID).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    for posts in 1..=3 {
        client.create(&json!({}), None).await.unwrap();
        assert_eq!(server.connections.load(Ordering::SeqCst), 1 + posts);
    }
    client.conversation(ID).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn at_most_two_gets_are_in_flight() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(
        BaseUrl::loopback(listener.local_addr().unwrap().port()),
        None,
    )
    .unwrap();
    let (current, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (current.clone(), most.clone());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let (current, most) = counters.clone();
            tokio::spawn(async move {
                while read_request(&mut connection).await.is_some() {
                    most.fetch_max(current.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Everyone who can send has every chance to.
                    for _ in 0..200 {
                        tokio::task::yield_now().await;
                    }
                    current.fetch_sub(1, Ordering::SeqCst);
                    connection.write_all(&ok("ok:1")).await.unwrap();
                }
            });
        }
    });
    let calls = (0..12).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.health().await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// What a person asks for does not wait for the background, whatever that waits for.
#[tokio::test]
async fn hanging_background_requests_delay_no_user() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = BaseUrl::loopback(listener.local_addr().unwrap().port());
    let client = Client::new(base, None).unwrap();
    let (hanging, mut hangs) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let hanging = hanging.clone();
            tokio::spawn(async move {
                while let Some(request) = read_request(&mut connection).await {
                    if request.starts_with("GET /anchors") {
                        hanging.send(()).unwrap();
                        std::future::pending::<()>().await;
                    }
                    connection.write_all(&ok("ok:1")).await.unwrap();
                }
            });
        }
    });
    let background = client.in_background();
    let reads: Vec<_> = (0..3)
        .map(|_| {
            let background = background.clone();
            tokio::spawn(async move { background.anchors().await.map(drop) })
        })
        .collect();
    for _ in 0..2 {
        hangs.recv().await.unwrap();
    }
    assert_eq!(client.health().await.unwrap(), "ok:1");
    assert!(hangs.try_recv().is_err(), "the third waits for a permit");
    reads.iter().for_each(tokio::task::JoinHandle::abort);
}

// ---- Deadlines, on a paused clock: it jumps ahead as soon as nobody can do anything else.

#[tokio::test(start_paused = true)]
async fn every_wait_has_a_deadline() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec();
    for bytes in [vec![], b"HTTP/1.1 200".to_vec(), head] {
        let server = Server::start([Hang(bytes)]).await;
        let client = server.client();
        let within =
            async |seconds: u64, ended: Ended, unknown: bool, since: tokio::time::Instant| {
                assert_eq!(ended, (Kind::Timeout, None, unknown));
                assert_eq!(since.elapsed().as_secs(), seconds);
            };
        let now = tokio::time::Instant::now;
        let since = now();
        within(10, ended(client.conversation(ID).await), false, since).await;
        let since = now();
        within(
            30,
            ended(client.create(&json!({}), None).await),
            true,
            since,
        )
        .await;
        let since = now();
        within(120, ended(client.create_from_asset(ID).await), true, since).await;
        assert_eq!(
            server.asked().len(),
            3,
            "nothing is repeated after a timeout"
        );
    }
    let server = Server::start([Hang(vec![])]).await;
    let since = tokio::time::Instant::now();
    assert_eq!(
        ended(server.client().watch().await.map(drop)),
        (Kind::Timeout, None, false)
    );
    assert_eq!(since.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_start_is_given_up() {
    let server = Server::start([Hang(vec![])]).await;
    let since = tokio::time::Instant::now();
    assert_eq!(
        ended(list(&server.client()).await),
        (Kind::Timeout, None, false)
    );
    assert_eq!(since.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_stalls_is_given_up() {
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    let body = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{{\"iterable\":[{},",
        conversation("x")
    );
    let server = Server::start([Hang(body.into_bytes())]).await;
    let client = server.client();
    let (added, mut first) = unbounded_channel();
    let listing = tokio::spawn(async move {
        let add = |added: &mut UnboundedSender<()>, _: Conversation<'_>| added.send(()).unwrap();
        client
            .list(false, added, add)
            .await
            .map(|(_, listed)| listed)
    });
    // The clock does not jump while the parser's thread runs, so it is moved here.
    first.recv().await.unwrap();
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_millis(29_900)).await;
    assert!(!listing.is_finished());
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(ended(listing.await.unwrap()), (Kind::Timeout, None, false));
}

// ---- The list.

#[tokio::test]
async fn a_list_in_any_chunks() {
    let names: Vec<_> = (0..50)
        .map(|n| format!("Conversation {n} \u{1f600} \"quoted\""))
        .collect();
    let mut items: Vec<_> = names.iter().map(|name| conversation(name)).collect();
    items.insert(7, json!({"id": "not an id"}));
    items.insert(20, json!(null));
    let body = json!({"aaa": {"x": [1, "]}"]}, "indices": {ID.to_string(): 0}, "iterable": items, "score": null});
    let body = body.to_string();
    for bytes in [
        ok(&body),
        chunked(&body, 1),
        chunked(&body, 7),
        chunked(&body, 1000),
    ] {
        let server = Server::start([Keep(bytes)]).await;
        assert_eq!(
            list(&server.client()).await.unwrap(),
            (names.clone(), 50, 2)
        );
        assert_eq!(server.asked(), ["GET /conversations?transferables=false"]);
    }
}

#[tokio::test]
async fn lists_that_cannot_be_trusted() {
    let item = conversation("x");
    let html = answer(
        "200 OK\r\ncontent-type: text/html; charset=utf-8",
        "{\"iterable\":[]}",
    );
    let announced = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec(),
        b"{\"iterable\":[".to_vec(),
    ]
    .concat();
    let unended =
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"i".to_vec()].concat();
    let table = [
        ("no list", ok("{}")),
        ("HTML", ok("<html></html>")),
        ("called HTML", html),
        ("a bare array", ok(format!("[{item}]"))),
        ("cut", ok(format!("{{\"iterable\":[{item},"))),
        ("cut, and called so", announced),
        ("cut between chunks", unended),
        ("broken", ok(format!("{{\"iterable\":[{item} {item}]}}"))),
        (
            "more after its end",
            ok(format!("{{\"iterable\":[{item}]}}}}")),
        ),
    ];
    for (name, bytes) in table {
        let server = Server::start([Close(bytes)]).await;
        assert_eq!(
            ended(list(&server.client()).await),
            (Kind::Protocol, None, false),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_cancelled_list_releases_its_permit() {
    let server = Server::start([
        Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"iterable\":[".to_vec()),
        Hang(vec![]),
        Keep(ok("ok:1")),
    ])
    .await;
    let client = server.client();
    for n in 1..=2 {
        let listing = tokio::spawn({
            let client = client.clone();
            async move { list(&client).await }
        });
        let sent = async {
            while server.asked().len() < n {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), sent)
            .await
            .unwrap();
        listing.abort();
        assert!(listing.await.unwrap_err().is_cancelled());
    }
    assert_eq!(client.health().await.unwrap(), "ok:1");
}

// ---- The stream, over a real socket.

#[tokio::test]
async fn a_stream_from_a_real_server() {
    use futures_util::{SinkExt, StreamExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(
        BaseUrl::loopback(listener.local_addr().unwrap().port()),
        None,
    )
    .unwrap();
    let serving = tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(connection).await.unwrap();
        // A first frame of 100,000 ids, about 11 MB.
        let item = format!(
            r#"{{"conversation":{{"id":"{ID}"}},"updated":{{"value":"2026-11-18T10:00:00.000Z"}}}}"#
        );
        let items = vec![item; 100_000].join(",");
        socket
            .send(format!(r#"{{"iterable":[{items}]}}"#).into())
            .await
            .unwrap();
        socket.close(None).await.unwrap();
        while socket.next().await.is_some() {}
    });
    let mut stream = client.watch().await.unwrap();
    let Frame::Changes { changes, malformed } = stream.next().await.unwrap() else {
        panic!("nothing but a pong");
    };
    assert_eq!((changes.len(), malformed), (100_000, false));
    assert_eq!(ended(stream.next().await), (Kind::Offline, None, false));
    drop(stream);
    serving.await.unwrap();
}

// ---- The environment.

#[test]
fn proxies_in_the_environment_are_ignored() {
    const BASE: &str = "PIECES_CLIENT_TEST_BASE";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Ok(base) = std::env::var(BASE) {
        // We are the child below, in an environment full of proxies.
        let client =
            Client::new(BaseUrl::parse(&base, PlainHttp::Loopback).unwrap(), None).unwrap();
        runtime.block_on(client.health()).unwrap();
        runtime.block_on(client.create(&json!({}), None)).unwrap();
        return;
    }
    runtime.block_on(async {
        let server = Server::start([Keep(ok("ok:1")), Keep(ok(conversation("x")))]).await;
        let proxy =
            Server::start([Keep(answer("200 OK", conversation("proxied").to_string()))]).await;
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "proxies_in_the_environment_are_ignored"])
            .env(BASE, server.base.as_str());
        for name in [
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "all_proxy",
            "ALL_PROXY",
        ] {
            child.env(name, proxy.base.as_str());
        }
        let child = child.env_remove("no_proxy").env_remove("NO_PROXY").output();
        let output = tokio::time::timeout(Duration::from_secs(30), child)
            .await
            .unwrap()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        assert_eq!(
            (
                server.asked().len(),
                proxy.connections.load(Ordering::SeqCst)
            ),
            (2, 0)
        );
    });
}
