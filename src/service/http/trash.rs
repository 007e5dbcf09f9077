//! Our own routes for the trash: conversations deleted here, and copies of those deleted elsewhere.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde_json::{Map, Value, json};
use tokio::{sync::OnceCell, time::Instant};

use super::{
    App, json as json_text,
    request::{Body, Id},
    table::Routes,
};
use crate::private;
use crate::service::{
    Failure,
    objects::{seed::Seed, seed::uuid, trash as objects},
    old_trash,
    store::trash::{self, Head, State as Progress},
    time,
};

/// How long an entry stays claimed by the client that restores it elsewhere; longer than a request may take.
const CLAIM: Duration = Duration::from_secs(90);
/// Interval between checks of the date.
const LOOK: Duration = Duration::from_secs(3600);

/// State of the trash routes besides the store.
pub(super) struct Trash {
    data_dir: PathBuf,
    /// The number of unreadable files of older versions, known once the others are in the store.
    old: OnceCell<usize>,
    /// When each claimed entry was claimed.
    claims: Mutex<HashMap<i64, Instant>>,
}

impl Trash {
    pub(super) fn new(data_dir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            data_dir,
            old: OnceCell::new(),
            claims: Mutex::default(),
        })
    }

    /// `false` if another client has claimed it.
    fn claim(&self, entry: i64) -> bool {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, since| since.elapsed() < CLAIM);
        if claims.contains_key(&entry) {
            return false;
        }
        claims.insert(entry, Instant::now());
        true
    }

    fn release(&self, entry: i64) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.remove(&entry);
    }
}

impl App {
    /// Waits until the trash of older versions is in the store; the number of unreadable files.
    async fn old_trash(&self) -> usize {
        let migrate = || old_trash::migrate(&self.store, &self.trash.data_dir);
        *self.trash.old.get_or_init(migrate).await
    }
}

