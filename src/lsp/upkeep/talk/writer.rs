//! Writing one answer into a talk file.

use crate::ask;
use crate::lsp::limits::{TALK_EDIT_TIMEOUT, TALK_LOOK};
use crate::lsp::rpc::ask as ask_editor;
use crate::lsp::rpc::ask::Unanswered;
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::state::settings::AnswerInDocument;
use crate::lsp::state::talks::Talk;
use crate::lsp::text::item::role;
use crate::lsp::text::message::part;
use crate::lsp::text::talk::Markers;
use crate::lsp::text::talk::frame::{AbandonReason, Edit, Frame, Seen, Step};
use crate::lsp::upkeep::talk::{store, write_file};
use crate::markdown::{Clock, Part, Tie};
use crate::pieces::Role;
use futures_util::future::OptionFuture;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tower_lsp::lsp_types::{
    ApplyWorkspaceEditParams, DocumentChanges, MessageType, OneOf,
    OptionalVersionedTextDocumentIdentifier, Range, TextDocumentEdit, TextEdit, Url, WorkspaceEdit,
    request,
};
use uuid::Uuid;

/// An event of the answer to a question.
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

/// A question whose answer goes into a talk file.
pub(crate) struct PendingQuestion {
    pub uri: Url,
    pub talk: Arc<Talk>,
    /// The text below the marker, trimmed.
    pub prompt: String,
    pub tied: Option<Url>,
    /// The sections that were written elsewhere and end with the question; `None` where it was asked in this file,
    /// just now.
    pub elsewhere: Option<String>,
}

/// Writes the answer to a question into its talk file, while that is open and nobody edits the frame. Returns when
/// there is nothing more to write.
pub(crate) async fn write_answer(
    server: Arc<Server>,
    asked: PendingQuestion,
    mut heard: mpsc::UnboundedReceiver<AnswerEvent>,
) {
    let mut writer = Writer::new(&server, &asked);
    writer.write(&mut heard).await;
    writer.await_end(&mut heard).await;
    if asked.elsewhere.is_none() {
        writer.say_if_left_alone().await;
    }
    asked.talk.ends_answer();
    let (id, dir) = (asked.talk.id, asked.talk.dir.clone());
    if server.documents.get(&asked.uri).is_none() {
        write_file(&server, id, dir).await;
    }
    server.talks.conversations_changed();
    server.stale.views_changed();
}

