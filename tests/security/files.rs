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
    use crate::support::world::{capabilities, local, wait_live, wait_status};
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
    async fn a_shared_directory_is_refused_and_left_as_it_is() {
        for shared in [0o777, 0o775, 0o757] {
            let dir = tempfile::tempdir().unwrap();
            set_mode(dir.path(), shared);
            let refused = attach(&options(dir.path(), true)).await.unwrap_err();
            assert!(matches!(refused, ServiceError::Shared { .. }), "{refused}");
            let commands = [
                &["service"][..],
                &["doctor", "--backend", "local"],
                &["import", "--from", "/nonexistent"],
            ];
            for command in commands {
                let spawn = Spawn::with_arguments(command).arg("--data-dir");
                let finished = spawn.arg(dir.path()).run();
                assert_eq!(finished.code, Some(1), "{finished:?}");
            }
            assert_eq!(mode(dir.path()), shared);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
            // What the sentence advises works.
            let inside = dir.path().join("pieces-lsp");
            assert!(refused.to_string().contains(inside.to_str().unwrap()));
            let (attached, _) = serve(&inside, true).await;
            assert_eq!((mode(&inside), mode(dir.path())), (0o700, shared));
            attached.shutdown().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_directory_that_others_may_list_is_used_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o755);
        let (attached, _) = serve(dir.path(), true).await;
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert_eq!(mode(dir.path()), 0o755);
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
        for name in ["lock", "store.db", "service.json", "socket"] {
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
            let what = format!("{} is nothing that can be imported", path.display());
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

    /// Every file that we look for in a data directory.
    #[test]
    fn pipes_in_the_data_directory_are_not_waited_for() {
        let ours = [
            "lock",
            "store.db",
            "store.db-wal",
            "store.db-shm",
            "store.db-journal",
            "service.json",
        ];
        for name in ours {
            let dir = tempfile::tempdir().unwrap();
            pipe(&dir.path().join(name));
            let doctor = || {
                let spawn = Spawn::with_arguments(["doctor", "--backend", "local", "--data-dir"]);
                let finished = spawn.arg(dir.path()).run();
                (finished.code, finished.stdout)
            };
            // A stale `service.json` is in nobody's way, whatever it is.
            let usable = name == "service.json";
            let (code, said) = doctor();
            assert_eq!(code, Some(i32::from(!usable)), "{name}: {said}");
            assert!(usable || said.contains("not a regular file"), "{said}");
            let (mut client, _) = Client::connect(local(dir.path()), capabilities(), Value::Null);
            if usable {
                wait_live(&mut client);
            } else {
                let status = wait_status(&mut client, |status| status["state"] == "offline");
                let error = status["error"].as_str().unwrap();
                assert!(
                    error.contains(name) && error.contains("not a regular file"),
                    "{error}"
                );
            }
            client.finish();
        }
    }

    #[test]
    fn a_new_log_file_is_private_and_one_that_exists_keeps_its_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let serve = |log: &Path| {
            let mut process = Spawn::serve().arg("--log-level").arg("debug");
            process = process.arg("--log-file").arg(log);
            let mut process = process.start();
            process.close_stdin();
            process.wait().log
        };
        assert_eq!(serve(&at("new")), "");
        assert_eq!(mode(&at("new")), 0o600);
        assert!(fs::metadata(at("new")).unwrap().len() > 0);
        fs::write(at("existing"), "").unwrap();
        for kept in [0o640, 0o666] {
            set_mode(&at("existing"), kept);
            serve(&at("existing"));
            assert_eq!(mode(&at("existing")), kept);
            assert!(fs::metadata(at("existing")).unwrap().len() > 0);
        }
    }

    #[test]
    fn a_log_file_is_no_link_and_no_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("victim"), "").unwrap();
        symlink(at("victim"), at("link")).unwrap();
        pipe(&at("pipe"));
        for name in ["link", "pipe"] {
            let mut process = Spawn::serve().arg("--log-file").arg(at(name)).start();
            process.close_stdin();
            let log = process.wait().log;
            assert!(log.contains("not a regular file"), "{name}: {log}");
        }
        assert_eq!(fs::metadata(at("victim")).unwrap().len(), 0);
    }
}

/// Who holds the lock and answers without end costs a moment and no memory.
#[cfg(unix)]
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
    let info = json!({"url": trap.url(), "socket": "socket", "token": "t", "pid": 1, "version": "0", "store": store});
    fs::write(dir.path().join("service.json"), info.to_string()).unwrap();
    trap.behind(&dir.path().join("socket"));
    let refused = attach(&options(dir.path(), true)).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Holder { .. }), "{refused}");
    assert!(trap.connections() > 0);
    // What the buffers of the system hold, far from what half a second lets through.
    let most = most.load(Ordering::SeqCst);
    assert!(most < 32 << 20, "{most} bytes");
}
