//! The stand-in has to misbehave exactly as told, or the tests that rely on it prove nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use futures_util::StreamExt;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;
use support::DEADLINE;
use support::standin::{Fault, FirstFrame, StandIn};
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message};

fn client() -> Client {
    Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .build()
        .unwrap()
}

async fn call(standin: &StandIn, method: Method, path: &str, body: Value) -> (u16, String) {
    let request = client().request(method, standin.url() + path);
    let request = match body {
        Value::Null => request,
        body => request.body(body.to_string()),
    };
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn get(standin: &StandIn, path: &str) -> (u16, Value) {
    let (status, text) = call(standin, Method::GET, path, Value::Null).await;
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

type Stream =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn watch(standin: &StandIn) -> Stream {
    let url = standin.url().replace("http", "ws") + "/conversations/stream/identifiers";
    connect_async(url).await.unwrap().0
}

async fn frame(stream: &mut Stream) -> Value {
    let message = timeout(DEADLINE, stream.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn serves_the_main_job() {
    let standin = StandIn::start();
    assert!(
        get(&standin, "/.well-known/health")
            .await
            .1
            .as_str()
            .unwrap()
            .starts_with("ok:")
    );
    let mut stream = watch(&standin).await;
    assert_eq!(frame(&mut stream).await, json!({"iterable": []}));

    let asset = standin.create_asset("a.rs", "rs", "fn main() {}");
    let from_asset = format!("/conversations/create/from_asset/{asset}");
    let (status, created) = call(&standin, Method::POST, &from_asset, Value::Null).await;
    assert_eq!(status, 200);
    let created: Value = serde_json::from_str(&created).unwrap();
    let id = created["conversation"]["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(
            frame(&mut stream).await["iterable"][0]["conversation"]["id"],
            id
        );
    }
    let (_, conversation) = get(&standin, &format!("/conversation/{id}")).await;
    assert_eq!(conversation["name"], "a.rs");
    assert_eq!(conversation["assets"]["indices"][&asset], 0);
    let (_, tied) = get(&standin, &format!("/asset/{asset}/conversations")).await;
    assert_eq!(tied["iterable"][0]["id"], id);

    let delete = format!("/conversations/{id}/delete");
    assert_eq!(
        call(&standin, Method::POST, &delete, Value::Null).await,
        (204, String::new())
    );
    assert_eq!(frame(&mut stream).await["iterable"][0]["deleted"], true);
    assert_eq!(get(&standin, &format!("/conversation/{id}")).await.0, 410);
    assert_eq!(standin.requests("POST /conversations/{id}/delete"), 1);
    assert_eq!(standin.requests("GET /conversation/{id}"), 2);
    assert_eq!(
        get(&standin, "/nowhere").await,
        (404, json!("Route not found"))
    );
}

#[tokio::test]
async fn routes_can_be_missing() {
    let standin = StandIn::start();
    let id = standin.create("one");
    standin.with(|state| state.six_endpoints_only = true);
    assert_eq!(get(&standin, &format!("/conversation/{id}")).await.0, 404);
    assert_eq!(get(&standin, "/.well-known/health").await.0, 404);
    assert_eq!(
        get(&standin, "/conversations").await.1["iterable"][0]["name"],
        "one"
    );
    standin.with(|state| {
        state.six_endpoints_only = false;
        state.switched_off.push("GET /conversations".to_owned());
    });
    assert_eq!(get(&standin, "/conversations").await.0, 404);
    assert_eq!(get(&standin, "/conversations/identifiers").await.0, 200);
}

#[tokio::test]
async fn scripted_faults_happen() {
    let mut standin = StandIn::start();
    standin.create("one");
    standin.fault_times("GET /conversations", Fault::Status(593, "update"), 1);
    assert_eq!(
        get(&standin, "/conversations").await,
        (593, json!("update"))
    );
    assert_eq!(get(&standin, "/conversations").await.0, 200);

    standin.fault("POST *", Fault::Status(503, "read only"));
    assert_eq!(
        call(&standin, Method::POST, "/conversations/create", json!({}))
            .await
            .0,
        503
    );
    standin.heal();
    assert_eq!(
        standin.with(|state| state.conversations.len()),
        1,
        "not carried out"
    );

    let html = Fault::Body("text/html", "<html>".to_owned());
    standin.fault("GET /conversations", html);
    assert_eq!(
        get(&standin, "/conversations").await,
        (200, json!("<html>"))
    );
    standin.fault(
        "GET /conversations",
        Fault::Edit(|v| v["iterable"][0]["name"] = json!(7)),
    );
    assert_eq!(
        get(&standin, "/conversations").await.1["iterable"][0]["name"],
        7
    );

    standin.fault("*", Fault::Truncate);
    let response = client()
        .get(standin.url() + "/conversations")
        .send()
        .await
        .unwrap();
    assert!(response.content_length().unwrap() > 2);
    assert!(response.bytes().await.is_err());

    standin.fault("*", Fault::Drop);
    assert!(
        client()
            .get(standin.url() + "/conversations")
            .send()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_lost_reply_is_carried_out() {
    let mut standin = StandIn::start();
    let create = || {
        client()
            .post(standin.url() + "/conversations/create")
            .body("{}")
    };
    standin.fault("POST /conversations/create", Fault::LoseReply);
    assert!(create().send().await.is_err());
    assert_eq!(standin.with(|state| state.conversations.len()), 1);
    standin.fault("POST /conversations/create", Fault::HangReply);
    let asked = tokio::spawn(create().send());
    standin
        .until("carried out", |state| state.conversations.len() == 2)
        .await;
    let waited = timeout(Duration::from_millis(50), asked).await;
    assert!(waited.is_err(), "no answer comes");
    standin.heal();
}

#[tokio::test]
async fn a_held_reply_is_stale() {
    let standin = StandIn::start();
    let id = standin.create("old");
    standin.fault_times("GET /conversation/{id}", Fault::HoldReply, 1);
    let url = format!("{}/conversation/{id}", standin.url());
    let held = tokio::spawn(client().get(url).send());
    standin
        .until("held", |state| state.held_replies() == 1)
        .await;
    standin.rename(&id, "new");
    standin.release_replies();
    let text = held.await.unwrap().unwrap().text().await.unwrap();
    assert!(text.contains("old"), "{text}");
}

#[tokio::test]
async fn scripted_frames_are_sent() {
    let standin = StandIn::start();
    standin.fill((0..3).map(|n| n.to_string()));
    standin.with(|state| state.first_frame = FirstFrame::Split(2));
    let mut stream = watch(&standin).await;
    for items in [2, 1] {
        assert_eq!(
            frame(&mut stream).await["iterable"]
                .as_array()
                .unwrap()
                .len(),
            items
        );
    }
    standin.wait_websockets(1);
    standin.with(|state| state.first_frame = FirstFrame::Missing);
    let mut second = watch(&standin).await;
    standin.wait_websockets(2);
    standin.push_frame(json!({"foreign": 1}));
    assert_eq!(
        frame(&mut second).await,
        json!({"foreign": 1}),
        "no first frame"
    );
    assert_eq!(frame(&mut stream).await, json!({"foreign": 1}));

    standin.with(|state| state.frames_without_updated = true);
    standin.hold_frames();
    let id = standin.create("a");
    standin.delete(&id);
    standin.release_frames(|frames| frames.reverse());
    assert_eq!(frame(&mut stream).await["iterable"][0]["deleted"], true);
    let created = frame(&mut stream).await;
    assert_eq!(created, json!({"iterable": [{"conversation": {"id": id}}]}));

    standin.with(|state| state.frames_twice = true);
    let id = standin.create("b");
    for _ in 0..2 {
        assert_eq!(
            frame(&mut stream).await["iterable"][0]["conversation"]["id"],
            id
        );
    }
    drop((stream, second));
    standin.wait_websockets(0);
}

#[tokio::test]
async fn scripted_connection_failures_happen() {
    let mut standin = StandIn::start();
    let brief = Duration::from_millis(50);
    let ask = |url: String| async move { client().get(url + "/conversations").send().await };

    let mut stream = watch(&standin).await;
    frame(&mut stream).await;
    standin.freeze();
    standin.create("unseen");
    assert!(
        timeout(brief, stream.next()).await.is_err(),
        "nothing moves"
    );
    assert!(ask(standin.url()).await.is_ok(), "new connections work");
    standin.sever();
    let end = timeout(DEADLINE, stream.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "cut: {end:?}");

    standin.accept_silently();
    assert!(
        timeout(brief, ask(standin.url())).await.is_err(),
        "accepted, no answer"
    );
    standin.refuse();
    assert!(ask(standin.url()).await.unwrap_err().is_connect());
    let url = standin.url();
    standin.heal();
    assert_eq!(url, standin.url());
    assert!(ask(standin.url()).await.is_ok(), "the same port again");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("Config/.port.txt");
    standin.publish_port(&file);
    standin.restart_elsewhere();
    assert_ne!(url, standin.url());
    assert!(ask(url).await.unwrap_err().is_connect());
    assert!(ask(standin.url()).await.is_ok());
    let written = std::fs::read_to_string(file).unwrap();
    assert_eq!(written.trim(), standin.port().to_string());
}

#[tokio::test]
async fn requests_in_flight_are_counted() {
    let standin = StandIn::start();
    standin.fault("GET /conversations", Fault::Hang);
    let asked: Vec<_> = (0..3)
        .map(|_| tokio::spawn(client().get(standin.url() + "/conversations").send()))
        .collect();
    standin
        .until("three at once", |state| state.in_flight() == 3)
        .await;
    asked.into_iter().for_each(|task| task.abort());
    standin
        .until("given up", |state| state.in_flight() == 0)
        .await;
    assert_eq!(standin.max_in_flight(), 3);
    assert_eq!(standin.requests("GET *"), 3);
}
