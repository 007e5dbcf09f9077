//! The text of a question as it is stored, and the name of its conversation.

use super::Selection;
use super::gather::Text;
use super::limits::MAX_NAME;
use std::path::Path;
use url::Url;

/// The name of a conversation whose prompt has no words.
const UNNAMED: &str = "New Conversation";

/// The name of a conversation that begins with this prompt: its first words.
pub fn conversation_name(prompt: &str) -> String {
    let line = prompt.lines().find(|line| !line.trim().is_empty());
    let mut words = line.unwrap_or_default().split_whitespace();
    let mut name: String = match words.next() {
        Some(word) => word.chars().take(MAX_NAME).collect(),
        None => return UNNAMED.to_owned(),
    };
    let mut chars = name.chars().count();
    for word in words {
        chars += 1 + word.chars().count();
        if chars > MAX_NAME {
            name.push('…');
            break;
        }
        name.push(' ');
        name.push_str(word);
    }
    name
}

/// The question as it is stored: the prompt, then the selection in a fence whose info string has its place,
/// `rs /home/me/retry.rs:3-9`. `markdown::question` parses it.
pub fn stored(prompt: &str, selection: Option<&Selection>) -> String {
    let Some(selection) = selection else {
        return prompt.to_owned();
    };
    let place = selection.uri.as_ref().map(place);
    let place = place.unwrap_or_else(|| selection.name.clone());
    let lines = match selection.lines {
        Some((first, last)) => format!(":{first}-{last}"),
        None => String::new(),
    };
    let language = language(&selection.name);
    let info = format!("{language} {place}{lines}");
    let fenced = fenced(&info, &selection.text);
    match prompt.trim() {
        "" => fenced,
        prompt => format!("{prompt}\n\n{fenced}"),
    }
}

/// A text inside a question to Pieces OS.
pub(super) fn text_in_query(text: &Text, part: &str) -> String {
    let uri = text.uri.as_deref().and_then(|uri| Url::parse(uri).ok());
    let place = uri.as_ref().map_or_else(|| text.name.clone(), place);
    fenced(&format!("{} {place}", language(&text.name)), part)
}

/// The path of a file, else the URI.
fn place(uri: &Url) -> String {
    let path = uri.to_file_path().ok();
    let path = path.as_deref().and_then(Path::to_str);
    match path.filter(|path| !path.contains(char::is_control)) {
        Some(path) => path.to_owned(),
        None => uri.as_str().to_owned(),
    }
}

/// The extension of a name, if it can be a language id.
fn language(name: &str) -> &str {
    let extension = Path::new(name).extension().and_then(|it| it.to_str());
    let usable = |it: &&str| it.chars().all(|c| c.is_ascii_alphanumeric());
    extension.filter(usable).unwrap_or("text")
}

/// `text` in a fence that is longer than any in it.
fn fenced(info: &str, text: &str) -> String {
    // The info string of a fence of backticks must not have one.
    let mark = if info.contains('`') { '~' } else { '`' };
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == mark { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence: String = std::iter::repeat_n(mark, (longest + 1).max(3)).collect();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{info}\n{text}{end}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (prompt, name) in [
            ("Why does it loop?", "Why does it loop?"),
            ("\n  \n  Why\tdoes  it\nsecond", "Why does it"),
            ("", UNNAMED),
            (" \n", UNNAMED),
        ] {
            assert_eq!(conversation_name(prompt), name, "{prompt:?}");
        }
        let long = conversation_name(&"word ".repeat(100));
        assert!(long.ends_with("word…") && long.chars().count() <= MAX_NAME + 1);
        assert_eq!(conversation_name(&"é".repeat(100)), "é".repeat(MAX_NAME));
    }

    fn selection(uri: &str, text: &str) -> Selection {
        Selection {
            uri: Some(Url::parse(uri).unwrap()),
            name: uri.rsplit('/').next().unwrap().to_owned(),
            lines: Some((3, 9)),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_selection_is_stored_with_its_place() {
        for (uri, text, expected) in [
            ("file:///a/retry.rs", "x\n", "```rs /a/retry.rs:3-9\nx\n```"),
            ("file:///a/b%20c:d.md", "x", "```md /a/b c:d.md:3-9\nx\n```"),
            ("file:///a/b%60.rs", "~~~", "~~~~rs /a/b`.rs:3-9\n~~~\n~~~~"),
            (
                "file:///a/b%0A.rs",
                "",
                "```rs file:///a/b%0A.rs:3-9\n\n```",
            ),
            (
                "untitled:Untitled-1",
                "````",
                "`````text untitled:Untitled-1:3-9\n````\n`````",
            ),
        ] {
            let stored = stored("Why?", Some(&selection(uri, text)));
            assert_eq!(stored, format!("Why?\n\n{expected}"));
        }
        let piped = Selection {
            uri: None,
            name: "standard input".into(),
            lines: None,
            text: "x\n".into(),
        };
        assert_eq!(stored(" ", Some(&piped)), "```text standard input\nx\n```");
        assert_eq!(stored("Why?", None), "Why?");
    }
}
