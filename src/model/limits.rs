//! Every deadline and size limit of this module, each with its reason.

use std::time::Duration;

/// A TCP connection, the name of the host included.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// The answer of a proxy, which connects for us.
pub(super) const PROXY: Duration = Duration::from_secs(10);
/// The TLS handshake: a few round trips.
#[cfg(feature = "tls")]
pub(super) const TLS: Duration = Duration::from_secs(10);
/// Until the first word or thought: a large model is read from a disk, and a long prompt is read at 85 tokens a
/// second on a small machine. Pings do not extend it, and the person can stop.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(30 * 60);
/// Between two bytes after that. llama-server sends a ping every 30 s.
pub(super) const SILENCE: Duration = Duration::from_secs(120);
/// Usage and the mark of the end, after the model said that it has finished.
pub(super) const AFTER_FINISH: Duration = Duration::from_secs(2);
/// The text of a refusal.
pub(super) const REFUSAL_TEXT: Duration = Duration::from_secs(5);
/// The list of models.
pub(super) const LIST: Duration = Duration::from_secs(10);
/// What Ollama has in memory.
pub(super) const LOADED: Duration = Duration::from_secs(2);
/// A probe of a usual port: connection and answer.
pub(super) const PROBE: Duration = Duration::from_secs(1);
/// A command that prints a key: it may ask a person to unlock a store.
pub(super) const KEY_COMMAND: Duration = Duration::from_secs(60);

/// A line of a stream, and the data of one event.
pub(super) const LINE: usize = 1 << 20;
/// The text of an answer, and an answer that comes as one JSON object.
pub(super) const ANSWER: usize = 16 << 20;
/// A list of models; the longest known has about a megabyte.
pub(super) const LIST_BODY: usize = 16 << 20;
/// A refusal that is read to find the sentence in it.
pub(super) const REFUSAL_BODY: usize = 64 << 10;
/// Bytes of the endpoint's own sentence that are shown.
pub(super) const DETAIL: usize = 1024;
/// What a key command prints before the end of its first line.
pub(super) const KEY: usize = 16 << 10;
/// The file with the choice.
pub(super) const FILE: u64 = 64 << 10;
/// The file with the instructions.
pub(super) const INSTRUCTIONS: u64 = 256 << 10;
