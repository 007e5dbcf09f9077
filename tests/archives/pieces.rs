//! Archives of the Pieces exporter: the twenty cases.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::local::{Local, assert_same};
use crate::support::process::Spawn;
use crate::vendor::*;
use crate::{
    Kind, contents, counts, dir, import, left_out, look, object, refused, said, talk, told,
    zip_directory,
};

const TALK: &[(&str, &str)] = &[
    ("USER", "Why does this retry twice?"),
    ("ASSISTANT", "Because of `loop`.\n"),
];

fn everything() -> pieces_lsp::transfer::Counts {
    counts(7, 0, 0, 0)
}

async fn all(data: &Path) -> std::collections::BTreeMap<String, Value> {
    look(data, async |local: &Local| local.everything().await).await
}

/// Case 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_imported_completely() {
    let (archive, data) = (Archive::filled(), dir());
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts, everything(), "{report:?}");
    assert_eq!(
        report.source,
        "a Pieces archive of 2026-10-09, 1 conversation, 2 messages, 1 asset"
    );
    assert_eq!(
        report.remarks(),
        ["Made by Pieces Export 0.18.0-rc5, filtered, scope all, from Pieces OS 12.6.2."]
    );
    assert_eq!(talk(data.path(), CONVERSATION).await, said(TALK));
    let conversation = object(data.path(), "conversation", CONVERSATION).await;
    assert_eq!(conversation["name"], "Retry with jitter");
    assert_eq!(
        conversation["updated"]["value"],
        "2026-07-20T09:14:41.118243Z"
    );
    assert_eq!(conversation["application"]["name"], "VS_CODE");
    assert_eq!(
        conversation["model"]["id"],
        "48d2a32b-aa93-455c-a6b6-e52dfce4118e"
    );
    for (kind, id) in [
        ("assets", ASSET),
        ("anchors", ANCHOR),
        ("websites", WEBSITE),
        ("annotations", ANNOTATION),
    ] {
        assert_eq!(conversation[kind]["iterable"][0]["id"], id, "{kind}");
    }
    let asset = object(data.path(), "asset", ASSET).await;
    let original = &asset["original"]["reference"];
    assert_eq!(original["fragment"]["string"]["raw"], "fn retry() {}\n");
    assert_eq!(original["classification"]["specific"], "rs");
    assert_eq!(original["bytes"]["value"], 14);
    let path = format!("/asset/{ASSET}/conversations");
    let tied = look(data.path(), async |local: &Local| local.get(&path).await).await;
    assert_eq!(tied["iterable"][0]["id"], CONVERSATION);
    let anchor = object(data.path(), "anchor", ANCHOR).await;
    assert_eq!(
        anchor["points"]["iterable"][0]["reference"]["fullpath"],
        PATH
    );
    assert_eq!(anchor["conversations"]["iterable"][0]["id"], CONVERSATION);
}

/// Cases 2 and 3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_and_a_dry_run_change_nothing() {
    let (archive, data, elsewhere) = (Archive::filled(), dir(), dir());
    let before = contents(archive.path());
    let (dry, _) = told(archive.path(), data.path(), true).await;
    assert!(
        !data.path().join("store.db").exists(),
        "a dry run writes nothing"
    );
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report, dry.unwrap());
    let stored = all(data.path()).await;
    assert_eq!(
        import(archive.path(), data.path()).await.counts,
        counts(0, 0, 7, 0)
    );
    let zip = elsewhere.path().join("my archive.zip");
    for top in ["", "2026-10-09_11-00-00/"] {
        zip_directory(archive.path(), &zip, top);
        let report = import(&zip, data.path()).await;
        assert_eq!(report.counts, counts(0, 0, 7, 0), "{top}");
    }
    assert_same(&all(data.path()).await, &stored);
    assert_eq!(contents(archive.path()), before, "the archive was changed");
    let other = dir();
    assert_eq!(import(&zip, other.path()).await.counts, everything());
    assert_same(&all(other.path()).await, &stored);
}

