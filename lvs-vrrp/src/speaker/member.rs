//! A virtual router with what surrounds its state machine: bytes, addresses, what it watches, what it has counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::neighbours::Neighbours;
use crate::Time;
use crate::config::{Authentication, Object, RouterConfig, TrailerMode, Transport};
use crate::event::{Cause, Output, RouterId, State, Trouble, Why};
use crate::group::Stand;
use crate::packet::{Advertisement, Codec, Received, Reject};
use crate::router::{Action, Health, Router};
use crate::status::{Counters, ObjectState, RouterStatus};
use crate::track::{Assessment, assess};

/// A virtual router of a [`Speaker`](super::Speaker).
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: RouterId,
    pub(super) config: Arc<RouterConfig>,
    pub(super) router: Router,
    /// Its group's place.
    pub(super) group: Option<usize>,
    source: Source,
    assessment: Assessment,
    codec: Codec,
    neighbours: Neighbours,
    counters: Counters,
}

/// The address to send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Nobody has said yet whether there is one.
    Untold,
    /// There is none; what was the last is good for a farewell.
    Gone(Option<IpAddr>),
    Is(IpAddr),
}

/// What a virtual router has done that concerns its group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) moved: Option<(State, State)>,
    pub(super) met_rival: bool,
}

impl Member {
    pub(super) fn new(id: RouterId, config: Arc<RouterConfig>, codec: Codec) -> Self {
        Self {
            id,
            router: Router::new(Arc::clone(&config)),
            group: None,
            source: Source::Untold,
            assessment: Assessment::default(),
            codec,
            neighbours: Neighbours::default(),
            counters: Counters::default(),
            config,
        }
    }

    pub(super) fn stand(&self) -> Stand {
        Stand {
            state: self.router.state(),
            wants: self.router.wants_to_lead(),
        }
    }

