//! The list of models, and what is known about each.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::refusal::Refusal;
use super::{below, failed};
use crate::json;
use crate::model::http;
use crate::model::secret::cleaned;
use crate::model::{Error, Model, Secret, limits};

/// Ollama's default for a model that is not loaded, in tokens.
const OLLAMA_CONTEXT: u32 = 4_096;

/// The models below a base URL, in the order of the endpoint.
///
/// # Errors
/// Those of the request; with a status if the response is not a list.
pub(in crate::model) async fn list(
    base: &Url,
    key: Option<&Secret>,
    until: Instant,
) -> Result<Vec<Model>, Error> {
    let url = below(base, "models");
    let reply = http::send(&url, key, None, until).await;
    let reply = reply.map_err(|failure| failed(&failure, base))?;
    if reply.status != StatusCode::OK {
        return Err(Refusal::read(reply, key).await.error(&url, key, true));
    }
    let kind = reply.kind.clone();
    let no_list = |what: &str| Error {
        status: Some(200),
        ..Error::model(format!(
            "The endpoint {} answered with {what} instead of a list of models; check the URL.",
            crate::model::url::shown(&url)
        ))
    };
    let body = reply.whole_body(limits::LIST_BODY, until).await;
    let body = body.map_err(|failure| failed(&failure, base))?;
    let Ok(list) = json::from_slice::<Value>(&body) else {
        let html = kind == "text/html" || body.trim_ascii_start().starts_with(b"<");
        return Err(no_list(if html { "a web page" } else { "something else" }));
    };
    let items = [&list["data"], &list["models"], &list]
        .into_iter()
        .find_map(Value::as_array);
    let items = items.ok_or_else(|| no_list("other JSON"))?;
    let mut models: Vec<Model> = items.iter().filter_map(|item| model(item, key)).collect();
    let mut seen = std::collections::HashSet::new();
    models.retain(|model| seen.insert(model.id.clone()));
    Ok(models)
}

fn model(item: &Value, key: Option<&Secret>) -> Option<Model> {
    let id = ["id", "name", "model"]
        .iter()
        .find_map(|name| item.get(name)?.as_str());
    let id = cleaned(id.or(item.as_str())?, key);
    let status = item.pointer("/status/value").and_then(Value::as_str);
    let meta = item.get("meta").filter(|meta| meta.is_object());
    (!id.is_empty()).then(|| Model {
        id,
        context: context(item),
        loaded: status
            .map(|status| status == "loaded")
            .or(meta.map(|_| true)),
    })
}

/// The context size, under the names that servers use.
fn context(item: &Value) -> Option<u32> {
    let places = [
        "/meta/n_ctx",
        "/max_model_len",
        "/loaded_context_length",
        "/context_length",
        "/max_context_length",
        "/context_window",
        "/capabilities/limits/max_prompt_tokens",
    ];
    let sizes = places
        .iter()
        .filter_map(|place| item.pointer(place)?.as_u64());
    let mut sizes = sizes.filter_map(|size| u32::try_from(size).ok());
    sizes.find(|size| *size > 0)
}

/// On this machine or in a private network, where Ollama may be.
fn is_near(base: &Url) -> bool {
    match base.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
        _ => false,
    }
}

/// If the server may be Ollama, asks it which models are loaded and with which context size. Best effort.
pub(super) async fn ask_ollama(base: &Url, models: &mut [Model]) {
    let reported = models.iter().any(|model| model.context.is_some());
    if reported || !is_near(base) {
        return;
    }
    let Some(loaded) = loaded_by_ollama(base).await else {
        return;
    };
    for model in models {
        let context = loaded.get(&model.id);
        model.loaded = Some(context.is_some());
        model.context = Some(context.copied().flatten().unwrap_or(OLLAMA_CONTEXT));
    }
}

async fn loaded_by_ollama(base: &Url) -> Option<BTreeMap<String, Option<u32>>> {
    let mut url = base.clone();
    let above = url
        .path()
        .trim_end_matches('/')
        .strip_suffix("/v1")?
        .to_owned();
    url.set_path(&format!("{above}/api/ps"));
    let until = Instant::now() + limits::LOADED;
    let reply = http::send(&url, None, None, until).await.ok()?;
    if reply.status != StatusCode::OK {
        return None;
    }
    let body = reply.whole_body(limits::REFUSAL_BODY, until).await.ok()?;
    let list = json::from_slice::<Value>(&body).ok()?;
    let items = list.get("models")?.as_array()?.iter();
    let named = items.filter_map(|item| {
        let name = ["name", "model"]
            .iter()
            .find_map(|name| item.get(name)?.as_str());
        Some((name?.to_owned(), context(item)))
    });
    Some(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_servers_say_about_a_model() {
        let table = [
            (json!({"id": "a"}), Some(("a", None, None))),
            (
                json!({"id": "a", "meta": {"n_ctx": 2048, "n_ctx_train": 8192}}),
                Some(("a", Some(2048), Some(true))),
            ),
            (
                json!({"id": "a", "meta": null, "max_model_len": 4096}),
                Some(("a", Some(4096), None)),
            ),
            (
                json!({"id": "a", "context_length": 128_000}),
                Some(("a", Some(128_000), None)),
            ),
            (
                json!({"id": "a", "max_context_length": 32_768}),
                Some(("a", Some(32_768), None)),
            ),
            (
                json!({"id": "a", "context_length": 0, "max_context_length": -1}),
                Some(("a", None, None)),
            ),
            (
                json!({"id": "a", "status": {"value": "unloaded"}}),
                Some(("a", None, Some(false))),
            ),
            (
                json!({"name": "a\nsk-canary-0123"}),
                Some(("a [key]", None, None)),
            ),
            (json!("a"), Some(("a", None, None))),
            (json!({"id": ""}), None),
            (json!({"id": 7}), None),
            (json!(null), None),
        ];
        let key = Secret::new("sk-canary-0123");
        for (item, expected) in table {
            let got = model(&item, key.as_ref());
            let got = got
                .as_ref()
                .map(|model| (&*model.id, model.context, model.loaded));
            assert_eq!(got, expected, "{item}");
        }
    }
}
