//! The driver's interface to a service, and its implementation for Pieces OS and the local service.

use super::backend::{Backend, Resolved, Source};
use super::machine::Listing;
use crate::index::{self, Anchor, Conversation};
use crate::pieces::{Client, Error, Frame, IdentifierStream, Watched, wire};
use uuid::Uuid;

/// Finds a service.
pub(super) trait Finder: Send + Sync + 'static {
    /// Speaks to it.
    type Service: Service;

    /// The backend to be found, as far as that is decided.
    fn wanted(&self) -> Backend {
        Backend::Auto
    }

    /// Finds the service, anew for every connection.
    fn find(&self) -> impl Future<Output = Result<(Self::Service, Resolved), Error>> + Send;

    /// Whether Pieces OS responds by now, if `auto` chose the local service.
    fn pieces_os_appeared(&self) -> impl Future<Output = bool> + Send;

    /// Completes when the connection is not needed any more.
    fn closed(&self) -> impl Future<Output = ()> + Send;
}

/// A service that was found. Every call has its own deadline.
pub(super) trait Service: Clone + Send + Sync + 'static {
    /// An open stream.
    type Stream: Stream;

    /// Opens a stream.
    fn watch(
        &self,
        watched: Watched,
    ) -> impl Future<Output = Result<Self::Stream, Error>> + Send + 'static;

    /// All conversations.
    fn list(
        &self,
        transferables: bool,
    ) -> impl Future<Output = Result<Listing, Error>> + Send + 'static;

    /// One conversation, and the anchors included in it.
    fn conversation(
        &self,
        id: Uuid,
    ) -> impl Future<Output = Result<(Conversation, Vec<Anchor>), Error>> + Send + 'static;

    /// The ids of all conversations.
    fn identifiers(&self) -> impl Future<Output = Result<Vec<Uuid>, Error>> + Send + 'static;

    /// All anchors.
    fn anchors(&self) -> impl Future<Output = Result<Vec<Anchor>, Error>> + Send + 'static;

    /// The ids of all assets.
    fn assets(&self) -> impl Future<Output = Result<Vec<Uuid>, Error>> + Send + 'static;

    /// Its version.
    fn version(&self) -> impl Future<Output = Result<String, Error>> + Send + 'static;
}

/// A stream of changes.
pub(super) trait Stream: Send + 'static {
    /// The next frame; cancel safe. An ended stream stays ended.
    fn next(&mut self) -> impl Future<Output = Result<Frame, Error>> + Send;
}

impl Finder for Source {
    type Service = Client;

    fn wanted(&self) -> Backend {
        self.chosen()
    }

    async fn find(&self) -> Result<(Client, Resolved), Error> {
        let resolved = self.resolve().await?;
        // Background reads must not delay a user's requests.
        Ok((resolved.client.in_background(), resolved))
    }

    async fn pieces_os_appeared(&self) -> bool {
        self.alternative_answers().await
    }

    async fn closed(&self) {
        self.until_shutdown().await;
    }
}

impl Stream for IdentifierStream {
    async fn next(&mut self) -> Result<Frame, Error> {
        IdentifierStream::next(self).await
    }
}

impl Service for Client {
    type Stream = IdentifierStream;

    fn watch(
        &self,
        watched: Watched,
    ) -> impl Future<Output = Result<IdentifierStream, Error>> + Send + 'static {
        let client = self.clone();
        async move { client.watch_kind(watched).await }
    }

    fn list(
        &self,
        transferables: bool,
    ) -> impl Future<Output = Result<Listing, Error>> + Send + 'static {
        let client = self.clone();
        async move {
            let (listing, listed) = client.list(transferables, Listing::default(), add).await?;
            if listed.rejected > 0 {
                let rejected = listed.rejected;
                tracing::warn!(rejected, "conversations that could not be read");
            }
            Ok(listing)
        }
    }

    fn conversation(
        &self,
        id: Uuid,
    ) -> impl Future<Output = Result<(Conversation, Vec<Anchor>), Error>> + Send + 'static {
        let client = self.clone();
        async move {
            let one = client.conversation(id).await?;
            Ok((from_wire(&one), inline_anchors(&one)))
        }
    }

    fn identifiers(&self) -> impl Future<Output = Result<Vec<Uuid>, Error>> + Send + 'static {
        let client = self.clone();
        async move { client.identifier_ids().await }
    }

    fn anchors(&self) -> impl Future<Output = Result<Vec<Anchor>, Error>> + Send + 'static {
        let client = self.clone();
        async move {
            let anchors = client.anchors().await?;
            Ok(anchors.into_iter().map(from_wire_anchor).collect())
        }
    }

    fn assets(&self) -> impl Future<Output = Result<Vec<Uuid>, Error>> + Send + 'static {
        let client = self.clone();
        async move { client.asset_identifiers().await }
    }

    fn version(&self) -> impl Future<Output = Result<String, Error>> + Send + 'static {
        let client = self.clone();
        async move { Client::version(&client).await }
    }
}

fn add(listing: &mut Listing, one: wire::Conversation<'_>) {
    listing.anchors.extend(inline_anchors(&one));
    listing.conversations.push(borrowed(&one));
}

/// The index's view of a conversation on the wire.
pub fn from_wire(one: &wire::Conversation<'_>) -> index::Conversation {
    borrowed(one).to_owned()
}

/// The same without a copy: a long list would need many.
fn borrowed<'a>(one: &'a wire::Conversation<'_>) -> index::ConversationRef<'a> {
    let created = one.created.or(one.updated).unwrap_or(0);
    index::ConversationRef {
        id: one.id,
        name: one.name.as_deref().unwrap_or_default(),
        created,
        updated: one.updated.unwrap_or(created),
        favorited: one.favorited,
        messages: one.messages,
        assets: &one.assets,
        anchors: &one.anchors,
        application: one.application.as_deref().unwrap_or_default(),
        answering: one.answering.map(answering),
    }
}

fn answering(one: wire::Answering) -> index::Answering {
    index::Answering {
        message: one.message,
        status: match one.status {
            wire::AnswerStatus::Waiting => index::AnswerStatus::Waiting,
            wire::AnswerStatus::Thinking => index::AnswerStatus::Thinking,
            wire::AnswerStatus::Writing => index::AnswerStatus::Writing,
        },
    }
}

/// The anchors with their paths inside a conversation.
fn inline_anchors(one: &wire::Conversation<'_>) -> Vec<Anchor> {
    let mut anchors: Vec<Anchor> = Vec::new();
    for (id, path) in &one.anchor_paths {
        let path = path.clone().into_owned();
        match anchors.iter_mut().find(|anchor| anchor.id == *id) {
            Some(anchor) => anchor.paths.push(path),
            None => anchors.push(Anchor {
                id: *id,
                paths: vec![path],
                assets: vec![],
                conversations: vec![],
                updated: 0,
            }),
        }
    }
    anchors
}

fn from_wire_anchor(one: wire::Anchor) -> Anchor {
    Anchor {
        id: one.id,
        paths: one.paths,
        assets: one.assets,
        conversations: one.conversations,
        updated: one.updated.unwrap_or(0),
    }
}
