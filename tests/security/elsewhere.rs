//! Nothing goes anywhere but to the service: no proxy is used, no redirect is followed.

use crate::support::client::{Client, eventually};
use crate::support::process::Spawn;
use crate::support::standin::StandIn;
use crate::support::world::{
    Service, World, capabilities, local, pieces_os, wait_live, wait_status,
};
use crate::trap::{Trap, ok, say};
use serde_json::{Value, json};

/// Every way an environment can name a proxy.
fn with_proxies(mut spawn: Spawn, proxy: &Trap) -> Spawn {
    for name in ["http", "https", "all", "ws"] {
        let name = format!("{name}_proxy");
        spawn = spawn
            .env(&name, proxy.url())
            .env(&name.to_uppercase(), proxy.url());
    }
    spawn.env("NO_PROXY", "").env("no_proxy", "")
}

#[test]
fn proxies_in_the_environment_get_no_connection() {
    let proxy = Trap::saying(ok("{\"iterable\": []}"));
    let standin = StandIn::start();
    standin.create("seen");
    let dir = tempfile::tempdir().unwrap();
    for spawn in [pieces_os(&standin.url()), local(&dir.path().join("store"))] {
        let spawn = with_proxies(spawn, &proxy);
        let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
        wait_live(&mut client);
        let run = |client: &mut Client, name: &str| {
            let name = format!("pieces.conversations.{name}");
            client.command(&name, Value::Null).unwrap()
        };
        run(&mut client, "create");
        run(&mut client, "snapshot");
        let total = run(&mut client, "refresh")["total"].as_u64();
        assert!(total >= Some(1), "the true service answered");
    }
    let url = standin.url();
    for command in [&["doctor", "--url", &url][..], &["import", "--from", &url]] {
        let spawn = Spawn::with_arguments(command).env("PIECES_LSP_DATA_DIR", dir.path());
        let finished = with_proxies(spawn, &proxy).run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let target = Trap::saying(ok("{\"iterable\": []}"));
        let moved = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}/conversations\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            target.url()
        );
        // Half of them redirect the health route, too.
        let healthy = status % 2 == 0;
        let trap = Trap::start(move |head, connection| {
            match head.starts_with("GET /.well-known/health") && healthy {
                true => say(connection, ok("ok:1")),
                false => say(connection, &moved),
            }
        });
        let (mut client, _) = Client::connect(pieces_os(&trap.url()), capabilities(), Value::Null);
        // The offer to leave a service that refuses changes.
        client.refuse("window/showMessageRequest");
        let status = wait_status(&mut client, |status| status["state"] == "offline");
        let error = status["error"].as_str().unwrap();
        assert!(error.contains("redirect"), "{error}");
        for name in ["create", "snapshot", "identifiers"] {
            let name = format!("pieces.conversations.{name}");
            let error = client.command(&name, Value::Null).unwrap_err();
            assert!(error.message.contains("redirect"), "{error:?}");
        }
        let streams = "GET /conversations/stream/identifiers ";
        eventually("the stream is asked for", || trap.was_asked(streams));
        assert!(trap.was_asked("POST /conversations/create"));
        assert!(
            trap.was_asked("GET /conversations "),
            "{:?}",
            trap.requests()
        );
        let from = trap.url();
        for command in [
            &["import", "--from", &from][..],
            &["doctor", "--url", &from],
        ] {
            let home = tempfile::tempdir().unwrap();
            let spawn = Spawn::with_arguments(command).env("PIECES_LSP_DATA_DIR", home.path());
            let finished = spawn.run();
            assert_eq!(finished.code, Some(1), "{finished:?}");
        }
        assert_eq!(target.connections(), 0, "{status}");
    }
}

/// A service that others hold is asked with the token in a header, and nowhere else.
#[cfg(unix)]
#[test]
fn the_token_is_in_a_header_only() {
    const TOKEN: &str = "0123456789abcdef-canary-token";
    let dir = tempfile::tempdir().unwrap();
    let lock = std::fs::File::create(dir.path().join("lock")).unwrap();
    lock.try_lock().unwrap();
    let store = uuid::Uuid::new_v4();
    let health = ok(&format!("ok:{store}"));
    let trap = Trap::start(move |head, connection| {
        let healthy = head.starts_with("GET /.well-known/health");
        let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        say(connection, if healthy { &health } else { answer });
    });
    let info = json!({"url": trap.url(), "socket": "socket", "token": TOKEN, "pid": 1, "version": "0", "store": store});
    std::fs::write(dir.path().join("service.json"), info.to_string()).unwrap();
    trap.behind(&dir.path().join("socket"));

    let (mut client, _) = Client::connect(local(dir.path()), capabilities(), Value::Null);
    eventually("its stream", || trap.was_asked("GET /conversations/stream"));
    client
        .command("pieces.conversations.create", Value::Null)
        .unwrap_err();
    client
        .command("pieces.conversations.snapshot", Value::Null)
        .unwrap_err();
    let status = client.command("pieces.status", Value::Null).unwrap();
    assert!(!status.to_string().contains(TOKEN), "{status}");
    for arguments in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["export", "/nonexistent/x"],
    ] {
        let spawn = Spawn::with_arguments(arguments)
            .env("PIECES_LSP_BACKEND", "local")
            .env("PIECES_LSP_LOG_LEVEL", "trace")
            .env("PIECES_LSP_DATA_DIR", dir.path());
        let finished = spawn.run();
        let said = finished.stdout + &finished.stderr;
        assert!(!said.contains(TOKEN), "{said}");
    }
    let requests = trap.requests();
    assert!(requests.len() > 4, "{requests:?}");
    for head in requests {
        let mut lines = head.split("\r\n");
        let bearer = format!("authorization: Bearer {TOKEN}");
        assert!(!lines.next().unwrap().contains(TOKEN), "{head}");
        let others = lines.filter(|line| !line.eq_ignore_ascii_case(&bearer));
        assert_eq!(others.filter(|line| line.contains(TOKEN)).count(), 0);
        assert_eq!(head.matches(TOKEN).count(), 1, "{head}");
    }
}

/// Every socket that the process has: TCP and UDP, by the addresses of both ends.
#[cfg(target_os = "linux")]
fn sockets(process: u32) -> Vec<(String, String)> {
    let listed = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = listed.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let names: Vec<String> = targets.map(|target| target.display().to_string()).collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}"));
        for line in text.unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if names.contains(&format!("socket:[{}]", fields[9])) {
                found.push((fields[1].to_owned(), fields[2].to_owned()));
            }
        }
    }
    found
}

/// No telemetry, no update check, no name server: all sockets of a session are on loopback.
#[cfg(target_os = "linux")]
#[test]
fn a_session_speaks_to_loopback_only() {
    for service in [Service::Local, Service::Full] {
        let mut world = World::start(service);
        let mut seen = Vec::new();
        for command in ["create", "list", "refresh", "snapshot"] {
            world.run(command, json!({})).unwrap();
            seen.extend(sockets(world.client.process().id()));
        }
        assert!(!seen.is_empty());
        for (ours, theirs) in seen {
            assert!(ours.starts_with("0100007F:"), "{ours} to {theirs}");
            let listening = theirs == "00000000:0000";
            assert!(
                theirs.starts_with("0100007F:") || listening,
                "{ours} to {theirs}"
            );
        }
    }
}
