//! Private copies of conversations, for editors that show only files.

use super::content;
use crate::lsp::limits::{NAMED_COPY_TIMEOUT, OPENED_FILE_AGE};
use crate::lsp::state::Server;
use crate::private;
use futures_util::future::join_all;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::time::timeout;
use tower_lsp::lsp_types::Url;
use uuid::Uuid;

/// Writes the transcript to a file that only the user can read; [`renew`] updates it from now on.
pub(crate) async fn write(server: &Arc<Server>, id: Uuid) -> Option<Url> {
    tidy(server).await;
    let path = written(server, id, true).await?;
    kept(server, id, path)
}

/// The copies of these conversations, for an answer that names files: they are there and up to date. `None` for one
/// that cannot be written now.
pub(crate) async fn files(server: &Arc<Server>, ids: &[Uuid]) -> Vec<Option<Url>> {
    tidy(server).await;
    let copying = ids.iter().map(|id| async move {
        let copy = async {
            match written(server, *id, false).await {
                Some(path) => Some(path),
                None => written(server, *id, true).await,
            }
        };
        let path = timeout(NAMED_COPY_TIMEOUT, copy).await.ok()??;
        kept(server, *id, path)
    });
    join_all(copying).await
}

fn kept(server: &Arc<Server>, id: Uuid, path: PathBuf) -> Option<Url> {
    server.copies.insert(id);
    Url::from_file_path(path).ok()
}

/// Writes the copy again, if this window has written one that is still there.
pub(crate) async fn renew(server: &Arc<Server>, id: Uuid) {
    if server.copies.contains(&id) {
        // If the conversation cannot be read now, its copy stays as it is.
        let _ = written(server, id, false).await;
    }
}

/// Writes a copy: always if it is `new`, else only in place of one that says something else.
async fn written(server: &Arc<Server>, id: Uuid, new: bool) -> Option<PathBuf> {
    let text = content::conversation(server, id).await.ok()?;
    let data_dir = server.session.data_dir()?;
    let writing = tokio::task::spawn_blocking(move || {
        let dir = private::subdir(&data_dir, "opened")?;
        let path = dir.join(format!("{id}.md"));
        if !new && std::fs::read(&path)? == text.as_bytes() {
            // An unchanged file would make editors read it again.
            return Ok(path);
        }
        private::write_read_only(&path, text.as_bytes())?;
        io::Result::Ok(path)
    });
    writing.await.ok()?.ok()
}

/// Removes what nobody needs any more.
async fn tidy(server: &Arc<Server>) {
    let Some(data_dir) = server.session.data_dir() else {
        return;
    };
    let tidying = tokio::task::spawn_blocking(move || {
        let dir = data_dir.join("opened");
        private::remove_drafts(&dir);
        forget_old(&dir);
    });
    let _ = tidying.await;
}

/// Removes files older than [`OPENED_FILE_AGE`] that [`write`] wrote.
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