struct Writer<'a> {
    server: &'a Arc<Server>,
    asked: &'a PendingQuestion,
    frame: Frame,
    /// Whether the question was accepted; before that, nothing is written.
    begun: bool,
    /// Whether the file was seen to have the question.
    landed: bool,
    /// Whether the last event has arrived.
    ended: bool,
    /// When the document is to be looked at again.
    due: Option<Instant>,
    /// When it was looked at last.
    looked: Instant,
    /// The document of the edit in flight, and of the next one.
    seen: Option<Document>,
    /// Whether the edit in flight was applied, once the editor says so.
    reply: Option<oneshot::Receiver<Option<bool>>>,
    left_alone: Option<AbandonReason>,
    /// Whether the conversation has an answer, once the last event has arrived.
    answered: bool,
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
        let elsewhere = asked.elsewhere.clone();
        let question = elsewhere.unwrap_or_else(|| question.render(&tied));
        Writer {
            server,
            asked,
            frame: Frame::new(markers, live, asked.prompt.clone(), question),
            begun: false,
            landed: false,
            ended: false,
            due: None,
            looked: Instant::now(),
            seen: None,
            reply: None,
            left_alone: None,
            answered: false,
        }
    }

    /// Edits the document until the answer is in it, or it has to be left alone.
    async fn write(&mut self, heard: &mut mpsc::UnboundedReceiver<AnswerEvent>) {
        let mut changes = self.server.talks.listen();
        loop {
            if self.is_due() && self.advance().is_break() {
                return;
            }
            if self.frame.has_begun() && !self.landed {
                self.question_landed();
            }
            if self.ended && !self.begun {
                return;
            }
            tokio::select! {
                event = heard.recv(), if !self.ended => self.receive(event).await,
                changed = changes.changed() => match changed {
                    Ok(()) => self.look_now(),
                    Err(_) => return,
                },
                Some(reply) = OptionFuture::from(self.reply.as_mut()) => self.replied(reply.ok().flatten()),
                Some(()) = OptionFuture::from(self.due.filter(|_| self.begun).map(sleep_until)) => {}
            }
        }
    }

    /// Takes the next step of the frame; breaks after the last one.
    fn advance(&mut self) -> ControlFlow<()> {
        self.looked = Instant::now();
        match self.step() {
            Step::Edit(edit) => {
                self.reply = Some(self.send(edit));
                self.look_now();
            }
            Step::Wait(at) => self.due = at,
            Step::Written => {
                self.question_landed();
                return ControlFlow::Break(());
            }
            Step::LeftAlone(why) => {
                self.left_alone = Some(why);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn is_due(&self) -> bool {
        self.begun && self.due.is_some_and(|due| due <= Instant::now())
    }

    fn look_now(&mut self) {
        self.due = Some(Instant::now());
    }

    async fn receive(&mut self, event: Option<AnswerEvent>) {
        match event {
            Some(AnswerEvent::Event(event)) => {
                self.hear(event);
                // Words arrive faster than the document should be checked.
                let soon = self.looked + TALK_LOOK;
                self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
            }
            Some(AnswerEvent::Ended {
                conversation,
                answer,
                text,
                failure,
            }) => {
                self.end(conversation, answer, &text, failure.as_deref())
                    .await;
                self.ended = true;
                self.answered = answer.is_some();
                self.look_now();
            }
            None => self.ended = true,
        }
    }

    fn replied(&mut self, applied: Option<bool>) {
        self.reply = None;
        if let Some(applied) = applied {
            self.frame.replied(applied);
            self.look_now();
        }
    }

    /// Waits for the last event: the question has an answer or none, whatever happens to the file.
    async fn await_end(&mut self, heard: &mut mpsc::UnboundedReceiver<AnswerEvent>) {
        while !self.ended {
            match heard.recv().await {
                Some(AnswerEvent::Ended { answer, .. }) => {
                    // A file that is left alone is left alone.
                    if answer.is_some() {
                        self.asked.talk.saw(answer);
                    }
                    self.ended = true;
                    self.answered = answer.is_some();
                }
                Some(AnswerEvent::Event(_)) => {}
                None => return,
            }
        }
    }

    /// The question stands above the marker: it is no draft any more.
    fn question_landed(&mut self) {
        self.landed = true;
        self.asked.talk.sends(None);
        if let Some(document) = self.seen.clone() {
            tokio::spawn(store(Arc::clone(&self.asked.talk), document));
        }
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.asked.talk.sends(Some(&self.asked.prompt));
        }
    }

    fn hear(&mut self, event: ask::Event) {
        match event {
            ask::Event::Status { .. } => self.begin(),
            ask::Event::Delta { text, .. } => {
                self.begin();
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
        match message {
            Some(_) => self.asked.talk.saw(messages.iter().map(|one| one.id)),
            None => self.asked.talk.may_show_anything(),
        }
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
        // The document first: if it was closed and opened again, the talk is another one by now.
        let document = self.server.documents.get(&self.asked.uri);
        let open = self.server.talks.get(&self.asked.uri);
        let is_open = open.is_some_and(|open| Arc::ptr_eq(&open, &self.asked.talk));
        self.seen = document.filter(|_| is_open);
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
        let reason = self.left_alone;
        if let Some(message) = reason.and_then(|reason| not_in_the_file(reason, self.answered)) {
            let client = &self.server.client;
            client.show_message(MessageType::INFO, message).await;
        }
    }
}

/// Where the answer is, and why the file does not show it; `None` if there is nothing to say. `answered`: the conversation
/// has an answer; if not, the response of the command says why.
fn not_in_the_file(reason: AbandonReason, answered: bool) -> Option<String> {
    let why = match reason {
        _ if !answered => return None,
        AbandonReason::Closed => return None,
        AbandonReason::Edited => "because the file was edited there",
        AbandonReason::Refused => "because the editor refused the edits",
    };
    Some(format!(
        "The answer is in the conversation, but not in the talk file, {why}. Close and open the file to see it."
    ))
}

/// Sends an edit; `None` if the editor does not say whether it was applied.
pub(super) async fn send(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_is_there_is_said_to_be_in_the_conversation() {
        use AbandonReason::{Closed, Edited, Refused};
        for reason in [Closed, Edited, Refused] {
            assert_eq!(not_in_the_file(reason, false), None, "{reason:?}");
        }
        assert_eq!(not_in_the_file(Closed, true), None);
        let said = not_in_the_file(Edited, true).unwrap();
        assert!(said.contains("because the file was edited there"), "{said}");
        let said = not_in_the_file(Refused, true).unwrap();
        assert!(said.contains("because the editor refused"), "{said}");
    }
}
