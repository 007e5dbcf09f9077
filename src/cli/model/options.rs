//! The options of `pieces-lsp model`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct ModelOptions {
    #[command(subcommand)]
    pub(super) command: Option<ModelCommand>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ModelCommand {
    /// Lists the models of the endpoint in use
    List,
    /// Chooses the endpoint that answers questions, in place of an earlier one
    Use(UseOptions),
    /// Removes the choice: questions are not answered any more
    Off,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The key itself is never an argument: process lists show those. pieces-lsp reads it from the variable, or \
from the first line that the command prints, when it asks.

Examples:
  pieces-lsp model use http://127.0.0.1:11434/v1 --model llama3.2
  pieces-lsp model use https://api.openai.com/v1 --model gpt-4.1 --key-env OPENAI_API_KEY
  pieces-lsp model use https://openrouter.ai/api/v1 --model qwen/qwen3 --key-command 'pass show openrouter'")]
pub(in crate::cli) struct UseOptions {
    /// Base URL of a server that speaks the OpenAI API: http on this machine, https anywhere
    // `url` is the common option.
    #[arg(value_name = "URL", value_hint = clap::ValueHint::Url)]
    pub(super) endpoint: String,
    /// The model that answers; a provider on another machine needs one
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Context size of the model in tokens, if the endpoint does not report it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..))]
    pub(super) context: Option<u32>,
    /// A text file with instructions for the model, read at each question
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) instructions: Option<PathBuf>,
    /// The environment variable that holds the key of this URL
    #[arg(long, value_name = "VAR", conflicts_with = "key_command")]
    pub(super) key_env: Option<String>,
    /// A shell command that prints the key of this URL
    #[arg(long, value_name = "CMD", value_hint = clap::ValueHint::CommandString)]
    pub(super) key_command: Option<String>,
    /// Let the model summarise the text that a conversation is started from
    #[arg(long)]
    pub(super) summaries: bool,
}
