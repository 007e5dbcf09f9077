//! The command line and its `--help`.

use clap::builder::{OsStringValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, ArgAction, Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::ask::AskOptions;
use super::model::ModelOptions;

const FIRST_STEPS: &str = "\
First steps:
  pieces-lsp demo         see what it does, on temporary data
  pieces-lsp doctor       see what it finds on this machine, and what to do next
  Then point your editor's LSP client at the command `pieces-lsp`.

It uses Pieces OS if that is running, and otherwise a local service of its own that keeps \
conversations on this machine. Nothing is sent to any other machine, unless you choose a model there.";

const TEMPLATE: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  pieces-lsp                                    what an editor runs: the language server
  pieces-lsp --backend local                    never look for Pieces OS
  pieces-lsp --url http://127.0.0.1:39300       Pieces OS is there, do not look for it
  pieces-lsp --log-level debug --log-file /tmp/pieces-lsp.log
  pieces-lsp completions bash > ~/.local/share/bash-completion/completions/pieces-lsp

Every common option can also be set in the environment, under the name shown with it.";

/// Pieces conversations as first-class objects in every editor: a language server.
#[derive(Debug, Parser)]
#[command(name = "pieces-lsp", version, before_help = FIRST_STEPS, after_help = EXAMPLES)]
#[command(help_template = TEMPLATE, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) common: Common,
    /// Accepted because some editors append it; stdin and stdout are always used.
    #[arg(long, global = true, hide = true)]
    stdio: bool,
    /// End when this process ends; some editors append it.
    #[arg(
        long = "clientProcessId",
        global = true,
        hide = true,
        allow_negative_numbers = true
    )]
    pub(super) client_process_id: Option<i64>,
}

/// The command line. Every command accepts the common options; its help shows those that affect it.
pub(super) fn command() -> clap::Command {
    let mut command = Cli::command();
    let common: Vec<Arg> = command.get_arguments().cloned().collect();
    let names = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned());
    for name in names.collect::<Vec<_>>() {
        let unused = common.iter().filter(|option| {
            let id = option.get_id().as_str();
            option.is_global_set() && used(&name).is_some_and(|used| !used.contains(&id))
        });
        // `args` adds to a command's own options; a common one with the same name does not replace them.
        let hidden: Vec<Arg> = unused.map(|option| option.clone().hide(true)).collect();
        command = command.mut_subcommand(name, |one| one.args(hidden));
    }
    command
}

/// The common options that change what a command does; `None`: all of them.
fn used(command: &str) -> Option<&'static [&'static str]> {
    match command {
        "service" | "export" => Some(&["data_dir", "log_level", "log_file"]),
        "import" => Some(&["url", "data_dir", "allow_remote", "log_level", "log_file"]),
        "demo" => Some(&["log_level", "log_file"]),
        "model" => Some(&["data_dir", "allow_remote", "log_level", "log_file"]),
        "completions" => Some(&[]),
        _ => None,
    }
}

/// The common options.
///
/// They are validated later: the language server has to start even if an option is wrong, so that the
/// editor can show what is wrong with it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Common {
    /// Where the conversations are. `auto`: Pieces OS if it answers at start, else the local service.
    #[arg(long, global = true, value_name = "WHERE", env = "PIECES_LSP_BACKEND")]
    #[arg(value_parser = OneOf(&["auto", "pieces-os", "local"]))]
    pub(super) backend: Option<String>,
    /// Base URL of Pieces OS, such as http://127.0.0.1:39300, instead of looking for it.
    #[arg(long, global = true, env = "PIECES_LSP_URL", value_parser = AnyText)]
    #[arg(value_hint = clap::ValueHint::Url)]
    pub(super) url: Option<String>,
    /// Directory of the local service, instead of your data directory.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PIECES_LSP_DATA_DIR",
        value_parser = any_path(),
        value_hint = clap::ValueHint::DirPath
    )]
    pub(super) data_dir: Option<PathBuf>,
    /// Accept a `--url` that is not on this machine, and a model at a private address without https. Your
    /// conversations then travel unencrypted.
    #[arg(
        long,
        global = true,
        env = "PIECES_LSP_ALLOW_REMOTE",
        action = ArgAction::SetTrue,
        value_parser = switched_on
    )]
    pub(super) allow_remote: bool,
    /// How much to log; `warn` by default. Names and texts of conversations appear at `trace` only, if at all.
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "PIECES_LSP_LOG_LEVEL"
    )]
    #[arg(value_parser = OneOf(&["off", "error", "warn", "info", "debug", "trace"]))]
    pub(super) log_level: Option<String>,
    /// Append the log to this file instead of stderr. A new file is readable by you only.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PIECES_LSP_LOG_FILE",
        value_parser = any_path(),
        value_hint = clap::ValueHint::FilePath
    )]
    pub(super) log_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs the language server on stdin and stdout: what an editor runs, and the default
    #[command(after_help = "\
