//! The doctor's findings. `docs/cli.md` documents the JSON.

use crate::cli::common::{Target, sentence};
use crate::pieces::{self, Kind};
use crate::sync::Backend;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::time::Duration;

/// All checks, in the order in which they ran.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) healthy: bool,
    /// What to do next, one sentence; `None` if all is well.
    pub(super) next: Option<String>,
    version: &'static str,
    asked: Asked,
    /// What the language server would connect to.
    pub(super) used: Option<Used>,
    #[serde(serialize_with = "by_name")]
    pub(super) checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    backend: &'static str,
    url: Option<String>,
    data_dir: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Used {
    #[serde(serialize_with = "backend_name")]
    pub(super) backend: Backend,
    pub(super) url: String,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    #[serde(skip)]
    pub(super) name: &'static str,
    pub(super) result: Verdict,
    /// One line for a terminal.
    pub(super) summary: String,
    /// Duration in milliseconds.
    #[serde(
        rename = "ms",
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_millis"
    )]
    pub(super) time: Option<Duration>,
    /// Further lines for a terminal; `facts` has the same for scripts.
    #[serde(skip)]
    pub(super) details: Vec<String>,
    /// Values for scripts.
    #[serde(flatten)]
    facts: Map<String, Value>,
    /// What to do about a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// Unusual, but the language server works.
    Note,
    Failed,
    Skipped,
}

impl Report {
    pub(super) fn new(target: &Target) -> Self {
        let data_dir = target.data_dir.as_ref();
        Report {
            healthy: false,
            next: None,
            version: env!("CARGO_PKG_VERSION"),
            asked: Asked {
                backend: target.backend.as_str(),
                url: target.url.as_ref().map(ToString::to_string),
                data_dir: data_dir.map(|dir| dir.display().to_string()),
            },
            used: None,
            checks: Vec::new(),
        }
    }

    /// Determines the conclusion: the first failure decides what to do next.
    pub(super) fn conclude(&mut self) {
        let failed = self
            .checks
            .iter()
            .find(|check| check.result == Verdict::Failed);
        self.healthy = failed.is_none();
        self.next = failed.and_then(|check| check.next.clone());
    }
}

impl Check {
    fn new(name: &'static str, result: Verdict, summary: impl Into<String>) -> Self {
        Check {
            name,
            result,
            summary: summary.into(),
            time: None,
            details: Vec::new(),
            facts: Map::new(),
            next: None,
        }
    }

    pub(super) fn ok(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, summary)
    }

    pub(super) fn note(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Verdict::Note, summary)
    }

    pub(super) fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skipped, why)
    }

    /// `next`: one sentence with the problem and what to do.
    pub(super) fn failed(
        name: &'static str,
        summary: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Check {
            next: Some(sentence(&next.into())),
            ..Self::new(name, Verdict::Failed, summary)
        }
    }

    /// A failed call. Leaves out its detail, which may be content.
    pub(super) fn error(name: &'static str, error: &pieces::Error) -> Self {
        let summary = match error.status {
            Some(status) => format!("{} (HTTP {status})", error.kind.as_str()),
            None => error.kind.as_str().to_owned(),
        };
        let check = Self::failed(name, summary, &error.message).fact("kind", error.kind.as_str());
        match error.status {
            Some(status) => check.fact("status", status),
            None => check,
        }
    }

    /// The same for an optional route.
    pub(super) fn optional(name: &'static str, error: &pieces::Error) -> Self {
        match error.kind {
            Kind::NotFound => Self::note(name, "the service has no such route, which is fine")
                .fact("status", error.status),
            _ => Self::error(name, error),
        }
    }

    /// The same for a failure without consequences.
    pub(super) fn noted(mut self) -> Self {
        self.result = Verdict::Note;
        self
    }

    /// Whether there was no response at all.
    pub(super) fn is_silence(&self) -> bool {
        let kind = self.facts.get("kind").and_then(Value::as_str);
        let silent = [Kind::Offline, Kind::Timeout].map(Kind::as_str);
        kind.is_some_and(|kind| silent.contains(&kind))
    }

    pub(super) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn took(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    pub(super) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

/// Milliseconds with three decimals.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn as_millis<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(millis).serialize(serializer)
}

fn backend_name<S: Serializer>(backend: &Backend, serializer: S) -> Result<S::Ok, S::Error> {
    backend.as_str().serialize(serializer)
}

fn by_name<S: Serializer>(checks: &[Check], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(checks.iter().map(|check| (check.name, check)))
}
