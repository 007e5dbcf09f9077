//! What readers make of names, messages and whole transcripts.

use pieces_lsp::markdown::{Part, Transcript, body, inline, label};
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

/// What a message may use.
const USED: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_FOOTNOTES);

/// Where links may lead.
fn is_harmless(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    [
        "https:",
        "http:",
        "mailto:",
        "pieces-conversation:",
        "pieces-asset:",
    ]
    .iter()
    .any(|scheme| url.starts_with(scheme))
}

/// Somebody's text: a name, a message, both.
pub fn fuzz(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    a_name_is_only_text(&text);
    a_body_does_nothing(&text);
    a_transcript_keeps_its_shape(&text, &text);
}

/// A name is one line of text to whoever reads Markdown, and the text that it is without it.
pub fn a_name_is_only_text(name: &str) {
    let text = inline(name, 200);
    let mut read = String::new();
    for event in Parser::new_ext(&text, USED | Options::ENABLE_MATH | Options::ENABLE_GFM) {
        match event {
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
            Event::Text(text) => read.push_str(&text),
            other => panic!("{other:?} from {name:?}"),
        }
    }
    assert_eq!(read, label(name, 200));
    let heading = format!("# {text}\n");
    let heading: String = Parser::new_ext(&heading, USED)
        .filter_map(|event| match event {
            Event::Text(text) => Some(text.into_string()),
            _ => None,
        })
        .collect();
    assert_eq!(heading, label(name, 200), "as a heading");
}

fn does_nothing(event: &Event<'_>, least: HeadingLevel, text: &str) {
    match event {
        Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::Image { .. }) => {
            panic!("{event:?} in {text:?}");
        }
        Event::Start(Tag::FootnoteDefinition(_)) | Event::FootnoteReference(_) => {
            panic!("{event:?} in {text:?}");
        }
        Event::Start(Tag::Link {
            link_type: LinkType::Email,
            ..
        }) => {}
        Event::Start(Tag::Link { dest_url, .. }) => assert!(is_harmless(dest_url), "{text:?}"),
        Event::Start(Tag::Heading { level, .. }) => assert!(*level >= least, "{text:?}"),
        _ => {}
    }
}

/// A message has no HTML, images, other links or great headings, and ends where it ends.
pub fn a_body_does_nothing(message: &str) {
    let rendered = body(message);
    let text = format!("{rendered}\n\nnext [a] [b] [^1]");
    let events: Vec<_> = Parser::new_ext(&text, USED).collect();
    for event in &events {
        does_nothing(event, HeadingLevel::H3, &text);
    }
    let last = events
        .iter()
        .rposition(|event| *event == Event::Start(Tag::Paragraph));
    let next: String = events[last.unwrap_or_default()..]
        .iter()
        .filter_map(|event| match event {
            Event::Text(text) => Some(&**text),
            _ => None,
        })
        .collect();
    assert_eq!(next, "next [a] [b] [^1]", "{text:?}");
    let depth = |event: &Event<'_>| match event {
        Event::Start(_) => 1,
        Event::End(_) => -1,
        _ => 0,
    };
    let depth: i32 = events[..last.unwrap_or_default()].iter().map(depth).sum();
    assert_eq!(depth, 0, "{text:?}");
    #[cfg(test)]
    with_comrak::a_body_does_nothing(&rendered);
}

/// Between others it does nothing either: the headings are those of the transcript.
pub fn a_transcript_keeps_its_shape(title: &str, said: &str) {
    let part = |text| Part {
        role: "You".into(),
        text: Some(text),
        asks: true,
        aside: title.to_owned(),
        ..Part::default()
    };
    let transcript = Transcript {
        origin: title,
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

/// The same for cmark-gfm, which comrak follows.
#[cfg(test)]
mod with_comrak {
    use super::is_harmless;
    use comrak::nodes::NodeValue;
    use comrak::{Arena, Options, parse_document};

    pub(super) fn a_body_does_nothing(rendered: &str) {
        let mut options = Options::default();
        let extension = &mut options.extension;
        extension.autolink = true;
        extension.footnotes = true;
        extension.strikethrough = true;
        extension.table = true;
        extension.tasklist = true;
        let text = format!("{rendered}\n\n## Next\n\nnext [a] [b] [^1]\n");
        let arena = Arena::new();
        let root = parse_document(&arena, &text, &options);
        let mut headings = 0;
        for node in root.descendants() {
            match &node.data.borrow().value {
                NodeValue::HtmlBlock(_)
                | NodeValue::HtmlInline(_)
                | NodeValue::Image(_)
                | NodeValue::FootnoteDefinition(_)
                | NodeValue::FootnoteReference(_) => panic!("comrak: {node:?} in {text:?}"),
                // It finds addresses of mail with letters before their scheme.
                NodeValue::Link(link) => {
                    let mail = link.url.contains('@') && !link.url.contains('/');
                    assert!(
                        is_harmless(&link.url) || mail,
                        "comrak: {} in {text:?}",
                        link.url
                    );
                }
                NodeValue::Heading(heading) => headings += usize::from(heading.level < 3),
                _ => {}
            }
        }
        assert_eq!(headings, 1, "comrak: {text:?}");
        let last = root.last_child().unwrap();
        let mut next = String::new();
        for node in last.descendants() {
            match &node.data.borrow().value {
                NodeValue::Text(text) => next.push_str(text),
                NodeValue::Paragraph => {}
                other => panic!("comrak: {other:?} in {text:?}"),
            }
        }
        assert_eq!(next, "next [a] [b] [^1]", "comrak: {text:?}");
    }
}
