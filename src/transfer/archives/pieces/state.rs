//! `rebuild-state.jsonl`: counts of what the exporter left out or redacted, and sentences about them.

use std::collections::BTreeMap;
use std::io::BufReader;

use super::super::found::counted;
use super::super::lines::{Line, Lines};
use super::super::out::{Out, Pulse, Yield};
use super::super::tree::Tree;
use super::record::Type;
use crate::json;
use crate::json::lenient::{Integer, Parsed, lenient_object};

/// Longest line that the exporter itself reads, in bytes.
const MAX_LINE: usize = 1 << 20;

lenient_object! {
    struct Decision {
        "material" => material: Parsed<String>,
        "state" => state: Parsed<String>,
        "redactions" => redactions: Integer,
    }
}

/// Counts of the exporter's decisions.
#[derive(Default)]
pub(super) struct Totals {
    left_out: BTreeMap<(Type, String), u64>,
    redacted: BTreeMap<Type, u64>,
}

impl Totals {
    /// Counts the decisions about records that we read; `None` if the archive has no such file.
    pub(super) fn read(tree: &mut Tree, pulse: &Pulse) -> Option<Self> {
        let file = pulse.of(tree.open("rebuild-state.jsonl").ok()?);
        let mut lines = Lines::new(BufReader::with_capacity(256 << 10, file), MAX_LINE);
        let mut totals = Self::default();
        while let Ok(Some(line)) = lines.next() {
            let Line::Whole(line) = line else { continue };
            let Ok(decision) = json::from_slice::<Decision>(line) else {
                continue;
            };
            let material = decision.material.0.as_deref();
            let Some(of) = Type::ALL
                .into_iter()
                .find(|of| Some(of.material()) == material)
            else {
                continue;
            };
            let states = ["excluded", "withheld", "missing", "omitted"];
            match decision.state.0 {
                Some(state) if states.contains(&&*state) => {
                    *totals.left_out.entry((of, state)).or_default() += 1;
                }
                _ if decision.redactions.0.is_some_and(|count| count > 0) => {
                    *totals.redacted.entry(of).or_default() += 1;
                }
                _ => {}
            }
        }
        Some(totals)
    }

    pub(super) fn tell(&self, out: &Out) -> Yield {
        let left_out = self.left_out.iter();
        let left_out =
            left_out.map(|((of, state), count)| format!("{} {state}", counted(*count, of.noun())));
        say(left_out.collect(), &self.redacted, out)
    }
}

/// The same without the exporter's own counts, from the records that were read.
pub(super) fn tell(
    missing: &BTreeMap<Type, u64>,
    redacted: &BTreeMap<Type, u64>,
    out: &Out,
) -> Yield {
    let missing = missing.iter();
    let missing = missing.map(|(of, count)| format!("{} missing", counted(*count, of.noun())));
    say(missing.collect(), redacted, out)
}

fn say(left_out: Vec<String>, redacted: &BTreeMap<Type, u64>, out: &Out) -> Yield {
    if !left_out.is_empty() {
        out.note(format!(
            "Left out by the exporter: {}.",
            left_out.join(", ")
        ))?;
    }
    if !redacted.is_empty() {
        let redacted = redacted
            .iter()
            .map(|(of, count)| counted(*count, of.noun()));
        out.note(format!(
            "Redacted: {}.",
            redacted.collect::<Vec<_>>().join(", ")
        ))?;
    }
    Ok(())
}
