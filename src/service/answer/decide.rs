//! Decides which endpoint answers a question.

use std::path::Path;

use super::{Answers, models, question::Question};
use crate::model::{self, Choice, Endpoint, Error};
use crate::pieces::PlainHttp;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A window of this user, over the Unix socket that no other user can open.
    Own,
    /// A program that has shown the token.
    Token,
    /// Any program of this machine: the service runs without a token.
    Open,
}

impl Peer {
    /// Whether files may be read for it.
    pub(crate) fn is_trusted(self) -> bool {
        self != Self::Open
    }
}

/// What the user allowed on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asking {
    /// Without a token: also ask an endpoint on another machine.
    pub remote: bool,
    /// Where an endpoint without https may be.
    pub plain_http: PlainHttp,
}

/// A model that is ready to be asked.
pub(super) struct Ready {
    pub(super) endpoint: Box<dyn Endpoint>,
    pub(super) choice: Choice,
    pub(super) model: String,
    /// Its context size in tokens.
    pub(super) context: u32,
}

impl Answers {
    /// The chosen endpoint of this process; `None` if the user chose none.
    pub(super) async fn chosen(&self) -> Result<Option<Choice>, Error> {
        let dir: &Path = self.store.dir();
        model::choose(dir, self.asking.plain_http).await
    }

    /// The endpoint for a question: that of the asking side, if it is one of our windows and decided.
    async fn decide(&self, question: &Question, peer: Peer) -> Result<Choice, Error> {
        let given = question.own.as_ref().and_then(|own| own.endpoint.clone());
        let choice = match given {
            Some(given) if peer == Peer::Own => given,
            _ => self.chosen().await?,
        };
        let choice = choice.ok_or_else(Error::none_chosen)?;
        self.check(&choice, peer)?;
        Ok(choice)
    }

    /// Refuses a remote endpoint for a service without a token, where any program could ask at the user's expense.
    pub(super) fn check(&self, choice: &Choice, peer: Peer) -> Result<(), Error> {
        if choice.url.is_loopback() || peer.is_trusted() || self.asking.remote {
            return Ok(());
        }
        Err(Error::no_model(format!(
            "This service runs without a token and does not ask {}; start it with --ask-remote to allow that.",
            choice.url
        )))
    }

    /// Picks the model for a question.
    pub(super) async fn prepare(&self, question: &Question, peer: Peer) -> Result<Ready, Error> {
        let choice = self.decide(question, peer).await?;
        let endpoint = self.connect(&choice)?;
        let named = question.own.as_ref().and_then(|own| own.model.as_deref());
        let ready = match (named, &question.model) {
            (None, Some(id)) => {
                let listed = endpoint.models().await.unwrap_or_default();
                let wanted = models::name_of(&choice, &listed, id);
                model::prepare(endpoint.as_ref(), &choice, wanted.as_deref()).await?
            }
            (named, _) => model::prepare(endpoint.as_ref(), &choice, named).await?,
        };
        Ok(Ready {
            endpoint,
            choice,
            model: ready.model,
            context: ready.context,
        })
    }

    /// The endpoint, the model and its context size for a question, as far as they are known without contacting a
    /// machine that was not contacted before.
    pub(super) async fn plan(
        &self,
        question: &Question,
        peer: Peer,
    ) -> Result<(Choice, Option<String>, u32), Error> {
        let choice = self.decide(question, peer).await?;
        if self.may_contact(&choice) {
            let ready = self.prepare(question, peer).await?;
            return Ok((ready.choice, Some(ready.model), ready.context));
        }
        let named = question.own.as_ref().and_then(|own| own.model.clone());
        let model = named.or_else(|| choice.model.clone());
        let context = model::context_size(&choice, model.as_deref().unwrap_or_default(), &[]);
        Ok((choice, model, context))
    }

    /// The client of an endpoint.
    pub(super) fn connect(&self, choice: &Choice) -> Result<Box<dyn Endpoint>, Error> {
        (self.connector)(choice)
    }
}
