//! A model on another machine: https with a certificate made here, through a proxy.

use super::KEY;
use super::script::{Script, ScriptedEndpoint};
use super::support::process::{Finished, Spawn};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::io::copy_bidirectional;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A front with TLS for a scripted endpoint, for these names.
struct Front {
    port: u16,
    /// The certificate, as a client trusts it.
    certificate: PathBuf,
    _dir: tempfile::TempDir,
}

impl Front {
    fn start(of: &ScriptedEndpoint, names: &[&str]) -> Front {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let certificate = dir.path().join("certificate.pem");
        std::fs::write(&certificate, cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let behind = of.port();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((tcp, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        let mut tls = acceptor.accept(tcp).await?;
                        let mut plain =
                            tokio::net::TcpStream::connect(("127.0.0.1", behind)).await?;
                        copy_bidirectional(&mut tls, &mut plain).await
                    });
                }
            });
        });
        Front {
            port,
            certificate,
            _dir: dir,
        }
    }
}

/// A proxy that connects all to one port; the first lines of what it was asked.
fn proxy(to: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&asked);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            seen.lock().unwrap().push(head);
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let (mut a, mut b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut a, &mut b));
            let (mut a, mut b) = (server, client);
            thread::spawn(move || std::io::copy(&mut a, &mut b));
        }
    });
    (port, asked)
}

fn run(arguments: &[&str], url: &str, variables: &[(&str, &str)]) -> Finished {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Spawn::with_arguments(arguments)
        .env("PIECES_LSP_DATA_DIR", dir.path())
        .env("PIECES_LSP_MODEL_URL", url)
        .env("PIECES_LSP_MODEL_KEY", KEY);
    for (name, value) in variables {
        command = command.env(name, value);
    }
    command.run()
}

#[test]
fn https_is_spoken_and_the_certificate_is_checked() {
    let server = ScriptedEndpoint::start();
    let front = Front::start(&server, &["localhost"]);
    let trusted = [("SSL_CERT_FILE", front.certificate.to_str().unwrap())];
    let url = format!("https://localhost:{}/v1", front.port);
    let listed = run(&["model", "list"], &url, &trusted);
    assert_eq!(
        (listed.code, listed.stdout.as_str()),
        (Some(0), "* test-model\n"),
        "{}",
        listed.stderr
    );
    assert_eq!(server.received()[0].key(), Some(KEY));

    server.answer(Script::stream().word("hello").hold());
    let asked = run(
        &["doctor", "--backend", "local", "--json", "--ask"],
        &url,
        &trusted,
    );
    let report: Value = serde_json::from_str(&asked.stdout).unwrap();
    assert!(
        report["checks"]["model"]["firstWordMs"].as_f64() > Some(0.0),
        "{report}"
    );

    // A certificate that nobody vouches for, or for another name: nothing is sent.
    let before = server.received().len();
    let other = Front::start(&server, &["other.example"]);
    let unknown = run(
        &["model"],
        &format!("https://localhost:{}/v1", other.port),
        &trusted,
    );
    let for_other = [("SSL_CERT_FILE", other.certificate.to_str().unwrap())];
    let wrong = run(
        &["model"],
        &format!("https://localhost:{}/v1", other.port),
        &for_other,
    );
    for refused in [unknown, wrong] {
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    }
    // And http is not https.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}/v1",
        plain.local_addr().unwrap().port()
    );
    thread::spawn(move || {
        for mut client in plain.incoming().flatten() {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = client.read(&mut [0; 4096]);
        }
    });
    let plain = run(&["model"], &url, &trusted);
    assert!(
        plain.stderr.contains("does it speak https?"),
        "{}",
        plain.stderr
    );
    assert_eq!(server.received().len(), before);
}

#[test]
fn a_remote_endpoint_is_reached_through_the_proxy_of_the_environment() {
    let server = ScriptedEndpoint::start();
    let front = Front::start(&server, &["model.example"]);
    let (port, asked) = proxy(front.port);
    let proxy = format!("http://user:pass@127.0.0.1:{port}");
    let url = "https://model.example/v1";
    let variables = [
        ("SSL_CERT_FILE", front.certificate.to_str().unwrap()),
        ("HTTPS_PROXY", proxy.as_str()),
    ];
    let shown = run(&["model"], url, &variables);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.contains("on another machine, encrypted"),
        "{}",
        shown.stdout
    );
    let first = asked.lock().unwrap()[0].clone();
    assert!(
        first.starts_with("CONNECT model.example:443 HTTP/1.1\r\n"),
        "{first}"
    );
    assert!(
        first.to_lowercase().contains("proxy-authorization: basic"),
        "{first}"
    );
    assert!(!first.contains(KEY), "{first}");

    // The doctor asks only models on this machine.
    let doctor = run(
        &["doctor", "--backend", "local", "--json", "--ask"],
        url,
        &variables,
    );
    let report: Value = serde_json::from_str(&doctor.stdout).unwrap();
    assert_eq!(
        report["checks"]["model"]["firstWordMs"],
        Value::Null,
        "{report}"
    );
    assert!(server.questions().is_empty());

    // A provider with several models needs a name.
    server.list(&json!({"data": [{"id": "a"}, {"id": "b"}]}));
    let shown = run(&["model"], url, &variables);
    assert!(shown.stderr.contains("--model NAME"), "{}", shown.stderr);
    let no_proxy = [variables[0], variables[1], ("NO_PROXY", "model.example")];
    let direct = run(&["model"], url, &no_proxy);
    assert_eq!(direct.code, Some(1));
    assert!(
        direct.stderr.contains("not found") || direct.stderr.contains("in time"),
        "{}",
        direct.stderr
    );
}
