//! Parses the common options.

use super::args::Common;
use crate::pieces::BaseUrl;
use crate::sync::{Backend, Source};
use std::path::PathBuf;

/// The backend, URL and data directory that the options name.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) backend: Backend,
    /// Use this Pieces OS: skip discovery.
    pub(super) url: Option<BaseUrl>,
    /// `None`: the system's directory for application data.
    pub(super) data_dir: Option<PathBuf>,
    /// Other machines than this one may be used.
    pub(super) allow_remote: bool,
}

impl Target {
    /// Reads the options; an empty one counts as absent, since some editors pass empty options.
    ///
    /// # Errors
    /// One sentence for the user who set the option.
    pub(super) fn read(common: &Common) -> Result<Self, String> {
        let backend = match non_empty(common.backend.as_deref()) {
            None => Backend::Auto,
            Some(name) => Backend::parse(name).ok_or_else(|| {
                let name = printable(name);
                format!("There is no backend `{name}`; it is `auto`, `pieces-os` or `local`.")
            })?,
        };
        let url = non_empty(common.url.as_deref())
            .map(|url| BaseUrl::parse(url, common.allow_remote))
            .transpose()
            .map_err(|refusal| refusal.to_string())?;
        let data_dir = common.data_dir.clone();
        Ok(Self {
            backend,
            url,
            data_dir: data_dir.filter(|dir| !dir.as_os_str().is_empty()),
            allow_remote: common.allow_remote,
        })
    }

    /// The service to connect to.
    pub(super) fn source(self) -> Source {
        Source::new(self.backend, self.url, self.data_dir)
    }
}

/// The trimmed text, unless it is empty.
pub(super) fn non_empty(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The text with a capital letter and a full stop, which errors of libraries lack.
pub(super) fn sentence(text: &str) -> String {
    let mut rest = text.trim().trim_end_matches('.').chars();
    let first = rest.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(rest).chain(['.']).collect()
}

/// Untrusted text made safe for a terminal: no control characters, and short.
pub(super) fn printable(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(120).collect()
}
