//! `textDocument/codeAction`: start, open and delete conversations at the cursor.

use super::diagnostics::{self, Fix};
use crate::index::{Conversation, Reader};
use crate::lsp::limits::{ACTION_CHARS, MAX_ACTIONS};
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::item::label;
use crate::lsp::text::reference::{CONVERSATION, Form, id_of_uri};
use crate::lsp::text::subject::{self, FileTies};
use serde_json::{Value, json};
use tower_lsp::lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CodeActionTriggerKind,
    Command, Diagnostic, Range, Url,
};
use uuid::Uuid;

const START: CodeActionKind = CodeActionKind::new("pieces.start");
const OPEN: CodeActionKind = CodeActionKind::new("pieces.open");
const DELETE: CodeActionKind = CodeActionKind::new("pieces.delete");

/// The advertised kinds.
pub(crate) const KINDS: [CodeActionKind; 4] = [START, OPEN, DELETE, CodeActionKind::QUICKFIX];

/// An action, before it is rendered for the client.
struct Action {
    kind: CodeActionKind,
    title: String,
    command: &'static str,
    argument: Value,
}

/// The fixes for links whose conversation is gone.
fn quick_fixes(
    server: &Server,
    document: &Document,
    params: &CodeActionParams,
) -> Vec<CodeActionOrCommand> {
    let fixes = diagnostics::fixes(server, &params.text_document.uri, document, params.range);
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
    server: &Server,
    params: CodeActionParams,
) -> Vec<CodeActionOrCommand> {
    let wanted = |kind: &CodeActionKind| match &params.context.only {
        None => true,
        Some(only) => only.iter().any(|one| selects(one, kind)),
    };
    if !KINDS.iter().any(wanted) {
        return Vec::new();
    }
    let automatic = params.context.trigger_kind == Some(CodeActionTriggerKind::AUTOMATIC);
    let uri = &params.text_document.uri;
    let document = server.documents.get(uri);
    let index = server.session.reader();
    let mut actions = at_cursor(document.as_ref(), params.range, &index);
    if !automatic {
        of_document(uri, params.range, &index, &mut actions).await;
    }
    let literals = server.flags().code_action_literals;
    let actions = actions.into_iter().filter(|action| wanted(&action.kind));
    let mut rendered: Vec<_> = actions.map(|action| action.render(literals)).collect();
    if let Some(document) = document
        && literals
        && wanted(&CodeActionKind::QUICKFIX)
    {
        rendered.extend(quick_fixes(server, &document, &params));
    }
    rendered
}

/// Whether `only` selects `kind`: it is the same kind or a parent of it.
fn selects(only: &CodeActionKind, kind: &CodeActionKind) -> bool {
    let rest = kind.as_str().strip_prefix(only.as_str());
    only == &CodeActionKind::EMPTY
        || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Actions for the ids in the selection or under the cursor.
fn at_cursor(document: Option<&Document>, range: Range, index: &Reader) -> Vec<Action> {
    let Some(document) = document else {
        return Vec::new();
    };
    let mut actions = Vec::new();
    let assets = subject::assets_at(document, range, index);
    actions.extend(start_from(&assets));
    let conversations = subject::conversations_at(document, range, index);
    actions.extend(open_and_delete(&conversations));
    actions
}

/// Actions for the document as a whole.
async fn of_document(uri: &Url, range: Range, index: &Reader, actions: &mut Vec<Action>) {
    let ours = id_of_uri(uri);
    let ties = FileTies::of(uri, index).await;
    let mut conversations = match ours {
        Some((Form::ConversationUri, id)) => index.get(id).into_iter().collect(),
        Some((_, asset)) => subject::tied_to(&[asset], index),
        None => ties.conversations(index),
    };
    // Conversations under the cursor already have actions.
    let offered = |one: &Conversation| {
        actions
            .iter()
            .any(|action| action.argument["conversation"] == json!(one.id))
    };
    conversations.retain(|one| !offered(one));
    conversations.truncate(MAX_ACTIONS);
    let mut others = open_and_delete(&conversations);
    if !others.is_empty() {
        // Opening the newest comes before starting another.
        actions.push(others.remove(0));
    }
    if !actions.iter().any(|action| action.kind == START) {
        match ours {
            Some((Form::AssetUri, asset)) => actions.extend(start_from(&[asset])),
            _ if uri.scheme() == CONVERSATION => {}
            _ => {
                let assets = ties.assets();
                actions.extend(start_from(&assets));
                if assets.is_empty() {
                    actions.push(save_and_start(uri, range));
                }
            }
        }
    }
    actions.extend(others);
}

fn start_from(assets: &[Uuid]) -> Vec<Action> {
    let several = assets.len() > 1;
    let title = |asset: &Uuid| match several {
        false => "Start a conversation from this asset".to_owned(),
        true => format!("Start a conversation from asset {asset}"),
    };
    let action = |asset: &Uuid| Action {
        kind: START,
        title: title(asset),
        command: "pieces.conversations.createFromAsset",
        argument: json!({ "asset": asset }),
    };
    assets.iter().take(MAX_ACTIONS).map(action).collect()
}

fn save_and_start(uri: &Url, range: Range) -> Action {
    let mut argument = json!({ "uri": uri });
    if range.start != range.end {
        argument["range"] = json!(range);
    }
    Action {
        kind: START,
        title: "Save as asset and start conversation".into(),
        command: "pieces.conversations.startFromDocument",
        argument,
    }
}

fn open_and_delete(conversations: &[Conversation]) -> Vec<Action> {
    let shown = &conversations[..conversations.len().min(MAX_ACTIONS)];
    let name = |one: &Conversation| label(one.as_ref().title(), ACTION_CHARS);
    let open = |one: &Conversation| Action {
        kind: OPEN,
        title: format!("Open conversation “{}”", name(one)),
        command: "pieces.conversations.open",
        argument: json!({ "conversation": one.id }),
    };
    let delete = |one: &Conversation| Action {
        kind: DELETE,
        title: format!("Delete conversation “{}”", name(one)),
        command: "pieces.conversations.delete",
        argument: json!({ "conversation": one.id }),
    };
    shown
        .iter()
        .map(open)
        .chain(shown.iter().map(delete))
        .collect()
}

impl Action {
    fn render(self, literals: bool) -> CodeActionOrCommand {
        let command = Command {
            title: self.title.clone(),
            command: self.command.to_owned(),
            arguments: Some(vec![self.argument]),
        };
        if !literals {
            return CodeActionOrCommand::Command(command);
        }
        CodeActionOrCommand::CodeAction(CodeAction {
            title: self.title,
            kind: Some(self.kind),
            command: Some(command),
            ..CodeAction::default()
        })
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
