//! Asking on the local service, which asks the endpoint and stores everything.

use super::answer::{Answer, Failure, How, Outcome};
use super::flow::{Heard, Over, Run, follow};
use super::gather::Text;
use super::limits::{RECOVER, RECOVER_PAUSE};
use super::{Event, endpoint, listing, wording};
use crate::model::Choice;
use crate::model::prompt::Context;
use crate::pieces::{Client, Ended, Error, Kind, Question, Role};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub(super) async fn ask(mut run: Run) -> Result<Outcome, Failure> {
    if run.stop.is_stopped() {
        return Ok(run.cancelled());
    }
    let decided = endpoint::decide(&run.asker).await;
    if run.request.dry_run {
        let choice = decided?;
        return dry_run(&run, &choice).await;
    }
    let conversation = run.place.make(&run.asker, &run.events).await?;
    if run.stop.is_stopped() {
        return Ok(run.cancelled());
    }
    let here = |error: Error| Failure::from(error).about(Some(conversation), None);
    let question = question(&run, decided.as_ref().ok());
    run.asker.surroundings.sends(conversation);
    let mut asking = run.asker.client.ask(&question).await.map_err(here)?;
    if let Ok(choice) = &decided {
        listing::asked(choice);
    }
    let sent = Some(conversation);
    let _ = run.events.send(Event::Sent { conversation: sent });
    let (heard, over) = follow(&mut asking, &run).await;
    drop(asking);
    match over {
        Over::Ended(ended) => finish(&run, conversation, heard, *ended, decided.err()),
        Over::Left => {
            let note = "The local service has not confirmed the stop; the conversation shows what was written.";
            let note = Some(note.to_owned());
            Ok(partial(&run, conversation, heard, How::Cancelled, note))
        }
        Over::TooLong => {
            let note = "The answer was stopped at 16 MiB.".to_owned();
            Ok(partial(
                &run,
                conversation,
                heard,
                How::Incomplete,
                Some(note),
            ))
        }
        Over::Lost(error) => recover(&run, conversation, heard, error).await,
    }
}

/// The question as it is sent. The endpoint, which may have a key, is included only on the Unix socket, where only this
/// user can listen; elsewhere the service decides on an endpoint in the same way.
fn question(run: &Run, choice: Option<&Choice>) -> Question {
    let request = &run.request;
    let again = run.place.asked_before.as_deref();
    let mut own = json!({
        "texts": run.gathered.texts,
        "cut": run.gathered.cut(),
        "named": run.gathered.named,
    });
    if run.asker.client.is_private() {
        own["endpoint"] = json!(choice);
    }
    if let Some(model) = &request.model {
        own["model"] = json!(model);
    }
    match request.question {
        Some(question) => own["question"] = json!(question),
        None => own["stored"] = json!(wording::stored(run.prompt(), request.selection.as_ref())),
    }
    if request.dry_run {
        own["dryRun"] = json!(true);
    }
    Question {
        conversation: run.place.conversation,
        query: again.unwrap_or(run.prompt()).to_owned(),
        assets: request.assets.clone(),
        own: Some(own),
        ..Question::default()
    }
}

async fn dry_run(run: &Run, choice: &Choice) -> Result<Outcome, Failure> {
    let question = question(run, Some(choice));
    let mut asking = run.asker.client.ask(&question).await?;
    let (_, over) = follow(&mut asking, run).await;
    match over {
        Over::Ended(ended) => match ended.failure {
            Some(error) => Err(error.into()),
            None if ended.own.is_null() => {
                let what = "The local service belongs to an older version, which has no dry run; reload all editor windows.";
                Err(Error::protocol(what).into())
            }
            None => {
                let mut said = ended.own;
                said["context"] = json!(contexts(run, &said["context"]));
                Ok(Outcome::DryRun(said))
            }
        },
        Over::Left | Over::TooLong => Ok(run.cancelled()),
        // A dry run has nothing to carry out.
        Over::Lost(error) => Err(error.repeatable().into()),
    }
}

