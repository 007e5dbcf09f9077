//! Models as clients of Pieces OS know them.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::{Choice, Model};
use crate::service::time;

/// Names that published clients need: the Python SDK and the `pieces` CLI refuse to start without the first two, and
/// the Neovim plugin takes the third by default. With an endpoint they stand for its default model.
const ALIASES: [(u128, &str, &str); 3] = [
    (0x1, "GPT-3.5-turbo Chat Model", "gpt-3.5-turbo"),
    (
        0x2,
        "Gemini 2.0 Flash Lite Chat Model",
        "gemini-2.0-flash-lite-001",
    ),
    (0x3, "GPT-4o Chat Model", "gpt-4o"),
];
/// The start of the ids of models, which are recognisably artificial.
const IDS: u128 = 0x5049_4543_4553_4c53_9000_0000_0000_0000;
/// The description of an alias if no endpoint was chosen.
const NO_MODEL: &str = "No model was chosen; choose one with `pieces-lsp model use URL`.";

/// The names that stand for the default model.
pub(super) fn aliases(choice: Option<&Choice>) -> Vec<Value> {
    let description = match choice {
        None => NO_MODEL.to_owned(),
        Some(choice) => format!("The default model of {}.", choice.url),
    };
    let alias = |(id, name, unique): (u128, &str, &str)| {
        let mut alias = base(Uuid::from_u128(IDS + id), name, unique, &description);
        alias["cloud"] = true.into();
        alias
    };
    ALIASES.into_iter().map(alias).collect()
}

/// A model of the endpoint.
pub(super) fn listed(choice: &Choice, model: &Model) -> Value {
    let mut object = object(choice, &model.id);
    object["loaded"] = model.loaded.unwrap_or(false).into();
    if let Some(context) = model.context {
        object["maxTokens"] = json!({ "total": context });
    }
    object
}

/// A model of the endpoint, by its name.
pub(super) fn object(choice: &Choice, name: &str) -> Value {
    let description = format!("Answers at {}.", choice.url);
    let mut model = base(id_of(choice, name), name, name, &description);
    let here = choice.url.is_loopback();
    model["cloud"] = (!here).into();
    model["downloaded"] = here.into();
    model
}

fn base(id: Uuid, name: &str, unique: &str, description: &str) -> Value {
    json!({
        "id": id.to_string(),
        "version": "1",
        "created": {"value": time::iso(0)},
        "name": name,
        "description": description,
        "unique": unique,
        "cloud": false,
        "downloaded": false,
        "loaded": false,
        "type": "SPEED",
        "usage": "CODE_GENERATION",
    })
}

/// The model with this id. `None` for an alias or an id of another endpoint: they mean the default.
pub(super) fn name_of(choice: &Choice, listed: &[Model], id: &str) -> Option<String> {
    let id = Uuid::parse_str(id).ok()?;
    let named = choice.model.iter();
    let mut names = listed.iter().map(|model| &model.id).chain(named);
    names.find(|name| id_of(choice, name) == id).cloned()
}

/// Stable across runs: FNV-1a of endpoint and name.
fn id_of(choice: &Choice, name: &str) -> Uuid {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in choice
        .url
        .to_string()
        .bytes()
        .chain([0])
        .chain(name.bytes())
    {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // Beyond the aliases, and with the variant bits of a UUID.
    let hash = (hash | 1 << 32) & 0x0fff_ffff_ffff_ffff;
    Uuid::from_u128(IDS + u128::from(hash))
}
