//! Repairs parameters of the editor before tower-lsp reads them, which refuses the whole message for one bad field.
//!
//! Fields that handlers need are repaired if possible; optional fields of the wrong type are dropped.
//! Everything is linear in the message.

use crate::lsp::state::document::NO_VERSION;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower_lsp::lsp_types::Diagnostic;

/// The `source` of our diagnostics; those of other servers are dropped.
pub(crate) const OUR_SOURCE: &str = "pieces";
/// The largest line or column that LSP allows.
const LAST: i64 = i32::MAX as i64;

/// The repaired parameters, and the names of fields that could not be used.
pub(super) fn params(method: &str, params: Option<Value>) -> (Option<Value>, Vec<&'static str>) {
    let mut dropped = Vec::new();
    if !method.starts_with("textDocument/") && !method.starts_with("workspace/") {
        return (params, dropped);
    }
    let mut object = match params {
        Some(Value::Object(object)) => object,
        Some(params) if !is_empty_table(&params) => return (Some(params), dropped),
        _ => Map::new(),
    };
    add_missing(method, &mut object);
    for (name, repair) in FIELDS {
        let Some(value) = object.get_mut(*name) else {
            continue;
        };
        match repair(value.take(), &mut dropped) {
            Some(repaired) => *value = repaired,
            None => {
                object.remove(*name);
                dropped.push(name);
            }
        }
    }
    (Some(Value::Object(object)), dropped)
}

/// An integer, also one that is written as a float.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
    let number = value.as_i64();
    number
        .or_else(|| value.as_u64().map(|_| i64::MAX))
        .or_else(|| value.as_f64().and_then(whole))
}

/// An empty array, which is how Lua writes an empty object.
pub(crate) fn is_empty_table(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

type Dropped = Vec<&'static str>;
type Repair = fn(Value, &mut Dropped) -> Option<Value>;

/// The fields of parameters that mean the same in all methods.
const FIELDS: &[(&str, Repair)] = &[
    ("textDocument", text_document),
    ("position", |value, _| position(&value, 0)),
    ("range", |value, _| range(&value)),
    ("contentChanges", changes),
    ("context", |value, _| Some(context(value))),
    ("arguments", |value, _| Some(arguments(value))),
    ("workDoneToken", |value, _| token(value)),
    ("partialResultToken", |value, _| token(value)),
];

/// Adds required fields that some editors leave out.
fn add_missing(method: &str, object: &mut Map<String, Value>) {
    let missing = match method {
        "textDocument/codeAction" | "textDocument/references" => ("context", json!({})),
        "textDocument/didChange" => ("contentChanges", json!([])),
        "workspace/symbol" => ("query", json!("")),
        "workspace/didChangeConfiguration" => ("settings", Value::Null),
        "textDocument/completion" => {
            // Unused, and lsp-types is strict about its form.
            object.remove("context");
            return;
        }
        _ => return,
    };
    let (name, default) = missing;
    let value = object.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = default;
    }
}

fn text_document(value: Value, dropped: &mut Dropped) -> Option<Value> {
    let Value::Object(mut document) = value else {
        return None;
    };
    let version = document.get("version").filter(|version| !version.is_null());
    let number = version
        .and_then(integer)
        .and_then(|number| i32::try_from(number).ok());
    if version.is_some() && number.is_none() {
        dropped.push("textDocument.version");
    }
    document.insert("version".to_owned(), number.unwrap_or(NO_VERSION).into());
    for (name, path) in [
        ("languageId", "textDocument.languageId"),
        ("text", "textDocument.text"),
    ] {
        let value = document.entry(name).or_insert(Value::Null);
        if !value.is_string() {
            if !value.is_null() {
                dropped.push(path);
            }
            *value = json!("");
        }
    }
    Some(Value::Object(document))
}

/// A position; a missing line or column becomes `default`.
fn position(value: &Value, default: i64) -> Option<Value> {
    let of = |name: &str| match value.get(name) {
        None | Some(Value::Null) => Some(default),
        Some(number) => integer(number).map(|number| number.clamp(0, LAST)),
    };
    value.is_object().then_some(())?;
    Some(json!({"line": of("line")?, "character": of("character")?}))
}

fn range(value: &Value) -> Option<Value> {
    let start = value.get("start").filter(|start| !start.is_null())?;
    let end = value
        .get("end")
        .filter(|end| !end.is_null())
        .unwrap_or(start);
    Some(json!({"start": position(start, 0)?, "end": position(end, LAST)?}))
}

