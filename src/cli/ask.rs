//! `pieces-lsp ask`: asks a question from a shell.

mod printer;

use super::common::{Target, non_empty};
use super::complain;
use crate::ask::{
    self, Answer, Asker, Consent, Event, Failure, How, Outcome, Request, Selection, Stop,
    Surroundings,
};
use crate::model::Found;
use crate::pieces::{Client, Error, Kind, PlainHttp};
use crate::service;
use crate::sync::Source;
use clap::Args;
use futures_util::future::BoxFuture;
use printer::Printer;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::interval;
use url::Url;
use uuid::Uuid;

/// Bytes that are read from a pipe: as many as a prompt may have.
const MAX_INPUT: u64 = 1 << 20;
/// Interval at which the time spent waiting for the model is shown.
const TICK: Duration = Duration::from_secs(1);
/// Deadline from Ctrl-C to the end of the process.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct AskOptions {
    /// Ask in this conversation; without it a new one is started, and its id is the last line of stderr
    #[arg(long, value_name = "ID")]
    pub(super) conversation: Option<Uuid>,
    /// Send this text file with this question and later ones of the conversation; may be repeated
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub(super) file: Vec<PathBuf>,
    /// The model that answers, by name
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// The question, or `-` to read it from stdin, because other users can see arguments in process lists
    #[arg(value_name = "PROMPT|-")]
    pub(super) prompt: String,
}

/// Asks, streams the answer to stdout, and fails unless it is complete.
pub(super) async fn run(target: Target, options: AskOptions) -> ExitCode {
    let is_new = options.conversation.is_none();
    let data_dir = match &target.data_dir {
        Some(dir) => Some(dir.clone()),
        None => service::default_data_dir().ok(),
    };
    let plain_http = target.plain_http;
    let source = Arc::new(target.source());
    let outcome = match request(options) {
        Ok(request) => {
            let place = (Arc::clone(&source), data_dir, plain_http);
            conversation(request, place).await
        }
        Err(sentence) => Err((sentence, None)),
    };
    source.shutdown().await;
    let (code, conversation) = match outcome {
        Ok(answer) => (tell(&answer), answer.conversation),
        Err((sentence, conversation)) => {
            complain(&sentence);
            (ExitCode::FAILURE, conversation)
        }
    };
    if let Some(conversation) = conversation.filter(|_| is_new) {
        // Stderr may be closed.
        let _ = writeln!(io::stderr(), "{conversation}");
    }
    code
}

/// Prints what was unusual about an answer.
fn tell(answer: &Answer) -> ExitCode {
    for one in &answer.context {
        let (name, sent, bytes) = (super::common::printable(&one.name), one.sent, one.bytes);
        if sent == 0 && bytes > 0 {
            complain(&format!("nothing of {name} was sent"));
        } else if sent < bytes {
            complain(&format!("{sent} of {bytes} bytes of {name} were sent"));
        }
    }
    if let Some(note) = &answer.note {
        complain(note);
    }
    match answer.stop {
        How::End => ExitCode::SUCCESS,
        How::Length => {
            complain("The answer is incomplete: the model reached its length limit");
            ExitCode::FAILURE
        }
        How::Cancelled => {
            complain(match answer.text.is_empty() {
                false => "Stopped; what was written is kept in the conversation",
                true => STOPPED_BEFORE_WORDS,
            });
            ExitCode::FAILURE
        }
        How::Incomplete => ExitCode::FAILURE,
    }
}

const STOPPED_BEFORE_WORDS: &str = "Stopped before the first word of the answer";

/// What is known of a stopped question if the service did not say that it has stopped.
fn unconfirmed(has_words: bool, was_sent: bool) -> &'static str {
    match (has_words, was_sent) {
        (true, _) => {
            "Stopped, but the service has not confirmed it; the conversation shows what was written"
        }
        (false, true) => {
            "Stopped, but the service has not confirmed it; no word of the answer has arrived"
        }
        (false, false) => STOPPED_BEFORE_WORDS,
    }
}

