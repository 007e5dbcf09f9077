//! Gathers the context of a question for the model.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{files::Read, question::Question};
use crate::model::{
    Choice, Role,
    prompt::{self, Context, Kind as Part, Prompt, Text, Turn},
};
use crate::service::{
    Failure,
    objects::{asset, message},
    store::{self, Kind, writing},
};

/// Bytes of one text that are sent.
pub(super) const MAX_TEXT: usize = 256 << 10;
/// Bytes of all texts of a question.
pub(super) const MAX_TEXTS: usize = 1 << 20;

/// A question with everything that may be sent to the model.
#[derive(Default)]
pub(super) struct Material {
    pub(super) history: Vec<Turn>,
    pub(super) texts: Vec<Text>,
    /// Bytes of the texts.
    used: usize,
    pub(super) prompt: String,
    /// The texts that were not read at all.
    pub(super) omitted: Vec<Context>,
    /// Sentences about them.
    pub(super) note: Option<String>,
    /// Why the question cannot be asked: the store could not be read.
    pub(super) failure: Option<String>,
    /// Texts of which only the start is sent, with their full lengths.
    whole: Vec<Context>,
}

impl Material {
    /// A prompt about one text.
    pub(super) fn of_text(prompt: &str, text: Text) -> Self {
        let mut material = Self {
            prompt: prompt.to_owned(),
            ..Self::default()
        };
        let bytes = text.text.len() as u64;
        material.add(text, bytes);
        material
    }

    /// A question that cannot be asked.
    pub(super) fn unreadable(failure: Failure) -> Self {
        Self {
            failure: Some(failure.status_and_sentence().1),
            ..Self::default()
        }
    }

    /// Adds a text, or its start if it or all texts together are too long.
    fn add(&mut self, mut text: Text, bytes: u64) {
        let room = MAX_TEXT.min(MAX_TEXTS.saturating_sub(self.used));
        if text.text.len() > room {
            let end = (0..=room)
                .rev()
                .find(|end| text.text.is_char_boundary(*end));
            text.text.truncate(end.unwrap_or(0));
        }
        if (text.text.len() as u64) < bytes {
            self.whole.push(Context {
                kind: text.kind,
                name: text.name.clone(),
                uri: text.uri.clone(),
                bytes,
                sent: 0,
            });
        }
        self.used += text.text.len();
        self.texts.push(text);
    }

    /// Adds the files that a client named.
    pub(super) fn add_files(&mut self, read: Read) {
        for file in read.files {
            let bytes = file.size;
            self.add(file.text, bytes);
        }
        self.omitted.extend(read.omitted);
        self.note = read.note;
    }
}

/// The prompt of a question, and the ids that it refers to.
pub(super) struct Said {
    pub(super) prompt: String,
    texts: Vec<Text>,
    cut: Vec<Context>,
    assets: Vec<String>,
}

impl Said {
    /// Takes it out of a question.
    pub(super) fn of(question: &mut Question) -> Self {
        let mut texts = std::mem::take(&mut question.seeds);
        let mut cut = Vec::new();
        if let Some(own) = &mut question.own {
            texts.append(&mut own.texts);
            cut.append(&mut own.cut);
        }
        Self {
            prompt: std::mem::take(&mut question.prompt),
            texts,
            cut,
            assets: std::mem::take(&mut question.assets),
        }
    }
}

/// Collects the prompt, the texts that the question refers to, and the messages of the conversation: those before
/// `until`, or all.
pub(super) fn gather(
    db: &Connection,
    said: Said,
    conversation: Option<&str>,
    until: Option<&str>,
) -> Result<Material, Failure> {
    let mut material = Material {
        prompt: said.prompt,
        ..Material::default()
    };
    for text in said.texts {
        let bytes = text.text.len() as u64;
        material.add(text, bytes);
    }
    let given: HashSet<Key<'_>> = material.texts.iter().map(key_of_text).collect();
    let cut = said.cut.into_iter();
    let (whole, omitted): (Vec<_>, Vec<_>) = cut.partition(|cut| given.contains(&key(cut)));
    material.whole.extend(whole);
    material.omitted.extend(omitted);
    let mut assets = Vec::new();
    if let Some(conversation) = conversation {
        let conversation = store::get(db, Kind::Conversation, conversation)?;
        for row in store::owned_rows(db, Kind::Message, conversation.seq)? {
            if Some(row.id.as_str()) == until {
                break;
            }
            material.history.extend(turn(&row)?);
        }
        let tied = store::neighbours(db, conversation.seq)?.into_iter();
        let tied = tied.filter(|link| link.kind == Kind::Asset);
        assets.extend(tied.map(|link| link.id));
    }
    assets.extend(said.assets);
    add_assets(db, assets, &mut material)?;
    Ok(material)
}

