//! What a renderer makes of names, messages and whole transcripts.

#![allow(clippy::panic, reason = "a check fails by it")]

use super::body::is_harmless;
use super::{Part, Transcript, body, inline, label};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// What a message may use.
const USED: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// A name is one line of text to whoever reads Markdown, and the text that it is without it.
pub(crate) fn a_name_is_only_text(name: &str) {
    let text = inline(name, 200);
    let mut read = String::new();
    for event in Parser::new_ext(&text, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
        match event {
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
            Event::Text(text) => read.push_str(&text),
            other => panic!("{other:?} from {name:?}"),
        }
    }
    assert_eq!(read, label(name, 200));
}

fn does_nothing(event: &Event<'_>, least: HeadingLevel, text: &str) {
    match event {
        Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::Image { .. }) => {
            panic!("{event:?} in {text:?}");
        }
        Event::Start(Tag::Link { dest_url, .. }) => assert!(is_harmless(dest_url), "{text:?}"),
        Event::Start(Tag::Heading { level, .. }) => assert!(*level >= least, "{text:?}"),
        _ => {}
    }
}

/// A message has no HTML, images, other links or great headings, and ends where it ends.
pub(crate) fn a_body_does_nothing(text: &str) {
    let text = format!("{}\n\nnext", body(text));
    let events: Vec<_> = Parser::new_ext(&text, USED).collect();
    for event in &events {
        does_nothing(event, HeadingLevel::H3, &text);
    }
    let next = [
        Event::Start(Tag::Paragraph),
        Event::Text("next".into()),
        Event::End(TagEnd::Paragraph),
    ];
    assert!(events.ends_with(&next), "{events:?} in {text:?}");
}

/// Between others it does nothing either: the headings are those of the transcript.
pub(crate) fn a_transcript_keeps_its_shape(title: &str, said: &str) {
    let part = |text| Part {
        role: "User".into(),
        time: String::new(),
        text: Some(text),
    };
    let transcript = Transcript {
        title,
        note: Some(title.to_owned()),
        messages: vec![
            part(said),
            part("first"),
            part(said),
            part("[last](command:x)"),
        ],
        ..Transcript::default()
    };
    let text = transcript.render();
    let mut great = Vec::new();
    for event in Parser::new_ext(&text, USED) {
        does_nothing(&event, HeadingLevel::H1, &text);
        if let Event::Start(Tag::Heading { level, .. }) = event
            && level < HeadingLevel::H3
        {
            great.push(level);
        }
    }
    use HeadingLevel::{H1, H2};
    assert_eq!(great, [H1, H2, H2, H2, H2], "{text:?}");
}
