//! `pieces.models`: the models that can answer.

use super::ask::{OpenTexts, asker};
use crate::ask;
use crate::lsp::rpc::error::failed;
use crate::lsp::state::Server;
use serde_json::Value;
use std::sync::{Arc, Weak};
use tower_lsp::jsonrpc::Result;

pub(super) async fn models(server: &Arc<Server>) -> Result<Value> {
    let asker = asker(server, OpenTexts::of(server), Weak::new())
        .await
        .map_err(failed)?;
    let models = ask::models(&asker).await.map_err(failed)?;
    Ok(serde_json::to_value(models).unwrap_or_default())
}
