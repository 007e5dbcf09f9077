//! WS `/qgpt/stream`: answers questions as the test says.

use super::routes::add_message;
use super::{Shared, State};
use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value, json};
use std::sync::Arc;

/// How the next questions are answered. The question is stored in any case but [`Answer::Refuse`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// These pieces, then the end; the answer is stored.
    Words(Vec<&'static str>),
    /// These pieces, and then nothing until it is stopped; what was written is stored then.
    Hang(Vec<&'static str>),
    /// These pieces, then the socket is closed.
    Close(Vec<&'static str>),
    /// These pieces, then FAILED with this code and message.
    Fail(Vec<&'static str>, u16, &'static str),
    /// FAILED with this code and message; nothing is stored.
    Refuse(u16, &'static str),
    /// These frames as they are; `conversation` and `request` are added where they are missing.
    Frames(Vec<Value>),
}

impl Default for Answer {
    fn default() -> Self {
        Answer::Words(vec!["Because ", "it does."])
    }
}

pub(super) async fn answer(shared: Arc<Shared>, mut socket: WebSocket) {
    struct Open(Arc<Shared>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.with(|state| state.ask_sockets -= 1);
        }
    }
    shared.with(|state| state.ask_sockets += 1);
    let _open = Open(Arc::clone(&shared));
    while let Some(input) = next(&shared, &mut socket).await {
        if input["stop"] == true {
            let stopped = json!({"status": "STOPPED", "statusCode": 200, "conversation": input["conversation"]});
            send(&mut socket, stopped).await;
            continue;
        }
        if run(&shared, &mut socket, &input).await.is_none() {
            return;
        }
    }
}

/// `None` if the socket has to be closed.
async fn run(shared: &Arc<Shared>, socket: &mut WebSocket, input: &Value) -> Option<()> {
    let conversation = input["conversation"].as_str().unwrap_or_default();
    let answer = shared.with(|state| state.answer.clone());
    let frame = |mut fields: Value| {
        for name in ["conversation", "request"] {
            if fields.get(name).is_none() {
                fields[name] = input[name].clone();
            }
        }
        fields
    };
    let store = |role: &str, text: &str| {
        shared.with(|state| {
            let message = state.new_message(conversation, role, text);
            add_message(shared, state, message);
        });
    };
    if !matches!(answer, Answer::Refuse(..)) {
        let query = input["relevance"]["query"].as_str().unwrap_or_default();
        store("USER", query);
    }
    let end = |status: &str| frame(json!({"status": status, "statusCode": 200}));
    let failed = |code: u16, message: &str| {
        frame(json!({"status": "FAILED", "statusCode": code, "errorMessage": message}))
    };
    let words = match &answer {
        Answer::Words(words) | Answer::Hang(words) | Answer::Close(words) => &words[..],
        Answer::Fail(words, ..) => &words[..],
        Answer::Refuse(..) | Answer::Frames(_) => &[],
    };
    for word in words {
        let answers = json!({"iterable": [{"score": 1, "text": word}]});
        let piece =
            json!({"status": "IN-PROGRESS", "statusCode": 200, "question": {"answers": answers}});
        send(socket, frame(piece)).await;
    }
    let text = words.concat();
    match answer {
        Answer::Words(_) => {
            store("ASSISTANT", &text);
            send(socket, end("COMPLETED")).await;
        }
        Answer::Hang(_) => loop {
            let said = next(shared, socket).await?;
            if said["stop"] == true {
                store("ASSISTANT", &text);
                send(socket, end("STOPPED")).await;
                break;
            }
        },
        Answer::Close(_) => return None,
        Answer::Fail(_, code, message) | Answer::Refuse(code, message) => {
            send(socket, failed(code, message)).await;
        }
        Answer::Frames(frames) => {
            for one in frames {
                send(socket, frame(one)).await;
            }
        }
    }
    Some(())
}

/// The next frame of the client, which is remembered.
async fn next(shared: &Shared, socket: &mut WebSocket) -> Option<Value> {
    loop {
        match socket.recv().await?.ok()? {
            Message::Text(text) => {
                let input: Value = serde_json::from_str(text.as_str()).unwrap();
                shared.with(|state: &mut State| state.asked.push(input.clone()));
                return Some(input);
            }
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

async fn send(socket: &mut WebSocket, frame: Value) {
    // A client that has gone is noticed by the next read.
    let _ = socket.send(Message::text(frame.to_string())).await;
}
