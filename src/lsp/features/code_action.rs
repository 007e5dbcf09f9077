//! `textDocument/codeAction`: start, open and delete conversations at the cursor.

use super::action::{Action, DELETE, KINDS, OPEN, START};
use super::diagnostics::{self, Fix};
use super::talk;
use crate::index::{Conversation, Reader};
use crate::lsp::limits::{
    ACTION_CHARS, HINT_CHARS, MAX_ACTIONS, MAX_SELECTED, MENU_NAMES_TIMEOUT, MENU_TIES_TIMEOUT,
};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::state::capabilities::Flags;
use crate::lsp::state::document::Document;
use crate::lsp::text::item::{ago, label, quoted};
use crate::lsp::text::reference::{CONVERSATION, touched_lines};
use crate::lsp::text::subject::{self, Subject, conversations_at};
use crate::lsp::text::talk::find::talk_of;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tower_lsp::lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CodeActionTriggerKind,
    Diagnostic, Range, Url,
};
use uuid::Uuid;

/// The fixes for links whose conversation is gone.
async fn quick_fixes(
    server: &Server,
    document: &Document,
    params: &CodeActionParams,
) -> Vec<CodeActionOrCommand> {
    let fixes = diagnostics::fixes(server, &params.text_document.uri, document, params.range).await;
    let action = |fix: Fix| {
        let given = params.context.diagnostics.iter();
        let fixed: Vec<Diagnostic> = given
            .filter(|one| one.range == fix.range)
            .cloned()
            .collect();
        CodeActionOrCommand::CodeAction(CodeAction {
            title: fix.title,
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(fixed).filter(|fixed| !fixed.is_empty()),
            edit: Some(fix.edit),
            ..CodeAction::default()
        })
    };
    fixes.into_iter().map(action).collect()
}

/// `textDocument/codeAction`.
pub(crate) async fn code_actions(
    server: &Arc<Server>,
    params: CodeActionParams,
) -> Vec<CodeActionOrCommand> {
    let only = params.context.only.as_deref();
    if !KINDS.iter().any(|kind| wants(only, kind)) {
        return Vec::new();
    }
    let client = server.flags();
    let document = server.documents.get(&params.text_document.uri);
    let range = selected(client, document.as_ref(), params.range);
    let invoked = params.context.trigger_kind != Some(CodeActionTriggerKind::AUTOMATIC);
    if invoked {
        server.session.ties(MENU_TIES_TIMEOUT).await;
    }
    let index = server.session.reader();
    let place =
        subject_and_conversations(&params.text_document.uri, document.as_ref(), range, index);
    let (subject, conversations) = place.await;
    let asked = ActionRequest {
        server,
        only,
        uri: &params.text_document.uri,
        document,
        range,
        subject,
        conversations,
    };
    let mut actions = asked.at_cursor().await;
    if invoked {
        asked.of_document(&mut actions).await;
    }
    disambiguate(&mut actions, &server.session.reader());
    let actions = actions
        .into_iter()
        .filter(|action| asked.wants(&action.kind));
    let mut rendered: Vec<_> = actions.map(|action| action.render(client)).collect();
    if let Some(document) = &asked.document
        && client.code_action_literals
        && asked.wants(&CodeActionKind::QUICKFIX)
        && rendered.len() < MAX_ACTIONS
    {
        rendered.extend(quick_fixes(server, document, &params).await);
    }
    rendered.truncate(MAX_ACTIONS);
    rendered
}

/// The selected range: a single word is what some clients send for a cursor.
fn selected(client: Flags, document: Option<&Document>, range: Range) -> Range {
    let is_word = |document: &Document| {
        let mut chars = document.text.slice(document.chars(range)).chars();
        !chars.any(char::is_whitespace)
    };
    match client.selects_expressions && document.is_some_and(is_word) {
        true => Range::new(range.start, range.start),
        false => range,
    }
}

