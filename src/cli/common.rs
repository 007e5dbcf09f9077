//! Parses the common options.

use super::args::Common;
use super::terminal::inert;
use crate::pieces::{BaseUrl, PlainHttp};
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
    /// `--allow-remote`.
    pub(super) plain_http: PlainHttp,
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
        let plain_http = PlainHttp::from_allow_remote(common.allow_remote);
        let url = non_empty(common.url.as_deref())
            .map(|url| BaseUrl::parse(url, plain_http))
            .transpose()
            .map_err(|refusal| refusal.to_string())?;
        let data_dir = common.data_dir.clone();
        let data_dir = data_dir.filter(|dir| !dir.as_os_str().is_empty());
        Ok(Self {
            backend,
            url,
            data_dir: data_dir.map(absolute),
            plain_http,
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

/// An absolute path for messages: [`sentence`] would capitalise a relative one at its start.
pub(super) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The text with a capital letter and a full stop, which errors of libraries lack. A URL, a path or a name at its
/// start stays as it is.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let word = text.split_whitespace().next().unwrap_or_default();
    let plain = word
        .trim_end_matches([',', ';', ':'])
        .chars()
        .all(char::is_alphabetic);
    let mut rest = text.chars();
    let first = match rest.next() {
        Some(first) if plain => first.to_uppercase().to_string(),
        first => first.map(String::from).unwrap_or_default(),
    };
    let end = if text.ends_with(['?', '!']) { "" } else { "." };
    format!("{first}{}{end}", rest.as_str())
}

/// The sentence with options in place of the settings of an editor, for which it may have been written.
pub(super) fn in_options(sentence: &str) -> String {
    sentence
        .replace("set `pieces.backend` to `local`", "pass `--backend local`")
        .replace(
            "set `pieces.url` to the one to use",
            "pass the one to use as `--url`",
        )
        .replace("`pieces.url`", "`--url`")
}

/// Untrusted text made safe for a terminal: [`inert`], on one line, and short.
pub(super) fn printable(text: &str) -> String {
    let text = inert(text);
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_is_one_short_line_that_turns_nothing_around() {
        assert_eq!(printable("\u{1b}[31mred\u{202e}\n\tend"), "[31mredend");
        assert_eq!(printable(&"é".repeat(200)).chars().count(), 120);
    }

    #[test]
    fn settings_are_called_what_they_are_called_on_a_command_line() {
        let url = BaseUrl::parse("https://127.0.0.1", PlainHttp::Loopback).unwrap_err();
        let url = url.to_string();
        for (text, expected) in [
            (
                "Pieces OS is not running; start it, or set `pieces.backend` to `local`.",
                "Pieces OS is not running; start it, or pass `--backend local`.",
            ),
            (
                "Several are running; set `pieces.url` to the one to use.",
                "Several are running; pass the one to use as `--url`.",
            ),
            (
                url.as_str(),
                "`--url` is not used because https://127.0.0.1 uses https, and only plain http is spoken here; set it to something like `http://127.0.0.1:39300`.",
            ),
            ("The store is locked.", "The store is locked."),
        ] {
            assert_eq!(in_options(text), expected);
        }
    }

    #[test]
    fn sentences() {
        for (text, expected) in [
            ("cannot start", "Cannot start."),
            ("no, thanks.", "No, thanks."),
            (
                "http://127.0.0.1:1 does not answer",
                "http://127.0.0.1:1 does not answer.",
            ),
            ("store.db is damaged.", "store.db is damaged."),
            ("/tmp/x is gone", "/tmp/x is gone."),
            ("`--url` is wrong", "`--url` is wrong."),
            ("pieces-lsp ends", "pieces-lsp ends."),
            ("really, now?", "Really, now?"),
            ("", "."),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }
}
