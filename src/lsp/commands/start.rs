//! Starts a conversation from an asset or from a document.

use super::arguments::{flag, id, structure, uri};
use super::open;
use crate::index::UNNAMED;
use crate::lsp::limits::{
    ACTION_CHARS, COMPARE_TIMEOUT, INDEX_TIMEOUT, MAX_COMPARED, MAX_SAVED_BYTES, READ_FILE_TIMEOUT,
    TIES_TIMEOUT,
};
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::item::quoted;
use crate::lsp::text::language::classification;
use crate::lsp::text::real_path::real_path;
use crate::lsp::text::reference::{Form, id_of_uri};
use crate::lsp::text::subject::{self, FileTies, Subject};
use crate::pieces::{Client, Kind};
use crate::private;
use crate::sync::{Handle, Write};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{MessageType, Range, Url};
use uuid::Uuid;

/// `pieces.conversations.createFromAsset {asset, show?}`.
pub(super) async fn from_asset(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let asset = id(argument, "asset")?;
    let show = flag(argument, "show")?.unwrap_or(true);
    let started = start_from(server, asset).await?;
    Ok(announce(server, started, show))
}

/// `pieces.conversations.startFromDocument {uri, range?, show?}`.
pub(super) async fn from_document(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let Some(uri) = uri(argument, "uri")? else {
        return Err(invalid("`uri` must be a URI."));
    };
    let range: Option<Range> = structure(argument, "range", "a range with start and end")?;
    let show = flag(argument, "show")?.unwrap_or(true);
    // The document as it was when the command arrived: text that is typed later was not selected.
    let document = server.documents.get(&uri);
    server.session.ties(TIES_TIMEOUT).await;
    let document = match (document, id_of_uri(&uri)) {
        (Some(document), _) => Some(document),
        (None, Some((Form::AssetUri, _))) if range.is_none_or(|it| it.start == it.end) => None,
        (None, _) => Some(read(&uri, server).await?),
    };
    let index = server.session.reader();
    let subject = Subject::of(&uri, document.as_ref(), range, &index);
    let started = match (&subject, document) {
        (Subject::AssetHere(asset) | Subject::AssetDocument(asset), _) => {
            start_from(server, *asset).await?
        }
        (Subject::Selection(_) | Subject::Whole, Some(document)) => {
            let text = Text::of(&uri, &document, &subject).await?;
            save_and_start(server, &uri, text).await?
        }
        (Subject::Selection(_) | Subject::Whole, None) => {
            return Err(invalid("`uri` must name a document or an asset."));
        }
    };
    Ok(announce(server, started, show))
}

/// A new conversation.
struct Started {
    conversation: Uuid,
    name: String,
}

/// The result of a start. Shows the conversation without delaying the response.
fn announce(server: &Arc<Server>, started: Started, show: bool) -> Value {
    let Started { conversation, name } = started;
    let answer = json!({ "conversation": conversation, "name": name });
    if show {
        let server = Arc::clone(server);
        tokio::spawn(async move {
            if server.flags().show_document && open::show(&server, conversation).await {
                return;
            }
            let name = quoted(&name, ACTION_CHARS);
            let message = format!(
                "The conversation {name} was started; open it from the list of conversations."
            );
            server.client.show_message(MessageType::INFO, message).await;
        });
    }
    answer
}

/// Text that becomes an asset.
struct Text {
    text: String,
    /// The name of the asset, and so of the conversation.
    name: String,
    language: Option<String>,
    /// The real path of its file, which is found through every symlink.
    path: Option<PathBuf>,
}

impl Text {
    /// The selection or the whole text of a document.
    async fn of(uri: &Url, document: &Document, subject: &Subject) -> Result<Self> {
        let text = match subject {
            Subject::Selection(selection) => document.text.slice(selection.chars.clone()),
            _ => document.text.slice(..),
        };
        if text.chars().all(char::is_whitespace) {
            return Err(invalid(match subject {
                Subject::Selection(_) => {
                    "`range` selects only white space; select some text first."
                }
                _ => "`uri` names an empty document; write or select something first.",
            }));
        }
        if text.len_bytes() > MAX_SAVED_BYTES {
            return Err(invalid(match subject {
                Subject::Selection(_) => {
                    "`range` selects more than 8 MiB; select only the part that matters."
                }
                _ => "`uri` names a document of more than 8 MiB; select the part that matters.",
            }));
        }
        let path = match subject::file_path(uri) {
            Some(path) => real_path(path.clone()).await.or(Some(path)),
            None => None,
        };
        let file = subject::display_name(uri);
        // The URI of a cell has the extension of the notebook, not that of the cell's language.
        let extension = match uri.scheme().contains("notebook") {
            true => None,
            false => Path::new(&file).extension().and_then(|it| it.to_str()),
        };
        Ok(Text {
            text: text.to_string(),
            name: subject.name(uri),
            language: classification(&document.language_id, extension),
            path,
        })
    }
}

async fn start_from(server: &Arc<Server>, asset: Uuid) -> Result<Started> {
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let inside = Arc::clone(server);
    let starting = async move { start(&inside, &handle, &client, asset).await };
    send_write(server, starting).await
}

