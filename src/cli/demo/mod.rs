//! `pieces-lsp demo`: the main job end to end, as an editor would do it.
//!
//! Three real parts talk over real pipes and sockets: an editor (this process), the language server (this
//! program as a child process) and the local service (in this process, which also plays another program that
//! changes conversations). Every step checks its result.

mod answer;
mod editor;
mod print;
mod stage;
mod talk;

use crate::pieces::Client;
use answer::Model;
use editor::{Editor, STEP_TIMEOUT};
use print::Printer;
use serde_json::{Value, json};
use stage::Scratch;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use url::Url;

/// The code that is saved as an asset.
const CODE: &str = r#"//! Tries again, a little later each time.

use std::{thread::sleep, time::Duration};

/// Calls `attempt` until it succeeds, at most `tries` times.
pub fn retry<T, E>(tries: u32, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let mut pause = Duration::from_millis(100);
    for _ in 1..tries {
        if let Ok(value) = attempt() {
            return Ok(value);
        }
        sleep(pause);
        pause *= 2;
    }
    attempt()
}
"#;
const NAME: &str = "retry.rs";
const RENAMED: &str = "How should the pause grow between retries?";
/// Spelled differently from the name: search is fuzzy.
const QUERY: &str = "pause retries";
/// How long the server may take to notice a new asset before it is told to refresh.
const LEARN: Duration = Duration::from_secs(1);
/// A pause: changes within 50 ms of each other are sent in one notification, and the times shown are for a
/// single change.
const QUIET: Duration = Duration::from_millis(100);

/// A step failed: a sentence without its full stop.
type Outcome<T> = Result<T, String>;

pub(super) async fn run() -> ExitCode {
    let mut printer = Printer::start();
    let played = tokio::select! {
        played = play(&mut printer) => played,
        _ = tokio::signal::ctrl_c() => Err("It was interrupted".into()),
    };
    match played {
        Ok(()) => {
            printer.succeeded();
            ExitCode::SUCCESS
        }
        Err(why) => {
            printer.failed(&why);
            ExitCode::FAILURE
        }
    }
}

async fn play(printer: &mut Printer) -> Outcome<()> {
    printer.step("Start the local service on a new store");
    let started = Instant::now();
    let scratch = Scratch::new()?;
    let data_dir = scratch.path().join("data");
    printer.note(&format!("in {}", data_dir.display()));
    let (service, other) = stage::serve(data_dir.clone()).await?;
    printer.came("listening at", &json!(service.url), started.elapsed());
    let outcome = act(printer, &scratch, &data_dir, &other).await;
    service.shutdown().await;
    outcome
}

async fn act(
    printer: &mut Printer,
    scratch: &Scratch,
    data_dir: &Path,
    other: &Client,
) -> Outcome<()> {
    let model = Model::find().await?;
    let mut editor = start_server(printer, data_dir, &model).await?;
    let asset = save_asset(printer, other).await?;
    let action = ask_for_actions(printer, &mut editor, scratch, &asset).await?;
    let conversation = start_conversation(printer, &mut editor, &action).await?;
    see_it_change(printer, &mut editor, other, &conversation).await?;
    find_it(printer, &mut editor, &conversation).await?;
    open_it(printer, &mut editor, &conversation).await?;
    talk::ask_it(printer, &mut editor, &model, &conversation).await?;
    talk::stop_it(printer, &mut editor, &conversation).await?;
    delete_it(printer, &mut editor, &conversation).await?;
    see_it_go(printer, &mut editor, &conversation).await?;
    leave(printer, editor).await
}

async fn start_server(printer: &mut Printer, data_dir: &Path, model: &Model) -> Outcome<Editor> {
    printer.step("Start the language server, as an editor does");
    let program = std::env::current_exe()
        .map_err(|error| format!("The path of this program is unknown ({error})"))?;
    let mut arguments = ["serve", "--backend", "local", "--data-dir"]
        .map(OsString::from)
        .to_vec();
    arguments.push(data_dir.into());
    let shown = format!(
        "{} serve --backend local --data-dir {}",
        program.display(),
        data_dir.display()
    );
    printer.sent(&shown, &Value::Null);
    let started = Instant::now();
    let mut variables = vec![("PIECES_LSP_MODEL_URL", model.url.as_str())];
    variables.extend(model.name.as_deref().map(|name| ("PIECES_LSP_MODEL", name)));
    let mut editor = Editor::start(&program, &arguments, &variables)?;
    let settings = json!({"liveUpdates": true});
    printer.sent("initialize", &settings);
    let params = json!({
        "processId": std::process::id(),
        "clientInfo": {"name": "pieces-lsp demo"},
        "rootUri": null,
        "capabilities": {
            "general": {"positionEncodings": ["utf-8", "utf-16"]},
            "window": {"showDocument": {"support": true}},
            "textDocument": {"codeAction": {"codeActionLiteralSupport": {
                "codeActionKind": {"valueSet": []},
            }}},
        },
        "initializationOptions": settings,
    });
    let result = editor.request("initialize", params).await?;
    printer.came("serverInfo", &result["serverInfo"], started.elapsed());
    editor.notify("initialized", json!({}));
    let live = |status: &Value| (status["state"] == "live").then(|| status.clone());
    let heard = editor.wait("pieces/didChangeStatus", live).await?;
    let status = &heard.what;
    let shown =
        json!({"state": status["state"], "backend": status["backend"], "url": status["url"]});
    printer.came("pieces/didChangeStatus", &shown, heard.after(started));
    Ok(editor)
}