/// Case 4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_without_conversations_says_why() {
    let (archive, data) = (Archive::filled(), dir());
    for folder in ["conversations", "messages", "formats", "anchor_points"] {
        fs::remove_dir_all(archive.folder(folder)).unwrap();
    }
    let scope = json!({"name": "summaries", "inventoried_materials": ["WORKSTREAM_SUMMARIES"], "omitted_materials": ["CONVERSATIONS"]});
    archive.manifest(json!({"scope": scope}));
    let assets = archive.folder("assets");
    let asset = fs::read_dir(&assets)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let kept = fs::read(&asset).unwrap();
    fs::remove_file(&asset).unwrap();
    let error = refused(archive.path(), data.path()).await;
    assert_eq!(
        error.to_string(),
        "This archive has no conversations: it was made with the scope \"summaries\", the default, which leaves them out; \
         `pieces-export --scope all` includes them. If Pieces OS is still installed, start it and run `pieces-lsp import`."
    );
    assert_eq!(error.so_far, counts(0, 0, 0, 0));
    assert!(all(data.path()).await.is_empty());
    let finished = Spawn::with_arguments(["import", "--from"])
        .arg(archive.path())
        .arg("--data-dir")
        .arg(data.path())
        .run();
    assert_eq!(finished.code, Some(1));
    assert!(
        finished
            .stderr
            .starts_with("pieces-lsp: Importing a Pieces archive of 2026-10-09, 0 conversations."),
        "{finished:?}"
    );

    // Assets without conversations are worth having, with what belongs to them.
    fs::write(&asset, kept).unwrap();
    let format =
        json!({"id": FORMAT, "asset": {"id": ASSET}, "fragment": {"string": {"raw": "x"}}});
    archive.put("formats", &format);
    let error = refused(archive.path(), data.path()).await;
    assert!(
        error.to_string().contains("Its assets were imported."),
        "{error}"
    );
    assert_eq!(error.so_far, counts(1, 0, 0, 0));
}

/// Case 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preserved_archive_is_the_same() {
    let (archive, data) = (Archive::filled(), dir());
    fs::rename(archive.path().join("data"), archive.path().join("raw")).unwrap();
    let preserved = archive;
    preserved.manifest(json!({"mode": "preserve"}));
    let raw = |folder: &str, record: Value| {
        let name = format!("{}.json", reference(folder, record["id"].as_str().unwrap()));
        fs::write(
            preserved.path().join("raw").join(folder).join(name),
            record.to_string(),
        )
        .unwrap();
    };
    let format = json!({
        "id": FORMAT, "asset": {"id": ASSET, "reference": {"id": ASSET, "name": "retry.rs"}}, "role": "BOTH",
        "bytes": {"value": 14, "readable": "14 bytes"}, "classification": {"generic": "CODE", "specific": "rs"},
        "fragment": {"string": {"raw": "fn retry() {}\n"}, "bytes": {"raw": [102, 110]}, "metadata": {"ext": "rs"}},
        "created": time(0), "updated": time(1),
    });
    raw(
        "assets",
        json!({
            "id": ASSET, "name": "retry.rs", "creator": CONVERSATION, "mechanism": "MANUAL",
            "formats": {"iterable": [format]}, "original": {"id": FORMAT, "reference": format},
            "preview": {"base": {"id": FORMAT, "reference": format}}, "created": time(0), "updated": time(1),
        }),
    );
    raw("formats", format);
    let point = json!({"id": POINT, "fullpath": PATH, "platform": "MACOS", "verified": true});
    raw(
        "anchors",
        json!({
            "id": ANCHOR, "type": "FILE", "name": "retry.rs", "created": time(0), "updated": time(1),
            "points": {"iterable": [{"id": POINT, "reference": point}]},
            "conversations": {"indices": {(CONVERSATION): 0}, "iterable": []},
        }),
    );
    let mut whole = conversation();
    let hydrated =
        json!({"id": FIRST, "reference": message(FIRST, "USER", 2, "Why does this retry twice?")});
    whole["messages"]["iterable"][0] = hydrated;
    raw("conversations", whole);
    let report = import(preserved.path(), data.path()).await;
    assert_eq!(report.counts, everything(), "{report:?}");
    assert_eq!(talk(data.path(), CONVERSATION).await, said(TALK));
    let asset = object(data.path(), "asset", ASSET).await;
    assert_eq!(
        asset["formats"]["iterable"].as_array().unwrap().len(),
        1,
        "{asset}"
    );
    let anchor = object(data.path(), "anchor", ANCHOR).await;
    assert_eq!(anchor["points"]["iterable"].as_array().unwrap().len(), 1);
    let plain = Archive::filled();
    assert_eq!(
        import(plain.path(), data.path()).await.counts,
        counts(0, 0, 7, 0)
    );
}

