//! Archives that mean harm, or are only damaged: each costs itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::support::local::Local;
use crate::vendor::*;
use crate::{
    contents, counts, dir, import, left_out, look, reasons, refused, run, zip_directory, zipped,
};

/// Case 15.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_cost_only_themselves() {
    let (archive, data) = (Archive::filled(), dir());
    let folder = archive.folder("messages");
    let write = |name: &str, text: &[u8]| fs::write(folder.join(name), text).unwrap();
    let named = |n: u8| format!("{}.json", format!("{n:02x}").repeat(32));
    write(
        &named(1),
        message(GONE, "USER", 3, "x").to_string().as_bytes(),
    );
    write(
        &named(2),
        message(FIRST, "USER", 3, "twice").to_string().as_bytes(),
    );
    write(&named(3), b"[1, 2]");
    write(&named(4), b"{\"id\": \"\xff\"}");
    write(&named(5), "[".repeat(10_000).as_bytes());
    write(&named(6), b"");
    File::create(folder.join(named(7)))
        .unwrap()
        .set_len(40 << 20)
        .unwrap();
    File::create(folder.join(named(8)))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    write("notes.json", b"{}");
    write(".DS_Store", b"");
    let mut roleless = message(GONE, "USER", 3, "x");
    roleless["role"] = Value::Null;
    archive.put("messages", &roleless);
    // An id that is no UUID is one here.
    archive.put("messages", &message("../../etc/passwd", "USER", 20, "Odd."));
    let duplicate =
        r#"{"id":"x","id":"ID","conversation":{"id":"CONV"},"role":"USER","role":"ASSISTANT"}"#;
    let id = "3c1d8a52-6f0e-4b7a-9a41-5d2f8e7c0b55";
    let duplicate = duplicate.replace("ID", id).replace("CONV", CONVERSATION);
    fs::write(archive.file("messages", id), duplicate).unwrap();
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts, counts(9, 0, 0, 9), "{report:?}");
    let expected = [
        "it has no role",
        "it is larger than 10 MiB",
        "it is larger than 10 MiB",
        "it is nested too deeply",
        "it is not JSON",
        "it is not UTF-8",
        "it is not a JSON object",
        "its file name does not match its id",
        "its file name does not match its id",
    ];
    assert_eq!(reasons(&report), expected);
    assert_eq!(left_out(&report, "file without a record"), 1);
    let shown: Vec<_> = report.unreadable.iter().map(ToString::to_string).collect();
    assert!(
        shown.contains(&format!(
            "data/messages/{}: it is not a JSON object",
            named(3)
        )),
        "{shown:?}"
    );
    let messages = look(data.path(), async |local: &Local| {
        local
            .get(&format!(
                "/conversation/{CONVERSATION}/messages?transferables=true"
            ))
            .await
    });
    let messages = messages.await["iterable"].as_array().unwrap().clone();
    assert_eq!(messages.len(), 4);
    assert!(
        messages
            .iter()
            .any(|one| one["sourceId"] == "../../etc/passwd")
    );
    run(archive.path(), data.path()).stays_small();
}

