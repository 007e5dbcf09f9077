//! Conversations.

use serde_json::{Map, Value, json};

use super::{anchor, annotation, asset, message, seed::Seed};
use crate::pieces::{EXTRACT, OWN};
use crate::service::{
    Failure, extract,
    store::{self, Change, Kind, Link, New},
};

/// Maximum characters of a name taken from a message.
const NAME: usize = 60;
/// The name that clients give to a conversation without messages.
pub(crate) const UNNAMED: &str = "New Conversation";

/// Creates a conversation from a `SeededConversation`.
pub(crate) fn create(
    change: &mut Change<'_>,
    seed: Value,
    application: Option<Map<String, Value>>,
) -> Result<Link, Failure> {
    let mut seed = Seed::object(seed, "body")?;
    seed.set_default("type", "COPILOT");
    seed.required("type")?;
    let name = seed.optional("name")?.unwrap_or_default().to_owned();
    if let Some(application) = application {
        seed.set_default("application", application);
    }
    let messages = seed.take_array("messages")?;
    let anchors = seed.take_array("anchors")?;
    let annotations = seed.take_array("annotations")?;
    let assets = seed.take_ids("assets")?;
    let websites = seed.take_ids("websites")?;

    let doc = seed.into_map();
    let conversation = change.insert(New {
        kind: Kind::Conversation,
        owner: None,
        key: None,
        text: &name,
        doc,
    })?;
    for seed in messages {
        message::add(change, &conversation, Seed::object(seed, "messages")?)?;
    }
    for seed in anchors {
        let anchor = anchor::resolve(change, Seed::object(seed, "anchors")?)?;
        tie(change, &conversation, &anchor)?;
    }
    for (kind, ids) in [(Kind::Asset, assets), (Kind::Website, websites)] {
        for id in ids {
            let other = store::link(change.db, kind, &id)?;
            tie(change, &conversation, &other)?;
        }
    }
    for seed in annotations {
        let mut seed = Seed::object(seed, "annotations")?;
        seed.set("conversation", conversation.id.as_str());
        annotation::add(change, seed)?;
    }
    Ok(conversation)
}

/// Creates a conversation about an asset, with an extract of it as the first message.
pub(crate) fn create_from_asset(
    change: &mut Change<'_>,
    asset: &str,
    application: Option<Map<String, Value>>,
) -> Result<Link, Failure> {
    let asset = store::get(change.db, Kind::Asset, asset)?;
    let doc = asset.object()?;
    let name = doc
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or(asset::UNNAMED);
    let content = asset::content(change.db, &asset)?;
    let summary = extract::summary(
        name,
        asset::extension(change.db, &asset)?.as_deref(),
        &content,
    );
    let anchors: Vec<_> = store::neighbours(change.db, asset.seq)?
        .into_iter()
        .filter(|link| link.kind == Kind::Anchor)
        .collect();

    let seed = json!({
        "type": "COPILOT",
        "name": name,
        "messages": [{
            "role": "ASSISTANT",
            "fragment": {"string": {"raw": summary}},
            OWN: {"summary": EXTRACT},
        }],
    });
    let conversation = create(change, seed, application)?;
    tie(change, &conversation, &Link::from(&asset))?;
    for anchor in anchors {
        tie(change, &conversation, &anchor)?;
    }
    Ok(conversation)
}

/// Names a conversation after the first line of its first user message. Without one the name stays.
pub(crate) fn name_after_first_message(change: &mut Change<'_>, id: &str) -> Result<Link, Failure> {
    let row = store::get(change.db, Kind::Conversation, id)?;
    for row in store::owned_rows(change.db, Kind::Message, row.seq)? {
        let doc = row.object()?;
        if doc.get("role").and_then(Value::as_str) != Some("USER") {
            continue;
        }
        let Some(name) = message::raw(&doc).and_then(name_of) else {
            continue;
        };
        let body = json!({"id": id, "name": name});
        return super::update(change, Kind::Conversation, body).map(|row| Link::from(&row));
    }
    Ok(Link::from(&row))
}

/// A name from the first words of a text: its first line, cut between two words if it is long. `None` if there are no
/// words.
pub(crate) fn name_of(text: &str) -> Option<String> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let Some((end, _)) = first.char_indices().nth(NAME) else {
        return Some(first.to_owned());
    };
    let cut = &first[..end];
    let whole = match first[end..].starts_with(char::is_whitespace) {
        true => cut,
        // A long word is cut.
        false => cut
            .rsplit_once(char::is_whitespace)
            .map_or(cut, |(words, _)| words),
    };
    Some(whole.trim_end().to_owned())
}

/// Links a new conversation; existing readers see a change at the other end only.
fn tie(change: &mut Change<'_>, conversation: &Link, other: &Link) -> Result<(), Failure> {
    if change.link(conversation, other)? {
        change.touch(other)?;
    }
    Ok(())
}
