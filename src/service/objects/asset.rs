//! Assets: saved snippets and files, each with one format that holds its text.

use rusqlite::Connection;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    anchor, annotation, language,
    seed::{Seed, set_default},
    website,
};
use crate::service::{
    Failure,
    store::{self, Change, Kind, Link, New, Row},
};

/// The name of an asset without one.
pub(crate) const UNNAMED: &str = "Untitled";

/// Creates an asset from a `Seed` of type `SEEDED_ASSET`.
pub(crate) fn create(
    change: &mut Change<'_>,
    seed: Value,
    application: Map<String, Value>,
    creator: &str,
) -> Result<Link, Failure> {
    let mut outer = Seed::object(seed, "body")?;
    let mut seed = outer.take_object("asset")?.ok_or_else(|| {
        Failure::invalid("`asset` is required; other seeds have routes of their own.")
    })?;
    let format = seed
        .take_object("format")?
        .ok_or_else(|| Failure::invalid("`format` is required."))?;
    let application = match seed.take_object("application")? {
        Some(given) => given.into_map(),
        None => application,
    };
    let mut metadata = seed.take_object("metadata")?.unwrap_or_else(Seed::empty);
    let name = metadata
        .optional("name")?
        .filter(|name| !name.trim().is_empty());
    let name = name.unwrap_or(UNNAMED).to_owned();
    let mechanism = metadata
        .optional("mechanism")?
        .unwrap_or("MANUAL")
        .to_owned();
    let format = format_doc(format, &name, application, creator)?;

    for key in ["available", "enrichment", "conversations"] {
        seed.take(key);
    }
    seed.set("name", name.as_str());
    seed.set("mechanism", mechanism);
    seed.set("creator", creator);
    let text = format!("{name}\n{}", raw(&format).unwrap_or_default());
    let doc = seed.into_map();
    let asset = change.insert(New {
        kind: Kind::Asset,
        owner: None,
        key: None,
        text: &text,
        doc,
    })?;
    change.insert(New {
        kind: Kind::Format,
        owner: Some(asset.seq),
        key: None,
        text: "",
        doc: format,
    })?;

    for seed in metadata.take_array("anchors")? {
        let mut seed = Seed::object(seed, "anchors")?;
        seed.set("asset", asset.id.as_str());
        anchor::resolve(change, seed)?;
    }
    for seed in metadata.take_array("annotations")? {
        let mut seed = Seed::object(seed, "annotations")?;
        seed.set("asset", asset.id.as_str());
        annotation::add(change, seed)?;
    }
    for seed in metadata.take_array("websites")? {
        let mut seed = Seed::object(seed, "websites")?;
        seed.set("asset", asset.id.as_str());
        website::resolve(change, seed)?;
    }
    Ok(asset)
}

/// The text of an asset; empty if it holds bytes.
pub(crate) fn content(db: &Connection, asset: &Row) -> Result<String, Failure> {
    let Some(format) = store::owned_rows(db, Kind::Format, asset.seq)?
        .into_iter()
        .next()
    else {
        return Ok(String::new());
    };
    Ok(raw(&format.object()?).unwrap_or_default().to_owned())
}

/// Its classification as a file extension, if it has one.
pub(crate) fn extension(db: &Connection, asset: &Row) -> Result<Option<String>, Failure> {
    let Some(format) = store::owned_rows(db, Kind::Format, asset.seq)?
        .into_iter()
        .next()
    else {
        return Ok(None);
    };
    let doc = format.object()?;
    let specific = doc
        .get("classification")
        .and_then(|c| c.get("specific"))
        .and_then(Value::as_str);
    Ok(specific
        .filter(|ext| *ext != language::UNKNOWN)
        .map(str::to_owned))
}

fn format_doc(
    mut format: Seed,
    name: &str,
    application: Map<String, Value>,
    creator: &str,
) -> Result<Map<String, Value>, Failure> {
    let given = format.take_object("classification")?;
    let carrier = ["fragment", "file"]
        .into_iter()
        .find_map(|key| format.map().get(key)?.as_object());
    let Some(carrier) = carrier else {
        return Err(Failure::invalid("`format` must have `fragment` or `file`."));
    };
    let string = carrier
        .get("string")
        .and_then(|s| s.get("raw"))
        .and_then(Value::as_str);
    let bytes = carrier
        .get("bytes")
        .and_then(|b| b.get("raw"))
        .and_then(Value::as_array);
    let size = match (string, bytes) {
        (Some(text), _) => text.len(),
        (None, Some(bytes)) => bytes.len(),
        (None, None) => {
            return Err(Failure::invalid(
                "`format` must have `string.raw` or `bytes.raw`.",
            ));
        }
    };
    let extension = carrier
        .get("metadata")
        .and_then(|metadata| metadata.get("ext"))
        .and_then(Value::as_str)
        .or_else(|| name.rsplit_once('.').map(|(_, extension)| extension))
        .and_then(language::known)
        .unwrap_or(language::UNKNOWN);
    let mut classification = given.unwrap_or_else(Seed::empty);
    classification.set_default("specific", extension);
    let generic = if language::is_code(extension) {
        "CODE"
    } else {
        "TEXT"
    };
    classification.set_default("generic", generic);

    format.set("classification", classification.into_map());
    format.set("role", "BOTH");
    format.set("creator", creator);
    format.set("application", application);
    format.set("bytes", json!({"value": size, "readable": readable(size)}));
    Ok(format.into_map())
}

/// Adds fields that the API requires of a format and an imported one lacks.
pub(super) fn complete(format: &mut Map<String, Value>, creator: &str) {
    let size = raw(format).map_or(0, str::len);
    let unknown = json!({
        "id": Uuid::nil().to_string(),
        "name": "UNKNOWN",
        "version": "0",
        "platform": "UNKNOWN",
        "onboarded": false,
        "privacy": "OPEN",
    });
    for (key, value) in [
        ("role", "BOTH".into()),
        ("creator", creator.into()),
        ("application", unknown),
        ("bytes", json!({"value": size, "readable": readable(size)})),
        ("classification", json!({})),
    ] {
        set_default(format, key, value);
    }
    if let Some(Value::Object(classification)) = format.get_mut("classification") {
        set_default(classification, "specific", language::UNKNOWN);
        let specific = classification.get("specific").and_then(Value::as_str);
        let is_code = specific.is_some_and(language::is_code);
        set_default(
            classification,
            "generic",
            if is_code { "CODE" } else { "TEXT" },
        );
    }
}

fn raw(format: &Map<String, Value>) -> Option<&str> {
    let carrier = format.get("fragment").or_else(|| format.get("file"))?;
    carrier.get("string")?.get("raw")?.as_str()
}

/// `1.5 kB`.
fn readable(bytes: usize) -> String {
    // Precise enough for a phrase.
    #[allow(clippy::cast_precision_loss)]
    let size = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", size / 1e3),
        _ => format!("{:.1} MB", size / 1e6),
    }
}
