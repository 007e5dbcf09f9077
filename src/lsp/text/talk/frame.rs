//! Writes an answer into a talk file that is open in an editor: a state machine without I/O.
//!
//! The first edit moves the question above the marker and adds a frame for the answer; later edits only append to
//! the frame, never at the end of the file. At most one edit is in flight. It has landed when a `didChange` shows it,
//! which may come before the response or long after it. Any other change of the frame ends the writing: the answer
//! is stored by the service.

use super::paragraphs::finished;
use super::{Broken, Markers, Places, said};
use crate::markdown::body;
use std::ops::Range;
use std::time::Duration;
use tokio::time::Instant;

/// Minimum interval between edits, so that there are few to undo.
const EDIT_INTERVAL: Duration = Duration::from_secs(2);
/// Minimum interval between searches for finished paragraphs.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Deadline for the response to an edit and the change that shows it.
const LANDING: Duration = Duration::from_secs(2);
/// Delay after a refused edit, unless the document changes earlier.
const RETRY: Duration = Duration::from_millis(500);
/// Refused or timed-out edits in a row after which the file is left alone.
const TRIES: u8 = 3;

/// The heading of an answer, and the marker below it, come before its text.
const ANSWER_HEADING: &str = "## Assistant";

/// A range of bytes and the text that replaces it.
pub(crate) type Change = (Range<usize>, String);

/// Changes to a version of a document, in order, without overlaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub version: Option<i32>,
    pub changes: Vec<Change>,
}

/// The next step of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send the edit, then report the response with [`Frame::replied`].
    Edit(Edit),
    /// Wait until this time, or until an event.
    Wait(Option<Instant>),
    /// The whole answer is in the document.
    Written,
    /// The document is not edited any more.
    LeftAlone(AbandonReason),
}

/// Why a document is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AbandonReason {
    Closed,
    /// The frame or the marker was edited.
    Edited,
    /// The editor refused the edits, or never showed them.
    Refused,
}

/// The document as it is in the editor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub text: &'a str,
    pub version: Option<i32>,
}

/// An edit that has not landed.
#[derive(Debug)]
struct Flight {
    version: Option<i32>,
    lands: Landed,
    replied: Option<bool>,
    deadline: Instant,
}

/// The state of the document after an edit has landed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Landed {
    /// A frame with this text.
    Frame(String),
    /// No frame; this section is above the space for the next question.
    Whole(String),
}

/// An answer that is being written into a document.
#[derive(Debug)]
pub(crate) struct Frame {
    markers: Markers,
    /// Write paragraph by paragraph, not in one edit at the end.
    live: bool,
    /// The question as it was sent, and as a section of the document.
    prompt: String,
    question: String,
    /// The answer so far, as received.
    heard: String,
    /// Its finished paragraphs at the last search, and the time of that.
    so_far: String,
    looked: Option<Instant>,
    /// More text arrived since.
    more: bool,
    /// The answer as a section of the document, once it is complete.
    whole: Option<String>,
    /// The text of the frame that has landed; `None` before there is a frame.
    frame: Option<String>,
    flight: Option<Flight>,
    last_edit: Option<Instant>,
    /// After a refusal: the version that was refused, and when to try again.
    refused: Option<(Option<i32>, Instant)>,
    tries: u8,
}

impl Frame {
    /// `prompt` is the text below the marker when it was sent, trimmed; `question` is the same as a section, with an empty
    /// line before it.
    pub fn new(markers: Markers, live: bool, prompt: String, question: String) -> Self {
        Frame {
            markers,
            live,
            prompt,
            question,
            heard: String::new(),
            so_far: String::new(),
            looked: None,
            more: false,
            whole: None,
            frame: None,
            flight: None,
            last_edit: None,
            refused: None,
            tries: 0,
        }
    }

    /// Appends to the answer.
    pub fn add(&mut self, more: &str) {
        self.heard.push_str(more);
        self.more = true;
    }

    /// Completes the answer; `section` has an empty line before it.
    pub fn finish(&mut self, section: String) {
        self.whole = Some(section);
    }

