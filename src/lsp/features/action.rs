//! Our code actions, before they are rendered for the client.

use crate::lsp::state::capabilities::Flags;
use serde_json::Value;
use tower_lsp::lsp_types::{CodeAction, CodeActionKind, CodeActionOrCommand, Command};

pub(super) const START: CodeActionKind = CodeActionKind::new("pieces.start");
pub(super) const ASK: CodeActionKind = CodeActionKind::new("pieces.ask");
pub(super) const OPEN: CodeActionKind = CodeActionKind::new("pieces.open");
pub(super) const DELETE: CodeActionKind = CodeActionKind::new("pieces.delete");
pub(super) const INSERT: CodeActionKind = CodeActionKind::new("pieces.insert");

/// The advertised kinds.
pub(crate) const KINDS: [CodeActionKind; 6] =
    [START, ASK, OPEN, DELETE, INSERT, CodeActionKind::QUICKFIX];

/// An action, before it is rendered for the client.
pub(super) struct Action {
    pub kind: CodeActionKind,
    pub title: String,
    pub command: &'static str,
    pub argument: Value,
}

impl Action {
    pub fn new(
        kind: CodeActionKind,
        title: impl Into<String>,
        command: &'static str,
        argument: Value,
    ) -> Self {
        Action {
            kind,
            title: title.into(),
            command,
            argument,
        }
    }

    /// Its command, for this client.
    pub fn command(mut self, client: Flags) -> Command {
        let asks = ["pieces.conversations.ask", "pieces.conversations.send"];
        if client.stands_still && asks.contains(&self.command) {
            self.argument["wait"] = false.into();
        }
        Command {
            title: self.title,
            command: self.command.to_owned(),
            arguments: Some(vec![self.argument]),
        }
    }

    /// A code action literal, or a bare command for clients without literals.
    pub fn render(self, client: Flags) -> CodeActionOrCommand {
        let kind = self.kind.clone();
        let command = self.command(client);
        if !client.code_action_literals {
            return CodeActionOrCommand::Command(command);
        }
        CodeActionOrCommand::CodeAction(CodeAction {
            title: command.title.clone(),
            kind: Some(kind),
            command: Some(command),
            ..CodeAction::default()
        })
    }
}