/// Adds the texts of these assets, each once, without those that do not exist.
fn add_assets(db: &Connection, ids: Vec<String>, material: &mut Material) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id.clone()) {
            continue;
        }
        let Some(row) = store::find(db, Kind::Asset, &id)? else {
            continue;
        };
        let text = asset::content(db, &row)?;
        let name = row.object()?.remove("name");
        let name = name
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or(asset::UNNAMED);
        let bytes = text.len() as u64;
        let text = Text {
            kind: Part::Asset,
            name: name.to_owned(),
            uri: None,
            lines: None,
            text,
        };
        material.add(text, bytes);
    }
    Ok(())
}

/// A message as part of the history; `None` if it has no text.
fn turn(row: &store::Row) -> Result<Option<Turn>, Failure> {
    let doc = row.object()?;
    let text = message::raw(&doc).unwrap_or_default();
    let role = match doc.get("role").and_then(Value::as_str) {
        Some("USER") => Role::User,
        Some("ASSISTANT") => Role::Assistant,
        _ => return Ok(None),
    };
    let answered = writing::state(&doc) != Some(writing::UNANSWERED);
    Ok((!text.trim().is_empty()).then(|| Turn {
        role,
        text: text.to_owned(),
        answered,
    }))
}

/// Fits the material into the context size of the model.
pub(super) fn build(material: &Material, choice: &Choice, context: u32) -> Prompt {
    prompt::build(
        &material.history,
        choice.instructions.as_deref(),
        &material.texts,
        &material.prompt,
        context,
    )
}

/// Kind, name and URI, by which a part of the context is recognised.
type Key<'a> = (Part, &'a str, Option<&'a str>);

fn key(part: &Context) -> Key<'_> {
    (part.kind, &part.name, part.uri.as_deref())
}

fn key_of_text(text: &Text) -> Key<'_> {
    (text.kind, &text.name, text.uri.as_deref())
}

/// The field `context` of a result: how much of each part was sent, including parts that were not read.
pub(super) fn context_field(sent: Option<&Vec<Context>>, material: &Material) -> Value {
    let mut whole: HashMap<Key<'_>, u64> = HashMap::new();
    for part in &material.whole {
        let bytes = whole.entry(key(part)).or_default();
        *bytes = part.bytes.max(*bytes);
    }
    let mut all: Vec<Context> = sent.into_iter().flatten().cloned().collect();
    for part in &mut all {
        let bytes = whole.get(&key(part)).copied();
        part.bytes = part.bytes.max(bytes.unwrap_or_default());
    }
    all.extend(material.omitted.iter().cloned());
    json!(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_texts_take_linear_time() {
        // Quadratic work on this many would take minutes.
        let count = 200_000;
        let text = |at: usize| Text {
            kind: Part::Asset,
            name: at.to_string(),
            uri: None,
            lines: None,
            text: String::new(),
        };
        let mut material = Material::default();
        (0..count).for_each(|at| material.add(text(at), 7));
        let sent: Vec<Context> = material.whole.iter().rev().cloned().collect();
        let field = context_field(Some(&sent), &material);
        assert_eq!(field.as_array().map(Vec::len), Some(count));
        assert_eq!(field[0]["bytes"], 7);
    }

    #[test]
    fn texts_share_the_limit_and_the_field_has_their_whole_lengths() {
        let text = |name: &str, length: usize| Text {
            kind: Part::Asset,
            name: name.to_owned(),
            uri: None,
            lines: None,
            text: "x".repeat(length),
        };
        let mut material = Material::default();
        for name in ["a", "b", "c", "d", "e"] {
            material.add(text(name, MAX_TEXT + 1), MAX_TEXT as u64 + 1);
        }
        let lengths: Vec<usize> = material.texts.iter().map(|text| text.text.len()).collect();
        assert_eq!(lengths, [MAX_TEXT, MAX_TEXT, MAX_TEXT, MAX_TEXT, 0]);
        let sent = Context {
            kind: Part::Asset,
            name: "b".to_owned(),
            uri: None,
            bytes: 1,
            sent: 1,
        };
        let field = context_field(Some(&vec![sent]), &material);
        assert_eq!(field[0]["bytes"], MAX_TEXT + 1);
    }
}
