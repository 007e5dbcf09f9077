use super::super::error::Kind;
use super::*;
use crate::pieces::PlainHttp;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

const ID: Uuid = Uuid::from_u128(0x0b9f6f0e_7d0b_4d4e_9d5e_2f7f3c1f4a10);

async fn open() -> (Identifiers<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = duplex(1 << 16);
    let base = BaseUrl::loopback(39300);
    let (client, server) = tokio::join!(
        Socket::upgrade(ours, &base, None, Watched::Conversations.purpose()),
        accept_async(theirs)
    );
    (Identifiers(client.unwrap()), server.unwrap())
}

fn upsert() -> Message {
    Message::text(format!(
        r#"{{"iterable":[{{"conversation":{{"id":"{ID}"}}}}]}}"#
    ))
}

fn upserted() -> Frame {
    Frame::Changes {
        changes: vec![Change::Upsert {
            id: ID,
            updated: None,
        }],
        malformed: false,
    }
}

#[tokio::test]
async fn a_large_frame_does_not_stay_in_memory() {
    let (mut client, mut server) = open().await;
    let item = format!("{{\"conversation\":{{\"id\":\"{ID}\"}}}}");
    let items = vec![item; 10_000].join(",");
    let large = Message::text(format!("{{\"iterable\":[{items}]}}"));
    // The first comes after the handshake, the second after a frame.
    for _ in 0..2 {
        let (sent, read) = tokio::join!(server.send(large.clone()), client.next());
        sent.unwrap();
        assert!(matches!(read, Ok(Frame::Changes { changes, .. }) if changes.len() == 10_000));
        let text = client.0.last.clone().unwrap();
        let nothing = timeout(Duration::ZERO, client.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        assert!(bytes::Bytes::from(text).is_unique());
    }
}

#[tokio::test]
async fn frames() {
    let item = |item: &str| format!(r#"{{"iterable":[{item}]}}"#);
    let conversation = format!(r#"{{"conversation":{{"id":"{ID}"}}}}"#);
    let upsert = Change::Upsert {
        id: ID,
        updated: None,
    };
    let table = [
        (Message::text(item("")), vec![], false),
        (Message::text(item(&conversation)), vec![upsert], false),
        (
            Message::text(item(&format!(
                r#"{{"asset":{{"id":"{ID}"}}}},{conversation}"#
            ))),
            vec![upsert],
            false,
        ),
        (
            Message::text(item(&format!(r#"{{"conversation":{{}}}},{conversation}"#))),
            vec![upsert],
            true,
        ),
        (
            Message::text(item(&format!(
                r#"{conversation},{{"conversation":{{"id":"{ID}"}},"deleted":true}}"#
            ))),
            vec![upsert, Change::Delete { id: ID }],
            false,
        ),
        (Message::text("{"), vec![], true),
        (Message::text(""), vec![], true),
        (Message::binary(item(&conversation)), vec![], true),
    ];
    let (mut client, mut server) = open().await;
    for (message, changes, malformed) in table {
        server.send(message.clone()).await.unwrap();
        assert_eq!(
            client.next().await.unwrap(),
            Frame::Changes { changes, malformed },
            "{message:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_given_up() {
    let (mut client, _server) = open().await;
    let started = Instant::now();
    let error = client.next().await.unwrap_err();
    assert_eq!(error.kind, Kind::Offline, "{error}");
    assert_eq!(
        started.elapsed().as_secs(),
        (limits::STREAM_IDLE + limits::STREAM_PONG).as_secs()
    );
    assert_eq!(
        client.next().await.unwrap_err(),
        error,
        "an ended stream stays ended"
    );
}

/// The first frame of a large account on a slow machine.
#[tokio::test(start_paused = true)]
async fn a_frame_that_takes_minutes_is_not_silence() {
    let (mut client, server) = open().await;
    let mut raw = server.into_inner();
    let sending = tokio::spawn(async move {
        let text = format!(r#"{{"iterable":[{{"conversation":{{"id":"{ID}"}}}}]}}"#);
        raw.write_all(&[0x81, text.len() as u8]).await.unwrap();
        for byte in text.bytes() {
            tokio::time::sleep(Duration::from_secs(5)).await;
            raw.write_all(&[byte]).await.unwrap();
        }
        raw
    });
    let started = Instant::now();
    assert_eq!(client.next().await.unwrap(), upserted());
    assert!(started.elapsed() > Duration::from_secs(300));
    // From here on it does.
    let _raw = sending.await.unwrap();
    let silent = client.next().await.unwrap_err();
    assert_eq!(silent.kind, Kind::Offline);
    let silence = limits::STREAM_IDLE + limits::STREAM_PONG;
    assert!(started.elapsed() > Duration::from_secs(300) + silence);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_is_kept() {
    let (mut client, mut server) = open().await;
    let serving = tokio::spawn(async move {
        let mut pings = 0;
        while pings < 5 {
            // The library answers while reading.
            if let Message::Ping(_) = server.next().await.unwrap().unwrap() {
                pings += 1;
            }
        }
        server.send(upsert()).await.unwrap();
    });
    let started = Instant::now();
    for _ in 0..4 {
        assert_eq!(client.next().await.unwrap(), Frame::Alive);
    }
    let mut last = client.next().await.unwrap();
    if last == Frame::Alive {
        last = client.next().await.unwrap();
    }
    assert_eq!(last, upserted());
    assert_eq!(
        started.elapsed().as_secs(),
        5 * limits::STREAM_IDLE.as_secs()
    );
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn cancelling_loses_nothing() {
    let (mut client, mut server) = open().await;
    let mut frames = 0;
    let sending = tokio::spawn(async move {
        for _ in 0..30 {
            server.send(upsert()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2500)).await;
        }
        // From here on it is silent, with the connection open.
        server
    });
    let started = Instant::now();
    let error = loop {
        // The caller polls it in a `select!` whose other branch fires every second.
        match timeout(Duration::from_secs(1), client.next()).await {
            Ok(Ok(frame)) => {
                assert_eq!(frame, upserted());
                frames += 1;
            }
            Ok(Err(error)) => break error,
            Err(_) => {}
        }
    };
    assert_eq!((frames, error.kind), (30, Kind::Offline));
    let last_frame = Duration::from_millis(29 * 2500);
    let silence = limits::STREAM_IDLE + limits::STREAM_PONG;
    assert_eq!(
        started.elapsed().as_secs(),
        (last_frame + silence).as_secs()
    );
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn pings_are_answered() {
    let (mut client, mut server) = open().await;
    server
        .send(Message::Ping("are you there".into()))
        .await
        .unwrap();
    let reading = tokio::spawn(async move { client.next().await });
    assert_eq!(
        server.next().await.unwrap().unwrap(),
        Message::Pong("are you there".into())
    );
    server.send(upsert()).await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), upserted());
}

#[tokio::test]
async fn the_ways_a_stream_ends() {
    // A text frame that announces one byte over the limit.
    let mut too_large = vec![0x81, 127];
    too_large.extend((limits::STREAM_MESSAGE as u64 + 1).to_be_bytes());
    let table: [(&str, &[u8], Kind); 6] = [
        ("reset", b"", Kind::Offline),
        ("close frame", &[0x88, 2, 3, 232], Kind::Offline),
        ("reset within a frame", &[0x81, 100, b'{'], Kind::Offline),
        ("too large", &too_large, Kind::Protocol),
        ("not a frame", b"\xf3garbage", Kind::Protocol),
        ("not UTF-8", &[0x81, 1, 0xff], Kind::Protocol),
    ];
    for (name, bytes, kind) in table {
        let (mut client, server) = open().await;
        let mut raw = server.into_inner();
        raw.write_all(bytes).await.unwrap();
        drop(raw);
        let error = client.next().await.unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(client.next().await.is_err(), "{name}");
    }
}

async fn upgrade_answered_with(answer: String, token: Option<&str>) -> (Option<Error>, String) {
    let (ours, mut theirs) = duplex(1 << 16);
    let base = BaseUrl::parse("http://127.0.0.1:39300/prefix", PlainHttp::Loopback).unwrap();
    let token = token.map(|token| HeaderValue::from_str(token).unwrap());
    let serving = async move {
        let mut request = vec![0; 1 << 14];
        let length = theirs.read(&mut request).await.unwrap();
        theirs.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request[..length].to_vec()).unwrap()
    };
    let (client, request) = tokio::join!(
        Socket::upgrade(ours, &base, token, Watched::Conversations.purpose()),
        serving
    );
    (client.err(), request)
}

#[tokio::test]
async fn refused_upgrades_mean_what_they_mean_elsewhere() {
    let table = [
        ("401 Unauthorized", Kind::SignedOut, Some(401)),
        ("593 Update", Kind::UpdateRequired, Some(593)),
        ("404 Not Found", Kind::NotFound, Some(404)),
        ("410 Gone", Kind::NotFound, Some(410)),
        ("302 Found", Kind::Refused, Some(302)),
        ("500 Oops", Kind::Refused, Some(500)),
        ("200 OK", Kind::Protocol, None),
    ];
    for (status, kind, code) in table {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: http://example.com/\r\ncontent-length: 3\r\n\r\nwhy"
        );
        let (error, _) = upgrade_answered_with(answer, None).await;
        let error = error.unwrap();
        assert_eq!(
            (error.kind, error.status, error.outcome_unknown),
            (kind, code, false),
            "{status}: {error}"
        );
    }
    for (answer, kind) in [("", Kind::Offline), ("nonsense\r\n\r\n", Kind::Protocol)] {
        let (error, _) = upgrade_answered_with(answer.into(), None).await;
        assert_eq!(error.map(|error| error.kind), Some(kind), "{answer}");
    }
}

#[tokio::test]
async fn what_the_handshake_sends() {
    let (_, request) = upgrade_answered_with(String::new(), None).await;
    assert!(
        request.starts_with("GET /prefix/conversations/stream/identifiers HTTP/1.1\r\n"),
        "{request}"
    );
    let request = request.to_ascii_lowercase();
    assert!(
        !request.contains("\norigin:") && !request.contains("\nauthorization:"),
        "{request}"
    );
    let (_, request) = upgrade_answered_with(String::new(), Some("Bearer t")).await;
    assert!(
        request
            .to_ascii_lowercase()
            .contains("\r\nauthorization: bearer t\r\n"),
        "{request}"
    );
}
