//! HTTP and WebSocket: access, routes, lists and streams.

mod asking;
mod batch;
mod connections;
mod guard;
mod list;
mod model;
mod qgpt;
mod request;
mod routes;
mod search;
mod stream;
mod table;
mod transfer;
mod trash;
mod wellknown;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use tokio::sync::watch;

pub(in crate::service) use self::connections::run;
use self::guard::Guard;
pub(crate) use self::transfer::FORMAT as EXPORT_FORMAT;
use super::{answer::Answers, store::Store};

/// State shared by all handlers.
#[derive(Clone)]
pub(super) struct App {
    store: Arc<Store>,
    stopped: watch::Receiver<bool>,
    trash: Arc<trash::Trash>,
    answers: Arc<Answers>,
    /// Whether requests over TCP carry a token.
    token: bool,
}

/// The API version that we report: published clients require 12.x.
const VERSION: &str = "12.3.1";
/// Largest request body, in bytes.
const BODY: usize = 32 << 20;
/// Largest body of an import, in bytes: one object with its parts and associations has to fit.
pub(crate) const MAX_IMPORT: usize = 256 << 20;
/// Deadline for a request with its body. It includes opening a stream, not keeping it open.
const REQUEST: Duration = Duration::from_secs(60);
/// The same for a request that waits for the answer of a model, which may have to be loaded first.
const ANSWER: Duration = Duration::from_secs(30 * 60);

/// All routes behind the guard. Also starts trash maintenance, which runs until the service stops.
pub(super) fn router(
    store: Arc<Store>,
    answers: Arc<Answers>,
    port: u16,
    token: Option<&str>,
    stopped: watch::Receiver<bool>,
) -> (Router, impl Future<Output = ()> + Send + 'static) {
    let guard = Guard::new(port, token);
    let app = App {
        trash: trash::Trash::new(store.dir().to_owned()),
        store,
        stopped,
        answers,
        token: token.is_some(),
    };
    let upkeep = trash::upkeep(app.clone());
    let router = routes::all()
        .into_router()
        .with_state(app)
        .fallback(|| async { (StatusCode::NOT_FOUND, "Route not found") })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(deadline))
        .layer(middleware::from_fn_with_state(
            Arc::new(guard),
            guard::check,
        ));
    (router, upkeep)
}

async fn deadline(request: axum::extract::Request, next: middleware::Next) -> Response {
    let limit = match asking::is_slow(request.uri().path()) {
        true => ANSWER,
        false => REQUEST,
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "The request timed out.").into_response(),
    }
}

/// 200 with a JSON text.
fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_description_lists_exactly_the_routes() {
        // Neither side's parameter names matter: `{}`.
        let anonymous = |method: &str, path: &str| -> String {
            let parts = path.split('/').map(|part| match part.strip_prefix('{') {
                Some(_) => "{}",
                None => part,
            });
            format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
        };
        let routes = routes::all();
        let routes: BTreeSet<String> = routes
            .listed()
            .iter()
            .map(|(method, path)| anonymous(method, path))
            .collect();
        let page: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
        let described: BTreeSet<String> = page["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(|method| anonymous(method, path))
            })
            .collect();
        let differences: Vec<_> = routes.symmetric_difference(&described).collect();
        assert!(differences.is_empty(), "on one side only: {differences:?}");
    }
}
