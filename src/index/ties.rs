//! What ties conversations to files: anchors, the paths they point at, and the assets we know of.

use dashmap::{DashMap, DashSet};
use std::sync::Arc;
use uuid::Uuid;

/// A link between a file (or directory) and the assets and conversations that came from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its id.
    pub id: Uuid,
    /// Native absolute paths; several where the file is known on several machines.
    pub paths: Vec<String>,
    /// Assets saved from it.
    pub assets: Vec<Uuid>,
    /// Conversations about it.
    pub conversations: Vec<Uuid>,
    /// When it last changed, in microseconds since the Unix epoch.
    pub updated: i64,
}

/// The anchors by id and by path, and the known assets. Written by the one writer, read by everyone.
#[derive(Debug, Default)]
pub struct Ties {
    anchors: DashMap<Uuid, Arc<Anchor>>,
    by_path: DashMap<Box<str>, Vec<Uuid>>,
    assets: DashSet<Uuid>,
}

impl Ties {
    /// The anchor with that id.
    pub fn anchor(&self, id: Uuid) -> Option<Arc<Anchor>> {
        self.anchors.get(&id).map(|anchor| Arc::clone(&anchor))
    }

    /// The anchors that point at one of `paths`, newest first, each path in any of the spellings [`path_key`] folds.
    pub fn anchors_at<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<Arc<Anchor>> {
        let mut ids: Vec<Uuid> = paths
            .into_iter()
            .filter_map(|path| {
                self.by_path
                    .get(path_key(path).as_str())
                    .map(|ids| ids.clone())
            })
            .flatten()
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut anchors: Vec<_> = ids.into_iter().filter_map(|id| self.anchor(id)).collect();
        anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.updated));
        anchors
    }

    /// Whether the service listed that asset, or we saved it.
    pub fn knows_asset(&self, id: Uuid) -> bool {
        self.assets.contains(&id)
    }

    pub(super) fn put_anchor(&self, anchor: Anchor) {
        self.drop_anchor(anchor.id);
        for path in &anchor.paths {
            let mut ids = self.by_path.entry(path_key(path).into()).or_default();
            if !ids.contains(&anchor.id) {
                ids.push(anchor.id);
            }
        }
        self.anchors.insert(anchor.id, Arc::new(anchor));
    }

    pub(super) fn drop_anchor(&self, id: Uuid) {
        let Some((_, old)) = self.anchors.remove(&id) else {
            return;
        };
        for path in &old.paths {
            self.by_path
                .remove_if_mut(path_key(path).as_str(), |_, ids| {
                    ids.retain(|other| *other != id);
                    ids.is_empty()
                });
        }
    }

    /// Makes `anchors` the whole set.
    pub(super) fn replace_anchors(&self, anchors: Vec<Anchor>) {
        let keep: std::collections::HashSet<Uuid> = anchors.iter().map(|one| one.id).collect();
        let gone = |id: &Uuid| !keep.contains(id);
        let gone: Vec<Uuid> = self
            .anchors
            .iter()
            .map(|one| *one.key())
            .filter(gone)
            .collect();
        gone.into_iter().for_each(|id| self.drop_anchor(id));
        anchors
            .into_iter()
            .for_each(|anchor| self.put_anchor(anchor));
    }

    pub(super) fn put_asset(&self, id: Uuid) {
        self.assets.insert(id);
    }

    /// Makes `assets` the whole set.
    pub(super) fn replace_assets(&self, assets: Vec<Uuid>) {
        let keep: std::collections::HashSet<Uuid> = assets.into_iter().collect();
        self.assets.retain(|id| keep.contains(id));
        keep.into_iter().for_each(|id| self.put_asset(id));
    }
}

/// A path folded for comparison: `/` for `\`, no `.` or doubled separators, no trailing separator, and
/// lower case where file systems usually ignore case. Lexical only: symlinks are the caller's to resolve.
pub fn path_key(path: &str) -> String {
    let windows = path.as_bytes().get(1) == Some(&b':') || path.starts_with("\\\\");
    let unified = if windows {
        path.replace('\\', "/")
    } else {
        path.to_owned()
    };
    let mut key = String::with_capacity(unified.len());
    for part in unified.split('/').filter(|part| !matches!(*part, "" | ".")) {
        key.push('/');
        key.push_str(part);
    }
    if windows || cfg!(target_os = "macos") {
        key = key.to_lowercase();
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_keys() {
        let check = |path: &str, key: &str| assert_eq!(path_key(path), key, "{path}");
        check("/home/u/a.rs", "/home/u/a.rs");
        check("/home//u/./a.rs", "/home/u/a.rs");
        check("/home/u/", "/home/u");
        check("C:\\Users\\U\\a.rs", "/c:/users/u/a.rs");
        check("c:/Users/U/a.rs", "/c:/users/u/a.rs");
        check("\\\\host\\share\\a", "/host/share/a");
        #[cfg(target_os = "linux")]
        check("/home/back\\slash", "/home/back\\slash");
    }

    #[test]
    fn anchors_follow_their_paths() {
        let ties = Ties::default();
        let [a, b] = [1, 2].map(Uuid::from_u128);
        let anchor = |id, paths: &[&str]| Anchor {
            id,
            paths: paths.iter().map(ToString::to_string).collect(),
            assets: vec![],
            conversations: vec![],
            updated: 0,
        };
        let at = |path| -> Vec<Uuid> { ties.anchors_at([path]).iter().map(|one| one.id).collect() };
        ties.put_anchor(anchor(a, &["/x", "/y"]));
        ties.put_anchor(anchor(b, &["/y"]));
        assert_eq!((at("/x"), at("/y")), (vec![a], vec![a, b]));
        ties.put_anchor(anchor(a, &["/z"]));
        assert_eq!((at("/x"), at("/y"), at("/z")), (vec![], vec![b], vec![a]));
        ties.replace_anchors(vec![anchor(b, &["/x"])]);
        assert_eq!((at("/x"), at("/y"), at("/z")), (vec![b], vec![], vec![]));
    }
}
