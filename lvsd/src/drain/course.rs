//! The course of a drain.
//!
//! Problem: the table is another's too. While we wait, servers come and go, somebody may give the server another weight
//! or remove it, and what we have seen is old when we act.
//!
//! Rule: each step follows from the table as it has just been read, the time, and what we did before. A server that somebody
//! has given a weight again is theirs. Nothing counts as over until it has been so for [`SETTLE`]: a packet may be under way
//! that was scheduled before, and the last acknowledgement of a connection follows after its end.
//!
//! ```text
//!            weight 0                 nothing left, or the deadline
//!  Begin ───────────────→ Waiting ──────────────────────────────────→ Removing ──→ End
//!                         move, count, wait                  └ --keep ───────────→ End
//! ```

use std::time::Duration;

use lvs_core::Endpoint;
use serde::Serialize;

use super::commands::{add, remove, weigh};
use super::options::Options;
use crate::control::table::{Key, Server, Service, Table};

/// Nothing is left once that has been so for this long.
const SETTLE: Duration = Duration::from_secs(2);

/// Connections are moved again after this time, until there was none to move.
const MOVE_AGAIN: Duration = Duration::from_secs(2);

/// Connections are counted again after this time, and ten times as long as it took.
const COUNT_AGAIN: Duration = Duration::from_secs(1);

/// A server being drained.
#[derive(Debug)]
pub(super) struct Course {
    options: Options,
    stage: Stage,
    /// The server as we saw it last.
    seen: Option<Server>,
    left: Left,
    /// When we first saw, without anything else since, that nothing is left.
    empty_since: Option<Duration>,
    /// When connections were last counted, and when they may be again.
    counted: Option<(Duration, Duration)>,
    /// When connections were last moved, and how many.
    moved: Option<(Duration, u64)>,
    /// What was done because the deadline has come.
    last: Last,
    notes: Vec<String>,
    /// The weight it had.
    weight: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Waiting,
    Removing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Last {
    Nothing,
    Moved,
    Counted,
}

/// What to do next. After all but the last two the table is looked at again at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Carry out this command.
    Apply(Vec<String>),
    /// Have the daemon move connections to other servers, and tell [`Course::moved`].
    Move { udp: bool, templates: bool },
    /// Count the server's connections that both sides have closed, and tell [`Course::counted`].
    Count,
    /// Nothing: look again later.
    Wait,
    /// It is over.
    End(End),
}

/// What a server still has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Left {
    pub(super) active: u64,
    pub(super) inactive: u64,
    pub(super) persistent: u64,
    /// Of the inactive ones, those that both sides have closed, as far as we know.
    pub(super) closed: u64,
}

