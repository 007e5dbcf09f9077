use super::*;

const PROMPT: &str = "Why?";
const QUESTION: &str = "\n## You\n*14:03*\n\nWhy?\n";

fn whole(text: &str) -> String {
    format!("\n## Assistant\n*14:04*\n\n{}\n\n*smollm2*\n", body(text))
}

/// An editor with a talk file, and how it treats edits.
struct Editor {
    /// The text in the editor, and the text of its last `didChange`.
    text: String,
    told: String,
    version: i32,
    open: bool,
    crlf: bool,
}

impl Editor {
    fn new(draft: &str) -> Self {
        let text = markers().compose("# Retry\n\nCreated 14:00\n", draft);
        Editor {
            told: text.clone(),
            text,
            version: 1,
            open: true,
            crlf: false,
        }
    }

    fn seen(&self) -> Option<Seen<'_>> {
        let seen = Seen {
            text: &self.told,
            version: Some(self.version),
        };
        self.open.then_some(seen)
    }

    fn apply(&mut self, edit: &Edit) {
        for (range, new) in edit.changes.iter().rev() {
            let new = match self.crlf {
                true => new.replace('\n', "\r\n"),
                false => new.clone(),
            };
            self.text.replace_range(range.clone(), &new);
        }
    }

    fn tell(&mut self) {
        self.told.clone_from(&self.text);
        self.version += 1;
    }

    fn write(&mut self, text: &str) {
        self.text.push_str(text);
        self.tell();
    }
}

fn markers() -> Markers {
    Markers::new("5f3a")
}

fn frame(live: bool) -> Frame {
    Frame::new(markers(), live, PROMPT.into(), QUESTION.into())
}

fn edit(step: Step) -> Edit {
    match step {
        Step::Edit(edit) => edit,
        other => panic!("no edit: {other:?}"),
    }
}

/// Applies an edit as most editors do: at once, with the change told before or after the response.
fn land(frame: &mut Frame, editor: &mut Editor, edit: &Edit) {
    assert_eq!(edit.version, Some(editor.version));
    editor.apply(edit);
    editor.tell();
    frame.replied(true);
}

async fn later(time: Duration) -> Instant {
    tokio::time::advance(time).await;
    Instant::now()
}

/// Runs an answer to its end; the number of edits.
async fn run(frame: &mut Frame, editor: &mut Editor, pieces: &[&str]) -> usize {
    let (mut edits, mut so_far) = (0, String::new());
    for piece in pieces {
        so_far.push_str(piece);
        frame.add(piece);
        if let Step::Edit(edit) = frame.step(Instant::now(), editor.seen()) {
            land(frame, editor, &edit);
            edits += 1;
        }
        later(Duration::from_millis(300)).await;
    }
    frame.finish(whole(&so_far));
    loop {
        match frame.step(Instant::now(), editor.seen()) {
            Step::Edit(edit) => {
                land(frame, editor, &edit);
                edits += 1;
            }
            Step::Wait(at) => tokio::time::sleep_until(at.unwrap()).await,
            Step::Written => return edits,
            Step::LeftAlone(why) => panic!("{why:?}"),
        }
    }
}

const PIECES: [&str; 12] = [
    "Be",
    "cause.\n\nIt ",
    "loops:\n\n```rust\n",
    "loop {\n\n",
    "}\n```\n",
    "So ",
    "stop",
    " it.\n",
    "\nDo",
    "ne",
    ".",
    "",
];