async fn save_asset(printer: &mut Printer, other: &Client) -> Outcome<String> {
    printer.step("Save an asset, as any Pieces client does");
    let seed = json!({"type": "SEEDED_ASSET", "asset": {
        "metadata": {"name": NAME},
        "format": {"fragment": {"string": {"raw": CODE}, "metadata": {"ext": "rs"}}},
    }});
    printer.sent(
        "POST /assets/create",
        &json!({"name": NAME, "bytes": CODE.len()}),
    );
    let started = Instant::now();
    let asset = other
        .create_asset(&seed)
        .await
        .map_err(|error| error.message)?;
    printer.came("asset", &json!({"id": asset}), started.elapsed());
    Ok(asset.to_string())
}

/// Opens a document that mentions the asset, and requests code actions at the cursor.
async fn ask_for_actions(
    printer: &mut Printer,
    editor: &mut Editor,
    scratch: &Scratch,
    asset: &str,
) -> Outcome<Value> {
    printer.step("Ask for code actions where a document mentions it");
    let mention = format!("The pause follows asset {asset}.");
    let text = format!("# Notes\n\n{mention}\n");
    let path = scratch.write("notes.md", &text)?;
    let uri = Url::from_file_path(&path).map_err(|()| "The temporary directory has no URI")?;
    let document = json!({"uri": uri, "languageId": "markdown", "version": 1, "text": text});
    editor.notify("textDocument/didOpen", json!({"textDocument": document}));
    let cursor = json!({"line": 2, "character": mention.len() - 10});
    printer.sent(
        "textDocument/codeAction",
        &json!({"document": "notes.md", "position": cursor}),
    );
    let params = json!({
        "textDocument": {"uri": uri},
        "range": {"start": cursor, "end": cursor},
        "context": {"diagnostics": [], "only": ["pieces.start"]},
    });
    let started = Instant::now();
    let mut told = false;
    loop {
        let asked = Instant::now();
        let actions = editor
            .request("textDocument/codeAction", params.clone())
            .await?;
        let mut actions = actions.as_array().cloned().unwrap_or_default().into_iter();
        let starts = |action: &Value| {
            let command = &action["command"];
            command["command"] == "pieces.conversations.createFromAsset"
                && command["arguments"][0]["asset"] == asset
        };
        if let Some(action) = actions.find(starts) {
            let shown = json!({"kind": action["kind"], "title": action["title"]});
            printer.came("code action", &shown, asked.elapsed());
            return Ok(action);
        }
        if started.elapsed() > STEP_TIMEOUT {
            return Err("The language server offers nothing for an asset that exists".into());
        }
        if !told && started.elapsed() > LEARN {
            told = true;
            let refresh = "pieces.conversations.refresh";
            printer.sent(refresh, &Value::Null);
            editor.command(refresh, &Value::Null).await?;
        } else {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn start_conversation(
    printer: &mut Printer,
    editor: &mut Editor,
    action: &Value,
) -> Outcome<String> {
    printer.step("Start a conversation from the asset");
    let command = action["command"]["command"].as_str().unwrap_or_default();
    let argument = &action["command"]["arguments"][0];
    printer.sent(command, argument);
    let started = Instant::now();
    let result = editor.command(command, argument).await?;
    printer.came("", &result, started.elapsed());
    let id = result["conversation"].as_str();
    let id = id.ok_or("The answer names no conversation")?.to_owned();
    let heard = editor
        .wait("pieces/didChangeConversations", |params| {
            upserted(params, &id, None)
        })
        .await?;
    printer.came(
        "pieces/didChangeConversations",
        &brief(&heard.what),
        heard.after(started),
    );
    see_it_shown(printer, editor, &id, started).await?;
    Ok(id)
}

/// The language server asks the editor to show a conversation.
async fn see_it_shown(
    printer: &mut Printer,
    editor: &mut Editor,
    conversation: &str,
    started: Instant,
) -> Outcome<()> {
    let uri = |params: &Value| params["uri"].as_str().map(str::to_owned);
    let heard = editor.wait("window/showDocument", uri).await?;
    printer.came(
        "window/showDocument",
        &json!({"uri": heard.what}),
        heard.after(started),
    );
    printer.sent("", &heard.answer);
    match heard.what == format!("pieces-conversation:/{conversation}.md") {
        true => Ok(()),
        false => Err("The editor was asked to show another document".into()),
    }
}

/// Another program changes the conversation: the language server learns of it from the service.
async fn see_it_change(
    printer: &mut Printer,
    editor: &mut Editor,
    other: &Client,
    conversation: &str,
) -> Outcome<()> {
    printer.step("See the index change when another program renames it");
    let id = conversation
        .parse()
        .map_err(|_| "The id of the conversation is not a UUID")?;
    let fetched = other.conversation_raw(id, false).await;
    let mut changed = fetched.map_err(|error| error.message)?;
    changed["name"] = RENAMED.into();
    sleep(QUIET).await;
    printer.sent("POST /conversation/update", &json!({"name": RENAMED}));
    let started = Instant::now();
    other
        .update(&changed)
        .await
        .map_err(|error| error.message)?;
    let renamed = |params: &Value| upserted(params, conversation, Some(RENAMED));
    let heard = editor
        .wait("pieces/didChangeConversations", renamed)
        .await?;
    printer.came(
        "pieces/didChangeConversations",
        &brief(&heard.what),
        heard.after(started),
    );
    Ok(())
}

async fn find_it(printer: &mut Printer, editor: &mut Editor, conversation: &str) -> Outcome<()> {
    printer.step("Find it by name");
    let list = "pieces.conversations.list";
    let argument = json!({"query": QUERY});
    printer.sent(list, &argument);
    let started = Instant::now();
    let found = editor.command(list, &argument).await?;
    let item = &found["items"][0];
    printer.came(
        "",
        &json!({"total": found["total"], "first": brief(item)}),
        started.elapsed(),
    );
    match item["id"] == conversation && item["name"] == RENAMED {
        true => Ok(()),
        false => Err("The conversation is not the first one found".into()),
    }
}

async fn open_it(printer: &mut Printer, editor: &mut Editor, conversation: &str) -> Outcome<()> {
    printer.step("Open it");
    let open = "pieces.conversations.open";
    let argument = json!({"conversation": conversation});
    printer.sent(open, &argument);
    let started = Instant::now();
    editor.command(open, &argument).await?;
    see_it_shown(printer, editor, conversation, started).await
}

async fn delete_it(printer: &mut Printer, editor: &mut Editor, conversation: &str) -> Outcome<()> {
    printer.step("Delete it, and say yes when asked");
    let delete = "pieces.conversations.delete";
    let argument = json!({"conversation": conversation});
    sleep(QUIET).await;
    printer.sent(delete, &argument);
    let started = Instant::now();
    let result = editor.command(delete, &argument).await?;
    let took = started.elapsed();
    let message = |params: &Value| params["message"].as_str().map(str::to_owned);
    let heard = editor.wait("window/showMessageRequest", message).await?;
    printer.came(
        "window/showMessageRequest",
        &json!({"message": heard.what}),
        heard.after(started),
    );
    printer.sent("", &heard.answer);
    printer.came("", &result, took);
    if !heard.what.contains(RENAMED) {
        return Err("The question does not name the conversation".into());
    }
    match result["deleted"] == true {
        true => Ok(()),
        false => Err("The conversation was not deleted".into()),
    }
}

async fn see_it_go(printer: &mut Printer, editor: &mut Editor, conversation: &str) -> Outcome<()> {
    printer.step("See it go");
    let started = Instant::now();
    let gone = |params: &Value| {
        let removed = params["removed"].as_array()?;
        removed
            .iter()
            .any(|id| id == conversation)
            .then(|| params.clone())
    };
    let heard = editor.wait("pieces/didChangeConversations", gone).await?;
    let shown = json!({"total": heard.what["total"], "removed": heard.what["removed"]});
    printer.came(
        "pieces/didChangeConversations",
        &shown,
        heard.after(started),
    );
    let list = "pieces.conversations.list";
    printer.sent(list, &Value::Null);
    let started = Instant::now();
    let left = editor.command(list, &json!({})).await?;
    printer.came("", &json!({"total": left["total"]}), started.elapsed());
    match left["total"] == 0 {
        true => Ok(()),
        false => Err("It is still listed".into()),
    }
}

async fn leave(printer: &mut Printer, editor: Editor) -> Outcome<()> {
    printer.step("Leave");
    printer.sent("shutdown, exit", &Value::Null);
    let started = Instant::now();
    let status = editor.leave().await?;
    printer.came(
        "the language server ended",
        &json!(status.to_string()),
        started.elapsed(),
    );
    match status.success() {
        true => Ok(()),
        false => Err(format!("The language server failed ({status})")),
    }
}

/// The item with this id (and name) in a notification of changes.
fn upserted(params: &Value, id: &str, name: Option<&str>) -> Option<Value> {
    let items = params["upserted"].as_array()?;
    let wanted = |item: &&Value| item["id"] == id && name.is_none_or(|name| item["name"] == name);
    items.iter().find(wanted).cloned()
}

/// The fields of a ConversationItem that the demo prints.
fn brief(item: &Value) -> Value {
    json!({"name": item["name"], "messages": item["messages"], "updated": item["updated"]})
}
