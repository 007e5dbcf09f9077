//! Gathers the texts that are sent with a question.

use super::file;
use super::limits::{MAX_FILE, MAX_FILES, MAX_PROMPT, MAX_TEXTS, READ_FILES};
use super::{Asker, Failure, Request, Selection};
use crate::model::prompt::{Context, Kind};
use crate::pieces::AssetText;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

/// A text that is sent with a question.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct Text {
    pub kind: Kind,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// First and last line of a selection, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<(u32, u32)>,
    pub text: String,
    /// Its length in bytes before it was cut.
    pub bytes: u64,
}

/// A file that a question named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    pub path: PathBuf,
    /// Where the path led, if through a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<PathBuf>,
    pub size: u64,
    pub sha256: String,
}

/// The context of a question.
#[derive(Default)]
pub(super) struct Gathered {
    pub texts: Vec<Text>,
    /// Every file in force for this question.
    pub named: Vec<Named>,
    /// Earlier files that cannot be read any more, and assets that are no text.
    pub left_out: Vec<Context>,
}

impl Gathered {
    /// What is missing of the texts, with the whole length.
    pub fn cut(&self) -> Vec<Context> {
        let cut = self
            .texts
            .iter()
            .filter(|text| text.text.len() as u64 != text.bytes);
        let cut = cut.map(|text| text.context(text.text.len()));
        cut.chain(self.left_out.iter().cloned()).collect()
    }
}

impl Text {
    pub fn context(&self, sent: usize) -> Context {
        Context {
            kind: self.kind,
            name: self.name.clone(),
            uri: self.uri.clone(),
            bytes: self.bytes,
            sent: sent as u64,
        }
    }
}

/// Reads the texts of `request` as they are now. `earlier` are the files that earlier questions named, `assets` those
/// that the conversation was started from.
///
/// # Errors
/// A file or asset of this request cannot be read. Files of earlier requests may be gone.
pub(super) async fn gather(
    asker: &Asker,
    request: &Request,
    earlier: &[Named],
    assets: &[Uuid],
) -> Result<Gathered, Failure> {
    let mut gathering = Gathering {
        asker,
        all: Gathered::default(),
        room: MAX_TEXTS,
        until: Instant::now() + READ_FILES,
    };
    if let Some(selection) = &request.selection {
        gathering.add_selection(selection)?;
    }
    if let Some(uri) = &request.document {
        gathering.add_document(uri).await?;
    }
    match request.files.as_deref() {
        // An empty list drops the earlier files.
        Some([]) => {}
        files => {
            gathering.add_files(files.unwrap_or_default()).await?;
            gathering.add_earlier(earlier).await;
        }
    }
    match asker.client.is_local() {
        true => gathering.check_assets(&request.assets).await?,
        false => gathering.add_assets(&request.assets, assets).await?,
    }
    Ok(gathering.all)
}

struct Gathering<'a> {
    asker: &'a Asker,
    all: Gathered,
    /// Bytes of text that may still be added.
    room: usize,
    /// The deadline for reading files.
    until: Instant,
}

