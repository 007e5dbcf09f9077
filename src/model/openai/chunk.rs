//! Parses one chunk of a stream, in all the variants that servers send.

use serde_json::Value;

use crate::json;
use crate::model::Usage;

/// The content of a chunk.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The next words.
    pub(super) text: String,
    /// It has a thought.
    pub(super) thinking: bool,
    /// Why the model finished.
    pub(super) finish: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
    /// It has a part of a tool call, which is not run.
    pub(super) tools: bool,
    /// The endpoint's sentence about its failure, which may be empty.
    pub(super) error: Option<String>,
}

/// Parses the data of an event: usually one chunk. An event may have several JSON texts, because some servers forget
/// the blank lines. `None` if it is not JSON.
pub(super) fn parse(data: &[u8]) -> Option<Vec<Chunk>> {
    let read = |data: &[u8]| {
        let values = serde_json::Deserializer::from_slice(data).into_iter::<Value>();
        let chunks = values.map(|value| value.map(|value| chunk(&value)));
        chunks.collect::<Result<Vec<Chunk>, _>>()
    };
    json::with_repair(data, read).ok()
}

/// Reads one chunk, or a complete answer that is one object.
pub(super) fn chunk(value: &Value) -> Chunk {
    let choices = value.get("choices").and_then(Value::as_array);
    // Only one answer is asked for; some servers leave the index out.
    let choice = choices.into_iter().flatten().find(|choice| {
        let index = choice.get("index").and_then(Value::as_u64);
        index.is_none_or(|index| index == 0)
    });
    let mut chunk = Chunk {
        error: error(value).or_else(|| error(choice?)),
        usage: usage(value).or_else(|| usage(choice?)),
        model: non_empty(value.get("model")),
        ..Chunk::default()
    };
    let Some(choice) = choice else {
        return chunk;
    };
    chunk.finish = non_empty(choice.get("finish_reason"));
    let message = ["delta", "message"]
        .into_iter()
        .find_map(|name| choice.get(name).filter(|one| one.is_object()));
    let fields = message.and_then(Value::as_object).into_iter().flatten();
    for (name, field) in fields {
        match name.as_str() {
            "content" | "refusal" => content(field, &mut chunk),
            "tool_calls" | "function_call" => chunk.tools |= has_content(field),
            name if name.starts_with("reasoning") || name.starts_with("thinking") => {
                chunk.thinking |= has_content(field);
            }
            _ => {}
        }
    }
    chunk
}

