//! Processes that are watched.
//!
//! Problem: the kernel tells of processes in its first namespaces only, and not everybody; and when they come and go faster than
//! we can listen, it leaves something out.
//!
//! Rule: where it tells, a process is looked at when something has happened to it, and all are once a minute, or when news is
//! lost. Where it does not, all are looked at once a second.

use std::collections::HashSet;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use lvs_vrrp::Time;
use lvs_vrrp::config::Object;
use lvs_vrrp::status::ObjectState;
use lvs_vrrp::track::{ProcessRules, Processes};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::board::{Board, Detail};
use super::census::{self, Identity};
use super::connector::{Connector, News};
use crate::keepalived::model::{ProcessMatch, TrackProcess};

/// How often all are looked at if the kernel does not tell,
const UNTOLD: Duration = Duration::from_secs(1);

/// and if it does.
const TOLD: Duration = Duration::from_secs(60);

/// All that is watched of processes.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    list: Vec<Entry>,
    connector: Option<Connector>,
    /// The kernel has said that it will tell.
    told: bool,
    /// It has been said that it does not.
    complained: bool,
    /// When all are looked at.
    next: Time,
}

/// Processes of a kind.
#[derive(Debug)]
struct Entry {
    object: Object,
    spec: TrackProcess,
    processes: Processes,
    found: HashSet<u32>,
}

impl Crowd {
    /// These from now on.
    pub(super) fn apply(
        &mut self,
        wanted: Vec<TrackProcess>,
        now: Time,
        registry: &Registry,
        token: Token,
        board: &Board,
    ) {
        let mut old = std::mem::take(&mut self.list);
        for spec in wanted {
            let object = Object::Process(spec.name.value.clone());
            let rules = rules(&spec);
            let known = old.iter().position(|entry| entry.object == object);
            let entry = match known {
                Some(at) => {
                    let mut entry = old.swap_remove(at);
                    entry.processes.set_rules(rules);
                    entry.spec = spec;
                    entry
                }
                None => {
                    let entry = Entry {
                        object,
                        spec,
                        processes: Processes::new(rules),
                        found: HashSet::new(),
                    };
                    board.begin(&entry.object, entry.detail());
                    entry
                }
            };
            self.list.push(entry);
        }
        for gone in old {
            board.end(&gone.object);
        }
        if self.list.is_empty() {
            (self.connector, self.told) = (None, false);
            return;
        }
        if self.connector.is_none() {
            self.connector = connect(registry, token).ok();
        }
        self.look_at_all(now, board);
    }

    /// The kernel tells of processes.
    pub(super) fn news(&mut self, now: Time, board: &Board) {
        let Some(connector) = &mut self.connector else {
            return;
        };
        let (mut changed, mut ended, mut lost) = (HashSet::new(), HashSet::new(), false);
        let mut granted = None;
        connector.drain(|news| match news {
            News::Granted(yes) => granted = Some(yes),
            News::Lost => lost = true,
            News::Changed(process) => {
                changed.insert(process);
                ended.remove(&process);
            }
            News::Ended(process) => {
                ended.insert(process);
                changed.remove(&process);
            }
        });
        if let Some(granted) = granted {
            self.told = granted;
            // From here on nothing is missed; what has happened before may have been.
            lost = true;
        }
        if lost {
            return self.look_at_all(now, board);
        }
        for process in ended {
            for entry in &mut self.list {
                entry.found.remove(&process);
            }
        }
        for process in changed {
            self.look_at(process);
        }
        self.count(now, board);
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Time, board: &Board) {
        if now >= self.next && !self.list.is_empty() {
            if !self.told && !std::mem::replace(&mut self.complained, true) {
                board.log(
                    "tracked processes are looked for once a second: the kernel tells of them only in its first \
                     namespaces, and with CAP_NET_ADMIN",
                );
            }
            self.look_at_all(now, board);
        }
        for entry in &mut self.list {
            if let Some(state) = entry.processes.tick(now) {
                entry.tell(state, board);
            }
        }
    }

    /// When [`Crowd::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Time> {
        let delays = self.list.iter().filter_map(|e| e.processes.deadline());
        let look = (!self.list.is_empty()).then_some(self.next);
        delays.chain(look).min()
    }

    fn look_at_all(&mut self, now: Time, board: &Board) {
        self.next = now + if self.told { TOLD } else { UNTOLD };
        let all = match census::all() {
            Ok(all) => all,
            Err(e) => return board.log(&format!("processes cannot be looked for: /proc: {e}")),
        };
        for entry in &mut self.list {
            entry.found.clear();
        }
        for process in all {
            self.look_at(process);
        }
        self.count(now, board);
    }

    fn look_at(&mut self, process: u32) {
        let with_arguments = self
            .list
            .iter()
            .any(|entry| entry.spec.matching != ProcessMatch::Name);
        let identity = Identity::of(process, with_arguments);
        for entry in &mut self.list {
            match identity.as_ref().is_some_and(|i| i.is(&entry.spec)) {
                true => entry.found.insert(process),
                false => entry.found.remove(&process),
            };
        }
    }

    fn count(&mut self, now: Time, board: &Board) {
        for entry in &mut self.list {
            let count = u32::try_from(entry.found.len()).unwrap_or(u32::MAX);
            let before = entry.processes.count();
            let changed = entry.processes.see(count, now);
            if before != Some(count) {
                board.note(&entry.object, entry.detail());
            }
            if let Some(state) = changed {
                entry.tell(state, board);
            }
        }
    }
}

impl Entry {
    fn tell(&self, state: ObjectState, board: &Board) {
        let (count, quorum) = (self.processes.count().unwrap_or(0), self.spec.quorum);
        let wanted = match self.spec.quorum_max {
            None => format!("at least {quorum}"),
            Some(most) if most == quorum => format!("{quorum}"),
            Some(most) => format!("{quorum} to {most}"),
        };
        let why = format!("{count} running, wanted: {wanted}");
        board.tell(&self.object, state, &why);
    }

    fn detail(&self) -> Detail {
        Detail::Processes {
            count: self.processes.count(),
        }
    }
}

fn rules(spec: &TrackProcess) -> ProcessRules {
    ProcessRules {
        quorum: spec.quorum,
        most: spec.quorum_max,
        fork_delay: spec.fork_delay,
        terminate_delay: spec.terminate_delay,
    }
}

fn connect(registry: &Registry, token: Token) -> std::io::Result<Connector> {
    let connector = Connector::open()?;
    registry.register(
        &mut SourceFd(&connector.as_raw_fd()),
        token,
        Interest::READABLE,
    )?;
    Ok(connector)
}
