//! Code actions for asking: of a document, of a talk file, of a comment, and of code in an answer.

use super::action::{ASK, Action, INSERT};
use super::content;
use crate::lsp::limits::{ACTION_CHARS, COMMENT_CONTEXT_LINES, HOVER_TIMEOUT, MAX_COMPARED_FILE};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::comment::question_at;
use crate::lsp::text::item::label;
use crate::lsp::text::message::{is_answering, part};
use crate::lsp::text::real_path::resolved;
use crate::lsp::text::subject::{Subject, file_path};
use crate::lsp::text::talk::find::{about, conversation_of, talk_of};
use crate::lsp::text::talk::section::{block_at, message_at};
use crate::lsp::text::talk::{Markers, said};
use crate::markdown::{Clock, Part, code_blocks, question};
use crate::pieces::{OWN, Role, Transcript};
use crate::private;
use serde_json::{Value, json};
use std::io::Read as _;
use std::sync::Arc;
use tower_lsp::lsp_types::{CodeLens, Position, Range, Url};
use uuid::Uuid;

/// A place in a document, for which actions are wanted.
pub(super) struct Place<'a> {
    pub server: &'a Arc<Server>,
    pub uri: &'a Url,
    pub document: Option<&'a Document>,
    pub range: Range,
    pub subject: &'a Subject,
}

impl Place<'_> {
    /// The conversation that the document shows, and the actions for asking.
    pub async fn actions(&self) -> (Option<Uuid>, Vec<Action>) {
        let mut actions = Vec::new();
        if let Some(talk) = talk_of(self.server, self.uri).await {
            let conversation = about(&talk).await.and_then(|about| about.conversation);
            actions.extend(
                self.of_talk(&talk.token, talk.is_answering(), conversation)
                    .await,
            );
            if let Some(conversation) = conversation
                && let Some(transcript) = self.transcript(conversation).await
            {
                actions.extend(self.of_message(conversation, transcript).await);
            }
            return (conversation, actions);
        }
        if let Some(conversation) = conversation_of(self.server, self.uri).await {
            let transcript = self.transcript(conversation).await;
            let answering = transcript
                .as_ref()
                .is_some_and(|all| is_answering(&all.conversation));
            if answering || self.server.asks.asked_here(conversation) {
                actions.push(stop(conversation));
            }
            let argument = json!({ "conversation": conversation });
            actions.push(talk("Continue this conversation…", argument));
            if let Some(transcript) = transcript {
                actions.extend(self.of_message(conversation, transcript).await);
            }
            return (Some(conversation), actions);
        }
        actions.extend(self.comment());
        actions.push(match self.subject {
            Subject::Selection(_) => {
                let argument = json!({ "uri": self.uri, "range": self.range });
                talk("Ask about the selection…", argument)
            }
            _ => talk("Ask about this file…", json!({ "uri": self.uri })),
        });
        (None, actions)
    }

    async fn of_talk(
        &self,
        token: &str,
        answering: bool,
        conversation: Option<Uuid>,
    ) -> Option<Action> {
        if answering {
            return conversation.map(stop);
        }
        let (document, markers) = (self.document?.clone(), Markers::new(token));
        let looking = reading(document.text.len_bytes(), move || {
            let text = document.text.to_string();
            let places = markers.locate(&text).ok()?;
            Some(!said(&text, places.prompt).is_empty())
        });
        let asks = looking.await?;
        asks.then(|| send(self.uri))
    }

    /// The question in the comment at the cursor.
    fn comment(&self) -> Option<Action> {
        let document = self.document?;
        let line = self.range.start.line as usize;
        let found = question_at(document, line)?;
        let range = match self.subject {
            Subject::Selection(_) => self.range,
            _ => {
                let first = found.lines.start.saturating_sub(COMMENT_CONTEXT_LINES);
                let last = found.lines.end + COMMENT_CONTEXT_LINES;
                let last = last.min(document.text.len_lines()) - 1;
                Range::new(
                    Position::new(first as u32, 0),
                    document.position(last, usize::MAX),
                )
            }
        };
        let title = format!("Ask Pieces: “{}”", label(&found.text, ACTION_CHARS));
        let argument = json!({
            "prompt": found.text,
            "uri": self.uri,
            "range": range,
            "show": true,
        });
        Some(Action::new(
            ASK,
            title,
            "pieces.conversations.ask",
            argument,
        ))
    }

    /// The messages of a conversation, if they are cached or the service answers in time for a menu.
    async fn transcript(&self, conversation: Uuid) -> Option<Arc<Transcript>> {
        let (transcripts, session) = (&self.server.transcripts, &self.server.session);
        transcripts
            .read_soon(session, conversation, HOVER_TIMEOUT)
            .await
    }

    /// The actions for the message at the cursor.
    async fn of_message(&self, conversation: Uuid, transcript: Arc<Transcript>) -> Vec<Action> {
        let Some(document) = self.document.cloned() else {
            return Vec::new();
        };
        let one = self.server.session.reader().get(conversation);
        let files = one.map_or_else(Vec::new, |one| content::files(&one, self.server));
        let clock = Clock::now(self.server.settings().time_zone.as_deref());
        let at = self.range.start;
        let looking = reading(document.text.len_bytes(), move || {
            let text = document.text.to_string().replace("\r\n", "\n");
            // By lines, because the document may have other line endings.
            let lines = text.split_inclusive('\n').take(at.line as usize);
            let at: usize = lines.map(str::len).sum();
            let messages = transcript.messages.iter();
            let parts: Vec<Part<'_>> = messages.map(|one| part(one, &clock)).collect();
            let shown = message_at(&text, at, &parts, |part| part.render(&files))?;
            let block = block_at(&text[shown.range.clone()], at - shown.range.start);
            drop(parts);
            Some((transcript, shown.message, block))
        });
        let Some((transcript, message, block)) = looking.await else {
            return Vec::new();
        };
        let mut actions: Vec<Action> = again(conversation, &transcript, message)
            .into_iter()
            .collect();
        if let Some(block) = block {
            actions.extend(
                self.insert(conversation, &transcript, message, &block)
                    .await,
            );
        }
        actions
    }

    /// The action that replaces the lines of the question with a block of the answer, if they are unchanged.
    async fn insert(
        &self,
        conversation: Uuid,
        transcript: &Transcript,
        message: usize,
        block: &str,
    ) -> Option<Action> {
        let answer = transcript.messages.get(message)?;
        if answer.role == Role::User {
            return None;
        }
        let blocks = code_blocks(answer.text.as_deref()?);
        let index = blocks.iter().position(|one| one.text == block)?;
        let before = transcript.messages[..message].iter();
        let asked = before.rev().find(|one| one.role == Role::User)?;
        let (_, quoted) = question::parts(asked.text.as_deref()?)?;
        let place = quoted.place;
        let uri = Url::from_file_path(place.path)
            .or_else(|()| Url::parse(place.path))
            .ok()?;
        let document = document_of(self.server, &uri).await?;
        let range = lines(&document, place.first, place.last)?;
        let current = document.text.slice(document.chars(range)).to_string();
        if current.replace("\r\n", "\n") != quoted.code {
            return None;
        }
        let name = label(&place.to_string(), ACTION_CHARS);
        let (file, lines) = name.rsplit_once(", ")?;
        let argument = json!({
            "conversation": conversation,
            "message": answer.id,
            "block": index,
            "uri": uri,
            "range": range,
            "expect": current,
        });
        Some(Action::new(
            INSERT,
            format!("Replace {lines} of {file}"),
            "pieces.conversations.insertCode",
            argument,
        ))
    }
}

