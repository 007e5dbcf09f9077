//! Reads seeds of clients, with errors that name the field.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::json::plural::live_ids;
use crate::service::Failure;

/// A JSON object whose fields are taken one by one.
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

    /// A required non-empty string.
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

    /// The members of a `Flattened…` wrapper, by the rules of [`live_ids`]. Refuses an id that is not a UUID.
    pub(crate) fn take_ids(&mut self, key: &str) -> Result<Vec<String>, Failure> {
        let Some(Self(wrapper)) = self.take_object(key)? else {
            return Ok(Vec::new());
        };
        let listed = wrapper.get("iterable").and_then(Value::as_array);
        for reference in listed.into_iter().flatten() {
            uuid(reference.get("id"), key)?;
        }
        let indices = wrapper.get("indices").and_then(Value::as_object);
        for id in indices.into_iter().flat_map(Map::keys) {
            parse_uuid(Some(id), key)?;
        }
        let ids = live_ids(&Value::Object(wrapper)).into_iter();
        Ok(ids.map(|id| id.to_string()).collect())
    }

    /// How many ids a `Flattened…` wrapper has, including duplicates and removed ones.
    pub(crate) fn count_ids(&self, key: &str) -> usize {
        let part = |name: &str| self.0.get(key)?.get(name);
        let listed = part("iterable")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let indices = part("indices")
            .and_then(Value::as_object)
            .map_or(0, Map::len);
        listed.max(indices)
    }
}

/// Sets a field if it is absent or `null`.
pub(crate) fn set_default(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// A UUID in its canonical spelling.
pub(crate) fn uuid(value: Option<&Value>, name: &str) -> Result<String, Failure> {
    parse_uuid(value.and_then(Value::as_str), name)
}

fn parse_uuid(text: Option<&str>, name: &str) -> Result<String, Failure> {
    text.and_then(|text| Uuid::parse_str(text).ok())
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
                vec![B, A],
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

    #[test]
    fn taking_ids_is_linear() {
        // Quadratic work on this many would take minutes.
        let many = 200_000_u128;
        let id = |n| Uuid::from_u128(n).to_string();
        let indices: Map<_, _> = (0..many).map(|n| (id(n), 0.into())).collect();
        let listed: Vec<_> = (0..many).map(|n| json!({"id": id(n)})).collect();
        let wrapper = json!({"iterable": listed, "indices": indices});
        let mut seed = Seed::object(json!({"assets": wrapper}), "x").unwrap();
        assert_eq!(seed.count_ids("assets"), 200_000);
        assert_eq!(seed.take_ids("assets").unwrap().len(), 200_000);
    }
}