impl Gathering<'_> {
    fn add_selection(&mut self, selection: &Selection) -> Result<(), Failure> {
        if selection.text.len() > MAX_PROMPT {
            let what = "`range` selects more than 1 MiB; select only the part that matters.";
            return Err(Failure::invalid(what));
        }
        self.all.texts.push(Text {
            kind: Kind::Selection,
            name: selection.name.clone(),
            uri: selection.uri.as_ref().map(Url::to_string),
            range: selection.lines,
            bytes: selection.text.len() as u64,
            text: selection.text.clone(),
        });
        Ok(())
    }

    async fn add_document(&mut self, uri: &Url) -> Result<(), Failure> {
        let read = open_or_saved(self.asker, uri, self.until).await;
        let read = read.map_err(|why| unreadable("uri", uri, why))?;
        self.add(Kind::Document, uri, read).await;
        Ok(())
    }

    async fn add_files(&mut self, files: &[Url]) -> Result<(), Failure> {
        if files.len() > MAX_FILES {
            let what = format!("`files` may name {MAX_FILES} files at most.");
            return Err(Failure::invalid(what));
        }
        for uri in files {
            if self.has(uri) {
                continue;
            }
            if uri.to_file_path().is_err() {
                return Err(unreadable("files", uri, "is not a file on this machine"));
            }
            let read = open_or_saved(self.asker, uri, self.until).await;
            let read = read.map_err(|why| unreadable("files", uri, why))?;
            self.add(Kind::File, uri, read).await;
        }
        Ok(())
    }

    /// Adds the files that earlier questions named.
    async fn add_earlier(&mut self, earlier: &[Named]) {
        for file in earlier {
            let Ok(uri) = Url::from_file_path(&file.path) else {
                continue;
            };
            if self.has(&uri) || self.all.named.len() >= MAX_FILES {
                continue;
            }
            match again(self.asker, file, &uri, self.until).await {
                Ok(read) => self.add(Kind::File, &uri, read).await,
                Err(_) => self.leave_out(file, uri),
            }
        }
    }

    fn leave_out(&mut self, file: &Named, uri: Url) {
        self.all.left_out.push(Context {
            kind: Kind::File,
            name: name_of(&uri),
            uri: Some(uri.into()),
            // Its length when it was named.
            bytes: file.size.max(1),
            sent: 0,
        });
        // It may come back.
        self.all.named.push(file.clone());
    }

    fn has(&self, uri: &Url) -> bool {
        let mut files = self.all.texts.iter();
        files.any(|one| one.kind != Kind::Selection && one.uri.as_deref() == Some(uri.as_str()))
    }

    async fn add(&mut self, kind: Kind, uri: &Url, read: file::Start) {
        if let Ok(path) = uri.to_file_path() {
            let real = file::real(path.clone(), self.until).await;
            self.all.named.push(Named {
                real: real.filter(|real| *real != path),
                path,
                size: read.bytes,
                sha256: sha256(&read.text),
            });
        }
        let text = cut(read.text, self.room);
        self.room -= text.len();
        self.all.texts.push(Text {
            kind,
            name: name_of(uri),
            uri: Some(uri.to_string()),
            range: None,
            text,
            bytes: read.bytes,
        });
    }

    /// The local service reads the texts of assets itself.
    async fn check_assets(&self, asked_for: &[Uuid]) -> Result<(), Failure> {
        for id in asked_for {
            self.asker.client.asset_name(*id).await?;
        }
        Ok(())
    }

    /// Adds the assets of the request, then those that the conversation was started from.
    async fn add_assets(&mut self, asked_for: &[Uuid], earlier: &[Uuid]) -> Result<(), Failure> {
        let mut seen = Vec::new();
        for id in asked_for.iter().chain(earlier) {
            if seen.contains(id) {
                continue;
            }
            seen.push(*id);
            match self.asker.client.asset_text(*id).await {
                Ok(asset) => self.add_asset(*id, asset),
                Err(error) if asked_for.contains(id) => return Err(Failure::from(error)),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Adds the text of an asset, unless the same text is there already.
    fn add_asset(&mut self, id: Uuid, asset: AssetText) {
        let name = asset.name.unwrap_or_else(|| format!("asset {id}"));
        let Some(text) = asset.text else {
            self.all.left_out.push(Context {
                kind: Kind::Asset,
                name,
                uri: None,
                bytes: 0,
                sent: 0,
            });
            return;
        };
        if self.all.texts.iter().any(|one| one.text == text) {
            return;
        }
        let bytes = text.len() as u64;
        let text = cut(text, self.room.min(MAX_FILE));
        self.room -= text.len();
        self.all.texts.push(Text {
            kind: Kind::Asset,
            name,
            uri: Some(format!("pieces-asset:/{id}")),
            range: None,
            text,
            bytes,
        });
    }
}

/// A file that an earlier question named: a person named what was there, so not where its path leads by now.
async fn again(
    asker: &Asker,
    file: &Named,
    uri: &Url,
    until: Instant,
) -> Result<file::Start, &'static str> {
    let is_open = asker.surroundings.open_text(uri).is_some();
    if !is_open
        && file::real(file.path.clone(), until).await.as_ref()
            != Some(file.real.as_ref().unwrap_or(&file.path))
    {
        return Err("leads elsewhere now");
    }
    open_or_saved(asker, uri, until).await
}

/// The text of the open document, else of the file on disk.
async fn open_or_saved(
    asker: &Asker,
    uri: &Url,
    until: Instant,
) -> Result<file::Start, &'static str> {
    if let Some(text) = asker.surroundings.open_text(uri) {
        let bytes = text.len() as u64;
        let text = cut(text, MAX_FILE);
        return Ok(file::Start { text, bytes });
    }
    match uri.to_file_path() {
        Ok(path) => file::read(path, until).await,
        Err(()) => Err("is not open in this editor"),
    }
}

/// The start of `text`, cut at a character boundary.
pub(super) fn cut(mut text: String, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name_of(uri: &Url) -> String {
    let path = uri.to_file_path().ok();
    let name = path.as_deref().and_then(|path| path.file_name()?.to_str());
    match name {
        Some(name) => name.to_owned(),
        None => uri.path().to_owned(),
    }
}

fn unreadable(field: &str, uri: &Url, why: &str) -> Failure {
    let path = uri.to_file_path().ok();
    let shown = path.as_deref().and_then(|path| path.to_str());
    let shown: String = shown
        .unwrap_or(uri.as_str())
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    Failure::invalid(format!(
        "`{field}` names {shown}, which {why}; name a text file, or leave it out."
    ))
}
