//! Every deadline and size limit of this module, each with its reason.

use std::time::Duration;

/// A TCP connection, including the lookup of the host name.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// The response of a proxy, which connects first.
pub(super) const PROXY: Duration = Duration::from_secs(10);
/// The TLS handshake: a few round trips.
#[cfg(feature = "tls")]
pub(super) const TLS: Duration = Duration::from_secs(10);
/// Until the first word or thought: a large model is loaded from disk, and a small machine reads a long prompt at 85
/// tokens a second. Pings do not extend it, and the user can stop.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(30 * 60);
/// Between two bytes after that. llama-server sends a ping every 30 s.
pub(super) const SILENCE: Duration = Duration::from_secs(120);
/// Usage and the end mark, after the model said that it has finished.
pub(super) const AFTER_FINISH: Duration = Duration::from_secs(2);
/// Reading the text of a refusal.
pub(super) const REFUSAL_TEXT: Duration = Duration::from_secs(5);
/// The list of models.
pub(super) const LIST: Duration = Duration::from_secs(10);
/// The list of the models that Ollama has loaded.
pub(super) const LOADED: Duration = Duration::from_secs(2);
/// A probe of a usual port: connection and response. A closed port refuses at once (on Windows in two seconds), and a
/// model that is answering leaves little of the processor for a list.
pub(super) const PROBE: Duration = Duration::from_secs(3);
/// Reading the choice and its instructions, which may be on a dead network mount.
pub(super) const READ_CHOICE: Duration = Duration::from_secs(5);
/// A command that prints a key: it may ask the user to unlock a store.
pub(super) const KEY_COMMAND: Duration = Duration::from_secs(60);

/// A line of a stream, and the data of one event, in bytes.
pub(super) const LINE: usize = 1 << 20;
/// The text of an answer, or an answer as one JSON object, in bytes.
pub(super) const ANSWER: usize = 16 << 20;
/// A list of models, in bytes; the longest known has about a megabyte.
pub(super) const LIST_BODY: usize = 16 << 20;
/// Bytes of a refusal that are read to find the sentence in it.
pub(super) const REFUSAL_BODY: usize = 64 << 10;
/// Bytes of the endpoint's own sentence that are shown.
pub(super) const DETAIL: usize = 1024;
/// The first line of a key command, in bytes.
pub(super) const KEY: usize = 16 << 10;
/// The file with the choice, in bytes.
pub(super) const FILE: u64 = 64 << 10;
/// The file with the instructions, in bytes.
pub(super) const INSTRUCTIONS: u64 = 256 << 10;
