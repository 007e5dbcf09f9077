//! How requests are sent: lanes and permits, deadlines, limits, and what counts as a response.

use std::time::Duration;

use reqwest::Response;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::Client;
use crate::pieces::error::Error;
use crate::pieces::limits;
use crate::pieces::outcome::Call;

/// Which lane a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Interactive,
    Background,
}

/// Size and time limits of a response.
#[derive(Clone, Copy)]
pub(in crate::pieces) struct Allowance {
    /// Deadline for the status and headers.
    pub(super) start: Duration,
    /// Longest pause between two chunks of the body.
    pub(super) idle: Duration,
    /// Deadline for the whole response.
    pub(super) total: Duration,
    /// Largest body in bytes.
    pub(super) body: usize,
}

pub(in crate::pieces) const SMALL: Allowance = Allowance {
    start: limits::SMALL_GET,
    idle: limits::SMALL_GET,
    total: limits::SMALL_GET,
    body: limits::SMALL_BODY,
};
const TINY: Allowance = Allowance {
    body: limits::TINY_BODY,
    ..SMALL
};
pub(in crate::pieces) const COLLECTION: Allowance = Allowance {
    start: limits::COLLECTION_START,
    idle: limits::COLLECTION_IDLE,
    total: limits::COLLECTION_TOTAL,
    body: limits::COLLECTION_BODY,
};

impl Client {
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.base)
    }

    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>, Error> {
        let permits = match self.1 {
            Lane::Interactive => &self.0.gets,
            Lane::Background => &self.0.background_gets,
        };
        self.turn(permits).await
    }

    /// A permit to send a POST. Held until the response has been read.
    pub(super) async fn post_permit(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.turn(&self.0.posts).await
    }

    async fn turn<'a>(&self, permits: &'a Semaphore) -> Result<SemaphorePermit<'a>, Error> {
        match timeout(limits::QUEUE, permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.call().queue_timeout()),
        }
    }

    pub(super) async fn text(&self, path: &str) -> Result<String, Error> {
        let body = self.get(path, TINY).await?;
        String::from_utf8(body)
            .map(|text| text.trim().to_owned())
            .map_err(|_| self.call().protocol("not text"))
    }

    /// The body of a successful GET.
    pub(in crate::pieces) async fn get(
        &self,
        path: &str,
        allowance: Allowance,
    ) -> Result<Vec<u8>, Error> {
        let _permit = self.permit().await?;
        let reading = async {
            let response = self.send_get(path, allowance.start).await?;
            self.body(self.call(), response, allowance).await
        };
        let deadline = allowance.total;
        timeout(deadline, reading)
            .await
            .unwrap_or_else(|_| Err(self.call().timeout(deadline)))
    }

    /// Sends a GET and reads its headers; repeated once if the connection was lost by then.
    pub(super) async fn send_get(&self, path: &str, deadline: Duration) -> Result<Response, Error> {
        let sending = async {
            match self.0.pooled.get(self.url(path)).send().await {
                // The second attempt uses a new connection: all kept ones may be as dead as the first.
                Err(error) if !error.is_connect() && !error.is_builder() => {
                    self.0.fresh.get(self.url(path)).send().await
                }
                outcome => outcome,
            }
        };
        let response = match timeout(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.call().transport(&error)),
            Err(_) => return Err(self.call().timeout(deadline)),
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.call().refusal(response).await)
        }
    }

    /// The body of a successful POST.
    pub(in crate::pieces) async fn post(
        &self,
        path: &str,
        json: Option<&serde_json::Value>,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        self.post_as(self.posted(), path, json, deadline).await
    }

    /// The same of a POST that changes nothing, such as a search: no outcome of it is unknown.
    pub(in crate::pieces) async fn ask_for(
        &self,
        path: &str,
        json: &serde_json::Value,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        self.post_as(self.call(), path, Some(json), deadline).await
    }

    async fn post_as(
        &self,
        call: Call<'_>,
        path: &str,
        json: Option<&serde_json::Value>,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        self.post_within(call, deadline, self.send_post(call, path, json))
            .await
    }

    /// Waits for a permit, then sends by `response`, which with the body of its response may take as long as `deadline`.
    pub(super) async fn post_within(
        &self,
        call: Call<'_>,
        deadline: Duration,
        response: impl Future<Output = Result<Response, Error>>,
    ) -> Result<Vec<u8>, Error> {
        let allowance = Allowance {
            start: deadline,
            idle: deadline,
            total: deadline,
            body: limits::SMALL_BODY,
        };
        let _permit = self.post_permit().await?;
        let sending = async { self.body(call, response.await?, allowance).await };
        timeout(deadline, sending)
            .await
            .unwrap_or_else(|_| Err(call.timeout(deadline)))
    }

    /// Sends a POST and reads its headers. Never repeated.
    pub(super) async fn send_post(
        &self,
        call: Call<'_>,
        path: &str,
        json: Option<&serde_json::Value>,
    ) -> Result<Response, Error> {
        let mut request = self.0.fresh.post(self.url(path));
        if let Some(json) = json {
            request = request.json(json);
        }
        let response = request
            .send()
            .await
            .map_err(|error| call.transport(&error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(call.refusal(response).await)
        }
    }

    pub(super) async fn body(
        &self,
        call: Call<'_>,
        mut response: Response,
        allowance: Allowance,
    ) -> Result<Vec<u8>, Error> {
        let limit = allowance.body;
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(call.too_large(limit as u64));
        }
        let mut body = Vec::new();
        loop {
            match timeout(allowance.idle, response.chunk()).await {
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= limit => {
                    body.extend_from_slice(&chunk)
                }
                Ok(Ok(Some(_))) => return Err(call.too_large(limit as u64)),
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(call.transport(&error)),
                Err(_) => return Err(call.timeout(allowance.idle)),
            }
        }
    }

    pub(super) async fn chunk(
        &self,
        response: &mut Response,
        idle: Duration,
    ) -> Result<Option<bytes::Bytes>, Error> {
        match timeout(idle, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.call().transport(&error)),
            Err(_) => Err(self.call().timeout(idle)),
        }
    }

    pub(in crate::pieces) fn decode<T>(
        &self,
        call: Call<'_>,
        read: Result<T, serde_json::Error>,
    ) -> Result<T, Error> {
        read.map_err(|_| call.protocol("not JSON"))
    }

    pub(super) fn object<T>(
        &self,
        call: Call<'_>,
        read: Result<Option<T>, serde_json::Error>,
    ) -> Result<T, Error> {
        self.decode(call, read)?
            .ok_or_else(|| call.protocol("an object without an id"))
    }

    pub(super) fn listed<T>(&self, read: Result<Option<T>, serde_json::Error>) -> Result<T, Error> {
        self.decode(self.call(), read)?
            .ok_or_else(|| self.call().protocol("not a list"))
    }
}
