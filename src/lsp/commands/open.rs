//! `pieces.conversations.open {conversation}` or `{uri}`.

use super::arguments::{field, id, uri};
use crate::index::Conversation;
use crate::lsp::features::copy;
use crate::lsp::limits::{ACTION_CHARS, CONFIRM_TIMEOUT, MAX_CHOICES, SHOW_TIMEOUT, TIES_TIMEOUT};
use crate::lsp::rpc::ask::Unanswered;
use crate::lsp::rpc::error::failure;
use crate::lsp::rpc::{ask, ask_user};
use crate::lsp::state::Server;
use crate::lsp::text::item::{ago, conversation_uri, label, quoted};
use crate::lsp::text::subject::{conversations_about, display_name};
use crate::pieces::Kind;
use serde_json::Value;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{MessageType, Position, Range, ShowDocumentParams, Url, request};
use uuid::Uuid;

/// Shows a conversation's document in the editor. With `uri`, the user chooses among the newest conversations about
/// that file if there are several.
pub(super) async fn open(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let file = uri(argument, "uri")?.filter(|_| field(argument, "conversation").is_none());
    let id = match file {
        None => id(argument, "conversation")?,
        Some(file) => match choose(server, &file).await? {
            Some(id) => id,
            None => return Ok(Value::Null),
        },
    };
    if !server.session.reader().contains(id) {
        let what = "There is no conversation with this id; it may have been deleted. Refresh the list and pick another.";
        return Err(failure(Kind::NotFound, what));
    }
    if !server.flags().show_document {
        let what = "This editor does not let a language server show documents; open the conversation from its list.";
        return Err(failure(Kind::Refused, what));
    }
    match show(server, id).await {
        true => Ok(Value::Null),
        false => {
            let what = "The editor did not show the conversation; its log may say why.";
            Err(failure(Kind::Refused, what))
        }
    }
}

/// Shows a conversation's document, or a private copy of it if the editor shows only files. Returns whether it did.
pub(super) async fn show(server: &Arc<Server>, id: Uuid) -> bool {
    let Ok(uri) = Url::parse(&conversation_uri(id)) else {
        return false;
    };
    if shown(server, uri, None).await {
        return true;
    }
    match copy::write(server, id).await {
        Some(file) => shown(server, file, None).await,
        None => false,
    }
}

/// The conversation about this file; if there are several, the one that the user chooses. `None` if the user
/// chooses none.
async fn choose(server: &Arc<Server>, file: &Url) -> Result<Option<Uuid>> {
    server.session.ties(TIES_TIMEOUT).await;
    let conversations = conversations_about(file, &server.session.reader()).await;
    match conversations.as_slice() {
        [] => {
            let what = "There is no conversation about this file; start one first.";
            Err(failure(Kind::NotFound, what))
        }
        [one] => Ok(Some(one.id)),
        several => Ok(ask_which(server, file, several).await),
    }
}

/// A missing answer counts as none.
async fn ask_which(server: &Server, file: &Url, conversations: &[Conversation]) -> Option<Uuid> {
    let newest = &conversations[..conversations.len().min(MAX_CHOICES)];
    let titles = choices(newest);
    let name = label(&display_name(file), ACTION_CHARS);
    let message = question(&name, newest.len(), conversations.len());
    let client = &server.client;
    let chosen = ask_user(client, MessageType::INFO, message, &titles, CONFIRM_TIMEOUT).await?;
    let at = titles.iter().position(|title| *title == chosen)?;
    Some(newest[at].id)
}

fn question(name: &str, offered: usize, all: usize) -> String {
    let question = format!("Open which conversation about {name}?");
    match all > offered {
        true => format!("{question} These are the newest {offered} of {all}."),
        false => question,
    }
}

/// A title for each, with its age. They are unique, because the client answers with a title.
fn choices(conversations: &[Conversation]) -> Vec<String> {
    let mut titles: Vec<String> = Vec::new();
    for one in conversations {
        let name = quoted(one.as_ref().title(), ACTION_CHARS);
        let title = format!("{name}, {}", ago(one.updated));
        let numbered = (2..).map(|number| format!("{title} ({number})"));
        let mut free = std::iter::once(title.clone()).chain(numbered);
        titles.extend(free.find(|title| !titles.contains(title)));
    }
    titles
}

/// Shows a document, with the cursor there.
pub(super) async fn shown(server: &Server, uri: Url, cursor: Option<Position>) -> bool {
    let params = ShowDocumentParams {
        uri,
        external: Some(false),
        take_focus: Some(true),
        selection: cursor.map(|cursor| Range::new(cursor, cursor)),
    };
    match ask::<request::ShowDocument>(&server.client, params, SHOW_TIMEOUT).await {
        Ok(answer) => answer.success,
        // It is still opening it, or answers when its own request is answered.
        Err(Unanswered::Late) => true,
        Err(Unanswered::Refused(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_says_when_it_is_not_all() {
        assert_eq!(
            question("a.rs", 2, 2),
            "Open which conversation about a.rs?"
        );
        assert_eq!(
            question("a.rs", 5, 6),
            "Open which conversation about a.rs? These are the newest 5 of 6."
        );
    }

    #[test]
    fn no_two_choices_have_the_same_title() {
        let named = |name: &str| Conversation {
            id: Uuid::nil(),
            name: name.to_owned(),
            created: 0,
            updated: 0,
            favorited: false,
            messages: 0,
            assets: Vec::new(),
            anchors: Vec::new(),
            application: String::new(),
            answering: None,
        };
        let titles = choices(&["a", "b", "a", "a"].map(named));
        let same = &titles[0];
        assert_ne!(titles[1], *same);
        assert_eq!(titles[2..], [format!("{same} (2)"), format!("{same} (3)")]);
    }
}
