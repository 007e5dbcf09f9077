//! Which request is sent when.

use super::{
    Action, CONFIRM_SINGLY, DEBOUNCE, IN_FLIGHT, LIST_ABOVE, LIST_SHARE, Machine, PendingLookup,
    Request, SingleFetch, What,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

impl Machine {
    /// When [`Input::Wake`](super::Input::Wake) is due.
    pub fn deadline(&self) -> Option<Instant> {
        let confirm = self.confirm_at.filter(|_| self.may_confirm());
        // Without a free slot no request can be sent before a response comes.
        let free = self.requests.len() < IN_FLIGHT;
        let requests = [
            self.list_due(),
            self.identify_due(),
            self.fetches().map(|(_, lookup)| lookup.at).min(),
            self.anchors_due(),
            self.assets_due(),
        ];
        let requests = requests.into_iter().flatten().filter(|_| free).min();
        confirm.into_iter().chain(requests).min()
    }

    pub(super) fn plan(&mut self, now: Instant) -> Vec<Action> {
        self.plan_confirmation(now);
        self.plan_list(now);
        let mut actions = Vec::new();
        while self.requests.len() < IN_FLIGHT
            && let Some(what) = self.next(now)
        {
            actions.push(self.leave(now, what));
        }
        actions
    }

    /// The next request to send.
    fn next(&self, now: Instant) -> Option<What> {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let fetch = self
            .fetches()
            .filter(|(_, lookup)| lookup.at <= now)
            .min_by_key(|(_, lookup)| (!lookup.ours, lookup.since))
            .map(|(id, lookup)| (What::Fetch(id), lookup.ours));
        match fetch {
            Some((fetch, true)) => Some(fetch),
            _ if due(self.list_due()) => Some(What::List {
                transferables: self.anchors_missing,
            }),
            _ if due(self.identify_due()) => Some(What::Identify),
            Some((fetch, false)) => Some(fetch),
            None if due(self.anchors_due()) => Some(What::Anchors),
            None if due(self.assets_due()) => Some(What::Assets),
            None => None,
        }
    }

    fn leave(&mut self, now: Instant, what: What) -> Action {
        self.clock += 1;
        let ticket = self.clock;
        self.requests.insert(ticket, Request { what, left: now });
        match what {
            What::List { transferables } => {
                self.list.left();
                Action::List {
                    ticket,
                    transferables,
                }
            }
            What::Fetch(id) => Action::Fetch(ticket, id),
            What::Identify => {
                self.identify.left();
                Action::Identify(ticket)
            }
            What::Anchors => {
                self.anchors.left();
                Action::Anchors(ticket)
            }
            What::Assets => {
                self.assets.left();
                Action::Assets(ticket)
            }
        }
    }

    fn list_due(&self) -> Option<Instant> {
        self.list.due()
    }

    /// The ids are compared with the list, so they are read after it.
    fn identify_due(&self) -> Option<Instant> {
        let listed = self.is_reconciled() || self.opened.is_none();
        self.identify
            .due()
            .filter(|_| listed && !self.list.is_under_way())
    }

    fn anchors_due(&self) -> Option<Instant> {
        self.anchors.due().filter(|_| !self.anchors_missing)
    }

    fn assets_due(&self) -> Option<Instant> {
        self.assets.due().filter(|_| !self.assets_missing)
    }

    /// The ids to be fetched one by one.
    fn fetches(&self) -> impl Iterator<Item = (Uuid, &PendingLookup)> {
        let reconciled = self.is_reconciled();
        let listing = self.requests.iter().find_map(|(ticket, request)| {
            matches!(request.what, What::List { .. }).then_some(*ticket)
        });
        self.lookups
            .iter()
            .filter(move |(id, lookup)| {
                // Ids that the list in flight will bring are not fetched as well.
                let waits = !reconciled || listing.is_some_and(|list| list > lookup.since);
                let asked = |request: &Request| request.what == What::Fetch(**id);
                !lookup.by_list && (lookup.ours || !waits) && !self.requests.values().any(asked)
            })
            .filter(|_| self.single != SingleFetch::Missing)
            .map(|(id, lookup)| (*id, lookup))
    }

    /// Lists where single fetches do not work.
    fn plan_list(&mut self, now: Instant) {
        if self.list.is_under_way() || self.lookups.is_empty() {
            return;
        }
        if self.single == SingleFetch::Missing {
            let asked = self.lookups.values().any(|lookup| lookup.ours);
            if self.is_reconciled() || asked {
                let pause = if asked {
                    Duration::ZERO
                } else {
                    DEBOUNCE.max(self.list.took * 2)
                };
                self.list.soon(now + pause);
            }
        } else if self.is_reconciled()
            && self.lookups.len() > LIST_ABOVE.max(self.index.len() / LIST_SHARE)
        {
            self.list.soon(now);
        }
    }

    fn may_confirm(&self) -> bool {
        self.is_reconciled() && !self.identify.is_wanted() && !self.list.is_under_way()
    }

    fn plan_confirmation(&mut self, now: Instant) {
        if self.confirm_at.is_none_or(|at| at > now) || !self.may_confirm() {
            return;
        }
        self.confirm_at = None;
        let singly = self.single == SingleFetch::Works && !self.gone_is_an_error;
        if singly && self.unconfirmed_deletes.len() <= CONFIRM_SINGLY {
            for (id, told) in std::mem::take(&mut self.unconfirmed_deletes) {
                // A pending lookup is for something newer, and confirms as well.
                if !self.lookups.contains_key(&id) {
                    self.look_up(now, id, told).confirms_delete = true;
                }
            }
        } else if !self.unconfirmed_deletes.is_empty() {
            self.identify.soon(now);
        }
    }
}
