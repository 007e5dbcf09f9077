//! Our own routes for `pieces-lsp import` and `export`: complete objects in wire format, many at a time.

use std::cell::RefCell;

use axum::{
    extract::{DefaultBodyLimit, State},
    handler::Handler as _,
    http::header,
    response::{IntoResponse as _, Response},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    App, MAX_IMPORT, json as json_text,
    list::{CHUNK, PAGE, each_readable, streamed},
    request::ImportBody,
    table::Routes,
};
use crate::service::{
    Failure,
    objects::{import, seed::Seed},
    store::{self, Kind},
    view::View,
};

/// The format of an export; readers refuse a newer one.
pub(crate) const FORMAT: u64 = 1;

pub(super) fn routes() -> Routes {
    Routes::default()
        .post(
            "/pieces-lsp/import",
            import_objects.layer(DefaultBodyLimit::max(MAX_IMPORT)),
        )
        .get("/pieces-lsp/export", everything)
}

/// Takes `{objects: [{KIND: {…}}], dryRun?, heads?}`, in one transaction; `heads`: a dry run of objects
/// without their content. Answers with each outcome: `{outcomes: ["new" | "updated" | "unchanged" |
/// {"unreadable": "why"}]}`.
async fn import_objects(
    State(app): State<App>,
    ImportBody(body): ImportBody,
) -> Result<Response, Failure> {
    let mut seed = Seed::object(body, "body")?;
    let heads = seed.take("heads") == Some(Value::Bool(true));
    let dry_run = heads || seed.take("dryRun") == Some(Value::Bool(true));
    let objects = seed.take_array("objects")?;
    let outcomes = if dry_run {
        app.store
            .read(move |db| import::compare(db, objects, heads))
            .await?
    } else {
        app.store
            .write(move |change| import::import_objects(change, objects))
            .await?
    };
    Ok(json_text(json!({"outcomes": outcomes}).to_string()))
}

/// Everything in the store, from one consistent snapshot, one object per line as `{KIND: {…}}`. Each
/// conversation is followed by its messages. The first line names the format; the last counts the objects and
/// the unreadable ones: without it the text is incomplete.
async fn everything(State(app): State<App>) -> Response {
    let body = streamed(move |send| {
        let db = app.store.own_reader()?;
        let db = db.unchecked_transaction()?;
        let lines = Lines {
            send,
            state: RefCell::default(),
        };
        lines.add("export", &header_line());
        for kind in Kind::ROUTED {
            if kind != Kind::Message {
                write_kind(&db, kind, &lines)?;
            }
        }
        // The first line is not an object.
        let objects = lines.state.borrow().count - 1;
        let mut end = json!({"objects": objects});
        let unreadable = known(&db)?.saturating_sub(objects);
        if unreadable > 0 {
            end["unreadable"] = unreadable.into();
        }
        lines.add("end", &end.to_string());
        lines.flush();
        Ok(())
    });
    ([(header::CONTENT_TYPE, "application/jsonl")], body).into_response()
}

/// The number of objects, unreadable ones included; 0 if it cannot be determined.
fn known(db: &Connection) -> Result<u64, Failure> {
    let mut count = 0;
    for kind in Kind::ROUTED {
        match store::count(db, kind) {
            Err(failure) if failure.is_damage() => return Ok(0),
            counted => count += counted?,
        }
    }
    Ok(count)
}

fn header_line() -> String {
    json!({"format": FORMAT, "version": env!("CARGO_PKG_VERSION")}).to_string()
}

/// Buffered lines of the response.
struct Lines<'a> {
    send: &'a dyn Fn(axum::body::Bytes) -> bool,
    state: RefCell<Sent>,
}

#[derive(Default)]
struct Sent {
    pending: String,
    count: u64,
    disconnected: bool,
}

impl Lines<'_> {
    fn add(&self, kind: &str, object: &str) {
        let mut state = self.state.borrow_mut();
        state.count += 1;
        for part in ["{\"", kind, "\":", object, "}\n"] {
            state.pending.push_str(part);
        }
        let full = state.pending.len() >= CHUNK;
        drop(state);
        if full {
            self.flush();
        }
    }

    fn flush(&self) {
        let mut state = self.state.borrow_mut();
        let chunk = std::mem::take(&mut state.pending);
        state.disconnected = state.disconnected || !(self.send)(chunk.into());
    }

    fn disconnected(&self) -> bool {
        self.state.borrow().disconnected
    }
}

fn write_kind(db: &Connection, kind: Kind, lines: &Lines<'_>) -> Result<(), Failure> {
    let mut view = View::for_export(db);
    let mut inner = View::for_export(db);
    let mut after = 0;
    loop {
        let rows = store::list(db, kind, after, PAGE)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = last.seq;
        let mut conversations = rows.iter();
        let mut failed = Ok(());
        each_readable(&mut view, &rows, &mut |id, object| {
            lines.add(kind.noun(), object);
            if kind == Kind::Conversation
                && let Some(row) = conversations.find(|row| row.id == id)
                && failed.is_ok()
                && !lines.disconnected()
            {
                failed = write_messages(db, &mut inner, row.seq, lines);
            }
        })?;
        failed?;
        if lines.disconnected() {
            return Ok(());
        }
    }
}

fn write_messages(
    db: &Connection,
    view: &mut View<'_>,
    conversation: i64,
    lines: &Lines<'_>,
) -> Result<(), Failure> {
    let rows = store::owned_rows(db, Kind::Message, conversation)?;
    each_readable(view, &rows, &mut |_, object| {
        lines.add(Kind::Message.noun(), object)
    })
}