fn expected(draft: &str) -> String {
    let picture = format!(
        "# Retry\n\nCreated 14:00\n{QUESTION}{}",
        whole(&PIECES.concat())
    );
    markers().compose(&picture, draft)
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_written_by_paragraphs_above_a_fresh_prompt() {
    for crlf in [false, true] {
        let mut editor = Editor::new(PROMPT);
        editor.crlf = crlf;
        if crlf {
            editor.text = editor.text.replace('\n', "\r\n");
            editor.tell();
        }
        let edits = run(&mut frame(true), &mut editor, &PIECES).await;
        assert_eq!(unix(&editor.text), expected(""));
        assert!((3..=4).contains(&edits), "{edits} in 3.6 s");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_end_it_is_one_edit() {
    let mut editor = Editor::new(PROMPT);
    assert_eq!(run(&mut frame(false), &mut editor, &PIECES).await, 1);
    assert_eq!(editor.text, expected(""));
}

#[tokio::test(start_paused = true)]
async fn edits_are_two_seconds_apart_and_never_at_the_end_of_the_file() {
    let (mut frame, mut editor) = (frame(true), Editor::new(PROMPT));
    let mut last = None;
    for number in 0..600 {
        frame.add(&format!("Paragraph {number}.\n\n"));
        if let Step::Edit(edit) = frame.step(Instant::now(), editor.seen()) {
            let now = Instant::now();
            assert!(last.is_none_or(|last| now - last >= EDIT_INTERVAL));
            last = Some(now);
            for (range, new) in &edit.changes {
                assert!(range.end < editor.text.len() && (!new.is_empty() || !range.is_empty()));
            }
            land(&mut frame, &mut editor, &edit);
        }
        later(Duration::from_millis(100)).await;
    }
    assert!(editor.text.contains("Paragraph 570.\n"), "{}", editor.text);
}

#[tokio::test(start_paused = true)]
async fn text_typed_below_the_marker_meanwhile_stays() {
    // Typed between sending and the first edit: the question stays where it is, too.
    let mut editor = Editor::new(PROMPT);
    editor.write("And how?");
    let mut one = frame(true);
    run(&mut one, &mut editor, &PIECES).await;
    assert_eq!(editor.text, expected("Why?\nAnd how?").trim_end());

    // Typed while it streams, a refusal in between.
    let (mut one, mut editor) = (frame(true), Editor::new(PROMPT));
    let first = edit(one.step(Instant::now(), editor.seen()));
    land(&mut one, &mut editor, &first);
    editor.write("And how?");
    one.add("Because.\n\n");
    let now = later(EDIT_INTERVAL).await;
    let second = edit(one.step(now, editor.seen()));
    editor.write(" Where?");
    one.replied(false);
    let third = edit(one.step(now + EDIT_INTERVAL, editor.seen()));
    assert!(third.version > second.version);
    land(&mut one, &mut editor, &third);
    assert!(
        editor.text.contains("\nBecause.\n\n## You\n"),
        "{}",
        editor.text
    );
    assert!(editor.text.ends_with("And how? Where?"));
}

#[tokio::test(start_paused = true)]
async fn there_is_one_edit_in_flight_whether_its_change_is_early_late_or_never_told() {
    let (mut frame, mut editor) = (frame(true), Editor::new(PROMPT));
    let first = edit(frame.step(Instant::now(), editor.seen()));
    frame.add("One.\n\nTwo.\n\n");
    // Early: the change comes before the response.
    editor.apply(&first);
    editor.tell();
    assert!(matches!(
        frame.step(Instant::now(), editor.seen()),
        Step::Wait(Some(_))
    ));
    frame.replied(true);
    assert!(matches!(
        frame.step(Instant::now(), editor.seen()),
        Step::Wait(Some(_))
    ));
    // Late: the response comes, and nothing is written until the change is told.
    let now = later(EDIT_INTERVAL).await;
    let second = edit(frame.step(now, editor.seen()));
    editor.apply(&second);
    frame.replied(true);
    frame.add("Three.\n\n");
    for _ in 0..2 {
        let now = later(LANDING).await;
        assert!(matches!(
            frame.step(now, editor.seen()),
            Step::Wait(Some(_))
        ));
    }
    editor.tell();
    let third = edit(frame.step(Instant::now(), editor.seen()));
    // Never: it is not written a second time.
    frame.replied(true);
    let mut steps = Vec::new();
    for _ in 0..3 {
        let now = later(LANDING).await;
        steps.push(frame.step(now, editor.seen()));
    }
    assert!(matches!(
        steps[..2],
        [Step::Wait(Some(_)), Step::Wait(Some(_))]
    ));
    assert_eq!(steps[2], Step::LeftAlone(AbandonReason::Refused));
    assert_eq!(third.changes.len(), 1);
    assert_eq!(editor.text.matches("Two.").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_without_a_response_counts_as_landed() {
    let (mut frame, mut editor) = (frame(true), Editor::new(PROMPT));
    let first = edit(frame.step(Instant::now(), editor.seen()));
    editor.apply(&first);
    editor.tell();
    frame.add("One.\n\n");
    let now = later(LANDING).await;
    edit(frame.step(now, editor.seen()));
}

#[tokio::test(start_paused = true)]
async fn refused_three_times_the_file_is_left_alone() {
    let (mut frame, editor) = (frame(true), Editor::new(PROMPT));
    for attempt in 1..=3 {
        edit(frame.step(Instant::now(), editor.seen()));
        frame.replied(false);
        let step = frame.step(Instant::now(), editor.seen());
        match attempt {
            3 => assert_eq!(step, Step::LeftAlone(AbandonReason::Refused)),
            _ => assert!(
                matches!(step, Step::Wait(Some(_))),
                "the same version: {step:?}"
            ),
        }
        later(EDIT_INTERVAL).await;
    }
    assert_eq!(
        editor.text,
        markers().compose("# Retry\n\nCreated 14:00\n", PROMPT)
    );
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_frame_or_a_close_ends_the_writing() {
    type Change = fn(&mut Editor);
    let cases: [(Change, Option<AbandonReason>); 6] = [
        (
            |editor| editor.text = editor.text.replace("Because", "Since"),
            Some(AbandonReason::Edited),
        ),
        (
            |editor| editor.text = editor.text.replace("<!-- pieces:5f3a answer", ""),
            Some(AbandonReason::Edited),
        ),
        (
            |editor| editor.text = editor.text.replace("<!-- pieces:5f3a write", ""),
            Some(AbandonReason::Edited),
        ),
        (
            |editor| editor.text.push_str(&editor.text.clone()),
            Some(AbandonReason::Edited),
        ),
        (|editor| editor.open = false, Some(AbandonReason::Closed)),
        // The text above the frame does not matter.
        (
            |editor| editor.text = editor.text.replace("# Retry", "# Mine"),
            None,
        ),
    ];
    for (change, why) in cases {
        let (mut frame, mut editor) = (frame(true), Editor::new(PROMPT));
        frame.add("Because.\n\n");
        let first = edit(frame.step(Instant::now(), editor.seen()));
        land(&mut frame, &mut editor, &first);
        assert_eq!(frame.step(Instant::now(), editor.seen()), Step::Wait(None));
        frame.add("Of this.\n\n");
        let now = later(EDIT_INTERVAL).await;
        change(&mut editor);
        editor.tell();
        match (frame.step(now, editor.seen()), why) {
            (Step::Edit(_), None) => {}
            (step, why) => assert_eq!(Some(step), why.map(Step::LeftAlone)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_of_our_edit_is_an_edit_by_the_person() {
    let (mut frame, mut editor) = (frame(true), Editor::new(PROMPT));
    let before = editor.text.clone();
    let first = edit(frame.step(Instant::now(), editor.seen()));
    land(&mut frame, &mut editor, &first);
    frame.add("Because.\n\n");
    assert!(matches!(
        frame.step(Instant::now(), editor.seen()),
        Step::Wait(_)
    ));
    editor.text = before;
    editor.tell();
    let step = frame.step(later(EDIT_INTERVAL).await, editor.seen());
    assert_eq!(step, Step::LeftAlone(AbandonReason::Edited));
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_end_changes_its_beginning_is_written_again() {
    let (mut frame, mut editor) = (frame(true), Editor::new(PROMPT));
    frame.add("See [a].\n\nSame.\n\n");
    let first = edit(frame.step(Instant::now(), editor.seen()));
    land(&mut frame, &mut editor, &first);
    let text = "See [a].\n\nSame.\n\n[a]: https://example.org";
    frame.finish(whole(text));
    later(EDIT_INTERVAL).await;
    let last = edit(frame.step(Instant::now(), editor.seen()));
    land(&mut frame, &mut editor, &last);
    assert_eq!(frame.step(Instant::now(), editor.seen()), Step::Written);
    let picture = format!("# Retry\n\nCreated 14:00\n{QUESTION}{}", whole(text));
    assert_eq!(editor.text, markers().compose(&picture, ""));
}

#[tokio::test(start_paused = true)]
async fn the_frame_contains_only_the_answer() {
    // A forged marker of another token, a heading as ours, an open fence.
    let text = "<!-- pieces:0000 write -->\n\n## You\n\nx\n\n```\nopen";
    let (mut frame, mut editor) = (frame(true), Editor::new(PROMPT));
    run(&mut frame, &mut editor, &[text]).await;
    let places = markers().locate(&editor.text).unwrap();
    assert_eq!(&editor.text[places.prompt], "\n\n");
    assert!(
        editor.text.contains("\\<!-- pieces:0000 write -->"),
        "{}",
        editor.text
    );
}
