//! The choice in the data directory: `model.json`, readable by its user only.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Key, New};
use crate::model::{EndpointUrl, Error, limits};
use crate::pieces::PlainHttp;
use crate::private;

const NAME: &str = "model.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructions: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_command: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    summaries: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    allow_http_private: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Writes the choice to the data directory, in place of an earlier one.
///
/// # Errors
/// The file cannot be written.
pub fn save(data_dir: &Path, new: &New) -> Result<(), Error> {
    let (key_env, key_command) = match new.key.clone() {
        Some(Key::Variable(name)) => (Some(name), None),
        Some(Key::Command(command)) => (None, Some(command)),
        None => (None, None),
    };
    let stored = Stored {
        url: new.url.as_str().to_owned(),
        model: new.model.clone(),
        context: new.context,
        instructions: new.instructions.clone(),
        key_env,
        key_command,
        summaries: new.summaries,
        allow_http_private: new.plain_http.is_remote(),
    };
    let path = data_dir.join(NAME);
    private::own_dir(data_dir).map_err(|why| unusable(data_dir, &why))?;
    let json = serde_json::to_vec_pretty(&stored).unwrap_or_default();
    private::write(&path, &json).map_err(|error| {
        let path = path.display();
        Error::model(format!(
            "The choice cannot be written to {path} ({error}); check the permissions and the free space, or pass another `--data-dir`."
        ))
    })
}

/// Removes the choice from the data directory. Returns whether there was one.
///
/// # Errors
/// The file cannot be removed.
pub fn clear(data_dir: &Path) -> Result<bool, Error> {
    let path = data_dir.join(NAME);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::model(format!(
            "{} cannot be removed ({error}); check the permissions.",
            path.display()
        ))),
    }
}

/// The choice in the data directory, if there is one.
pub(super) fn read(data_dir: &Path) -> Result<Option<New>, Error> {
    let path = data_dir.join(NAME);
    let broken = |why: &str| {
        let path = path.display();
        Error::model(format!(
            "The choice of a model in {path} cannot be used ({why}); choose again with `pieces-lsp model use URL`."
        ))
    };
    let bytes = match private::read(&path, limits::FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(&error.to_string())),
    };
    // A user who can write there could choose the endpoint.
    private::own_dir(data_dir).map_err(|why| unusable(data_dir, &why))?;
    private::only_ours(&path).map_err(|why| broken(&why.to_string()))?;
    let stored = crate::json::from_slice::<Stored>(&bytes).map_err(|_| broken("it is damaged"))?;
    let plain_http = PlainHttp::from_allow_remote(stored.allow_http_private);
    let url = EndpointUrl::parse(&stored.url, plain_http)?;
    let key = stored.key_env.map(Key::Variable);
    Ok(Some(New {
        url,
        model: stored.model,
        context: stored.context,
        instructions: stored.instructions,
        key: key.or(stored.key_command.map(Key::Command)),
        summaries: stored.summaries,
        plain_http,
    }))
}

fn unusable(data_dir: &Path, why: &private::Unusable) -> Error {
    let dir = data_dir.display();
    Error::model(format!(
        "The data directory {dir} cannot be used: {why}; pass another `--data-dir`."
    ))
}

/// The text of the file with the instructions (the system message).
pub(super) fn instructions(path: &Path) -> Result<String, Error> {
    let unreadable = |why: &str| {
        let path = path.display();
        Error::model(format!(
            "The instructions in {path} cannot be read ({why}); choose again with `pieces-lsp model use URL --instructions FILE`."
        ))
    };
    let mut bytes = Vec::new();
    let file = private::regular(path).map_err(|error| unreadable(&error.to_string()))?;
    let read = file.take(limits::INSTRUCTIONS + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error.to_string()))?;
    if bytes.len() as u64 > limits::INSTRUCTIONS {
        return Err(unreadable("it has more than 256 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        assert_eq!(read(&data), Ok(None));
        assert_eq!(clear(&data), Ok(false));
        let mut new =
            New::plain(EndpointUrl::parse("http://127.0.0.1:1/v1", PlainHttp::Loopback).unwrap());
        let all = New {
            model: Some("m".to_owned()),
            context: Some(7),
            instructions: Some(data.join("file")),
            key: Some(Key::Command("pass show x".to_owned())),
            summaries: true,
            plain_http: PlainHttp::Remote,
            ..New::plain(EndpointUrl::parse("http://10.0.0.1/v1", PlainHttp::Remote).unwrap())
        };
        for new in [new.clone(), all] {
            save(&data, &new).unwrap();
            assert_eq!(read(&data), Ok(Some(new)));
        }
        new.key = Some(Key::Variable("K".to_owned()));
        save(&data, &new).unwrap();
        assert_eq!(read(&data), Ok(Some(new)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(data.join(NAME))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(clear(&data), Ok(true));
        assert_eq!(read(&data), Ok(None));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        for text in [
            "",
            "{}",
            "[",
            r#"{"url":7}"#,
            r#"{"url":"http://example.com"}"#,
            r#"{"url":"http://10.0.0.1"}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(read(dir.path()).is_err(), "{text}");
        }
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        assert!(read(dir.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_could_have_written_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let new =
            New::plain(EndpointUrl::parse("http://127.0.0.1:1/v1", PlainHttp::Loopback).unwrap());
        save(dir.path(), &new).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(read(dir.path()).is_err());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join(NAME);
        for (mode, usable) in [(0o644, true), (0o666, false), (0o620, false), (0o600, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(dir.path()).is_ok(), usable, "{mode:o}");
        }
        let elsewhere = dir.path().join("other.json");
        std::fs::rename(dir.path().join(NAME), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir.path().join(NAME)).unwrap();
        assert!(read(dir.path()).is_err());
    }

    #[test]
    fn instructions_are_text_of_a_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "Be brief.").unwrap();
        assert_eq!(instructions(&path).as_deref(), Ok("Be brief."));
        std::fs::write(&path, b"\xff").unwrap();
        assert!(instructions(&path).is_err());
        std::fs::write(&path, "x".repeat(300_000)).unwrap();
        assert!(instructions(&path).is_err());
        assert!(instructions(dir.path()).is_err());
        assert!(instructions(&dir.path().join("absent")).is_err());
    }
}