fn changes(value: Value, dropped: &mut Dropped) -> Option<Value> {
    let changes = match value {
        Value::Array(changes) => changes,
        change @ Value::Object(_) => vec![change],
        _ => return None,
    };
    let mut usable = Vec::with_capacity(changes.len());
    for change in changes {
        match self::change(change) {
            Some(change) => usable.push(change),
            None => dropped.push("contentChanges[]"),
        }
    }
    Some(Value::Array(usable))
}

fn change(mut value: Value) -> Option<Value> {
    let object = value.as_object_mut()?;
    // Deprecated, and sometimes -1.
    object.remove("rangeLength");
    match object.get("range") {
        None => {}
        Some(Value::Null) => {
            object.remove("range");
        }
        Some(given) => {
            let range = range(given)?;
            object.insert("range".to_owned(), range);
        }
    }
    object.get("text")?.is_string().then_some(value)
}

fn context(mut value: Value) -> Value {
    let mut given = |name: &str| value.get_mut(name).map(Value::take).unwrap_or_default();
    let mut diagnostics = match given("diagnostics") {
        Value::Array(diagnostics) => diagnostics,
        _ => Vec::new(),
    };
    diagnostics.retain(is_ours);
    let declaration = given("includeDeclaration").as_bool().unwrap_or_default();
    let mut context = json!({"diagnostics": diagnostics, "includeDeclaration": declaration});
    let only = match given("only") {
        Value::String(kind) => vec![Value::String(kind)],
        Value::Array(kinds) => kinds.into_iter().filter(Value::is_string).collect(),
        _ => Vec::new(),
    };
    if !only.is_empty() {
        context["only"] = only.into();
    }
    let trigger = integer(&given("triggerKind"));
    if let Some(trigger) = trigger.and_then(|kind| i32::try_from(kind).ok()) {
        context["triggerKind"] = trigger.into();
    }
    context
}

/// Whether a diagnostic is one of ours that an editor sent back.
fn is_ours(value: &Value) -> bool {
    value
        .get("source")
        .is_some_and(|source| source == OUR_SOURCE)
        && Diagnostic::deserialize(value).is_ok()
}

fn arguments(value: Value) -> Value {
    let mut arguments = match value {
        Value::Array(arguments) => arguments,
        Value::Null => Vec::new(),
        argument => vec![argument],
    };
    for argument in &mut arguments {
        if is_empty_table(argument) {
            *argument = json!({});
        }
    }
    arguments.into()
}

