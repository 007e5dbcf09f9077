//! Who may ask the local service: every route, every way to be somebody else.

use crate::support::local::{Local, assert_same, serve};
use crate::trap;
use serde_json::{Value, json};
use std::net::TcpStream;

/// Method and path of every route, with ids in them.
fn routes(id: &str) -> Vec<(String, String)> {
    let page: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in page["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| match part.starts_with('{') {
            true => id,
            false => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        for method in methods.as_object().unwrap().keys() {
            if ["get", "post", "head"].contains(&method.as_str()) {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    routes.push(("POST".into(), "/no/such/route".into()));
    routes.push(("DELETE".into(), format!("/conversation/{id}")));
    routes
}

/// The status of a request with these header lines.
fn status(port: u16, method: &str, path: &str, headers: &str) -> (u16, String) {
    let body = match method {
        "POST" => r#"{"name": "written by a stranger"}"#,
        _ => "",
    };
    let stream = match path.contains("stream") {
        true => {
            "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nconnection: upgrade\r\n"
        }
        false => "connection: close\r\n",
    };
    let length = body.len();
    let answer = trap::send(
        port,
        &format!(
            "{method} {path} HTTP/1.1\r\n{headers}{stream}content-length: {length}\r\n\r\n{body}"
        ),
    );
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer}")), answer)
}

async fn filled() -> (
    pieces_lsp::service::Attached,
    Local,
    String,
    tempfile::TempDir,
) {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let said = json!({"role": "USER", "fragment": {"string": {"raw": "kept"}}});
    let seed = json!({"type": "COPILOT", "name": "kept", "messages": [said]});
    let created = local.post("/conversations/create", seed).await;
    let id = created["id"].as_str().unwrap().to_owned();
    (attached, local, id, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_and_origins_are_refused_on_every_route() {
    let (attached, local, id, _dir) = filled().await;
    let before = local.everything().await;
    let port: u16 = attached.url.rsplit(':').next().unwrap().parse().unwrap();
    let token = attached.token.clone().unwrap();
    let bearer = format!("authorization: Bearer {token}\r\n");
    let us = format!("host: 127.0.0.1:{port}\r\n");
    let host = |host: &str| format!("host: {host}\r\n{bearer}");
    let origin = |origin: &str| format!("{us}{bearer}origin: {origin}\r\n");
    // With the token, as if a page had got hold of it.
    let foreign = [
        bearer.clone(),
        host(""),
        host("127.0.0.1"),
        host(&format!("127.0.0.1:{}", port ^ 1)),
        host(&format!("evil.example:{port}")),
        host(&format!("127.0.0.1.evil.example:{port}")),
        host(&format!("localhost.evil.example:{port}")),
        host(&format!("localhost.:{port}")),
        host(&format!("me@127.0.0.1:{port}")),
        host(&format!("127.0.0.1:{port}@evil.example")),
        host(&format!("127.0.0.1:{port}\r\nhost: evil.example:{port}")),
        host(&format!("evil.example:{port}\r\nhost: 127.0.0.1:{port}")),
        origin("https://evil.example"),
        origin(&format!("http://evil.example:{port}")),
        origin("null"),
        origin(""),
        origin("file://"),
        origin("vscode-webview://x"),
        origin("chrome-extension://x"),
        origin("http://127.0.0.1.evil.example"),
        origin("http://localhost@evil.example"),
        origin("http://localhost:1, http://evil.example"),
        origin("http://localhost:1\r\norigin: http://evil.example"),
    ];
    let routes = routes(&id);
    assert!(routes.len() > 90, "{}", routes.len());
    tokio::task::spawn_blocking(move || {
        for headers in &foreign {
            for (method, path) in &routes {
                let (code, answer) = status(port, method, path, headers);
                // hyper itself refuses what cannot be read at all.
                assert!(
                    [403, 400].contains(&code),
                    "{method} {path} {headers:?}: {answer}"
                );
                let lower = answer.to_lowercase();
                assert!(
                    !lower.contains("access-control-allow-origin: http"),
                    "{answer}"
                );
                assert!(
                    !answer.contains("kept") && !answer.contains(&token),
                    "{answer}"
                );
            }
        }
        // The same requests without anything foreign do come in.
        let (code, _) = status(port, "GET", "/conversations", &format!("{us}{bearer}"));
        assert_eq!(code, 200);
    })
    .await
    .unwrap();
    assert_same(&local.everything().await, &before);
    attached.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_every_route_is_closed() {
    let (attached, local, id, _dir) = filled().await;
    let before = local.everything().await;
    let port: u16 = attached.url.rsplit(':').next().unwrap().parse().unwrap();
    let token = attached.token.clone().unwrap();
    let with = |line: &str| format!("host: 127.0.0.1:{port}\r\n{line}\r\n");
    let wrong = [
        with("x: y"),
        with("authorization:"),
        with("authorization: Bearer "),
        with("authorization: Bearer undefined"),
        with(&format!("authorization: {token}")),
        with(&format!("authorization: Basic {token}")),
        with(&format!("authorization: Bearer {}", &token[1..])),
        with(&format!("authorization: Bearer {token}0")),
        with(&format!("authorization: Bearer {}", token.to_uppercase())),
        with(&format!("cookie: token={token}")),
        with(&format!("sec-websocket-protocol: {token}")),
    ];
    let all = routes(&id);
    tokio::task::spawn_blocking(move || {
        for headers in &wrong {
            for (method, path) in &all {
                let path = format!("{path}?token={token}&access_token={token}");
                let (code, answer) = status(port, method, &path, headers);
                assert_eq!(code, 401, "{method} {path} {headers:?}: {answer}");
                assert!(
                    !answer.contains("kept") && !answer.contains(&token),
                    "{answer}"
                );
            }
        }
    })
    .await
    .unwrap();
    assert_same(&local.everything().await, &before);
    attached.shutdown().await;
}

/// A window speaks to the service by its socket, so what listens on the port afterwards is never spoken to.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_on_the_port_of_an_ended_service_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let (serving, _) = serve(dir.path(), true).await;
        let (window, _) = serve(dir.path(), true).await;
        let client = window.client().unwrap();
        let seed = json!({"type": "COPILOT", "name": "before"});
        client.create(&seed, None).await.unwrap();
        let port: u16 = serving.url.rsplit(':').next().unwrap().parse().unwrap();
        serving.shutdown().await;
        let thief = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let thief = trap::Trap::on(thief, |_, connection| {
            trap::say(
                connection,
                trap::ok(r#"{"id": "00000000-0000-4000-8000-000000000000"}"#),
            );
        });
        let error = client.create(&seed, None).await.unwrap_err();
        assert!(!error.outcome_unknown, "{error}");
        client.identifiers().await.unwrap_err();
        client.health().await.unwrap_err();
        client.watch().await.map(drop).unwrap_err();
        assert_eq!(thief.connections(), 0);
    }
}

/// Where the service can be reached at all.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_listens_on_loopback_only() {
    let (attached, _local, _id, _dir) = filled().await;
    let port: u16 = attached.url.rsplit(':').next().unwrap().parse().unwrap();
    let mut listening = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(3) == Some(&"0A") && fields[1].ends_with(&format!(":{port:04X}")) {
                listening.push(fields[1].to_owned());
            }
        }
    }
    assert_eq!(listening, [format!("0100007F:{port:04X}")]);
    // Another address of this machine, where there is one.
    for address in ["127.0.0.2", "0.0.0.0", "::1"] {
        let reached = TcpStream::connect((address, port)).is_ok();
        assert_eq!(reached, address == "0.0.0.0", "{address}");
    }
    attached.shutdown().await;
}
