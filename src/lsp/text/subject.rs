//! What a place in a document is about: the current asset, the file, and the linked conversations.

use super::reference::{self, Form};
use crate::index::{Anchor, Conversation, Reader};
use crate::lsp::limits::{MAX_NAMESAKES, REAL_PATH_TIMEOUT};
use crate::lsp::state::document::Document;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::time::timeout;
use tower_lsp::lsp_types::{Range, Url};
use uuid::Uuid;

/// The anchors that link a file to conversations.
#[derive(Debug, Default)]
pub(crate) struct FileTies {
    anchors: Vec<Arc<Anchor>>,
}

impl FileTies {
    /// Looked up by the path in `uri` as written, and by its real path.
    pub async fn of(uri: &Url, index: &Reader) -> Self {
        let Some(path) = file_path(uri) else {
            return FileTies::default();
        };
        let name = path.file_name().and_then(OsStr::to_str);
        let alike = name.map_or_else(Vec::new, |name| index.ties().anchors_named(name));
        let looking = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || resolve(&path, &alike))
        };
        let resolved = timeout(REAL_PATH_TIMEOUT, looking).await;
        let (real, same) = resolved.ok().and_then(Result::ok).unwrap_or_default();
        let paths = [Some(path), real].into_iter().flatten();
        let paths: Vec<PathBuf> = paths.collect();
        let mut anchors = index
            .ties()
            .anchors_at(paths.iter().filter_map(|path| path.to_str()));
        for anchor in same {
            if !anchors.iter().any(|one| one.id == anchor.id) {
                anchors.push(anchor);
            }
        }
        anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.updated));
        FileTies { anchors }
    }

    /// The assets saved from the file, newest first.
    pub fn assets(&self) -> Vec<Uuid> {
        let mut assets: Vec<Uuid> = Vec::new();
        // An anchor lists its assets in the order they were saved.
        let saved = self.anchors.iter().flat_map(|one| one.assets.iter().rev());
        for asset in saved {
            if !assets.contains(asset) {
                assets.push(*asset);
            }
        }
        assets
    }

    /// The conversations about the file or an asset saved from it, newest first.
    pub fn conversations(&self, index: &Reader) -> Vec<Conversation> {
        if self.anchors.is_empty() {
            return Vec::new();
        }
        let mut links: Vec<Uuid> = self.anchors.iter().map(|anchor| anchor.id).collect();
        links.extend(self.assets());
        let mut found = tied_to(&links, index);
        for id in self.anchors.iter().flat_map(|anchor| &anchor.conversations) {
            if !found.iter().any(|one| one.id == *id) {
                found.extend(index.get(*id));
            }
        }
        found.sort_by_key(|one| (std::cmp::Reverse(one.updated), one.id));
        found
    }
}

/// The real path of a file, and those of the anchors with the same file name that resolve to it, for
/// example through a symlinked directory.
fn resolve(path: &Path, alike: &[Arc<Anchor>]) -> (Option<PathBuf>, Vec<Arc<Anchor>>) {
    let Ok(real) = path.canonicalize() else {
        return (None, Vec::new());
    };
    let leads = |other: &String| {
        // Anchors are untrusted, and resolving a path with a host on Windows contacts that host.
        let names_a_host = other.starts_with(['/', '\\']) && other[1..].starts_with(['/', '\\']);
        let other = Path::new(other);
        !names_a_host && other.canonicalize().is_ok_and(|other| other == real)
    };
    let same = alike
        .iter()
        .take(MAX_NAMESAKES)
        .filter(|anchor| anchor.paths.iter().any(leads));
    let same = same.cloned().collect();
    (Some(real), same)
}

/// The conversations linked to one of these assets or anchors, newest first.
pub(crate) fn tied_to(links: &[Uuid], index: &Reader) -> Vec<Conversation> {
    let snapshot = index.snapshot();
    snapshot
        .linked_to(links)
        .map(|one| one.to_owned())
        .collect()
}

/// The path of a `file:` URI.
pub(crate) fn file_path(uri: &Url) -> Option<PathBuf> {
    (uri.scheme() == "file").then(|| uri.to_file_path().ok())?
}

/// The path without symlinks; `None` after [`REAL_PATH_TIMEOUT`].
pub(crate) async fn real_path(path: PathBuf) -> Option<PathBuf> {
    let resolving = tokio::task::spawn_blocking(move || path.canonicalize().ok());
    timeout(REAL_PATH_TIMEOUT, resolving).await.ok()?.ok()?
}

/// The name of the file or document as a person reads it.
pub(crate) fn display_name(uri: &Url) -> String {
    let path = file_path(uri);
    let name = path.as_deref().and_then(Path::file_name);
    match name {
        Some(name) => name.to_string_lossy().into_owned(),
        None => {
            let last = uri.path().rsplit('/').find(|part| !part.is_empty());
            let name = last.unwrap_or("untitled");
            percent_encoding::percent_decode_str(name)
                .decode_utf8_lossy()
                .into_owned()
        }
    }
}

/// The known assets in the selection or under the cursor.
pub(crate) fn assets_at(document: &Document, range: Range, index: &Reader) -> Vec<Uuid> {
    let known = |id: &Uuid| index.knows_asset(*id);
    ids_at(document, range, |form| form != Form::ConversationUri)
        .into_iter()
        .filter(known)
        .collect()
}

/// The known conversations in the selection or under the cursor.
pub(crate) fn conversations_at(
    document: &Document,
    range: Range,
    index: &Reader,
) -> Vec<Conversation> {
    ids_at(document, range, |form| form != Form::AssetUri)
        .into_iter()
        .filter_map(|id| index.get(id))
        .collect()
}

fn ids_at(document: &Document, range: Range, wanted: fn(Form) -> bool) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = Vec::new();
    for found in reference::touched(document, range) {
        if wanted(found.reference.form) && !ids.contains(&found.reference.id) {
            ids.push(found.reference.id);
        }
    }
    ids
}

/// The assets that a conversation started here would be about: several if they fit equally well, none if
/// the text has to be saved first.
pub(crate) async fn current_assets(
    uri: &Url,
    document: Option<&Document>,
    range: Option<Range>,
    index: &Reader,
) -> Vec<Uuid> {
    if let (Some(document), Some(range)) = (document, range) {
        let here = assets_at(document, range, index);
        if !here.is_empty() {
            return here;
        }
    }
    if let Some((Form::AssetUri, id)) = reference::id_of_uri(uri) {
        return vec![id];
    }
    FileTies::of(uri, index).await.assets()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_that_name_a_host_are_never_resolved() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        fs::write(real.join("a.rs"), "").unwrap();
        symlink(&real, dir.path().join("link")).unwrap();
        let other = format!("{}/link/a.rs", dir.path().display());
        for (path, leads) in [
            (other.clone(), true),
            (format!("/{other}"), false),
            (format!("\\\\{other}"), false),
            (format!("/\\{other}"), false),
            (String::new(), false),
        ] {
            let anchor = Anchor {
                id: Uuid::nil(),
                paths: vec![path.clone()],
                assets: Vec::new(),
                conversations: Vec::new(),
                updated: 0,
            };
            let (_, same) = resolve(&real.join("a.rs"), &[Arc::new(anchor)]);
            assert_eq!(same.len(), usize::from(leads), "{path}");
        }
    }
}
