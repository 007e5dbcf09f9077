//! Conversations come home: archives and logs of other tools, built here, never taken from anybody.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod chatgpt;
mod claude_ai;
mod claude_code;
mod exchange;
mod hostile;
mod inkvault;
mod pieces;
mod scale;
mod vendor;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use pieces_lsp::transfer::{self, Counts, Error, Import, Kind, Origin, Report, Step};
use serde_json::Value;
use support::local::{Local, serve};
use support::process::Spawn;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

fn dir() -> TempDir {
    TempDir::new().unwrap()
}

/// Imports what is at `from` into the store in `data`; also what was said to be found.
async fn told(from: &Path, data: &Path, dry_run: bool) -> (Result<Report, Error>, Vec<String>) {
    let import = Import {
        from: Origin::File(from.to_owned()),
        data_dir: data.to_owned(),
        dry_run,
    };
    let said = Mutex::new(Vec::new());
    let outcome = transfer::import(&import, |step| {
        if let Step::Found(what) = step {
            said.lock().unwrap().push(what);
        }
    })
    .await;
    (outcome, said.into_inner().unwrap())
}

async fn import(from: &Path, data: &Path) -> Report {
    let (outcome, said) = told(from, data, false).await;
    let report = outcome.unwrap();
    assert_eq!(
        said,
        std::slice::from_ref(&report.source),
        "it is said first what was found"
    );
    report
}

/// Imports what cannot be imported whole.
async fn refused(from: &Path, data: &Path) -> Error {
    told(from, data, false).await.0.unwrap_err()
}

fn counts(new: u64, updated: u64, unchanged: u64, unreadable: u64) -> Counts {
    Counts {
        new,
        updated,
        unchanged,
        unreadable,
    }
}

fn left_out(report: &Report, what: &str) -> u64 {
    report.left_out.get(what).copied().unwrap_or_default()
}

/// Why objects were unreadable, sorted.
fn reasons(report: &Report) -> Vec<String> {
    let mut reasons: Vec<_> = report
        .unreadable
        .iter()
        .map(|one| one.why.clone())
        .collect();
    reasons.sort();
    reasons
}

/// A look into the store in `data`.
async fn look<T>(data: &Path, look: impl AsyncFnOnce(&Local) -> T) -> T {
    let (attached, local) = serve(data, true).await;
    let seen = look(&local).await;
    attached.shutdown().await;
    seen
}

/// The messages of a conversation as role and text, in order.
async fn talk(data: &Path, conversation: &str) -> Vec<(String, String)> {
    look(data, async |local: &Local| {
        let path = format!("/conversation/{conversation}/messages?transferables=true");
        let list = local.get(&path).await;
        let messages = list["iterable"].as_array().unwrap().iter();
        let said = messages.map(|one| {
            let text = one.pointer("/fragment/string/raw").and_then(Value::as_str);
            (
                one["role"].as_str().unwrap().to_owned(),
                text.unwrap_or_default().to_owned(),
            )
        });
        said.collect()
    })
    .await
}

fn said(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(role, text): &(&str, &str)| ((*role).to_owned(), (*text).to_owned());
    pairs.iter().map(owned).collect()
}

async fn object(data: &Path, kind: &str, id: &str) -> Value {
    look(data, async |local: &Local| {
        local.get(&format!("/{kind}/{id}?transferables=true")).await
    })
    .await
}

/// Writes a zip with these files.
fn zipped(path: &Path, files: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// Packs a directory.
fn zip_directory(from: &Path, to: &Path, top: &str) {
    fn add(zip: &mut zip::ZipWriter<File>, from: &Path, name: &str) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{name}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                add(zip, &entry.path(), &format!("{name}/"));
            } else {
                zip.start_file(name, SimpleFileOptions::default()).unwrap();
                zip.write_all(&std::fs::read(entry.path()).unwrap())
                    .unwrap();
            }
        }
    }
    let mut zip = zip::ZipWriter::new(File::create(to).unwrap());
    add(&mut zip, from, top);
    zip.finish().unwrap();
}

/// Every file below a directory with its content: nothing in a source is changed.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

/// How a whole `pieces-lsp import` went.
struct Run {
    code: Option<i32>,
    stderr: String,
    /// The most memory that it held, in MiB.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "it is not measured there")
    )]
    peak: u64,
}

/// Runs `pieces-lsp import` as a process of its own.
fn run(from: &Path, data: &Path) -> Run {
    let spawn = Spawn::with_arguments(["import", "--from"]).arg(from);
    let (mut process, stdout) = spawn.arg("--data-dir").arg(data).start_unread();
    let mut peak = 0;
    // A process that has ended does not tell any more.
    while process.is_running() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() / 1024);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    drop(stdout);
    let ended = process.wait();
    Run {
        code: ended.code,
        stderr: ended.log,
        peak,
    }
}

impl Run {
    fn stays_small(&self) {
        #[cfg(target_os = "linux")]
        assert!(
            (1..150).contains(&self.peak),
            "{} MiB: {}",
            self.peak,
            self.stderr
        );
    }
}
