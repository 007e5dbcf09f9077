//! Every deadline and size limit of asking, each with its reason.

use std::time::Duration;

/// A prompt, or a selection: what a person can paste; more than any model reads.
pub(super) const MAX_PROMPT: usize = 1 << 20;
/// One file or document.
pub(super) const MAX_FILE: usize = 256 << 10;
/// All texts beside the prompt and the selection.
pub(super) const MAX_TEXTS: usize = 1 << 20;
/// Texts in a question to Pieces OS, which gets them inside the message.
pub(super) const MAX_FENCES: usize = 64 << 10;
/// Files of one conversation: each is read at every ask.
pub(super) const MAX_FILES: usize = 64;
/// Reading one file; a dead network mount never answers.
pub(super) const READ_FILE: Duration = Duration::from_secs(5);
/// Characters of a name taken from a prompt.
pub(super) const MAX_NAME: usize = 60;
/// From a stop to the last frame. The result has to leave within 200 ms.
pub(super) const STOPPING: Duration = Duration::from_millis(120);
/// One answer. The service has the same limit.
pub(super) const MAX_ANSWER: usize = 16 << 20;
/// Until a lost service is back, which another process takes over within seconds.
pub(super) const RECOVER: Duration = Duration::from_secs(5);
/// Between two looks at a service that just came back.
pub(super) const RECOVER_PAUSE: Duration = Duration::from_millis(100);
/// Until Pieces OS has stored a question and its answer, which it announced already.
pub(super) const SETTLE: Duration = Duration::from_secs(5);
/// Milliseconds between looks for them.
pub(super) const SETTLE_PAUSES: [u64; 4] = [100, 250, 500, 1000];
