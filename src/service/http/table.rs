//! The table of routes: what the router is made from, and what the tests compare with `docs/openapi.json`.

use axum::{
    Router,
    handler::Handler,
    routing::{self, MethodRouter},
};

use super::App;

/// Routes, with the method and path of each.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<App>,
    listed: Vec<(&'static str, String)>,
}

impl Routes {
    /// Adds `GET path`.
    pub(super) fn get<H: Handler<T, App>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add("get", path, routing::get(handler))
    }

    /// Adds `POST path`.
    pub(super) fn post<H: Handler<T, App>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add("post", path, routing::post(handler))
    }

    fn add(mut self, method: &'static str, path: &str, handler: MethodRouter<App>) -> Self {
        self.router = self.router.route(path, handler);
        self.listed.push((method, path.to_owned()));
        self
    }

    /// Both tables in one.
    pub(super) fn merge(mut self, other: Routes) -> Self {
        self.router = self.router.merge(other.router);
        self.listed.extend(other.listed);
        self
    }

    /// Answers as these routes say.
    pub(super) fn into_router(self) -> Router<App> {
        self.router
    }

    #[cfg(test)]
    pub(super) fn listed(&self) -> &[(&'static str, String)] {
        &self.listed
    }
}