fn finish(
    run: &Run,
    conversation: Uuid,
    heard: Heard,
    ended: Ended,
    undecided: Option<Error>,
) -> Result<Outcome, Failure> {
    let own = ended.own;
    if let Some(error) = ended.failure {
        // Our own error says more than that there is no endpoint.
        let error = match undecided {
            Some(undecided) if error.kind == Kind::NoModel => undecided,
            _ => error,
        };
        return match heard.text.is_empty() {
            true => Err(Failure::from(error).about(Some(conversation), heard.question)),
            false => Ok(partial(
                run,
                conversation,
                heard,
                How::Incomplete,
                Some(error.message),
            )),
        };
    }
    let stop = own["stop"].as_str().and_then(How::parse);
    let stop = stop.unwrap_or(match ended.stopped {
        true => How::Cancelled,
        false => How::End,
    });
    if heard.text.is_empty() && stop != How::Cancelled {
        let what = own["note"].as_str().map(str::to_owned);
        let what = what.unwrap_or_else(|| {
            "The model gave an empty answer; ask again, or use another model.".into()
        });
        let error = Error::new(Kind::Model, what);
        return Err(Failure::from(error).about(Some(conversation), heard.question));
    }
    let text = |field: &str| own[field].as_str().map(str::to_owned);
    Ok(Outcome::Answer(Answer {
        conversation: Some(conversation),
        question: heard.question,
        answer: heard.answer.filter(|_| !heard.text.is_empty()),
        text: heard.text,
        stop,
        model: text("model"),
        usage: Some(&own["usage"])
            .filter(|usage| usage.is_object())
            .cloned(),
        seconds: own["seconds"].as_f64().unwrap_or_else(|| run.seconds()),
        context: contexts(run, &own["context"]),
        note: text("note"),
    }))
}

/// An answer without its last frame.
fn partial(
    run: &Run,
    conversation: Uuid,
    heard: Heard,
    stop: How,
    note: Option<String>,
) -> Outcome {
    Outcome::Answer(Answer {
        conversation: Some(conversation),
        question: heard.question,
        answer: heard.answer.filter(|_| !heard.text.is_empty()),
        text: heard.text,
        stop,
        model: run.request.model.clone(),
        usage: None,
        seconds: run.seconds(),
        context: Vec::new(),
        note,
    })
}

/// The context as the service reports it, with the full lengths of texts that were cut or left out here.
fn contexts(run: &Run, said: &Value) -> Vec<Context> {
    let said = said.as_array().into_iter().flatten();
    let mut all: Vec<Context> = said
        .filter_map(|one| Context::deserialize(one).ok())
        .collect();
    let same = |one: &Context, text: &Text| {
        one.kind == text.kind && one.name == text.name && one.uri == text.uri
    };
    for one in &mut all {
        let text = run.gathered.texts.iter().find(|text| same(one, text));
        one.bytes = one.bytes.max(text.map_or(0, |text| text.bytes));
    }
    // An older service does not tell them.
    for one in &run.gathered.left_out {
        let is_it =
            |told: &Context| (told.kind, &told.name, &told.uri) == (one.kind, &one.name, &one.uri);
        if !all.iter().any(is_it) {
            all.push(one.clone());
        }
    }
    all
}

/// The connection to the service was lost. The question is not repeated; the stored part of the answer is the result.
async fn recover(
    run: &Run,
    conversation: Uuid,
    heard: Heard,
    lost: Error,
) -> Result<Outcome, Failure> {
    let until = Instant::now() + RECOVER;
    let stored = loop {
        if let Some(client) = run.asker.surroundings.reconnect().await
            && let Some(stored) = stored(&client, conversation, run, &heard).await
        {
            break Some(stored);
        }
        if Instant::now() >= until || run.stop.is_stopped() {
            break None;
        }
        sleep(RECOVER_PAUSE).await;
    };
    let heard = match Recovered::of(heard, stored) {
        Ok(recovered) => recovered,
        Err((what, question)) => {
            let error = lost.with_message(what);
            return Err(Failure::from(error).about(Some(conversation), question));
        }
    };
    let Recovered { heard, rest, note } = heard;
    if !rest.is_empty() {
        let _ = run.events.send(Event::Delta {
            at: heard.text.len() - rest.len(),
            text: rest,
            answer: heard.answer,
        });
    }
    let note = Some(note.to_owned());
    Ok(partial(run, conversation, heard, How::Incomplete, note))
}

/// An answer whose connection was lost.
#[derive(Debug, PartialEq)]
struct Recovered {
    heard: Heard,
    /// The end of its text, if that was stored but not received.
    rest: String,
    note: &'static str,
}

