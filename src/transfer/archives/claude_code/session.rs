//! The sessions whose lines are in one log: its own, and those that it continues if their logs are gone.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::super::application::application;
use super::super::ids::{id_of, made};
use super::super::objects::{self, Conversation, name_from};
use super::super::out::{Out, Yield};
use super::SOURCE;
use super::line::{Logged, Rank};
use crate::service::Kind;

/// Sessions of one log that are imported. Each takes a pass over the log, and more than a few are no log of Claude Code.
const MAX_SESSIONS: usize = 100;

/// The result of the first pass over a log.
pub(super) struct Sessions<'a> {
    /// The session in the log's file name.
    own: &'a str,
    /// Sessions with a log of their own.
    named: &'a HashSet<String>,
    found: BTreeMap<String, Session>,
    /// Names for the log as a whole, from lines without a session.
    name: Option<(Rank, String)>,
}

/// One session.
#[derive(Default)]
pub(super) struct Session {
    source_id: String,
    name: Option<(Rank, String)>,
    first_question: String,
    directory: Option<String>,
    /// Ids and times of its messages, in order.
    messages: Vec<(Uuid, i64)>,
}

impl<'a> Sessions<'a> {
    pub(super) fn of(own: &'a str, named: &'a HashSet<String>) -> Self {
        Self {
            own,
            named,
            found: BTreeMap::new(),
            name: None,
        }
    }

    /// The session of a line; `None` if the line is repeated from a session that has a log of its own.
    fn key<'b>(&'b self, line: &'b Logged) -> Option<&'b str> {
        match line.session.0.as_deref() {
            None => Some(self.own),
            Some(id) if id != self.own && self.named.contains(id) => None,
            Some(id) => Some(id),
        }
    }

    /// Records a line.
    pub(super) fn note(
        &mut self,
        line: Logged,
        number: u64,
        seen: &mut HashSet<Uuid>,
        out: &mut Out,
    ) {
        if let Some((rank, name)) = line.name() {
            let name = Some((rank, name.to_owned()));
            let better = |known: &Option<(Rank, String)>| {
                known.as_ref().is_none_or(|(known, _)| *known <= rank)
            };
            match line
                .session
                .0
                .as_ref()
                .and_then(|id| self.found.get_mut(id))
            {
                Some(session) if better(&session.name) => session.name = name,
                None if better(&self.name) => self.name = name,
                _ => {}
            }
            return;
        }
        let Some(key) = self.key(&line) else {
            out.left_out("repeated line", 1);
            return;
        };
        let key = key.to_owned();
        let Some(said) = line.said(Some(out)) else {
            return;
        };
        if self.found.len() == MAX_SESSIONS && !self.found.contains_key(&key) {
            out.left_out("line of a further session", 1);
            return;
        }
        let id = message_id(&line, &key, number);
        if !seen.insert(id) {
            out.left_out("repeated line", 1);
            return;
        }
        let session = self.found.entry(key.clone()).or_default();
        session.source_id = key;
        let before = session.messages.last().map(|(_, time)| *time);
        session
            .messages
            .push((id, line.time().or(before).unwrap_or_default()));
        if session.directory.is_none() {
            session.directory = line.directory.0.filter(|path| !path.is_empty());
        }
        if session.first_question.is_empty() && said.role == "USER" {
            session.first_question = name_from(&said.text);
        }
    }

    /// The sessions with messages.
    pub(super) fn all(self) -> impl Iterator<Item = Session> {
        let Self {
            found, name, own, ..
        } = self;
        let only = found.len() == 1;
        found.into_values().map(move |mut session| {
            if session.name.is_none() && (only || session.source_id == own) {
                session.name.clone_from(&name);
            }
            session
        })
    }
}

impl Session {
    pub(super) fn messages(&self) -> impl Iterator<Item = Uuid> {
        self.messages.iter().map(|(id, _)| *id)
    }

    fn id(&self) -> Uuid {
        id_of(SOURCE, "session", &self.source_id)
    }

    /// Yields the conversation, and the directory it was about.
    pub(super) fn begin(&self, out: &mut Out, anchors: &mut HashSet<Uuid>) -> Yield {
        let times = || {
            self.messages
                .iter()
                .map(|(_, time)| *time)
                .filter(|time| *time != 0)
        };
        let created = times().min().unwrap_or_default();
        let anchor = self
            .directory
            .as_ref()
            .map(|path| (made(SOURCE, "directory", path), path));
        if let Some((id, path)) = anchor
            && anchors.insert(id)
        {
            out.put(Kind::Anchor, objects::directory(id, path))?;
        }
        let name = self.name.as_ref().map(|(_, name)| name);
        let conversation = Conversation {
            id: self.id(),
            source_id: &self.source_id,
            name: name.unwrap_or(&self.first_question),
            created,
            updated: times().max().unwrap_or_default(),
            application: application("Claude Code", "UNKNOWN"),
            messages: self.messages().collect(),
            assets: Vec::new(),
            anchors: anchor.iter().map(|(id, _)| *id).collect(),
        };
        out.put(Kind::Conversation, conversation.object())
    }

    /// Yields the message in a line, if it is one of `left`.
    pub(super) fn put(
        &self,
        line: &Logged,
        number: u64,
        left: &mut HashSet<Uuid>,
        out: &mut Out,
    ) -> Yield {
        let id = message_id(line, &self.source_id, number);
        if !left.remove(&id) {
            return Ok(());
        }
        let Some(said) = line.said(None) else {
            return Ok(());
        };
        // A log may grow while it is read, but its lines do not change.
        let place = self.messages.len() - left.len() - 1;
        let time = self.messages.get(place).filter(|(known, _)| *known == id);
        let time = time
            .map(|(_, time)| *time)
            .or(line.time())
            .unwrap_or_default();
        objects::put_message(
            out,
            id,
            objects::message(id, self.id(), said.role, time, said.text),
        )
    }
}

fn message_id(line: &Logged, session: &str, number: u64) -> Uuid {
    match &line.id.0 {
        Some(id) => id_of(SOURCE, "message", id),
        None => made(SOURCE, "line", &format!("{session}/{number}")),
    }
}
