//! Open talk files: storing drafts, and writing answers into the files.

mod follow;
mod writer;

pub(crate) use follow::follow;
pub(crate) use writer::{AnswerEvent, PendingQuestion, write_answer};

use crate::lsp::features::content;
use crate::lsp::limits::{DRAFT_DELAY, HOVER_CHARS};
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::state::talks::{About, Talk, TalkDir};
use crate::lsp::text::subject::display_name;
use crate::lsp::text::talk::find::{about, talk_of};
use crate::lsp::text::talk::frame::Edit;
use crate::lsp::text::talk::{Broken, Markers, said};
use crate::markdown::{inline_isolated, question};
use crate::sync::State;
use std::sync::Arc;
use tokio::time::sleep;
use tower_lsp::lsp_types::Url;
use uuid::Uuid;

/// To be called when a document was opened. Restores a draft that is missing in it.
pub(crate) fn opened(server: &Arc<Server>, uri: Url) {
    let first = server.documents.get(&uri);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let Some(talk) = talk_of(&server, &uri).await else {
            return;
        };
        server.talks.documents_changed();
        let stored = about(&talk).await.unwrap_or_default();
        let (Some(first), Some(document)) = (first, server.documents.get(&uri)) else {
            server.talks.close(&uri);
            return;
        };
        // It may have been edited before it was recognised as a talk file.
        let untouched = first.text == document.text;
        match put_back(&talk, &document, &stored).filter(|_| untouched) {
            Some(edit) => {
                let _ = writer::send(&server, &uri, &document, edit, "Restore the draft").await;
            }
            None => drop(store(talk, document).await),
        }
        // The edit above has landed, or will not.
        server.talks.conversations_changed();
    });
}

/// The edit that puts the stored draft below the marker. The text there wins if it was saved after the draft.
fn put_back(talk: &Talk, document: &Document, stored: &About) -> Option<Edit> {
    let text = document.text.to_string();
    let places = Markers::new(&talk.token).locate(&text).ok()?;
    let draft = stored.draft.trim();
    let below = said(&text, places.prompt.clone());
    let newer = below.is_empty() || talk.dir.draft_is_newer(talk.id);
    if draft.is_empty() || !newer || text[below.clone()].replace("\r\n", "\n") == draft {
        return None;
    }
    let change = match below.is_empty() {
        false => (below, draft.to_owned()),
        // Below the empty line, if there is one.
        true => {
            let start = places.prompt.start;
            let empty_line = text[start..].starts_with('\n') && text.len() > start + 1;
            let at = start + usize::from(empty_line);
            (at..at, format!("{draft}\n"))
        }
    };
    Some(Edit {
        version: document.version,
        changes: vec![change],
    })
}

/// To be called when a document was edited.
pub(crate) fn changed(server: &Arc<Server>, uri: &Url) {
    server.talks.documents_changed();
    let Some(talk) = server.talks.get(uri) else {
        return;
    };
    if talk.begins_storing() {
        let (server, uri) = (Arc::clone(server), uri.clone());
        tokio::spawn(async move {
            sleep(DRAFT_DELAY).await;
            talk.stores_now();
            if let Some(document) = server.documents.get(&uri) {
                store(talk, document).await;
            }
        });
    }
}

/// To be called when a document was closed; `last` is its last version.
pub(crate) fn closed(server: &Arc<Server>, uri: &Url, last: Option<Document>) {
    server.talks.documents_changed();
    let (Some(talk), Some(document)) = (server.talks.close(uri), last) else {
        return;
    };
    let server = Arc::clone(server);
    tokio::spawn(async move {
        // A draft that cannot be stored is only in the file.
        let stored = store(Arc::clone(&talk), document).await;
        // Otherwise it is written when the answer has ended.
        if stored && !talk.is_answering() {
            write_file(&server, talk.id, talk.dir.clone()).await;
        }
    });
}

/// Removes talk files of deleted conversations and unused ones.
pub(crate) fn tidy(server: &Arc<Server>) {
    let status = server.session.status();
    let Some(data_dir) = server.session.data_dir() else {
        return;
    };
    let index = server.session.reader();
    // Only a complete index can tell what is gone.
    let complete = status.state == State::Live;
    tokio::task::spawn_blocking(move || {
        if !data_dir.join("talk").is_dir() {
            return;
        }
        if let Ok(dir) = TalkDir::of(&data_dir) {
            dir.tidy(|conversation, about| {
                complete
                    && about.backend == status.backend.as_str()
                    && !index.contains(conversation)
            });
        }
    });
}

/// Stores the draft. Returns whether that worked.
async fn store(talk: Arc<Talk>, document: Document) -> bool {
    let storing = tokio::task::spawn_blocking(move || {
        let text = document.text.to_string();
        let markers = Markers::new(&talk.token);
        let below = match markers.locate(&text) {
            Ok(places) => Some(places.prompt),
            Err(Broken::Missing) => markers.without_marker(&text),
            Err(Broken::Doubled) => None,
        };
        // It cannot be told from the picture.
        let Some(below) = below else {
            return true;
        };
        let draft = match talk.was_sent(&text[said(&text, below.clone())]) {
            true => "",
            false => text[below].trim_matches(['\n', '\r']),
        };
        let asked = question::parts(draft).map_or(draft, |(prompt, _)| prompt);
        let kept = talk.dir.change(talk.id, |about| {
            about.typed = !asked.trim().is_empty();
            about.draft = draft.to_owned();
        });
        if let Err(error) = &kept {
            tracing::warn!(%error, "a draft was not stored");
        }
        kept.is_ok()
    });
    storing.await.unwrap_or(false)
}

/// Writes the file of a talk as it should be opened, unless a window has it open.
pub(crate) async fn write_file(server: &Arc<Server>, id: Uuid, dir: TalkDir) -> bool {
    let reading = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || dir.about(id))
    };
    let Ok(Some(about)) = reading.await else {
        return false;
    };
    let shown = match about.conversation {
        Some(conversation) => content::conversation(server, conversation).await.ok(),
        None => Some(opening(&about)),
    };
    let Some(shown) = shown else {
        return false;
    };
    let text = Markers::new(&about.token).compose(&shown, &about.draft);
    let writing = tokio::task::spawn_blocking(move || dir.write(id, &text));
    writing.await.is_ok_and(|written| written.unwrap_or(false))
}

/// The text above the marker of a talk that has no conversation yet.
fn opening(about: &About) -> String {
    let document = about.document.as_ref();
    let name = |uri: &Url| inline_isolated(&display_name(uri), HOVER_CHARS);
    match document.or(about.tied.as_ref()).map(name) {
        None => "# A question\n".to_owned(),
        Some(name) if document.is_none() => format!("# A question about {name}\n"),
        Some(name) => {
            format!("# A question about {name}\n\nThe text of {name} is sent with the question.\n")
        }
    }
}
