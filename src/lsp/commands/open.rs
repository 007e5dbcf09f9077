//! `pieces.conversations.open {conversation}` or `{uri}`.

use super::arguments::{field, id, uri};
use crate::index::Conversation;
use crate::lsp::features::content;
use crate::lsp::limits::{
    ACTION_CHARS, CONFIRM_TIMEOUT, MAX_CHOICES, OPENED_FILE_AGE, SHOW_TIMEOUT, TIES_TIMEOUT,
};
use crate::lsp::rpc::error::failure;
use crate::lsp::rpc::{ask, ask_user};
use crate::lsp::state::Server;
use crate::lsp::text::item::{ago, conversation_uri, label, quoted};
use crate::lsp::text::subject::{conversations_about, display_name};
use crate::pieces::Kind;
use crate::private;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{MessageType, ShowDocumentParams, Url, request};
use uuid::Uuid;

/// Shows a conversation's document in the editor. With `uri`, the person chooses among the newest
/// conversations about that file if there are several.
pub(super) async fn open(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let file = match field(argument, "conversation") {
        Some(_) => None,
        None => uri(argument, "uri")?,
    };
    let id = match file {
        None => id(argument, "conversation")?,
        Some(file) => match choose(server, &file).await? {
            Some(id) => id,
            None => return Ok(Value::Null),
        },
    };
    if !server.session.reader().contains(id) {
        let what = "There is no conversation with this id; it may have been deleted. Refresh the list and pick another.";
        return Err(failure(Kind::NotFound, what));
    }
    if !server.flags().show_document {
        let what = "This editor does not let a language server show documents; open the conversation from its list.";
        return Err(failure(Kind::Refused, what));
    }
    match show(server, id).await {
        true => Ok(Value::Null),
        false => {
            let what = "The editor did not show the conversation; look for the reason in its log.";
            Err(failure(Kind::Refused, what))
        }
    }
}

/// Shows a conversation's document, or where the editor shows only files, a private copy of it.
pub(super) async fn show(server: &Arc<Server>, id: Uuid) -> bool {
    let Ok(uri) = Url::parse(&conversation_uri(id)) else {
        return false;
    };
    if shown(server, uri).await {
        return true;
    }
    match as_file(server, id).await {
        Some(file) => shown(server, file).await,
        None => false,
    }
}

/// The conversation about this file, or the one that the person chooses; `None` if they choose none.
async fn choose(server: &Arc<Server>, file: &Url) -> Result<Option<Uuid>> {
    server.session.ties(TIES_TIMEOUT).await;
    let conversations = conversations_about(file, &server.session.reader()).await;
    match conversations.as_slice() {
        [] => {
            let what = "There is no conversation about this file; start one first.";
            Err(failure(Kind::NotFound, what))
        }
        [one] => Ok(Some(one.id)),
        several => Ok(ask_which(server, file, several).await),
    }
}

/// A missing answer counts as none of them.
async fn ask_which(server: &Server, file: &Url, conversations: &[Conversation]) -> Option<Uuid> {
    let newest = &conversations[..conversations.len().min(MAX_CHOICES)];
    let titles = choices(newest);
    let name = label(&display_name(file), ACTION_CHARS);
    let message = match conversations.len() {
        many if many > newest.len() => format!(
            "Open which conversation about {name}? These are the newest {} of {many}.",
            newest.len()
        ),
        _ => format!("Open which conversation about {name}?"),
    };
    let client = &server.client;
    let chosen = ask_user(client, MessageType::INFO, message, &titles, CONFIRM_TIMEOUT).await?;
    let at = titles.iter().position(|title| *title == chosen)?;
    Some(newest[at].id)
}

/// A title for each, with its age. The answer is only a title, so no two may be equal.
fn choices(conversations: &[Conversation]) -> Vec<String> {
    let mut titles: Vec<String> = Vec::new();
    for one in conversations {
        let name = quoted(one.as_ref().title(), ACTION_CHARS);
        let title = format!("{name}, {}", ago(one.updated));
        let numbered = (2..).map(|number| format!("{title} ({number})"));
        let mut free = std::iter::once(title.clone()).chain(numbered);
        titles.extend(free.find(|title| !titles.contains(title)));
    }
    titles
}

async fn shown(server: &Server, uri: Url) -> bool {
    let params = ShowDocumentParams {
        uri,
        external: Some(false),
        take_focus: Some(true),
        selection: None,
    };
    let answer = ask::<request::ShowDocument>(&server.client, params, SHOW_TIMEOUT).await;
    answer.is_ok_and(|answer| answer.success)
}

/// Writes the transcript to a file that only the user can read, and nobody can write.
async fn as_file(server: &Arc<Server>, id: Uuid) -> Option<Url> {
    let text = content::conversation(server, id).await.ok()?;
    let data_dir = server.session.data_dir()?;
    let writing = tokio::task::spawn_blocking(move || {
        let dir = private::subdir(&data_dir, "opened")?;
        private::remove_drafts(&dir);
        forget_old(&dir);
        let path = dir.join(format!("{id}.md"));
        private::write_read_only(&path, text.as_bytes())?;
        std::io::Result::Ok(path)
    });
    Url::from_file_path(writing.await.ok()?.ok()?).ok()
}

/// Removes files older than [`OPENED_FILE_AGE`] that [`as_file`] wrote.
fn forget_old(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".md"));
        if id.is_none_or(|id| Uuid::parse_str(id).is_err()) {
            continue;
        }
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if age.is_some_and(|age| age > OPENED_FILE_AGE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::SystemTime;

    #[test]
    fn only_old_opened_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - 2 * OPENED_FILE_AGE;
        let id = Uuid::nil();
        let names = [format!("{id}.md"), format!("{id}.txt"), "notes.md".into()];
        for name in &names {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        let new = format!("{}.md", Uuid::max());
        fs::write(dir.path().join(&new), "").unwrap();
        forget_old(dir.path());
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = vec![names[1].clone(), new, names[2].clone()];
        expected.sort();
        assert_eq!(left, expected);
    }
}