/// A text, or a list of parts.
fn content(value: &Value, chunk: &mut Chunk) {
    match value {
        Value::String(text) => chunk.text.push_str(text),
        Value::Array(parts) => {
            for part in parts {
                let kind = part.get("type").and_then(Value::as_str);
                let text = part.get("text").and_then(Value::as_str);
                match (kind, part.as_str(), text) {
                    (_, Some(text), _) => chunk.text.push_str(text),
                    (Some("thinking" | "reasoning"), _, _) => chunk.thinking = true,
                    (Some("text" | "output_text") | None, _, Some(text)) => {
                        chunk.text.push_str(text)
                    }
                    // Parts other than text, such as references.
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn has_content(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

fn non_empty(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// The failure that a value reports, as `error` or as an object that is one.
pub(super) fn error(value: &Value) -> Option<String> {
    let is_one = ["object", "type"]
        .iter()
        .any(|name| value.get(name).is_some_and(|kind| kind == "error"));
    let error = match value.get("error") {
        Some(Value::Null | Value::Bool(false)) | None if is_one => value,
        Some(Value::Null | Value::Bool(false)) | None => return None,
        Some(error) => error,
    };
    Some(sentence(error))
}

/// The sentence in an error: servers put it in several places.
pub(super) fn sentence(error: &Value) -> String {
    if let Value::String(text) = error {
        return text.clone();
    }
    let named = ["message", "detail", "msg", "error"]
        .iter()
        .find_map(|name| error.get(name));
    match named {
        Some(Value::String(text)) => text.clone(),
        Some(inner @ Value::Object(_)) => {
            let text = inner.get("message").and_then(Value::as_str);
            text.map_or_else(|| inner.to_string(), str::to_owned)
        }
        _ => error.to_string(),
    }
}

/// Tokens as the server counted them. Some report zeros for what they do not know.
fn usage(value: &Value) -> Option<Usage> {
    let usage = value
        .get("usage")
        .or_else(|| value.get("x_groq")?.get("usage"))?;
    let count = |name: &str| {
        let count = usage.get(name)?.as_u64()?;
        u32::try_from(count).ok()
    };
    let usage = Usage {
        prompt: count("prompt_tokens")?,
        completion: count("completion_tokens").unwrap_or(0),
    };
    (usage.prompt > 0).then_some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> Chunk {
        let mut chunks = parse(json.as_bytes()).unwrap();
        assert_eq!(chunks.len(), 1, "{json}");
        chunks.remove(0)
    }

    fn delta(delta: &str) -> Chunk {
        one(&format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#))
    }

    #[test]
    fn words_and_thoughts() {
        let table = [
            (r#"{"content":"a"}"#, "a", false),
            (r#"{"role":"assistant","content":null}"#, "", false),
            (r#"{"role":"assistant","content":""}"#, "", false),
            (
                r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
                "ab",
                false,
            ),
            (
                r#"{"content":["a",{"text":"b"},{"type":"reference","text":"c"},7]}"#,
                "ab",
                false,
            ),
            (
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}"#,
                "",
                true,
            ),
            (
                r#"{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"b"}]}"#,
                "b",
                true,
            ),
            (r#"{"reasoning":"a"}"#, "", true),
            (r#"{"reasoning_content":"a","content":""}"#, "", true),
            (r#"{"reasoning_text":"a","content":"b"}"#, "b", true),
            (r#"{"reasoning_details":[{"summary":"a"}]}"#, "", true),
            (
                r#"{"reasoning_content":null,"reasoning":"","content":"b"}"#,
                "b",
                false,
            ),
            (r#"{"refusal":"I cannot."}"#, "I cannot.", false),
            (r#"{"content":"a\ud83d"}"#, "a\u{fffd}", false),
            (r#"{"content":7}"#, "", false),
            ("null", "", false),
            ("[]", "", false),
        ];
        for (json, text, thinking) in table {
            let chunk = delta(json);
            assert_eq!((&*chunk.text, chunk.thinking), (text, thinking), "{json}");
        }
    }

    #[test]
    fn choices_may_be_missing_null_empty_or_several() {
        for json in [
            "{}",
            r#"{"choices":null}"#,
            r#"{"choices":[]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#,
            "7",
            "null",
            "[]",
        ] {
            assert_eq!(one(json), Chunk::default(), "{json}");
        }
        let chunk = one(
            r#"{"choices":[{"index":1,"delta":{"content":"x"}},{"index":0,"delta":{"content":"y"}}]}"#,
        );
        assert_eq!(chunk.text, "y");
        let chunk =
            one(r#"{"choices":[{"delta":{"content":"y"},"finish_reason":"stop"}],"model":"m"}"#);
        assert_eq!(
            (
                &*chunk.text,
                chunk.finish.as_deref(),
                chunk.model.as_deref()
            ),
            ("y", Some("stop"), Some("m"))
        );
        let whole = one(
            r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"all"},"finish_reason":"stop"}]}"#,
        );
        assert_eq!(whole.text, "all");
    }

    #[test]
    fn usage_is_found_anywhere() {
        let expected = Some(Usage {
            prompt: 5,
            completion: 7,
        });
        for json in [
            r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#,
            r#"{"choices":null,"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#,
            r#"{"choices":[{"index":0,"delta":{},"usage":{"prompt_tokens":5,"completion_tokens":7}}]}"#,
            r#"{"x_groq":{"usage":{"prompt_tokens":5,"completion_tokens":7}}}"#,
        ] {
            assert_eq!(one(json).usage, expected, "{json}");
        }
        for json in [
            r#"{"usage":null}"#,
            r#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
            r#"{"usage":{"prompt_tokens":-1}}"#,
            r#"{"usage":7}"#,
        ] {
            assert_eq!(one(json).usage, None, "{json}");
        }
    }

    #[test]
    fn errors_win_wherever_they_are() {
        for (json, expected) in [
            (r#"{"error":{"message":"no","code":500}}"#, Some("no")),
            (r#"{"error":"no"}"#, Some("no")),
            (
                r#"{"object":"error","message":"no","code":40303}"#,
                Some("no"),
            ),
            (
                r#"{"type":"error","error":{"type":"x","message":"no"}}"#,
                Some("no"),
            ),
            (
                r#"{"choices":[{"delta":{"content":""},"error":{"message":"no"}}]}"#,
                Some("no"),
            ),
            (r#"{"error":{"code":7}}"#, Some(r#"{"code":7}"#)),
            (r#"{"error":null,"choices":[]}"#, None),
            (r#"{"error":false}"#, None),
        ] {
            assert_eq!(one(json).error.as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn tool_calls_are_seen() {
        assert!(delta(r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#).tools);
        assert!(delta(r#"{"function_call":{"name":"f"}}"#).tools);
        assert!(!delta(r#"{"tool_calls":null,"content":"x"}"#).tools);
        assert!(!delta(r#"{"tool_calls":[]}"#).tools);
    }

    #[test]
    fn several_texts_in_one_event_and_no_json() {
        let texts = |data: &str| parse(data.as_bytes()).map(|chunks| chunks.len());
        assert_eq!(texts("{}\n{}"), Some(2));
        assert_eq!(texts(""), Some(0));
        assert_eq!(texts("{"), None);
        assert_eq!(texts("[DONE]"), None);
        assert_eq!(texts("hello"), None);
    }
}
