//! The order of what a program that asks learns of its question.

use super::asker::Stage;
use super::support::endpoint::Endpoint;
use futures_util::future::BoxFuture;
use pieces_lsp::ask::{self, Asker, Consent, Outcome, Request, Stop, Surroundings};
use pieces_lsp::model::Found;
use pieces_lsp::pieces::Client;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

/// What it gets to know, and how many questions the model had got a moment later.
struct Late {
    endpoint: Endpoint,
    sent: Mutex<Vec<(Uuid, usize)>>,
}

impl Surroundings for Late {
    fn open_text(&self, _: &Url) -> Option<String> {
        None
    }

    fn choose<'a>(&'a self, _: &'a [Found]) -> BoxFuture<'a, Consent> {
        Box::pin(async { Consent::Nobody })
    }

    fn sends(&self, conversation: Uuid) {
        // Nobody holds questions here: this is the time for one to arrive that has left.
        let _ = self.endpoint.question_within(Duration::from_millis(200));
        let mut sent = self.sent.lock().unwrap();
        sent.push((conversation, self.endpoint.asked()));
    }

    fn reconnect(&self) -> BoxFuture<'_, Option<Client>> {
        Box::pin(async { None })
    }
}

/// Otherwise the news of the answer, which every client gets, may come before the program knows that it is its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_that_asks_knows_the_conversation_before_the_question_leaves() {
    let stage = Stage::new().await;
    stage.endpoint.answer_with(&["Because."]);
    let surroundings = Arc::new(Late {
        endpoint: stage.endpoint,
        sent: Mutex::default(),
    });
    let asker = Asker {
        client: stage.attached.client().unwrap(),
        data_dir: Some(stage.dir.path().to_owned()),
        allow_remote: false,
        surroundings: surroundings.clone(),
    };
    let request = Request {
        prompt: Some("Why?".to_owned()),
        ..Request::default()
    };
    let (events, _heard) = mpsc::unbounded_channel();
    let asked = ask::ask(asker, request, events, Stop::default()).await;
    let Outcome::Answer(answer) = asked.unwrap() else {
        panic!("not a dry run");
    };
    let sent = surroundings.sent.lock().unwrap();
    assert_eq!(*sent, [(answer.conversation.unwrap(), 0)]);
}
