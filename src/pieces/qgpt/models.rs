//! `GET /models`.

use serde_json::Value;

use crate::json;
use crate::pieces::client::{COLLECTION, Client};
use crate::pieces::error::Error;

/// A model that the service lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it can answer: it is in the cloud, or downloaded to this machine.
    pub usable: bool,
    /// Whether it is in memory; `None` if the service does not say.
    pub loaded: Option<bool>,
    /// Its context size in tokens, if the service reports it.
    pub context: Option<u32>,
}

impl Client {
    /// The models of the service, without those that cannot be read.
    ///
    /// # Errors
    /// Those of the service.
    pub async fn models(&self) -> Result<Vec<Model>, Error> {
        let body = self.get("/models", COLLECTION).await?;
        let answer: Value = self.decode(self.call(), json::from_slice(&body))?;
        match answer["iterable"].as_array() {
            Some(models) => Ok(models.iter().filter_map(read).collect()),
            None => Err(self.call().protocol("not a list")),
        }
    }
}

fn read(model: &Value) -> Option<Model> {
    let text = |field: &str| model[field].as_str().filter(|text| !text.is_empty());
    let id = text("id")?;
    let flag = |field: &str| model[field].as_bool();
    Some(Model {
        id: id.to_owned(),
        name: text("name").unwrap_or(id).to_owned(),
        usable: flag("cloud") == Some(true) || flag("downloaded") == Some(true),
        loaded: flag("loaded"),
        context: model["maxTokens"]["total"]
            .as_u64()
            .and_then(|total| u32::try_from(total).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn models() {
        let read = |object: Value| read(&object);
        let model = read(
            json!({"id": "m", "name": "M", "cloud": true, "downloaded": false,
            "loaded": true, "maxTokens": {"total": 4096}}),
        );
        assert_eq!(
            model,
            Some(Model {
                id: "m".into(),
                name: "M".into(),
                usable: true,
                loaded: Some(true),
                context: Some(4096),
            })
        );
        let bare = read(json!({"id": "m"})).unwrap();
        assert_eq!(
            (bare.name.as_str(), bare.usable, bare.loaded),
            ("m", false, None)
        );
        for object in [json!({}), json!({"id": 7}), json!({"id": ""}), json!("m")] {
            assert_eq!(read(object.clone()), None, "{object}");
        }
    }
}
