//! The exchange format of `docs/exchange.md`: the script on that page makes a file that is imported.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::local::Local;
use crate::{counts, dir, import, look, refused};

const PAGE: &str = include_str!("../../docs/exchange.md");

/// The first block of code in this language.
fn block(language: &str) -> &'static str {
    let start = format!("```{language}\n");
    let rest = PAGE.split_once(&start).unwrap().1;
    rest.split_once("```").unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_on_the_page_writes_a_valid_file() {
    let (here, data) = (dir(), dir());
    let script = block("python");
    assert!(
        script.lines().count() <= 20,
        "it is said to have twenty lines"
    );
    for (name, text) in [
        (
            "Retry.txt",
            "> Why twice?\nBecause of the loop.\n> And now?\nOnce.",
        ),
        ("Zweite Frage.txt", "> Größe?\n5"),
    ] {
        fs::write(here.path().join(name), text).unwrap();
    }
    let made = Command::new("python3")
        .arg("-c")
        .arg(script)
        .current_dir(here.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let file = here.path().join("conversations.jsonl");
    fs::write(&file, &made.stdout).unwrap();
    let report = import(&file, data.path()).await;
    assert_eq!(report.counts, counts(8, 0, 0, 0), "{report:?}");
    assert!(
        report.source.starts_with("an export of my-notes of 20"),
        "{}",
        report.source
    );
    assert!(report.source.ends_with(", 8 objects"), "{}", report.source);
    let all = look(data.path(), async |local: &Local| {
        local.get("/conversations?transferables=true").await
    })
    .await;
    let names: Vec<_> = all["iterable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["Retry", "Zweite Frage"]);
    let first = &all["iterable"][0];
    assert_eq!(
        (&first["application"]["label"], &first["sourceId"]),
        (&json!("My notes"), &json!("Retry"))
    );
    let talk = crate::talk(data.path(), first["id"].as_str().unwrap()).await;
    let expected = [
        ("USER", "Why twice?"),
        ("ASSISTANT", "Because of the loop."),
        ("USER", "And now?"),
        ("ASSISTANT", "Once."),
    ];
    assert_eq!(talk, crate::said(&expected));
    assert_eq!(
        import(here.path(), data.path()).await.counts,
        counts(0, 0, 8, 0),
        "the directory does, too"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_on_the_page_can_be_imported() {
    let (here, data) = (dir(), dir());
    let file = here.path().join("conversations.jsonl");
    fs::write(&file, block("jsonl")).unwrap();
    let report = import(&file, data.path()).await;
    assert_eq!(report.counts, counts(5, 0, 0, 0), "{report:?}");
    // Two programs may call different things by one name.
    let other = block("jsonl").replace("\"source\": \"my-notes\"", "\"source\": \"other\"");
    fs::write(&file, other).unwrap();
    assert_eq!(import(&file, data.path()).await.counts, counts(5, 0, 0, 0));
    let zip = here.path().join("export.zip");
    crate::zipped(&zip, &[("conversations.jsonl", block("jsonl").as_bytes())]);
    let error = refused(&zip, data.path()).await;
    assert!(error.to_string().contains("unpack it"), "{error}");
}