/// Cases 6 to 8.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_put_in_order() {
    let third = "3c1d8a52-6f0e-4b7a-9a41-5d2f8e7c0b00";
    let order = async |change: &dyn Fn(&Archive)| {
        let (archive, data) = (Archive::filled(), dir());
        archive.put("messages", &message(third, "USER", 5, "And?"));
        let mut alone = conversation();
        alone.as_object_mut().unwrap().remove("messages");
        archive.put("conversations", &alone);
        change(&archive);
        let report = import(archive.path(), data.path()).await;
        let talk = talk(data.path(), CONVERSATION).await;
        let texts: Vec<_> = talk
            .into_iter()
            .map(|(_, text)| text.chars().take(3).collect::<String>())
            .collect();
        (texts.join(" "), report)
    };
    let with = |id: &str, role: &str, second: u32, text: &str, sequence: u32| {
        let mut message = message(id, role, second, text);
        message["sequence"] = sequence.into();
        message
    };
    // By sequence, against the times.
    let (texts, _) = order(&|archive| {
        archive.put("messages", &with(FIRST, "USER", 9, "Why", 0));
        archive.put("messages", &with(SECOND, "ASSISTANT", 5, "Because", 1));
        archive.put("messages", &with(third, "USER", 2, "And?", 2));
    })
    .await;
    assert_eq!(texts, "Why Bec And");
    // One lacks it: by time.
    let (texts, _) = order(&|archive| {
        archive.put("messages", &with(FIRST, "USER", 9, "Why", 0));
        archive.put("messages", &message(SECOND, "ASSISTANT", 5, "Because"));
        archive.put("messages", &with(third, "USER", 2, "And?", 2));
    })
    .await;
    assert_eq!(texts, "And Bec Why");
    // As listed, with one removed, one absent, and one that is not listed.
    let (texts, report) = order(&|archive| {
        let mut listing = conversation();
        let absent = "3c1d8a52-6f0e-4b7a-9a41-5d2f8e7c0b77";
        listing["messages"]["indices"][absent] = 2.into();
        archive.put("conversations", &listing);
    })
    .await;
    assert_eq!(texts, "Why And Bec");
    assert_eq!(
        report.notes[1],
        "Left out by the exporter: 1 message missing."
    );
    assert_eq!(report.counts.unreadable, 0);
}

/// Case 9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_without_their_conversation_are_recovered() {
    let (archive, data) = (Archive::filled(), dir());
    archive.remove("conversations", CONVERSATION);
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.by_kind[&Kind::Conversation], counts(1, 0, 0, 0));
    assert!(
        report
            .remarks()
            .contains(&"Recovered: 1 conversation of which only messages were found.".to_owned())
    );
    assert_eq!(talk(data.path(), CONVERSATION).await, said(TALK));
    let name = async || object(data.path(), "conversation", CONVERSATION).await["name"].clone();
    assert_eq!(name().await, "Recovered conversation");
    let again = import(archive.path(), data.path()).await;
    assert_eq!((again.counts, again.recovered), (counts(0, 0, 7, 0), 0));
    // The real one, even if it changed last with its last message.
    let mut real = conversation();
    real["updated"] = time(9);
    archive.put("conversations", &real);
    let later = import(archive.path(), data.path()).await;
    assert_eq!(later.by_kind[&Kind::Conversation], counts(0, 1, 0, 0));
    assert_eq!(name().await, "Retry with jitter");
    archive.remove("conversations", CONVERSATION);
    import(archive.path(), data.path()).await;
    assert_eq!(
        name().await,
        "Retry with jitter",
        "a made-up one never replaces it"
    );
}

