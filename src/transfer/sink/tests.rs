use super::*;
use crate::pieces::{BaseUrl, PlainHttp};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

/// A local service that refuses requests with an object named `bad`, and fails at those named by a status.
async fn choosy_service() -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let mut socket = BufReader::new(socket);
            let mut length = 0;
            loop {
                let mut line = String::new();
                socket.read_line(&mut line).await.unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let objects = body["objects"].as_array().unwrap();
            let named = |name: &str| objects.iter().any(|one| one["website"]["name"] == name);
            let answer = match () {
                () if named("bad") => ("400 Bad Request", "no".to_owned()),
                () if named("500") => ("500 Internal Server Error", "no".to_owned()),
                () if named("507") => ("507 Insufficient Storage", "no".to_owned()),
                () => {
                    let outcomes = vec!["new"; objects.len()];
                    ("200 OK", json!({"outcomes": outcomes}).to_string())
                }
            };
            let (status, text) = answer;
            let length = text.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            socket.write_all((head + &text).as_bytes()).await.unwrap();
            socket.flush().await.unwrap();
        }
    });
    Client::new(BaseUrl::parse(&base, PlainHttp::Loopback).unwrap(), None).unwrap()
}

#[tokio::test]
async fn a_refused_object_loses_only_itself() {
    let mut sink = Sink::new(choosy_service().await, false);
    for n in 0..20_u128 {
        let name = if n == 3 || n == 17 { "bad" } else { "good" };
        let website = json!({"id": Uuid::from_u128(n), "name": name});
        sink.put(Kind::Website, website).await.unwrap();
    }
    sink.flush().await.unwrap();
    let Counts {
        new, unreadable, ..
    } = sink.report.counts;
    assert_eq!((new, unreadable), (18, 2));
    let named: Vec<_> = sink.report.unreadable.iter().map(|one| &one.what).collect();
    let website = |n| format!("website {}", Uuid::from_u128(n));
    assert_eq!(named, [&website(3), &website(17)]);
}

#[tokio::test]
async fn a_service_that_fails_whatever_it_is_sent_ends_the_import() {
    // Status, objects that it fails at, whether the import ends, objects that are counted as unreadable.
    for (status, failing, ends, unreadable) in [
        ("507", 1, true, 0),
        ("500", 2, false, 2),
        ("500", 3, true, 2),
    ] {
        let mut sink = Sink::new(choosy_service().await, false);
        for n in 0..20_u128 {
            let name = if n < failing { status } else { "good" };
            let website = json!({"id": Uuid::from_u128(n), "name": name});
            sink.put(Kind::Website, website).await.unwrap();
        }
        let ended = sink.flush().await.is_err();
        assert_eq!(
            (ended, sink.report.counts.unreadable),
            (ends, unreadable),
            "{status} {failing}"
        );
    }
}

#[test]
fn adding_associations_is_linear() {
    // Quadratic work on this many would take minutes.
    let ids = || (0..100_000_u128).map(Uuid::from_u128);
    let mut object = Map::new();
    let ties = || ids().map(|id| (Kind::Asset, id)).collect();
    add_ties(Kind::Anchor, &mut object, ties());
    add_ties(Kind::Anchor, &mut object, ties());
    assert_eq!(live_ids(&object["assets"]), ids().collect::<Vec<_>>());
}

#[test]
fn annotations_name_one_object_of_a_kind_and_other_objects_with_a_text_none() {
    let [a, b] = [1, 2].map(Uuid::from_u128);
    let tied = |what: Kind, object: Value, ties: &[(Kind, Uuid)]| {
        let mut object = object.as_object().unwrap().clone();
        add_ties(what, &mut object, ties.to_vec());
        Value::Object(object)
    };
    let list = |id| json!({"iterable": [{"id": id}]});
    let both = [(Kind::Anchor, a), (Kind::Anchor, b)];
    assert_eq!(
        tied(Kind::Annotation, json!({"text": "x"}), &both),
        json!({"text": "x", "anchor": {"id": a}, "anchors": list(b)})
    );
    assert_eq!(
        tied(Kind::Annotation, json!({"anchor": {"id": b}}), &both),
        json!({"anchor": {"id": b}, "anchors": list(a)})
    );
    assert_eq!(
        tied(Kind::Anchor, json!({"text": "x"}), &[(Kind::Asset, a)]),
        json!({"text": "x", "assets": list(a)})
    );
}
