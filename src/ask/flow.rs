//! One question from beginning to end.

use super::answer::{Answer, Failure, How, Outcome};
use super::conversation::Place;
use super::gather::{Gathered, gather};
use super::limits::{MAX_ANSWER, MAX_PROMPT, STOPPING};
use super::{Asker, Event, Events, Request, Status, Stop, local, pieces_os};
use crate::pieces::{Asking, Ended, Error, Progress, Reply};
use futures_util::future::OptionFuture;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

/// Asks a question, once. Events are sent before this returns. When `stop` is stopped it soon returns an [`Answer`]
/// with the text so far; a write in flight is finished first.
///
/// # Errors
/// Why there is no answer. The question is not repeated; if it was stored, [`Failure::question`] has its id.
pub async fn ask(
    asker: Asker,
    request: Request,
    events: Events,
    stop: Stop,
) -> Result<Outcome, Failure> {
    check(&request)?;
    let started = Instant::now();
    let place = Place::of(&asker, &request).await?;
    let gathered = gather(&asker, &request, &place.named, &place.assets).await?;
    let run = Run {
        asker,
        request,
        events,
        stop,
        started,
        place,
        gathered,
    };
    match run.asker.client.is_local() {
        true => local::ask(run).await,
        false => pieces_os::ask(run).await,
    }
}

fn check(request: &Request) -> Result<(), Failure> {
    let prompt = request.prompt.as_deref().unwrap_or_default();
    if prompt.trim().is_empty() && request.question.is_none() {
        return Err(Failure::invalid(
            "`prompt` must be a text that is not empty.",
        ));
    }
    if prompt.len() > MAX_PROMPT {
        let what = "`prompt` is longer than 1 MiB; name long texts with `files` instead.";
        return Err(Failure::invalid(what));
    }
    if request.from.is_some() && request.question.is_some() {
        return Err(Failure::invalid(
            "`from` and `question` exclude each other; give one of them.",
        ));
    }
    Ok(())
}

/// A question in flight.
pub(super) struct Run {
    pub asker: Asker,
    pub request: Request,
    pub events: Events,
    pub stop: Stop,
    pub started: Instant,
    pub place: Place,
    pub gathered: Gathered,
}

impl Run {
    pub fn prompt(&self) -> &str {
        self.request.prompt.as_deref().unwrap_or_default()
    }

    pub fn seconds(&self) -> f64 {
        (self.started.elapsed() + Duration::from_micros(500)).as_millis() as f64 / 1e3
    }

    /// The result if it was stopped before it was sent.
    pub fn cancelled(&self) -> Outcome {
        Outcome::Answer(Answer {
            conversation: self.place.conversation,
            question: None,
            answer: None,
            text: String::new(),
            stop: How::Cancelled,
            model: None,
            usage: None,
            seconds: self.seconds(),
            context: Vec::new(),
            note: None,
        })
    }
}

/// The part of an answer that was received.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub text: String,
    pub question: Option<Uuid>,
    pub answer: Option<Uuid>,
    pub status: Option<Status>,
}

/// Why no more of the answer is received.
#[derive(Debug)]
pub(super) enum Over {
    /// The last frame.
    Ended(Box<Ended>),
    /// It was stopped, and the service did not confirm that in time.
    Left,
    /// The socket ended.
    Lost(Error),
    /// The answer is longer than [`MAX_ANSWER`](super::limits::MAX_ANSWER).
    TooLong,
}