/// Case 10, and that a redacted copy never replaces a whole one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redacted_copies_are_imported_and_replaced_by_complete_ones() {
    let (archive, data) = (Archive::filled(), dir());
    archive.put(
        "messages",
        &message(FIRST, "USER", 2, "key=[REDACTED:SECRET]"),
    );
    archive.put(
        "messages",
        &message(SECOND, "ASSISTANT", 9, "[WITHHELD:ENCODED_SECRET]"),
    );
    let mut odd = conversation();
    odd["count"] = "[REDACTED:PAYMENT_CARD]".into();
    archive.put("conversations", &odd);
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts, everything(), "{report:?}");
    assert!(
        report
            .notes
            .contains(&"Redacted: 1 conversation, 2 messages.".to_owned()),
        "{report:?}"
    );
    let redacted = said(&[
        ("USER", "key=[REDACTED:SECRET]"),
        ("ASSISTANT", "[WITHHELD:ENCODED_SECRET]"),
    ]);
    assert_eq!(talk(data.path(), CONVERSATION).await, redacted);
    assert!(
        object(data.path(), "asset", ASSET).await["original"]["reference"]["bytes"]["value"]
            .is_u64()
    );

    // The same age, whole: it is taken.
    let whole = Archive::filled();
    assert_eq!(
        import(whole.path(), data.path()).await.counts,
        counts(0, 3, 4, 0)
    );
    assert_eq!(talk(data.path(), CONVERSATION).await, said(TALK));
    assert_eq!(
        import(archive.path(), data.path()).await.counts,
        counts(0, 0, 7, 0)
    );
    // Newer and redacted: it is not.
    let mut newer = message(FIRST, "USER", 2, "key=[REDACTED:SECRET]");
    newer["updated"] = time(59);
    archive.put("messages", &newer);
    assert_eq!(
        import(archive.path(), data.path()).await.counts,
        counts(0, 0, 7, 0)
    );
    assert_eq!(talk(data.path(), CONVERSATION).await, said(TALK));

    // The exporter's own counts, if it left them.
    let line = |state: &str, redactions: u32| {
        json!({"record_ref": "x", "material": "CONVERSATION_MESSAGES", "state": state, "redactions": redactions}).to_string()
    };
    let lines = [
        line("included", 3),
        line("withheld", 0),
        line("withheld", 0),
        line("missing", 0),
        "{".to_owned(),
    ];
    fs::write(archive.path().join("rebuild-state.jsonl"), lines.join("\n")).unwrap();
    let report = import(archive.path(), data.path()).await;
    assert_eq!(
        report.notes[1..],
        [
            "Left out by the exporter: 1 message missing, 2 messages withheld.",
            "Redacted: 1 message."
        ]
    );
}

/// Case 11.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_without_messages_is_imported_and_named() {
    let (archive, data) = (Archive::filled(), dir());
    fs::remove_dir_all(archive.folder("messages")).unwrap();
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts, counts(5, 0, 0, 0));
    assert!(
        report
            .notes
            .contains(&"1 conversation has no messages.".to_owned())
    );
}

