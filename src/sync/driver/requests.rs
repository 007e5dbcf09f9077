//! Carries out the machine's actions and reports their results.

use crate::pieces::{Change, Error, Frame, Kind, Watched};
use crate::sync::backoff::backoff;
use crate::sync::machine::{Action, Answer, Fetched, Input};
use crate::sync::service::{Service, Stream};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Longest pause before a stream of anchors or assets is reopened: every reopening reads them as well, and a
/// resync reads them as often.
const SIDE_STREAM_PAUSE_MAX: Duration = Duration::from_secs(120);

/// The result of a task.
#[expect(
    clippy::large_enum_variant,
    reason = "answers are nearly all there is, and each is moved once"
)]
pub(super) enum Done<S: Service> {
    /// The response to an action; the error is that of a list or of identifiers.
    Answer(Input, Option<Error>),
    /// The version of the service, if it has one.
    Version(Option<String>),
    /// An object of that kind changed, or may have changed.
    Changed(SideStream<S::Stream>),
    /// A stream beside that of conversations ended or could not be opened, this many times in a row.
    Unwatched(Watched, u32),
    /// The service has no such stream.
    NoStream,
    /// Whether Pieces OS responds.
    Appeared(bool),
}

/// A stream of anchors or assets.
pub(super) struct SideStream<S> {
    pub(super) watched: Watched,
    stream: S,
    opened: Instant,
    /// How many times in a row it ended or could not be opened.
    failures: u32,
}

pub(super) async fn carry_out<S: Service>(service: S, action: Action) -> Done<S> {
    match action {
        Action::List {
            ticket,
            transferables,
        } => match service.list(transferables).await {
            Ok(listing) => Done::Answer(Input::Listed(ticket, Some(listing)), None),
            Err(error) => failed(action, error),
        },
        Action::Identify(ticket) => match service.identifiers().await {
            Ok(ids) => Done::Answer(Input::Identified(ticket, Some(ids)), None),
            Err(error) => failed(action, error),
        },
        Action::Fetch(ticket, id) => match service.conversation(id).await {
            Ok((one, anchors)) => {
                let found = Fetched::Found(Box::new(one), anchors);
                Done::Answer(Input::Fetched(ticket, found), None)
            }
            Err(error) => failed(action, error),
        },
        Action::Anchors(ticket) => match service.anchors().await {
            Ok(anchors) => Done::Answer(Input::Anchors(ticket, Answer::Here(anchors)), None),
            Err(error) => failed(action, error),
        },
        Action::Assets(ticket) => match service.assets().await {
            Ok(assets) => Done::Answer(Input::Assets(ticket, Answer::Here(assets)), None),
            Err(error) => failed(action, error),
        },
    }
}

/// What the machine learns from a failed request.
pub(super) fn failed<S: Service>(action: Action, error: Error) -> Done<S> {
    match action {
        Action::List { ticket, .. } => Done::Answer(Input::Listed(ticket, None), Some(error)),
        Action::Identify(ticket) => Done::Answer(Input::Identified(ticket, None), Some(error)),
        Action::Fetch(ticket, _) => {
            let fetched = match error.kind {
                Kind::NotFound if error.status == Some(410) => Fetched::Gone,
                Kind::NotFound => Fetched::NotFound,
                _ => Fetched::Failed,
            };
            Done::Answer(Input::Fetched(ticket, fetched), None)
        }
        Action::Anchors(ticket) => Done::Answer(Input::Anchors(ticket, missing(&error)), None),
        Action::Assets(ticket) => Done::Answer(Input::Assets(ticket, missing(&error)), None),
    }
}

fn missing<T>(error: &Error) -> Answer<T> {
    match error.kind {
        Kind::NotFound => Answer::Missing,
        _ => Answer::Failed,
    }
}

pub(super) async fn version<S: Service>(service: S) -> Done<S> {
    Done::Version(service.version().await.ok())
}

/// Opens a stream that not every server has, after a pause if it failed before, and waits for its first
/// frame. A reopened stream counts as a change: changes in the gap were not announced.
pub(super) async fn watch<S: Service>(service: S, watched: Watched, failures: u32) -> Done<S> {
    if failures > 0 {
        sleep(backoff(failures, SIDE_STREAM_PAUSE_MAX).mul_f64(super::jitter())).await;
    }
    match service.watch(watched).await {
        Ok(stream) => {
            let side = SideStream {
                watched,
                stream,
                opened: Instant::now(),
                failures,
            };
            match failures {
                0 => next_change(side).await,
                _ => Done::Changed(side),
            }
        }
        Err(error) if error.kind == Kind::NotFound => Done::NoStream,
        Err(_) => Done::Unwatched(watched, failures.saturating_add(1)),
    }
}

/// Waits for the next frame.
pub(super) async fn next_change<S: Service>(mut side: SideStream<S::Stream>) -> Done<S> {
    loop {
        match side.stream.next().await {
            Ok(Frame::Changes { .. }) => return Done::Changed(side),
            Ok(Frame::Alive) => {}
            Err(_) => {
                let steady = side.opened.elapsed() >= super::STEADY;
                let before = if steady { 0 } else { side.failures };
                return Done::Unwatched(side.watched, before.saturating_add(1));
            }
        }
    }
}

/// The changes of a frame, each id once: its last event counts.
pub(super) fn from_frame(frame: Frame) -> Input {
    let Frame::Changes { changes, malformed } = frame else {
        return Input::Alive;
    };
    let (mut upserts, mut deletes) = (Vec::new(), Vec::new());
    let mut exists: HashMap<Uuid, bool> = HashMap::with_capacity(changes.len());
    for change in &changes {
        match change {
            Change::Upsert { id, .. } => exists.insert(*id, true),
            Change::Delete { id } => exists.insert(*id, false),
        };
    }
    for change in changes {
        let (Change::Upsert { id, .. } | Change::Delete { id }) = change;
        match exists.remove(&id) {
            Some(true) => upserts.push(id),
            Some(false) => deletes.push(id),
            None => {}
        }
    }
    Input::Frame {
        upserts,
        deletes,
        malformed,
    }
}
