//! Answers to questions that were asked elsewhere: in another window, on the command line, by another command. An open
//! talk file shows them once they are whole.

use super::writer::{AnswerEvent, PendingQuestion, write_answer};
use crate::ask::{Event, Status};
use crate::lsp::features::content;
use crate::lsp::limits::{TALK_CATCH_UP, TALK_CATCH_UPS, TALK_MESSAGES};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::state::talks::Talk;
use crate::lsp::text::message::{is_answering, part};
use crate::lsp::text::talk::Markers;
use crate::lsp::text::talk::find::conversation_of_talk;
use crate::markdown::{Clock, body, question};
use crate::pieces::{Message, OWN, Role, Transcript};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower_lsp::lsp_types::Url;
use uuid::Uuid;

/// Writes answers from elsewhere into open talk files, for as long as the session lasts.
pub(crate) async fn follow(server: Arc<Server>) {
    let mut again = 0;
    loop {
        let stale = server.talks.stale_conversations();
        if again == 0 {
            stale.await;
        } else if timeout(TALK_CATCH_UP, stale).await.is_ok() {
            again = 0;
        }
        let mut behind = false;
        for (uri, talk) in server.talks.all() {
            behind |= catch_up(&server, uri, talk).await.is_none();
        }
        again = if behind && again < TALK_CATCH_UPS {
            again + 1
        } else {
            0
        };
    }
}

/// The messages that the text of a talk file shows: those up to the last one that is there whole.
fn shown(transcript: &Transcript, text: &str) -> Vec<Uuid> {
    let text = text.replace("\r\n", "\n");
    let is_there = |one: &Message| {
        let said = one.text.as_deref().unwrap_or_default();
        let said = match one.role {
            Role::User => question::parts(said).map_or(said, |(prompt, _)| prompt),
            _ => said,
        };
        let said = body(said);
        is_whole(one) && !said.is_empty() && text.contains(&said)
    };
    let messages = transcript.messages.as_slice();
    let earlier = messages.len().saturating_sub(TALK_MESSAGES);
    let found = messages[earlier..].iter().rposition(is_there);
    let end = match found {
        Some(at) => earlier + at + 1,
        None if earlier == 0 => 0,
        None => messages.len(),
    };
    messages[..end].iter().map(|one| one.id).collect()
}

fn is_whole(one: &Message) -> bool {
    one.raw[OWN]["state"] != "writing"
}

async fn read(server: &Arc<Server>, conversation: Uuid) -> Option<Arc<Transcript>> {
    let reading = server.transcripts.read(&server.session, conversation);
    reading.await.ok()
}

/// `None` if it cannot be told yet whether the file shows everything.
async fn catch_up(server: &Arc<Server>, uri: Url, talk: Arc<Talk>) -> Option<()> {
    // Its end is a change.
    if talk.is_answering() {
        return Some(());
    }
    let conversation = conversation_of_talk(&talk).await?;
    let one = server.session.reader().get(conversation)?;
    // It is read once it is whole, which is a change.
    if one.answering.is_some() {
        return Some(());
    }
    let transcript = read(server, conversation).await?;
    if is_answering(&transcript.conversation) {
        return None;
    }
    let ids = transcript.messages.iter().map(|one| one.id);
    if talk.unseen(ids.clone()).is_none() {
        let shown = shown_in_file(server, &uri, &talk, &transcript).await?;
        talk.saw(shown);
    }
    let new = talk.unseen(ids.clone()).unwrap_or_default();
    let Some((before, answer)) = answered(&transcript.messages[new..]) else {
        return Some(());
    };
    if !talk.begins_answer(Duration::ZERO).await {
        return Some(());
    }
    talk.saw(ids);
    let files = content::files(&one, server);
    let clock = Clock::now(server.settings().time_zone.as_deref());
    let sections = before.iter().map(|one| part(one, &clock).render(&files));
    let question = before.iter().rfind(|one| one.role == Role::User);
    let prompt = question.and_then(|one| one.text.as_deref());
    let asked = PendingQuestion {
        uri,
        talk,
        prompt: prompt.unwrap_or_default().trim().to_owned(),
        tied: None,
        elsewhere: Some(sections.collect()),
    };
    let hears = as_heard(conversation, answer);
    tokio::spawn(write_answer(Arc::clone(server), asked, hears));
    Some(())
}

