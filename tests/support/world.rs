//! A language server on one of the services it has to work with, and another client of that service.

use super::DEADLINE;
use super::client::{Client, RpcError, eventually};
use super::process::Spawn;
use super::standin::StandIn;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the server is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The embedded one.
    Local,
    /// The stand-in for Pieces OS.
    Full,
    /// The stand-in with the six documented endpoints and no others.
    Six,
}

/// All of them.
pub const ALL: [Service; 3] = [Service::Local, Service::Full, Service::Six];
/// Those where assets can be saved and conversations renamed.
pub const WHOLE: [Service; 2] = [Service::Local, Service::Full];
/// An id that nothing has.
pub const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

/// A server that is live, and what is around it.
pub struct World {
    pub service: Service,
    /// The editor.
    pub client: Client,
    standin: Option<StandIn>,
    other: Other,
    dir: TempDir,
}

/// What an editor of today can do.
pub fn capabilities() -> Value {
    json!({
        "workspace": {"configuration": true},
        "window": {"showDocument": {"support": true}, "workDoneProgress": true},
        "textDocument": {
            "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": [""]}}},
            "documentSymbol": {"hierarchicalDocumentSymbolSupport": true},
            "rename": {"prepareSupport": true},
        },
    })
}

impl World {
    /// Starts a server for an editor of today and waits until it is live.
    pub fn start(service: Service) -> Self {
        Self::with(service, capabilities(), Value::Null)
    }

    pub fn with(service: Service, capabilities: Value, options: Value) -> Self {
        Self::prepared(service, capabilities, options, |_| ())
    }

    /// The same, with a chance to fill the stand-in first.
    pub fn prepared(
        service: Service,
        capabilities: Value,
        options: Value,
        prepare: impl FnOnce(&StandIn),
    ) -> Self {
        Self::of_editor("test", service, capabilities, options, prepare)
    }

    /// The same in an editor of this name.
    pub fn of_editor(
        name: &str,
        service: Service,
        capabilities: Value,
        options: Value,
        prepare: impl FnOnce(&StandIn),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (spawn, standin) = match service {
            Service::Local => (local(&dir.path().join("store")), None),
            Service::Full | Service::Six => {
                let standin = StandIn::start();
                standin.with(|state| state.six_endpoints_only = service == Service::Six);
                prepare(&standin);
                (pieces_os(&standin.url()), Some(standin))
            }
        };
        let mut client = Client::start(spawn);
        client.initialize_as(name, capabilities, options);
        // What is started is shown.
        client.answer("window/showDocument", |_| Some(json!({"success": true})));
        wait_live(&mut client);
        let other = match &standin {
            None => Other::of_store(&dir.path().join("store")),
            Some(standin) => Other::new(standin.url(), None),
        };
        World {
            service,
            client,
            standin,
            other,
            dir,
        }
    }

    pub fn standin(&self) -> &StandIn {
        self.standin.as_ref().expect("there is a stand-in")
    }

    pub fn standin_mut(&mut self) -> &mut StandIn {
        self.standin.as_mut().expect("there is a stand-in")
    }

    /// A directory of this test, by its real path.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// `pieces.conversations.<name>`.
    pub fn run(&mut self, name: &str, argument: Value) -> Result<Value, RpcError> {
        let command = format!("pieces.conversations.{name}");
        self.client.command(&command, argument)
    }

    /// The same without waiting for the answer; the id of the request.
    pub fn send(&mut self, name: &str, argument: Value) -> i64 {
        let command = format!("pieces.conversations.{name}");
        let params = json!({"command": command, "arguments": [argument]});
        self.client.send_request("workspace/executeCommand", params)
    }

    /// `list` with this argument.
    pub fn list(&mut self, argument: Value) -> Value {
        self.run("list", argument).unwrap()
    }

    /// All items.
    pub fn items(&mut self) -> Vec<Value> {
        let listed = self.list(json!({"limit": 1_000_000}));
        listed["items"].as_array().unwrap().clone()
    }

    /// The item with that id, if there is one.
    pub fn item(&mut self, id: &str) -> Option<Value> {
        self.items().into_iter().find(|item| item["id"] == id)
    }

    /// Waits until `condition` holds of the item with that id.
    pub fn until_item(&mut self, id: &str, condition: impl Fn(Option<&Value>) -> bool) {
        eventually("the item", || condition(self.item(id).as_ref()));
    }

    pub fn status(&mut self) -> Value {
        self.client.command("pieces.status", Value::Null).unwrap()
    }

    /// Another client's request to the service.
    pub fn other(&self, method: &str, path: &str, body: Value) -> Value {
        self.other.call(method, path, body)
    }

    /// Another client's conversation, not yet known to the server; its id.
    pub fn create(&self, name: &str) -> String {
        let seed = json!({"type": "COPILOT", "name": name});
        let created = self.other("POST", "/conversations/create", seed);
        created["id"].as_str().unwrap().to_owned()
    }

