//! Looks for endpoints on this machine.

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{EndpointUrl, Model, limits, openai};

/// Ollama, llama-server, LM Studio.
const PORTS: [u16; 3] = [11434, 8080, 1234];

/// An endpoint that answers on a usual port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its URL, with `/v1`.
    pub url: EndpointUrl,
    /// The models that it lists.
    pub models: Vec<Model>,
}

/// A person names a few; this is not a port scan.
const MOST_PORTS: usize = 8;

/// Probes the usual loopback ports in this order: Ollama (11434), llama-server (8080), LM Studio (1234).
/// `PIECES_LSP_MODEL_PORTS` in the environment names others, separated by commas. Sends one `GET /v1/models` to each,
/// nothing private. Takes three seconds at most.
pub async fn look_for() -> Vec<Found> {
    let named = std::env::var("PIECES_LSP_MODEL_PORTS").ok();
    look_at(&ports(named.as_deref())).await
}

fn ports(named: Option<&str>) -> Vec<u16> {
    let Some(named) = named else {
        return PORTS.to_vec();
    };
    let ports = named.split(',').filter_map(|port| port.trim().parse().ok());
    ports.filter(|port| *port > 0).take(MOST_PORTS).collect()
}

async fn look_at(ports: &[u16]) -> Vec<Found> {
    let looking = ports.iter().map(async |port| {
        let url = EndpointUrl::loopback(*port)?;
        let until = Instant::now() + limits::PROBE;
        let listing = openai::list(url.url(), None, until);
        // A server without a list of models, or one that wants a key, cannot be used at once.
        let models = timeout(limits::PROBE, listing).await.ok()?.ok()?;
        Some(Found { url, models })
    });
    join_all(looking).await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::held;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    fn request(stream: &mut TcpStream) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        String::from_utf8(request).unwrap()
    }

    fn answer(stream: &mut TcpStream, body: &str) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).unwrap();
    }

    /// Answers one request and returns it.
    fn serve(listener: TcpListener, body: &'static str) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = request(&mut stream);
            answer(&mut stream, body);
            request
        })
    }

    #[test]
    fn other_ports_can_be_named() {
        assert_eq!(ports(None), PORTS);
        assert_eq!(ports(Some("8081, 11434")), [8081, 11434]);
        assert_eq!(ports(Some("0,x,99999,5")), [5]);
        assert!(ports(Some("")).is_empty());
        assert_eq!(ports(Some(&"7,".repeat(99))).len(), MOST_PORTS);
    }

    #[tokio::test(start_paused = true)]
    async fn only_servers_of_models_are_found_and_nothing_private_is_sent() {
        let _held = held();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners
            .each_ref()
            .map(|one| one.local_addr().unwrap().port());
        let [model, page] = listeners;
        // Bound, so that no other program takes the port, but not listening.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed_port = closed.local_addr().unwrap().port();
        let model = serve(model, r#"{"object":"list","data":[{"id":"a"}]}"#);
        let page = serve(page, "<html>");
        let found = look_at(&[closed_port, ports[0], ports[1]]).await;
        let expected = Found {
            url: EndpointUrl::loopback(ports[0]).unwrap(),
            models: vec![Model {
                id: "a".to_owned(),
                context: None,
                loaded: None,
            }],
        };
        assert_eq!(found, [expected]);
        for request in [model.join().unwrap(), page.join().unwrap()] {
            assert!(
                request.starts_with("GET /v1/models HTTP/1.1\r\n"),
                "{request}"
            );
            let names = request
                .lines()
                .skip(1)
                .filter_map(|line| line.split(':').next());
            let mut names: Vec<String> = names
                .filter(|name| !name.is_empty())
                .map(str::to_lowercase)
                .collect();
            names.sort();
            assert_eq!(names, ["accept", "host", "user-agent"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_port_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let started = Instant::now();
        assert_eq!(look_at(&[port]).await, []);
        assert_eq!(started.elapsed(), limits::PROBE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_is_found() {
        let _held = held();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let looking = tokio::spawn(async move { look_at(&[port]).await });
        let asked = tokio::task::spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            request(&mut stream);
            stream
        });
        let mut stream = asked.await.unwrap();
        tokio::time::advance(Duration::from_millis(2500)).await;
        answer(&mut stream, r#"{"data":[{"id":"a"}]}"#);
        assert_eq!(looking.await.unwrap().len(), 1);
    }
}
