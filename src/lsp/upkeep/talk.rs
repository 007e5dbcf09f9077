//! Open talk files: storing drafts, and writing answers into the files.

use crate::ask;
use crate::lsp::features::content;
use crate::lsp::limits::{DRAFT_DELAY, HOVER_CHARS, TALK_EDIT_TIMEOUT, TALK_LOOK};
use crate::lsp::rpc::ask as ask_editor;
use crate::lsp::rpc::ask::Unanswered;
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::state::settings::AnswerInDocument;
use crate::lsp::state::talks::{About, Talk, TalkDir};
use crate::lsp::text::item::role;
use crate::lsp::text::message::part;
use crate::lsp::text::subject::display_name;
use crate::lsp::text::talk::find::{about, talk_of};
use crate::lsp::text::talk::frame::{AbandonReason, Edit, Frame, Seen, Step};
use crate::lsp::text::talk::{Markers, said};
use crate::markdown::{Clock, Part, Tie, inline_isolated, question};
use crate::pieces::Role;
use crate::sync::State;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tower_lsp::lsp_types::{
    ApplyWorkspaceEditParams, DocumentChanges, MessageType, OneOf,
    OptionalVersionedTextDocumentIdentifier, Range, TextDocumentEdit, TextEdit, Url, WorkspaceEdit,
    request,
};
use uuid::Uuid;

/// To be called when a document was opened. Restores a draft that is missing in it.
pub(crate) fn opened(server: &Arc<Server>, uri: Url) {
    let first = server.documents.get(&uri);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let Some(talk) = talk_of(&server, &uri).await else {
            return;
        };
        server.talks.documents_changed();
        let stored = about(&talk).await.unwrap_or_default();
        let (Some(first), Some(document)) = (first, server.documents.get(&uri)) else {
            server.talks.close(&uri);
            return;
        };
        // It may have been edited before it was recognised as a talk file.
        let untouched = first.text == document.text;
        match put_back(&talk, &document, &stored).filter(|_| untouched) {
            Some(edit) => {
                let _ = send(&server, &uri, &document, edit, "Restore the draft").await;
            }
            None => store(talk, document).await,
        }
    });
}

/// The edit that puts the stored draft below the marker. The text there wins if it was saved after the draft.
fn put_back(talk: &Talk, document: &Document, stored: &About) -> Option<Edit> {
    let text = document.text.to_string();
    let places = Markers::new(&talk.token).locate(&text).ok()?;
    let draft = stored.draft.trim();
    let below = said(&text, places.prompt.clone());
    let newer = below.is_empty() || talk.dir.draft_is_newer(talk.id);
    if draft.is_empty() || !newer || text[below.clone()].replace("\r\n", "\n") == draft {
        return None;
    }
    let change = match below.is_empty() {
        false => (below, draft.to_owned()),
        // Below the empty line, if there is one.
        true => {
            let start = places.prompt.start;
            let empty_line = text[start..].starts_with('\n') && text.len() > start + 1;
            let at = start + usize::from(empty_line);
            (at..at, format!("{draft}\n"))
        }
    };
    Some(Edit {
        version: document.version,
        changes: vec![change],
    })
}

/// To be called when a document was edited.
pub(crate) fn changed(server: &Arc<Server>, uri: &Url) {
    server.talks.documents_changed();
    let Some(talk) = server.talks.get(uri) else {
        return;
    };
    if talk.begins_storing() {
        let (server, uri) = (Arc::clone(server), uri.clone());
        tokio::spawn(async move {
            sleep(DRAFT_DELAY).await;
            talk.stores_now();
            if let Some(document) = server.documents.get(&uri) {
                store(talk, document).await;
            }
        });
    }
}

