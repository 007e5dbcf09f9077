//! The settings of `docs/protocol.md`, from all their sources.

use crate::lsp::limits::FOREIGN_NAME_CHARS;
use crate::markdown::{Clock, label};
use crate::sync::Backend;
use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The current settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub backend: Backend,
    /// Base URL of Pieces OS, not validated; `None` discovers it.
    pub url: Option<String>,
    /// Send `pieces/didChangeConversations` and `pieces/didChangeStatus`.
    pub live_updates: bool,
    pub confirm_delete: bool,
    pub code_lens: bool,
    pub inlay_hints: bool,
    pub diagnostics: bool,
    /// The IANA zone in which times are shown; `None` for that of the machine.
    pub time_zone: Option<String>,
    pub answer_in_document: AnswerInDocument,
    /// The model that answers; `None` for that of the endpoint.
    pub model: Option<String>,
}

/// How an answer is written into a talk file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AnswerInDocument {
    /// Paragraph by paragraph.
    #[default]
    Live,
    /// In one edit, when it is complete.
    End,
}

impl AnswerInDocument {
    fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "live" => Some(Self::Live),
            "end" => Some(Self::End),
            _ => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            backend: Backend::Auto,
            url: None,
            live_updates: false,
            confirm_delete: true,
            code_lens: true,
            inlay_hints: true,
            diagnostics: true,
            time_zone: None,
            answer_in_document: AnswerInDocument::default(),
            model: None,
        }
    }
}

/// The settings by source, and the effective ones.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    layers: Mutex<Layers>,
    in_force: ArcSwap<Settings>,
}

impl Configuration {
    /// The current settings.
    pub fn settings(&self) -> Arc<Settings> {
        self.in_force.load_full()
    }

    /// Changes the layers, and with them the effective settings.
    pub fn change<T>(&self, change: impl FnOnce(&mut Layers) -> T) -> T {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut layers);
        self.in_force.store(Arc::new(layers.effective()));
        result
    }
}

/// The settings by source. A key of the workspace overrides the same key of the initialization options.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    initialization: Map<String, Value>,
    workspace: Map<String, Value>,
    /// Number of announced configurations, and the newest one that was applied.
    announced: u64,
    taken: u64,
    /// Names that were already reported.
    reported: BTreeSet<String>,
}

impl Layers {
    /// Applies the `initializationOptions`. Returns a sentence for each problem.
    pub fn initialize(&mut self, options: &Value) -> Vec<String> {
        let (object, problems) = self.check(options, "initializationOptions");
        self.initialization = object;
        problems
    }

    /// Announces a configuration that has yet to arrive. Returns its number.
    pub fn announce(&mut self) -> u64 {
        self.announced += 1;
        self.announced
    }

    /// Replaces the `pieces` section by that of the announced configuration, unless a newer one was applied.
    /// Returns a sentence for each problem.
    pub fn configure(&mut self, number: u64, section: &Value) -> Vec<String> {
        if number < self.taken {
            return Vec::new();
        }
        self.taken = number;
        let (object, problems) = self.check(section, "pieces");
        self.workspace = object;
        problems
    }

    pub fn effective(&self) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in self.initialization.iter().chain(&self.workspace) {
            set(&mut settings, key, value);
        }
        settings
    }

    /// The usable part of `object`, and a sentence for each problem that was not reported before.
    fn check(&mut self, object: &Value, source: &str) -> (Map<String, Value>, Vec<String>) {
        let mut usable = Map::new();
        let mut problems = Vec::new();
        let mut report = |name: &str, sentence: String| {
            if self.reported.insert(name.to_owned()) {
                problems.push(sentence);
            }
        };
        match object {
            Value::Object(object) => {
                for (key, value) in object {
                    // Set on a scratch copy, only to validate the value.
                    match set(&mut Settings::default(), key, value) {
                        Verdict::Taken => {
                            usable.insert(key.clone(), value.clone());
                        }
                        Verdict::Unknown => {
                            let key = label(key, FOREIGN_NAME_CHARS);
                            report(
                                &key,
                                format!("There is no setting `pieces.{key}`; it is ignored."),
                            );
                        }
                        Verdict::Expected(what) => {
                            report(
                                key,
                                format!(
                                    "The setting `pieces.{key}` must be {what}; it is ignored."
                                ),
                            );
                        }
                    }
                }
            }
            Value::Null => {}
            // Lua writes an empty object as an array.
            Value::Array(none) if none.is_empty() => {}
            _ => report(
                source,
                format!("`{source}` must be an object of settings; it is ignored."),
            ),
        }
        (usable, problems)
    }
}

