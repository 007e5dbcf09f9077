//! The files around a store while it is created or repaired, and how an interrupted start is finished.
//!
//! A store is never replaced in place. The new one is written as `store.part.db`, then renamed to
//! `store.new-TIME.db`: from then on it counts. The old files are renamed to `store.corrupt-TIME.db…`, and
//! the new one becomes `store.db`. Each step can be repeated, so a start finishes what an earlier one began.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::mend::Notice;
use crate::private;
use crate::service::time;

/// Suffixes of SQLite's side files.
const SIDES: [&str; 3] = ["-wal", "-shm", "-journal"];
const NEW: &str = "store.new-";

/// A new store that is being written.
pub(super) fn part(path: &Path) -> PathBuf {
    path.with_file_name("store.part.db")
}

/// A copy of a store suspected to be damaged.
pub(super) fn check(path: &Path) -> PathBuf {
    path.with_file_name("store.check.db")
}

/// Exists if a request found damage: the next start checks the store in full.
fn suspicion(path: &Path) -> PathBuf {
    path.with_file_name("store.suspect")
}

fn set_aside(path: &Path, stamp: &str) -> PathBuf {
    path.with_file_name(format!("store.corrupt-{stamp}.db"))
}

/// A side file of a database.
pub(super) fn side(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether SQLite has to read more than the file itself.
pub(super) fn has_log(path: &Path) -> bool {
    let has = |suffix| fs::metadata(side(path, suffix)).is_ok_and(|meta| meta.len() > 0);
    has("-wal") || has("-journal")
}

pub(super) fn is_suspect(path: &Path) -> bool {
    suspicion(path).exists()
}

/// Best effort: without it, the next start does its usual checks.
pub(super) fn suspect(path: &Path) {
    if is_suspect(path) {
        return;
    }
    let made = private::file(
        &suspicion(path),
        File::options().write(true).create(true).truncate(false),
    );
    if let Err(error) = made {
        tracing::warn!(%error, "the next start will not check the store in full");
    }
}

pub(super) fn forget_suspicion(path: &Path) {
    let _ = remove(&suspicion(path));
}

/// Removes a database with its side files.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    for suffix in SIDES {
        remove(&side(path, suffix))?;
    }
    remove(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies a database with its log to `to`. An error means that a read or a write failed.
pub(super) fn copy(path: &Path, to: &Path) -> io::Result<()> {
    remove_all(to)?;
    for suffix in ["", "-wal", "-journal"] {
        let mut from = match File::open(side(path, suffix)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => continue,
            Err(error) => return Err(error),
        };
        let mut options = File::options();
        let mut to = private::file(&side(to, suffix), options.write(true).create_new(true))?;
        io::copy(&mut from, &mut to)?;
    }
    Ok(())
}

/// Gives a new store that is complete and on disk its name, unless one exists.
pub(super) fn name_first(path: &Path) -> io::Result<()> {
    fs::rename(part(path), path)?;
    sync_dir(path)
}

/// Replaces the store at `path` by the complete new one; returns where the old one is kept.
pub(super) fn swap(path: &Path) -> io::Result<PathBuf> {
    let stamp = time::iso(time::now()).replace([':', '.'], "-");
    fs::rename(part(path), path.with_file_name(format!("{NEW}{stamp}.db")))?;
    sync_dir(path)?;
    finish_swap(path, &stamp)
}

fn finish_swap(path: &Path, stamp: &str) -> io::Result<PathBuf> {
    let kept = set_aside(path, stamp);
    rename(path, &kept)?;
    // Recreated whenever the log is read.
    remove(&side(path, "-shm"))?;
    for suffix in ["-wal", "-journal"] {
        let log = side(path, suffix);
        match fs::metadata(&log) {
            Ok(meta) if meta.len() == 0 => remove(&log)?,
            _ => rename(&log, &side(&kept, suffix))?,
        }
    }
    sync_dir(path)?;
    fs::rename(path.with_file_name(format!("{NEW}{stamp}.db")), path)?;
    sync_dir(path)?;
    Ok(kept)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Finishes or removes what an earlier start left; returns a sentence if the user should know.
pub(super) fn finish(path: &Path) -> io::Result<Option<Notice>> {
    remove_all(&part(path))?;
    remove_all(&check(path))?;
    remove(&path.with_file_name("store.probe"))?;
    if let Some(stamp) = unfinished_swap(path)? {
        let kept = finish_swap(path, &stamp)?;
        return Ok(Some(Notice {
            sentence: "The store of conversations was damaged and has been replaced by what could be read of it.".to_owned(),
            kept: Some(kept),
        }));
    }
    if path.try_exists()? {
        return Ok(None);
    }
    // A log without a store: somebody removed the store. SQLite would delete the log.
    let log = side(path, "-wal");
    let is_log = fs::metadata(&log).is_ok_and(|meta| meta.len() > 0);
    remove(&side(path, "-shm"))?;
    if !is_log {
        return Ok(None);
    }
    let stamp = time::iso(time::now()).replace([':', '.'], "-");
    let kept = side(&set_aside(path, &stamp), "-wal");
    fs::rename(&log, &kept)?;
    sync_dir(path)?;
    Ok(Some(Notice {
        sentence: format!(
            "{} was gone and only its log was there; a new store was created.",
            path.display()
        ),
        kept: Some(kept),
    }))
}

fn unfinished_swap(path: &Path) -> io::Result<Option<String>> {
    let dir = path.parent().unwrap_or(Path::new("."));
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let stamp = name
            .to_str()
            .and_then(|name| name.strip_prefix(NEW)?.strip_suffix(".db"));
        if let Some(stamp) = stamp {
            return Ok(Some(stamp.to_owned()));
        }
    }
    Ok(None)
}

/// Makes renames in the directory of `path` survive power loss.
fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_swap_is_finished_from_any_step() {
        // How far the earlier start got: nothing was set aside, the old store was, its log was too.
        for aside in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("store.db");
            let kept = set_aside(&path, "2026");
            let at = |done: bool| if done { &kept } else { &path };
            fs::write(dir.path().join("store.new-2026.db"), "new").unwrap();
            fs::write(at(aside > 0), "old").unwrap();
            fs::write(side(at(aside > 1), "-wal"), "log").unwrap();

            let notice = finish(&path).unwrap().expect("the user is told");
            assert_eq!(notice.kept.as_ref(), Some(&kept));
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert_eq!(fs::read_to_string(&kept).unwrap(), "old");
            assert_eq!(fs::read_to_string(side(&kept, "-wal")).unwrap(), "log");
            assert!(!side(&path, "-wal").exists());
            assert!(finish(&path).unwrap().is_none(), "nothing is left to do");
        }
    }
}
