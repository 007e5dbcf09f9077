//! Logging of panics.

use std::panic;

/// Logs each panic as one line with its place in the source. The message may quote documents or
/// conversations and is left out.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(place, "panicked; please report this line");
    }));
}
