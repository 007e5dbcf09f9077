use super::*;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn new_directories_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("above/data");
    let inner = subdir(&data, "trash").unwrap();
    for made in [data.parent().unwrap(), &data, &inner] {
        assert_eq!(mode(made), 0o700, "{}", made.display());
    }
}

#[test]
fn only_our_own_abandoned_drafts_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let id = Uuid::nil();
    let ours = [
        ".pieces-lsp-x.tmp".to_owned(),
        "service.json.tmp".to_owned(),
        format!("{id}.tmp"),
    ];
    let others = ["note.tmp", ".x.tmp", ".pieces-lsp-x", "service.json"];
    for name in ours.iter().map(String::as_str).chain(others) {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let written = dir.path().join(".pieces-lsp-y.tmp");
    let draft = File::create(&written).unwrap();
    draft.try_lock().unwrap();
    remove_drafts(dir.path());
    for name in ours {
        assert!(!dir.path().join(&name).exists(), "{name}");
    }
    for name in others {
        assert!(dir.path().join(name).exists(), "{name}");
    }
    assert!(written.exists(), "it is being written");
}

#[test]
fn a_draft_that_is_being_written_is_never_taken_for_an_abandoned_one() {
    let dir = tempfile::tempdir().unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Relaxed) {
                remove_drafts(dir.path());
            }
        });
        let written: io::Result<()> =
            (0..500).try_for_each(|_| write(&dir.path().join("a"), b"text"));
        ended.store(true, Relaxed);
        written.unwrap();
    });
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 1);
}

#[test]
fn errors_of_the_system_keep_their_words() {
    let gone = tempfile::tempdir().unwrap().path().join("gone/a");
    let error = write(&gone, b"text").unwrap_err();
    assert!(error.raw_os_error().is_some(), "{error}");
}

#[test]
fn an_existing_directory_keeps_its_permissions() {
    for (before, usable) in [
        (0o700, true),
        (0o750, true),
        (0o755, true),
        (0o775, false),
        (0o757, false),
        (0o1777, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), before);
        assert_eq!(own_dir(dir.path()).is_ok(), usable, "{before:o}");
        assert_eq!(subdir(dir.path(), "trash").is_ok(), usable, "{before:o}");
        let after = fs::metadata(dir.path()).unwrap().permissions().mode() & 0o7777;
        assert_eq!(after, before, "{before:o}");
    }
}

#[test]
fn nothing_is_written_to_a_directory_of_another_user() {
    let dir = tempfile::tempdir().unwrap();
    // Only root can give a directory away; everybody else finds this one with another owner.
    let foreign = match chown(dir.path(), Some(65534), None) {
        Ok(()) => dir.path(),
        Err(_) => Path::new("/usr"),
    };
    let error = subdir(foreign, "trash").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(!foreign.join("trash").exists());
}

#[test]
fn written_files_are_private_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    fs::write(&path, "old").unwrap();
    set_mode(&path, 0o644);
    std::thread::scope(|scope| {
        for text in ["first".repeat(10_000), "other".repeat(10_000)] {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    write(path, text.as_bytes()).unwrap();
                    let read = read(path, 1 << 20).unwrap();
                    assert!(
                        read == "first".repeat(10_000).as_bytes()
                            || read == "other".repeat(10_000).as_bytes()
                    );
                }
            });
        }
    });
    assert_eq!(mode(&path), 0o600);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no draft stays"
    );
    assert_eq!(
        read(&path, 3).unwrap_err().kind(),
        io::ErrorKind::FileTooLarge
    );
}

/// Each of these would be waited for, or followed.
#[test]
fn only_regular_files_are_opened_and_nothing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(at("pipe"))
        .status();
    assert!(made.unwrap().success());
    let _listening = UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("file"), "text").unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("pipe"), at("link to pipe")).unwrap();
    symlink("/dev/zero", at("link to device")).unwrap();
    let names = [
        "pipe",
        "socket",
        "directory",
        "link",
        "link to pipe",
        "link to device",
    ];
    for name in names {
        for options in [
            File::options().read(true),
            File::options().write(true),
            File::options().read(true).write(true),
            File::options().append(true).create(true),
        ] {
            let error = file(&at(name), options).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}: {error}");
        }
        assert_eq!(regular(&at(name)).is_ok(), name == "link", "{name}");
    }
    assert!(read(&at("file"), 4).is_ok() && regular(&at("file")).is_ok());
    let absent = read(&at("absent"), 4).unwrap_err();
    assert_eq!(absent.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_file_is_known_by_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&path, "").unwrap();
    let held = Identity::of(&File::open(&path).unwrap()).unwrap();
    assert_eq!(Identity::at(&path).unwrap(), held);
    fs::rename(&path, &other).unwrap();
    assert_eq!(Identity::at(&other).unwrap(), held);
    fs::write(&path, "").unwrap();
    assert_ne!(Identity::at(&path).unwrap(), held);
}
