//! Questions that are answered as a whole and not stored: the REST routes of asking, and summaries.

use super::{
    Answers,
    context::{self, Material, Said},
    decide::Peer,
    files::Read,
    question::Question,
};
use crate::model::{self, Error, Piece, Request, Stop, Usage, prompt::Prompt};
use crate::service::Failure;

/// A complete answer.
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) model: String,
    pub(super) choice: model::Choice,
    pub(super) prompt: Prompt,
    pub(super) usage: Option<Usage>,
    /// Whether it ended at the model's length limit.
    pub(super) is_cut: bool,
}

/// Why there is no answer.
pub(crate) enum Refused {
    /// The store failed, or does not have the conversation.
    Store(Failure),
    Model(Error),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Model(error)
    }
}

impl Answers {
    /// Asks, and waits for the complete answer; one that breaks off is an error. Dropping the future stops the model.
    ///
    /// `conversation`: its messages and assets are sent too.
    pub(crate) async fn answer_once(
        &self,
        mut question: Question,
        conversation: Option<String>,
        peer: Peer,
    ) -> Result<Whole, Refused> {
        let read = self.read_files("", &mut question, peer).await;
        let material = self.material(&mut question, conversation, read).await?;
        Ok(self.ask_whole(&question, &material, peer).await?)
    }

    async fn material(
        &self,
        question: &mut Question,
        conversation: Option<String>,
        read: Read,
    ) -> Result<Material, Failure> {
        let said = Said::of(question);
        let gathering = self
            .store
            .read(move |db| context::gather(db, said, conversation.as_deref(), None));
        let mut material = gathering.await?;
        material.add_files(read);
        Ok(material)
    }

    pub(super) async fn ask_whole(
        &self,
        question: &Question,
        material: &Material,
        peer: Peer,
    ) -> Result<Whole, Error> {
        let ready = self.prepare(question, peer).await?;
        let prompt = context::build(material, &ready.choice, ready.context);
        self.may_list(&ready.choice);
        let request = Request {
            model: ready.model.clone(),
            messages: prompt.messages.clone(),
            last: false,
        };
        let mut answer = ready.endpoint.ask(request).await?;
        let mut text = String::new();
        loop {
            match answer.next().await? {
                Piece::Thinking => {}
                Piece::Text(more) => text.push_str(&more),
                Piece::End(end) if end.stop == Stop::Incomplete => {
                    let note = end
                        .note
                        .unwrap_or_else(|| "The answer broke off.".to_owned());
                    return Err(Error::model(note));
                }
                Piece::End(end) => {
                    return Ok(Whole {
                        text,
                        model: end.model.unwrap_or(ready.model),
                        choice: ready.choice,
                        prompt,
                        usage: end.usage,
                        is_cut: end.stop == Stop::Length,
                    });
                }
            }
        }
    }
}
