//! The pages in `docs/` and the code say the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use support::process::Spawn;
use support::standin::StandIn;

const ARCHITECTURE: &str = include_str!("../docs/architecture.md");
const COMMAND_LINE: &str = include_str!("../docs/cli.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands in code in a text.
fn in_code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of the tables of a page, row by row, without the headings.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    cells
        .filter(|cells: &Vec<&str>| !cells[0].starts_with("---"))
        .collect()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    found
        .filter(|path| path.extension().is_some_and(|one| one == "rs"))
        .collect()
}

#[test]
fn the_paths_on_the_pages_exist() {
    let mut seen = 0;
    for page in fs::read_dir(root().join("docs")).unwrap() {
        let page = page.unwrap().path();
        if page.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        for path in in_code(&text) {
            let ours = ["src/", "tests/", "docs/", "editors/", "benches/", "fuzz/"];
            if ours.iter().any(|start| path.starts_with(start)) && !path.contains([' ', '*', '<']) {
                assert!(root().join(path).exists(), "{path} in {}", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The file that a test is in, named as Rust names it.
fn file_of(module: &str) -> Option<PathBuf> {
    let path = module.replace("::", "/");
    let places = [
        format!("tests/{path}.rs"),
        format!("tests/{path}/main.rs"),
        format!("src/{path}.rs"),
        format!("src/{path}/mod.rs"),
    ];
    places
        .iter()
        .map(|place| root().join(place))
        .find(|file| file.exists())
}

/// Whether there is a test of that name, whatever else is called so.
fn has_test(text: &str, name: &str) -> bool {
    text.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let before = text[..at].trim_end();
        let before = before.trim_end_matches("async").trim_end().lines();
        // The attributes above it.
        let mut attributes = before
            .rev()
            .take_while(|line| line.trim_start().starts_with('#'));
        attributes.any(|line| line.contains("test]") || line.contains("test("))
    })
}

#[test]
fn the_tests_that_hold_the_claims_exist() {
    for page in ["docs/security.md", "docs/privacy.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let mut seen = 0;
        for named in in_code(&text) {
            let Some((module, name)) = named.rsplit_once("::") else {
                continue;
            };
            let file = file_of(module);
            let text = file.map(|file| {
                let own = fs::read_to_string(&file).unwrap();
                // The tests of some modules are in a file beside them.
                let beside = file.with_extension("").join("tests.rs");
                own + &fs::read_to_string(beside).unwrap_or_default()
            });
            let found = text.is_some_and(|text| has_test(&text, name));
            assert!(found, "{page} names the test {named}, which there is not");
            seen += 1;
        }
        assert!(seen > 15, "{page}: {seen}");
    }
}

/// A table of layers on the architecture page: each with those it may use, top to bottom.
fn layers(heading: &str) -> Vec<(&'static str, BTreeSet<&'static str>)> {
    let section = ARCHITECTURE
        .split("\n## ")
        .find(|part| part.starts_with(&format!("{heading}\n")))
        .unwrap();
    let rows = rows(section).into_iter().skip(1);
    rows.map(|cells| {
        let uses = in_code(cells[1]).into_iter().collect();
        (in_code(cells[0])[0], uses)
    })
    .collect()
}

/// The name of a module that a file or directory is.
fn module_name(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The modules directly in a directory, each with its files; not the module that declares them.
fn modules(directory: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = module_name(&path);
        if !["lib", "main", "mod"].contains(&&*name) {
            let files = match path.is_dir() {
                true => sources(&path),
                false => vec![path],
            };
            found.entry(name).or_default().extend(files);
        }
    }
    found
}

/// The code of a file by module: its own, and each that is written out within it.
fn code_by_module(file: &Path) -> Vec<(Vec<String>, String)> {
    let relative = file.strip_prefix(root().join("src")).unwrap();
    let names = relative.iter().map(|part| module_name(Path::new(part)));
    let own: Vec<String> = names.filter(|name| name != "mod").collect();
    let mut modules = vec![(own.clone(), String::new())];
    let mut within = 0;
    let text = fs::read_to_string(file).unwrap();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        // As rustfmt writes them: they end where a brace stands at the start of a line.
        let declared = line.trim_start_matches("pub").trim_start_matches("(crate)");
        let declared = declared.trim_start().strip_prefix("mod ");
        let name = declared.and_then(|rest| rest.strip_suffix(" {"));
        if let Some(name) = name.filter(|_| !line.starts_with(' ')) {
            within = modules.len();
            modules.push(([&*own, &[name.to_owned()]].concat(), String::new()));
        } else if line == "}" {
            within = 0;
        }
        modules[within].1.push_str(line);
        modules[within].1.push('\n');
    }
    modules
}

/// The paths that a file names from the root of the crate or with `super`, as lists of names from the
/// root.
fn named_paths(file: &Path) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (module, code) in code_by_module(file) {
        let keywords = code
            .match_indices("crate::")
            .chain(code.match_indices("super::"));
        for (start, keyword) in keywords {
            let before = code[..start].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "_:".contains(c)) {
                continue;
            }
            let mut rest = &code[start..];
            let mut base = match keyword {
                "crate::" => Vec::new(),
                _ => module.clone(),
            };
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            expand(
                base,
                rest.strip_prefix("crate::").unwrap_or(rest),
                &mut found,
            );
        }
    }
    found
}

