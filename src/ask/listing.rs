//! The models that can answer.

use super::answer::model_error;
use super::{Asker, endpoint};
use crate::model;
use crate::pieces::{Error, Kind};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The models that can answer: the result of `pieces.models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Models {
    /// `pieces-os`, `environment`, `file` or `none`.
    pub source: &'static str,
    /// The URL of the endpoint; `None` for Pieces OS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The model that answers unless another is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// All of them.
    pub items: Vec<Listed>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name in a request.
    pub id: String,
    /// Its name for users.
    pub name: String,
    /// Its context size in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u32>,
    /// Whether it is in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded: Option<bool>,
}

/// The models that can answer. A remote endpoint is not contacted before the first question; until then only the model
/// that was chosen with it is listed.
///
/// # Errors
/// Those of the service or the endpoint.
pub async fn models(asker: &Asker) -> Result<Models, Error> {
    if !asker.client.is_local() {
        let models = asker.client.models().await?.into_iter();
        let usable = models.filter(|model| model.usable);
        return Ok(Models {
            source: "pieces-os",
            endpoint: None,
            default: None,
            items: usable
                .map(|model| Listed {
                    id: model.id,
                    name: model.name,
                    context: model.context,
                    loaded: model.loaded,
                })
                .collect(),
        });
    }
    let choice = match &asker.data_dir {
        Some(dir) => endpoint::chosen(asker, dir).await?,
        None => None,
    };
    let Some(choice) = choice else {
        return Ok(Models {
            source: "none",
            endpoint: None,
            default: None,
            items: Vec::new(),
        });
    };
    let named = || choice.model.clone().into_iter();
    let listed: Vec<model::Model> = if choice.url.is_loopback() || was_asked(&choice) {
        let endpoint = model::endpoint(Some(&choice)).map_err(model_error)?;
        endpoint.models().await.map_err(model_error)?
    } else {
        let unknown = |id| model::Model {
            id,
            context: choice.context,
            loaded: None,
        };
        named().map(unknown).collect()
    };
    Ok(Models {
        source: choice.source.as_str(),
        endpoint: Some(choice.url.to_string()),
        default: model::pick_model(None, &choice, &listed).ok(),
        items: listed
            .into_iter()
            .map(|model| Listed {
                name: model.id.clone(),
                id: model.id,
                context: model.context,
                loaded: model.loaded,
            })
            .collect(),
    })
}

/// The id and name of the model of Pieces OS with this id or name.
///
/// # Errors
/// There is none; the sentence names the nearest ones.
pub(super) async fn of_pieces_os(asker: &Asker, name: &str) -> Result<(String, String), Error> {
    let models = asker.client.models().await?;
    let usable: Vec<_> = models.iter().filter(|model| model.usable).collect();
    let found = usable.iter().find(|model| model.id == name).or_else(|| {
        usable
            .iter()
            .find(|model| model.name.eq_ignore_ascii_case(name))
    });
    if let Some(model) = found {
        return Ok((model.id.clone(), model.name.clone()));
    }
    let lower = name.to_lowercase();
    let mut near: Vec<&str> = usable.iter().map(|model| model.name.as_str()).collect();
    near.sort_by_key(|name| distance(&lower, &name.to_lowercase()));
    near.truncate(3);
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    let what = match near.is_empty() {
        true => "Pieces OS has no model that can answer; install or choose one there.".to_owned(),
        false => format!(
            "Pieces OS has no model {name}; use one of its models, such as {}.",
            near.join(", ")
        ),
    };
    Err(Error::new(Kind::NoModel, what))
}

/// How many letters of `wanted` are missing in `name`: enough to suggest similar names.
fn distance(wanted: &str, name: &str) -> usize {
    if name.contains(wanted) {
        return 0;
    }
    let has: HashSet<char> = name.chars().collect();
    1 + wanted.chars().filter(|c| !has.contains(c)).count()
}

/// The remote endpoints that this process has asked a question.
static ASKED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

fn was_asked(choice: &model::Choice) -> bool {
    let asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    asked
        .as_ref()
        .is_some_and(|asked| asked.contains(choice.url.as_str()))
}

/// Records that the endpoint was asked a question.
pub(super) fn asked(choice: &model::Choice) {
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = asked.get_or_insert_default();
    asked.insert(choice.url.as_str().to_owned());
}