impl Left {
    /// Connections that are not over.
    pub(super) fn connections(&self) -> u64 {
        self.active + self.inactive.saturating_sub(self.closed)
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// There never was such a service.
    NoService,
    /// There never was such a server, but these.
    NoServer(Vec<Endpoint>),
    /// The server is removed, and with it what was left.
    Removed(Left),
    /// The server is left at weight 0, drained or not.
    Kept { left: Left, is_drained: bool },
    /// Somebody else has removed it.
    Gone(Left),
    /// Somebody else has given it this weight.
    CalledOff(u32),
}

impl Course {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            stage: Stage::Begin,
            seen: None,
            left: Left::default(),
            empty_since: None,
            counted: None,
            moved: None,
            last: Last::Nothing,
            notes: Vec::new(),
            weight: None,
        }
    }

    /// The next step. `now` is the time since the beginning, `table` has just been read.
    pub(super) fn look(&mut self, now: Duration, table: &Table) -> Step {
        let service = table
            .services
            .iter()
            .find(|s| s.key == self.options.service);
        let of = |s: &Service| {
            s.servers
                .iter()
                .find(|s| s.endpoint() == self.options.server)
                .cloned()
        };
        let (Some(service), Some(server)) = (service, service.and_then(of)) else {
            return Step::End(self.missing(service));
        };
        self.left = Left {
            active: server.active,
            inactive: server.inactive,
            persistent: server.persistent,
            closed: self.left.closed.min(server.inactive),
        };
        let before = self.seen.replace(server.clone());
        match self.stage {
            Stage::Begin => self.begin(table, service, &server),
            Stage::Waiting if server.weight != 0 => Step::End(End::CalledOff(server.weight)),
            Stage::Waiting => {
                if before.is_some_and(|before| is_changed(&before, &server)) {
                    let what = "somebody else has changed the server's other options: they stay as they are now";
                    self.notes.push(what.to_owned());
                }
                self.wait(now, table, service, &server)
            }
            // Somebody has added it again already.
            Stage::Removing => Step::End(End::Removed(self.left)),
        }
    }

    /// So many connections have been moved.
    pub(super) fn moved(&mut self, now: Duration, count: u64) {
        self.moved = Some((now, count));
    }

    /// So many of the server's connections have been closed by both sides; counting them took this long.
    pub(super) fn counted(&mut self, now: Duration, closed: u64, took: Duration) {
        self.left.closed = closed.min(self.left.inactive);
        self.counted = Some((now, now + COUNT_AGAIN.max(took * 10)));
    }

    /// The last command has been refused.
    pub(super) fn refused(&mut self) {
        self.stage = Stage::Waiting;
    }

    /// What is left, as last seen.
    pub(super) fn left(&self) -> Left {
        self.left
    }

    /// What people should know, since this was last asked.
    pub(super) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The command that gives the server its weight back, if we know it: as it is now, or as it was before it was removed.
    pub(super) fn undo(&self) -> Option<Vec<String>> {
        let (server, weight) = (self.seen.as_ref()?, self.weight?);
        match self.stage {
            Stage::Removing => Some(add(self.options.service, server, weight)),
            _ => Some(weigh(self.options.service, server, weight)),
        }
    }

    /// The command that removes the server.
    pub(super) fn removal(&self) -> Option<Vec<String>> {
        let server = self.seen.as_ref()?;
        Some(remove(self.options.service, server))
    }

    fn missing(&self, service: Option<&Service>) -> End {
        match (self.stage, service) {
            (Stage::Begin, None) => End::NoService,
            (Stage::Begin, Some(service)) => {
                End::NoServer(service.servers.iter().map(Server::endpoint).collect())
            }
            (Stage::Waiting, _) => End::Gone(self.left),
            (Stage::Removing, _) => End::Removed(self.left),
        }
    }

    fn begin(&mut self, table: &Table, service: &Service, server: &Server) -> Step {
        self.stage = Stage::Waiting;
        let is_alone = !service
            .servers
            .iter()
            .any(|s| s.weight > 0 && s.endpoint() != server.endpoint());
        if is_alone {
            let what =
                "no other server of the service has a weight: new connections will be refused";
            self.notes.push(what.to_owned());
        }
        if self.clients_return(table, service) {
            let what = "the service is persistent: clients of this server come back to it, unless --move-templates is given";
            self.notes.push(what.to_owned());
        }
        if server.weight == 0 {
            self.notes
                .push("the server has weight 0 already".to_owned());
            return Step::Wait;
        }
        self.weight = Some(server.weight);
        Step::Apply(weigh(self.options.service, server, 0))
    }

    fn wait(&mut self, now: Duration, table: &Table, service: &Service, server: &Server) -> Step {
        let awaits_templates = server.persistent > 0 && !quiescent_expire(table);
        let has_open = server.active > 0 || awaits_templates;
        if server.active > 0 && self.last < Last::Counted {
            // What was counted once says little of those to come.
            self.left.closed = 0;
        }
        match self.left.connections() == 0 && !awaits_templates {
            true => self.empty_since = self.empty_since.or(Some(now)),
            false => self.empty_since = None,
        }
        if let Some(step) = self.move_some(now, table, service) {
            return step;
        }
        if self.is_settled(now, server) {
            return self.finish(server);
        }
        if self
            .options
            .deadline
            .is_some_and(|deadline| now >= deadline)
        {
            return self.end_of_time(server);
        }
        let may_count = self.counted.is_none_or(|(_, again)| now >= again);
        match !has_open && server.inactive > 0 && may_count && self.has_closed_connections() {
            true => Step::Count,
            false => Step::Wait,
        }
    }

    /// Whether nothing has been left for long enough, and, where that depends on counting, has been counted at the end of that time.
    fn is_settled(&self, now: Duration, server: &Server) -> bool {
        self.empty_since.is_some_and(|since| {
            let end = since + SETTLE;
            now >= end && (server.inactive == 0 || self.counted.is_some_and(|(at, _)| at >= end))
        })
    }

    fn move_some(&mut self, now: Duration, table: &Table, service: &Service) -> Option<Step> {
        let templates = self.options.move_templates && self.left.persistent > 0;
        let udp = self.options.move_udp && self.has_udp() && self.left.inactive > 0;
        let is_due = match self.moved {
            None => true,
            // Those who are led back by their templates would be moved for ever.
            Some((at, count)) => {
                count > 0 && now >= at + MOVE_AGAIN && !self.clients_return(table, service)
            }
        };
        (is_due && (templates || udp)).then_some(Step::Move { udp, templates })
    }

    /// The deadline has come. What can go elsewhere does; the rest is counted, and cut.
    fn end_of_time(&mut self, server: &Server) -> Step {
        let templates = server.persistent > 0;
        let udp = self.has_udp() && server.inactive > 0;
        if self.last < Last::Moved && !self.options.keep && (templates || udp) {
            self.last = Last::Moved;
            return Step::Move { udp, templates };
        }
        if self.last < Last::Counted && server.inactive > 0 && self.has_closed_connections() {
            self.last = Last::Counted;
            return Step::Count;
        }
        self.finish(server)
    }

    fn finish(&mut self, server: &Server) -> Step {
        if self.options.keep {
            let is_drained = self.empty_since.is_some();
            let left = self.left;
            return Step::End(End::Kept { left, is_drained });
        }
        self.stage = Stage::Removing;
        Step::Apply(remove(self.options.service, server))
    }

    /// Whether templates lead clients back to a server of weight 0.
    fn clients_return(&self, table: &Table, service: &Service) -> bool {
        service.persistence.is_some() && !self.options.move_templates && !quiescent_expire(table)
    }

    /// Whether there may be UDP among the service's connections: moving it needs no end of a connection.
    fn has_udp(&self) -> bool {
        matches!(self.options.service, Key::Udp(_) | Key::Fwm(_))
    }

    /// Whether connections of the service have an end that both sides agree on.
    fn has_closed_connections(&self) -> bool {
        !matches!(self.options.service, Key::Udp(_))
    }
}

/// Whether templates of servers of weight 0 lead nowhere.
fn quiescent_expire(table: &Table) -> bool {
    let value = table.settings.get("expire_quiescent_template");
    value.is_some_and(|value| value != "0")
}

/// Whether two readings differ in what is configured.
fn is_changed(a: &Server, b: &Server) -> bool {
    (a.method, a.tunnel, a.upper, a.lower) != (b.method, b.tunnel, b.upper, b.lower)
}

#[cfg(test)]
mod tests;
