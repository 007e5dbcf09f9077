//! Starts a conversation from an asset or from a document.

use super::arguments::{id, structure, uri};
use crate::index::UNNAMED;
use crate::lsp::limits::{INDEX_TIMEOUT, MAX_SAVED_BYTES, READ_FILE_TIMEOUT};
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::subject;
use crate::pieces::{Client, Kind};
use crate::private;
use crate::sync::{Handle, Write};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{Range, Url};
use uuid::Uuid;

/// `pieces.conversations.createFromAsset {asset}`.
pub(super) async fn from_asset(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let asset = id(argument, "asset")?;
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let inside = Arc::clone(server);
    let starting = async move { start(&inside, &handle, &client, asset).await };
    send_write(server, starting).await
}

/// `pieces.conversations.startFromDocument {uri, range?}`.
pub(super) async fn from_document(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let Some(uri) = uri(argument, "uri")? else {
        return Err(invalid("`uri` must be a URI."));
    };
    let range: Option<Range> = structure(argument, "range", "a range with start and end")?;
    let document = server.documents.get(&uri);
    let index = server.session.reader();
    let assets = subject::current_assets(&uri, document.as_ref(), range, &index).await;
    if let Some(asset) = assets.first().copied() {
        let (handle, client) = server.session.client().await.map_err(failed)?;
        let inside = Arc::clone(server);
        let starting = async move { start(&inside, &handle, &client, asset).await };
        return send_write(server, starting).await;
    }
    let document = match document {
        Some(document) => document,
        None => read(&uri, server).await?,
    };
    let text = selected(&document, range);
    if text.trim().is_empty() {
        return Err(invalid(
            "`uri` names an empty document; write or select something first.",
        ));
    }
    if text.len() > MAX_SAVED_BYTES {
        return Err(invalid(
            "`uri` names a document of more than 8 MiB; select the part that matters.",
        ));
    }
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let inside = Arc::clone(server);
    let starting = async move {
        let key = saved_key(&uri, &text);
        let known = inside.saved.get(&key).map(|asset| *asset);
        let known = known.filter(|asset| handle.index.knows_asset(*asset));
        let asset = match known {
            Some(asset) => asset,
            None => save(&inside, &handle, &client, &uri, &text).await?,
        };
        inside.saved.insert(key, asset);
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

/// Identifies a text of a document, so that it is not saved twice before the index has its anchor.
fn saved_key(uri: &Url, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (uri.as_str(), text).hash(&mut hasher);
    hasher.finish()
}

/// Starts a conversation and waits until the index holds it.
async fn start(
    server: &Arc<Server>,
    handle: &Handle,
    client: &Client,
    asset: Uuid,
) -> Result<Value> {
    match client.create_from_asset(asset).await {
        Ok(id) => {
            let _ = timeout(INDEX_TIMEOUT, handle.wrote(Write::Id(id))).await;
            let one = handle.index.get(id);
            let name = one.as_ref().map_or(UNNAMED, |one| one.as_ref().title());
            Ok(json!({ "conversation": id, "name": name }))
        }
        Err(error) => Err(report_failed_write(server, handle, error).await),
    }
}

/// Saves `text` as an asset anchored to the file it comes from.
async fn save(
    server: &Arc<Server>,
    handle: &Handle,
    client: &Client,
    uri: &Url,
    text: &str,
) -> Result<Uuid> {
    let application = client.connect().await;
    let path = match subject::file_path(uri) {
        // The real path, so that it is found through every symlink to the file.
        Some(path) => subject::real_path(path.clone()).await.or(Some(path)),
        None => None,
    };
    let name = subject::display_name(uri);
    let extension = Path::new(&name).extension().and_then(|ext| ext.to_str());
    let mut asset = json!({
        "metadata": { "name": name },
        "format": { "fragment": { "string": { "raw": text } } },
    });
    if let Some(path) = path.as_deref().and_then(Path::to_str) {
        asset["metadata"]["anchors"] = json!([{ "type": "FILE", "fullpath": path }]);
    }
    if let Some(extension) = extension {
        asset["format"]["fragment"]["metadata"] = json!({ "ext": extension.to_lowercase() });
    }
    if let Ok(application) = application {
        asset["application"] = application;
    }
    let seed = json!({ "type": "SEEDED_ASSET", "asset": asset });
    match client.create_asset(&seed).await {
        Ok(id) => Ok(id),
        Err(error) if error.status == Some(404) => {
            let message =
                "This service cannot save assets; save it in Pieces itself, then start from there.";
            Err(failed(error.with_message(message)))
        }
        Err(error) => Err(report_failed_write(server, handle, error).await),
    }
}

/// The selection, or the whole text if nothing is selected.
fn selected(document: &Document, range: Option<Range>) -> String {
    let chars = range.map(|range| document.chars(range)).unwrap_or_default();
    if chars.is_empty() {
        document.text.to_string()
    } else {
        document.text.slice(chars).to_string()
    }
}

/// Reads a file that is not open in the editor.
async fn read(uri: &Url, server: &Server) -> Result<Document> {
    let missing = |what: &str| {
        failure(
            Kind::NotFound,
            format!("This document {what}; open it in the editor first."),
        )
    };
    let path = subject::file_path(uri).ok_or_else(|| missing("is not open and is no file"))?;
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
