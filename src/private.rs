//! Our own files and directories, which only their user can read, and opening regular files only.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};
use uuid::Uuid;

/// Why a directory is not used for our files.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It belongs to another user, who could read and replace what we write.
    #[error("it belongs to another user")]
    Foreign,
    /// Other users may write to it, and could replace what we write.
    #[error("other users can write to it")]
    Shared,
}

/// Creates a directory (0700) and its missing parents. An existing directory keeps its permissions, which are its
/// owner's decision. Our files in it are 0600, so other users may list it, but must not be able to write to it.
///
/// # Errors
/// [`Unusable`]; then nothing was changed.
pub fn own_dir(dir: &Path) -> Result<(), Unusable> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    only_ours(dir)
}

/// Checks that no other user can write to a directory, or to a file in one that is ours.
///
/// # Errors
/// [`Unusable`].
pub fn only_ours(path: &Path) -> Result<(), Unusable> {
    #[cfg_attr(
        not(unix),
        expect(unused_variables, reason = "has no owner to look at")
    )]
    let meta = fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Unusable::Foreign);
        }
        if meta.mode() & 0o022 != 0 {
            return Err(Unusable::Shared);
        }
    }
    Ok(())
}

/// Creates a directory (0700) that does not exist yet.
///
/// # Errors
/// Those of the file system; `AlreadyExists` if anything has this name.
pub fn new_dir(dir: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "has no permissions to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Creates the directory `name` in our data directory, and that one, if they are missing; returns its path.
///
/// # Errors
/// Those of the file system, or one of them is not safe to use.
pub fn subdir(data_dir: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = data_dir.join(name);
    for dir in [data_dir, &dir] {
        own_dir(dir).map_err(|unusable| match unusable {
            Unusable::Io(error) => error,
            why => {
                let why = format!("{} cannot be used: {why}", dir.display());
                io::Error::new(io::ErrorKind::PermissionDenied, why)
            }
        })?;
    }
    Ok(dir)
}

/// The prefix and suffix of the name of a draft.
const DRAFT: (&str, &str) = (".pieces-lsp-", ".tmp");

/// Removes the drafts of [`write`] in `dir` whose processes were killed, those of older versions too. Best
/// effort.
pub fn remove_drafts(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(is_draft) {
            continue;
        }
        let path = entry.path();
        let Ok(draft) = file(&path, File::options().read(true)) else {
            continue;
        };
        // Locked until it is removed: see `draft_in`.
        if draft.try_lock().is_ok() {
            let _ = fs::remove_file(path);
        }
    }
}

fn is_draft(name: &str) -> bool {
    let (start, end) = DRAFT;
    let Some(stem) = name.strip_suffix(end) else {
        return false;
    };
    stem.starts_with(start) || stem == "service.json" || Uuid::parse_str(stem).is_ok()
}

/// Atomically replaces or creates a file (0600): a reader finds the old or the new content.
///
/// # Errors
/// Those of the file system; then the old one is still there.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, false)
}

/// The same for a read-only file (0400), so that editors warn before the user types. On Windows it is an ordinary file,
/// because a read-only file could not be replaced there.
///
/// # Errors
/// Those of [`write`].
pub fn write_read_only(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, true)
}

#[cfg_attr(
    not(unix),
    expect(unused_variables, reason = "has no permissions to set")
)]
fn replace(path: &Path, bytes: &[u8], read_only: bool) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut draft = draft_in(dir)?;
    draft.write_all(bytes)?;
    #[cfg(unix)]
    if read_only {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(0o400);
        draft.as_file().set_permissions(mode)?;
    }
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    Ok(())
}

/// A draft, locked where a file can be locked, which says to others that it is being written. Its name is its own: two
/// processes may write the same file at once.
fn draft_in(dir: &Path) -> io::Result<NamedTempFile> {
    loop {
        let path = dir.join(format!("{}{}{}", DRAFT.0, Uuid::new_v4(), DRAFT.1));
        let draft = file(&path, File::options().write(true).create_new(true))?;
        let draft = NamedTempFile::from_parts(draft, TempPath::try_from_path(path)?);
        // `remove_drafts` may find it before it is locked, and holds the lock itself while it removes it.
        let _ = draft.as_file().lock();
        match Identity::at(draft.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            there => return there.map(|_| draft),
        }
    }
}

/// Reads a file of ours whole, if it is one: at most `limit` bytes.
///
/// # Errors
/// Those of [`file`]; `FileTooLarge` for more.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = file(path, File::options().read(true))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Opens a file of ours with these options: 0600 if it is new, not through a symbolic link, and only a regular
/// file. Never waits, as opening a pipe would.
///
/// # Errors
/// Those of the file system; `InvalidInput` for anything but a regular file.
pub fn file(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    only_regular(path, options.open(path))
}

/// Opens a file that a person named, through links as well, for reading. Never waits, and opens only regular
/// files.
///
/// # Errors
/// Those of the file system; `InvalidInput` for anything but a regular file.
pub fn regular(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    only_regular(path, options.open(path))
}

fn only_regular(path: &Path, opened: io::Result<File>) -> io::Result<File> {
    let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(not_regular()),
        // The system has many codes for what cannot be opened: a link, a pipe without a reader, a socket.
        Err(error) => match fs::symlink_metadata(path) {
            Ok(meta) if !meta.is_file() => Err(not_regular()),
            _ => Err(error),
        },
    }
}

/// Which file a path leads to, whatever it is called. On Windows only whether there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Identity {
    /// Of an open file.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Of what is at `path`: a link itself, not what it leads to.
    ///
    /// # Errors
    /// Those of the file system; `NotFound` if there is nothing.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&fs::symlink_metadata(path)?))
    }
}

/// Fit for a file name.
#[cfg(unix)]
impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}-{:x}", self.device, self.inode)
    }
}

impl From<&fs::Metadata> for Identity {
    #[cfg_attr(not(unix), expect(unused_variables, reason = "has no stable identity"))]
    fn from(meta: &fs::Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            #[cfg(unix)]
            device: meta.dev(),
            #[cfg(unix)]
            inode: meta.ino(),
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
