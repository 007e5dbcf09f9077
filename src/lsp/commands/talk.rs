//! `pieces.conversations.talk` and `pieces.conversations.send`.

use super::arguments::{id, optional_id, structure, uri};
use super::ask::OpenTexts;
use super::{ask, open};
use crate::ask::{Request, Selection};
use crate::lsp::limits::LAST_EDIT_TIMEOUT;
use crate::lsp::rpc::error::{failure, invalid};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::state::talks::{About, Talk, TalkDir};
use crate::lsp::text::real_path::real_path;
use crate::lsp::text::subject::{display_name, file_path};
use crate::lsp::text::talk::find::{about, conversation_of, talk_of};
use crate::lsp::text::talk::{Markers, said};
use crate::lsp::upkeep::talk::{AnswerEvent, PendingQuestion, write_answer, write_file};
use crate::markdown::question;
use crate::pieces::Kind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{MessageType, Position, ProgressToken, Range, Url};
use uuid::Uuid;

/// `pieces.conversations.talk {conversation?, uri?, range?}`: opens a talk file.
pub(super) async fn talk(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let conversation = match argument.is_string() {
        true => Some(id(argument, "conversation")?),
        false => optional_id(argument, "conversation")?,
    };
    let place = uri(argument, "uri")?;
    let range: Option<Range> = structure(argument, "range", "a range with start and end")?;
    let texts = OpenTexts::of(server);
    if let (None, Some(place)) = (conversation, &place)
        && talk_of(server, place).await.is_some()
    {
        show(server, place, None).await;
        return Ok(json!({ "uri": place }));
    }
    let shown = match (&place, conversation) {
        (Some(place), None) => conversation_of(server, place).await,
        _ => None,
    };
    let start = Start {
        conversation: conversation.or(shown),
        // The text of a conversation is not attached to a question.
        place: place.filter(|_| shown.is_none()),
        range,
        texts,
    };
    let (id, dir, about) = start.prepare(server).await?;
    write_file(server, id, dir.clone()).await;
    let Ok(uri) = Url::from_file_path(dir.path(id)) else {
        return Err(unusable("its path cannot be written as a file URI"));
    };
    let line = prompt_line(server, &uri, &about).await;
    show(server, &uri, Some(line)).await;
    Ok(json!({ "uri": uri }))
}

/// The subject of a new talk file.
struct Start {
    conversation: Option<Uuid>,
    place: Option<Url>,
    range: Option<Range>,
    texts: OpenTexts,
}

impl Start {
    /// Creates the talk, or finds the one that continues the conversation, and stores its subject.
    async fn prepare(self, server: &Arc<Server>) -> Result<(Uuid, TalkDir, About)> {
        let index = server.session.reader();
        if let Some(conversation) = self.conversation
            && !index.contains(conversation)
        {
            let what = "There is no conversation with this id; it may have been deleted. Refresh the list and pick another.";
            return Err(failure(Kind::NotFound, what));
        }
        let selection = match (&self.place, self.range) {
            (Some(place), Some(range)) => selected(server, &self.texts, place, range).await?,
            _ => None,
        };
        let tied = self.place.clone().filter(|place| place.scheme() == "file");
        let document = self.place.filter(|_| selection.is_none());
        let quoted = selection
            .as_ref()
            .map(|one| crate::ask::stored("", Some(one)));
        let backend = server.session.status().backend.as_str().to_owned();
        let Some(data_dir) = server.session.data_dir() else {
            return Err(unusable(
                "the system has no data directory; set `--data-dir` to one",
            ));
        };
        let conversation = self.conversation;
        let storing = tokio::task::spawn_blocking(move || {
            let dir = TalkDir::of(&data_dir)?;
            let known = conversation.and_then(|id| dir.continuing(id));
            let id = known.unwrap_or_else(Uuid::new_v4);
            let mut about = dir.about(id).unwrap_or_else(|| About {
                token: Uuid::new_v4().simple().to_string(),
                conversation,
                backend,
                ..About::default()
            });
            if about.conversation.is_none() {
                (about.document, about.tied) = (document, tied);
            }
            if let Some(quoted) = quoted {
                // Appended to the draft.
                about.draft = format!("{}\n\n{quoted}", about.draft.trim_end());
            }
            dir.keep(id, &about)?;
            std::io::Result::Ok((id, dir, about))
        });
        match storing.await {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(error)) => Err(unusable(&error.to_string())),
            Err(_) => Err(Error::internal_error()),
        }
    }
}

