//! `workspace/textDocumentContent` (LSP 3.18): conversations and assets as documents.

use crate::index::Conversation;
use crate::lsp::limits::ASSET_NAMES_TIMEOUT;
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::state::Server;
use crate::lsp::text::item::files_of;
use crate::lsp::text::message::{awaited, part};
use crate::lsp::text::reference::{ASSET, CONVERSATION, Form, id_of_uri};
use crate::lsp::text::subject::file_name_in;
use crate::markdown::{Clock, Tie, Transcript};
use crate::pieces::{self, Kind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{Registration, Url};
use uuid::Uuid;

pub(crate) const METHOD: &str = "workspace/textDocumentContent";
#[derive(Debug, Deserialize)]
pub(crate) struct Params {
    uri: Url,
}

#[derive(Debug, Serialize)]
pub(crate) struct Content {
    text: String,
}

/// The dynamic registration of LSP 3.18.
pub(crate) fn registration() -> Registration {
    Registration {
        id: "pieces-content".into(),
        method: METHOD.into(),
        register_options: Some(json!({ "schemes": [CONVERSATION, ASSET] })),
    }
}

/// `workspace/textDocumentContent`.
pub(crate) async fn content(server: &Arc<Server>, params: Params) -> Result<Content> {
    let text = match id_of_uri(&params.uri) {
        Some((Form::ConversationUri, id)) => conversation(server, id).await?,
        Some((Form::AssetUri, id)) => asset(server, id).await?,
        _ => {
            let what = "`uri` must be pieces-conversation:/<id>.md or pieces-asset:/<id>/<name>.";
            return Err(invalid(what));
        }
    };
    Ok(Content { text })
}

/// The transcript of a conversation in Markdown.
pub(crate) async fn conversation(server: &Arc<Server>, id: Uuid) -> Result<String> {
    let index = server.session.reader();
    let (transcript, note) = match server.transcripts.read(&server.session, id).await {
        Ok(transcript) => (Some(transcript), None),
        Err(error) if error.kind == Kind::NotFound && index.contains(id) => (
            None,
            Some("This service does not provide messages.".to_owned()),
        ),
        Err(error) => return Err(failed(error)),
    };
    let one = index.get(id);
    let raw = transcript.as_ref().map(|all| &all.conversation);
    let Some(one) = one.or_else(|| raw.and_then(from_raw)) else {
        return Err(failure(
            Kind::NotFound,
            "There is no conversation with this id; it may have been deleted.",
        ));
    };
    let names = &server.asset_names;
    names
        .learn(&server.session, &one.assets, ASSET_NAMES_TIMEOUT)
        .await;
    let ties = TiedTo::of(&one, server);
    let clock = clock(server);
    let (text, _) = render(one, ties, clock, transcript, note).await?;
    Ok(text)
}

/// The line of each message in the document of a conversation.
pub(crate) async fn lines(
    server: &Server,
    one: &Conversation,
    transcript: &Arc<pieces::Transcript>,
) -> Vec<usize> {
    // Names of assets do not change the number of lines, so missing ones do not matter.
    let ties = TiedTo::of(one, server);
    let (one, transcript) = (one.clone(), Arc::clone(transcript));
    let rendered = render(one, ties, clock(server), Some(transcript), None).await;
    rendered.map(|(_, lines)| lines).unwrap_or_default()
}

/// The document, and the line of each message.
async fn render(
    one: Conversation,
    ties: TiedTo,
    clock: Clock,
    transcript: Option<Arc<pieces::Transcript>>,
    note: Option<String>,
) -> Result<(String, Vec<usize>)> {
    // Rendering a long conversation is slow.
    let rendering = tokio::task::spawn_blocking(move || {
        let transcript = transcript.as_deref();
        let messages = transcript.map_or(&[][..], |all| &all.messages);
        let missing = transcript.and_then(|all| match all.missing {
            0 => None,
            1 => Some("1 message could not be read.".to_owned()),
            many => Some(format!("{many} messages could not be read.")),
        });
        let parts = messages.iter().map(|message| part(message, &clock));
        let awaited = transcript.and_then(|all| awaited(&all.conversation));
        Transcript {
            title: one.as_ref().title(),
            origin: origin(&one.application),
            created: clock.short(one.created),
            updated: clock.short(one.updated),
            assets: ties.assets,
            files: ties.files,
            messages: parts.chain(awaited).collect(),
            note: note.or(missing),
        }
        .render_with_lines()
    });
    rendering.await.map_err(|_| {
        failure(
            Kind::Protocol,
            "The conversation could not be rendered; please report it with the log.",
        )
    })
}

/// The application, if its name is one for people; the names of the API are in capitals.
fn origin(application: &str) -> &str {
    match application.contains(char::is_lowercase) {
        true => application,
        false => "",
    }
}

/// A conversation that is not in the index yet.
fn from_raw(raw: &Value) -> Option<Conversation> {
    let time = |field: &str| {
        raw[field]["value"]
            .as_str()
            .and_then(crate::json::time::parse)
    };
    Some(Conversation {
        id: Uuid::parse_str(raw["id"].as_str()?).ok()?,
        name: raw["name"].as_str().unwrap_or_default().to_owned(),
        created: time("created").unwrap_or_default(),
        updated: time("updated").unwrap_or_default(),
        favorited: false,
        messages: 0,
        assets: Vec::new(),
        anchors: Vec::new(),
        application: String::new(),
        answering: None,
    })
}

/// The assets and files of a conversation, as links.
struct TiedTo {
    assets: Vec<Tie>,
    files: Vec<Tie>,
}

impl TiedTo {
    fn of(one: &Conversation, server: &Server) -> Self {
        let index = server.session.reader();
        let asset = |id: &Uuid| match server.asset_names.get(*id) {
            Some(name) => Tie {
                uri: asset_uri(*id, &name),
                name,
            },
            None => Tie {
                name: format!("asset {id}"),
                uri: format!("{ASSET}:/{id}"),
            },
        };
        let file = |path: String| {
            let uri = Url::from_file_path(&path).ok()?;
            Some(Tie {
                name: path,
                uri: uri.into(),
            })
        };
        let files = files_of(&one.anchors, index.ties());
        TiedTo {
            assets: one.assets.iter().map(asset).collect(),
            files: files.into_iter().filter_map(file).collect(),
        }
    }
}

/// The files linked to a conversation, as its document shows them.
pub(crate) fn files(one: &Conversation, server: &Server) -> Vec<Tie> {
    TiedTo::of(one, server).files
}

/// The present in the configured time zone.
fn clock(server: &Server) -> Clock {
    Clock::now(server.settings().time_zone.as_deref())
}

async fn asset(server: &Server, id: Uuid) -> Result<String> {
    let (_, client) = server.session.client().await.map_err(failed)?;
    let asset = client.asset_text(id).await.map_err(failed)?;
    asset.text.ok_or_else(|| {
        let what = "This asset is not text; open it in Pieces.";
        failure(Kind::Refused, what)
    })
}

/// The URI of an asset's document; editors detect the language by the name in it.
fn asset_uri(id: Uuid, name: &str) -> String {
    let name = Path::new(file_name_in(name))
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("asset");
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let encoded = utf8_percent_encode(name, UNRESERVED);
    format!("{ASSET}:/{id}/{encoded}")
}