/// The subject of the range, and the conversations that it names.
async fn subject_and_conversations(
    uri: &Url,
    document: Option<&Document>,
    range: Range,
    index: Reader,
) -> (Subject, Vec<Conversation>) {
    let Some(document) = document.cloned() else {
        return (Subject::of(uri, None, Some(range), &index), Vec::new());
    };
    let uri = uri.clone();
    reading(
        document.bytes_of(touched_lines(&document, range)),
        move || {
            let subject = Subject::of(&uri, Some(&document), Some(range), &index);
            (
                subject,
                conversations_at(&document, range, &index, MAX_SELECTED),
            )
        },
    )
    .await
}

fn wants(only: Option<&[CodeActionKind]>, kind: &CodeActionKind) -> bool {
    only.is_none_or(|only| only.iter().any(|one| selects(one, kind)))
}

/// Whether `only` is `kind` or a parent of it.
fn selects(only: &CodeActionKind, kind: &CodeActionKind) -> bool {
    let rest = kind.as_str().strip_prefix(only.as_str());
    only == &CodeActionKind::EMPTY
        || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// One request for code actions.
struct ActionRequest<'a> {
    server: &'a Arc<Server>,
    only: Option<&'a [CodeActionKind]>,
    uri: &'a Url,
    document: Option<Document>,
    range: Range,
    /// The subject of the range.
    subject: Subject,
    /// The conversations that the range names.
    conversations: Vec<Conversation>,
}

impl ActionRequest<'_> {
    fn wants(&self, kind: &CodeActionKind) -> bool {
        wants(self.only, kind)
    }

    /// Whether `only` names `pieces` or `pieces.delete`.
    fn names_delete(&self) -> bool {
        let names = |one: &CodeActionKind| one != &CodeActionKind::EMPTY && selects(one, &DELETE);
        self.only.is_some_and(|only| only.iter().any(names))
    }

    /// Actions for the ids in the selection or under the cursor.
    async fn at_cursor(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.wants(&START)
            && let Subject::AssetHere(asset) = self.subject
        {
            actions.push(start_from(asset, self.name_of(asset).await));
        }
        actions.extend(self.conversations.iter().map(open));
        actions.extend(self.conversations.iter().map(delete));
        actions
    }

    /// Actions for the document as a whole, and for a selection that is no id.
    async fn of_document(&self, actions: &mut Vec<Action>) {
        let index = self.server.session.reader();
        let offered = |actions: &[Action], kind: &CodeActionKind, one: &Conversation| {
            actions.iter().any(|action| {
                &action.kind == kind && action.argument["conversation"] == json!(one.id)
            })
        };
        let mut deletes = Vec::new();
        let (shown, asking) = self.asking().await;
        // First a question that is written here, last the actions that start a new one.
        let (here, asking): (Vec<_>, Vec<_>) = asking
            .into_iter()
            .partition(|one| shown.is_some() || one.command != "pieces.conversations.talk");
        actions.extend(here);
        // A talk file may have no conversation yet.
        let ours = shown.is_some() || talk_of(self.server, self.uri).await.is_some();
        if let Some(id) = shown {
            deletes.extend(index.get(id));
        } else if ours {
            // Nothing is about it, and nothing should be.
        } else if self.wants(&OPEN) || self.names_delete() {
            let conversations = subject::conversations_about(self.uri, &index).await;
            match conversations.as_slice() {
                [] => {}
                [one] if offered(actions, &OPEN, one) => {}
                [one] => actions.push(open(one)),
                several => actions.push(open_one_of(self.uri, several.len())),
            }
            if self.names_delete() {
                deletes = conversations;
            }
        }
        if !ours && !actions.iter().any(|action| action.kind == START) {
            actions.extend(self.start());
        }
        actions.extend(asking);
        deletes.retain(|one| !offered(actions, &DELETE, one));
        actions.extend(deletes.iter().take(MAX_ACTIONS).map(delete));
    }

    /// The conversation that the document shows, and the actions for asking.
    async fn asking(&self) -> (Option<Uuid>, Vec<Action>) {
        let place = talk::Place {
            server: self.server,
            uri: self.uri,
            document: self.document.as_ref(),
            range: self.range,
            subject: &self.subject,
        };
        place.actions().await
    }

    /// The action that starts a conversation here, if no asset is under the cursor.
    fn start(&self) -> Option<Action> {
        let name = || label(&subject::display_name(self.uri), ACTION_CHARS);
        match &self.subject {
            Subject::AssetHere(asset) => Some(start_from(*asset, None)),
            Subject::AssetDocument(asset) => Some(start_from(*asset, Some(name()))),
            Subject::Selection(selection) => {
                let document = self.document.as_ref()?;
                let about = match selection.lines.clone().count() {
                    1 if selection.is_whole_line(document) => "this line".to_owned(),
                    1 => format!("“{}”", label(&selection.beginning(document), HINT_CHARS)),
                    lines => format!("these {lines} lines"),
                };
                let argument = json!({ "uri": self.uri, "range": self.range });
                Some(start_here(&about, argument))
            }
            Subject::Whole if self.uri.scheme() == CONVERSATION => None,
            Subject::Whole => Some(start_here(&name(), json!({ "uri": self.uri }))),
        }
    }

    /// The name of an asset, if it is cached or the service answers within [`MENU_NAMES_TIMEOUT`].
    async fn name_of(&self, asset: Uuid) -> Option<String> {
        let (names, session) = (&self.server.asset_names, &self.server.session);
        names.learn(session, &[asset], MENU_NAMES_TIMEOUT).await;
        names.get(asset).map(|name| label(&name, ACTION_CHARS))
    }
}