/// Adds `base` with the path that `rest` begins with, once for each member of a group.
fn expand(mut base: Vec<String>, mut rest: &str, found: &mut Vec<Vec<String>>) {
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut from) = (0, 0);
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    ',' | '}' if depth == 0 => {
                        expand(base.clone(), group[from..at].trim(), found);
                        from = at + 1;
                        if c == '}' {
                            return;
                        }
                    }
                    '}' => depth -= 1,
                    _ => {}
                }
            }
            return;
        }
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if end > 0 && &rest[..end] != "self" {
            base.push(rest[..end].to_owned());
        }
        match rest[end..].strip_prefix("::") {
            Some(after) => rest = after,
            None => return found.push(base),
        }
    }
}

#[test]
fn paths_are_read_from_code() {
    let check = |code: &str, expected: &[&str]| {
        let mut found = Vec::new();
        expand(vec!["a".into()], code, &mut found);
        let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
        assert_eq!(found, expected, "{code}");
    };
    check("b::C;", &["a::b::C"]);
    check("*;", &["a"]);
    check(
        "{self, b::{C, d}, e::*};",
        &["a", "a::b::C", "a::b::d", "a::e"],
    );
}

/// Checks that the modules in a directory are those of the table and use what it says; returns the
/// number of uses seen.
fn check_layers(directory: &str, heading: &str) -> usize {
    let documented = layers(heading);
    let source = root().join("src").join(directory);
    let prefix: Vec<String> = Path::new(directory)
        .iter()
        .map(|part| module_name(Path::new(part)))
        .collect();
    let modules = modules(&source);
    let names: BTreeSet<&str> = modules.keys().map(String::as_str).collect();
    assert_eq!(names, documented.iter().map(|(name, _)| *name).collect());
    let mut seen = 0;
    for (at, (name, may_use)) in documented.iter().enumerate() {
        let below: BTreeSet<&str> = documented[at + 1..].iter().map(|(name, _)| *name).collect();
        assert!(
            may_use.is_subset(&below),
            "the table lets `{name}` use {may_use:?}"
        );
        for file in &modules[*name] {
            for path in named_paths(file) {
                let Some(used) = path.strip_prefix(&*prefix).and_then(|rest| rest.first()) else {
                    continue;
                };
                let file = file.display();
                assert!(
                    names.contains(&**used),
                    "{file}: `{used}` is none of {names:?}"
                );
                let allowed = used == name || may_use.contains(&**used);
                assert!(allowed, "`{name}` must not use `{used}`: {file}");
                seen += 1;
            }
        }
    }
    seen
}

#[test]
fn the_rooms_and_their_arrows() {
    assert!(check_layers("", "The rooms") > 200);
}

#[test]
fn the_floors_of_the_language_server() {
    assert!(check_layers("lsp", "The floors of `src/lsp`") > 100);
}

#[test]
fn no_circles_within_a_floor() {
    for (floor, _) in layers("The floors of `src/lsp`") {
        let directory = root().join("src/lsp").join(floor);
        if !directory.is_dir() {
            continue;
        }
        let modules = modules(&directory);
        let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (name, files) in &modules {
            for path in files.iter().flat_map(|file| named_paths(file)) {
                if path.len() > 2 && path[0] == "lsp" && path[1] == floor && path[2] != *name {
                    // What is in `mod.rs` itself is above its modules.
                    assert!(
                        modules.contains_key(&path[2]),
                        "{floor}/{name}.rs uses {path:?}"
                    );
                    uses.entry(name).or_default().insert(path[2].clone());
                }
            }
        }
        while !uses.is_empty() {
            let before = uses.len();
            let users: BTreeSet<String> = uses.keys().map(|name| (*name).to_owned()).collect();
            uses.retain(|_, used| !used.is_disjoint(&users));
            assert!(uses.len() < before, "a circle within `{floor}`: {uses:?}");
        }
    }
}

