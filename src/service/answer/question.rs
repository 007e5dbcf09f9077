//! Parses questions of WS `/qgpt/stream` and the REST routes of asking.

use serde_json::{Map, Value};

use crate::model::{Choice, prompt};
use crate::pieces::OWN;

/// One frame of a client.
pub(crate) struct Frame {
    /// Returned in every frame of the answer.
    pub(crate) request: Option<Value>,
    pub(crate) conversation: Option<String>,
    /// Whether the client understands our own field.
    pub(crate) ours: bool,
    pub(crate) input: Input,
}

/// The request of a frame.
pub(crate) enum Input {
    /// A question to a model.
    Ask(Box<Question>),
    /// Stop the answer of the conversation; without one, all of this socket.
    Stop,
    /// Stop all answers of this socket.
    Reset,
    /// A search for relevant objects, which the service does not have.
    Search,
    /// It cannot be read; one sentence.
    Invalid(String),
}

/// A question to a model.
#[derive(Default)]
pub(crate) struct Question {
    pub(crate) prompt: String,
    /// The id of the application that asks.
    pub(crate) application: Option<String>,
    /// An id of `GET /models`.
    pub(crate) model: Option<String>,
    /// Texts that the client sent along.
    pub(crate) seeds: Vec<prompt::Text>,
    /// Absolute paths.
    pub(crate) paths: Vec<String>,
    /// Ids.
    pub(crate) anchors: Vec<String>,
    /// Ids.
    pub(crate) assets: Vec<String>,
    /// Fields that only editor windows send.
    pub(crate) own: Option<Own>,
}

/// The member `pieces_lsp` of a question.
#[derive(Default)]
pub(crate) struct Own {
    /// The endpoint that the asking side decided on; `Some(None)`: it has none.
    pub(crate) endpoint: Option<Option<Choice>>,
    /// The name of the model.
    pub(crate) model: Option<String>,
    /// The unanswered question that is asked again.
    pub(crate) question: Option<String>,
    pub(crate) texts: Vec<prompt::Text>,
    /// What of these the asking side cut, with the whole length, or left out.
    pub(crate) cut: Vec<prompt::Context>,
    /// The text to store in place of the prompt.
    pub(crate) stored: Option<String>,
    /// Files that the question names, as they are stored: `[{path, size, sha256}]`.
    pub(crate) named: Option<Value>,
    /// A dry run.
    pub(crate) dry_run: bool,
}

impl Frame {
    /// Reads a frame. `None` if it is not a JSON object.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut frame)) = crate::json::from_slice(text) else {
            return None;
        };
        let own = frame.remove(OWN);
        Some(Self {
            request: frame.remove("request").filter(|value| !value.is_null()),
            conversation: text_of(&frame, "conversation"),
            ours: own.is_some(),
            input: input(frame, own).unwrap_or_else(Input::Invalid),
        })
    }
}

fn input(mut frame: Map<String, Value>, own: Option<Value>) -> Result<Input, String> {
    let is_set = |key: &str| frame.get(key) == Some(&Value::Bool(true));
    if is_set("reset") {
        return Ok(Input::Reset);
    }
    if is_set("stop") {
        return Ok(Input::Stop);
    }
    let mut take = |key: &str| frame.remove(key).filter(|value| !value.is_null());
    match (take("relevance"), take("question")) {
        (Some(_), Some(_)) => Err("Send `relevance` or `question`, not both.".to_owned()),
        (None, None) => Err("`relevance` or `question` is required.".to_owned()),
        (Some(relevance), None) => relevance_input(relevance, own),
        (None, Some(question)) => Question::of_question(question, own).map(Input::ask),
    }
}

fn relevance_input(relevance: Value, own: Option<Value>) -> Result<Input, String> {
    let asks = relevance
        .get("options")
        .and_then(|options| options.get("question"));
    if asks != Some(&Value::Bool(true)) {
        return Ok(Input::Search);
    }
    Question::of_relevance(relevance, own).map(Input::ask)
}

impl Input {
    fn ask(question: Question) -> Self {
        Self::Ask(Box::new(question))
    }
}

impl Question {
    /// A question of our own.
    pub(crate) fn plain(prompt: &str) -> Self {
        Self {
            prompt: prompt.to_owned(),
            ..Self::default()
        }
    }