/// Removes leftovers of killed processes, and maintains the trash until the service stops.
pub(super) async fn upkeep(app: App) {
    let mut stopped = app.stopped.clone();
    let working = async {
        let dir = app.trash.data_dir.clone();
        let drafts = tokio::task::spawn_blocking(move || {
            for dir in [dir.join("opened"), dir] {
                private::remove_drafts(&dir);
            }
        });
        let _ = drafts.await;
        app.old_trash().await;
        loop {
            log(app
                .store
                .write(|change| trash::note_date(change.db, change.now).map(drop))
                .await);
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = working => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// The store may be full or read-only; the trash can still be listed, and the next check retries.
fn log(result: Result<(), Failure>) {
    if let Err(failure) = result {
        tracing::warn!(?failure, "trash maintenance failed");
    }
}

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/pieces-lsp/trash", list)
        .post("/pieces-lsp/trash", stage)
        .get("/pieces-lsp/trash/{entry}", seeded)
        .post("/pieces-lsp/trash/{entry}/add", add)
        .post("/pieces-lsp/trash/{entry}/commit", commit)
        .post("/pieces-lsp/trash/{entry}/drop", forget)
        .post("/pieces-lsp/trash/{entry}/take", take)
        .post("/pieces-lsp/trash/{entry}/release", release)
        .post("/pieces-lsp/trash/{entry}/restored", restored)
        .post("/pieces-lsp/restore/{conversation}", restore)
        .get("/pieces-lsp/restored", old_ids)
}

/// The entry number in the path.
struct Entry(i64);

impl<S: Send + Sync> FromRequestParts<S> for Entry {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let entry = Path::<i64>::from_request_parts(parts, state).await;
        entry
            .map(|Path(entry)| Self(entry))
            .map_err(|_| Failure::invalid("The entry in the path must be a number."))
    }
}

/// `{items: [{entry, conversation, name, deleted, messages, origin, staged, exists}], unreadable}`, newest
/// deletion first; `deleted` in microseconds since 1970.
async fn list(State(app): State<App>) -> Result<Response, Failure> {
    let unreadable = app.old_trash().await;
    let heads = app.store.read(|db| trash::list(db, time::now())).await?;
    let item = |head: Head| {
        json!({
            "entry": head.entry,
            "conversation": head.id,
            "name": head.name,
            "deleted": head.deleted,
            "messages": head.messages,
            "origin": head.origin,
            "staged": head.staged,
            "exists": head.exists,
        })
    };
    let items: Vec<Value> = heads.into_iter().map(item).collect();
    let answer = json!({"items": items, "unreadable": unreadable});
    Ok(json_text(answer.to_string()))
}

/// Takes `{origin, objects, whole}`: the first objects of a copy, `whole` if there are no more. Answers
/// `{entry}`.
async fn stage(State(app): State<App>, Body(body): Body) -> Result<Response, Failure> {
    let mut seed = Seed::object(body, "body")?;
    let origin = seed.required("origin")?.to_owned();
    let whole = seed.take("whole") == Some(Value::Bool(true));
    let objects = seed.take_array("objects")?;
    let entry = app
        .store
        .write(move |change| {
            let entry = objects::stage(change, &origin, objects)?;
            if whole {
                advance(change.db, entry, Progress::Copying, Progress::Staged)?;
            }
            Ok(entry)
        })
        .await?;
    Ok(json_text(json!({"entry": entry}).to_string()))
}

/// Takes `{objects, whole}`: further objects of a copy.
async fn add(
    State(app): State<App>,
    Entry(entry): Entry,
    Body(body): Body,
) -> Result<StatusCode, Failure> {
    let mut seed = Seed::object(body, "body")?;
    let whole = seed.take("whole") == Some(Value::Bool(true));
    let objects = seed.take_array("objects")?;
    app.store
        .write(move |change| {
            let to = if whole {
                Progress::Staged
            } else {
                Progress::Copying
            };
            advance(change.db, entry, Progress::Copying, to)?;
            objects::add(change, entry, objects)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Commits a copy: the conversation was deleted.
async fn commit(State(app): State<App>, Entry(entry): Entry) -> Result<StatusCode, Failure> {
    app.store
        .write(move |change| advance(change.db, entry, Progress::Staged, Progress::Deleted))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn advance(
    db: &rusqlite::Connection,
    entry: i64,
    from: Progress,
    to: Progress,
) -> Result<(), Failure> {
    match trash::advance(db, entry, from, to)? {
        true => Ok(()),
        false => Err(gone(entry)),
    }
}

fn gone(entry: i64) -> Failure {
    Failure::Gone {
        kind: "trash entry",
        id: entry.to_string(),
    }
}

/// Drops an entry.
async fn forget(State(app): State<App>, Entry(entry): Entry) -> Result<StatusCode, Failure> {
    app.store
        .write(move |change| match trash::remove(change.db, entry)? {
            true => Ok(()),
            false => Err(gone(entry)),
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The `SeededConversation` that creates the conversation again elsewhere.
async fn seeded(State(app): State<App>, Entry(entry): Entry) -> Result<Response, Failure> {
    let seed = app.store.read(move |db| objects::seeded(db, entry)).await?;
    Ok(json_text(seed.to_string()))
}

/// Claims an entry to restore it elsewhere: other clients get 503 until it is released or restored, for at
/// most 90 seconds.
async fn take(State(app): State<App>, Entry(entry): Entry) -> Result<StatusCode, Failure> {
    if !app.trash.claim(entry) {
        return Err(Failure::Busy);
    }
    let found = app.store.read(move |db| trash::head(db, entry)).await;
    if let Err(failure) = found {
        app.trash.release(entry);
        return Err(failure);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn release(State(app): State<App>, Entry(entry): Entry) -> StatusCode {
    app.trash.release(entry);
    StatusCode::NO_CONTENT
}

/// Takes `{conversation}`: the id under which it was restored elsewhere.
async fn restored(
    State(app): State<App>,
    Entry(entry): Entry,
    Body(body): Body,
) -> Result<StatusCode, Failure> {
    let seed = Seed::object(body, "body")?;
    let new = uuid(seed.map().get("conversation"), "conversation")?;
    app.store
        .write(move |change| {
            let head = trash::head(change.db, entry)?;
            trash::set_restored(change.db, &head.id, &new)
        })
        .await?;
    app.trash.release(entry);
    Ok(StatusCode::NO_CONTENT)
}

/// Moves a deleted conversation back into this store: `{conversation, name}`.
async fn restore(State(app): State<App>, Id(id): Id) -> Result<Response, Failure> {
    app.old_trash().await;
    let restored = app
        .store
        .write(move |change| objects::restore(change, &id))
        .await?;
    let answer = json!({"conversation": restored.id, "name": restored.name});
    Ok(json_text(answer.to_string()))
}

/// `{items: {OLD: NEW}}`: old and new ids of conversations of other services that were restored.
async fn old_ids(State(app): State<App>) -> Result<Response, Failure> {
    let ids = app.store.read(trash::restored).await?;
    let ids: Map<String, Value> = ids
        .into_iter()
        .map(|(old, new)| (old, new.into()))
        .collect();
    Ok(json_text(json!({"items": ids}).to_string()))
}