fn unusable(why: &str) -> Error {
    failure(
        Kind::Refused,
        format!(
            "A talk file cannot be written: {why}; make the data directory writable, or free some space, and try again."
        ),
    )
}

/// The selected lines of a document; `None` for a cursor.
async fn selected(
    server: &Arc<Server>,
    texts: &OpenTexts,
    uri: &Url,
    range: Range,
) -> Result<Option<Selection>> {
    let mut request = Request::default();
    ask::about(server, texts, &mut request, uri.clone(), Some(range)).await?;
    Ok(request.selection)
}

/// The line on which the user writes.
async fn prompt_line(server: &Arc<Server>, uri: &Url, about: &About) -> usize {
    let markers = Markers::new(&about.token);
    match text_of(server, uri).await {
        Some(text) => markers.prompt_line(&text),
        None => 0,
    }
}

/// The text of a talk file, in the editor or on disk.
async fn text_of(server: &Arc<Server>, uri: &Url) -> Option<String> {
    if let Some(document) = server.documents.get(uri) {
        let bytes = document.text.len_bytes();
        return Some(reading(bytes, move || document.text.to_string()).await);
    }
    let path = file_path(uri)?;
    let reading = tokio::task::spawn_blocking(move || {
        let bytes = crate::private::read(&path, crate::lsp::limits::MAX_SAVED_BYTES as u64).ok()?;
        String::from_utf8(bytes).ok()
    });
    reading.await.ok()?
}

/// Shows a talk file; if the editor cannot, a message has its path.
async fn show(server: &Arc<Server>, uri: &Url, line: Option<usize>) {
    let cursor = line.map(|line| Position::new(line as u32, 0));
    if server.flags().show_document && open::shown(server, uri.clone(), cursor).await {
        return;
    }
    let path = file_path(uri).unwrap_or_default();
    let message = format!("Open {} and write your question there.", path.display());
    server.client.show_message(MessageType::INFO, message).await;
}

/// `pieces.conversations.send {uri}`: asks the question below the marker of a talk file.
pub(super) async fn send(
    server: &Arc<Server>,
    argument: &Value,
    token: Option<ProgressToken>,
) -> Result<Value> {
    let Some(uri) = uri(argument, "uri")? else {
        return Err(invalid("`uri` must be a URI."));
    };
    // The document as it was when the command arrived: text that is typed later is not sent.
    let document = server.documents.get(&uri);
    let texts = OpenTexts::of(server);
    let Some(talk) = talk_of(server, &uri).await else {
        let what = "`uri` is not a talk file; `pieces.conversations.talk` opens one.";
        return Err(invalid(what));
    };
    let text = match document {
        Some(document) => {
            let bytes = document.text.len_bytes();
            Some(reading(bytes, move || document.text.to_string()).await)
        }
        None => text_of(server, &uri).await,
    };
    let text = text.ok_or_else(|| invalid("`uri` names a file that cannot be read."))?;
    let below = {
        let talk = Arc::clone(&talk);
        reading(text.len(), move || draft_of(&talk, &text))
    };
    let Some(prompt) = below.await else {
        let what = "The line that begins with `<!-- pieces:` is missing or duplicated; undo the edit, or close the file and open it again.";
        return Err(failure(Kind::Refused, what));
    };
    let stored = about(&talk).await.unwrap_or_default();
    let request = request_of(&prompt, &stored).await?;
    // The last edit of the previous answer may still be in flight.
    let asked_here = |id| server.asks.asked_here(id);
    let within = match stored.conversation.is_some_and(asked_here) {
        true => Duration::ZERO,
        false => LAST_EDIT_TIMEOUT,
    };
    if !talk.begins_answer(within).await {
        let what =
            "The last question of this file is still being answered; wait for it, or stop it.";
        return Err(failure(Kind::Busy, what));
    }
    let asked = PendingQuestion {
        tied: stored.tied.clone().or_else(|| stored.document.clone()),
        uri,
        talk: Arc::clone(&talk),
        prompt,
        elsewhere: None,
    };
    run(server, asked, request, texts, token).await
}

