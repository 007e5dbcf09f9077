//! Lists of all objects of a kind, streamed while they are read.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use tokio::{runtime::Handle, sync::mpsc, task::spawn_blocking, time::timeout};

use crate::service::{
    Failure,
    store::{self, Kind, Row, Store},
    view::{View, write_index},
};

/// Objects per read.
pub(super) const PAGE: usize = 500;
/// Approximate bytes per chunk.
pub(super) const CHUNK: usize = 64 << 10;
/// How long a reader may stall before its response is cut off; it keeps old pages alive meanwhile.
const STALL: Duration = Duration::from_secs(30);

/// `{"iterable":[…],"indices":{…}}` of all objects of a kind, in insertion order, from one consistent
/// snapshot.
pub(super) fn all(store: Arc<Store>, kind: Kind, transferables: bool) -> Response {
    let body = streamed(move |send| produce(&store, kind, transferables, send));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A body that is sent while `produce` reads it on a blocking thread. `produce` has to stop when `send`
/// returns `false`: the client is gone. An error of `produce` cuts the body off, which clients see as an
/// error.
pub(super) fn streamed(
    produce: impl FnOnce(&dyn Fn(Bytes) -> bool) -> Result<(), Failure> + Send + 'static,
) -> Body {
    let (chunks, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(4);
    let async_side = Handle::current();
    spawn_blocking(move || {
        let send = |chunk| {
            let sent = async_side.block_on(timeout(STALL, chunks.send(Ok(chunk))));
            matches!(sent, Ok(Ok(())))
        };
        if let Err(failure) = produce(&send) {
            tracing::error!(?failure, "a list was cut off");
            let broken = std::io::Error::other("the store failed");
            // Fails only if the client is gone.
            let _ = async_side.block_on(timeout(STALL, chunks.send(Err(broken))));
        }
    });
    Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }))
}

/// [`View::many`], omitting damaged objects.
pub(super) fn each_readable(
    view: &mut View<'_>,
    mut rows: &[Row],
    to: &mut dyn FnMut(&str, &str),
) -> Result<(), Failure> {
    let mut lost = 0_u64;
    while !rows.is_empty() {
        let mut done = 0;
        let seen = view.many(rows, &mut |id, object| {
            done += 1;
            to(id, object);
        });
        match seen {
            Ok(()) => break,
            Err(failure) if failure.is_damage() => {
                lost += 1;
                rows = rows.get(done + 1..).unwrap_or_default();
            }
            Err(failure) => return Err(failure),
        }
    }
    if lost > 0 {
        tracing::error!(lost, "objects cannot be read");
    }
    Ok(())
}

/// Stops without an error once `send` reports that the client is gone.
fn produce(
    store: &Store,
    kind: Kind,
    transferables: bool,
    send: &dyn Fn(Bytes) -> bool,
) -> Result<(), Failure> {
    let db = store.own_reader()?;
    let db = db.unchecked_transaction()?;
    let mut view = View::new(store, &db, transferables);
    let mut out = String::with_capacity(CHUNK + CHUNK / 4);
    let mut indices = String::new();
    out.push_str("{\"iterable\":[");
    let mut after = 0;
    let mut count = 0;
    loop {
        let rows = store::list(&db, kind, after, PAGE)?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        let mut listening = true;
        each_readable(&mut view, &rows, &mut |id, object| {
            if count > 0 {
                out.push(',');
            }
            out.push_str(object);
            write_index(&mut indices, id, count);
            count += 1;
            if out.len() >= CHUNK {
                let chunk = std::mem::replace(&mut out, String::with_capacity(CHUNK + CHUNK / 4));
                listening = listening && send(chunk.into());
            }
        })?;
        if !listening {
            return Ok(());
        }
    }
    out.push_str("],\"indices\":{");
    out.push_str(&indices);
    out.push_str("}}");
    send(out.into());
    Ok(())
}
