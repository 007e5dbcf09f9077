//! What happens without a request: live notifications, refreshes, configuration, offers.

mod answers;
mod configuration;
mod diagnostics;
pub(crate) mod importing;
mod live;
pub(crate) mod midnight;
mod offers;
mod refresh;
pub(crate) mod talk;
mod throttle;

use crate::lsp::state::Server;
use crate::lsp::state::event::Event;
use crate::service;
use offers::Offers;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc;
use tower_lsp::lsp_types::MessageType;

/// Starts the tasks of a session, at `initialized`: settings, connection, refreshes, offers.
pub(crate) fn start(server: &Arc<Server>, mut events: mpsc::UnboundedReceiver<Event>) {
    let (announced, mut problems) = configuration::initialize(server);
    let session = Arc::clone(server);
    // In tasks of their own, because they wait for the editor.
    tokio::spawn(async move {
        problems.extend(configuration::read(&session, announced).await);
        configuration::apply_settings(&session, problems).await;
        configuration::register(&session).await;
        refresh::refresh_views(&session).await;
    });
    tokio::task::spawn_blocking({
        let server = Arc::clone(server);
        move || {
            let dir = server.session.data_dir();
            let ids = dir.map(|dir| service::restored_ids(&dir));
            for (old, new) in ids.unwrap_or_default() {
                server.restored.insert(old, new);
            }
        }
    });
    tokio::spawn(talk::follow(Arc::clone(server)));
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let mut offers = Offers::default();
        while let Some(event) = events.recv().await {
            match event {
                Event::Notice(notice) => {
                    let client = &server.client;
                    client.show_message(MessageType::WARNING, notice).await;
                }
                event => offers.handle(&server, &event),
            }
        }
    });
}

/// `workspace/didChangeConfiguration`.
pub(crate) fn change_configuration(server: &Arc<Server>, settings: &Value) {
    let announced = configuration::announce(server, settings);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let problems = configuration::read(&server, announced).await;
        configuration::apply_settings(&server, problems).await;
    });
}
