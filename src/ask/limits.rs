//! Every deadline and size limit of asking, each with its reason.

use std::time::Duration;

/// A prompt, or a selection, in bytes: more than any model reads.
pub(super) const MAX_PROMPT: usize = 1 << 20;
/// One file or document, in bytes.
pub(super) const MAX_FILE: usize = 256 << 10;
/// All texts except the prompt and the selection, in bytes.
pub(super) const MAX_TEXTS: usize = 1 << 20;
/// Texts in a question to Pieces OS, in bytes: they become part of the message.
pub(super) const MAX_FENCES: usize = 64 << 10;
/// Files of one conversation: each is read at every ask.
pub(super) const MAX_FILES: usize = 64;
/// Reading one file; a dead network mount never answers.
pub(super) const READ_FILE: Duration = Duration::from_secs(5);
/// Reading all files of a question, which may be on the same mount.
pub(super) const READ_FILES: Duration = Duration::from_secs(10);
/// Characters of a name taken from a prompt.
pub(super) const MAX_NAME: usize = 60;
/// From a stop to the last frame. The result must be sent within 200 ms.
pub(super) const STOPPING: Duration = Duration::from_millis(120);
/// One answer, in bytes. The service has the same limit.
pub(super) const MAX_ANSWER: usize = 16 << 20;
/// Waiting for a lost service, which another process takes over within seconds.
pub(super) const RECOVER: Duration = Duration::from_secs(5);
/// Pause between requests to a service that just came back.
pub(super) const RECOVER_PAUSE: Duration = Duration::from_millis(100);
/// Waiting until Pieces OS has stored a question and its answer, which it announced already.
pub(super) const SETTLE: Duration = Duration::from_secs(5);
/// Pauses between requests for them, in milliseconds.
pub(super) const SETTLE_PAUSES: [u64; 4] = [100, 250, 500, 1000];
