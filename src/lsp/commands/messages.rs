//! `pieces.conversations.messages {conversation, after?}`.

use super::arguments::{id, optional_id};
use crate::ask::{self, Kept};
use crate::lsp::features::content;
use crate::lsp::rpc::error::{failed, invalid};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::text::item::rfc3339;
use crate::markdown::code_blocks;
use crate::pieces::{Kind, Message, OWN, Transcript};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use uuid::Uuid;

/// The messages of a conversation as stored; with `after`, only those that follow it.
pub(super) async fn messages(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let conversation = id(argument, "conversation")?;
    let after = optional_id(argument, "after")?;
    let reader = server.session.reader();
    let revision = reader.snapshot().revision();
    let transcript = server.transcripts.read(&server.session, conversation).await;
    let transcript =
        transcript.map_err(|error| match error.kind {
            Kind::NotFound if reader.contains(conversation) => failed(error.with_message(
                "This service does not provide messages; read them in Pieces itself.",
            )),
            _ => failed(error),
        })?;
    let first = match after {
        None => 0,
        Some(after) => {
            let mut messages = transcript.messages.iter();
            let at = messages.position(|message| message.id == after);
            1 + at.ok_or_else(|| {
                invalid("`after` must be the id of a message in this conversation.")
            })?
        }
    };
    let lines = match reader.get(conversation) {
        Some(one) => content::lines(server, &one, &transcript).await,
        None => Vec::new(),
    };
    let kept = kept(server, conversation).await;
    let messages = transcript.messages.iter().skip(first);
    let bytes = messages.filter_map(|one| Some(one.text.as_ref()?.len()));
    let bytes = bytes.sum();
    let items = reading(bytes, move || items(&transcript, first, &lines, &kept)).await;
    Ok(json!({ "conversation": conversation, "revision": revision, "items": items }))
}

/// Our own records about a conversation of Pieces OS.
async fn kept(server: &Server, conversation: Uuid) -> Vec<Kept> {
    match server.session.data_dir() {
        Some(dir) if server.session.pieces_os().is_some() => ask::kept(&dir, conversation).await,
        _ => Vec::new(),
    }
}

fn items(transcript: &Transcript, first: usize, lines: &[usize], kept: &[Kept]) -> Vec<Value> {
    let messages = transcript.messages.iter().enumerate().skip(first);
    let line = |at: usize| lines.get(at).copied();
    let ours: HashMap<Uuid, &Value> = kept.iter().map(|one| (one.id, &one.own)).collect();
    let mut items: Vec<Value> = messages
        .map(|(at, message)| {
            let own = ours.get(&message.id).copied();
            let own = own.unwrap_or(&message.raw[OWN]);
            item(message, own, line(at))
        })
        .collect();
    // Prompts that Pieces OS did not accept.
    items.extend(kept.iter().filter_map(|one| {
        let prompt = one.prompt.as_deref()?;
        Some(json!({
            "id": one.id,
            "role": "USER",
            "time": rfc3339(one.time),
            "text": prompt,
            "line": null,
            "state": "unanswered",
            "blocks": blocks(prompt),
        }))
    }));
    items
}

fn item(message: &Message, own: &Value, line: Option<usize>) -> Value {
    let text = message.text.as_deref();
    let mut item = json!({
        "id": message.id,
        "role": message.role.as_str(),
        "time": message.created.map(rfc3339),
        "text": text,
        "line": line,
        "blocks": blocks(text.unwrap_or_default()),
    });
    for field in ["state", "model", "stop", "usage", "context"] {
        if !own[field].is_null() {
            item[field] = own[field].clone();
        }
    }
    item
}

fn blocks(text: &str) -> Vec<Value> {
    let blocks = code_blocks(text).into_iter().enumerate();
    let block = |(index, block): (usize, crate::markdown::CodeBlock)| json!({ "index": index, "language": block.language, "text": block.text });
    blocks.map(block).collect()
}