/// Reads the options and the pipe.
fn request(options: AskOptions) -> Result<Request, String> {
    let piped = match io::stdin().is_terminal() && options.prompt != "-" {
        true => String::new(),
        false => input()?,
    };
    let (prompt, piped) = match options.prompt.as_str() {
        "-" => (piped, String::new()),
        prompt => (prompt.to_owned(), piped),
    };
    if prompt.trim().is_empty() {
        return Err(
            "There is no question; write it after `ask`, or pass `-` and write it to stdin."
                .to_owned(),
        );
    }
    let mut files = Vec::new();
    for path in &options.file {
        let absolute = std::path::absolute(path).ok();
        let uri = absolute.and_then(|path| Url::from_file_path(path).ok());
        files.push(uri.ok_or_else(|| {
            format!(
                "{} is not the path of a file; check `--file`.",
                path.display()
            )
        })?);
    }
    Ok(Request {
        prompt: Some(prompt),
        conversation: options.conversation,
        selection: (!piped.trim().is_empty()).then(|| Selection {
            uri: None,
            name: "standard input".to_owned(),
            lines: None,
            text: piped,
        }),
        // Without `--file`, keep the files of earlier questions; an empty list would drop them.
        files: (!files.is_empty()).then_some(files),
        model: non_empty(options.model.as_deref()).map(str::to_owned),
        ..Request::default()
    })
}

/// All of stdin.
fn input() -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| format!("Stdin cannot be read ({error})."))?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err("stdin has more than 1 MiB; send only the part that matters.".to_owned());
    }
    if bytes.contains(&0) {
        return Err("stdin is not text; send text.".to_owned());
    }
    // Lossy, because `head -c` may cut a character in half.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Asks one question. Returns the answer, or a sentence and the conversation in which the question is kept.
async fn conversation(
    request: Request,
    (source, data_dir, plain_http): (Arc<Source>, Option<PathBuf>, PlainHttp),
) -> Result<Answer, (String, Option<Uuid>)> {
    let resolved = source.resolve().await;
    let resolved = resolved.map_err(|error| (error.message, None))?;
    if let Some(notice) = &resolved.notice {
        complain(notice);
    }
    let asker = Asker {
        client: resolved.client,
        data_dir,
        plain_http,
        surroundings: Arc::new(Terminal(source)),
    };
    let stop = Stop::default();
    stop_on_interrupt(stop.clone());
    let (sender, events) = mpsc::unbounded_channel();
    let asking = tokio::spawn(ask::ask(asker, request, sender, stop.clone()));
    let mut printer = Printer::new();
    let done = print(&mut printer, events, asking, &stop).await;
    let conversation = printer.conversation;
    match done {
        Some(Ok(Outcome::Answer(answer))) => match printer.end(&answer.text) {
            Ok(()) => Ok(answer),
            Err(error) => {
                let what = format!(
                    "The answer cannot be printed ({error}); it is kept in the conversation."
                );
                Err((what, answer.conversation))
            }
        },
        Some(Err(failure)) => {
            let _ = printer.end("");
            Err((sentence(&failure), failure.conversation.or(conversation)))
        }
        Some(Ok(Outcome::DryRun(_))) | None => {
            let _ = printer.end("");
            let what = unconfirmed(printer.has_words(), printer.was_sent());
            Err((what.to_owned(), conversation))
        }
    }
}

fn stop_on_interrupt(stop: Stop) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.stop();
        }
    });
}

