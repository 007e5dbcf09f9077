//! Reads the JSON argument of a command.

use crate::lsp::rpc::error::invalid;
use crate::lsp::rpc::lenient::{integer, is_empty_table};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower_lsp::jsonrpc::Result;
use uuid::Uuid;

/// A field that may be absent or null.
pub(super) fn field<'a>(argument: &'a Value, name: &str) -> Option<&'a Value> {
    argument.get(name).filter(|value| !value.is_null())
}

/// The id in field `name`, or a bare string.
pub(super) fn id(argument: &Value, name: &str) -> Result<Uuid> {
    let text = argument.as_str().or_else(|| argument.get(name)?.as_str());
    text.and_then(|text| Uuid::parse_str(text).ok())
        .ok_or_else(|| invalid(format!("`{name}` must be an id (a UUID).")))
}

/// The id in field `name`, if there is one.
pub(super) fn optional_id(argument: &Value, name: &str) -> Result<Option<Uuid>> {
    field(argument, name)
        .map(|_| id(argument, name))
        .transpose()
}

/// A flag that may be absent.
pub(super) fn flag(argument: &Value, name: &str) -> Result<Option<bool>> {
    let wrong = || invalid(format!("`{name}` must be true or false."));
    field(argument, name)
        .map(|value| value.as_bool().ok_or_else(wrong))
        .transpose()
}

/// A count that may be absent.
pub(super) fn number(argument: &Value, name: &str, default: usize) -> Result<usize> {
    let wrong = || invalid(format!("`{name}` must be a whole number, 0 or more."));
    field(argument, name).map_or(Ok(default), |value| {
        integer(value)
            .and_then(|value| usize::try_from(value).ok())
            .ok_or_else(wrong)
    })
}

/// A text that may be absent.
pub(super) fn text<'a>(argument: &'a Value, name: &str) -> Result<Option<&'a str>> {
    let wrong = || invalid(format!("`{name}` must be a string."));
    field(argument, name)
        .map(|value| value.as_str().ok_or_else(wrong))
        .transpose()
}

/// An LSP structure that may be absent; `what` names the expected type in the error.
pub(super) fn structure<T: DeserializeOwned>(
    argument: &Value,
    name: &str,
    what: &str,
) -> Result<Option<T>> {
    let wrong = |_| invalid(format!("`{name}` must be {what}."));
    field(argument, name)
        .filter(|value| !is_empty_table(value))
        .map(|value| T::deserialize(value).map_err(wrong))
        .transpose()
}

/// A list; `None` if it is absent, which differs from empty. `what` names the expected type in the error.
pub(super) fn list<T: DeserializeOwned>(
    argument: &Value,
    name: &str,
    what: &str,
) -> Result<Option<Vec<T>>> {
    let wrong = |_| invalid(format!("`{name}` must be {what}."));
    field(argument, name)
        .map(|value| <Vec<T> as serde::Deserialize>::deserialize(value).map_err(wrong))
        .transpose()
}

/// A URI that may be absent.
pub(super) fn uri(argument: &Value, name: &str) -> Result<Option<url::Url>> {
    structure(argument, name, "a URI")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tower_lsp::lsp_types::Range;

    #[test]
    fn wrong_types_name_the_field() {
        let check = |outcome: Result<()>, name: &str| {
            let error = outcome.unwrap_err();
            assert!(error.message.contains(&format!("`{name}`")), "{error}");
            assert_eq!(error.code.code(), -32602);
        };
        let argument = json!({"conversation": 7, "confirm": "no", "limit": -1, "query": [], "uri": "x",
            "range": {"start": 1}});
        check(id(&argument, "conversation").map(drop), "conversation");
        check(id(&json!({}), "conversation").map(drop), "conversation");
        check(
            id(&json!("nothing"), "conversation").map(drop),
            "conversation",
        );
        check(flag(&argument, "confirm").map(drop), "confirm");
        check(number(&argument, "limit", 1).map(drop), "limit");
        check(text(&argument, "query").map(drop), "query");
        check(uri(&argument, "uri").map(drop), "uri");
        check(list::<Uuid>(&argument, "uri", "a list").map(drop), "uri");
        check(
            structure::<Range>(&argument, "range", "a range").map(drop),
            "range",
        );
    }

    #[test]
    fn numbers_may_be_floats_and_objects_empty_tables() {
        let argument = json!({"limit": 3.0, "offset": 1.5, "range": []});
        assert_eq!(number(&argument, "limit", 1), Ok(3));
        assert!(number(&argument, "offset", 1).is_err());
        assert_eq!(structure::<Range>(&argument, "range", "a range"), Ok(None));
    }

    #[test]
    fn absent_and_null_are_the_same() {
        for argument in [json!({}), json!({"a": null}), Value::Null] {
            assert_eq!(flag(&argument, "a"), Ok(None));
            assert_eq!(number(&argument, "a", 100), Ok(100));
            assert_eq!(text(&argument, "a"), Ok(None));
            assert_eq!(optional_id(&argument, "a"), Ok(None));
        }
    }

    #[test]
    fn an_empty_list_is_there() {
        let found = list::<Uuid>(&json!({"a": []}), "a", "a list");
        assert_eq!(found, Ok(Some(Vec::new())));
        assert_eq!(list::<Uuid>(&json!({"a": null}), "a", "a list"), Ok(None));
    }
}
