//! Offers to the user, each made once: to import, to switch the backend.

use super::{configuration, importing, live};
use crate::lsp::limits::{MESSAGE_CHARS, OFFER_TIMEOUT, REPEATED_FAILURE};
use crate::lsp::rpc::ask_user;
use crate::lsp::state::Server;
use crate::lsp::state::event::Event;
use crate::markdown::label;
use crate::pieces::Kind;
use crate::service;
use crate::sync::Backend;
use std::sync::Arc;
use tokio::time::Instant;
use tower_lsp::lsp_types::MessageType;

/// The offers made so far.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    create_failed: Option<Instant>,
    import: bool,
    switch: bool,
}

enum Offer {
    /// To copy everything into the local service and switch to it.
    Import,
    /// To switch to the Pieces OS that is running now.
    Switch,
}

impl Offers {
    /// Makes the offer that an event calls for, if any. The question is asked in a task of its own.
    pub fn handle(&mut self, server: &Arc<Server>, event: &Event) {
        let backend = server.session.status().backend;
        match self.wanted(event, backend, Instant::now()) {
            None => {}
            Some(Offer::Import) => {
                tokio::spawn(offer_import(Arc::clone(server)));
            }
            Some(Offer::Switch) => {
                tokio::spawn(offer_switch(Arc::clone(server)));
            }
        }
    }

    fn wanted(&mut self, event: &Event, backend: Backend, now: Instant) -> Option<Offer> {
        let import = match event {
            Event::PiecesOsAppeared => {
                return (!std::mem::replace(&mut self.switch, true)).then_some(Offer::Switch);
            }
            Event::Created => {
                self.create_failed = None;
                false
            }
            // A plain create cannot fail because of a missing object, but Pieces OS returns 500 for many
            // things, so only the second one in a row counts.
            Event::CreateFailed { status: Some(500) } => {
                let before = self.create_failed.replace(now);
                before.is_some_and(|before| now - before <= REPEATED_FAILURE)
            }
            Event::CreateFailed { .. } | Event::Notice(_) => false,
            Event::WriteFailed { kind, status } => match (kind, status) {
                (Kind::UpdateRequired, _) => true,
                // The request is wrong, not the service.
                (Kind::Refused, Some(400 | 409 | 413 | 422 | 500)) => false,
                (Kind::Refused, _) => true,
                _ => false,
            },
        };
        let offer = import && backend == Backend::PiecesOs && !self.import;
        self.import |= offer;
        offer.then_some(Offer::Import)
    }
}

async fn offer_import(server: Arc<Server>) {
    const COPY: &str = "Copy and switch";
    let question = "Pieces OS refuses changes. Copy your conversations into the local service and continue there?";
    if !chosen(&server, question, COPY).await {
        return;
    }
    match importing::import(&server, None, false, None).await {
        Ok(report) => {
            let counts = report.counts;
            configuration::switch_to(&server, Backend::Local).await;
            let total = counts.new + counts.updated + counts.unchanged;
            let message = format!(
                "Copied {total} objects ({} unreadable); the local service is in use until this editor ends. Set `pieces.backend` to `local` to keep it.",
                counts.unreadable
            );
            server.client.show_message(MessageType::INFO, message).await;
        }
        Err(error) => {
            let message = label(&error.message, MESSAGE_CHARS);
            let client = &server.client;
            client.show_message(MessageType::ERROR, message).await;
        }
    }
}

async fn offer_switch(server: Arc<Server>) {
    const SWITCH: &str = "Switch";
    let question =
        "Pieces OS is running now, and the local service is in use. Switch to Pieces OS?";
    if chosen(&server, question, SWITCH).await {
        if let Some(data_dir) = server.session.data_dir() {
            service::prefer_pieces_os(&data_dir).await;
        }
        configuration::switch_to(&server, Backend::PiecesOs).await;
        live::send_status(&server).await;
    }
}

/// Whether the user chose `yes`.
async fn chosen(server: &Server, question: &str, yes: &str) -> bool {
    let (client, message) = (&server.client, question.to_owned());
    let titles = [yes, "Not now"];
    let chosen = ask_user(client, MessageType::INFO, message, &titles, OFFER_TIMEOUT).await;
    chosen.is_some_and(|chosen| chosen == yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The first event of these, each with its age in seconds, that is followed by an offer to import.
    fn offered(events: &[(u64, Event)]) -> Option<usize> {
        let (mut offers, start) = (Offers::default(), Instant::now());
        events.iter().position(|(second, event)| {
            let now = start + Duration::from_secs(*second);
            offers.wanted(event, Backend::PiecesOs, now).is_some()
        })
    }

    #[test]
    fn two_failed_creates_in_a_row_offer_to_import() {
        let failed = || Event::CreateFailed { status: Some(500) };
        assert_eq!(offered(&[(0, failed()), (1, failed())]), Some(1));
        assert_eq!(offered(&[(0, failed()), (600, failed())]), Some(1));
        assert_eq!(
            offered(&[(0, failed()), (601, failed()), (602, failed())]),
            Some(2)
        );
        let between = [
            (0, failed()),
            (1, Event::Created),
            (2, failed()),
            (3, failed()),
        ];
        assert_eq!(offered(&between), Some(3));
        let other = || Event::CreateFailed { status: Some(400) };
        assert_eq!(offered(&[(0, other()), (1, other())]), None);
    }

    #[test]
    fn each_offer_is_made_once_and_to_import_only_from_pieces_os() {
        let mut offers = Offers::default();
        let refused = Event::WriteFailed {
            kind: Kind::Refused,
            status: Some(403),
        };
        let mut made =
            |event: &Event, backend| offers.wanted(event, backend, Instant::now()).is_some();
        assert!(!made(&refused, Backend::Local));
        assert!(made(&refused, Backend::PiecesOs));
        assert!(!made(&refused, Backend::PiecesOs));
        assert!(made(&Event::PiecesOsAppeared, Backend::Local));
        assert!(!made(&Event::PiecesOsAppeared, Backend::Local));
    }
}
