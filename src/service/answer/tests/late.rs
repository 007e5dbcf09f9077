//! An end that the store has refused.

use std::sync::Arc;

use serde_json::json;

use super::stage::Stage;
use crate::service::answer::record::{self, Begin, Finish, Ids};

#[tokio::test]
async fn an_end_that_was_refused_is_stored_later_and_once() {
    let stage = Stage::new();
    let conversation = stage.conversation().await;
    let begin = Begin {
        conversation: conversation.clone(),
        prompt: "Why?".to_owned(),
        ..Begin::default()
    };
    let begun = stage
        .store
        .write(move |change| record::begin(change, begin));
    let ids = Ids {
        conversation: conversation.clone(),
        question: begun.await.unwrap().question,
        answer: uuid::Uuid::new_v4().to_string(),
    };
    let written = ids.clone();
    let flush = stage
        .store
        .write(move |change| record::flush(change, &written, Some("Zebras"), false));
    flush.await.unwrap();
    tokio::time::pause();
    let end = |text: &str| Finish {
        text: text.to_owned(),
        ..Finish::default()
    };
    record::finish_later(
        Arc::downgrade(&stage.store),
        ids.clone(),
        end("Zebras run."),
    )
    .await;
    // The message has an end by now.
    record::finish_later(Arc::downgrade(&stage.store), ids, end("Something else.")).await;
    tokio::time::resume();
    let messages = stage.messages(&conversation).await;
    let answer = ("ASSISTANT".to_owned(), "Zebras run.".to_owned(), json!({}));
    assert_eq!(messages[1..], [answer]);
}