It speaks LSP: start it from an editor, not by hand. It starts even if an option is wrong, and tells \
the editor; the command `pieces.status` shows the reason.")]
    Serve,
    /// Runs the local service alone, for other programs; its URL is the first line of stdout
    #[command(after_help = "\
Examples:
  pieces-lsp service                            until Ctrl-C; the token is in service.json
  pieces-lsp service --port 39300 --no-token    where other Pieces clients look for Pieces OS")]
    Service(ServiceOptions),
    /// Copies conversations from Pieces OS, an export or an archive into the local service
    #[command(after_help = "\
It only reads from Pieces OS, so it also works with one that is read-only. An import can be \
interrupted and run again: objects that the local service has already, or in a newer version, are \
kept, and nothing is deleted. The exit code is 1 if an object could not be read; all others are copied.

Examples:
  pieces-lsp import --dry-run                   what would be copied
  pieces-lsp import                             from the Pieces OS that runs on this machine
  pieces-lsp import --from http://127.0.0.1:39300
  pieces-lsp import --from ~/backup             what `pieces-lsp export ~/backup` wrote
  pieces-lsp import --from ~/.claude/projects   the sessions of Claude Code
  pieces-lsp import --from chatgpt-export.zip   a data export of ChatGPT or Claude.ai
  pieces-lsp import --from ~/Documents/Pieces-Exports/2026-10-09_11-00-00
  pieces-lsp import --from vault.db             what InkVault keeps")]
    Import(ImportOptions),
    /// Writes all conversations to a directory: Markdown to read, and one file to import again
    #[command(after_help = "\
The directory appears when it is complete, and is a consistent snapshot even if editors write \
meanwhile. There is one Markdown file per conversation to read; conversations.jsonl holds everything, \
for `pieces-lsp import --from`.

Examples:
  pieces-lsp export ~/backup
  pieces-lsp export conversations-$(date +%F)
  pieces-lsp export ~/old --data-dir store.corrupt-2026-11-23T14-03-00.db    a store that was set aside")]
    Export(ExportOptions),
    /// Checks this machine and says what to do next; exit code 0 if all is well
    #[command(after_help = "\
It checks what the language server would use and changes nothing, except that the local service \
creates its store if there is none yet. It prints no names of conversations, so its report can go into \
a bug report.

Examples:
  pieces-lsp doctor
  pieces-lsp doctor --backend local
  pieces-lsp doctor --json | jq .checks.snapshot")]
    Doctor(DoctorOptions),
    /// Shows or chooses the language model that answers questions
    #[command(after_help = "\
Without a subcommand it shows the endpoint in use and whether it responds; the exit code is 1 if not. \
PIECES_LSP_MODEL_URL in the environment overrides the choice, with PIECES_LSP_MODEL and \
PIECES_LSP_MODEL_KEY beside it.

Examples:
  pieces-lsp model                                  the endpoint in use
  pieces-lsp model use http://127.0.0.1:11434/v1    Ollama on this machine
  pieces-lsp model list
  pieces-lsp model off")]
    Model(ModelOptions),
    /// Asks a question and streams the answer to stdout
    #[command(after_help = "\
A pipe on stdin is read to its end, 1 MiB at most, and sent with the question. Ctrl-C stops the answer; what was \
written is kept. The exit code is 0 only for a complete answer.

Examples:
  pieces-lsp ask \"What is a condition variable?\"
  git diff | pieces-lsp ask \"Review this.\"
  pieces-lsp ask --file src/retry.rs \"Why does this loop?\"
  pieces-lsp ask --conversation ID \"And in Rust?\"
  pieces-lsp ask - < question.txt")]
    Ask(AskOptions),
    /// Shows what the program does, step by step, on temporary data; needs no setup
    #[command(after_help = "\
It starts the local service on a temporary store, starts this program as a language server, and talks \
to it as an editor does. The exit code is 0 only if every step succeeded.")]
    Demo,
    /// Prints a completion script for your shell
    #[command(after_help = "\