    /// Whether the question and a frame for its answer are in the document.
    pub fn has_begun(&self) -> bool {
        self.frame.is_some()
    }

    /// The editor's response to the edit in flight.
    pub fn replied(&mut self, applied: bool) {
        if let Some(flight) = &mut self.flight {
            flight.replied = Some(applied);
        }
    }

    /// Returns the next step for this state of the document; `seen` is `None` if it is closed.
    pub fn step(&mut self, now: Instant, seen: Option<Seen<'_>>) -> Step {
        let Some(seen) = seen else {
            return Step::LeftAlone(AbandonReason::Closed);
        };
        let places = match self.markers.locate(seen.text) {
            Ok(places) => places,
            Err(Broken::Missing | Broken::Doubled) => {
                return Step::LeftAlone(AbandonReason::Edited);
            }
        };
        let place = Place { seen, places };
        if let Some(flight) = self.flight.take()
            && let Some(step) = self.land(flight, now, &place)
        {
            return step;
        }
        if self.whole.is_none() && self.tries >= TRIES {
            return Step::LeftAlone(AbandonReason::Refused);
        }
        self.next(now, &place)
    }

    /// Checks whether the edit in flight has landed or was refused; then no edit is in flight any more.
    fn land(&mut self, mut flight: Flight, now: Instant, place: &Place<'_>) -> Option<Step> {
        if place.shows(&flight.lands, self.frame.is_some()) {
            if flight.replied.is_none() && now < flight.deadline {
                let deadline = flight.deadline;
                self.flight = Some(flight);
                return Some(Step::Wait(Some(deadline)));
            }
            return match flight.lands {
                Landed::Whole(_) => Some(Step::Written),
                Landed::Frame(text) => {
                    (self.frame, self.tries) = (Some(text), 0);
                    None
                }
            };
        }
        if flight.replied == Some(false) {
            self.tries += 1;
            self.refused = Some((flight.version, now + RETRY));
            self.more = true;
            return (self.tries >= TRIES).then_some(Step::LeftAlone(AbandonReason::Refused));
        }
        if now >= flight.deadline {
            // The edit may still land: another one now could write the same text twice.
            self.tries += 1;
            flight.deadline = now + LANDING;
            if place.frame() != self.frame {
                return Some(Step::LeftAlone(AbandonReason::Edited));
            }
            if self.tries >= TRIES {
                return Some(Step::LeftAlone(AbandonReason::Refused));
            }
        }
        let deadline = flight.deadline;
        self.flight = Some(flight);
        Some(Step::Wait(Some(deadline)))
    }

    /// The next edit, if it is time for one.
    fn next(&mut self, now: Instant, place: &Place<'_>) -> Step {
        if place.frame() != self.frame {
            return Step::LeftAlone(AbandonReason::Edited);
        }
        let idle = !self.live || self.frame.is_some() && !self.more;
        if idle && self.whole.is_none() {
            return Step::Wait(None);
        }
        let version = place.seen.version;
        let again = self.refused.filter(|(refused, _)| *refused == version);
        let times = [
            self.last_edit.map(|last| last + EDIT_INTERVAL),
            self.looked.map(|last| last + LOOK_INTERVAL),
            again.map(|(_, at)| at),
        ];
        let earliest = times.into_iter().flatten().max();
        if let Some(at) = earliest.filter(|at| *at > now) {
            return Step::Wait(Some(at));
        }
        if self.whole.is_none() {
            // Linear in the answer, so not repeated for each word.
            self.so_far = body(finished(&self.heard));
            (self.looked, self.more) = (Some(now), false);
        }
        let Some((lands, changes)) = self.wanted(place) else {
            return Step::Wait(None);
        };
        self.last_edit = Some(now);
        self.flight = Some(Flight {
            version: place.seen.version,
            lands,
            replied: None,
            deadline: now + LANDING,
        });
        Step::Edit(Edit {
            version: place.seen.version,
            changes,
        })
    }

