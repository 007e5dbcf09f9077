//! Reads an answer from a reply: a stream of events, or one JSON object.

use std::ops::ControlFlow;

use tokio::time::Instant;

use super::think::Thoughts;
use super::{Asking, chunk, failed};
use crate::model::answer::{End, Piece, Sender, Stop};
use crate::model::http::{Failure, Reply};
use crate::model::secret::{Cutter, cleaned, detail};
use crate::model::sse::{Event, Reader};
use crate::model::url::shown;
use crate::model::{Error, Usage, limits};

/// The state of reading an answer.
struct Reading<'a> {
    asking: &'a Asking,
    sender: &'a Sender,
    cutter: Cutter,
    thoughts: Thoughts,
    /// Bytes of text that were sent to the reader.
    length: usize,
    /// The last piece was [`Piece::Thinking`].
    thinking: bool,
    thought: bool,
    tools: bool,
    finish: Option<String>,
    usage: Option<Usage>,
    model: Option<String>,
    /// Parts that could not be read.
    unreadable: usize,
}

/// How the body is written.
enum Format {
    /// Not known yet.
    Unknown(Vec<u8>),
    Stream(Reader),
    Json(Vec<u8>),
}

/// Why reading ended before the answer did.
enum Break {
    /// The connection or a deadline.
    Failed(Failure),
    /// The response ended by itself, without an end of the answer.
    Unfinished,
    /// The endpoint reported a failure, in its own words.
    Reported(String),
    /// Another failure: a sentence for the user.
    Other(String),
}

/// Reads the answer to its end; its pieces go to `sender`.
///
/// # Errors
/// A failure before the first word.
pub(super) async fn read(
    asking: &Asking,
    reply: Reply,
    first_word: Instant,
    sender: &Sender,
) -> Result<End, Error> {
    let mut reading = Reading {
        asking,
        sender,
        cutter: Cutter::new(asking.key.as_ref()),
        thoughts: Thoughts::default(),
        length: 0,
        thinking: false,
        thought: false,
        tools: false,
        finish: None,
        usage: None,
        model: None,
        unreadable: 0,
    };
    let outcome = reading.run(reply, first_word).await;
    // Text that was held back is part of the answer, however it ended.
    let held = reading.cutter.finish();
    let sorted = reading.thoughts.push(&held);
    let rest = sorted.text + &reading.thoughts.finish();
    reading.hand_out(rest).await;
    match outcome {
        Ok(()) => reading.end(),
        Err(broken) => reading.broken(broken),
    }
}

