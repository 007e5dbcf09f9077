//! A server that speaks the OpenAI chat API.

use futures_util::future::BoxFuture;

use super::{Answer, Choice, Endpoint, Error, Model, Request};

/// An endpoint that speaks the OpenAI chat API.
pub(super) struct OpenAi {}

impl OpenAi {
    pub(super) fn new(choice: &Choice) -> Result<OpenAi, Error> {
        let _ = choice;
        Ok(OpenAi {})
    }
}

impl Endpoint for OpenAi {
    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(async { Err(Error::none_chosen()) })
    }

    fn ask(&self, _: Request) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(async { Err(Error::none_chosen()) })
    }
}