/// To be called when a document was closed; `last` is its last version.
pub(crate) fn closed(server: &Arc<Server>, uri: &Url, last: Option<Document>) {
    server.talks.documents_changed();
    let (Some(talk), Some(document)) = (server.talks.close(uri), last) else {
        return;
    };
    let server = Arc::clone(server);
    tokio::spawn(async move {
        store(Arc::clone(&talk), document).await;
        // Otherwise it is written when the answer has ended.
        if !talk.is_answering() {
            write_file(&server, talk.id, talk.dir.clone()).await;
        }
    });
}

/// Removes talk files of deleted conversations and unused ones.
pub(crate) fn tidy(server: &Arc<Server>) {
    let status = server.session.status();
    let Some(data_dir) = server.session.data_dir() else {
        return;
    };
    let index = server.session.reader();
    // Only a complete index can tell what is gone.
    let complete = status.state == State::Live;
    tokio::task::spawn_blocking(move || {
        if !data_dir.join("talk").is_dir() {
            return;
        }
        if let Ok(dir) = TalkDir::of(&data_dir) {
            dir.tidy(|conversation, about| {
                complete
                    && about.backend == status.backend.as_str()
                    && !index.contains(conversation)
            });
        }
    });
}

/// Stores the draft.
async fn store(talk: Arc<Talk>, document: Document) {
    let storing = tokio::task::spawn_blocking(move || {
        let text = document.text.to_string();
        let Ok(places) = Markers::new(&talk.token).locate(&text) else {
            return;
        };
        let draft = text[places.prompt].trim_matches(['\n', '\r']);
        let asked = question::parts(draft).map_or(draft, |(prompt, _)| prompt);
        let kept = talk.dir.change(talk.id, |about| {
            about.typed = !asked.trim().is_empty();
            about.draft = draft.to_owned();
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "a draft was not stored");
        }
    });
    let _ = storing.await;
}

/// Writes the file of a talk as it should be opened, unless a window has it open.
pub(crate) async fn write_file(server: &Arc<Server>, id: Uuid, dir: TalkDir) -> bool {
    let reading = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || dir.about(id))
    };
    let Ok(Some(about)) = reading.await else {
        return false;
    };
    let shown = match about.conversation {
        Some(conversation) => content::conversation(server, conversation).await.ok(),
        None => Some(opening(&about)),
    };
    let Some(shown) = shown else {
        return false;
    };
    let text = Markers::new(&about.token).compose(&shown, &about.draft);
    let writing = tokio::task::spawn_blocking(move || dir.write(id, &text));
    writing.await.is_ok_and(|written| written.unwrap_or(false))
}

/// The text above the marker of a talk that has no conversation yet.
fn opening(about: &About) -> String {
    let document = about.document.as_ref();
    let name = |uri: &Url| inline_isolated(&display_name(uri), HOVER_CHARS);
    match document.or(about.tied.as_ref()).map(name) {
        None => "# A question\n".to_owned(),
        Some(name) if document.is_none() => format!("# A question about {name}\n"),
        Some(name) => {
            format!("# A question about {name}\n\nThe text of {name} is sent with the question.\n")
        }
    }
}

/// An event of the answer to a question from a talk file.
pub(crate) enum AnswerEvent {
    /// An event of the question.
    Event(ask::Event),
    /// It ended: with the id of the answer if there is one, or with the sentence to show.
    Ended {
        conversation: Option<Uuid>,
        answer: Option<Uuid>,
        text: String,
        failure: Option<String>,
    },
}

/// A question from a talk file that is being answered.
pub(crate) struct PendingQuestion {
    pub uri: Url,
    pub talk: Arc<Talk>,
    /// The text below the marker, trimmed.
    pub prompt: String,
    pub tied: Option<Url>,
}

