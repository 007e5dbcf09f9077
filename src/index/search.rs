//! Fuzzy search over names.
//!
//! A set of letters per name first rules out most names in a fraction of a nanosecond each; the matcher reads
//! the rest.

use super::chunk::Chunk;
use super::conversation::ConversationRef;
use super::cores::parallel_chunks;
use super::letters::{composed, letter_set, plain};
use super::snapshot::Snapshot;
use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization};
use nucleo_matcher::{Config, Matcher, Utf32Str, chars};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

/// One conversation whose name matches a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match<'a> {
    /// The conversation.
    pub conversation: ConversationRef<'a>,
    /// The score: higher is better; comparable within one query only.
    pub score: u32,
    /// The name has every word of the query, and not just its letters in that order.
    pub whole: bool,
}

/// What the score of a whole match has on top. Scores of words are 16 bits wide, and a query has at most 128.
const WHOLE: u32 = 1 << 24;

/// Maximum characters of a query; the rest is ignored. Users type words, not files.
const MAX_QUERY: usize = 256;

/// The position and score of a match, ordered as matches are listed.
type Hit = (Reverse<u32>, u32, u16);

impl Snapshot {
    /// The conversations whose names match `query` fuzzily, best first, newer first among equals. Words
    /// separated by white space must all match, in any order, ignoring case and accents. Names that have all words
    /// come before those that have only their letters.
    pub fn search(&self, query: &str) -> impl ExactSizeIterator<Item = Match<'_>> + use<'_> {
        let query: String = query.chars().take(MAX_QUERY).collect();
        let query = plain(&query);
        let words: Vec<Atom> = query.split_whitespace().map(word).collect();
        let wanted = letter_set(&query);
        let found = parallel_chunks(&self.chunks, self.len(), |first, chunks| {
            look(chunks, first, &words, wanted)
        });
        let hits = BestFirst::new(found.into_iter().flatten().collect());
        hits.map(|(Reverse(score), number, at)| Match {
            conversation: self.chunks[number as usize].get(at as usize, &self.applications),
            score: score % WHOLE,
            whole: score >= WHOLE,
        })
    }
}

/// Hits in order. A common word has very many, of which callers read a page: they are sorted only as far as
/// needed.
struct BestFirst {
    hits: Vec<Hit>,
    at: usize,
    /// The number of sorted hits.
    placed: usize,
}

impl BestFirst {
    /// The minimum number of hits sorted at a time.
    const PAGE: usize = 256;

    fn new(hits: Vec<Hit>) -> Self {
        BestFirst {
            hits,
            at: 0,
            placed: 0,
        }
    }
}

impl Iterator for BestFirst {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        if self.at == self.placed {
            let rest = &mut self.hits[self.placed..];
            // Twice as many each time, for callers that read all.
            let page = Self::PAGE.max(self.placed).min(rest.len());
            if page < rest.len() {
                rest.select_nth_unstable(page);
            }
            rest[..page].sort_unstable();
            self.placed += page;
        }
        let hit = self.hits.get(self.at).copied();
        self.at += usize::from(hit.is_some());
        hit
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.hits.len() - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for BestFirst {}

/// A word of a query, as the matcher takes it.
fn word(text: &str) -> Atom {
    let kind = AtomKind::Substring;
    Atom::new(
        text,
        CaseMatching::Ignore,
        Normalization::Smart,
        kind,
        false,
    )
}

/// The matches in these chunks, of which the first has this number.
fn look(chunks: &[Arc<Chunk>], first: usize, words: &[Atom], wanted: u64) -> Vec<Hit> {
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut scratch = Vec::new();
    let mut hits = Vec::new();
    for (number, chunk) in (first..).zip(chunks) {
        for at in candidates(chunk, wanted) {
            let name = chunk.get(at, &[]).title();
            let name = match chunk.letters(at).decomposed {
                true => composed(name),
                false => Cow::Borrowed(name),
            };
            let name = haystack(&name, &mut scratch);
            let score = score(words, name, &mut matcher);
            hits.extend(score.map(|score| (Reverse(score), number as u32, at as u16)));
        }
    }
    hits
}

/// The name as the matcher takes it.
fn haystack<'a>(name: &'a str, scratch: &'a mut Vec<char>) -> Utf32Str<'a> {
    if name.is_ascii() {
        return Utf32Str::Ascii(name.as_bytes());
    }
    // Not by `Utf32Str::new`, which takes letters of ASCII with accents of their own for ASCII.
    scratch.clear();
    scratch.extend(chars::graphemes(name));
    // The matcher misses a word at the very end of a name that is not ASCII.
    scratch.push(' ');
    Utf32Str::Unicode(scratch)
}

/// Matches a word as a whole if the name has it, else letter by letter. Trying all placements of the letters would
/// find better scores for the latter, at many times the cost.
fn score(words: &[Atom], name: Utf32Str<'_>, matcher: &mut Matcher) -> Option<u32> {
    let mut sum = WHOLE;
    for word in words {
        let score = match word.score(name, matcher) {
            Some(score) => score,
            None => {
                sum %= WHOLE;
                matcher.fuzzy_match_greedy(name, word.needle_text())?
            }
        };
        sum += u32::from(score);
    }
    Some(sum)
}

/// The conversations of a chunk whose names have all letters of the query.
fn candidates(chunk: &Chunk, wanted: u64) -> impl Iterator<Item = usize> {
    (0..chunk.len()).filter(move |at| chunk.letters(*at).set & wanted == wanted)
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Conversation, Index};
    use super::*;
    use std::collections::HashSet;
    use uuid::Uuid;

