//! Files and directories that others made beforehand, and a holder that is none.

use crate::support::local::{options, serve};
use crate::trap::{Trap, flood};
use pieces_lsp::service::{ServiceError, attach};
use serde_json::json;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(unix)]
mod unix {
    use super::*;
    use crate::support::client::Client;
    use crate::support::process::Spawn;
    use crate::support::world::{capabilities, local, wait_live};
    use serde_json::Value;
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
    use std::path::Path;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_data_directory_open_to_others_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o777);
        let (attached, _) = serve(dir.path(), true).await;
        assert_eq!(mode(dir.path()), 0o700);
        attached.shutdown().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_data_directory_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        // Only root can give a directory away; everybody else finds this one with another owner.
        let foreign = match chown(dir.path(), Some(65534), None) {
            Ok(()) => dir.path(),
            Err(_) => Path::new("/usr"),
        };
        let refused = attach(&options(foreign, true)).await.unwrap_err();
        assert!(matches!(refused, ServiceError::Foreign { .. }), "{refused}");
        assert!(refused.to_string().contains("--data-dir"), "{refused}");
        assert!(!foreign.join("lock").exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn links_in_the_data_directory_are_not_followed() {
        for name in ["lock", "store.db", "service.json", "service.json.tmp"] {
            let dir = tempfile::tempdir().unwrap();
            let (store, victim) = (dir.path().join("store"), dir.path().join("victim"));
            fs::create_dir(&store).unwrap();
            fs::write(&victim, "precious").unwrap();
            set_mode(&victim, 0o644);
            symlink(&victim, store.join(name)).unwrap();
            let attached = attach(&options(&store, true)).await;
            assert_eq!(attached.is_err(), name == "lock", "{name}: {attached:?}");
            assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
            assert_eq!(mode(&victim), 0o644, "{name}");
            if let Ok(attached) = attached {
                attached.shutdown().await;
            }
        }
    }

    /// A pipe that nobody writes to.
    fn pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    }

    #[test]
    fn an_import_reads_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("pipe");
        pipe(&fifo);
        let hole = dir.path().join("hole");
        fs::File::create(&hole).unwrap().set_len(1 << 40).unwrap();
        for path in [&fifo, Path::new("/dev/zero"), Path::new("/dev/tty"), &hole] {
            let spawn = Spawn::with_arguments(["import", "--from"]).arg(path);
            let finished = spawn.arg("--data-dir").arg(dir.path().join("store")).run();
            assert_eq!(finished.code, Some(1), "{finished:?}");
            let what = format!("{} was not written by `pieces-lsp export`", path.display());
            assert!(finished.stderr.contains(&what), "{finished:?}");
        }
    }

    #[test]
    fn a_conversation_is_started_from_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("pipe");
        pipe(&fifo);
        let (mut client, _) = Client::connect(
            local(&dir.path().join("store")),
            capabilities(),
            Value::Null,
        );
        wait_live(&mut client);
        let pipe = format!("file://{}", fifo.display());
        let elsewhere = "file://evil.example/share/a.rs";
        for uri in [&*pipe, "file:///dev/zero", "file:///etc", elsewhere] {
            let argument = json!({"uri": uri});
            let started = client.command("pieces.conversations.startFromDocument", argument);
            let error = started.unwrap_err();
            assert_eq!(error.data["kind"], "not-found", "{uri}: {error:?}");
        }
        // It can be opened for writing as soon as somebody waits to read.
        let not_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let mut writing = fs::File::options();
        let opened = writing.write(true).custom_flags(not_waiting).open(&fifo);
        assert!(opened.is_err(), "nobody reads the pipe");
        client.finish();
    }

    #[test]
    fn the_doctor_waits_for_no_pipe() {
        let dir = tempfile::tempdir().unwrap();
        pipe(&dir.path().join("service.json"));
        let spawn = Spawn::with_arguments(["doctor", "--backend", "local", "--data-dir"]);
        let finished = spawn.arg(dir.path()).run();
        assert!(finished.code.is_some(), "{finished:?}");
    }

    #[test]
    fn the_log_file_is_private_and_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let (log, link) = (dir.path().join("log"), dir.path().join("link"));
        fs::write(&log, "").unwrap();
        symlink(&log, &link).unwrap();
        for (file, expected) in [(&link, 0o666), (&log, 0o600)] {
            set_mode(&log, 0o666);
            let mut process = Spawn::serve().arg("--log-file").arg(file).start();
            process.close_stdin();
            process.wait();
            assert_eq!(mode(&log), expected, "{}", file.display());
        }
    }
}

/// Who holds the lock and answers without end costs a moment and no memory.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_health_answer_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let lock = fs::File::create(dir.path().join("lock")).unwrap();
    lock.try_lock().unwrap();
    let most = Arc::new(AtomicU64::new(0));
    let taken = Arc::clone(&most);
    let trap = Trap::start(move |_, connection| {
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        let sent = flood(connection, head, &[b'x'; 65536], 1 << 30);
        taken.fetch_max(sent, Ordering::SeqCst);
    });
    let store = uuid::Uuid::new_v4();
    let info = json!({"url": trap.url(), "token": "t", "pid": 1, "version": "0", "store": store});
    fs::write(dir.path().join("service.json"), info.to_string()).unwrap();
    let refused = attach(&options(dir.path(), true)).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Holder { .. }), "{refused}");
    assert!(trap.connections() > 0);
    // What the buffers of the system hold, far from what half a second lets through.
    let most = most.load(Ordering::SeqCst);
    assert!(most < 32 << 20, "{most} bytes");
}