fn start_from(asset: Uuid, name: Option<String>) -> Action {
    let about = name.as_deref().unwrap_or("this snippet");
    Action {
        kind: START,
        title: format!("Start a conversation about {about}"),
        command: "pieces.conversations.createFromAsset",
        argument: json!({ "asset": asset }),
    }
}

fn start_here(about: &str, argument: Value) -> Action {
    Action {
        kind: START,
        title: format!("Start a conversation about {about}"),
        command: "pieces.conversations.startFromDocument",
        argument,
    }
}

fn open(one: &Conversation) -> Action {
    let name = quoted(one.as_ref().title(), ACTION_CHARS);
    Action {
        kind: OPEN,
        title: format!("Open conversation {name}"),
        command: "pieces.conversations.open",
        argument: json!({ "conversation": one.id }),
    }
}

fn open_one_of(uri: &Url, count: usize) -> Action {
    Action {
        kind: OPEN,
        title: format!("Conversations about this file ({count})…"),
        command: "pieces.conversations.open",
        argument: json!({ "uri": uri }),
    }
}

fn delete(one: &Conversation) -> Action {
    let name = quoted(one.as_ref().title(), ACTION_CHARS);
    Action {
        kind: DELETE,
        title: format!("Delete conversation {name}"),
        command: "pieces.conversations.delete",
        argument: json!({ "conversation": one.id }),
    }
}

/// Adds ages to actions that have the same title.
fn disambiguate(actions: &mut [Action], index: &Reader) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for action in actions.iter() {
        *counts.entry(action.title.clone()).or_default() += 1;
    }
    for action in actions.iter_mut().filter(|it| counts[&it.title] > 1) {
        let id = action.argument["conversation"].as_str();
        let one = id.and_then(|id| index.get(Uuid::parse_str(id).ok()?));
        if let Some(one) = one {
            action.title = format!("{}, {}", action.title, ago(one.updated));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_a_hierarchy() {
        let check = |only: &'static str, expected: bool| {
            assert_eq!(
                selects(&CodeActionKind::new(only), &START),
                expected,
                "{only}"
            );
        };
        check("", true);
        check("pieces", true);
        check("pieces.start", true);
        check("pieces.start.now", false);
        check("pieces.st", false);
        check("pieces.open", false);
        check("quickfix", false);
    }
}
