//! Calls with unparsed responses, for copying whole accounts.

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use super::Client;
use super::sending::{Allowance, COLLECTION};
use crate::json;
use crate::pieces::error::Error;
use crate::pieces::limits;

/// One object with all its content.
const WHOLE: Allowance = Allowance {
    start: limits::WHOLE_OBJECT,
    idle: limits::WHOLE_OBJECT,
    total: limits::WHOLE_OBJECT,
    body: limits::WHOLE_BODY,
};

impl Client {
    /// GET of one object, unparsed.
    pub(crate) async fn get_value(&self, path: &str) -> Result<Value, Error> {
        let body = self.get(path, WHOLE).await?;
        self.decode(self.call(), json::from_slice(&body))
    }

    /// GET of a collection: the unparsed body.
    pub(crate) async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.get(path, COLLECTION).await
    }

    /// POST of a JSON text, once, with the deadline of imports. A response without a body is null.
    pub(crate) async fn post_bytes(&self, path: &str, json: Vec<u8>) -> Result<Value, Error> {
        let call = self.posted();
        let request = self.0.fresh.post(self.url(path));
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = async {
            let response = request.body(json).send().await;
            let response = response.map_err(|error| call.transport(&error))?;
            match response.status().is_success() {
                true => Ok(response),
                false => Err(call.refusal(response).await),
            }
        };
        let body = self.post_within(call, limits::IMPORT, response).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        self.decode(call, json::from_slice(&body))
    }

    /// GET of a body of any length, streamed.
    pub(crate) async fn get_chunks(&self, path: &str) -> Result<Chunks, Error> {
        let response = self.send_get(path, limits::COLLECTION_START).await?;
        Ok(Chunks {
            client: self.clone(),
            response,
        })
    }
}

/// A body that is being received.
pub(crate) struct Chunks {
    client: Client,
    response: Response,
}

impl Chunks {
    /// The next chunk; `None` at the end of a complete body.
    pub(crate) async fn next(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        self.client
            .chunk(&mut self.response, limits::COLLECTION_IDLE)
            .await
    }
}