/// A progress token, or null if there is none.
fn token(value: Value) -> Option<Value> {
    match &value {
        Value::Null | Value::String(_) => Some(value),
        number => {
            let number = integer(number).and_then(|number| i32::try_from(number).ok());
            number.map(Value::from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_lsp::lsp_types::{
        CodeActionParams, CompletionParams, DidChangeTextDocumentParams, DidOpenTextDocumentParams,
        ExecuteCommandParams, HoverParams, ReferenceParams, WorkspaceSymbolParams,
    };

    fn read<P: serde::de::DeserializeOwned>(method: &str, given: Value) -> (P, Vec<&'static str>) {
        let (params, dropped) = params(method, Some(given.clone()));
        let params = serde_json::from_value(params.unwrap());
        (
            params.unwrap_or_else(|error| panic!("{given}: {error}")),
            dropped,
        )
    }

    fn place() -> Value {
        json!({"start": {"line": 0, "character": 1}, "end": {"line": 0, "character": 2}})
    }

    #[test]
    fn documents_without_a_version_or_a_language_are_opened() {
        for (document, version, dropped) in [
            (
                json!({"languageId": null, "version": null}),
                NO_VERSION,
                vec![],
            ),
            (json!({}), NO_VERSION, vec![]),
            (json!({"languageId": "rust", "version": 3.0}), 3, vec![]),
            (
                json!({"version": 5_000_000_000_u64}),
                NO_VERSION,
                vec!["textDocument.version"],
            ),
            (
                json!({"version": "x", "languageId": 7}),
                NO_VERSION,
                vec!["textDocument.version", "textDocument.languageId"],
            ),
        ] {
            let mut given = json!({"textDocument": document});
            given["textDocument"]["uri"] = json!("file:///a");
            given["textDocument"]["text"] = json!("text");
            let (open, named) = read::<DidOpenTextDocumentParams>("textDocument/didOpen", given);
            assert_eq!(open.text_document.text, "text");
            assert_eq!(
                (open.text_document.version, named),
                (version, dropped),
                "{document}"
            );
        }
    }

    #[test]
    fn malformed_changes_lose_no_edit() {
        let change = |range: Value| {
            let document = json!({"uri": "file:///a", "version": null});
            let changes = json!([{"text": "x", "rangeLength": -1, "range": range}]);
            let given = json!({"textDocument": document, "contentChanges": changes});
            let (params, dropped) =
                read::<DidChangeTextDocumentParams>("textDocument/didChange", given);
            (
                params.content_changes.first().map(|change| change.range),
                dropped,
            )
        };
        let at = |line, from, to| {
            use tower_lsp::lsp_types::{Position, Range};
            Some(Some(Range::new(
                Position::new(line, from),
                Position::new(line, to),
            )))
        };
        assert_eq!(change(Value::Null), (Some(None), vec![]));
        assert_eq!(change(place()), (at(0, 1, 2), vec![]));
        let mut odd = place();
        odd["start"]["character"] = json!(-1);
        odd["end"]["character"] = json!(1.7976931348623157e308);
        assert_eq!(change(odd.clone()), (at(0, 0, i32::MAX as u32), vec![]));
        odd["end"]["character"] = Value::Null;
        assert_eq!(change(odd.clone()), (at(0, 0, i32::MAX as u32), vec![]));
        odd["end"]["character"] = json!(18_446_744_073_709_551_615_u64);
        assert_eq!(change(odd), (at(0, 0, i32::MAX as u32), vec![]));
        // As a change without a range it would replace the whole document.
        for unusable in [
            json!([]),
            json!({}),
            json!({"start": {"line": "1"}}),
            json!(7),
        ] {
            assert_eq!(change(unusable), (None, vec!["contentChanges[]"]));
        }
    }

    #[test]
    fn diagnostics_of_others_lose_no_action() {
        let ours = json!({"range": place(), "message": "gone", "source": OUR_SOURCE});
        let other = |field: &str, value: Value| {
            let mut one = json!({"range": place(), "message": "m", "source": "other"});
            one[field] = value;
            one
        };
        let given = json!({
            "textDocument": {"uri": "file:///a"},
            "range": place(),
            "context": {"triggerKind": 1.0, "only": "quickfix", "diagnostics": [
                other("codeDescription", json!({"href": ""})),
                other("code", json!(4_294_967_295_u32)),
                other("range", json!({"start": {"line": 0, "character": -1}})),
                other("message", json!({"kind": "markdown", "value": "x"})),
                ours, 7, null,
            ]},
        });
        let (params, dropped) = read::<CodeActionParams>("textDocument/codeAction", given);
        assert_eq!(params.context.diagnostics.len(), 1);
        assert_eq!(params.context.only.unwrap().len(), 1);
        assert_eq!(
            (params.context.trigger_kind.is_some(), dropped),
            (true, vec![])
        );
        for context in [
            Value::Null,
            json!([]),
            json!({"diagnostics": null, "only": [], "triggerKind": "x"}),
        ] {
            let given =
                json!({"textDocument": {"uri": "file:///a"}, "range": place(), "context": context});
            let (params, _) = read::<CodeActionParams>("textDocument/codeAction", given);
            assert_eq!(
                (params.context.only, params.context.trigger_kind),
                (None, None)
            );
        }
    }

    #[test]
    fn empty_tables_and_odd_options() {
        let document = json!({"uri": "file:///a"});
        let at = json!({"line": 0, "character": 3_000_000_000_u32});
        let given = json!({"textDocument": document, "position": at, "workDoneToken": true, "partialResultToken": null});
        let (params, dropped) = read::<HoverParams>("textDocument/hover", given);
        let position = params.text_document_position_params.position;
        assert_eq!(
            (position.character, dropped),
            (i32::MAX as u32, vec!["workDoneToken"])
        );
        let given = json!({"textDocument": document, "position": {"line": 1}, "context": {"triggerKind": []}});
        read::<CompletionParams>("textDocument/completion", given.clone());
        read::<ReferenceParams>("textDocument/references", given);
        read::<WorkspaceSymbolParams>("workspace/symbol", json!([]));
        for (arguments, expected) in [
            (json!([[]]), vec![json!({})]),
            (json!([]), vec![]),
            (Value::Null, vec![]),
            (json!({"query": "x"}), vec![json!({"query": "x"})]),
            (json!(["x", 1]), vec![json!("x"), json!(1)]),
        ] {
            let given = json!({"command": "c", "arguments": arguments});
            let (params, _) = read::<ExecuteCommandParams>("workspace/executeCommand", given);
            assert_eq!(params.arguments, expected);
        }
    }

    #[test]
    fn unknown_fields_are_left_alone() {
        for (method, given) in [
            ("test/x", Some(json!({"range": 7}))),
            ("textDocument/hover", Some(json!([1]))),
            ("window/x", None),
        ] {
            assert_eq!(params(method, given.clone()), (given, vec![]));
        }
    }
}
