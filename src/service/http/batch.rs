//! POST /KINDS/batch/fetch: several objects by id.

use axum::extract::State;
use serde_json::{Value, json};

use super::{
    App, json as json_text,
    request::{Body, Params},
    table::Routes,
};
use crate::service::{
    Failure,
    objects::seed::Seed,
    store::{self, Kind},
    view::View,
};

/// Maximum ids in a request; more are refused before they are parsed.
const MAX_IDS: usize = 50;

/// The batch route of a kind. Takes `{KINDS: {iterable: [{id}]}}`, answers with the objects and the missing
/// ids. Raw content is included only on request.
pub(super) fn route(kind: Kind) -> Routes {
    let path = format!("/{}/batch/fetch", kind.plural());
    let handler = move |State(app): State<App>, params: Params, Body(body): Body| async move {
        let transferables = params.get("transferables").is_some() && params.transferables()?;
        let mut seed = Seed::object(body, "body")?;
        if seed.count_ids(kind.plural()) > MAX_IDS {
            return Err(Failure::invalid(format!(
                "At most {MAX_IDS} ids fit in one request."
            )));
        }
        let ids = seed.take_ids(kind.plural())?;
        let store = app.store.clone();
        let text = app
            .store
            .read(move |db| {
                let mut view = View::new(&store, db, transferables);
                let mut objects = Vec::new();
                let mut indices = serde_json::Map::new();
                let mut missing = Vec::new();
                for id in ids {
                    let Some(row) = store::find(db, kind, &id)? else {
                        missing.push(id);
                        continue;
                    };
                    indices.insert(id, objects.len().into());
                    objects.push(serde_json::from_str::<Value>(&view.one(&row)?)?);
                }
                let found = json!({"iterable": objects, "indices": indices});
                Ok(json!({kind.plural(): found, "notFound": missing}).to_string())
            })
            .await?;
        Ok(json_text(text))
    };
    Routes::default().post(&path, handler)
}