/// Cases 12 and 13.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formats_four_six_and_newer_are_read() {
    let data = dir();
    import(Archive::filled().path(), data.path()).await;
    let stored = all(data.path()).await;
    for format in [4, 6, 9] {
        let (archive, data) = (Archive::filled(), dir());
        archive.manifest(json!({"format_version": format}));
        let group = archive.path().join("data/associations/x");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("group-000000.jsonl"), "{}\n").unwrap();
        if format == 9 {
            let folder = archive.folder("messages");
            fs::remove_dir_all(&folder).unwrap();
            fs::create_dir(&folder).unwrap();
            let lines = [
                message(SECOND, "ASSISTANT", 9, "Because of `loop`.\n").to_string(),
                String::new(),
                "{torn".to_owned(),
                message(FIRST, "USER", 2, "Why does this retry twice?").to_string(),
            ];
            fs::write(folder.join("group-000000.jsonl"), lines.join("\n")).unwrap();
        }
        let report = import(archive.path(), data.path()).await;
        let unreadable = u64::from(format == 9);
        assert_eq!(
            report.counts,
            counts(7, 0, 0, unreadable),
            "{format}: {report:?}"
        );
        let warns = report
            .notes
            .iter()
            .any(|note| note.starts_with("Its format, 9, is newer"));
        assert_eq!(warns, format == 9);
        assert_same(&all(data.path()).await, &stored);
    }
}

/// Case 14.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_archive_is_read_as_far_as_it_goes() {
    let (archive, outer, data) = (Archive::filled(), dir(), dir());
    let partial = outer.path().join("2026-10-09.partial");
    fs::rename(archive.path(), &partial).unwrap();
    fs::remove_file(partial.join("manifest.json")).unwrap();
    let torn = partial
        .join("data/messages")
        .join(format!("{}.json", reference("messages", SECOND)));
    let text = fs::read(&torn).unwrap();
    fs::write(&torn, &text[..text.len() / 2]).unwrap();
    let (outcome, said) = told(&partial, data.path(), false).await;
    let error = outcome.unwrap_err();
    assert!(
        said[0].starts_with("an unfinished Pieces archive"),
        "{said:?}"
    );
    assert!(
        error
            .to_string()
            .contains("is unfinished: the objects in it were imported"),
        "{error}"
    );
    assert_eq!(error.so_far, counts(6, 0, 0, 1));
    let again = crate::run(&partial, data.path());
    assert_eq!(again.code, Some(1));
    let name = format!(
        "data/messages/{}.json: it is not JSON",
        reference("messages", SECOND)
    );
    assert!(again.stderr.contains(&name), "{}", again.stderr);
}

/// Case 17.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anchors_need_a_path_and_keep_it_whatever_it_is() {
    for path in [
        "\\\\host\\share\\x.rs",
        "C:\\work\\x.rs",
        "/no/such/file",
        "file://evil.example/x",
    ] {
        let (archive, data) = (Archive::filled(), dir());
        archive.put(
            "anchor_points",
            &json!({"id": POINT, "anchor": {"id": ANCHOR}, "fullpath": path}),
        );
        archive.put(
            "anchor_points",
            &json!({"id": GONE, "anchor": {"id": GONE}, "fullpath": path}),
        );
        let report = import(archive.path(), data.path()).await;
        assert_eq!(report.counts, everything());
        let anchor = object(data.path(), "anchor", ANCHOR).await;
        assert_eq!(
            anchor["points"]["iterable"][0]["reference"]["fullpath"],
            path
        );
    }
    let (archive, data) = (Archive::filled(), dir());
    fs::remove_dir_all(archive.folder("anchor_points")).unwrap();
    archive.put(
        "websites",
        &json!({"id": WEBSITE, "url": "javascript:alert(1)", "name": "x"}),
    );
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts, counts(5, 0, 0, 0));
    assert_eq!(left_out(&report, "anchor without a path"), 1);
    assert_eq!(left_out(&report, "website with another kind of address"), 1);
}