/// Writes the answer to a question into its talk file, while that is open and nobody edits the frame. Returns when
/// there is nothing more to write.
pub(crate) async fn write_answer(
    server: Arc<Server>,
    asked: PendingQuestion,
    mut heard: mpsc::UnboundedReceiver<AnswerEvent>,
) {
    let mut writer = Writer::new(&server, &asked);
    let mut changes = server.talks.listen();
    let mut reply: Option<oneshot::Receiver<Option<bool>>> = None;
    let mut ended = None;
    let mut looked = Instant::now();
    let mut due = None;
    loop {
        let now = Instant::now();
        if writer.begun && due.is_some_and(|due| due <= now) {
            looked = now;
            due = match writer.step() {
                Step::Edit(edit) => {
                    reply = Some(writer.send(edit));
                    Some(now)
                }
                Step::Wait(at) => at,
                Step::Written => break,
                Step::LeftAlone(why) => {
                    writer.left_alone = Some(why);
                    break;
                }
            };
        }
        if ended.is_some() && !writer.begun {
            break;
        }
        let wakes = async {
            match due.filter(|_| writer.begun) {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let replies = async {
            match reply.as_mut() {
                Some(reply) => reply.await.ok().flatten(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            one = heard.recv(), if ended.is_none() => match one {
                Some(AnswerEvent::Event(event)) => {
                    writer.hear(event);
                    // Words arrive faster than the document should be checked.
                    let soon = looked + TALK_LOOK;
                    due = Some(due.map_or(soon, |due: Instant| due.min(soon)));
                }
                Some(AnswerEvent::Ended { conversation, answer, text, failure }) => {
                    writer.end(conversation, answer, &text, failure.as_deref()).await;
                    ended = Some(conversation);
                    due = Some(now);
                }
                None => ended = Some(None),
            },
            changed = changes.changed() => match changed {
                Ok(()) => due = Some(now),
                Err(_) => break,
            },
            answered = replies => {
                reply = None;
                if let Some(applied) = answered {
                    writer.frame.replied(applied);
                    due = Some(now);
                }
            }
            () = wakes => {}
        }
    }
    // The answer is complete in the conversation, whatever happens to the file.
    while ended.is_none() {
        match heard.recv().await {
            Some(AnswerEvent::Ended { conversation, .. }) => ended = Some(conversation),
            Some(AnswerEvent::Event(_)) => {}
            None => break,
        }
    }
    writer.say_if_left_alone().await;
    asked.talk.ends_answer();
    let (id, dir) = (asked.talk.id, asked.talk.dir.clone());
    if server.documents.get(&asked.uri).is_none() {
        write_file(&server, id, dir).await;
    }
    server.stale.views_changed();
}

struct Writer<'a> {
    server: &'a Arc<Server>,
    asked: &'a PendingQuestion,
    frame: Frame,
    /// Whether the question was accepted; before that, nothing is written.
    begun: bool,
    /// The document of the edit in flight, and of the next one.
    seen: Option<Document>,
    left_alone: Option<AbandonReason>,
}

impl<'a> Writer<'a> {
    fn new(server: &'a Arc<Server>, asked: &'a PendingQuestion) -> Self {
        let settings = server.settings();
        let clock = Clock::now(settings.time_zone.as_deref());
        let question = Part {
            role: role(&Role::User),
            time: clock.short(jiff::Timestamp::now().as_microsecond()),
            text: Some(&asked.prompt),
            asks: true,
            ..Part::default()
        };
        let tied = asked.tied.iter().filter_map(|uri| {
            Some(Tie {
                name: uri.to_file_path().ok()?.to_str()?.to_owned(),
                uri: uri.to_string(),
            })
        });
        let tied: Vec<Tie> = tied.collect();
        let live = settings.answer_in_document == AnswerInDocument::Live;
        let markers = Markers::new(&asked.talk.token);
        Writer {
            server,
            asked,
            frame: Frame::new(markers, live, asked.prompt.clone(), question.render(&tied)),
            begun: false,
            seen: None,
            left_alone: None,
        }
    }

    fn hear(&mut self, event: ask::Event) {
        match event {
            ask::Event::Status { .. } => self.begun = true,
            ask::Event::Delta { text, .. } => {
                self.begun = true;
                self.frame.add(&text);
            }
            ask::Event::Created(_) | ask::Event::Sent { .. } => {}
        }
    }

    /// Reads the answer as it is stored.
    async fn end(
        &mut self,
        conversation: Option<Uuid>,
        answer: Option<Uuid>,
        text: &str,
        failure: Option<&str>,
    ) {
        let clock = Clock::now(self.server.settings().time_zone.as_deref());
        let stored = match conversation {
            Some(conversation) => {
                let reading = self
                    .server
                    .transcripts
                    .read(&self.server.session, conversation);
                reading.await.ok()
            }
            None => None,
        };
        let messages = stored.as_deref().map_or(&[][..], |all| &all.messages);
        let message = messages.iter().find(|one| Some(one.id) == answer);
        let unsaid = Part {
            role: role(&Role::Assistant),
            text: Some(text),
            aside: match failure {
                Some(why) => format!("Not answered: {why}"),
                None if text.is_empty() => "stopped".to_owned(),
                None => String::new(),
            },
            ..Part::default()
        };
        let part = message.map_or(unsaid, |message| part(message, &clock));
        self.frame.finish(part.render(&[]));
    }

    fn step(&mut self) -> Step {
        self.seen = self.server.documents.get(&self.asked.uri);
        let text = self.seen.as_ref().map(|document| document.text.to_string());
        let seen = self.seen.as_ref().zip(text.as_deref());
        let seen = seen.map(|(document, text)| Seen {
            text,
            version: document.version,
        });
        self.frame.step(Instant::now(), seen)
    }

    fn send(&self, edit: Edit) -> oneshot::Receiver<Option<bool>> {
        let (sender, receiver) = oneshot::channel();
        let (server, uri) = (Arc::clone(self.server), self.asked.uri.clone());
        let document = self.seen.clone();
        tokio::spawn(async move {
            let Some(document) = document else {
                return;
            };
            let applied = send(&server, &uri, &document, edit, "Answer from Pieces").await;
            let _ = sender.send(applied);
        });
        receiver
    }

    async fn say_if_left_alone(&self) {
        let why = match self.left_alone {
            None | Some(AbandonReason::Closed) => return,
            Some(AbandonReason::Edited) => "because the file was edited there",
            Some(AbandonReason::Refused) => "because the editor refused the edits",
        };
        let message = format!(
            "The answer is in the conversation, but not in the talk file, {why}. Close and open the file to see it."
        );
        let client = &self.server.client;
        client.show_message(MessageType::INFO, message).await;
    }
}

/// Sends an edit; `None` if the editor does not say whether it was applied.
async fn send(
    server: &Server,
    uri: &Url,
    document: &Document,
    edit: Edit,
    label: &str,
) -> Option<bool> {
    let position = |byte: usize| {
        let line = document.text.byte_to_line(byte);
        document.position(line, byte - document.text.line_to_byte(line))
    };
    let changes = edit.changes.into_iter();
    let changes: Vec<TextEdit> = changes
        .map(|(range, text)| {
            TextEdit::new(Range::new(position(range.start), position(range.end)), text)
        })
        .collect();
    let edit = match server.flags().versioned_edits {
        true => WorkspaceEdit {
            document_changes: Some(DocumentChanges::Edits(vec![TextDocumentEdit {
                text_document: OptionalVersionedTextDocumentIdentifier {
                    uri: uri.clone(),
                    version: edit.version,
                },
                edits: changes.into_iter().map(OneOf::Left).collect(),
            }])),
            ..WorkspaceEdit::default()
        },
        false => WorkspaceEdit::new([(uri.clone(), changes)].into()),
    };
    let params = ApplyWorkspaceEditParams {
        label: Some(label.to_owned()),
        edit,
    };
    let client = &server.client;
    let answer = ask_editor::<request::ApplyWorkspaceEdit>(client, params, TALK_EDIT_TIMEOUT);
    match answer.await {
        Ok(answer) => Some(answer.applied),
        Err(Unanswered::Refused(_)) => Some(false),
        Err(Unanswered::Late) => None,
    }
}
