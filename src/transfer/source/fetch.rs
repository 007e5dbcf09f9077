//! GET requests to a source, each with a deadline and one retry.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use super::listed::{Listed, listed};
use crate::pieces::{self, Client, Kind as Fault};
use crate::service::Kind;
use crate::transfer::sink::id_of;

/// Pause before a refused request is retried.
const PAUSE: Duration = Duration::from_millis(250);

/// The outcome of one request for one object.
pub(super) enum Fetched {
    Object(Value),
    /// It does not exist (any more).
    Gone,
    Unreadable(String),
}

/// Reads one object. An error means that the service is gone or refuses everything.
pub(super) async fn fetch(client: &Client, kind: Kind, id: Uuid) -> Result<Fetched, pieces::Error> {
    let path = format!("/{}/{id}?transferables=true", kind.noun());
    Ok(match attempt(client, || client.get_value(&path)).await? {
        Ok(object) if id_of(&object) == Some(id) => Fetched::Object(object),
        Ok(_) => Fetched::Unreadable("the answer was another object".to_owned()),
        Err(error) if error.kind == Fault::NotFound => Fetched::Gone,
        Err(error) => Fetched::Unreadable(reason(&error)),
    })
}

/// Reads a list. The inner error is a refused list; the outer one ends the copy.
pub(super) async fn collection(
    client: &Client,
    path: &str,
) -> Result<Result<Listed, pieces::Error>, pieces::Error> {
    let body = match attempt(client, || client.get_bytes(path)).await? {
        Ok(body) => body,
        Err(error) => return Ok(Err(error)),
    };
    Ok(listed(&body).ok_or_else(|| {
        pieces::Error::protocol(format!(
            "The answer from {} is not what the Pieces API says (not a list); update Pieces OS.",
            client.base()
        ))
    }))
}

/// Sends a request, with one retry if it was refused. The outer error ends the copy.
async fn attempt<T, F: Future<Output = Result<T, pieces::Error>>>(
    client: &Client,
    ask: impl Fn() -> F,
) -> Result<Result<T, pieces::Error>, pieces::Error> {
    let mut last = false;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(Ok(answer)),
            Err(error) => error,
        };
        match error.kind {
            Fault::SignedOut | Fault::UpdateRequired => return Err(error),
            Fault::NotFound => return Ok(Err(error)),
            Fault::Offline | Fault::Timeout if !alive(client).await => return Err(error),
            Fault::Timeout => return Ok(Err(error)),
            Fault::Offline | Fault::Busy | Fault::Refused | Fault::Protocol if last => {
                return Ok(Err(error));
            }
            Fault::Offline | Fault::Busy | Fault::Refused | Fault::Protocol => {}
            // Nothing is asked while copying.
            Fault::NoModel | Fault::Model => return Err(error),
        }
        last = true;
        sleep(PAUSE).await;
    }
}

/// Whether the service still responds.
async fn alive(client: &Client) -> bool {
    match client.health().await {
        Ok(_) => true,
        Err(error) => !matches!(error.kind, Fault::Offline | Fault::Timeout),
    }
}

/// The service's error in a few words.
fn reason(error: &pieces::Error) -> String {
    match error.status {
        Some(status) => format!("Pieces OS answered HTTP {status}"),
        None => error.message.trim_end_matches('.').to_owned(),
    }
}
