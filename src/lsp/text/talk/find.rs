//! Which document is a talk file, and which conversation a document shows.

use crate::lsp::state::Server;
use crate::lsp::state::talks::{Talk, TalkDir};
use crate::lsp::text::real_path::resolved;
use crate::lsp::text::reference::{Form, id_of_uri};
use crate::lsp::text::subject::file_path;
use std::path::Path;
use std::sync::Arc;
use tower_lsp::lsp_types::Url;
use uuid::Uuid;

/// The talk file with this URI, which may lead through a symlink. It is registered if it is open.
pub(crate) async fn talk_of(server: &Arc<Server>, uri: &Url) -> Option<Arc<Talk>> {
    if let Some(talk) = server.talks.get(uri) {
        return Some(talk);
    }
    let path = markdown_path(uri)?;
    let data_dir = server.session.data_dir()?;
    let (inside, uri) = (Arc::clone(server), uri.clone());
    let resolve = {
        let path = path.clone();
        move || {
            // Without creating the directory: most Markdown files are not talk files.
            let real = path.canonicalize().ok()?;
            data_dir.join("talk").is_dir().then_some(())?;
            let dir = TalkDir::of(&data_dir).ok()?;
            let id = dir.id_of(&real)?;
            let talk = inside.talks.open(&uri, dir, id);
            // Other windows may write what no window has open.
            if inside.documents.get(&uri).is_none() {
                inside.talks.close(&uri);
            }
            talk
        }
    };
    resolved(&path, resolve).await?
}

/// The conversation that a document shows: its own, that of its talk file, or that of a private copy.
pub(crate) async fn conversation_of(server: &Arc<Server>, uri: &Url) -> Option<Uuid> {
    if let Some((Form::ConversationUri, id)) = id_of_uri(uri) {
        return Some(id);
    }
    if let Some(talk) = talk_of(server, uri).await {
        return conversation_of_talk(&talk).await;
    }
    let path = markdown_path(uri)?;
    let data_dir = server.session.data_dir()?;
    let id = Uuid::parse_str(path.file_stem()?.to_str()?).ok()?;
    let resolve = {
        let path = path.clone();
        move || {
            let real = path.canonicalize().ok()?;
            let dir = data_dir.join("opened").canonicalize().ok()?;
            (real.parent() == Some(&dir)).then_some(id)
        }
    };
    resolved(&path, resolve).await?
}

/// The conversation of a talk, once there is one.
pub(crate) async fn conversation_of_talk(talk: &Arc<Talk>) -> Option<Uuid> {
    match talk.conversation.get() {
        Some(conversation) => Some(*conversation),
        None => about(talk).await?.conversation,
    }
}

/// The stored state of a talk.
pub(crate) async fn about(talk: &Arc<Talk>) -> Option<crate::lsp::state::talks::About> {
    let reading = tokio::task::spawn_blocking({
        let talk = Arc::clone(talk);
        move || talk.dir.about(talk.id)
    });
    let about = reading.await.ok()??;
    if let Some(conversation) = about.conversation {
        let _ = talk.conversation.set(conversation);
    }
    Some(about)
}

fn markdown_path(uri: &Url) -> Option<std::path::PathBuf> {
    let path = file_path(uri)?;
    let extension = path.extension().and_then(|it| it.to_str());
    (extension == Some("md") && path.parent() != Some(Path::new(""))).then_some(path)
}
