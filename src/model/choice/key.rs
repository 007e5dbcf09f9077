//! Keys that a command prints, kept in memory until the endpoint refuses them.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::model::{EndpointUrl, Error, Secret, limits};

/// By URL and command: a key is never sent to another URL.
type Keys = HashMap<(String, String), Secret>;

fn keys() -> MutexGuard<'static, Keys> {
    static KEYS: LazyLock<Mutex<Keys>> = LazyLock::new(Mutex::default);
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One command at a time: it may ask the user for a password.
static RUNNING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The key that this command prints for this URL.
///
/// # Errors
/// The command fails, prints nothing, or takes more than a minute. Nothing that it prints is repeated.
pub(super) async fn of(url: &EndpointUrl, command: &str) -> Result<Secret, Error> {
    let name = (url.as_str().to_owned(), command.to_owned());
    let kept = || keys().get(&name).cloned();
    if let Some(key) = kept() {
        return Ok(key);
    }
    // Bounded: each command before this one ends within a minute.
    let _running = RUNNING.lock().await;
    if let Some(key) = kept() {
        return Ok(key);
    }
    let printed = timeout(limits::KEY_COMMAND, run(command)).await;
    let printed = printed.unwrap_or_else(|_| Err("did not end within a minute".to_owned()));
    let key = printed.map_err(|why| {
        Error::model(format!(
            "The command that prints the key of {url} {why}; run it in a terminal, or choose again with `pieces-lsp model use URL --key-command CMD`."
        ))
    })?;
    keys().insert(name, key.clone());
    Ok(key)
}

/// Forgets the keys of this URL.
pub(super) fn forget(url: &EndpointUrl) {
    keys().retain(|(of, _), _| of != url.as_str());
}

/// Runs the command in the shell of the system; its first line.
async fn run(command: &str) -> Result<Secret, String> {
    let mut shell = match cfg!(windows) {
        true => Command::new("cmd"),
        false => Command::new("sh"),
    };
    shell
        .arg(if cfg!(windows) { "/C" } else { "-c" })
        .arg(command);
    // Its stderr could contain the key, and our stderr is a log.
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = shell
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be started ({error})"))?;
    let mut line = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        let mut start = (&mut stdout).take(limits::KEY as u64);
        start
            .read_to_end(&mut line)
            .await
            .map_err(|_| "cannot be read".to_owned())?;
        // Drained, so that the command can end.
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    }
    let status = child
        .wait()
        .await
        .map_err(|_| "cannot be waited for".to_owned())?;
    if !status.success() {
        return Err(match status.code() {
            Some(code) => format!("failed (exit code {code})"),
            None => "was killed".to_owned(),
        });
    }
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = str::from_utf8(line).map_err(|_| "printed something that is not text".to_owned())?;
    Secret::new(line).ok_or_else(|| "printed nothing on its first line".to_owned())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn url(port: u16) -> EndpointUrl {
        EndpointUrl::loopback(port).unwrap()
    }

    #[tokio::test]
    async fn the_first_line_is_the_key() {
        let table = [
            ("printf 'secret\\nmore\\n'", Some("secret")),
            ("printf secret", Some("secret")),
            ("printf 'secret\\r\\n'", Some("secret")),
            // No stdin to wait for.
            ("cat; echo x", Some("x")),
            ("echo secret; head -c 1000000 /dev/zero", Some("secret")),
            ("echo secret; exit 3", None),
            ("true", None),
            ("printf '\\nsecret\\n'", None),
            ("printf '\\377\\n'", None),
            ("/nonexistent/command", None),
        ];
        for (command, expected) in table {
            let got = of(&url(1), command).await;
            let key = got.as_ref().ok().map(Secret::expose);
            assert_eq!(key, expected, "{command}");
            if let Err(error) = got {
                assert!(!error.message.contains("secret"), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn it_is_kept_for_its_url_until_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        let command = format!("echo x >> '{}'; echo key", count.display());
        let runs = || std::fs::read_to_string(&count).map_or(0, |text| text.lines().count());
        let (url_2, url_3) = (url(2), url(3));
        let both = tokio::join!(of(&url_2, &command), of(&url_2, &command));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_eq!(runs(), 1);
        of(&url_3, &command).await.unwrap();
        assert_eq!(runs(), 2, "another URL");
        forget(&url_2);
        of(&url_3, &command).await.unwrap();
        assert_eq!(runs(), 2);
        of(&url_2, &command).await.unwrap();
        assert_eq!(runs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_does_not_end_is_given_up() {
        let error = of(&url(4), "sleep 1000").await.unwrap_err();
        assert!(error.message.contains("within a minute"), "{error}");
    }
}
