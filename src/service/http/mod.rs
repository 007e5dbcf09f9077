//! HTTP and WebSocket: who may ask, what each route does, how lists and streams are sent.

mod batch;
mod connections;
mod guard;
mod list;
mod model;
mod request;
mod routes;
mod search;
mod stream;
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
use super::store::Store;

/// What all handlers share.
#[derive(Clone)]
pub(super) struct App {
    store: Arc<Store>,
    stopped: watch::Receiver<bool>,
    trash: Arc<trash::Trash>,
}

/// The version of the API that we speak: published clients ask for 12.x.
const VERSION: &str = "12.3.1";
/// Largest request body.
const BODY: usize = 32 << 20;
/// Largest body of an import: one object with its parts and associations has to fit.
pub(crate) const MAX_IMPORT: usize = 256 << 20;
/// How long a request may take, its body included; opening a stream counts, staying open does not.
const REQUEST: Duration = Duration::from_secs(60);

/// All routes behind the guard, and what keeps the trash in order until the service stops.
pub(super) fn router(
    store: Arc<Store>,
    port: u16,
    token: Option<&str>,
    stopped: watch::Receiver<bool>,
) -> (Router, impl Future<Output = ()> + Send + 'static) {
    let guard = Guard::new(port, token);
    let app = App {
        trash: trash::Trash::new(store.dir().to_owned()),
        store,
        stopped,
    };
    let upkeep = trash::upkeep(app.clone());
    let router = routes::all()
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
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "The request took too long.").into_response(),
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
    fn the_description_has_the_routes_there_are() {
        // Neither says how a parameter is called: `{}`.
        let anonymous = |path: &str| -> String {
            let parts = path.split('/').map(|part| match part.strip_prefix('{') {
                Some(_) => "{}",
                None => part,
            });
            parts.collect::<Vec<_>>().join("/")
        };
        // axum tells its routes in its debug format only.
        let shown = format!("{:?}", routes::all());
        let routes: BTreeSet<String> = shown
            .split('"')
            .skip(1)
            .step_by(2)
            .filter(|text| text.starts_with('/'))
            .map(anonymous)
            // What no route takes.
            .filter(|path| path != "/" && path != "/{}")
            .collect();
        assert!(routes.len() > 90, "{shown}");
        let page: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
        let described: BTreeSet<String> = page["paths"]
            .as_object()
            .unwrap()
            .keys()
            .map(|path| anonymous(path))
            .collect();
        let differences: Vec<_> = routes.symmetric_difference(&described).collect();
        assert!(differences.is_empty(), "on one side only: {differences:?}");
    }
}