    /// What comes is checked and counted. The rest is the state machine's if it is genuine.
    pub(super) fn check(
        &mut self,
        packet: &Received<'_>,
        wall: Duration,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Option<Advertisement> {
        let mut notes = Vec::new();
        match self.codec.check(&self.config, packet, wall, &mut notes) {
            Ok(advert) => {
                self.counters.received += 1;
                self.counters.zero_received += u64::from(advert.priority == RouterConfig::RELEASE);
                self.neighbours.heard(&advert, now);
                for note in notes {
                    count(&mut self.counters.noted, note.kind());
                    self.complain(advert.from, Trouble::Noted(note), now, out);
                }
                Some(advert)
            }
            Err(reject) => {
                count(&mut self.counters.rejected, reject.kind());
                if !matches!(reject, Reject::Vrid { .. }) {
                    self.complain(packet.from, Trouble::Rejected(reject), now, out);
                }
                None
            }
        }
    }

    /// Lets the state machine act, and makes of its actions what the driver is to do.
    pub(super) fn act(
        &mut self,
        wall: Duration,
        now: Time,
        out: &mut Vec<Output>,
        with: impl FnOnce(&mut Router, &mut Vec<Action>),
    ) -> Done {
        let followed = self.router.master();
        let mut actions = Vec::new();
        with(&mut self.router, &mut actions);
        if self.router.master() != followed {
            self.neighbours.tell_anew();
        }
        let mut done = Done::default();
        for action in actions {
            match action {
                Action::Advertise { priority } => self.advertise(priority, wall, out),
                Action::Enter { from, to, why } => {
                    self.counters.became_master += u64::from(to == State::Master);
                    self.counters.released_master += u64::from(from == State::Master);
                    self.neighbours.tell_anew();
                    done.moved = Some((from, to));
                    out.push(Output::Entered {
                        router: self.id,
                        from,
                        to,
                        why,
                        priority: self.router.priority(),
                    });
                }
                Action::Rival { from, priority } => {
                    self.counters.rivals += 1;
                    done.met_rival = true;
                    let router = self.id;
                    out.push(Output::Rival {
                        router,
                        from,
                        priority,
                    });
                    out.push(Output::Reannounce { router });
                }
                Action::Trouble { from, trouble } => self.complain(from, trouble, now, out),
            }
        }
        done
    }

    /// What came has been dealt with.
    pub(super) fn done_with_packet(&mut self) {
        self.neighbours.done();
    }

    /// Takes on how everything is that it watches.
    pub(super) fn assess(
        &mut self,
        objects: &HashMap<Object, ObjectState>,
        because: Option<&Object>,
        out: &mut Vec<Output>,
    ) {
        let state_of = |object: &Object| objects.get(object).copied().unwrap_or_default();
        self.assessment = assess(&self.config, &state_of);
        let before = self.router.priority();
        self.router.set_priority(self.assessment.priority.effective);
        let after = self.router.priority();
        if before != after && self.router.state() != State::Init {
            out.push(Output::Priority {
                router: self.id,
                from: before,
                to: after,
                because: because.cloned(),
            });
        }
    }

    /// Whether it could take part if there were no others.
    pub(super) fn health(&self) -> Health {
        let mut causes = self.assessment.faults.clone();
        if self.config.needs_source && matches!(self.source, Source::Gone(_)) {
            causes.push(Cause::NoSource);
        }
        if !causes.is_empty() {
            Health::Fault(Why::Faults(causes))
        } else if self.assessment.waiting
            || (self.config.needs_source && self.source == Source::Untold)
        {
            Health::Unknown
        } else {
            Health::Good
        }
    }

    /// Takes on the address to send from.
    pub(super) fn set_source(&mut self, address: Option<IpAddr>) {
        self.source = match address {
            Some(address) => Source::Is(address),
            None => Source::Gone(self.address()),
        };
        if address.is_some() {
            self.router.set_source(address);
        }
    }

    pub(super) fn set_config(&mut self, config: Arc<RouterConfig>, now: Time) {
        self.router.set_config(Arc::clone(&config), now);
        self.config = config;
    }

    pub(super) fn status(&self, group: Option<String>) -> RouterStatus {
        let mut priority = self.assessment.priority.clone();
        priority.effective = self.router.priority();
        RouterStatus {
            id: self.id,
            name: self.config.name.clone(),
            group,
            state: self.router.state(),
            since: self.router.since(),
            why: self.router.why().clone(),
            priority,
            source: match self.source {
                Source::Is(address) => Some(address),
                Source::Untold | Source::Gone(_) => None,
            },
            master: self.router.master(),
            master_interval: self.router.master_interval(),
            peers: self.neighbours.list(),
            deadline: self.router.next_deadline(),
            counters: self.counters.clone(),
        }
    }

    /// What it would send if it stepped down, if that can be said in advance.
    pub(super) fn last_words(&mut self) -> Vec<(IpAddr, Vec<u8>)> {
        let numbered = matches!(self.config.authentication, Authentication::Ah(_));
        let trailer = self.config.trailer.as_ref();
        let stamped = trailer.is_some_and(|t| t.mode != TrailerMode::ReceiveOnly);
        if self.router.state() != State::Master || numbered || stamped {
            return Vec::new();
        }
        self.adverts(RouterConfig::RELEASE, Duration::ZERO)
    }

    fn address(&self) -> Option<IpAddr> {
        match self.source {
            Source::Untold => None,
            Source::Gone(last) => last,
            Source::Is(address) => Some(address),
        }
    }

    fn advertise(&mut self, priority: u8, wall: Duration, out: &mut Vec<Output>) {
        for (to, bytes) in self.adverts(priority, wall) {
            self.counters.sent += 1;
            self.counters.zero_sent += u64::from(priority == RouterConfig::RELEASE);
            out.push(Output::Send {
                router: self.id,
                to,
                bytes,
            });
        }
    }

    /// An advertisement for each who is to hear it.
    fn adverts(&mut self, priority: u8, wall: Duration) -> Vec<(IpAddr, Vec<u8>)> {
        let Some(source) = self.address() else {
            return Vec::new();
        };
        let config = Arc::clone(&self.config);
        let everybody: Vec<IpAddr> = match &config.transport {
            Transport::Multicast { group } => vec![*group],
            Transport::Unicast { peers, .. } => peers.iter().map(|peer| peer.addr).collect(),
        };
        let adverts = everybody.into_iter().map(|to| {
            let interval = config.interval;
            let bytes = (self.codec).advertise(&config, source, to, priority, interval, wall);
            (to, bytes)
        });
        adverts.filter(|(_, bytes)| !bytes.is_empty()).collect()
    }

    fn complain(&mut self, from: IpAddr, trouble: Trouble, now: Time, out: &mut Vec<Output>) {
        if self.neighbours.troubled(from, &trouble, now) {
            out.push(Output::Trouble {
                router: self.id,
                from,
                trouble,
            });
        }
    }
}

fn count(counters: &mut [u64], kind: usize) {
    if let Some(counter) = counters.get_mut(kind) {
        *counter += 1;
    }
}