/// Starts from the asset that was saved from this file with this text, or from a new one.
async fn save_and_start(server: &Arc<Server>, uri: &Url, text: Text) -> Result<Started> {
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let document = match text.path.as_deref().and_then(Path::to_str) {
        Some(path) => path,
        None => uri.as_str(),
    };
    let Some(mut saved) = server.saved.lock(document, &text.text).await else {
        let what = "Another request is still saving this text; nothing was changed. Try again in a moment.";
        return Err(failure(Kind::Timeout, what));
    };
    let candidates = saved.into_iter();
    let candidates = candidates.chain(FileTies::of(uri, &handle.index).await.assets());
    let reused = same_text(&client, candidates.collect(), &text.text).await;
    let inside = Arc::clone(server);
    let starting = async move {
        let asset = match reused {
            Some(asset) => asset,
            None => save(&inside, &handle, &client, &text).await?,
        };
        *saved = Some(asset);
        drop(saved);
        if reused.is_some() {
            return start(&inside, &handle, &client, asset).await;
        }
        let known = timeout(INDEX_TIMEOUT, handle.wrote(Write::Asset(asset)));
        let (_, started) = tokio::join!(known, start(&inside, &handle, &client, asset));
        started.map_err(|error| Error {
            message: format!(
                "The text was saved as an asset, but no conversation was started: {}",
                error.message
            )
            .into(),
            ..error
        })
    };
    send_write(server, starting).await
}

/// The first of these assets that still has exactly this text. An asset that cannot be read counts as different.
async fn same_text(client: &Client, candidates: Vec<Uuid>, text: &str) -> Option<Uuid> {
    let mut compared = Vec::new();
    let comparing = async {
        for asset in candidates {
            if compared.contains(&asset) {
                continue;
            }
            if compared.len() == MAX_COMPARED {
                break;
            }
            compared.push(asset);
            let read = client.asset_text(asset).await;
            if read.is_ok_and(|asset| asset.text.as_deref() == Some(text)) {
                return Some(asset);
            }
        }
        None
    };
    timeout(COMPARE_TIMEOUT, comparing).await.ok().flatten()
}

/// Starts a conversation and waits until it is in the index.
async fn start(
    server: &Arc<Server>,
    handle: &Handle,
    client: &Client,
    asset: Uuid,
) -> Result<Started> {
    match client.create_from_asset(asset).await {
        Ok(conversation) => {
            let _ = timeout(INDEX_TIMEOUT, handle.wrote(Write::Id(conversation))).await;
            let one = handle.index.get(conversation);
            let name = one.as_ref().map_or(UNNAMED, |one| one.as_ref().title());
            Ok(Started {
                conversation,
                name: name.to_owned(),
            })
        }
        Err(error) => Err(report_failed_write(server, handle, error).await),
    }
}

/// Saves the text as an asset anchored to the file it comes from.
async fn save(server: &Arc<Server>, handle: &Handle, client: &Client, text: &Text) -> Result<Uuid> {
    let application = client.connect().await;
    let mut asset = json!({
        "metadata": { "name": text.name },
        "format": { "fragment": { "string": { "raw": text.text } } },
    });
    if let Some(path) = text.path.as_deref().and_then(Path::to_str) {
        asset["metadata"]["anchors"] = json!([{ "type": "FILE", "fullpath": path }]);
    }
    if let Some(language) = &text.language {
        asset["format"]["fragment"]["metadata"] = json!({ "ext": language });
    }
    if let Ok(application) = application {
        asset["application"] = application;
    }
    let seed = json!({ "type": "SEEDED_ASSET", "asset": asset });
    match client.create_asset(&seed).await {
        Ok(id) => Ok(id),
        Err(error) if error.status == Some(404) => {
            let message = "This service cannot save assets; save the text in Pieces itself, then start from there.";
            Err(failed(error.with_message(message)))
        }
        Err(error) => Err(report_failed_write(server, handle, error).await),
    }
}

/// Reads a file or an asset that is not open in the editor.
pub(super) async fn read(uri: &Url, server: &Server) -> Result<Document> {
    let missing = |what: &str| {
        failure(
            Kind::NotFound,
            format!("This document {what}; open it in the editor first."),
        )
    };
    if let Some((Form::AssetUri, asset)) = id_of_uri(uri) {
        let (_, client) = server.session.client().await.map_err(failed)?;
        let asset = client.asset_text(asset).await.map_err(failed)?;
        let text = asset.text.ok_or_else(|| missing("is not text"))?;
        return Ok(Document::detached(&text, server.flags().encoding));
    }
    let path = subject::file_path(uri).ok_or_else(|| missing("is not open and is not a file"))?;
    let reading = async {
        let file = tokio::task::spawn_blocking(move || private::regular(&path)).await??;
        let mut text = String::new();
        tokio::fs::File::from_std(file)
            .take(MAX_SAVED_BYTES as u64 + 1)
            .read_to_string(&mut text)
            .await?;
        std::io::Result::Ok(text)
    };
    match timeout(READ_FILE_TIMEOUT, reading).await {
        Ok(Ok(text)) => Ok(Document::detached(&text, server.flags().encoding)),
        _ => Err(missing("is not open and cannot be read as text")),
    }
}
