//! Files in a zip, read without unpacking it anywhere.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::{Entry, not_regular};

/// Maximum length of the list of files, in bytes, which is about 80,000 files: reading the list takes several times as
/// much memory.
const MAX_LIST: u64 = 12 << 20;
/// Maximum unpacked length of one file, in bytes: larger than any export.
const UNPACKED: u64 = 16 << 30;

pub(in crate::transfer::archives) struct Zipped {
    zip: ZipArchive<Budget<BufReader<File>>>,
    /// The one folder that holds everything, with its `/`; empty if there is none.
    top: String,
    /// Entries whose names are not written with `/`, by their names with it.
    renamed: HashMap<String, usize>,
}

impl Zipped {
    /// The entries of a zip.
    ///
    /// # Errors
    /// Why it cannot be read, as a part of a sentence.
    pub(in crate::transfer::archives) fn open(file: File) -> Result<Self, String> {
        let left = Rc::new(Cell::new(MAX_LIST));
        let file = Budget {
            left: Rc::clone(&left),
            inner: BufReader::new(file),
        };
        let zip = ZipArchive::new(file).map_err(|error| reason(&error))?;
        // From here on only files are read, each with its own limit.
        left.set(u64::MAX);
        let mut zipped = Self {
            zip,
            top: String::new(),
            renamed: HashMap::new(),
        };
        zipped.renamed = zipped.with_backslashes();
        zipped.top = zipped.top_folder();
        Ok(zipped)
    }

    /// Old tools on Windows separate folders by `\`.
    fn with_backslashes(&self) -> HashMap<String, usize> {
        let names = self.zip.file_names().enumerate();
        let renamed = names.filter_map(|(at, name)| {
            let name = name.ok().filter(|name| name.contains('\\'))?;
            Some((name.replace('\\', "/"), at))
        });
        renamed.collect()
    }

    fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let written = self.zip.file_names().filter_map(Result::ok);
        let written = written.filter(|name| !name.contains('\\'));
        let renamed = self.renamed.keys().map(|name| Cow::Borrowed(&**name));
        written.chain(renamed).filter(|name| !leads_elsewhere(name))
    }

    fn top_folder(&self) -> String {
        let mut top: Option<String> = None;
        for name in self.names() {
            let first = match name.split_once('/') {
                Some((first, _)) if first.starts_with("__MACOSX") => continue,
                // Folders of these names are part of an archive, not its top.
                Some(("data" | "raw" | "projects", _)) => return String::new(),
                Some((first, _)) => first,
                None if is_noise(&name) => continue,
                None => return String::new(),
            };
            match &top {
                None => top = Some(first.to_owned()),
                Some(top) if top == first => {}
                Some(_) => return String::new(),
            }
        }
        top.map(|top| top + "/").unwrap_or_default()
    }

    pub(super) fn each(&self, folder: &str, each: &mut dyn FnMut(&str, Entry)) -> bool {
        let start = self.start(folder);
        let mut folders = BTreeSet::new();
        let mut any = folder.is_empty();
        for name in self.names() {
            let Some(rest) = name.strip_prefix(&start) else {
                continue;
            };
            any = true;
            match rest.split_once('/') {
                None if rest.is_empty() => {}
                None => each(rest, Entry::File),
                Some((inner, _)) => {
                    if !folders.contains(inner) {
                        folders.insert(inner.to_owned());
                        each(inner, Entry::Folder);
                    }
                }
            }
        }
        any
    }

    pub(super) fn has_folder(&self, path: &str) -> bool {
        let start = self.start(path);
        self.names().any(|name| name.starts_with(&start))
    }

    fn start(&self, folder: &str) -> String {
        match folder {
            "" => self.top.clone(),
            folder => format!("{}{folder}/", self.top),
        }
    }

    fn index(&self, path: &str) -> Option<usize> {
        let name = format!("{}{path}", self.top);
        let renamed = || self.renamed.get(&name).copied();
        self.zip.index_for_name(&name).or_else(renamed)
    }

    pub(super) fn file(&mut self, path: &str) -> io::Result<Box<dyn Read + '_>> {
        let index = self.index(path).ok_or(io::ErrorKind::NotFound)?;
        let file = self.zip.by_index(index).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the zip {}", reason(&error)),
            )
        })?;
        if !file.is_file() {
            return Err(not_regular());
        }
        if !matches!(
            file.compression(),
            CompressionMethod::Stored | CompressionMethod::Deflated
        ) {
            let why = format!("the zip {PACKED_OTHERWISE}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Box::new(Unpacking {
            left: UNPACKED,
            file,
        }))
    }

    pub(super) fn about(&mut self, path: &str) -> Option<(u64, Option<String>)> {
        let index = self.index(path)?;
        let file = self.zip.by_index_raw(index).ok()?;
        let date = file.last_modified().filter(|time| time.year() > 1980);
        let date =
            date.map(|time| format!("{}-{:02}-{:02}", time.year(), time.month(), time.day()));
        Some((file.size(), date))
    }
}

/// Whether a name would lead out of the folder it is unpacked to. Nothing is unpacked here, but such a name is hostile.
fn leads_elsewhere(name: &str) -> bool {
    name.starts_with('/') || name.contains(['\0', ':']) || name.split('/').any(|part| part == "..")
}

/// Files that systems leave in every folder.
fn is_noise(name: &str) -> bool {
    name.starts_with('.') || matches!(name, "Thumbs.db" | "desktop.ini")
}

const PACKED_OTHERWISE: &str =
    "is packed in a way that is not supported; unpack it and name the directory";

fn reason(error: &ZipError) -> String {
    match error {
        ZipError::UnsupportedArchive(why) if why.to_lowercase().contains("password") => {
            "is encrypted; unpack it and name the directory".to_owned()
        }
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            PACKED_OTHERWISE.to_owned()
        }
        ZipError::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            "has too many files to read them packed; unpack it and name the directory".to_owned()
        }
        ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            format!("cannot be read ({error})")
        }
        _ => "is damaged; fetch it again".to_owned(),
    }
}

/// A reader with a limit of bytes.
struct Budget<R> {
    left: Rc<Cell<u64>>,
    inner: R,
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        match self.left.get().checked_sub(length as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(length)
    }
}

impl<R: Seek> Seek for Budget<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// A file in a zip, limited while unpacking because it may claim any length.
struct Unpacking<R> {
    left: u64,
    file: R,
}

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "it unpacks to more than 16 GiB",
                ));
            }
        }
        Ok(length)
    }
}