/// The messages that the open file shows; `None` if it is closed, or has no marker.
async fn shown_in_file(
    server: &Server,
    uri: &Url,
    talk: &Talk,
    transcript: &Arc<Transcript>,
) -> Option<Vec<Uuid>> {
    let document = server.documents.get(uri)?;
    let (markers, transcript) = (Markers::new(&talk.token), Arc::clone(transcript));
    let looking = reading(document.text.len_bytes(), move || {
        let text = document.text.to_string();
        let places = markers.locate(&text).ok()?;
        Some(shown(&transcript, &text[..places.insert]))
    });
    looking.await
}

/// A stored answer, as the events of its question.
fn as_heard(conversation: Uuid, answer: &Message) -> mpsc::UnboundedReceiver<AnswerEvent> {
    let (heard, hears) = mpsc::unbounded_channel();
    let begun = AnswerEvent::Event(Event::Status {
        status: Status::Writing,
        question: None,
        answer: None,
    });
    let ended = AnswerEvent::Ended {
        conversation: Some(conversation),
        answer: Some(answer.id),
        text: answer.text.clone().unwrap_or_default(),
        failure: None,
    };
    for event in [begun, ended] {
        // The receiver is returned.
        let _ = heard.send(event);
    }
    hears
}

/// The last answer, and what came before it.
fn answered(new: &[Message]) -> Option<(&[Message], &Message)> {
    let answers = |one: &Message| one.role == Role::Assistant && is_whole(one);
    let at = new.iter().rposition(answers)?;
    Some((&new[..at], &new[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn message(number: u128, role: Role, text: &str) -> Message {
        Message {
            id: Uuid::from_u128(number),
            role,
            created: None,
            text: Some(text.to_owned()),
            raw: Value::Null,
        }
    }

    fn transcript() -> Transcript {
        Transcript {
            conversation: Value::Null,
            messages: vec![
                message(1, Role::User, "Why?"),
                message(2, Role::Assistant, "So."),
                message(3, Role::User, "And then?"),
                message(4, Role::Assistant, "This."),
            ],
            missing: 0,
        }
    }

    #[test]
    fn what_a_text_shows_ends_with_the_last_message_that_is_there_whole() {
        let mut all = transcript();
        let check = |all: &Transcript, text: &str, expected: usize| {
            assert_eq!(shown(all, text).len(), expected, "{text:?}");
        };
        check(&all, "", 0);
        check(&all, "Why?\r\n\r\nSo.", 2);
        check(&all, "Why?\n\nSo.\n\nAnd then?\n\nThis.", 4);
        // It is being written.
        all.messages[3].raw = json!({"pieces_lsp": {"state": "writing"}});
        check(&all, "Why?\n\nSo.\n\nAnd then?\n\nThis.", 3);
        // The code is not part of what is looked for.
        all.messages[2].text = Some("And then?\n\n```rs /a.rs:1-2\nx\n```".to_owned());
        check(&all, "And then?", 3);
        // Of a long conversation only the end is looked for.
        all.messages = (0..20)
            .map(|n| message(n, Role::User, &format!("({n})")))
            .collect();
        check(&all, "(7)", 8);
        check(&all, "(2)", 20);
    }

    #[test]
    fn the_last_answer_that_is_whole_is_shown_with_what_came_before() {
        let mut messages = transcript().messages;
        let found = |new: &[Message]| answered(new).map(|(before, _)| before.len());
        assert_eq!(found(&messages), Some(3));
        assert_eq!(found(&messages[..3]), Some(1));
        assert_eq!(found(&messages[2..3]), None);
        messages[3].raw = json!({"pieces_lsp": {"state": "writing"}});
        assert_eq!(found(&messages[2..]), None);
    }
}
