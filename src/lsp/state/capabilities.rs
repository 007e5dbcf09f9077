//! What the client can do, read once.
//!
//! From the parameters as they came: lsp-types 0.94 stops at LSP 3.17, and one value from the future
//! must not make us blind to the rest.

use serde_json::Value;

/// How columns are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units: what every client speaks.
    #[default]
    Utf16,
}

/// The client's capabilities that make a difference to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    /// The best encoding that both sides speak.
    pub encoding: Encoding,
    /// `workspace/configuration` can be asked.
    pub configuration: bool,
    /// Changes of the configuration are only told to those who register.
    pub registers_configuration: bool,
    /// `window/showDocument` can be asked.
    pub show_document: bool,
    /// Progress can be shown without the request having brought a token.
    pub progress: bool,
    /// Code actions may be more than bare commands.
    pub code_action_literals: bool,
    /// Hovers may be Markdown.
    pub markdown_hover: bool,
    /// Code lenses can be asked for again.
    pub refreshes_code_lens: bool,
    /// Inlay hints can be asked for again.
    pub refreshes_inlay_hints: bool,
    /// Documents can be served by us (LSP 3.18).
    pub text_document_content: bool,
    /// They have to be registered for.
    pub registers_content: bool,
}

impl Flags {
    /// Reads the parameters of `initialize`.
    pub fn read(initialize: &Value) -> Self {
        let at = |path: &str| initialize["capabilities"].pointer(path);
        let is = |path: &str| at(path) == Some(&Value::Bool(true));
        let encodings = at("/general/positionEncodings").and_then(Value::as_array);
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
            code_action_literals: at("/textDocument/codeAction/codeActionLiteralSupport")
                .is_some_and(Value::is_object),
            markdown_hover: at("/textDocument/hover/contentFormat")
                .and_then(Value::as_array)
                .is_some_and(|formats| formats.iter().any(|format| format == "markdown")),
            refreshes_code_lens: is("/workspace/codeLens/refreshSupport"),
            refreshes_inlay_hints: is("/workspace/inlayHint/refreshSupport"),
            text_document_content: at("/workspace/textDocumentContent")
                .is_some_and(Value::is_object),
            registers_content: is("/workspace/textDocumentContent/dynamicRegistration"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
