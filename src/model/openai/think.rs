//! Thoughts in the text: `<think>…</think>` at the start of an answer.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// Bytes of leading blank text after which the answer counts as begun.
const BLANK: usize = 256;

/// Removes the thoughts from a streamed answer. Only the start of an answer can be a thought.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    state: State,
    /// Text that may turn out to be a tag.
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Thinking,
    /// Blank lines between the thought and the answer are dropped.
    After,
    Answer,
}

/// The answer and the thoughts in a part of the text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    pub(super) thinking: bool,
    pub(super) text: String,
}

impl Thoughts {
    /// Sorts the next part of the text.
    pub(super) fn push(&mut self, text: &str) -> Sorted {
        if self.state == State::Answer {
            return Sorted {
                thinking: false,
                text: text.to_owned(),
            };
        }
        self.held.push_str(text);
        let mut thinking = false;
        loop {
            match self.state {
                State::Start => {
                    let start = self.held.trim_start();
                    if let Some(rest) = start.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.state = State::Thinking;
                    } else if OPEN.starts_with(start) && self.held.len() < BLANK {
                        return Sorted {
                            thinking,
                            text: String::new(),
                        };
                    } else {
                        self.state = State::Answer;
                    }
                }
                State::Thinking => {
                    thinking = true;
                    match self.held.find(CLOSE) {
                        Some(at) => {
                            self.held.drain(..at + CLOSE.len());
                            self.state = State::After;
                        }
                        None => {
                            let kept = tail(&self.held, CLOSE);
                            self.held.drain(..self.held.len() - kept);
                            return Sorted {
                                thinking,
                                text: String::new(),
                            };
                        }
                    }
                }
                State::After => {
                    let blank = self.held.len() - self.held.trim_start().len();
                    self.held.drain(..blank);
                    if self.held.is_empty() {
                        return Sorted {
                            thinking,
                            text: String::new(),
                        };
                    }
                    self.state = State::Answer;
                }
                State::Answer => {
                    let text = std::mem::take(&mut self.held);
                    return Sorted { thinking, text };
                }
            }
        }
    }

    /// The end of the answer: returns the text that was held back as a possible tag.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Start if !held.trim().is_empty() => held,
            _ => String::new(),
        }
    }
}

/// Length of the longest end of `text` that is a beginning of `tag`.
fn tail(text: &str, tag: &str) -> usize {
    let lengths = (1..tag.len()).rev();
    let mut fitting = lengths.filter(|length| text.ends_with(&tag[..*length]));
    fitting.next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_at_the_start_are_not_part_of_the_answer() {
        let table = [
            ("plain text", false, "plain text"),
            ("<think>a thought</think>\n\nthe answer", true, "the answer"),
            ("\n <think></think>x", true, "x"),
            ("<think>a </thin </think>b</think>c", true, "b</think>c"),
            ("<think>never ends", true, ""),
            ("<thinner>", false, "<thinner>"),
            ("<th", false, "<th"),
            ("  x", false, "  x"),
            ("x <think>y</think>", false, "x <think>y</think>"),
            ("<think>é</think> é", true, "é"),
            ("", false, ""),
            ("  ", false, ""),
        ];
        for (input, thinking, expected) in table {
            let whole: Vec<&str> = vec![input];
            let ends = input.char_indices().map(|(at, c)| at..at + c.len_utf8());
            let single: Vec<&str> = ends.map(|range| &input[range]).collect();
            for parts in [whole, single] {
                let (mut thoughts, mut thought, mut text) =
                    (Thoughts::default(), false, String::new());
                for part in parts {
                    let sorted = thoughts.push(part);
                    thought |= sorted.thinking;
                    text += &sorted.text;
                }
                text += &thoughts.finish();
                assert_eq!((thought, &*text), (thinking, expected), "{input:?}");
            }
        }
    }
}