    /// Reads a `QGPTRelevanceInput`.
    pub(crate) fn of_relevance(relevance: Value, own: Option<Value>) -> Result<Self, String> {
        let mut question = Self::base(&relevance, "relevance", own)?;
        let paths = relevance.get("paths").and_then(Value::as_array);
        let paths = paths.into_iter().flatten().filter_map(Value::as_str);
        question.paths.extend(paths.map(str::to_owned));
        question.assets.extend(ids(relevance.get("assets")));
        question.anchors.extend(ids(relevance.get("anchors")));
        question
            .seeds
            .extend(members(relevance.get("seeds")).filter_map(seed));
        Ok(question)
    }

    /// Reads a `QGPTQuestionInput`.
    pub(crate) fn of_question(value: Value, own: Option<Value>) -> Result<Self, String> {
        let mut question = Self::base(&value, "question", own)?;
        for relevant in members(value.get("relevant")) {
            let id = |key: &str| relevant.get(key)?.get("id")?.as_str().map(str::to_owned);
            question.seeds.extend(relevant.get("seed").and_then(seed));
            question.assets.extend(id("asset"));
            question.anchors.extend(id("anchor"));
            question.paths.extend(text_in(relevant, "path"));
        }
        Ok(question)
    }

    fn base(value: &Value, name: &str, own: Option<Value>) -> Result<Self, String> {
        if !value.is_object() {
            return Err(format!("`{name}` must be a JSON object."));
        }
        let own = own.map(Own::read).transpose()?;
        let prompt = text_in(value, "query").unwrap_or_default();
        let asked_again = own.as_ref().is_some_and(|own| own.question.is_some());
        if prompt.trim().is_empty() && !asked_again {
            return Err("`query` is required.".to_owned());
        }
        Ok(Self {
            prompt,
            application: text_in(value, "application"),
            model: text_in(value, "model"),
            own,
            ..Self::default()
        })
    }
}

impl Own {
    fn read(value: Value) -> Result<Self, String> {
        let Value::Object(mut own) = value else {
            return Err("`pieces_lsp` must be a JSON object.".to_owned());
        };
        let endpoint = match own.remove("endpoint") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(choice) => {
                Some(Some(serde_json::from_value(choice).map_err(|_| {
                    "`pieces_lsp.endpoint` cannot be read.".to_owned()
                })?))
            }
        };
        let list = |value: Option<Value>| match value {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let texts = list(own.remove("texts"));
        let texts = texts
            .iter()
            .map(|text| own_text(text).ok_or("`pieces_lsp.texts` cannot be read."));
        let cut = list(own.remove("cut")).into_iter();
        let cut = cut.filter_map(|one| serde_json::from_value(one).ok());
        Ok(Self {
            endpoint,
            model: text_of(&own, "model"),
            question: text_of(&own, "question"),
            texts: texts.collect::<Result<_, _>>()?,
            cut: cut.collect(),
            stored: text_of(&own, "stored"),
            // An empty list drops the files of earlier questions.
            named: own.remove("named").filter(Value::is_array),
            dry_run: own.get("dryRun") == Some(&Value::Bool(true)),
        })
    }
}

/// `{kind, name, uri?, range?: [first, last], text}`.
fn own_text(value: &Value) -> Option<prompt::Text> {
    let line = |at: usize| {
        let line = value.get("range")?.get(at)?.as_u64()?;
        u32::try_from(line).ok()
    };
    Some(prompt::Text {
        kind: serde_json::from_value(value.get("kind")?.clone()).ok()?,
        name: text_in(value, "name").unwrap_or_default(),
        uri: text_in(value, "uri"),
        lines: line(0).zip(line(1)),
        text: text_in(value, "text")?,
    })
}

/// The text of a `Seed`.
fn seed(value: &Value) -> Option<prompt::Text> {
    let asset = value.get("asset")?;
    let format = asset.get("format")?;
    let carrier = format.get("fragment").or_else(|| format.get("file"))?;
    let name = asset
        .get("metadata")
        .and_then(|metadata| text_in(metadata, "name"));
    Some(prompt::Text {
        kind: prompt::Kind::Document,
        name: name.unwrap_or_default(),
        uri: None,
        lines: None,
        text: text_in(carrier.get("string")?, "raw")?,
    })
}

