use super::*;
use proptest::prelude::*;

fn user(text: &str) -> Turn {
    Turn {
        role: Role::User,
        text: text.to_owned(),
        answered: true,
    }
}

fn model(text: &str) -> Turn {
    Turn {
        role: Role::Assistant,
        answered: false,
        ..user(text)
    }
}

fn text(name: &str, text: &str) -> Text {
    Text {
        kind: Kind::File,
        name: name.to_owned(),
        uri: Some(format!("file:///{name}")),
        lines: None,
        text: text.to_owned(),
    }
}

fn shown(prompt: &Prompt) -> Vec<(Role, &str)> {
    let messages = prompt.messages.iter();
    messages
        .map(|message| (message.role, message.text.as_str()))
        .collect()
}

use Role::{Assistant, System, User};

#[test]
fn what_fits_is_sent_whole_and_in_order() {
    let history = [
        user("q1"),
        model("a1"),
        Turn {
            answered: false,
            ..user("lost")
        },
        user("q2"),
        user("q3"),
        model("a2"),
        model(" "),
    ];
    let selection = Text {
        kind: Kind::Selection,
        lines: Some((3, 9)),
        ..text("retry.rs", "let x = `a`;\n")
    };
    let prompt = build(&history, Some(" Be brief.\n"), &[selection], "Why?", 8_192);
    assert_eq!(
        shown(&prompt),
        [
            (System, "Be brief."),
            (User, "q1"),
            (Assistant, "a1"),
            (User, "q2\n\nq3"),
            (Assistant, "a2"),
            (
                User,
                "Selection: retry.rs, lines 3–9:\n\n```\nlet x = `a`;\n```\n\nWhy?"
            ),
        ]
    );
    assert_eq!(prompt.sent.len(), 2);
    assert!(
        prompt.sent.iter().all(|one| one.bytes == one.sent),
        "{:?}",
        prompt.sent
    );
    assert_eq!(
        shown(&build(&[], Some(" "), &[], "Why?", 8_192)),
        [(User, "Why?")]
    );
}

#[test]
fn the_oldest_messages_go_first() {
    let long = "x".repeat(700);
    let history: Vec<Turn> = (0..20)
        .flat_map(|at| [user(&format!("{at} {long}")), model(&long)])
        .collect();
    let file = text("a", &"y".repeat(700));
    let prompt = build(&history, None, &[file], "Why?", 2_048);
    let messages = shown(&prompt);
    assert_eq!(messages.first().map(|(role, _)| *role), Some(User));
    assert!(
        messages.len() < 8 && messages[messages.len() - 3].1.starts_with("19 "),
        "{}",
        messages.len()
    );
    assert!(prompt.tokens <= 2_048 * 3 / 4, "{}", prompt.tokens);
    let (messages, file) = (&prompt.sent[0], &prompt.sent[1]);
    assert!(
        messages.sent < messages.bytes && messages.sent > 0,
        "{messages:?}"
    );
    assert_eq!(
        (messages.kind, messages.name.as_str()),
        (Kind::Messages, "40 earlier messages")
    );
    assert_eq!(file.sent, file.bytes);
}

#[test]
fn then_the_longest_texts_are_cut() {
    let long = "a line of text\n".repeat(1_000);
    let texts = [
        text("short", "all of it"),
        text("long", &long),
        text("longer", &long.repeat(3)),
    ];
    let prompt = build(&[user("q"), model("a")], None, &texts, "Why?", 4_096);
    assert!(prompt.tokens <= 4_096 * 3 / 4, "{}", prompt.tokens);
    assert!(prompt.tokens > 4_096 / 2, "{}", prompt.tokens);
    let sent: Vec<u64> = prompt.sent.iter().map(|one| one.sent).collect();
    assert_eq!((sent[0], sent[1]), (0, 9));
    assert_eq!(sent[2], sent[3]);
    let (_, last) = shown(&prompt)[0];
    assert!(
        last.contains(&format!("(Only the first {} of 15000 bytes", sent[2])),
        "{last}"
    );
    assert!(last.ends_with("Why?"));
    // Without any room they are named, and the prompt is whole.
    let question = "Why? ".repeat(1_000);
    let prompt = build(&[], None, &texts, &question, 100);
    assert!(
        shown(&prompt)[0]
            .1
            .contains("File: long (15000 bytes) is left out")
    );
    assert!(shown(&prompt)[0].1.ends_with(&question));
}

#[test]
fn tokens_are_estimated() {
    for (text, expected) in [
        ("", 0),
        ("a", 1),
        ("abcdefg", 2),
        ("é", 1),
        ("日本語", 3),
        ("aé", 2),
    ] {
        assert_eq!(tokens(text), expected, "{text}");
    }
}

#[test]
fn no_text_ends_its_fence() {
    for text_ in ["```\n", "a ````` b", "`", ""] {
        let quoted = quoted(&text("a", text_), text_);
        let fence = fence(text_);
        assert!(
            quoted.ends_with(&format!("\n{fence}")) && !text_.contains(&fence),
            "{quoted}"
        );
    }
}

#[test]
fn the_empty_lines_between_texts_are_counted() {
    for context in 480..560 {
        for bytes in 200..207 {
            let texts = [(); 6].map(|()| text("n", &"a".repeat(bytes)));
            let prompt = build(&[], None, &texts, "q", context);
            assert!(prompt.tokens <= context / 4 * 3, "{context} {bytes}");
        }
    }
}

proptest! {
    #[test]
    fn any_prompt_fits_and_its_count_is_right(
        turns in proptest::collection::vec(("[aé \n]{0,60}", any::<bool>(), any::<bool>()), 0..12),
        texts in proptest::collection::vec("[a`é \n]{0,300}", 0..5),
        context in 0u32..600,
    ) {
        let turns: Vec<Turn> = turns.into_iter().map(|(text, user, answered)| Turn {
            role: if user { Role::User } else { Role::Assistant },
            text,
            answered,
        }).collect();
        let texts: Vec<Text> = texts.iter().map(|one| text("n", one)).collect();
        let prompt = build(&turns, Some("s"), &texts, "q", context);
        let roles: Vec<Role> = prompt.messages.iter().map(|one| one.role).collect();
        prop_assert!(roles.windows(2).all(|pair| pair[0] != pair[1]));
        prop_assert_eq!(roles.last(), Some(&Role::User));
        for (one, whole) in prompt.sent.iter().rev().zip(texts.iter().rev()) {
            prop_assert_eq!(one.bytes, whole.text.len() as u64);
            let sent = &whole.text[..one.sent as usize];
            prop_assert!(prompt.messages.iter().any(|message| message.text.contains(sent)));
        }
        let omitted = prompt.sent.iter().any(|one| one.sent < one.bytes);
        let fixed = 2 * (1 + FRAME) + 60 * texts.len() as u32;
        prop_assert!(prompt.tokens <= (context / 4 * 3).max(fixed), "{} {}", prompt.tokens, context);
        prop_assert!(omitted || context >= 20 || prompt.sent.is_empty() || prompt.tokens < 60);
    }
}