/// Follows the answer to its end.
pub(super) async fn follow(asking: &mut Asking, run: &Run) -> (Heard, Over) {
    let mut heard = Heard::default();
    let mut leave: Option<Instant> = None;
    loop {
        let reply = tokio::select! {
            biased;
            () = run.stop.stopped(), if leave.is_none() => {
                leave = Some(Instant::now() + STOPPING);
                // If the write fails, the next read fails too.
                let _ = asking.stop().await;
                continue;
            }
            reply = asking.next() => reply,
            Some(()) = OptionFuture::from(leave.map(sleep_until)) => return (heard, Over::Left),
        };
        match reply {
            Ok(Reply::Progress(progress)) => heard.hear(progress, &run.events),
            Ok(Reply::Ended(ended)) => {
                heard.learn(&ended.own);
                return (heard, Over::Ended(Box::new(ended)));
            }
            Err(_) if leave.is_some() => return (heard, Over::Left),
            Err(error) => return (heard, Over::Lost(error)),
        }
        if heard.text.len() > MAX_ANSWER {
            let _ = asking.stop().await;
            return (heard, Over::TooLong);
        }
    }
}

impl Heard {
    fn hear(&mut self, progress: Progress, events: &Events) {
        self.learn(&progress.own);
        let said = progress.own["status"].as_str().and_then(Status::parse);
        let status = match progress.text.is_empty() {
            true => said,
            false => Some(Status::Writing),
        };
        if let Some(status) = status
            && self.status != Some(status)
        {
            self.status = Some(status);
            let _ = events.send(Event::Status {
                status,
                question: self.question,
                answer: self.answer,
            });
        }
        if !progress.text.is_empty() {
            let at = self.text.len();
            self.text.push_str(&progress.text);
            let _ = events.send(Event::Delta {
                text: progress.text,
                at,
                answer: self.answer,
            });
        }
    }

    /// Records the ids in a frame.
    fn learn(&mut self, own: &Value) {
        self.question = id(&own["question"]).or(self.question);
        self.answer = id(&own["answer"]).or(self.answer);
    }
}

pub(super) fn id(value: &Value) -> Option<Uuid> {
    Uuid::parse_str(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::answer::Cause;
    use crate::ask::{Consent, Surroundings};
    use crate::model::Found;
    use crate::pieces::{BaseUrl, Client, Kind, PlainHttp};
    use futures_util::future::BoxFuture;
    use std::sync::{Arc, Mutex};
    use tokio::sync::mpsc;
    use url::Url;

    /// The conversations that were announced.
    #[derive(Default)]
    struct Announced(Mutex<Vec<Uuid>>);

    impl Surroundings for Announced {
        fn open_text(&self, _: &Url) -> Option<String> {
            None
        }

        fn choose<'a>(&'a self, _: &'a [Found]) -> BoxFuture<'a, Consent> {
            Box::pin(async { Consent::Nobody })
        }

        fn sends(&self, conversation: Uuid) {
            self.0.lock().unwrap().push(conversation);
        }

        fn reconnect(&self) -> BoxFuture<'_, Option<Client>> {
            Box::pin(async { None })
        }
    }

    /// A question in a conversation of a service that is not running.
    fn run(surroundings: &Arc<Announced>, conversation: Uuid) -> Run {
        let surroundings = Arc::clone(surroundings);
        let mut place = Place::default();
        place.conversation = Some(conversation);
        Run {
            asker: Asker {
                client: Client::new(BaseUrl::loopback(1), None).unwrap(),
                data_dir: None,
                plain_http: PlainHttp::Loopback,
                surroundings,
            },
            request: Request {
                prompt: Some("Why?".to_owned()),
                ..Request::default()
            },
            events: mpsc::unbounded_channel().0,
            stop: Stop::default(),
            started: Instant::now(),
            place,
            gathered: Gathered::default(),
        }
    }

    /// Otherwise the program may hear of an answer before it knows that it asked for it.
    #[tokio::test]
    async fn a_question_is_announced_before_it_can_be_sent() {
        let conversation = Uuid::from_u128(7);
        let announced = Arc::new(Announced::default());
        for asked in [
            local::ask(run(&announced, conversation)).await,
            pieces_os::ask(run(&announced, conversation)).await,
        ] {
            let cause = asked.unwrap_err().cause;
            let is_offline = matches!(&cause, Cause::Service(error) if error.kind == Kind::Offline);
            assert!(is_offline, "{cause:?}");
        }
        assert_eq!(*announced.0.lock().unwrap(), [conversation; 2]);
    }
}
