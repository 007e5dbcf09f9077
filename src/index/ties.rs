//! What ties conversations to files: anchors, their paths, and the known assets.

use dashmap::{DashMap, DashSet};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// An anchor: a file or directory, and the assets and conversations tied to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its id.
    pub id: Uuid,
    /// Native absolute paths; several if the file is known on several machines.
    pub paths: Vec<String>,
    /// Assets saved from it.
    pub assets: Vec<Uuid>,
    /// Conversations tied to it.
    pub conversations: Vec<Uuid>,
    /// When it last changed, in microseconds since the Unix epoch.
    pub updated: i64,
}

/// The anchors by id and by path, and the known assets. Written by the one writer, read by all.
#[derive(Debug, Default)]
pub struct Ties {
    anchors: DashMap<Uuid, Arc<Anchor>>,
    by_path: Members,
    /// By the last part of the path.
    by_name: Members,
    assets: DashSet<Uuid>,
}

impl Ties {
    /// The anchor with that id.
    pub fn anchor(&self, id: Uuid) -> Option<Arc<Anchor>> {
        self.anchors.get(&id).map(|anchor| Arc::clone(&anchor))
    }

    /// The anchors that point at one of `paths`, newest first, each path in any of the spellings [`path_key`]
    /// folds.
    pub fn anchors_at<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Vec<Arc<Anchor>> {
        let keys = paths.into_iter().map(path_key);
        self.newest_first(keys.flat_map(|key| members(&self.by_path, &key)))
    }

    /// The anchors that point at a file of that name in any directory, newest first.
    pub fn anchors_named(&self, name: &str) -> Vec<Arc<Anchor>> {
        self.newest_first(members(&self.by_name, last_part(&path_key(name))))
    }

    fn newest_first(&self, ids: impl IntoIterator<Item = Uuid>) -> Vec<Arc<Anchor>> {
        let mut ids: Vec<Uuid> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut anchors: Vec<_> = ids.into_iter().filter_map(|id| self.anchor(id)).collect();
        anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.updated));
        anchors
    }

    /// Whether the service listed the asset, or we saved it.
    pub fn knows_asset(&self, id: Uuid) -> bool {
        self.assets.contains(&id)
    }

    /// Whether the paths of that anchor differ from before.
    pub(super) fn put_anchor(&self, anchor: Anchor) -> bool {
        let known = self.anchor(anchor.id);
        if known.as_deref() == Some(&anchor) {
            return false;
        }
        let moved = known.is_none_or(|known| known.paths != anchor.paths);
        self.drop_anchor(anchor.id);
        for path in &anchor.paths {
            let key = path_key(path);
            join(&self.by_name, last_part(&key), anchor.id);
            join(&self.by_path, &key, anchor.id);
        }
        self.anchors.insert(anchor.id, Arc::new(anchor));
        moved
    }

    pub(super) fn drop_anchor(&self, id: Uuid) {
        let Some((_, old)) = self.anchors.remove(&id) else {
            return;
        };
        for path in &old.paths {
            let key = path_key(path);
            leave(&self.by_name, last_part(&key), id);
            leave(&self.by_path, &key, id);
        }
    }

    /// Replaces the whole set of anchors. Returns those whose paths changed.
    pub(super) fn replace_anchors(&self, anchors: Vec<Anchor>) -> HashSet<Uuid> {
        let keep: HashSet<Uuid> = anchors.iter().map(|one| one.id).collect();
        let ids = self.anchors.iter().map(|one| *one.key());
        let mut moved: HashSet<Uuid> = ids.filter(|id| !keep.contains(id)).collect();
        moved.iter().for_each(|id| self.drop_anchor(*id));
        for anchor in anchors {
            let id = anchor.id;
            if self.put_anchor(anchor) {
                moved.insert(id);
            }
        }
        moved
    }

    pub(super) fn put_asset(&self, id: Uuid) {
        self.assets.insert(id);
    }

    /// Replaces the whole set of assets.
    pub(super) fn replace_assets(&self, assets: Vec<Uuid>) {
        let keep: HashSet<Uuid> = assets.into_iter().collect();
        self.assets.retain(|id| keep.contains(id));
        keep.into_iter().for_each(|id| self.put_asset(id));
    }
}

/// Sets, because everybody has a `mod.rs`.
type Members = DashMap<Box<str>, HashSet<Uuid>>;

fn members(map: &Members, key: &str) -> Vec<Uuid> {
    let ids = map.get(key);
    ids.map_or_else(Vec::new, |ids| ids.iter().copied().collect())
}

fn join(map: &Members, key: &str, id: Uuid) {
    map.entry(key.into()).or_default().insert(id);
}

fn leave(map: &Members, key: &str, id: Uuid) {
    map.remove_if_mut(key, |_, ids| {
        ids.remove(&id);
        ids.is_empty()
    });
}

/// The last part of a path's key.
fn last_part(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// A path folded for comparison: `/` for `\`, no `.` or doubled separators, no trailing separator, and lower
/// case where file systems usually ignore case. Lexical only: callers resolve symlinks.
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
        let named = |name| {
            ties.anchors_named(name)
                .iter()
                .map(|one| one.id)
                .collect::<Vec<_>>()
        };
        assert_eq!((named("x"), named("y")), (vec![b], vec![]));
    }
}
