//! The steps of the demo that ask a model.

use super::Outcome;
use super::answer::Model;
use super::editor::Editor;
use super::print::Printer;
use serde_json::{Value, json};
use tokio::time::Instant;

const ASK: &str = "pieces.conversations.ask";

/// Asks, and checks that the answer is streamed, the document grows and the answer is stored.
pub(super) async fn ask_it(
    printer: &mut Printer,
    editor: &mut Editor,
    model: &Model,
    conversation: &str,
) -> Outcome<()> {
    printer.step("Ask a question, and read the answer as it comes");
    let who = match model.scripted {
        true => "a scripted endpoint of the demo, whose answer is always the same",
        false => "the chosen model on this machine",
    };
    printer.note(&format!("answered by {who}, at {}", model.url));
    let argument = json!({"prompt": "How should the pause grow?", "conversation": conversation});
    printer.sent(ASK, &argument);
    let started = Instant::now();
    let request = editor.start_command(ASK, &argument);
    let heard = editor.wait("pieces/didAnswer", delta).await?;
    printer.came("first words", &json!(heard.what), heard.after(started));
    let short = document(editor, conversation).await?.len();
    printer.came("its document, in bytes", &json!(short), started.elapsed());
    let result = editor.finish_command(ASK, request).await?;
    let shown = json!({"stop": result["stop"], "model": result["model"], "text": result["text"]});
    printer.came("", &shown, started.elapsed());
    let text = result["text"].as_str().unwrap_or_default();
    let grown = document(editor, conversation).await?;
    printer.came(
        "its document, in bytes",
        &json!(grown.len()),
        started.elapsed(),
    );
    let kept = last_message(editor, conversation).await?;
    if text.is_empty() || kept["text"] != text || kept["id"] != result["answer"] {
        return Err("The answer was not kept".into());
    }
    match grown.len() > short {
        true => Ok(()),
        false => Err("The document did not grow with the answer".into()),
    }
}

/// Asks again, and stops the answer.
pub(super) async fn stop_it(
    printer: &mut Printer,
    editor: &mut Editor,
    conversation: &str,
) -> Outcome<()> {
    printer.step("Ask again, and stop the answer");
    let argument = json!({"prompt": "Tell me more, at length.", "conversation": conversation});
    printer.sent(ASK, &argument);
    editor.forget("pieces/didAnswer");
    let request = editor.start_command(ASK, &argument);
    editor.wait("pieces/didAnswer", delta).await?;
    let stop = "pieces.conversations.stop";
    let argument = json!({"conversation": conversation});
    printer.sent(stop, &argument);
    let started = Instant::now();
    let token = editor.start_command(stop, &argument);
    let result = editor.finish_command(ASK, request).await?;
    let shown = json!({"stop": result["stop"], "text": result["text"]});
    printer.came("", &shown, started.elapsed());
    editor.finish_command(stop, token).await?;
    let kept = last_message(editor, conversation).await?;
    let shown = json!({"state": kept["state"], "text": kept["text"]});
    printer.came("kept", &shown, started.elapsed());
    // A quick model may have ended before the stop arrived.
    let ended = result["stop"] == "cancelled" || result["stop"] == "end";
    match ended && kept["text"] == result["text"] {
        true => Ok(()),
        false => Err("What was written was not kept".into()),
    }
}

fn delta(params: &Value) -> Option<String> {
    params["delta"].as_str().map(str::to_owned)
}

/// The conversation's document as it is now.
async fn document(editor: &mut Editor, conversation: &str) -> Outcome<String> {
    let uri = format!("pieces-conversation:/{conversation}.md");
    let method = "workspace/textDocumentContent";
    let content = editor.request(method, json!({ "uri": uri })).await?;
    Ok(content["text"].as_str().unwrap_or_default().to_owned())
}

async fn last_message(editor: &mut Editor, conversation: &str) -> Outcome<Value> {
    let messages = "pieces.conversations.messages";
    let listed = editor
        .command(messages, &json!({"conversation": conversation}))
        .await?;
    let last = listed["items"].as_array().and_then(|items| items.last());
    last.cloned()
        .ok_or_else(|| "The conversation has no messages".to_owned())
}