    /// The same, once the server knows it.
    pub fn create_known(&mut self, name: &str) -> String {
        let id = self.create(name);
        self.until_item(&id, |item| item.is_some());
        id
    }

    /// Another client's asset; its id.
    pub fn create_asset(&self, name: &str, text: &str) -> String {
        if let Some(standin) = &self.standin {
            return standin.create_asset(name, "rs", text);
        }
        let seed = json!({"type": "SEEDED_ASSET", "asset": {
            "application": application(),
            "metadata": {"name": name},
            "format": {"fragment": {"string": {"raw": text}, "metadata": {"ext": "rs"}}},
        }});
        let created = self.other("POST", "/assets/create?transferables=false", seed);
        created["id"].as_str().unwrap().to_owned()
    }

    /// The same, once the server knows it.
    pub fn create_known_asset(&mut self, name: &str) -> String {
        let asset = self.create_asset(name, "fn main() {}");
        self.run("createFromAsset", json!({"asset": asset, "show": false}))
            .unwrap();
        asset
    }

    /// Opens a document in the editor.
    pub fn open(&mut self, uri: &str, text: &str) {
        let document = json!({"uri": uri, "languageId": "rust", "version": 1, "text": text});
        self.client
            .notify("textDocument/didOpen", json!({ "textDocument": document }));
    }
}

/// `serve` on a store in `dir`.
pub fn local(dir: &Path) -> Spawn {
    Spawn::serve()
        .arg("--backend")
        .arg("local")
        .arg("--data-dir")
        .arg(dir)
}

/// An editor window on a store in `dir`.
pub fn window(dir: &Path) -> Client {
    let options = json!({"liveUpdates": true});
    let (mut client, _) = Client::connect(local(dir), json!({}), options);
    client.allow("pieces/didChangeConversations");
    client.allow("pieces/didChangeStatus");
    client.allow("window/logMessage");
    client.allow("window/showMessage");
    wait_live(&mut client);
    client
}

/// How often each name is in the list.
pub fn names(client: &mut Client) -> BTreeMap<String, usize> {
    let listed = client
        .command("pieces.conversations.list", json!({"limit": 1_000_000}))
        .unwrap();
    let mut names = BTreeMap::new();
    for item in listed["items"].as_array().unwrap() {
        *names
            .entry(item["name"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    names
}

/// `serve` on Pieces OS at `url`.
pub fn pieces_os(url: &str) -> Spawn {
    Spawn::serve()
        .arg("--backend")
        .arg("pieces-os")
        .arg("--url")
        .arg(url)
}

/// Waits until the status is live.
pub fn wait_live(client: &mut Client) -> Value {
    wait_status(client, |status| status["state"] == "live")
}

/// Waits until the status is so, and returns it.
pub fn wait_status(client: &mut Client, condition: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let status = client.command("pieces.status", Value::Null).unwrap();
        if condition(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "the status is still {status}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The error of a command, checked for what every error has.
pub fn refused(outcome: Result<Value, RpcError>, kind: &str) -> RpcError {
    let error = outcome.expect_err("refused");
    let code = match kind {
        "invalid-argument" => -32602,
        "cancelled" => -32800,
        _ => -32803,
    };
    assert_eq!(error.data["kind"], kind, "{error:?}");
    assert_eq!(error.code, code, "{error:?}");
    let message = &error.message;
    assert!(
        message.ends_with('.') && !message.contains('\n'),
        "{message}"
    );
    let known = ["kind", "status", "detail", "outcomeUnknown"];
    let fields = error.data.as_object().unwrap().keys();
    assert!(
        fields.clone().all(|field| known.contains(&field.as_str())),
        "{error:?}"
    );
    let detail = error.data["detail"].as_str().unwrap_or_default();
    assert!(detail.len() <= 1024, "{error:?}");
    error
}

fn application() -> Value {
    json!({"id": ABSENT, "schema": {"migration": 0, "semantic": "MAJOR_0_MINOR_0_PATCH_1"},
        "name": "OPEN_SOURCE", "version": "1.0.0", "platform": "LINUX", "onboarded": false,
        "privacy": "OPEN"})
}

/// Speaks to the service past the server.
struct Other {
    url: String,
    token: Option<String>,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Other {
    fn new(url: String, token: Option<String>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Other {
            url,
            token,
            // Connections are cut in tests: each request has one of its own.
            http: reqwest::Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            runtime: runtime.unwrap(),
        }
    }

    /// The service that serves this store now.
    fn of_store(dir: &Path) -> Self {
        let info = std::fs::read(dir.join("service.json")).unwrap();
        let info: Value = serde_json::from_slice(&info).unwrap();
        let text = |name: &str| info[name].as_str().map(str::to_owned);
        Other::new(text("url").unwrap(), text("token"))
    }

    fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        self.runtime.block_on(async {
            let response = request.timeout(super::DEADLINE).send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status.is_success(), "{method} {path}: {status} {text}");
            match text.as_str() {
                "" => Value::Null,
                text => serde_json::from_str(text).unwrap(),
            }
        })
    }
}