Examples:
  pieces-lsp completions bash > ~/.local/share/bash-completion/completions/pieces-lsp
  pieces-lsp completions zsh  > ~/.zfunc/_pieces-lsp          (with ~/.zfunc in your fpath)
  pieces-lsp completions fish > ~/.config/fish/completions/pieces-lsp.fish
  pieces-lsp completions powershell >> $PROFILE
  pieces-lsp completions elvish >> ~/.config/elvish/rc.elv")]
    Completions {
        /// Your shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct ServiceOptions {
    /// Port on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) port: u16,
    /// Accept requests without the token: every program and user of this machine can then read and
    /// change the conversations
    #[arg(long)]
    pub(super) no_token: bool,
    /// With `--no-token`: questions of any program may be sent to a model on another machine
    #[arg(long, requires = "no_token")]
    pub(super) ask_remote: bool,
}

#[derive(Debug, Args)]
pub(super) struct ImportOptions {
    /// Base URL of a Pieces OS, or the path of an export, an archive or a log; by default `--url`, else
    /// the Pieces OS on this machine
    #[arg(long, value_name = "URL|FILE", value_hint = clap::ValueHint::AnyPath)]
    pub(super) from: Option<String>,
    /// Count what would be copied, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportOptions {
    /// A directory that does not exist yet or is empty
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(super) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct DoctorOptions {
    /// Print one JSON object, for scripts
    #[arg(long)]
    pub(super) json: bool,
    /// Ask the model for one word, if it is on this machine, and measure the time
    #[arg(long)]
    pub(super) ask: bool,
}

/// Text that is validated later. Invalid UTF-8 becomes U+FFFD and is refused then.
#[derive(Debug, Clone, Copy)]
struct AnyText;

impl TypedValueParser for AnyText {
    type Value = String;

    fn parse_ref(
        &self,
        _: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        Ok(value.to_string_lossy().into_owned())
    }
}

/// The same, with the valid values for `--help` and completions.
#[derive(Debug, Clone, Copy)]
struct OneOf(&'static [&'static str]);

impl TypedValueParser for OneOf {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        AnyText.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().copied().map(PossibleValue::new)))
    }
}

/// Any path, the empty one included, which clap would refuse.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Only a clear yes lifts the rule that nothing leaves this machine.
fn switched_on(value: &str) -> Result<bool, Infallible> {
    let yes = ["1", "true", "yes", "on"];
    Ok(yes.iter().any(|yes| value.trim().eq_ignore_ascii_case(yes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_definition_is_valid() {
        command().debug_assert();
    }

    #[test]
    fn every_common_option_has_an_environment_variable() {
        let command = Cli::command();
        let options = command.get_arguments().filter(|one| !one.is_hide_set());
        let options = options.filter(|one| !["help", "version"].contains(&one.get_id().as_str()));
        let mut seen = 0;
        for option in options {
            let name = option.get_id().as_str().to_uppercase();
            let variable = option.get_env().map(|name| name.to_string_lossy());
            assert_eq!(variable.as_deref(), Some(&*format!("PIECES_LSP_{name}")));
            seen += 1;
        }
        assert_eq!(seen, 6);
    }

    #[test]
    fn help_shows_options_that_change_something() {
        let check = |name: &str, expected: &[&str]| {
            let mut all = command();
            all.build();
            let one = all.find_subcommand(name).unwrap();
            let shown = one.get_arguments().filter(|option| {
                option.is_global_set() && !option.is_hide_set() && option.get_id() != "help"
            });
            let shown: Vec<&str> = shown.map(|option| option.get_id().as_str()).collect();
            assert_eq!(shown, expected, "{name}");
        };
        let log = ["log_level", "log_file"];
        let all = [
            "backend",
            "url",
            "data_dir",
            "allow_remote",
            "log_level",
            "log_file",
        ];
        check("serve", &all);
        check("doctor", &all);
        check("ask", &all);
        check("service", &["data_dir", "log_level", "log_file"]);
        check("export", &["data_dir", "log_level", "log_file"]);
        check("import", &all[1..]);
        check("demo", &log);
        check(
            "model",
            &["data_dir", "allow_remote", "log_level", "log_file"],
        );
        check("completions", &[]);
    }

    #[test]
    fn only_a_clear_yes_allows_remote() {
        for (value, expected) in [
            ("1", true),
            ("true", true),
            (" YES ", true),
            ("on", true),
            ("", false),
            ("0", false),
            ("false", false),
            ("no", false),
            ("nope", false),
        ] {
            assert_eq!(switched_on(value), Ok(expected), "{value:?}");
        }
    }
}
