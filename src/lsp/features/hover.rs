//! `textDocument/hover` on the id of a conversation.

use crate::index::Conversation;
use crate::lsp::limits::{EXCERPT_CHARS, HOVER_CHARS, HOVER_TIMEOUT, MAX_HOVER_FILES, ROLE_CHARS};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::text::item::{ago, counted, files_of, role};
use crate::lsp::text::reference::{Form, touched};
use crate::markdown::{inline, isolated, label, shows_nothing};
use crate::pieces::Transcript;
use std::sync::Arc;
use tower_lsp::lsp_types::{Hover, HoverContents, HoverParams, MarkupContent, MarkupKind, Range};

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
    let markdown = server.flags().markdown_hover;
    let files = files_of(&one.anchors, index.ties());
    let value = describe(&one, &files, transcript.as_deref(), markdown);
    let kind = if markdown {
        MarkupKind::Markdown
    } else {
        MarkupKind::PlainText
    };
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent { kind, value }),
        range: Some(range),
    })
}

fn describe(
    one: &Conversation,
    files: &[String],
    transcript: Option<&Transcript>,
    markdown: bool,
) -> String {
    let text = |text: &str, most| {
        if markdown {
            inline(text, most)
        } else {
            label(text, most)
        }
    };
    let name = text(one.as_ref().title(), HOVER_CHARS);
    let mut lines = vec![if markdown {
        format!("**{name}**")
    } else {
        name
    }];
    lines.push(format!(
        "{} · updated {}",
        counted(one.messages as usize, "message"),
        ago(one.updated)
    ));
    if !files.is_empty() {
        let mut named: Vec<String> = files
            .iter()
            .take(MAX_HOVER_FILES)
            .map(|file| isolated(&text(file, HOVER_CHARS)))
            .collect();
        if files.len() > MAX_HOVER_FILES {
            named.push(format!("{} more", files.len() - MAX_HOVER_FILES));
        }
        lines.push(named.join(", "));
    }
    let messages = transcript.map_or(&[][..], |all| &all.messages);
    let excerpts: Vec<_> = match messages {
        [] => vec![],
        [only] => vec![only],
        [first, .., last] => vec![first, last],
    };
    for message in excerpts {
        if let Some(said) = message.text.as_deref().filter(|said| !shows_nothing(said)) {
            let role = text(&role(&message.role), ROLE_CHARS);
            lines.push(format!("{role}: {}", text(said, EXCERPT_CHARS)));
        }
    }
    lines.join(if markdown { "\n\n" } else { "\n" })
}
