//! What can be asked on the command line, in the words of `--help`.

use clap::builder::{OsStringValueParser, PossibleValue, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::PathBuf;

const FIRST_STEPS: &str = "\
First steps:
  pieces-lsp demo         see what it does, on data of its own that goes away again
  pieces-lsp doctor       see what it finds on this machine, and what to do next
  Then point your editor's LSP client at the command `pieces-lsp`.

It uses Pieces OS if that is running, and otherwise a local service of its own that keeps
conversations on this machine. Nothing is sent to any other machine.";

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

/// What the commands have in common.
///
/// Text is taken as it is and read later: the language server has to start even if an option is
/// wrong, so that the editor can show what is wrong with it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Common {
    /// Where the conversations are. `auto`: Pieces OS if it answers at start, else the local service.
    #[arg(long, global = true, value_name = "WHERE", env = "PIECES_LSP_BACKEND")]
    #[arg(value_parser = OneOf(&["auto", "pieces-os", "local"]))]
    pub(super) backend: Option<String>,
    /// Base URL of Pieces OS, instead of looking for it, such as http://127.0.0.1:39300.
    #[arg(long, global = true, env = "PIECES_LSP_URL", value_parser = AnyText)]
    #[arg(value_hint = clap::ValueHint::Url)]
    pub(super) url: Option<String>,
    /// Where the local service keeps its data, instead of your data directory.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "PIECES_LSP_DATA_DIR",
        value_parser = any_path(),
        value_hint = clap::ValueHint::DirPath
    )]
    pub(super) data_dir: Option<PathBuf>,
    /// Accept a `--url` that is not on this machine. Your conversations then travel unencrypted.
    #[arg(
        long,
        global = true,
        env = "PIECES_LSP_ALLOW_REMOTE",
        action = ArgAction::SetTrue,
        value_parser = switched_on
    )]
    pub(super) allow_remote: bool,
    /// How much to log; `warn` if not given. Names and texts of conversations are logged at `trace` only, if at all.
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "PIECES_LSP_LOG_LEVEL"
    )]
    #[arg(value_parser = OneOf(&["off", "error", "warn", "info", "debug", "trace"]))]
    pub(super) log_level: Option<String>,
    /// Append the log to this file, readable by you only, instead of writing it to stderr.
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
    /// The language server on stdin and stdout; what an editor runs, and the default
    #[command(after_help = "\
It speaks LSP: start it from an editor, not by hand. Whatever is wrong with the options, it starts
and tells the editor; the command `pieces.status` has the sentence.")]
    Serve,
    /// The local service alone, for other programs; its URL is the first line of stdout
    #[command(after_help = "\
Examples:
  pieces-lsp service                            until Ctrl-C; the token lies in service.json
  pieces-lsp service --port 39300 --no-token    where other Pieces clients look for Pieces OS")]
    Service(ServiceOptions),
    /// Copies conversations from a running Pieces OS, or from an export, into the local service
    #[command(after_help = "\
It only reads from Pieces OS, so it works with one that is read-only, too. It may be repeated: what is
here already is not copied again, what is newer here is kept, nothing is deleted. The exit code is 1 if
anything could not be read; everything else is kept all the same.

Examples:
  pieces-lsp import --dry-run                   what would be copied
  pieces-lsp import                             from the Pieces OS that runs on this machine
  pieces-lsp import --from http://127.0.0.1:39300
  pieces-lsp import --from ~/backup             what `pieces-lsp export ~/backup` wrote")]
    Import(ImportOptions),
    /// Writes all conversations to a directory: Markdown to read, and one file to import again
    #[command(after_help = "\
The directory appears when everything is in it, and shows one moment even if editors go on writing.
One Markdown file per conversation is for people; conversations.jsonl holds everything, for
`pieces-lsp import --from`.

Examples:
  pieces-lsp export ~/backup
  pieces-lsp export conversations-$(date +%F)")]
    Export(ExportOptions),
    /// What was tried and found on this machine, and what to do next; exit code 0 if all is well
    #[command(after_help = "\
It looks at what the language server would use, as it would find it, and changes nothing, except that
the local service makes its store where there is none yet. It prints no names of conversations, so
what it says can go into a bug report.

Examples:
  pieces-lsp doctor
  pieces-lsp doctor --backend local
  pieces-lsp doctor --json | jq .checks.snapshot")]
    Doctor(DoctorOptions),
    /// The main job end to end, each step shown: nothing to set up, nothing of yours is touched
    #[command(after_help = "\
It starts the local service on a temporary store, starts this program as a language server, and talks
to it as an editor does. Exit code 0 only if every step did what it says.")]
    Demo,
    /// A script that completes this command line in your shell, on stdout
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
    /// Port on 127.0.0.1; 0 takes any that is free
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) port: u16,
    /// Do not ask for the token: every program and user of this machine can then read and change
    /// the conversations
    #[arg(long)]
    pub(super) no_token: bool,
}

#[derive(Debug, Args)]
pub(super) struct ImportOptions {
    /// Base URL of a Pieces OS, or an export: its directory or its conversations.jsonl. If not given,
    /// `--url`, else the Pieces OS that runs on this machine
    #[arg(long, value_name = "URL|FILE", value_hint = clap::ValueHint::AnyPath)]
    pub(super) from: Option<String>,
    /// Only count what would be copied; nothing is written
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportOptions {
    /// Where to: a directory that does not exist yet, or is empty
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(super) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct DoctorOptions {
    /// Print one JSON object, for scripts
    #[arg(long)]
    pub(super) json: bool,
}

/// Text that is read later. Bytes that are no text become U+FFFD and are refused then.
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

/// The same, with the values that make sense, for `--help` and for completions.
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
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
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