    #[test]
    fn all_hits_come_in_order() {
        for count in [0, 1, 255, 256, 257, 511, 512, 513, 5000] {
            let hit = |n: u32| (Reverse(n.wrapping_mul(0x9e37_79b9) % 1000), n, 0);
            let mut hits: Vec<Hit> = (0..count).map(hit).collect();
            let mut found = BestFirst::new(hits.clone());
            hits.sort_unstable();
            for (at, hit) in hits.iter().enumerate() {
                assert_eq!(found.len(), hits.len() - at);
                assert_eq!(found.next(), Some(*hit), "{at} of {count}");
            }
            assert_eq!((found.len(), found.next(), found.next()), (0, None, None));
        }
    }

    fn indexed(names: &[&str]) -> Arc<Snapshot> {
        let mut listing = Builder::default();
        for (at, name) in names.iter().enumerate() {
            let one = Conversation {
                id: Uuid::from_u128(at as u128),
                name: name.to_string(),
                created: 0,
                updated: names.len() as i64 - at as i64,
                favorited: false,
                messages: 0,
                assets: vec![],
                anchors: vec![],
                application: String::new(),
                answering: None,
            };
            listing.push(one.as_ref());
        }
        let mut index = Index::default();
        index.replace(listing, &HashSet::new());
        index.reader().snapshot()
    }

    fn check(names: &[&str], query: &str, expected: &[&str]) {
        let snapshot = indexed(names);
        let found: Vec<_> = snapshot
            .search(query)
            .map(|hit| hit.conversation.title().to_owned())
            .collect();
        assert_eq!(found, expected, "query {query:?}");
    }

    #[test]
    fn search() {
        let names = [
            "Retry with jitter",
            "Ärger im Büro",
            "retry",
            "日本語のメモ",
            "",
            "jitter, retried",
        ];
        check(&names, "retry", &["Retry with jitter", "retry"]);
        check(
            &names,
            "jitter retr",
            &["Retry with jitter", "jitter, retried"],
        );
        check(&names, "RWJ", &["Retry with jitter"]);
        check(&names, "arger buro", &["Ärger im Büro"]);
        check(&names, "メモ", &["日本語のメモ"]);
        check(&names, "new conv", &["New Conversation"]);
        check(&names, "Ärg bürö", &["Ärger im Büro"]);
        check(&names, "xyzzy", &[]);
        check(&["b a", "a b"], "", &["b a", "a b"]);
        check(&["b a", "a b"], "  ", &["b a", "a b"]);
    }

    #[test]
    fn a_word_at_the_end_of_a_name_is_a_whole_match() {
        for (name, query, whole) in [
            ("an office", "office", true),
            ("Ärger im Büro", "büro", true),
            ("Büro", "büro", true),
            ("日本語のメモ", "メモ", true),
            ("Ärger im Büro", "äbo", false),
        ] {
            let snapshot = indexed(&[name]);
            let found: Vec<bool> = snapshot.search(query).map(|hit| hit.whole).collect();
            assert_eq!(found, [whole], "{query} in {name}");
        }
    }

    #[test]
    fn accents_may_be_letters_of_their_own() {
        // Decomposed, as macOS has them in names of files, and composed, as they are typed.
        let names = [
            "re\u{301}sume\u{301}",
            "résumé",
            "и\u{306}од",
            "йод",
            "\u{1112}\u{1161}\u{11ab}",
        ];
        for query in ["resume", "résumé", "re\u{301}sume\u{301}", "Résume"] {
            check(&names, query, &names[..2]);
        }
        check(&names, "йод", &names[2..4]);
        check(&names, "и\u{306}од", &names[2..4]);
        check(&names, "한", &names[4..]);
        check(
            &["a\u{302}\u{301}b"],
            "a\u{302}\u{301}b",
            &["a\u{302}\u{301}b"],
        );
        check(&["x\u{302}y"], "x\u{302}", &["x\u{302}y"]);
    }

    #[test]
    fn the_best_match_comes_before_newer_ones() {
        check(
            &["a list of entries to retry one day", "Retry"],
            "retry",
            &["a list of entries to retry one day", "Retry"],
        );
        check(&["r.e.t.r.y", "retry"], "retry", &["retry", "r.e.t.r.y"]);
        // However well its letters are placed.
        check(
            &["Webpack Retry", "web: a throwback, retry"],
            "web back retry",
            &["web: a throwback, retry", "Webpack Retry"],
        );
    }
}