/// Case 18.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_may_be_near_the_archive() {
    let (outer, data) = (dir(), dir());
    let place = |name: &str| {
        let path = outer.path().join(name);
        fs::rename(Archive::filled().path(), &path).unwrap();
        path
    };
    let first = place("2026-10-09_11-00-00");
    assert_eq!(
        import(outer.path(), data.path()).await.counts,
        everything(),
        "the only one inside"
    );
    fs::create_dir(first.join("vault")).unwrap();
    let unchanged = counts(0, 0, 7, 0);
    assert_eq!(
        import(&first.join("vault"), data.path()).await.counts,
        unchanged
    );
    place("2026-10-10_11-00-00");
    let error = refused(outer.path(), data.path()).await;
    assert!(
        error.to_string().ends_with(
            "holds several archives: 2026-10-09_11-00-00, 2026-10-10_11-00-00; name one of them."
        ),
        "{error}"
    );
    let only_markdown = dir();
    fs::create_dir_all(only_markdown.path().join("markdown/conversations")).unwrap();
    let error = refused(only_markdown.path(), data.path()).await;
    assert!(
        error
            .to_string()
            .contains("the Markdown does not say who wrote what"),
        "{error}"
    );
    let encrypted = dir();
    for name in ["private-work", "private-keys"] {
        fs::create_dir(encrypted.path().join(name)).unwrap();
    }
    let error = refused(encrypted.path(), data.path()).await;
    assert!(
        error.to_string().contains("pieces-export resume"),
        "{error}"
    );
    let unrelated = dir();
    fs::write(
        unrelated.path().join("manifest.json"),
        "{\"format_version\": 5}",
    )
    .unwrap();
    let error = refused(unrelated.path(), data.path()).await;
    assert!(
        error
            .to_string()
            .contains("is a directory without anything that can be imported"),
        "{error}"
    );
    for taken in [
        "Pieces archive",
        "vault.db",
        "Claude Code",
        "ChatGPT",
        "Claude.ai",
    ] {
        assert!(error.to_string().contains(taken), "{error}");
    }
}

/// Rights that are missing are not taken for records that are.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_listed_is_reported() {
    use std::os::unix::fs::PermissionsExt as _;
    let (archive, data) = (Archive::filled(), dir());
    let folder = archive.folder("messages");
    let rights = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    rights(0);
    if fs::read_dir(&folder).is_ok() {
        // Nothing is closed to root: a file stands for it.
        rights(0o700);
        fs::rename(&folder, archive.path().join("aside")).unwrap();
        fs::write(&folder, "").unwrap();
    }
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts.unreadable, 1, "{report:?}");
    assert_eq!(report.unreadable[0].what, "data/messages");
    assert!(
        !report
            .remarks()
            .iter()
            .any(|remark| remark.contains("missing")),
        "{report:?}"
    );
    if folder.is_dir() {
        rights(0o700);
    }
}

/// One that is there and cannot be read was not left out by the exporter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_message_is_reported_once() {
    let (archive, data) = (Archive::filled(), dir());
    fs::write(archive.file("messages", SECOND), "{").unwrap();
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts.unreadable, 1, "{report:?}");
    assert!(
        !report
            .remarks()
            .iter()
            .any(|remark| remark.contains("Left out by the exporter")),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_without_its_files_does_not_blame_the_exporter() {
    let without = async |archive: &Archive| {
        let error = refused(archive.path(), dir().path()).await.to_string();
        let why = error.split_once(": ").unwrap().1.to_owned();
        why.split_once(". If").unwrap().0.to_owned()
    };
    let archive = Archive::new("filtered");
    fs::create_dir(archive.path().join("markdown")).unwrap();
    assert_eq!(without(&archive).await, "the exporter found none");
    let coverage = json!([{"material": "ASSETS", "included": 1}, {"material": "CONVERSATIONS", "included": 312}]);
    archive.manifest(json!({"coverage": coverage}));
    assert_eq!(
        without(&archive).await,
        "the files of the 312 that the exporter counted are missing; look for a whole copy"
    );
    fs::remove_dir(archive.path().join("data")).unwrap();
    assert_eq!(
        without(&archive).await,
        "its folder data or raw is missing, and Markdown alone does not say who wrote what; look for a whole copy"
    );
}
