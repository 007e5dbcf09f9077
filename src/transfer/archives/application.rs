//! The application of an imported conversation, which says where it came from.

use serde_json::{Map, Value, json};

use super::ids::made;

/// The application of conversations from `label`, the name that people read and search for. `name` is one of the
/// API's names, because strict clients know no others: `UNKNOWN` if the API has none.
pub(super) fn application(label: &str, name: &str) -> Value {
    json!({
        "id": made("application", "name", label),
        "name": name,
        "label": label,
        "version": "0",
        "platform": "UNKNOWN",
        "onboarded": false,
        "privacy": "OPEN",
    })
}

/// Completes `{"label": …}` in a conversation of the exchange format.
pub(in crate::transfer) fn complete(conversation: &mut Value) {
    let Some(given) = conversation.get_mut("application") else {
        return;
    };
    let label = match &*given {
        Value::String(label) => label.clone(),
        Value::Object(given) if !given.contains_key("id") => {
            let label = given
                .get("label")
                .or(given.get("name"))
                .and_then(Value::as_str);
            label.unwrap_or_default().to_owned()
        }
        _ => return,
    };
    let whole = application(&label, "UNKNOWN");
    let mut whole: Map<String, Value> = whole.as_object().cloned().unwrap_or_default();
    if let Value::Object(given) = &*given {
        let kept = given.iter().filter(|(key, _)| *key != "name");
        whole.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
    }
    *given = whole.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_becomes_an_application() {
        let labelled = json!({"application": application("My tool", "UNKNOWN")});
        for short in [
            json!("My tool"),
            json!({"label": "My tool"}),
            json!({"name": "My tool"}),
        ] {
            let mut conversation = json!({"application": short});
            complete(&mut conversation);
            assert_eq!(conversation, labelled);
        }
        let mut conversation = labelled.clone();
        complete(&mut conversation);
        assert_eq!(conversation, labelled);
        let mut none = json!({"name": "x"});
        complete(&mut none);
        assert_eq!(none, json!({"name": "x"}));
    }
}
