//! Carries out what the machine wants, and tells it what came of it.

use crate::pieces::{Change, Error, Frame, Kind, Watched};
use crate::sync::machine::{Action, Answer, Fetched, Input};
use crate::sync::service::{Service, Stream};
use std::collections::HashMap;
use uuid::Uuid;

/// What a task came to.
#[expect(
    clippy::large_enum_variant,
    reason = "answers are nearly all there is, and each is moved once"
)]
pub(super) enum Done<S: Service> {
    /// The answer to an action; the error is that of a list or of identifiers.
    Answer(Input, Option<Error>),
    /// The version of the service, if it has one.
    Version(Option<String>),
    /// Something of that kind changed.
    Changed(Watched, S::Stream),
    /// A stream beside that of conversations ended, or there is none.
    Unwatched,
    /// Whether Pieces OS answers.
    Appeared(bool),
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

/// What the machine learns of a request that failed.
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

/// Opens a stream that not every server has, and waits for its first frame.
pub(super) async fn watch<S: Service>(service: S, watched: Watched) -> Done<S> {
    match service.watch(watched).await {
        Ok(stream) => next_change(watched, stream).await,
        Err(_) => Done::Unwatched,
    }
}

/// Waits for the next frame.
pub(super) async fn next_change<S: Service>(watched: Watched, mut stream: S::Stream) -> Done<S> {
    loop {
        match stream.next().await {
            Ok(Frame::Changes { .. }) => return Done::Changed(watched, stream),
            Ok(Frame::Alive) => {}
            Err(_) => return Done::Unwatched,
        }
    }
}

/// What a frame says, each id once: the last word counts.
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
