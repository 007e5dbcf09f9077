use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::error::Kind;
use super::super::held;
use super::*;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};

type Requests = Arc<Mutex<Vec<String>>>;

/// A service on its own port that answers every request with `answer`.
async fn serve(answer: &str) -> (u16, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Requests::default();
    let (answer, log) = (answer.to_owned(), requests.clone());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap_or(0);
            log.lock()
                .unwrap()
                .push(String::from_utf8_lossy(&request[..length]).into_owned());
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    (port, requests)
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A port on which nothing listens, and which no other program gets meanwhile.
fn closed_port() -> (u16, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap().port(), socket)
}

/// Looks at files with the given texts, then at the groups of ports, without any deadline.
async fn find(files: &[String], ports: &[&[u16]]) -> Result<(u16, String), Error> {
    let _held = held();
    find_in_time(files, ports).await
}

async fn find_in_time(files: &[String], ports: &[&[u16]]) -> Result<(u16, String), Error> {
    let directory = tempfile::tempdir().unwrap();
    let mut discovery = Discovery {
        port_files: vec![directory.path().join("absent"), directory.path().to_owned()],
        ports: ports.iter().map(|ports| ports.to_vec()).collect(),
    };
    for (n, text) in files.iter().enumerate() {
        let path = directory.path().join(n.to_string());
        std::fs::write(&path, text).unwrap();
        discovery.port_files.push(path);
    }
    let Found {
        client_base,
        health,
        ..
    } = discovery.find().await?;
    let port = client_base
        .as_str()
        .strip_prefix("http://127.0.0.1:")
        .unwrap()
        .parse()
        .unwrap();
    Ok((port, health))
}

