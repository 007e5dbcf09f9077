//! Asking a model: every habit of servers that speak the OpenAI chat API, from a scripted one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod canaries;
mod commands;
mod deadlines;
mod framing;
mod models;
mod refusals;
mod requests;
mod script;
mod session;
#[cfg(feature = "tls")]
mod tls;

use pieces_lsp::model::{Answer, Choice, End, Error, Message, Piece, Request, Role, endpoint};
use script::{Script, ScriptedEndpoint};
use serde_json::json;

/// The key of every question in these tests.
const KEY: &str = "sk-canary-93f1c2d4e5b6a798";

fn choice(url: &str) -> Choice {
    let choice = json!({"url": url, "source": "file", "key": KEY});
    serde_json::from_value(choice).unwrap()
}

fn question(messages: &[(Role, &str)]) -> Request {
    let message = |(role, text): &(Role, &str)| Message {
        role: *role,
        text: (*text).to_owned(),
    };
    Request {
        model: "test-model".to_owned(),
        messages: messages.iter().map(message).collect(),
        last: false,
    }
}

/// Asks; the answer as it comes.
async fn ask(server: &ScriptedEndpoint) -> Answer {
    let endpoint = endpoint(Some(&choice(&server.url()))).unwrap();
    let request = question(&[(Role::System, "Be brief."), (Role::User, "Why?")]);
    endpoint.ask(request).await.unwrap()
}

/// All of an answer.
#[derive(Debug)]
struct Whole {
    text: String,
    /// Whether there was a thought.
    thinking: bool,
    end: Result<End, Error>,
}

async fn whole(mut answer: Answer) -> Whole {
    let (mut text, mut thinking) = (String::new(), false);
    loop {
        match answer.next().await {
            Ok(Piece::Text(part)) => {
                assert!(!part.is_empty());
                text.push_str(&part);
            }
            Ok(Piece::Thinking) => thinking = true,
            Ok(Piece::End(end)) => {
                let end = Ok(end);
                return Whole {
                    text,
                    thinking,
                    end,
                };
            }
            Err(error) => {
                let end = Err(error);
                return Whole {
                    text,
                    thinking,
                    end,
                };
            }
        }
    }
}

/// The answer to a question that this script answers.
async fn answered(script: Script) -> Whole {
    let server = ScriptedEndpoint::start();
    server.answer(script);
    whole(ask(&server).await).await
}