impl Recovered {
    /// `stored` is `None` if it could not be read. The error is for an answer without a word, with the id of its question.
    fn of(heard: Heard, stored: Option<Stored>) -> Result<Recovered, (&'static str, Option<Uuid>)> {
        let is_read = stored.is_some();
        let stored = stored.unwrap_or_default();
        let question = heard.question.or(stored.question);
        let (answer, text) = match stored.text.len() >= heard.text.len() {
            true => (stored.answer, stored.text.clone()),
            // What was received is worth more than its stored beginning.
            false => (heard.answer, heard.text.clone()),
        };
        if text.is_empty() {
            let what = match (question, is_read) {
                (Some(_), _) => {
                    "The local service ended before the answer began; the question is kept, so ask for its answer again."
                }
                (None, true) => {
                    "The local service ended before the question was stored; ask it again."
                }
                (None, false) => {
                    "The local service ended, and it is not known whether the question was stored; look for it in the conversation before you ask it again."
                }
            };
            return Err((what, question));
        }
        let note = match (is_read, stored.text.len() >= heard.text.len()) {
            (true, true) => {
                "The local service ended while the answer was written; this is what was kept."
            }
            (true, false) => {
                "The local service ended while the answer was written; the last of these words are not in the conversation."
            }
            (false, _) => {
                "The local service ended while the answer was written; the last of these words may not be in the conversation."
            }
        };
        let rest = text
            .strip_prefix(&heard.text)
            .unwrap_or_default()
            .to_owned();
        let heard = Heard {
            text,
            question,
            answer,
            ..Heard::default()
        };
        Ok(Recovered { heard, rest, note })
    }
}

/// A question and its answer, as stored.
#[derive(Default)]
struct Stored {
    question: Option<Uuid>,
    answer: Option<Uuid>,
    text: String,
}

async fn stored(client: &Client, conversation: Uuid, run: &Run, heard: &Heard) -> Option<Stored> {
    let transcript = client.transcript(conversation).await.ok()?;
    let messages = &transcript.messages;
    let known = heard.question.or(run.request.question);
    let at = messages.iter().rposition(|message| match known {
        Some(id) => message.id == id,
        None => message.role == Role::User && !run.place.messages.contains(&message.id),
    });
    let Some(at) = at else {
        return Some(Stored {
            question: None,
            answer: None,
            text: String::new(),
        });
    };
    let answer = messages[at + 1..]
        .iter()
        .find(|one| one.role == Role::Assistant);
    Some(Stored {
        question: Some(messages[at].id),
        answer: answer.map(|answer| answer.id),
        text: answer
            .and_then(|answer| answer.text.clone())
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovered(
        heard: &str,
        asked: bool,
        stored: Option<(Option<Uuid>, &str)>,
    ) -> Result<(String, String, &'static str), &'static str> {
        let heard = Heard {
            text: heard.to_owned(),
            question: asked.then(Uuid::nil),
            ..Heard::default()
        };
        let stored = stored.map(|(question, text)| Stored {
            question,
            answer: None,
            text: text.to_owned(),
        });
        let recovered = Recovered::of(heard, stored).map_err(|(what, _)| what)?;
        Ok((recovered.heard.text, recovered.rest, recovered.note))
    }

    #[test]
    fn a_lost_answer_says_which_words_were_kept() {
        let id = Some(Uuid::nil());
        for (heard, stored, text, rest, kept) in [
            (
                "Because ",
                Some("Because "),
                "Because ",
                "",
                "this is what was kept",
            ),
            (
                "Because ",
                Some("Because it does."),
                "Because it does.",
                "it does.",
                "this is what was kept",
            ),
            (
                "",
                Some("Because"),
                "Because",
                "Because",
                "this is what was kept",
            ),
            (
                "Because it",
                Some("Because "),
                "Because it",
                "",
                "words are not in",
            ),
            ("Because it", None, "Because it", "", "words may not be in"),
        ] {
            let stored = stored.map(|text| (id, text));
            let (whole, end, note) = recovered(heard, true, stored).unwrap();
            assert_eq!((whole.as_str(), end.as_str()), (text, rest));
            assert!(note.contains(kept), "{heard}: {note}");
        }
    }

    #[test]
    fn a_lost_question_is_said_to_be_kept_only_if_it_is() {
        let id = Some(Uuid::nil());
        for (asked, stored, said) in [
            (true, Some((id, "")), "the question is kept"),
            (false, Some((id, "")), "the question is kept"),
            (true, None, "the question is kept"),
            (false, Some((None, "")), "before the question was stored"),
            (false, None, "not known whether the question was stored"),
        ] {
            let what = recovered("", asked, stored).unwrap_err();
            assert!(what.contains(said), "{asked}: {what}");
        }
    }
}
