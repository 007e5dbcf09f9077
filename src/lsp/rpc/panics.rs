//! What a panic leaves in the log.

use std::panic;

/// Makes a panic one log line with its place in the source. Its message may quote documents or
/// conversations and stays out.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(place, "panicked; please report this line");
    }));
}