/// The draft below the marker, trimmed; `None` if the marker is missing or duplicated.
fn draft_of(talk: &Talk, text: &str) -> Option<String> {
    let places = Markers::new(&talk.token).locate(text).ok()?;
    Some(text[said(text, places.prompt)].replace("\r\n", "\n"))
}

/// The prompt, and the code quoted below it unless it was deleted.
async fn request_of(below: &str, stored: &About) -> Result<Request> {
    let (prompt, quoted) = match question::parts(below) {
        Some((prompt, quoted)) => (prompt, Some(quoted)),
        None => (below, None),
    };
    if prompt.trim().is_empty() {
        let what = "There is no question below the marker yet; write one, then send it.";
        return Err(failure(Kind::Refused, what));
    }
    let line = |line: usize| u32::try_from(line).unwrap_or(u32::MAX);
    let selection = quoted.map(|quoted| {
        let place = quoted.place;
        let uri = Url::from_file_path(place.path).or_else(|()| Url::parse(place.path));
        let uri = uri.ok();
        Selection {
            name: uri
                .as_ref()
                .map_or_else(|| place.path.to_owned(), display_name),
            lines: Some((line(place.first), line(place.last))),
            text: quoted.code.to_owned(),
            uri,
        }
    });
    let tied = match stored.tied.as_ref().and_then(file_path) {
        Some(path) => real_path(path.clone()).await.or(Some(path)),
        None => None,
    };
    let document = stored.document.clone();
    Ok(Request {
        prompt: Some(prompt.to_owned()),
        conversation: stored.conversation,
        document: document.filter(|_| stored.conversation.is_none() && selection.is_none()),
        tied,
        selection,
        ..Request::default()
    })
}

/// Asks, and streams the answer into the file.
async fn run(
    server: &Arc<Server>,
    asked: PendingQuestion,
    request: Request,
    texts: OpenTexts,
    token: Option<ProgressToken>,
) -> Result<Value> {
    let talk = Arc::clone(&asked.talk);
    let title = ask::title(request.prompt.as_deref().unwrap_or_default());
    let (tap, mut events) = mpsc::unbounded_channel();
    let (heard, hears) = mpsc::unbounded_channel();
    tokio::spawn(write_answer(Arc::clone(server), asked, hears));
    server.stale.views_changed();
    let listening = tokio::spawn({
        let heard = heard.clone();
        async move {
            while let Some(event) = events.recv().await {
                if let crate::ask::Event::Sent {
                    conversation: Some(conversation),
                } = event
                {
                    belongs_to(&talk, conversation).await;
                }
                let _ = heard.send(AnswerEvent::Event(event));
            }
        }
    });
    let outcome = ask::run(server, title, token, Some(tap), texts, async move {
        Ok(request)
    })
    .await;
    let _ = listening.await;
    let id = |value: &Value| value.as_str().and_then(|id| Uuid::parse_str(id).ok());
    let _ = heard.send(match &outcome {
        Ok(answer) => AnswerEvent::Ended {
            conversation: id(&answer["conversation"]),
            answer: id(&answer["answer"]),
            text: answer["text"].as_str().unwrap_or_default().to_owned(),
            failure: None,
        },
        Err(error) => AnswerEvent::Ended {
            conversation: None,
            answer: None,
            text: String::new(),
            failure: Some(error.message.to_string()),
        },
    });
    outcome
}

/// Records the conversation of a talk: the next question goes there.
async fn belongs_to(talk: &Arc<Talk>, conversation: Uuid) {
    let talk = Arc::clone(talk);
    let storing = tokio::task::spawn_blocking(move || {
        talk.dir
            .change(talk.id, |about| about.conversation = Some(conversation))
    });
    if let Ok(Err(error)) = storing.await {
        tracing::warn!(%error, "the conversation of a talk file was not recorded");
    }
}
