//! Files and directories that their user alone can read.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Makes sure of a directory of this user that nobody else can enter: creates it (0700) and what is missing
/// above it, or closes one that is open to others. `false`: it belongs to somebody else.
///
/// # Errors
/// Those of the file system.
pub fn own_dir(dir: &Path) -> io::Result<bool> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let meta = fs::metadata(dir)?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Ok(false);
        }
        // Who may write here could replace what we write, and who may read could read it.
        if meta.mode() & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(true)
}

/// Makes sure of a directory `name` in our data directory, and of that one; its path.
///
/// # Errors
/// Those of the file system, or one of them belongs to somebody else.
pub fn subdir(data_dir: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = data_dir.join(name);
    if own_dir(data_dir)? && own_dir(&dir)? {
        return Ok(dir);
    }
    let what = "the data directory belongs to another user";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Writes a file (0600 if it is new) in place of what is there; who reads it finds all of it or the old one.
///
/// # Errors
/// Those of the file system; then the old one is still there.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    let written = write_new(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A run that was cut off may have left one, and somebody else a link.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = self::file(path, fs::File::options().write(true).create_new(true))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Opens a file with these options: 0600 if it is new, and not through a symbolic link.
///
/// # Errors
/// Those of the file system; `ELOOP` where there is a link.
pub fn file(path: &Path, options: &mut fs::OpenOptions) -> io::Result<fs::File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        options.mode(0o600).custom_flags(no_follow);
    }
    options.open(path)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directories_become_private() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("open")).unwrap();
        for path in [dir.path(), &dir.path().join("open")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        for name in ["open", "new"] {
            let inner = subdir(dir.path(), name).unwrap();
            assert_eq!((mode(dir.path()), mode(&inner)), (0o700, 0o700), "{name}");
        }
    }

    #[test]
    fn nothing_is_written_to_a_directory_of_another_user() {
        let dir = tempfile::tempdir().unwrap();
        // Only root can give a directory away; everybody else finds this one with another owner.
        let foreign = match chown(dir.path(), Some(65534), None) {
            Ok(()) => dir.path(),
            Err(_) => Path::new("/usr"),
        };
        let error = subdir(foreign, "trash").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(!foreign.join("trash").exists());
    }
}