/// Case 16.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_followed_out_of_an_archive() {
    use std::os::unix::fs::symlink;
    let (archive, outside, data) = (Archive::filled(), dir(), dir());
    let secret = outside.path().join("secret.json");
    let stolen = message(GONE, "USER", 3, "a secret");
    fs::write(&secret, stolen.to_string()).unwrap();
    symlink(&secret, archive.file("messages", GONE)).unwrap();
    let folder = archive.folder("messages");
    let named = |n: u8| folder.join(format!("{}.json", format!("{n:02x}").repeat(32)));
    let pipe = std::process::Command::new("mkfifo").arg(named(1)).status();
    assert!(pipe.unwrap().success());
    symlink("/dev/zero", named(2)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(outside.path().join("s")).unwrap();
    symlink(outside.path().join("s"), named(3)).unwrap();
    fs::create_dir(named(4)).unwrap();
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts, counts(7, 0, 0, 0), "{report:?}");
    assert_eq!(left_out(&report, "special file"), 4);
    assert_eq!(left_out(&report, "folder without a record"), 1);

    // A folder of records, and all of them, elsewhere.
    let (linked, real) = (Archive::filled(), Archive::filled());
    fs::remove_dir_all(linked.folder("messages")).unwrap();
    symlink(real.folder("messages"), linked.path().join("data/messages")).unwrap();
    let report = import(linked.path(), dir().path()).await;
    // Told, because what is in it was not read.
    assert_eq!(report.counts, counts(5, 0, 0, 1), "{report:?}");
    assert_eq!(report.unreadable[0].what, "data/messages");
    assert!(
        !report
            .notes
            .iter()
            .any(|note| note.contains("Left out by the exporter")),
        "{report:?}"
    );
    fs::remove_dir_all(linked.path().join("data")).unwrap();
    symlink(real.path().join("data"), linked.path().join("data")).unwrap();
    let error = refused(linked.path(), dir().path()).await;
    assert!(
        error
            .to_string()
            .contains("has no conversations: its folder data/conversations cannot be read"),
        "{error}"
    );
    assert_eq!(error.so_far, counts(0, 0, 0, 0));
    // The path itself is the user's own: it may be a link.
    let link = outside.path().join("link");
    symlink(real.path(), &link).unwrap();
    assert_eq!(import(&link, dir().path()).await.counts, counts(7, 0, 0, 0));

    // Logs and exports of others.
    let home = dir();
    fs::create_dir(home.path().join("p")).unwrap();
    symlink(
        &secret,
        home.path()
            .join("p/1b2c3d4e-0000-4000-8000-000000000001.jsonl"),
    )
    .unwrap();
    symlink(&secret, home.path().join("conversations.json")).unwrap();
    symlink(&secret, home.path().join("vault.db")).unwrap();
    let error = refused(home.path(), dir().path()).await;
    assert!(
        error.to_string().contains("is a directory without"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_in_a_zip_lead_nowhere() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("evil.zip");
    let conversation = br#"[{"id":"c","mapping":{"a":{"message":{"author":{"role":"user"},"content":{"parts":["x"]}}}}}]"#;
    let deep = format!("{}conversations.json", "a/".repeat(1_000));
    zipped(
        &path,
        &[
            ("../../evil.json", conversation),
            ("/etc/evil.json", conversation),
            ("C:/evil.json", conversation),
            (&deep, conversation),
            ("inner.zip", b"PK\x03\x04"),
            ("conversations.json", conversation),
        ],
    );
    let before = contents(here.path());
    let report = import(&path, data.path()).await;
    assert_eq!(report.counts, counts(2, 0, 0, 0), "{report:?}");
    assert_eq!(contents(here.path()), before);
    assert!(!here.path().parent().unwrap().join("evil.json").exists());

    // Folders separated as old tools on Windows do.
    let archive = Archive::filled();
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, bytes) in contents(archive.path()) {
        let name = Path::new(&name).strip_prefix(archive.path()).unwrap();
        let name = name.to_str().unwrap().replace('/', "\\");
        zip.start_file(format!("top\\{name}"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap();
    assert_eq!(import(&path, dir().path()).await.counts, counts(7, 0, 0, 0));

    // A link in a zip is no file.
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    zip.add_symlink(
        "conversations.json",
        "/etc/passwd",
        SimpleFileOptions::default(),
    )
    .unwrap();
    zip.finish().unwrap();
    let error = refused(&path, dir().path()).await;
    assert!(error.to_string().contains("evil.zip"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_and_odd_zips_say_what_to_do() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("export.zip");
    let packed = |method, files: usize| {
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = SimpleFileOptions::default().compression_method(method);
        for n in 0..files {
            zip.start_file(format!("a folder with a rather long name/{n:090}"), options)
                .unwrap();
        }
        zip.start_file("conversations.json", options).unwrap();
        zip.write_all(b"[{\"mapping\":{}}]").unwrap();
        zip.finish().unwrap();
    };
    let says = async |part: &str| {
        let error = refused(&path, data.path()).await.to_string();
        assert!(
            error.contains("export.zip") && error.contains(part),
            "{error}"
        );
    };
    packed(CompressionMethod::Stored, 100_000);
    says("has too many files to read them packed; unpack it").await;
    packed(CompressionMethod::Stored, 1);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    says("is damaged; fetch it again").await;
    fs::write(&path, b"PK\x03\x04").unwrap();
    says("is damaged").await;
    // The flag of encryption, and a method that nobody knows, in both headers of the file.
    for (offsets, bits, part) in [
        ((6, 8), [1, 0], "is encrypted"),
        ((8, 10), [99, 0], "is packed in a way"),
    ] {
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file("conversations.json", options).unwrap();
        zip.write_all(b"[{\"mapping\":{}}]").unwrap();
        zip.finish().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let central = bytes
            .windows(4)
            .position(|four| four == b"PK\x01\x02")
            .unwrap();
        bytes[offsets.0..offsets.0 + 2].copy_from_slice(&bits);
        bytes[central + offsets.1..central + offsets.1 + 2].copy_from_slice(&bits);
        fs::write(&path, bytes).unwrap();
        says(part).await;
    }
    let unrelated = here.path().join("unrelated.zip");
    zipped(&unrelated, &[("readme.txt", b"x")]);
    let error = refused(&unrelated, data.path()).await;
    assert!(
        error
            .to_string()
            .contains("unrelated.zip is nothing that can be imported"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_encodings_are_named() {
    let here = dir();
    let path = here.path().join("conversations.json");
    let utf16: Vec<u8> = "\u{feff}[{\"mapping\":{}}]"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(&path, utf16).unwrap();
    let error = refused(&path, here.path()).await;
    assert!(
        error
            .to_string()
            .contains("conversations.json is UTF-16 text; save it as UTF-8"),
        "{error}"
    );
}

/// What a small file can grow to in memory.
#[test]
fn bombs_and_endless_lines_need_little_memory() {
    let here = dir();
    let bomb = here.path().join("bomb.zip");
    let mut zip = zip::ZipWriter::new(File::create(&bomb).unwrap());
    zip.start_file("conversations.json", SimpleFileOptions::default())
        .unwrap();
    zip.write_all(b"[{\"id\":\"a\",\"mapping\":{}},{\"id\":\"")
        .unwrap();
    for _ in 0..400 {
        zip.write_all(&[b'x'; 1 << 20]).unwrap();
    }
    zip.write_all(b"\"}]").unwrap();
    zip.finish().unwrap();
    assert!(fs::metadata(&bomb).unwrap().len() < 1 << 20);
    let finished = run(&bomb, &here.path().join("a"));
    assert_eq!(finished.code, Some(1));
    assert!(
        finished
            .stderr
            .contains("conversation 2 of conversations.json: it is larger than 24 MiB"),
        "{}",
        finished.stderr
    );
    finished.stays_small();

    let log = here
        .path()
        .join("1b2c3d4e-0000-4000-8000-000000000001.jsonl");
    let mut file = File::create(&log).unwrap();
    let line = |n: u32| json!({"type": "user", "uuid": format!("aaaaaaaa-0000-4000-8000-{n:012}"), "sessionId": "s", "message": {"content": "x"}});
    writeln!(file, "{}", line(1)).unwrap();
    file.set_len(2 << 30).unwrap();
    let mut end = File::options().append(true).open(&log).unwrap();
    writeln!(end, "\n{}", line(2)).unwrap();
    let finished = run(&log, &here.path().join("b"));
    assert!(
        finished.stderr.contains(
            "line 2 of 1b2c3d4e-0000-4000-8000-000000000001.jsonl: it is larger than 24 MiB"
        ),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.code, Some(1));
    finished.stays_small();

    // As much as is read at all, in the forms that need most memory.
    let conversation = |id: &str, parts: &str| {
        format!(
            "{{\"id\":\"{id}\",\"mapping\":{{\"a\":{{\"message\":{{\"author\":{{\"role\":\"user\"}},\"content\":{{\"parts\":{parts}}}}}}}}}}}"
        )
    };
    let many = format!("[{}0]", "0,".repeat(590_000));
    let text = |mib: usize| format!("[\"{}\"]", "y".repeat(mib << 20));
    let whole = [
        conversation("a", &many),
        conversation("b", &text(23)),
        conversation("c", &text(9)),
    ];
    let path = here.path().join("conversations.json");
    fs::write(&path, format!("[{}]", whole.join(","))).unwrap();
    let finished = run(&path, &here.path().join("c"));
    assert!(
        finished.stderr.contains("it is larger than 10 MiB"),
        "{}",
        finished.stderr
    );
    finished.stays_small();

    let archive = Archive::filled();
    archive.put("messages", &message(FIRST, "USER", 2, &"y".repeat(9 << 20)));
    run(archive.path(), &here.path().join("d")).stays_small();
}

/// What an archive says of itself reaches a terminal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_an_archive_reach_a_terminal_without_control_characters() {
    let (archive, data) = (Archive::filled(), dir());
    let evil = "\u{1b}[2J\u{202e}x";
    archive.manifest(json!({"tool_version": evil, "mode": evil, "os_version": evil, "scope": {"name": evil}, "Finished": evil}));
    let report = import(archive.path(), data.path()).await;
    let all = format!("{} {:?}", report.source, report.remarks().join(" "));
    assert!(
        all.chars().all(|c| c.is_ascii_graphic() || c == ' '),
        "{all:?}"
    );
    let zip = archive.path().join("again.zip");
    zip_directory(&archive.folder("messages"), &zip, "data/messages/");
    let error = refused(&zip, dir().path()).await;
    assert!(error.to_string().contains("is unfinished"), "{error}");
}