#[tokio::test(start_paused = true)]
async fn the_port_file_wins_without_a_scan() {
    let (one, _) = serve(&ok("ok:1\n")).await;
    let (other, asked) = serve(&ok("ok:2")).await;
    assert_eq!(
        find(&[format!(" {one}\r\n")], &[&[other]]).await,
        Ok((one, "ok:1".into()))
    );
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn useless_port_files_count_as_absent() {
    let (scanned, _) = serve(&ok("migrating")).await;
    let (closed, _socket) = closed_port();
    let files = [
        "",
        "x",
        "0",
        "-1",
        "99999",
        "1 2",
        &"1".repeat(100),
        &closed.to_string(),
    ];
    let files = files.map(str::to_owned);
    assert_eq!(
        find(&files, &[&[scanned]]).await,
        Ok((scanned, "migrating".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn groups_are_tried_in_order() {
    let (new, _) = serve(&ok("ok:1")).await;
    let (old, asked) = serve(&ok("ok:2")).await;
    let (closed, _socket) = closed_port();
    assert_eq!(
        find(&[], &[&[closed, new], &[old]]).await,
        Ok((new, "ok:1".into()))
    );
    assert_eq!(asked.lock().unwrap().len(), 0);
    assert_eq!(
        find(&[], &[&[closed], &[old]]).await,
        Ok((old, "ok:2".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn other_programs_are_skipped() {
    let long = format!("ok:{}", "x".repeat(2000));
    let local =
        "HTTP/1.1 200 OK\r\nserver: pieces-lsp/0.1.0\r\ncontent-length: 4\r\n\r\nok:1".to_owned();
    let moved =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 4\r\n\r\nok:1"
            .to_owned();
    let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nok:1".to_owned();
    let others = [
        ok(""),
        ok("ok"),
        ok("OK:1"),
        ok("migrating!"),
        ok("<html>ok:1"),
        ok(&long),
        local,
        moved,
        missing,
        "?".into(),
    ];
    let (pieces, _) = serve(&ok("ok:1")).await;
    for other in others {
        let (port, asked) = serve(&other).await;
        assert_eq!(
            find(&[port.to_string()], &[&[port, pieces]]).await,
            Ok((pieces, "ok:1".into())),
            "{other}"
        );
        assert!(!asked.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn several_services_are_not_guessed_between() {
    let (one, _) = serve(&ok("ok:1")).await;
    let (other, _) = serve(&ok("ok:1")).await;
    for (files, ports) in [
        (vec![], vec![one, other]),
        (vec![one.to_string(), other.to_string()], vec![]),
    ] {
        let error = find(&files, &[&ports]).await.unwrap_err();
        assert_eq!(error.kind, Kind::Offline);
        for part in ["`pieces.url`", &one.to_string(), &other.to_string()] {
            assert!(error.message.contains(part), "{error}");
        }
    }
    // The same port twice is one service.
    let twice = [one.to_string(), one.to_string()];
    assert_eq!(find(&twice, &[&[one]]).await, Ok((one, "ok:1".into())));
}

#[tokio::test(start_paused = true)]
async fn a_survey_reports_every_place() {
    let (pieces, _) = serve(&ok("ok:1")).await;
    let (stranger, _) = serve(&ok("hello")).await;
    let (garbage, _) = serve("?").await;
    let local = "HTTP/1.1 401 Unauthorized\r\nserver: pieces-lsp/1\r\ncontent-length: 0\r\n\r\n";
    let (local, _) = serve(local).await;
    let (closed, _socket) = closed_port();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let absent = directory.path().join("absent");
    let (good, bad) = (file("good", &pieces.to_string()), file("bad", "x"));
    let discovery = Discovery {
        port_files: vec![absent.clone(), good.clone(), bad.clone()],
        ports: vec![vec![closed, stranger], vec![garbage, local]],
    };
    let expected = [
        (Place::File(absent, None), Seen::NoFile),
        (
            Place::File(good, Some(pieces)),
            Seen::PiecesOs("ok:1".into()),
        ),
        (Place::File(bad, None), Seen::NoPort),
        (Place::Port(closed), Seen::Closed),
        (Place::Port(stranger), Seen::Stranger),
        (Place::Port(garbage), Seen::Stranger),
        (Place::Port(local), Seen::LocalService),
    ];
    let held = held();
    assert_eq!(discovery.survey().await.unwrap(), expected);
    drop(held);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let discovery = Discovery {
        port_files: Vec::new(),
        ports: vec![vec![port]],
    };
    let expected = [(Place::Port(port), Seen::Silent)];
    assert_eq!(discovery.survey().await.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn no_service_found() {
    let (closed, _socket) = closed_port();
    let error = find(&[], &[&[closed], &[]]).await.unwrap_err();
    assert_eq!(error.kind, Kind::Offline);
    assert!(error.message.contains("start it"), "{error}");
}

/// Linux reports the owner of a socket, and root can give one away.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_process_of_another_user_is_skipped() {
    const OTHER: u32 = 65_534;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ours, _) = serve(&ok("ok:1")).await;
    if std::os::unix::fs::fchown(&listener, Some(OTHER), None).is_err() {
        // Needs root; the parser is tested beside its code.
        assert_eq!(listener::owner(port).await, Owner::Ours);
        return;
    }
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 4096]).await;
            let _ = connection.write_all(ok("ok:impostor").as_bytes()).await;
        }
    });
    let found = find(&[port.to_string()], &[&[port, ours]]).await;
    assert_eq!(found, Ok((ours, "ok:1".into())));
    let alone = find(&[], &[&[port]]).await.unwrap_err();
    assert_eq!(alone.kind, Kind::Offline);
    let discovery = Discovery {
        port_files: Vec::new(),
        ports: vec![vec![port]],
    };
    let _held = held();
    let seen = discovery.survey().await.unwrap();
    assert_eq!(seen, [(Place::Port(port), Seen::OtherUser(OTHER))]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_port_does_not_delay_the_search() {
    // Accepted by the system, never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let started = tokio::time::Instant::now();
    let error = find_in_time(&[port.to_string()], &[&[port], &[port]])
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Offline);
    assert!(
        started.elapsed() <= limits::PROBE_ANSWER,
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_service_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let received = connection.read(&mut [0; 4096]).await.unwrap();
        assert!(received > 0);
        tokio::time::advance(Duration::from_millis(1900)).await;
        connection.write_all(ok("ok:1").as_bytes()).await.unwrap();
        connection
    };
    let ports = [port];
    let groups = [&ports[..]];
    let (found, _connection) = tokio::join!(find(&[], &groups), answering);
    assert_eq!(found, Ok((port, "ok:1".into())));
}

#[tokio::test(start_paused = true)]
async fn a_probe_gives_nothing_away() {
    let (port, requests) = serve(&ok("ok:1")).await;
    find(&[], &[&[port]]).await.unwrap();
    let requests = requests.lock().unwrap();
    let [request] = &requests[..] else {
        panic!("{requests:?}");
    };
    let mut lines: Vec<_> = request.trim_end().split("\r\n").collect();
    // The HTTP client chooses the order of the headers.
    lines[1..].sort_unstable();
    let host = format!("host: 127.0.0.1:{port}");
    let expected = ["GET /.well-known/health HTTP/1.1", "accept: */*", &host];
    assert_eq!(lines, expected);
}

#[test]
fn standard_places() {
    let files = port_files(Some("/home/u".into()), Some("C:\\Local".into()));
    assert!(!files.is_empty());
    for file in &files {
        assert!(
            file.ends_with("com.pieces.os/production/Config/.port.txt"),
            "{}",
            file.display()
        );
    }
    assert_eq!(port_files(None, None), Vec::<PathBuf>::new());
    let ports = Discovery::standard().ports.concat();
    assert_eq!((ports.len(), ports[0], ports[33]), (36, 39300, 39333));
}
