//! `pieces.conversations.open {conversation}`.

use super::arguments::id;
use crate::lsp::features::content;
use crate::lsp::limits::{OPENED_FILE_AGE, SHOW_TIMEOUT};
use crate::lsp::rpc::ask;
use crate::lsp::rpc::error::{failure, invalid};
use crate::lsp::state::Server;
use crate::lsp::text::item::conversation_uri;
use crate::pieces::Kind;
use crate::private;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{ShowDocumentParams, Url, request};
use uuid::Uuid;

/// Shows the conversation's document in the editor.
pub(super) async fn open(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    if !server.session.reader().contains(id) {
        let what = "There is no conversation with this id; it may have been deleted. Refresh the list and pick another.";
        return Err(failure(Kind::NotFound, what));
    }
    if !server.flags().show_document {
        let what = "This editor does not let a language server show documents; open the conversation from its list.";
        return Err(failure(Kind::Refused, what));
    }
    let uri =
        Url::parse(&conversation_uri(id)).map_err(|_| invalid("`conversation` must be an id."))?;
    if shown(server, uri).await {
        return Ok(Value::Null);
    }
    // Some editors only show files.
    if let Some(file) = as_file(server, id).await
        && shown(server, file).await
    {
        return Ok(Value::Null);
    }
    let what = "The editor did not show the conversation; look for the reason in its log.";
    Err(failure(Kind::Refused, what))
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

/// Writes the transcript to a file that only the user can read.
async fn as_file(server: &Arc<Server>, id: Uuid) -> Option<Url> {
    let text = content::conversation(server, id).await.ok()?;
    let data_dir = server.session.data_dir()?;
    let writing = tokio::task::spawn_blocking(move || {
        let dir = private::subdir(&data_dir, "opened")?;
        forget_old(&dir);
        let path = dir.join(format!("{id}.md"));
        private::write(&path, text.as_bytes())?;
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
