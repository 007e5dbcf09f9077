//! The calls that the language server relies on, each made once and timed.

use super::report::{Check, millis};
use crate::cli::common::printable;
use crate::cli::terminal::{count, size, time};
use crate::pieces::{Client, Error, Frame, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Timeout for a small response.
const SMALL: Duration = Duration::from_secs(3);
/// Timeout for a list.
const LARGE: Duration = Duration::from_secs(60);
/// Timeout for the first frame of the stream. Some versions may send none.
const FIRST_FRAME: Duration = Duration::from_secs(3);
/// Number of timed round trips.
const ROUND_TRIPS: usize = 20;

/// Runs one call with a timeout; returns the outcome and the time it took.
async fn timed<T>(
    within: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> (Result<T, Error>, Duration) {
    let started = Instant::now();
    let outcome = tokio::time::timeout(within, call).await.unwrap_or_else(|_| {
        Err(Error::timeout(format!(
            "The service did not answer within {} s; restart it, then run `pieces-lsp doctor` again.",
            within.as_secs()
        )))
    });
    (outcome, started.elapsed())
}

/// `GET /.well-known/health`.
pub(super) async fn health(client: &Client) -> Check {
    const NAME: &str = "health";
    let (health, took) = timed(SMALL, client.health()).await;
    let check = match health {
        Ok(text) if text.starts_with("ok:") => Check::ok(NAME, printable(&text)),
        Ok(text) if text == "migrating" => Check::failed(
            NAME,
            "migrating",
            "Pieces OS is still opening its database; wait a minute, then run `pieces-lsp doctor` again.",
        ),
        // The response of another program may have any text.
        Ok(_) => Check::note(NAME, "a response, but not one of Pieces OS"),
        Err(error) => Check::optional(NAME, &error),
    };
    check.took(took)
}

/// `GET /.well-known/version`.
pub(super) async fn version(client: &Client) -> Check {
    const NAME: &str = "version";
    let (version, took) = timed(SMALL, client.version()).await;
    let check = match version {
        Ok(version) => Check::ok(NAME, &version).fact("version", version),
        Err(error) => Check::optional(NAME, &error),
    };
    check.took(took)
}

/// `GET /conversations`.
pub(super) async fn snapshot(client: &Client) -> Check {
    const NAME: &str = "snapshot";
    let (answer, took) = timed(LARGE, client.snapshot(Some(false))).await;
    let check = match answer {
        Ok(answer) => {
            let bytes = answer.get().len() as u64;
            let (readable, unreadable) = counted(&answer);
            let summary = format!(
                "{}, {} in {}",
                count(readable, "conversation"),
                size(bytes),
                time(took)
            );
            let check = match unreadable {
                0 => Check::ok(NAME, summary),
                _ => Check::note(NAME, format!("{summary}; {unreadable} more cannot be read")),
            };
            check
                .fact("conversations", readable)
                .fact("unreadable", unreadable)
                .fact("bytes", bytes)
        }
        Err(error) => Check::error(NAME, &error),
    };
    check.took(took)
}

/// Items with an id, and items without.
fn counted(answer: &RawValue) -> (usize, usize) {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow, default)]
        iterable: Option<Vec<&'a RawValue>>,
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(rename = "id")]
        _id: Uuid,
    }
    let list: Option<List<'_>> = serde_json::from_str(answer.get()).ok();
    let items = list.and_then(|list| list.iterable).unwrap_or_default();
    let readable = items
        .iter()
        .filter(|item| serde_json::from_str::<Item>(item.get()).is_ok());
    let readable = readable.count();
    (readable, items.len() - readable)
}

/// `GET /conversations/identifiers`.
pub(super) async fn identifiers(client: &Client) -> Check {
    const NAME: &str = "identifiers";
    let (ids, took) = timed(LARGE, client.identifier_ids()).await;
    let check = match ids {
        Ok(ids) => {
            let summary = format!("{} in {}", count(ids.len(), "id"), time(took));
            Check::ok(NAME, summary).fact("ids", ids.len())
        }
        Err(error) => Check::error(NAME, &error),
    };
    check.took(took)
}

/// WebSocket `/conversations/stream/identifiers`, and its first frame.
pub(super) async fn stream(client: &Client) -> Check {
    const NAME: &str = "stream";
    let (opened, opening) = timed(SMALL, client.watch()).await;
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) => return Check::error(NAME, &error).took(opening),
    };
    let (frame, waited) = timed(FIRST_FRAME, stream.next()).await;
    let opened = format!("open in {}", time(opening));
    let check = match frame {
        Ok(Frame::Changes { changes, malformed }) => {
            let ids = count(changes.len(), "id");
            let summary = format!("{opened}, first frame with {ids} after {}", time(waited));
            let check = match malformed {
                false => Check::ok(NAME, summary),
                true => Check::note(NAME, format!("{summary}; a part of it cannot be read")),
            };
            check
                .fact("firstFrameMs", millis(waited))
                .fact("firstFrameIds", changes.len())
        }
        Ok(Frame::Alive) => Check::note(NAME, format!("{opened}, but no first frame")),
        Err(error) if error.kind == Kind::Timeout => Check::note(
            NAME,
            format!("{opened}, but no first frame within {}", time(waited)),
        ),
        Err(error) => Check::error(NAME, &error),
    };
    check.took(opening)
}

/// The time of a small response, several times.
pub(super) async fn round_trip(client: &Client) -> Check {
    const NAME: &str = "roundTrip";
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        match timed(SMALL, client.health()).await {
            // Without a health route, time the error response.
            (Ok(_), took) => times.push(took),
            (Err(error), took) if error.kind == Kind::NotFound => times.push(took),
            (Err(error), took) => return Check::error(NAME, &error).took(took),
        }
    }
    times.sort_unstable();
    let worst = times.last().copied().unwrap_or_default();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let summary = format!(
        "median {}, worst {} of {ROUND_TRIPS}",
        time(median),
        time(worst)
    );
    Check::ok(NAME, summary)
        .took(median)
        .fact("worstMs", millis(worst))
        .fact("samples", ROUND_TRIPS)
}
