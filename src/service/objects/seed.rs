//! Reading what a client sends, with errors that name the field.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::service::Failure;

/// A JSON object being taken apart.
pub(crate) struct Seed(Map<String, Value>);

impl Seed {
    pub(crate) fn object(value: Value, name: &str) -> Result<Self, Failure> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(Failure::invalid(format!("`{name}` must be a JSON object."))),
        }
    }

    pub(crate) fn empty() -> Self {
        Self(Map::new())
    }

    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    pub(crate) fn map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Removes a field; `null` counts as absent.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|value| !value.is_null())
    }

    pub(crate) fn take_object(&mut self, key: &str) -> Result<Option<Self>, Failure> {
        self.take(key)
            .map(|value| Self::object(value, key))
            .transpose()
    }

    pub(crate) fn take_array(&mut self, key: &str) -> Result<Vec<Value>, Failure> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Failure::invalid(format!("`{key}` must be an array."))),
        }
    }

    /// A non-empty string that must be there.
    pub(crate) fn required(&self, key: &str) -> Result<&str, Failure> {
        self.optional(key)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Failure::invalid(format!("`{key}` is required.")))
    }

    pub(crate) fn optional(&self, key: &str) -> Result<Option<&str>, Failure> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::invalid(format!("`{key}` must be a string."))),
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    pub(crate) fn set_default(&mut self, key: &str, value: impl Into<Value>) {
        set_default(&mut self.0, key, value);
    }

    /// The id in a reference field (`{"id": …}`) or a plain id string.
    pub(crate) fn take_reference(&mut self, key: &str) -> Result<Option<String>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(reference)) => uuid(reference.get("id"), key).map(Some),
            Some(value) => uuid(Some(&value), key).map(Some),
        }
    }

    /// The live ids of a `Flattened…` wrapper: `iterable` and `indices` together, less those that
    /// `indices` marks as removed.
    pub(crate) fn take_ids(&mut self, key: &str) -> Result<Vec<String>, Failure> {
        let Some(wrapper) = self.take_object(key)? else {
            return Ok(Vec::new());
        };
        let indices = wrapper.0.get("indices").and_then(Value::as_object);
        let removed = |id: &str| {
            indices
                .and_then(|all| all.get(id))
                .and_then(Value::as_i64)
                .is_some_and(|at| at < 0)
        };
        let listed = wrapper
            .0
            .get("iterable")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let mut ids = Vec::new();
        for reference in listed {
            ids.push(uuid(reference.get("id"), key)?);
        }
        for id in indices.into_iter().flat_map(Map::keys) {
            let id = uuid(Some(&Value::String(id.clone())), key)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.retain(|id| !removed(id));
        Ok(ids)
    }
}

/// Sets a field that is absent or `null`.
pub(crate) fn set_default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// A UUID in its one spelling.
pub(crate) fn uuid(value: Option<&Value>, name: &str) -> Result<String, Failure> {
    value
        .and_then(Value::as_str)
        .and_then(|text| Uuid::parse_str(text).ok())
        .map(|id| id.to_string())
        .ok_or_else(|| Failure::invalid(format!("`{name}` must be a UUID.")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";
    const B: &str = "6d0f7c3a-52a3-4c1e-8f53-9f4f7a3b9e21";

    #[test]
    fn ids_of_a_wrapper_are_the_union_less_what_was_removed() {
        for (wrapper, expected) in [
            (
                json!({"iterable": [{"id": A}], "indices": {B: 1}}),
                vec![A, B],
            ),
            (
                json!({"iterable": [{"id": A}, {"id": B}], "indices": {A: -1}}),
                vec![B],
            ),
            (json!({"indices": {A: 0}}), vec![A]),
            (json!({}), vec![]),
            (json!(null), vec![]),
        ] {
            let mut seed = Seed::object(json!({"assets": wrapper}), "x").unwrap();
            assert_eq!(seed.take_ids("assets").unwrap(), expected);
        }
    }

    #[test]
    fn wrong_types_name_the_field() {
        for (field, value) in [
            ("assets", json!(3)),
            ("assets", json!({"iterable": [{"id": "x"}]})),
        ] {
            let mut seed = Seed::object(json!({field: value}), "x").unwrap();
            let Err(Failure::Invalid(text)) = seed.take_ids(field) else {
                panic!("accepted")
            };
            assert!(text.contains("`assets`"), "{text}");
        }
    }
}
