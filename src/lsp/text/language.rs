//! From the language ids of editors to the classifications of the Pieces API.

/// Language ids that are classifications, too.
const SAME: &[&str] = &[
    "agda", "css", "dart", "elm", "glsl", "go", "groovy", "hcl", "ini", "java", "lean", "lisp",
    "lua", "luau", "nim", "php", "r", "scss", "sql", "svelte", "swift", "toml", "vhdl", "vue",
    "zig",
];

/// The ids of a language, and its classifications: the usual one first, then more exact ones that a file extension may
/// select.
const LANGUAGES: &[(&[&str], &[&str])] = &[
    (&["bat"], &["bat", "cmd"]),
    (&["c"], &["c", "h"]),
    (&["clojure"], &["clj"]),
    (&["cmake"], &["hljs-cmake"]),
    (&["coffeescript"], &["coffee"]),
    (
        &["cpp", "c++", "cuda-cpp"],
        &["cpp", "cc", "cxx", "h", "hh", "hpp", "hxx"],
    ),
    (&["csharp", "cs"], &["cs", "csx"]),
    (&["diff"], &["hljs-diff"]),
    (&["docker", "dockerfile"], &["dockerfile"]),
    (&["elixir"], &["ex", "exs"]),
    (&["erlang"], &["erl", "hrl"]),
    (&["fortran", "fortranfreeform"], &["f90"]),
    (&["fsharp"], &["fs", "fsx"]),
    (&["gradle"], &["hljs-gradle"]),
    (&["haskell"], &["hs"]),
    (&["html"], &["html", "htm"]),
    (&["javascript"], &["js", "mjs"]),
    (&["javascriptreact"], &["jsx"]),
    (&["json", "jsonc"], &["json"]),
    (&["julia"], &["jl"]),
    (&["kotlin"], &["kt"]),
    (&["latex", "tex", "plaintex"], &["tex"]),
    (&["lean4"], &["lean"]),
    (&["less"], &["hljs-less"]),
    (&["makefile", "make"], &["hljs-makefile"]),
    (&["markdown"], &["md", "markdown"]),
    (&["matlab"], &["m"]),
    (&["nix"], &["hljs-nix"]),
    (&["objective-c", "objc"], &["m"]),
    (&["objective-cpp", "objcpp"], &["mm"]),
    (&["ocaml"], &["ml"]),
    (&["pascal"], &["pas"]),
    (&["perl"], &["pl", "pm"]),
    (&["powershell"], &["ps1"]),
    (&["properties"], &["hljs-properties"]),
    (&["proto", "proto3"], &["hljs-protobuf"]),
    (&["python"], &["py", "pyi", "pyx"]),
    (&["racket"], &["rkt"]),
    (&["ruby"], &["rb", "rake", "rbi"]),
    (&["rust"], &["rs"]),
    (&["scala"], &["scala", "sbt"]),
    (&["scheme"], &["scm"]),
    (
        &["shellscript", "shell", "sh", "bash", "zsh"],
        &["sh", "bash", "zsh"],
    ),
    (&["solidity"], &["sol"]),
    (&["systemverilog"], &["sv"]),
    (&["terraform"], &["tf"]),
    (&["typescript"], &["ts"]),
    (&["typescriptreact"], &["tsx"]),
    (&["vim", "viml"], &["hljs-vim"]),
    (&["xml"], &["xml", "xsd", "xsl"]),
    (&["yaml"], &["yaml", "yml"]),
];

/// The classification of a text, from its `languageId` and the extension of its file. Editors use the id of plain text
/// for unknown languages, so for that one the extension decides.
pub(crate) fn classification(language_id: &str, extension: Option<&str>) -> Option<String> {
    let id = language_id.to_lowercase();
    let extension = extension.map(str::to_lowercase);
    let row = LANGUAGES.iter().find(|(ids, _)| ids.contains(&id.as_str()));
    match (row, extension) {
        (Some((_, known)), Some(extension)) if known.contains(&extension.as_str()) => {
            Some(extension)
        }
        (Some((_, known)), _) => known.first().map(|usual| (*usual).to_owned()),
        (None, _) if SAME.contains(&id.as_str()) => Some(id),
        (None, Some(extension)) => Some(extension),
        (None, None) if matches!(&*id, "plaintext" | "text") => Some("txt".to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editors_language_wins_over_the_file_name() {
        for (language, extension, expected) in [
            ("rust", None, Some("rs")),
            ("rust", Some("txt"), Some("rs")),
            ("python", Some("ipynb"), Some("py")),
            ("python", Some("PYI"), Some("pyi")),
            ("cpp", Some("h"), Some("h")),
            ("makefile", None, Some("hljs-makefile")),
            ("shellscript", Some("bashrc"), Some("sh")),
            ("typescriptreact", Some("tsx"), Some("tsx")),
            ("plaintext", Some("rs"), Some("rs")),
            ("plaintext", None, Some("txt")),
            ("zig", None, Some("zig")),
            ("somethingelse", None, None),
            ("", Some("Rs"), Some("rs")),
            ("", None, None),
        ] {
            let found = classification(language, extension);
            assert_eq!(found.as_deref(), expected, "{language} {extension:?}");
        }
    }
}
