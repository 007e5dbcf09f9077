//! Files below a directory, opened one name at a time so that no link is followed.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{Entry, not_regular};

pub(in crate::transfer::archives) struct Dir {
    root: Handle,
    /// The folder used last, which is likely the next one, too.
    last: Option<(String, Handle)>,
}

impl Dir {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Handle::root(path)?,
            last: None,
        })
    }

    pub(super) fn each(
        &mut self,
        folder: &str,
        each: &mut dyn FnMut(&str, Entry),
    ) -> io::Result<bool> {
        match self.folder(folder) {
            Ok(handle) => handle.each(each).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn has_folder(&mut self, path: &str) -> bool {
        self.folder(path).is_ok()
    }

    pub(super) fn file(&mut self, path: &str) -> io::Result<File> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let file = self.folder(folder)?.file(plain(name)?)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(not_regular()),
        }
    }

    fn folder(&mut self, path: &str) -> io::Result<&Handle> {
        if path.is_empty() {
            return Ok(&self.root);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut names = path.split('/');
            let mut handle = self.root.folder(plain(names.next().unwrap_or_default())?)?;
            for name in names {
                handle = handle.folder(plain(name)?)?;
            }
            self.last = Some((path.to_owned(), handle));
        }
        match &self.last {
            Some((_, handle)) => Ok(handle),
            None => Ok(&self.root),
        }
    }
}

/// The name, if it does not lead out of the folder.
fn plain(name: &str) -> io::Result<&str> {
    let leads_elsewhere = matches!(name, "" | "." | "..") || name.contains(['/', '\\', '\0', ':']);
    // Colons and backslashes are ordinary on Unix.
    let harmless = cfg!(unix) && !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    match leads_elsewhere && !harmless {
        true => Err(io::ErrorKind::NotFound.into()),
        false => Ok(name),
    }
}

#[cfg(unix)]
use unix::Handle;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::{self, FileType, Mode, OFlags};

    use super::{Entry, not_regular};

    /// An open directory.
    pub(super) struct Handle(OwnedFd);

    const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
    /// Opening never waits, as it would for a pipe.
    const FILE: OFlags = OFlags::NOFOLLOW
        .union(OFlags::NONBLOCK)
        .union(OFlags::NOCTTY)
        .union(OFlags::CLOEXEC);

    impl Handle {
        /// Follows links, because the user named this path.
        pub(super) fn root(path: &Path) -> io::Result<Self> {
            Ok(Self(fs::open(path, FOLDER, Mode::empty())?))
        }

        pub(super) fn folder(&self, name: &str) -> io::Result<Self> {
            let flags = FOLDER | OFlags::NOFOLLOW;
            Ok(Self(fs::openat(&self.0, name, flags, Mode::empty())?))
        }

        pub(super) fn file(&self, name: &str) -> io::Result<File> {
            match fs::openat(&self.0, name, FILE, Mode::empty()) {
                Ok(file) => Ok(File::from(file)),
                // Systems have various error codes for links, sockets and pipes.
                Err(error) => match self.kind(name) {
                    Some(FileType::RegularFile) | None => Err(error.into()),
                    Some(_) => Err(not_regular()),
                },
            }
        }

        pub(super) fn each(&self, each: &mut dyn FnMut(&str, Entry)) -> io::Result<()> {
            for entry in fs::Dir::read_from(&self.0)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().to_str() else {
                    continue;
                };
                if matches!(name, "." | "..") {
                    continue;
                }
                let kind = match entry.file_type() {
                    // Some file systems do not say.
                    FileType::Unknown => self.kind(name),
                    known => Some(known),
                };
                each(
                    name,
                    match kind {
                        Some(FileType::RegularFile) => Entry::File,
                        Some(FileType::Directory) => Entry::Folder,
                        _ => Entry::Other,
                    },
                );
            }
            Ok(())
        }

        fn kind(&self, name: &str) -> Option<FileType> {
            let stat = fs::statat(&self.0, name, fs::AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some(FileType::from_raw_mode(stat.st_mode))
        }
    }
}

#[cfg(not(unix))]
use elsewhere::Handle;

/// Without directory handles, each name is checked before it is opened.
#[cfg(not(unix))]
mod elsewhere {
    use std::fs::{self, File, FileType};
    use std::io;
    use std::path::{Path, PathBuf};

    use super::{Entry, not_regular};

    pub(super) struct Handle(PathBuf);

    impl Handle {
        pub(super) fn root(path: &Path) -> io::Result<Self> {
            match fs::metadata(path)?.is_dir() {
                true => Ok(Self(path.to_owned())),
                false => Err(io::ErrorKind::NotADirectory.into()),
            }
        }

        pub(super) fn folder(&self, name: &str) -> io::Result<Self> {
            let path = self.0.join(name);
            match fs::symlink_metadata(&path)?.file_type().is_dir() {
                true => Ok(Self(path)),
                false => Err(io::ErrorKind::NotADirectory.into()),
            }
        }

        pub(super) fn file(&self, name: &str) -> io::Result<File> {
            let path = self.0.join(name);
            match fs::symlink_metadata(&path)?.is_file() {
                true => File::open(path),
                false => Err(not_regular()),
            }
        }

        pub(super) fn each(&self, each: &mut dyn FnMut(&str, Entry)) -> io::Result<()> {
            for entry in fs::read_dir(&self.0)? {
                let entry = entry?;
                if let Some(name) = entry.file_name().to_str() {
                    each(name, entry.file_type().map_or(Entry::Other, kind));
                }
            }
            Ok(())
        }
    }

    fn kind(kind: FileType) -> Entry {
        // Junctions count as links.
        match () {
            () if kind.is_symlink() => Entry::Other,
            () if kind.is_dir() => Entry::Folder,
            () if kind.is_file() => Entry::File,
            () => Entry::Other,
        }
    }
}