/// The members of `{iterable: […]}`.
fn members(wrapper: Option<&Value>) -> impl Iterator<Item = &Value> {
    let listed = wrapper.and_then(|wrapper| wrapper.get("iterable")?.as_array());
    listed.into_iter().flatten()
}

fn ids(wrapper: Option<&Value>) -> impl Iterator<Item = String> {
    members(wrapper).filter_map(|member| text_in(member, "id"))
}

fn text_in(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn text_of(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(frame: &Value) -> Frame {
        Frame::read(frame.to_string().as_bytes()).unwrap()
    }

    fn asked(frame: &Value) -> Question {
        match read(frame).input {
            Input::Ask(question) => *question,
            _ => panic!("{frame} is not a question"),
        }
    }

    #[test]
    fn the_frame_of_the_published_cli_is_a_question() {
        let frame = json!({"relevance": {"application": "a", "model": "m", "options": {"question": true}, "query": "q"},
                           "conversation": "c", "request": "r"});
        let question = asked(&frame);
        assert_eq!(
            (question.prompt.as_str(), question.model.as_deref()),
            ("q", Some("m"))
        );
        let frame = read(&frame);
        assert_eq!(frame.conversation.as_deref(), Some("c"));
        assert_eq!(frame.request, Some("r".into()));
        assert!(!frame.ours);
    }

    #[test]
    fn everything_that_a_question_refers_to_is_found() {
        let seed = json!({"type": "SEEDED_ASSET", "asset": {"metadata": {"name": "s"},
                          "format": {"fragment": {"string": {"raw": "text"}}}}});
        let relevance = json!({"query": "q", "options": {"question": true}, "paths": ["/a"],
            "assets": {"iterable": [{"id": "x"}]}, "anchors": {"iterable": [{"id": "y"}]},
            "seeds": {"iterable": [seed]}});
        let relevant = json!({"query": "q", "relevant": {"iterable":
            [{"path": "/a"}, {"asset": {"id": "x"}}, {"anchor": {"id": "y"}}, {"seed": seed}]}});
        for frame in [
            json!({"relevance": relevance}),
            json!({"question": relevant}),
        ] {
            let question = asked(&frame);
            assert_eq!(question.paths, ["/a"], "{frame}");
            assert_eq!(question.assets, ["x"], "{frame}");
            assert_eq!(question.anchors, ["y"], "{frame}");
            let seed = &question.seeds[0];
            assert_eq!(
                (seed.name.as_str(), seed.text.as_str()),
                ("s", "text"),
                "{frame}"
            );
        }
    }

    #[test]
    fn frames_that_ask_nothing_are_told_apart() {
        let of = |frame| read(&frame).input;
        assert!(matches!(of(json!({"stop": true})), Input::Stop));
        assert!(matches!(
            of(json!({"conversation": "c", "reset": true})),
            Input::Reset
        ));
        assert!(matches!(
            of(json!({"relevance": {"query": "q"}})),
            Input::Search
        ));
        for frame in [
            json!({}),
            json!({"relevance": {"query": "q"}, "question": {"query": "q"}}),
            json!({"question": "q"}),
            json!({"question": {"query": " \n"}}),
            json!({"question": {"query": "q"}, "pieces_lsp": {"texts": [1]}}),
            json!({"question": {"query": "q"}, "pieces_lsp": {"endpoint": 1}}),
        ] {
            assert!(matches!(of(frame.clone()), Input::Invalid(_)), "{frame}");
        }
        assert!(Frame::read(b"[]").is_none());
        assert!(Frame::read(b"{").is_none());
    }

    #[test]
    fn our_own_member_is_read() {
        let frame = json!({"question": {"query": ""}, "pieces_lsp": {
            "endpoint": null, "question": "id", "model": "m", "stored": "s", "dryRun": true,
            "named": [{"path": "/a"}],
            "texts": [{"kind": "selection", "name": "a.rs", "uri": "file:///a.rs", "range": [3, 9], "text": "fn"}]}});
        assert!(read(&frame).ours);
        let own = asked(&frame).own.unwrap();
        assert!(matches!(own.endpoint, Some(None)));
        assert_eq!(own.question.as_deref(), Some("id"));
        assert_eq!(own.stored.as_deref(), Some("s"));
        assert!(own.dry_run && own.named.is_some());
        let text = &own.texts[0];
        assert!(text.kind == prompt::Kind::Selection);
        assert_eq!(text.lines, Some((3, 9)));
    }
}