/// The action that asks the question of this message, or the one before, again: in a new conversation, or in this one
/// if it has no answer.
fn again(conversation: Uuid, transcript: &Transcript, message: usize) -> Option<Action> {
    let until = transcript.messages[..=message].iter();
    let asked = until.rev().find(|one| one.role == Role::User)?;
    let prompt = asked
        .text
        .as_deref()
        .filter(|text| !text.trim().is_empty())?;
    let unanswered = asked.raw[OWN]["state"] == "unanswered";
    let (title, argument) = match unanswered {
        true => (
            "Ask again",
            json!({ "conversation": conversation, "question": asked.id }),
        ),
        false => (
            "Ask again from here",
            json!({ "conversation": conversation, "from": asked.id, "prompt": prompt, "show": true }),
        ),
    };
    Some(Action::new(
        ASK,
        title,
        "pieces.conversations.ask",
        argument,
    ))
}

fn talk(title: &str, argument: Value) -> Action {
    Action::new(ASK, title, "pieces.conversations.talk", argument)
}

fn send(uri: &Url) -> Action {
    let argument = json!({ "uri": uri });
    Action::new(ASK, "Send", "pieces.conversations.send", argument)
}

fn stop(conversation: Uuid) -> Action {
    let argument = json!({ "conversation": conversation });
    Action::new(
        ASK,
        "Stop the answer",
        "pieces.conversations.stop",
        argument,
    )
}

/// The lens at the marker of a talk file; `None` for any other document.
pub(super) async fn lenses(server: &Arc<Server>, uri: &Url) -> Option<Vec<CodeLens>> {
    let talk = talk_of(server, uri).await?;
    let document = server.documents.get(uri)?;
    let (bytes, markers) = (document.text.len_bytes(), Markers::new(&talk.token));
    let looking = reading(bytes, move || {
        let places = markers.locate(&document.text.to_string()).ok()?;
        Some(document.text.byte_to_line(places.marker) as u32)
    });
    let Some(line) = looking.await else {
        return Some(Vec::new());
    };
    let action = match talk.is_answering() {
        true => about(&talk)
            .await
            .and_then(|about| about.conversation)
            .map(stop),
        false => Some(send(uri)),
    };
    let lens = |action: Action| CodeLens {
        range: Range::new(Position::new(line, 0), Position::new(line, 0)),
        command: Some(action.command(server.flags())),
        data: None,
    };
    Some(action.map(lens).into_iter().collect())
}

/// An open document, or a file.
async fn document_of(server: &Server, uri: &Url) -> Option<Document> {
    if let Some(document) = server.documents.get(uri) {
        return Some(document);
    }
    let path = file_path(uri)?;
    let read = {
        let path = path.clone();
        move || {
            let mut text = String::new();
            let file = private::regular(&path).ok()?;
            file.take(MAX_COMPARED_FILE)
                .read_to_string(&mut text)
                .ok()?;
            Some(text)
        }
    };
    let text = resolved(&path, read).await??;
    Some(Document::detached(&text, server.flags().encoding))
}

/// The range of these lines, counted from 1, without the last line break.
fn lines(document: &Document, first: usize, last: usize) -> Option<Range> {
    let last = last
        .checked_sub(1)
        .filter(|last| *last < document.text.len_lines())?;
    let start = Position::new(u32::try_from(first.checked_sub(1)?).ok()?, 0);
    Some(Range::new(start, document.position(last, usize::MAX)))
}
