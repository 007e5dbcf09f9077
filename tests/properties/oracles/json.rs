//! Any text as JSON.

use pieces_lsp::json::from_slice;
use serde_json::Value;

/// What is JSON to others is the same here, and what was repaired is JSON to all.
pub fn fuzz(body: &[u8]) {
    let read = from_slice::<Value>(body).ok();
    if let Ok(strict) = serde_json::from_slice::<Value>(body) {
        assert_eq!(read.as_ref(), Some(&strict));
    }
    if let Some(read) = read {
        assert_eq!(
            from_slice::<Value>(read.to_string().as_bytes()).ok(),
            Some(read)
        );
    }
}