/// Prints the answer while it is written; `None` if it was stopped and does not end in time.
async fn print(
    printer: &mut Printer,
    mut events: mpsc::UnboundedReceiver<Event>,
    mut asking: JoinHandle<Result<Outcome, Failure>>,
    stop: &Stop,
) -> Option<Result<Outcome, Failure>> {
    let mut ticks = interval(TICK);
    let late = async {
        stop.stopped().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::pin!(late);
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => {
                if printer.tell(&event).is_err() {
                    // stdout is closed.
                    stop.stop();
                }
            }
            done = &mut asking => return Some(done.unwrap_or_else(|_| Err(bug().into()))),
            () = &mut late => return None,
            _ = ticks.tick() => printer.tick(),
        }
    }
}

fn bug() -> Error {
    Error::protocol(
        "The question ended because of a bug in pieces-lsp; look for it in the conversation before you ask it again, and report this.",
    )
}

/// The sentence, with names of options instead of names of fields, and the model's own sentence.
fn sentence(failure: &Failure) -> String {
    let message = failure.message().replace("`files`", "`--file`");
    let message = message.replace("`prompt`", "The question");
    match &failure.cause {
        ask::Cause::Service(error) => match &error.detail {
            // The service's own sentence is the message already.
            Some(detail) if message.starts_with(detail.trim_end_matches('.')) => message,
            // The local service says what is missing; there is no list to refresh here.
            Some(detail)
                if error.kind == Kind::NotFound
                    && detail.starts_with("There is no conversation ") =>
            {
                let detail = super::common::printable(detail);
                format!("{}; check `--conversation`.", detail.trim_end_matches('.'))
            }
            Some(detail) => {
                let message = message.trim_end_matches('.');
                format!("{message} ({}).", super::common::printable(detail))
            }
            None => message,
        },
        ask::Cause::Invalid(_) => message,
    }
}

/// The user at a terminal, if there is one.
struct Terminal(Arc<Source>);

impl Surroundings for Terminal {
    fn open_text(&self, _: &Url) -> Option<String> {
        None
    }

    fn choose<'a>(&'a self, found: &'a [Found]) -> BoxFuture<'a, Consent> {
        Box::pin(async move {
            if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
                return Consent::Nobody;
            }
            let question = question(found);
            let count = found.len();
            let (told, said) = oneshot::channel();
            // A thread, not a task: a blocking task would keep the process alive until the user has answered.
            std::thread::spawn(move || {
                let _ = io::stderr().write_all(question.as_bytes());
                let mut line = String::new();
                let _ = io::stdin().lock().read_line(&mut line);
                let _ = told.send(chosen(&line, count));
            });
            said.await.unwrap_or(Consent::Nobody)
        })
    }

    fn reconnect(&self) -> BoxFuture<'_, Option<Client>> {
        Box::pin(async { Some(self.0.resolve().await.ok()?.client) })
    }
}

fn question(found: &[Found]) -> String {
    match found {
        [one] => format!(
            "No model was chosen, but one is running at {}. Use it? [y/N] ",
            one.url
        ),
        several => {
            let mut text =
                "No model was chosen, but these are running on this machine:\n".to_owned();
            for (at, one) in several.iter().enumerate() {
                text += &format!("  {} {}\n", at + 1, one.url);
            }
            text + "Use one of them? [number/N] "
        }
    }
}

fn chosen(line: &str, count: usize) -> Consent {
    let line = line.trim().to_lowercase();
    match line.parse::<usize>() {
        Ok(number) if (1..=count).contains(&number) => Consent::Use(number - 1),
        _ if count == 1 && ["y", "yes"].contains(&line.as_str()) => Consent::Use(0),
        _ => Consent::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_chooses() {
        for (line, count, expected) in [
            ("y\n", 1, Consent::Use(0)),
            ("YES", 1, Consent::Use(0)),
            ("1", 1, Consent::Use(0)),
            ("2\n", 3, Consent::Use(1)),
            ("y", 3, Consent::No),
            ("4", 3, Consent::No),
            ("0", 3, Consent::No),
            ("", 1, Consent::No),
            ("n", 1, Consent::No),
        ] {
            assert_eq!(chosen(line, count), expected, "{line} of {count}");
        }
    }
}