enum Verdict {
    Taken,
    Unknown,
    /// The type is wrong; names the expected one.
    Expected(&'static str),
}

/// Sets one setting; null sets its default.
fn set(settings: &mut Settings, key: &str, value: &Value) -> Verdict {
    let default = Settings::default();
    let flag = |field: &mut bool, default: bool| {
        set_to(field, default, value, Value::as_bool, "true or false")
    };
    match key {
        "backend" => set_to(
            &mut settings.backend,
            default.backend,
            value,
            |value| value.as_str().and_then(Backend::parse),
            "\"auto\", \"pieces-os\" or \"local\"",
        ),
        "url" => set_to(
            &mut settings.url,
            default.url,
            value,
            trimmed,
            "a URL such as \"http://127.0.0.1:39300\", or null",
        ),
        "liveUpdates" => flag(&mut settings.live_updates, default.live_updates),
        "confirmDelete" => flag(&mut settings.confirm_delete, default.confirm_delete),
        "codeLens" => flag(&mut settings.code_lens, default.code_lens),
        "inlayHints" => flag(&mut settings.inlay_hints, default.inlay_hints),
        "diagnostics" => flag(&mut settings.diagnostics, default.diagnostics),
        "model" => set_to(
            &mut settings.model,
            default.model,
            value,
            trimmed,
            "the name of a model, or null",
        ),
        "timeZone" => set_to(
            &mut settings.time_zone,
            default.time_zone,
            value,
            |value| {
                let zone = value.as_str().filter(|zone| Clock::knows(zone))?;
                Some(Some(zone.to_owned()))
            },
            "the name of a time zone such as \"Europe/Berlin\", or null",
        ),
        "answerInDocument" => set_to(
            &mut settings.answer_in_document,
            default.answer_in_document,
            value,
            AnswerInDocument::read,
            "\"live\" or \"end\"",
        ),
        _ => Verdict::Unknown,
    }
}

/// Sets `field` to what `read` makes of the value, or to `default` if that is null.
fn set_to<T>(
    field: &mut T,
    default: T,
    value: &Value,
    read: impl FnOnce(&Value) -> Option<T>,
    expected: &'static str,
) -> Verdict {
    let new = match value {
        Value::Null => Some(default),
        value => read(value),
    };
    match new {
        Some(new) => {
            *field = new;
            Verdict::Taken
        }
        None => Verdict::Expected(expected),
    }
}

/// A text; a blank one is none.
fn trimmed(value: &Value) -> Option<Option<String>> {
    let text = value.as_str()?.trim();
    Some((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(initialization: Value, workspace: Value, expected: Settings, named: &[&str]) {
        let mut layers = Layers::default();
        let mut problems = layers.initialize(&initialization);
        let number = layers.announce();
        problems.extend(layers.configure(number, &workspace));
        assert_eq!(layers.effective(), expected, "{initialization} {workspace}");
        assert_eq!(problems.len(), named.len(), "{problems:?}");
        for (problem, name) in problems.iter().zip(named) {
            assert!(problem.contains(&format!("`{name}`")), "{problem}");
        }
    }

    #[test]
    fn layers() {
        let with = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings
        };
        let local = with(|s| s.backend = Backend::Local);
        check(Value::Null, Value::Null, Settings::default(), &[]);
        check(json!({"backend": "local"}), json!({}), local.clone(), &[]);
        check(
            json!({"backend": "pieces-os"}),
            json!({"backend": "local"}),
            local,
            &[],
        );
        check(
            json!({"liveUpdates": true}),
            json!({"liveUpdates": null}),
            Settings::default(),
            &[],
        );
        check(
            json!({"url": " http://127.0.0.1:1 ", "codeLens": false, "timeZone": "Asia/Tokyo"}),
            json!({"answerInDocument": "end", "model": " m "}),
            with(|s| {
                s.time_zone = Some("Asia/Tokyo".into());
                s.answer_in_document = AnswerInDocument::End;
                s.model = Some("m".into());
                s.url = Some("http://127.0.0.1:1".into());
                s.code_lens = false;
            }),
            &[],
        );
    }

    #[test]
    fn invalid_settings_are_reported_once_and_ignored() {
        check(
            json!({"backend": "cloud", "liveUpdates": 1, "colour": "red", "url": 5,
                "timeZone": "Mars/Olympus", "answerInDocument": "later", "model": 7}),
            json!({"backend": 7, "colour": "blue", "confirmDelete": false}),
            Settings {
                confirm_delete: false,
                ..Settings::default()
            },
            &[
                "pieces.answerInDocument",
                "pieces.backend",
                "pieces.colour",
                "pieces.liveUpdates",
                "pieces.model",
                "pieces.timeZone",
                "pieces.url",
            ],
        );
        check(
            json!([1]),
            json!("x"),
            Settings::default(),
            &["initializationOptions", "pieces"],
        );
    }

    #[test]
    fn an_empty_table_of_lua_is_no_setting() {
        check(json!([]), json!([]), Settings::default(), &[]);
    }

    #[test]
    fn an_older_configuration_that_arrives_late_is_ignored() {
        let mut layers = Layers::default();
        let (older, newer) = (layers.announce(), layers.announce());
        layers.configure(newer, &json!({"backend": "local"}));
        layers.configure(older, &json!({"backend": "pieces-os"}));
        assert_eq!(layers.effective().backend, Backend::Local);
        let next = layers.announce();
        layers.configure(next, &Value::Null);
        assert_eq!(layers.effective().backend, Backend::Auto);
    }
}
