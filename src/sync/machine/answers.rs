//! How responses change the machine's state.

use super::DEBOUNCE;
use super::{
    AnchorIds, Answer, CONFIRM, FETCH_TRIES, Fetched, Listing, Machine, Request, SingleFetch, TIES,
    TIES_TRIES, Ticket, What,
};
use crate::index::{Anchor, Delta, Mutation};
use crate::sync::backoff::{BACKOFF_MAX, backoff};
use std::collections::HashSet;
use std::time::Instant;
use uuid::Uuid;

impl Machine {
    /// The request of this response, unless it was sent before the stream was lost.
    fn answered(&mut self, ticket: Ticket) -> Option<Request> {
        self.requests.remove(&ticket)
    }

    pub(super) fn on_list(
        &mut self,
        now: Instant,
        ticket: Ticket,
        listing: Option<Listing>,
    ) -> Vec<Delta> {
        let Some(request) = self.answered(ticket) else {
            return vec![];
        };
        let What::List { transferables } = request.what else {
            return vec![];
        };
        let Some(listing) = listing else {
            self.list.failed(now);
            if self.opened.is_none() {
                self.list.give_up();
                self.identify.give_up();
                self.lookups.clear();
            }
            return vec![];
        };
        self.list.done(now - request.left);
        self.listed = ticket;
        let newer: HashSet<Uuid> = self
            .known_since
            .iter()
            .filter(|(_, known_since)| **known_since > ticket)
            .map(|(id, _)| *id)
            .collect();
        let replaced = self.index.replace(listing.conversations, &newer);
        let reader = self.index.reader();
        let route_is_missing = self.lookups.iter().any(|(id, lookup)| {
            lookup.route_may_be_missing && lookup.since < ticket && reader.contains(*id)
        });
        if route_is_missing {
            // The list has what the single route called missing: that route does not exist.
            self.single = SingleFetch::Missing;
        }
        self.lookups.retain(|_, lookup| lookup.since > ticket);
        self.unconfirmed_deletes.retain(|_, told| *told > ticket);
        if self.lookups.values().any(|lookup| lookup.by_list) {
            self.list.soon(now + DEBOUNCE);
        }
        let tied = if self.anchors_missing && transferables {
            self.index.replace_anchors(listing.anchors)
        } else {
            self.index.add_anchors(listing.anchors)
        };
        if self.anchors_missing {
            if transferables {
                // A conversation newer than the list may refer to anchors that the list could not have.
                let reader = self.index.reader();
                let tied = newer.iter().filter_map(|id| reader.get(*id));
                let newer: AnchorIds = tied.flat_map(|one| one.anchors).collect();
                let unknown = self.unknown_anchors();
                if !unknown.is_disjoint(&newer) {
                    self.list.soon(now + DEBOUNCE);
                }
                self.abandoned_anchors.extend(unknown.difference(&newer));
            } else if self.has_unknown_anchors() {
                self.list.soon(now);
            }
        }
        replaced.into_iter().chain(tied).collect()
    }

    pub(super) fn on_fetch(
        &mut self,
        now: Instant,
        ticket: Ticket,
        fetched: Fetched,
    ) -> Vec<Delta> {
        let Some(Request {
            what: What::Fetch(id),
            ..
        }) = self.answered(ticket)
        else {
            return vec![];
        };
        let known = self.known_since.get(&id).copied().unwrap_or_default();
        let overruled = known > ticket || self.listed > ticket;
        // A request sent before the stream opened says nothing about the routes of the current server.
        let current = self.opened.is_some_and(|opened| ticket > opened);
        let works = match &fetched {
            Fetched::Found(one, _) => one.id == id,
            Fetched::Gone => true,
            Fetched::NotFound | Fetched::Failed => false,
        };
        if current && works {
            self.single = SingleFetch::Works;
        }
        let (mutation, anchors) = match fetched {
            Fetched::Found(one, anchors) if one.id == id => (Mutation::Upsert(*one), anchors),
            Fetched::Gone => (Mutation::Remove(id), vec![]),
            Fetched::NotFound if self.single == SingleFetch::Works && current => {
                (Mutation::Remove(id), vec![])
            }
            Fetched::NotFound => {
                self.not_found(now, id);
                return vec![];
            }
            Fetched::Found(..) | Fetched::Failed => {
                self.fetch_failed(now, id);
                return vec![];
            }
        };
        if self
            .lookups
            .get(&id)
            .is_some_and(|lookup| lookup.since < ticket)
        {
            self.lookups.remove(&id);
        } else if let Some(lookup) = self.lookups.get_mut(&id) {
            lookup.failures = 0;
        }
        if overruled {
            return vec![];
        }
        self.known_since.insert(id, ticket);
        if matches!(mutation, Mutation::Remove(_)) && self.index.reader().contains(id) {
            // Only this response says that it is gone: confirm that like a delete from the stream.
            self.unconfirmed_deletes.insert(id, ticket);
            self.confirm_at = Some(now + CONFIRM);
        }
        let changed = self.index.apply([mutation]);
        let tied = self.index.add_anchors(anchors);
        changed.into_iter().chain(tied).collect()
    }