    /// The next state of the document, and the changes that lead to it.
    fn wanted(&self, place: &Place<'_>) -> Option<(Landed, Vec<Change>)> {
        let inside = match self.so_far.as_str() {
            "" => "\n".to_owned(),
            text => format!("\n{text}\n\n"),
        };
        match (&self.frame, &self.whole) {
            (None, None) if !self.live => None,
            (None, None) => {
                let marker = self.markers.answer();
                let question = self.question.trim_start_matches('\n');
                let section = format!("{question}\n{ANSWER_HEADING}\n{marker}\n{inside}");
                Some((Landed::Frame(inside), place.begin(section, &self.prompt)))
            }
            (None, Some(whole)) => {
                let question = self.question.trim_start_matches('\n');
                let section = format!("{question}{whole}\n");
                let changes = place.begin(section.clone(), &self.prompt);
                Some((Landed::Whole(section), changes))
            }
            (Some(frame), None) if *frame == inside => None,
            (Some(frame), None) => {
                let answer = place.places.answer.as_ref()?;
                let changes = vec![turn(frame, &inside, place.seen.text, &answer.text)];
                Some((Landed::Frame(inside), changes))
            }
            (Some(frame), Some(whole)) => {
                let answer = place.places.answer.as_ref()?;
                // The line below the heading has the time, if it is known.
                let below = whole.trim_start_matches('\n');
                let below = below.split_once('\n').map_or("", |(_, below)| below);
                let (time, rest) = match below.strip_prefix('\n') {
                    Some(_) => ("", below),
                    None => below.split_once('\n').unwrap_or((below, "")),
                };
                let rest = format!("{rest}\n");
                let mut changes = vec![(answer.marker.clone(), time.to_owned())];
                let change = turn(frame, &rest, place.seen.text, &answer.text);
                if !(change.0.is_empty() && change.1.is_empty()) {
                    changes.push(change);
                }
                Some((Landed::Whole(rest), changes))
            }
        }
    }
}

/// The document, and the places in it.
struct Place<'a> {
    seen: Seen<'a>,
    places: Places,
}

impl Place<'_> {
    /// The text in the frame.
    fn frame(&self) -> Option<String> {
        let answer = self.places.answer.as_ref()?;
        Some(unix(&self.seen.text[answer.text.clone()]))
    }

    /// `begun`: there was a frame, which only the last edit removes.
    fn shows(&self, landed: &Landed, begun: bool) -> bool {
        match landed {
            Landed::Frame(text) => self.frame().as_ref() == Some(text),
            Landed::Whole(_) if begun => self.places.answer.is_none(),
            Landed::Whole(text) => unix(&self.seen.text[..self.places.insert]).ends_with(text),
        }
    }

    /// Adds a section above the marker. Removes the question below it unless more was typed meanwhile.
    fn begin(&self, section: String, prompt: &str) -> Vec<Change> {
        let text = self.seen.text;
        let insert = self.places.insert;
        let mut changes = vec![(insert..insert, section)];
        let below = said(text, self.places.prompt.clone());
        if !below.is_empty() && unix(&text[below.clone()]) == unix(prompt) {
            changes.push((below, String::new()));
        }
        changes
    }
}

/// The change that turns `before`, the text of the frame, into `after`: an addition at the end if that is enough,
/// else a replacement from the first line that differs.
fn turn(before: &str, after: &str, text: &str, frame: &Range<usize>) -> Change {
    if let Some(more) = after.strip_prefix(before) {
        return (frame.end..frame.end, more.to_owned());
    }
    let same = before
        .split_inclusive('\n')
        .zip(after.split_inclusive('\n'));
    let same = same.take_while(|(a, b)| a == b && a.ends_with('\n'));
    let (lines, bytes) = same.fold((0, 0), |(lines, bytes), (a, _)| {
        (lines + 1, bytes + a.len())
    });
    let kept = text[frame.clone()].split_inclusive('\n').take(lines);
    let kept: usize = kept.map(str::len).sum();
    (frame.start + kept..frame.end, after[bytes..].to_owned())
}

/// Normalises line endings, which the editor may have changed.
fn unix(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests;
