//! Files and directories that their user alone can read.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Creates a directory (0700) and what is missing above it.
///
/// # Errors
/// Those of the file system.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
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