impl Reading<'_> {
    async fn run(&mut self, mut reply: Reply, first_word: Instant) -> Result<(), Break> {
        let mut format = Format::Unknown(Vec::new());
        let mut events = Vec::new();
        let mut finished: Option<Instant> = None;
        loop {
            let until = match (finished, self.length > 0 || self.thought) {
                (Some(finished), _) => finished + limits::AFTER_FINISH,
                (None, true) => Instant::now() + limits::SILENCE,
                (None, false) => first_word,
            };
            let bytes = match reply.chunk(until).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                // The model has finished: only the usage may be missing.
                Err(_) if finished.is_some() => break,
                Err(failure) => return Err(Break::Failed(failure)),
            };
            format = self.take_in(format, &bytes, &reply.kind, &mut events)?;
            if self.events(events.drain(..)).await?.is_break() {
                return Ok(());
            }
            if self.finish.is_some() {
                finished.get_or_insert_with(Instant::now);
            }
        }
        if self.rest(format).await?.is_break() {
            return Ok(());
        }
        match self.finish {
            Some(_) => Ok(()),
            None => Err(Break::Unfinished),
        }
    }

    /// Adds bytes to the body; `events` receives those that are complete.
    fn take_in(
        &self,
        format: Format,
        bytes: &[u8],
        kind: &str,
        events: &mut Vec<Event>,
    ) -> Result<Format, Break> {
        let format = match format {
            Format::Unknown(mut start) => {
                start.extend_from_slice(bytes);
                self.recognise(start, kind, events)?
            }
            Format::Stream(mut reader) => {
                reader.push(bytes, events).map_err(|_| too_long_line())?;
                Format::Stream(reader)
            }
            Format::Json(mut body) => {
                body.extend_from_slice(bytes);
                Format::Json(body)
            }
        };
        match &format {
            Format::Json(body) if body.len() > limits::ANSWER => Err(too_long_answer()),
            _ => Ok(format),
        }
    }

    /// Reads what is left at the end of the body; breaks at the end mark.
    async fn rest(&mut self, format: Format) -> Result<ControlFlow<()>, Break> {
        match format {
            Format::Stream(reader) => {
                let mut events = Vec::new();
                reader.finish(&mut events).map_err(|_| too_long_line())?;
                return self.events(events).await;
            }
            Format::Json(body) => {
                let chunks = chunk::parse(&body).ok_or(Break::Unfinished)?;
                self.chunks(chunks).await?;
                // Complete JSON is a complete answer, even without a finish reason.
                self.finish.get_or_insert_with(|| "stop".to_owned());
            }
            Format::Unknown(_) => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Recognises the format by the first byte, because servers send wrong media types.
    fn recognise(
        &self,
        start: Vec<u8>,
        kind: &str,
        events: &mut Vec<Event>,
    ) -> Result<Format, Break> {
        let body = start.trim_ascii_start();
        let body = body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(body)
            .trim_ascii_start();
        match body.first() {
            // Blank, or the beginning of a byte order mark.
            None => Ok(Format::Unknown(start)),
            Some(0xef) if body.len() < 3 => Ok(Format::Unknown(start)),
            Some(b'{' | b'[') => Ok(Format::Json(start)),
            Some(b'<') => {
                let kind = if kind.is_empty() { "no type" } else { kind };
                let kind = cleaned(kind, self.asking.key.as_ref());
                Err(Break::Other(format!(
                    "The endpoint {} answered with a web page ({kind}) instead of an answer; check the URL.",
                    shown(&self.asking.url)
                )))
            }
            Some(_) => {
                let mut reader = Reader::default();
                reader.push(&start, events).map_err(|_| too_long_line())?;
                Ok(Format::Stream(reader))
            }
        }
    }

    /// Reads events; breaks at the end mark.
    async fn events(
        &mut self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<ControlFlow<()>, Break> {
        for event in events {
            if self.event(&event).await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn event(&mut self, event: &Event) -> Result<ControlFlow<()>, Break> {
        let data = event.data.trim_ascii();
        if event.name == "error" {
            return Err(Break::Reported(reported(data)));
        }
        if let Some(chunks) = chunk::parse(data) {
            self.chunks(chunks).await?;
            return Ok(ControlFlow::Continue(()));
        }
        // Several events without a blank line between them, including the end mark.
        for line in data.split(|byte| *byte == b'\n') {
            match line.trim_ascii() {
                b"[DONE]" => return Ok(ControlFlow::Break(())),
                line => match chunk::parse(line) {
                    Some(chunks) => self.chunks(chunks).await?,
                    // The model has finished, so no words are lost.
                    None => self.unreadable += usize::from(self.finish.is_none()),
                },
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn chunks(&mut self, chunks: Vec<chunk::Chunk>) -> Result<(), Break> {
        for chunk in chunks {
            self.chunk(chunk).await?;
        }
        Ok(())
    }

    async fn chunk(&mut self, chunk: chunk::Chunk) -> Result<(), Break> {
        if let Some(error) = chunk.error {
            return Err(Break::Reported(error));
        }
        self.usage = chunk.usage.or(self.usage);
        if self.model.is_none() {
            self.model = chunk
                .model
                .map(|model| cleaned(&model, self.asking.key.as_ref()));
        }
        self.tools |= chunk.tools;
        let text = self.cutter.push(chunk.text);
        let sorted = self.thoughts.push(&text);
        if chunk.thinking || sorted.thinking {
            self.thought = true;
            if !std::mem::replace(&mut self.thinking, true) {
                let _ = self.sender.send(Ok(Piece::Thinking)).await;
            }
        }
        self.hand_out(sorted.text).await;
        if self.length > limits::ANSWER {
            return Err(too_long_answer());
        }
        self.finish = chunk.finish.or(self.finish.take());
        Ok(())
    }

    async fn hand_out(&mut self, text: String) {
        if !text.is_empty() {
            self.length += text.len();
            self.thinking = false;
            // The reader may be gone: then this task is, too.
            let _ = self.sender.send(Ok(Piece::Text(text))).await;
        }
    }

    /// The end of an answer that finished.
    fn end(self) -> Result<End, Error> {
        let finish = self.finish.as_deref().unwrap_or("stop");
        if self.length == 0 {
            return Err(self.empty(finish));
        }
        let (stop, note) = match finish {
            _ if self.unreadable > 0 => (
                Stop::Incomplete,
                Some(format!(
                    "Parts of the answer ({}) could not be read.",
                    self.unreadable
                )),
            ),
            "length" | "max_tokens" | "model_length" => (Stop::Length, None),
            "content_filter" => (
                Stop::Incomplete,
                Some("The content filter of the provider ended the answer.".to_owned()),
            ),
            "error" | "abort" | "cancelled" => (
                Stop::Incomplete,
                Some("The model server stopped in the middle of the answer.".to_owned()),
            ),
            _ => (Stop::End, None),
        };
        let tools = "The model also wanted to call tools, which were not run.";
        Ok(End {
            stop,
            usage: self.usage,
            model: self.model,
            note: note.or(self.tools.then(|| tools.to_owned())),
        })
    }

    /// The model finished without a word.
    fn empty(&self, finish: &str) -> Error {
        let model = &self.asking.request.model;
        let model = cleaned(model, self.asking.key.as_ref());
        Error::model(match finish {
            _ if self.tools => format!(
                "{model} answered with a tool call, but no tools are offered; use another model."
            ),
            "content_filter" => {
                "The content filter of the provider refused the answer; rephrase the question."
                    .to_owned()
            }
            "length" if self.thought => format!(
                "{model} reached its length limit while thinking; send less with the question, or use another model."
            ),
            _ if self.thought => {
                format!(
                    "{model} stopped after thinking, without an answer; ask again, or use another model."
                )
            }
            _ => format!(
                "{model} gave an empty answer, often because the question is too long for it; send less with the question, or set its size with `pieces-lsp model use URL --context N`."
            ),
        })
    }

    /// The end of an answer that broke off: an error before the first word, else incomplete.
    fn broken(self, broken: Break) -> Result<End, Error> {
        let key = self.asking.key.as_ref();
        let url = &self.asking.url;
        let (note, error) = match broken {
            Break::Failed(Failure::Late) if self.length > 0 || self.thought => {
                let silence = limits::SILENCE.as_secs();
                let note = format!("The model server sent nothing for {silence} s.");
                (
                    note,
                    Error::model(format!(
                        "The endpoint {} sent nothing for {silence} s; check the model server.",
                        shown(url)
                    )),
                )
            }
            Break::Failed(failure) => (
                "The connection to the model server was lost.".to_owned(),
                failed(&failure, url),
            ),
            Break::Unfinished => (
                "The model server ended its response before the answer was complete.".to_owned(),
                Error::model(format!(
                    "The endpoint {} sent a response without an answer that can be read; check the URL and the log of the model server.",
                    shown(url)
                )),
            ),
            Break::Reported(text) => {
                let text = detail(&text, key);
                let quoted = text
                    .as_ref()
                    .map(|text| format!(": {text}"))
                    .unwrap_or_default();
                let error = Error::model(format!(
                    "The endpoint {} failed; check the log of the model server, then ask again.",
                    shown(url)
                ));
                (
                    format!("The model server failed{quoted}"),
                    Error {
                        detail: text,
                        ..error
                    },
                )
            }
            Break::Other(sentence) => (sentence.clone(), Error::model(sentence)),
        };
        match self.length {
            0 => Err(error),
            _ => Ok(End {
                stop: Stop::Incomplete,
                usage: self.usage,
                model: self.model,
                note: Some(note),
            }),
        }
    }
}

/// What an event of an error says.
fn reported(data: &[u8]) -> String {
    let chunks = chunk::parse(data).unwrap_or_default();
    let reported = chunks.into_iter().find_map(|chunk| chunk.error);
    let value = crate::json::from_slice::<serde_json::Value>(data).ok();
    let sentence = reported.or_else(|| value.as_ref().map(chunk::sentence));
    sentence.unwrap_or_else(|| String::from_utf8_lossy(data).into_owned())
}

fn too_long_line() -> Break {
    Break::Other(
        "The model server sent a line of more than 1 MiB; the rest was not read.".to_owned(),
    )
}

fn too_long_answer() -> Break {
    Break::Other("The answer has more than 16 MiB; the rest was not read.".to_owned())
}
