//! `textDocument/hover` on the id of a conversation.

use crate::index::Conversation;
use crate::lsp::limits::{EXCERPT_CHARS, HOVER_CHARS, HOVER_TIMEOUT, MAX_HOVER_FILES, ROLE_CHARS};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::text::item::{ago, conversation_uri, counted, files_of};
use crate::lsp::text::message::signed;
use crate::lsp::text::reference::{Form, touched};
use crate::markdown::{gist, inline, isolated, label, shows_nothing};
use crate::pieces::{Message, Role, Transcript};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use std::sync::Arc;
use tower_lsp::lsp_types::{Hover, HoverContents, HoverParams, MarkupContent, MarkupKind, Range};
use uuid::Uuid;

/// `textDocument/hover`.
pub(crate) async fn hover(server: &Arc<Server>, params: HoverParams) -> Option<Hover> {
    let place = params.text_document_position_params;
    let document = server.documents.get(&place.text_document.uri)?;
    let cursor = Range::new(place.position, place.position);
    let index = server.session.reader();
    let known = index.clone();
    let finding = reading(document.bytes_of(document.lines(cursor)), move || {
        let mut found = touched(&document, cursor);
        found.find_map(|found| {
            let one =
                (found.reference.form != Form::AssetUri).then(|| known.get(found.reference.id));
            Some((found.range(&document), one??))
        })
    });
    let (range, one) = finding.await?;
    let transcript = server
        .transcripts
        .read_soon(&server.session, one.id, HOVER_TIMEOUT);
    let transcript = transcript.await;
    let flags = server.flags();
    let files = files_of(&one.anchors, index.ties());
    let value = match flags.markdown_hover {
        true => {
            let mut lines = lines(&one, &files, transcript.as_deref(), inline);
            lines[0] = format!("**{}**", lines[0]);
            lines.push(links(&server.hover_commands(), one.id));
            lines.join("\n\n")
        }
        false => lines(&one, &files, transcript.as_deref(), label).join("\n"),
    };
    let kind = match flags.markdown_hover {
        true => MarkupKind::Markdown,
        false => MarkupKind::PlainText,
    };
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent { kind, value }),
        range: Some(range),
    })
}

/// The lines of a hover: name, size, age, files, the last question and the last answer. `text` escapes untrusted
/// text.
fn lines(
    one: &Conversation,
    files: &[String],
    transcript: Option<&Transcript>,
    text: impl Fn(&str, usize) -> String,
) -> Vec<String> {
    let mut lines = vec![
        text(one.as_ref().title(), HOVER_CHARS),
        format!(
            "{} · updated {}",
            counted(one.messages as usize, "message"),
            ago(one.updated)
        ),
    ];
    if !files.is_empty() {
        let shown = files.iter().take(MAX_HOVER_FILES);
        let mut named: Vec<String> = shown
            .map(|file| isolated(&text(file, HOVER_CHARS)))
            .collect();
        if files.len() > MAX_HOVER_FILES {
            named.push(format!("{} more", files.len() - MAX_HOVER_FILES));
        }
        lines.push(named.join(", "));
    }
    let messages = transcript.map_or(&[][..], |all| &all.messages);
    for message in last_of_each(messages) {
        let said = gist(message.text.as_deref().unwrap_or_default(), EXCERPT_CHARS);
        if !shows_nothing(&said) {
            let role = text(&signed(message), ROLE_CHARS);
            // It is cut already, with an ellipsis.
            lines.push(format!("{role}: {}", text(&said, EXCERPT_CHARS + 1)));
        }
    }
    lines
}

/// The last question and the last answer, in their order.
fn last_of_each(messages: &[Message]) -> Vec<&Message> {
    let last = |role: &Role| messages.iter().rposition(|one| one.role == *role);
    let mut places: Vec<usize> = [Role::User, Role::Assistant]
        .iter()
        .filter_map(last)
        .collect();
    places.sort_unstable();
    places.iter().map(|at| &messages[*at]).collect()
}

/// Links to the client's own commands, if it named any (only such a client can run them), else the link to the
/// conversation's document.
fn links(commands: &[(&'static str, String)], id: Uuid) -> String {
    if commands.is_empty() {
        return format!("[Open]({})", conversation_uri(id));
    }
    let argument = json!([{ "conversation": id }]).to_string();
    let argument = utf8_percent_encode(&argument, NON_ALPHANUMERIC).to_string();
    let link =
        |(title, command): &(&str, String)| format!("[{title}](command:{command}?{argument})");
    commands.iter().map(link).collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn commands_are_links_only_where_the_client_named_them() {
        let id = Uuid::nil();
        assert_eq!(
            links(&[], id),
            "[Open](pieces-conversation:/00000000-0000-0000-0000-000000000000.md)"
        );
        let shown = links(
            &[("Open", "x.open".into()), ("Rename", "x.rename".into())],
            id,
        );
        assert!(
            shown.starts_with("[Open](command:x.open?%5B%7B%22conversation%22%3A%2200000000%2D")
                && shown.contains(" · [Rename](command:x.rename?"),
            "{shown}"
        );
    }

    #[test]
    fn the_last_question_and_the_last_answer() {
        let message = |role: Role, text: &str| Message {
            id: Uuid::nil(),
            role,
            created: None,
            text: Some(text.to_owned()),
            raw: Value::Null,
        };
        let (user, model) = (Role::User, Role::Assistant);
        let check = |messages: &[(&Role, &str)], expected: &[&str]| {
            let messages: Vec<Message> = messages
                .iter()
                .map(|(role, text)| message((*role).clone(), text))
                .collect();
            let found = last_of_each(&messages).into_iter();
            let found: Vec<_> = found.map(|one| one.text.as_deref().unwrap()).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[]);
        check(&[(&user, "a"), (&model, "b")], &["a", "b"]);
        check(&[(&user, "a"), (&model, "b"), (&user, "c")], &["b", "c"]);
        check(&[(&Role::System, "s"), (&model, "b")], &["b"]);
    }
}