#[test]
fn the_boundaries_that_the_page_promises() {
    let check = |files: Vec<PathBuf>, forbidden: &[&str]| {
        assert!(!files.is_empty());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for word in forbidden {
                assert!(!text.contains(word), "`{word}` in {}", file.display());
            }
        }
    };
    let source = root().join("src");
    let outside_lsp = sources(&source).into_iter();
    let outside_lsp = outside_lsp.filter(|file| !file.starts_with(source.join("lsp")));
    check(outside_lsp.collect(), &["tower_lsp::", "lsp_types::"]);
    let no_io = [
        "async fn",
        ".await",
        "tokio::",
        "std::fs",
        "std::net",
        "Instant::now",
        "SystemTime",
    ];
    check(sources(&source.join("index")), &no_io);
    // But for its tests, whose clock has to begin somewhere.
    let machine = sources(&source.join("sync/machine")).into_iter();
    let machine = machine.filter(|file| !file.ends_with("tests.rs"));
    check(machine.collect(), &no_io);
}

/// The help of a command; the options it lists, and their environment variables.
fn help(command: &[&str]) -> (String, BTreeSet<String>) {
    let help = Spawn::with_arguments([command, &["--help"]].concat())
        .run()
        .stdout;
    let options = help.lines().filter_map(|line| {
        let line = line.trim_start();
        line.starts_with("--").then(|| line.split(' ').next())?
    });
    let words = help.split(|c: char| c.is_whitespace() || "[]=".contains(c));
    let variables = words.filter(|word| word.starts_with("PIECES_LSP_"));
    let named = options.chain(variables).map(str::to_owned).collect();
    (help, named)
}

#[test]
fn the_command_line() {
    let section = |name: &str| {
        let part = COMMAND_LINE
            .split("\n## ")
            .find(|part| part.starts_with(&format!("{name}\n")));
        part.unwrap_or_else(|| panic!("no section {name} in docs/cli.md"))
    };
    let common = section("Common options");
    let (top, options) = help(&[]);
    for name in &options {
        assert!(common.contains(&format!("`{name}")), "{name}");
    }
    let documented: Vec<&str> = rows(common)
        .iter()
        .skip(1)
        .flat_map(|row| in_code(row[0]))
        .collect();
    for option in documented {
        let name = option.split(' ').next().unwrap();
        assert!(options.contains(name), "{option} is on the page only");
    }
    let commands = top
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let commands = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands: BTreeSet<&str> = commands
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    let headings = COMMAND_LINE
        .lines()
        .filter_map(|line| line.strip_prefix("## `pieces-lsp "));
    let headings: BTreeSet<&str> = headings.map(|line| line.trim_end_matches('`')).collect();
    assert_eq!(headings, commands);
    for command in commands {
        let part = section(&format!("`pieces-lsp {command}`"));
        let (_, named) = help(&[command]);
        for name in named.difference(&options) {
            assert!(part.contains(&format!("`{name}")), "{name} of {command}");
        }
    }
}

#[test]
fn the_report_of_the_doctor() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| {
                found.insert(key.clone());
                keys(value, found);
            }),
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let standin = StandIn::start();
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().to_str().unwrap();
    let mut found = BTreeSet::new();
    let variants: [&[&str]; 3] = [
        &["--url", &standin.url()],
        &["--backend", "local", "--data-dir", data_dir],
        &["--backend", "pieces-os"],
    ];
    for options in variants {
        let json = Spawn::with_arguments([&["doctor", "--json"], options].concat())
            .run()
            .stdout;
        keys(&serde_json::from_str(&json).expect(&json), &mut found);
    }
    let start = COMMAND_LINE.find("\n## `pieces-lsp doctor`").unwrap();
    let part = &COMMAND_LINE[start..];
    let part = &part[..part[1..].find("\n## ").unwrap()];
    let words: BTreeSet<&str> = in_code(part)
        .into_iter()
        .flat_map(|code| code.split(|c: char| !c.is_alphanumeric()))
        .collect();
    assert!(found.len() > 25, "{found:?}");
    for key in found {
        assert!(words.contains(&*key), "`{key}` is not in docs/cli.md");
    }
}
