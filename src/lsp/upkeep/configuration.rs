//! The settings: requesting and applying them, switching the backend.

use super::{live, refresh};
use crate::lsp::features::content;
use crate::lsp::limits::{EDITOR_TIMEOUT, MESSAGE_CHARS};
use crate::lsp::rpc::ask;
use crate::lsp::state::Server;
use crate::lsp::state::session::Applied;
use crate::lsp::text::item::label;
use crate::sync::Backend;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tower_lsp::lsp_types::{
    ConfigurationItem, ConfigurationParams, MessageType, Registration, RegistrationParams, request,
};

/// The section of the editor's configuration that is ours.
const SECTION: &str = "pieces";

/// An announced configuration. The one that was announced last wins, in whichever order they arrive.
pub(crate) struct Announced {
    number: u64,
    /// It came with the notification; the problems in it.
    pushed: Option<Vec<String>>,
}

/// Reads the `initializationOptions`; returns the problems in them. Like [`announce`], to be called before the first
/// await of a handler, because the order of the notifications matters.
pub(crate) fn initialize(server: &Server) -> (Announced, Vec<String>) {
    let options = server.initialization_options();
    server.configuration.change(|layers| {
        let number = layers.announce();
        let pushed = None;
        (Announced { number, pushed }, layers.initialize(&options))
    })
}

/// Reads a `workspace/didChangeConfiguration`.
pub(crate) fn announce(server: &Server, settings: &Value) -> Announced {
    server.configuration.change(|layers| {
        let number = layers.announce();
        let pushed = settings.get(SECTION);
        let pushed = pushed.map(|section| layers.configure(number, section));
        Announced { number, pushed }
    })
}

/// Requests the announced configuration unless it was pushed. Returns the problems in it.
pub(crate) async fn read(server: &Server, announced: Announced) -> Vec<String> {
    if let Some(problems) = announced.pushed {
        return problems;
    }
    let Some(section) = pull(server).await else {
        return Vec::new();
    };
    let number = announced.number;
    let configuration = &server.configuration;
    configuration.change(|layers| layers.configure(number, &section))
}

/// Requests our section from the editor; `None` if there is none.
async fn pull(server: &Server) -> Option<Value> {
    if !server.flags().configuration {
        return None;
    }
    let params = ConfigurationParams {
        items: vec![ConfigurationItem {
            scope_uri: None,
            section: Some(SECTION.into()),
        }],
    };
    let answer = ask::<request::WorkspaceConfiguration>(&server.client, params, EDITOR_TIMEOUT);
    match answer.await {
        Ok(mut sections) if !sections.is_empty() => Some(sections.swap_remove(0)),
        Ok(_) => None,
        Err(unanswered) => {
            tracing::warn!(%unanswered, "no configuration");
            None
        }
    }
}

/// Applies the settings, and shows the problems in them.
pub(crate) async fn apply_settings(server: &Arc<Server>, problems: Vec<String>) {
    for problem in problems {
        warn(server, &problem).await;
    }
    let live = server.settings().live_updates;
    let was_live = server.live.swap(live, Ordering::AcqRel);
    let followed = server.session.reader().snapshot().revision() > 0;
    let applied = server.session.apply(|| server.settings()).await;
    if matches!(applied, Applied::Busy) {
        let what = "The backend is still being switched; change the setting again in a moment.";
        warn(server, what).await;
    }
    let switched = matches!(applied, Applied::Started(_) | Applied::Refused);
    let live_now = !switched && live && !was_live;
    // A client that watched another connection, or none, has to read everything again.
    if switched && followed || live_now {
        live::send_reset(server).await;
    }
    if switched || live_now {
        if !matches!(applied, Applied::Started(_)) {
            live::send_status(server).await;
        }
        refresh::everything_changed(server);
    }
    if let Applied::Started(started) = applied {
        tokio::spawn(live::follow(Arc::clone(server), started));
    }
    server.stale.views_changed();
}

async fn warn(server: &Server, what: &str) {
    let what = label(what, MESSAGE_CHARS);
    server.client.show_message(MessageType::WARNING, what).await;
}

/// Connects to the backend that the user chose when asked.
pub(crate) async fn switch_to(server: &Arc<Server>, backend: Backend) {
    server.session.choose(backend);
    apply_settings(server, Vec::new()).await;
}

/// Registers the capabilities that this editor wants registered dynamically.
pub(crate) async fn register(server: &Server) {
    let flags = server.flags();
    let configuration = flags.registers_configuration.then(|| Registration {
        id: "pieces-configuration".into(),
        method: "workspace/didChangeConfiguration".into(),
        register_options: Some(json!({ "section": SECTION })),
    });
    let content = flags.registers_content.then(content::registration);
    let registrations: Vec<Registration> = configuration.into_iter().chain(content).collect();
    if registrations.is_empty() {
        return;
    }
    let params = RegistrationParams { registrations };
    let registered = ask::<request::RegisterCapability>(&server.client, params, EDITOR_TIMEOUT);
    if let Err(unanswered) = registered.await {
        tracing::warn!(%unanswered, "the client did not register everything");
    }
}