    /// 404 before any single fetch worked: the conversation or the route does not exist.
    fn not_found(&mut self, now: Instant, id: Uuid) {
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        lookup.by_list = true;
        lookup.route_may_be_missing = true;
        self.list.soon(now);
    }

    fn fetch_failed(&mut self, now: Instant, id: Uuid) {
        let Some(lookup) = self.lookups.get_mut(&id) else {
            return;
        };
        if lookup.confirms_delete && self.opened.is_some() {
            // Pieces OS answers 500 for many deleted objects. One list of ids decides, without retries.
            let since = lookup.since;
            self.lookups.remove(&id);
            self.unconfirmed_deletes.insert(id, since);
            self.gone_is_an_error = true;
            self.identify.soon(now);
            return;
        }
        lookup.failures += 1;
        lookup.at = now + backoff(lookup.failures, BACKOFF_MAX);
        if self.opened.is_none() {
            self.lookups.remove(&id);
        } else if lookup.failures >= FETCH_TRIES {
            lookup.by_list = true;
            self.list.soon(now);
        }
    }

    pub(super) fn on_identifiers(
        &mut self,
        now: Instant,
        ticket: Ticket,
        ids: Option<Vec<Uuid>>,
    ) -> Option<Delta> {
        let request = self.answered(ticket)?;
        let Some(ids) = ids else {
            self.identify.failed(now);
            if self.opened.is_none() {
                self.identify.give_up();
            }
            return None;
        };
        self.identify.done(now - request.left);
        self.identified = ticket;
        self.unconfirmed_deletes.retain(|_, told| *told > ticket);
        if self.listed > ticket {
            return None; // a newer list was applied
        }
        let ids: HashSet<Uuid> = ids.into_iter().collect();
        let (mut extra, mut missing) = self.index.compare(&ids);
        let older = |id: &Uuid| {
            self.known_since
                .get(id)
                .is_none_or(|known_since| *known_since <= ticket)
        };
        extra.retain(older);
        missing.retain(older);
        for id in missing {
            self.look_up(now, id, ticket);
        }
        for id in &extra {
            self.known_since.insert(*id, ticket);
        }
        self.index.apply(extra.into_iter().map(Mutation::Remove))
    }

    pub(super) fn on_anchors(
        &mut self,
        now: Instant,
        ticket: Ticket,
        anchors: Answer<Vec<Anchor>>,
    ) -> Option<Delta> {
        let request = self.answered(ticket)?;
        match anchors {
            Answer::Here(anchors) => {
                self.anchors.done(now - request.left);
                self.anchored = ticket;
                let delta = self.index.replace_anchors(anchors);
                // Keep only those abandoned anchors that some conversation still refers to.
                let (abandoned_anchors, unresolved_anchors) =
                    self.unread_anchors().into_iter().partition(|anchor| {
                        self.unresolved_anchors.contains(anchor)
                            || self.abandoned_anchors.contains(anchor)
                    });
                self.abandoned_anchors = abandoned_anchors;
                self.unresolved_anchors = unresolved_anchors;
                if !self.unresolved_anchors.is_empty() {
                    // They may have been created while the request was in flight.
                    self.anchors.soon(now + TIES);
                }
                delta
            }
            Answer::Missing => {
                self.anchors.done(now - request.left);
                self.anchors_missing = true;
                if self.has_unknown_anchors() {
                    self.list.soon(now);
                }
                None
            }
            Answer::Failed => {
                self.anchors.failed(now);
                if self.anchors.failures >= TIES_TRIES {
                    self.anchors.give_up();
                }
                None
            }
        }
    }

    /// The anchors that conversations refer to and we do not know, without the abandoned ones.
    fn unknown_anchors(&self) -> AnchorIds {
        let mut unknown = self.unread_anchors();
        unknown.retain(|anchor| !self.abandoned_anchors.contains(anchor));
        unknown
    }

    /// The anchors that conversations refer to and we do not know.
    fn unread_anchors(&self) -> AnchorIds {
        let reader = self.index.reader();
        let snapshot = reader.snapshot();
        // Many conversations share an anchor.
        let mut anchors: AnchorIds = snapshot
            .iter()
            .flat_map(|one| one.anchors)
            .copied()
            .collect();
        anchors.retain(|anchor| reader.ties().anchor(*anchor).is_none());
        anchors
    }

    pub(super) fn on_assets(&mut self, now: Instant, ticket: Ticket, assets: Answer<Vec<Uuid>>) {
        let Some(request) = self.answered(ticket) else {
            return;
        };
        match assets {
            Answer::Here(mut assets) => {
                self.assets.done(now - request.left);
                self.saved.retain(|(_, saved)| *saved > ticket);
                assets.extend(self.saved.iter().map(|(id, _)| *id));
                self.index.replace_assets(assets);
            }
            Answer::Missing => {
                self.assets.done(now - request.left);
                self.assets_missing = true;
            }
            Answer::Failed => {
                self.assets.failed(now);
                if self.assets.failures >= TIES_TRIES {
                    self.assets.give_up();
                }
            }
        }
    }
}
