//! Capabilities of the client.
//!
//! Read from the raw parameters: lsp-types 0.94 stops at LSP 3.17, and one unknown value must not hide
//! the others.

use serde_json::Value;

/// The unit of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units, which every client supports.
    #[default]
    Utf16,
}

/// The capabilities that the server uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    /// UTF-8 if the client supports it.
    pub encoding: Encoding,
    /// Supports `workspace/configuration`.
    pub configuration: bool,
    /// Sends changes of the configuration only after a registration.
    pub registers_configuration: bool,
    /// Supports `window/showDocument`.
    pub show_document: bool,
    /// Supports progress for requests without a token.
    pub progress: bool,
    /// Edits may name the version of a document that they are for.
    pub versioned_edits: bool,
    /// Supports code actions that are not bare commands.
    pub code_action_literals: bool,
    /// Takes symbols of a document as a tree.
    pub symbol_tree: bool,
    /// Asks what would be renamed before it asks for a name.
    pub prepares_rename: bool,
    /// Supports Markdown in hovers.
    pub markdown_hover: bool,
    /// Supports `workspace/codeLens/refresh`.
    pub refreshes_code_lens: bool,
    /// Supports `workspace/inlayHint/refresh`.
    pub refreshes_inlay_hints: bool,
    /// Supports `workspace/textDocumentContent` (LSP 3.18).
    pub text_document_content: bool,
    /// Supports it only after a registration.
    pub registers_content: bool,
    /// Opens `file:` URIs only, in definitions and symbols too.
    pub only_files: bool,
    /// Stands still until a command is answered, and gives it up after some 10 s.
    pub stands_still: bool,
    /// Does not show the error that a command ends with.
    pub hides_errors: bool,
    /// Sends the expression at the cursor as the selection where nothing is selected.
    pub selects_expressions: bool,
}

/// What is known of clients by the beginnings of their names, because no capability says so.
const ONLY_FILES: &[&str] = &["helix", "kakoune-lsp", "Zed"];
/// Eglot and lsp-mode, but not our own package.
const STANDS_STILL: &[&str] = &["Eglot", "emacs"];
const HIDES_ERRORS: &[&str] = &["helix"];
const SELECTS_EXPRESSIONS: &[&str] = &["Eglot"];

impl Flags {
    /// Reads the parameters of `initialize`.
    pub fn read(initialize: &Value) -> Self {
        let at = |path: &str| initialize["capabilities"].pointer(path);
        let is = |path: &str| at(path) == Some(&Value::Bool(true));
        let encodings = at("/general/positionEncodings").and_then(Value::as_array);
        let name = initialize["clientInfo"]["name"].as_str();
        let is_one_of =
            |names: &[&str]| name.is_some_and(|name| names.iter().any(|one| name.starts_with(one)));
        let utf8 = encodings.is_some_and(|all| all.iter().any(|one| one == "utf-8"));
        Flags {
            encoding: if utf8 {
                Encoding::Utf8
            } else {
                Encoding::Utf16
            },
            configuration: is("/workspace/configuration"),
            registers_configuration: is("/workspace/didChangeConfiguration/dynamicRegistration"),
            show_document: is("/window/showDocument/support"),
            progress: is("/window/workDoneProgress"),
            versioned_edits: is("/workspace/workspaceEdit/documentChanges"),
            code_action_literals: at("/textDocument/codeAction/codeActionLiteralSupport")
                .is_some_and(Value::is_object),
            symbol_tree: is("/textDocument/documentSymbol/hierarchicalDocumentSymbolSupport"),
            prepares_rename: is("/textDocument/rename/prepareSupport"),
            markdown_hover: at("/textDocument/hover/contentFormat")
                .and_then(Value::as_array)
                .is_some_and(|formats| formats.iter().any(|format| format == "markdown")),
            refreshes_code_lens: is("/workspace/codeLens/refreshSupport"),
            refreshes_inlay_hints: is("/workspace/inlayHint/refreshSupport"),
            text_document_content: at("/workspace/textDocumentContent")
                .is_some_and(Value::is_object),
            registers_content: is("/workspace/textDocumentContent/dynamicRegistration"),
            only_files: is_one_of(ONLY_FILES),
            stands_still: is_one_of(STANDS_STILL),
            hides_errors: is_one_of(HIDES_ERRORS),
            selects_expressions: is_one_of(SELECTS_EXPRESSIONS),
        }
    }
}

/// The client's commands for a hover on a conversation, with their titles. Each takes `{conversation: id}`.
pub(crate) fn hover_commands(initialize: &Value) -> Vec<(&'static str, String)> {
    let named = &initialize["capabilities"]["experimental"]["pieces"]["hoverCommands"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let titles = [
        ("Open", "open"),
        ("Rename", "rename"),
        ("Copy link", "copyLink"),
    ];
    let named = titles.into_iter().filter_map(|(title, key)| {
        let command = named[key].as_str()?;
        let usable = !command.is_empty() && command.chars().all(plain);
        usable.then(|| (title, command.to_owned()))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn commands_for_hovers_are_names_and_nothing_else() {
        let check = |named: Value, expected: &[(&str, &str)]| {
            let params =
                json!({"capabilities": {"experimental": {"pieces": {"hoverCommands": named}}}});
            let found = hover_commands(&params);
            let found: Vec<_> = found
                .iter()
                .map(|(title, it)| (*title, it.as_str()))
                .collect();
            assert_eq!(found, expected, "{params}");
        };
        check(Value::Null, &[]);
        check(json!([]), &[]);
        check(
            json!({"open": "x.open", "rename": "a) [b](c", "copyLink": "x.copy-link", "delete": "x"}),
            &[("Open", "x.open"), ("Copy link", "x.copy-link")],
        );
        check(json!({"open": "", "rename": 7}), &[]);
    }

    #[test]
    fn habits_of_clients_are_known_by_their_names() {
        let check = |name: Value, only_files, stands_still, hides_errors| {
            let params = json!({ "clientInfo": { "name": name } });
            let expected = Flags {
                only_files,
                stands_still,
                hides_errors,
                selects_expressions: name == "Eglot",
                ..Flags::default()
            };
            assert_eq!(Flags::read(&params), expected, "{name}");
        };
        check(json!("helix"), true, false, true);
        check(json!("kakoune-lsp"), true, false, false);
        check(json!("Zed Preview"), true, false, false);
        check(json!("Eglot"), false, true, false);
        check(json!("emacs"), false, true, false);
        check(json!("Emacs pieces.el"), false, false, false);
        check(json!("Visual Studio Code"), false, false, false);
        check(json!(7), false, false, false);
        check(Value::Null, false, false, false);
    }

    #[test]
    fn flags() {
        let check = |capabilities: Value, expected: Flags| {
            let params = json!({ "capabilities": capabilities });
            assert_eq!(Flags::read(&params), expected, "{params}");
        };
        check(Value::Null, Flags::default());
        check(
            json!({"window": 7, "general": {"positionEncodings": "utf-8"}}),
            Flags::default(),
        );
        check(
            json!({"general": {"positionEncodings": ["utf-16"]}}),
            Flags::default(),
        );
        check(
            json!({"general": {"positionEncodings": ["utf-32", "utf-8", "utf-16"]},
                   "window": {"workDoneProgress": true, "showDocument": {"support": true}}}),
            Flags {
                encoding: Encoding::Utf8,
                progress: true,
                show_document: true,
                ..Flags::default()
            },
        );
    }
}
