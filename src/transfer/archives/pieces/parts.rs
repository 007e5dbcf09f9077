//! Records that are parts of others: the formats of assets, and the points of anchors.

use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::super::out::Yield;
use super::join::Join;
use super::record::{Records, Type, reference};

/// The numbers of the parts, by their own ids and by the ids of their owners.
pub(super) struct Parts {
    of: Type,
    by_id: Vec<(Uuid, u32)>,
    by_owner: Vec<(Uuid, u32)>,
}

/// The parts of one object.
pub(super) struct Found {
    pub(super) parts: Vec<Value>,
}

impl Parts {
    /// Lists all parts of a type; `field` has the id of the owner.
    pub(super) fn list(join: &mut Join<'_>, of: Type, field: &str, owner: Type) -> Yield<Self> {
        let mut parts = Self {
            of,
            by_id: Vec::new(),
            by_owner: Vec::new(),
        };
        join.each(of, |_, number, record| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            parts.by_id.push((record.id, number));
            parts
                .by_owner
                .extend(record.reference(field, owner).map(|owner| (owner, number)));
            Ok(())
        })?;
        parts.by_id.sort_unstable();
        parts.by_owner.sort_unstable();
        Ok(parts)
    }

    /// The parts of `owner`: those that it lists, as `inline`, and those that name it. Each once, complete if it
    /// is known anywhere.
    pub(super) fn of(
        &self,
        records: &mut dyn Records,
        owner: Uuid,
        inline: Vec<Value>,
        is_complete: fn(&Value) -> bool,
    ) -> Yield<Found> {
        let mut parts: Vec<Value> = Vec::new();
        let mut seen: HashSet<Uuid> = HashSet::new();
        for mut part in inline {
            if let Some(Value::Object(mut inner)) = part.get_mut("reference").map(Value::take) {
                if let Some(id) = part.get("id") {
                    inner.insert("id".to_owned(), id.clone());
                }
                part = Value::Object(inner);
            }
            let id = reference(&part, self.of);
            if id.is_some_and(|id| seen.contains(&id)) {
                continue;
            }
            let part = match id
                .filter(|_| !is_complete(&part))
                .and_then(|id| self.named(id))
            {
                Some(number) => match self.read(records, number) {
                    Some(part) => part,
                    None => continue,
                },
                None => part,
            };
            // An incomplete part may have a complete copy.
            if is_complete(&part) {
                seen.extend(id);
                parts.push(part);
            }
        }
        let first = self.by_owner.partition_point(|(id, _)| *id < owner);
        let own = self.by_owner[first..]
            .iter()
            .take_while(|(id, _)| *id == owner);
        for (_, number) in own.take(MAX_PARTS) {
            let Some(part) = self.read(records, *number) else {
                continue;
            };
            let id = reference(&part, self.of);
            if id.is_none_or(|id| !seen.contains(&id)) {
                seen.extend(id);
                parts.push(part);
            }
        }
        Ok(Found { parts })
    }

    fn named(&self, id: Uuid) -> Option<u32> {
        let at = self.by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.by_id[at].1)
    }

    /// Unreadable ones were reported when they were listed.
    fn read(&self, records: &mut dyn Records, number: u32) -> Option<Value> {
        let record = records.read(self.of, number as usize).ok()?;
        let mut object = record.object;
        object.insert("id".to_owned(), record.id.to_string().into());
        Some(Value::Object(object))
    }
}

/// The service stores at most a thousand parts of one object; one more shows that there are too many.
const MAX_PARTS: usize = 1_001;
