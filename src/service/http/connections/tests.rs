use super::super::guard::{self, Guard};
use super::*;
use axum::middleware;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::Instant,
};

const US: &str = "host: localhost:4000\r\n";
const TOKEN: &str = "host: localhost:4000\r\nauthorization: Bearer secret\r\n";

/// The client's end of a new connection, and the sender that keeps it open.
async fn connect(pending: &mut PendingConnections) -> (DuplexStream, watch::Sender<bool>) {
    let (ours, theirs) = duplex(1 << 16);
    let (stop, stopped) = watch::channel(false);
    let guard =
        middleware::from_fn_with_state(Arc::new(Guard::new(4000, Some("secret"))), guard::check);
    let router = Router::new().fallback(|| async { "hello" }).layer(guard);
    let place = pending.enter().await;
    tokio::spawn(serve_connection(ours, router, Some(place), stopped));
    (theirs, stop)
}

/// Everything received until the connection ends, and how long that takes.
async fn rest(connection: &mut DuplexStream) -> (String, Duration) {
    let started = Instant::now();
    let mut text = Vec::new();
    let _ = connection.read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text).into_owned();
    (text, started.elapsed())
}

async fn ask(connection: &mut DuplexStream, headers: &str) {
    let request = format!("GET /x HTTP/1.1\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
}

/// Sends a request with the token and reads the response.
async fn greet(connection: &mut DuplexStream) {
    ask(connection, TOKEN).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn unauthenticated_connections_are_closed() {
    let headers = "x: y\r\n".repeat(50);
    for start in [
        "",
        "GET /x",
        "GET /x HTTP/1.1\r\n",
        &format!("GET / HTTP/1.1\r\n{headers}"),
    ] {
        let mut pending = PendingConnections::new();
        let (mut connection, _stop) = connect(&mut pending).await;
        connection.write_all(start.as_bytes()).await.unwrap();
        let (text, time) = rest(&mut connection).await;
        assert_eq!(text, "", "{start}");
        assert_eq!(time.as_secs(), AUTH_TIMEOUT.as_secs(), "{start}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_byte_at_a_time_gains_no_time() {
    let mut pending = PendingConnections::new();
    let (mut connection, _stop) = connect(&mut pending).await;
    let started = Instant::now();
    let head = format!("GET / HTTP/1.1\r\n{TOKEN}\r\n");
    for byte in head.as_bytes() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if connection.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    let time = started.elapsed();
    assert!(time <= AUTH_TIMEOUT + Duration::from_secs(1), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn refused_connections_are_closed() {
    let preflight = "origin: http://localhost:1\r\n";
    for (method, headers, code) in [
        ("GET", US, "401"),
        ("GET", "host: evil.example\r\n", "403"),
        ("OPTIONS", &format!("{US}{preflight}"), "204"),
    ] {
        let mut pending = PendingConnections::new();
        let (mut connection, _stop) = connect(&mut pending).await;
        let request = format!("{method} /x HTTP/1.1\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let (text, time) = rest(&mut connection).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {code}")), "{text}");
        assert_eq!(time, Duration::ZERO, "{method} {headers}");
    }
}

#[tokio::test(start_paused = true)]
async fn endless_headers_end() {
    let mut pending = PendingConnections::new();
    let (mut connection, _stop) = connect(&mut pending).await;
    connection
        .write_all(b"GET / HTTP/1.1\r\nx: ")
        .await
        .unwrap();
    let mut taken = 0;
    while connection.write_all(&[b'x'; 1024]).await.is_ok() {
        taken += 1024;
    }
    // What lies in the pipe counts.
    assert!(taken <= HEAD + (1 << 16), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn heads_end_at_their_limit() {
    for (more, code) in [(0, "200"), (1, "431"), (20 << 10, "431")] {
        let mut pending = PendingConnections::new();
        let (mut connection, _stop) = connect(&mut pending).await;
        let start = format!("GET /x HTTP/1.1\r\n{TOKEN}x: ");
        let filling = "y".repeat(HEAD + more - start.len() - "\r\n\r\n".len());
        let head = format!("{start}{filling}\r\n\r\n");
        // More than the pipe takes at once.
        let (mut answers, mut requests) = tokio::io::split(&mut connection);
        let mut answer = [0; 12];
        let (read, _) = tokio::join!(
            answers.read_exact(&mut answer),
            requests.write_all(head.as_bytes())
        );
        read.unwrap();
        assert_eq!(answer, format!("HTTP/1.1 {code}").as_bytes(), "{more}");
    }
}

/// So many connections that ask for nothing.
async fn crowd(
    pending: &mut PendingConnections,
    size: usize,
) -> Vec<(DuplexStream, watch::Sender<bool>)> {
    let mut crowd = Vec::new();
    for _ in 0..size {
        crowd.push(connect(pending).await);
    }
    crowd
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_shown_the_token_stays() {
    let mut pending = PendingConnections::new();
    let (mut connection, _stop) = connect(&mut pending).await;
    greet(&mut connection).await;
    let others = crowd(&mut pending, MAX_UNAUTHENTICATED + 1).await;
    for _ in 0..3 {
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        greet(&mut connection).await;
    }
    drop(others);
    let (text, time) = rest(&mut connection).await;
    assert_eq!((text.as_str(), time.as_secs()), ("", IDLE.as_secs()));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_pending_connection_is_evicted_after_its_grace() {
    let mut pending = PendingConnections::new();
    let (mut oldest, _stop) = connect(&mut pending).await;
    let mut others = crowd(&mut pending, MAX_UNAUTHENTICATED - 1).await;
    let second = timeout(Duration::from_secs(1), rest(&mut others[0].0)).await;
    assert!(second.is_err(), "there is room for so many");
    let (mut newest, _stop) = connect(&mut pending).await;
    assert_eq!(rest(&mut oldest).await.1, Duration::ZERO);
    greet(&mut newest).await;
    greet(&mut others[0].0).await;
}

/// A client that sends hundreds of requests at once: connections first, then requests.
#[tokio::test(start_paused = true)]
async fn connections_with_the_token_are_not_counted_as_pending() {
    let mut pending = PendingConnections::new();
    let mut all = Vec::new();
    for _ in 0..8 {
        let mut some = crowd(&mut pending, MAX_UNAUTHENTICATED / 2).await;
        tokio::time::sleep(GRACE * 9 / 10).await;
        for (connection, _) in &mut some {
            greet(connection).await;
        }
        all.extend(some);
    }
    for (connection, _) in &mut all {
        greet(connection).await;
    }
}

/// A request that has arrived when its connection is evicted is still served.
#[tokio::test(start_paused = true)]
async fn a_burst_of_connections_is_served() {
    let mut pending = PendingConnections::new();
    let mut all = Vec::new();
    for _ in 0..5 * MAX_UNAUTHENTICATED {
        let (mut connection, stop) = connect(&mut pending).await;
        // It fits into the pipe, so no other task runs meanwhile.
        ask(&mut connection, TOKEN).await;
        all.push((connection, stop));
    }
    for (connection, _) in &mut all {
        let mut answer = [0; 15];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    }
}

/// A new connection waits for a place rather than evicting one that has just come.
#[tokio::test(start_paused = true)]
async fn a_new_pending_connection_is_not_evicted_at_once() {
    let mut pending = PendingConnections::new();
    let mut first = crowd(&mut pending, MAX_UNAUTHENTICATED).await;
    let started = Instant::now();
    let mut late = connect(&mut pending).await;
    assert_eq!(started.elapsed(), GRACE);
    greet(&mut late.0).await;
    assert_eq!(rest(&mut first[0].0).await.1, Duration::ZERO);
    greet(&mut first[1].0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_waiting_connections() {
    let mut pending = PendingConnections::new();
    let (mut connection, stop) = connect(&mut pending).await;
    greet(&mut connection).await;
    stop.send_replace(true);
    assert_eq!(rest(&mut connection).await, (String::new(), Duration::ZERO));
}
#[tokio::test(start_paused = true)]
async fn a_request_in_flight_at_the_stop_is_answered() {
    let mut pending = PendingConnections::new();
    let (mut late, stop) = connect(&mut pending).await;
    tokio::task::yield_now().await;
    stop.send_replace(true);
    tokio::time::sleep(FIRST_REQUEST / 2).await;
    greet(&mut late).await;
    assert_eq!(rest(&mut late).await, (String::new(), Duration::ZERO));

    let (mut silent, stop) = connect(&mut pending).await;
    stop.send_replace(true);
    assert_eq!(rest(&mut silent).await, (String::new(), FIRST_REQUEST));
}
