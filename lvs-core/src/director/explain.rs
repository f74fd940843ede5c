//! What would become of a packet, and why, without anything becoming of it.
//!
//! Problem: whoever asks why a client is on this server and not on that one must not change the answer by asking, nor be
//! told something else than what then happens.
//!
//! Rule: the packet goes the same way as in [`packet::decide`], through the same tests. Where that changes something, this only
//! looks: connections and templates stay as they are, and the scheduler chooses among copies of the servers
//! ([`Scheduler::foresee`](crate::sched::Scheduler::foresee)).

use std::cell::Cell;
use std::sync::Arc;

use super::burst::{self, Context};
use super::packet::{self, Fate};
use super::{Director, lock, schedule, unasked};
use crate::addr::Endpoint;
use crate::config::{MatchedBy, Role};
use crate::conn::{Conn, ConnInfo, Control, Found, Shift, TemplateKey, Tuple};
use crate::dest::{Dest, DestLive, DestOptions, Method};
use crate::segment::{Protocol, Segment};
use crate::service::{Service, ServiceKey};
use crate::time::Time;
use crate::verdict::{Direction, DropReason, PassReason, Verdict};

/// What would become of a packet at this moment. Made by [`Director::explain`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What becomes of it.
    pub outcome: Outcome,
    /// The connection it belongs to, even if it ends that and opens another.
    pub connection: Option<Known>,
    /// The service it is led to, or else that of its connection; `None` if there is none (any more).
    pub service: Option<Matched>,
    /// That service's servers as its scheduler sees them, in list order: newest first.
    pub servers: Vec<Standing>,
    /// Why none of them would take a new connection, if that is the outcome.
    pub lack: Option<Lack>,
    /// One in this many new connections is dropped at present (`drop_packet`); 0 is none.
    pub drop_rate: u32,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It goes its connection's way.
    Follows,
    /// It opens a connection.
    Opens(Opening),
    /// It is dropped.
    Dropped(DropReason),
    /// It is left to the host.
    Passed(PassReason),
}

/// A connection that would be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opening {
    /// The real server, and the port that the packet gets.
    pub dest: Endpoint,
    /// How it would be forwarded.
    pub method: Method,
    /// What chooses the server.
    pub by: Chooser,
    /// Whether the table has no room but in the place of a connection that has ended or not come about. If there is none of
    /// those, or none that gives FullNAT a port where all are taken, the packet is dropped after all, which only shows when
    /// it is tried.
    pub full: bool,
}

/// What chooses a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chooser {
    /// The client's persistence template.
    Template(ConnInfo),
    /// The scheduler.
    Scheduler,
    /// The scheduler by lot: this is one of the servers that may be drawn, each of which may yet lack a port for FullNAT.
    Lot,
    /// Nothing: for want of a server the packet goes to its own destination (`cache_bypass`).
    Bypass,
    /// The server itself, which begins a call to the client.
    Server,
}

/// A connection that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// The connection.
    pub conn: ConnInfo,
    /// Which way the packet travels.
    pub direction: Direction,
    /// The persistence template it follows.
    pub template: Option<ConnInfo>,
    /// What its protocol helper remembers.
    pub helper: Option<Helped>,
}

/// What a protocol helper remembers of a connection (see [`Assist`](super::Assist)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Helped {
    /// The helper, as a place in [`Settings::helpers`](super::Settings).
    pub helper: u8,
    /// Its notes.
    pub notes: u32,
    /// How far the client's sequence numbers have moved.
    pub shift_in: Shift,
    /// How far the server's have.
    pub shift_out: Shift,
    /// Whether connections that the helper announced depend on this one.
    pub controls: bool,
}

/// A service that a packet is led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Matched {
    /// The service.
    pub key: ServiceKey,
    /// Why.
    pub by: MatchedBy,
    /// Its scheduler's name.
    pub scheduler: &'static str,
    /// Whether its clients stay on their servers.
    pub persistent: bool,
}

/// How a server stands when a scheduler chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Its address and port.
    pub addr: Endpoint,
    /// Weight, method and thresholds.
    pub options: DestOptions,
    /// Connections in an active state.
    pub active: u64,
    /// Connections in an inactive state.
    pub inactive: u64,
    /// Persistence templates.
    pub persistent: u64,
    /// Whether it has as many connections as its upper threshold, and not yet gone below the lower one.
    pub overloaded: bool,
}

impl Standing {
    fn of(dest: &Dest) -> Self {
        let live = dest.live();
        Self {
            addr: dest.addr(),
            options: *dest.options(),
            active: live.active(),
            inactive: live.inactive(),
            persistent: live.persistent(),
            overloaded: live.is_overloaded(),
        }
    }

    /// Whether a scheduler may choose it: its weight is not 0 and it is not overloaded.
    pub const fn is_eligible(&self) -> bool {
        self.options.weight > 0 && !self.overloaded
    }
}

/// Why a service has no server for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// It has no servers.
    NoServers,
    /// All have weight 0.
    Quiesced,
    /// All whose weight is not 0 are overloaded.
    Overloaded,
    /// The scheduler refuses all that are eligible: those that hash a client to a closed server, or look at active connections.
    Scheduler,
    /// A service of all ports, or FTP's for its data connections, must be persistent.
    NotPersistent,
}

/// What was seen of a connection under its shard's lock.
struct Seen {
    fate: Fate,
    conn: ConnInfo,
    direction: Direction,
    dest: Arc<DestLive>,
    control: Option<Arc<Control>>,
    helper: Option<Helped>,
    /// Where it is, unless it is among those that helpers have announced.
    place: Option<(usize, Found)>,
}

impl Seen {
    fn new(cx: &Context<'_>, conn: &Conn, direction: Direction, fate: Fate) -> Self {
        Self {
            fate,
            conn: conn.info(cx.now),
            direction,
            dest: conn.dest.clone(),
            control: conn.lease.as_ref().map(|l| l.control().clone()),
            helper: conn.extra.as_ref().map(|e| Helped {
                helper: e.helper,
                notes: e.notes,
                shift_in: e.shift_in,
                shift_out: e.shift_out,
                controls: e.control.is_needed(),
            }),
            place: None,
        }
    }
}

impl Director {
    /// Says what [`Worker::decide`](super::Worker::decide) would say about this packet now, and why. Changes nothing: no count, no
    /// cursor of a scheduler, no connection, no template. [`Segment::opening`] makes the packet that a client begins with.
    ///
    /// No other packet waits for more than a look-up; but the servers of the service are copied, and a connection under a persistence
    /// engine may cost a walk through all templates.
    pub fn explain(&self, now: Time, packet: &Segment) -> Explanation {
        let config = self.config();
        let cx = Context {
            director: self,
            config: &config,
            stripe: 0,
            now,
            secure: self.defence.is_secure(),
            random: &Cell::new(now.as_millis()),
        };
        Question { cx, packet }.answer()
    }
}

/// A packet and what it is judged by.
struct Question<'a> {
    cx: Context<'a>,
    packet: &'a Segment,
}

impl Question<'_> {
    fn answer(&self) -> Explanation {
        let (cx, s) = (&self.cx, self.packet);
        let matched = cx.config.matching(s);
        let seen = match cx.config.serves(s.dst.ip.family()) {
            true => self.find(matched.is_some()),
            false => None,
        };
        let service = matched.or_else(|| {
            let service = cx.config.service(&seen.as_ref()?.conn.service)?;
            Some((&**service, MatchedBy::Connection))
        });
        // An expired connection has gone as far as anybody will see, though its timer may not have come up yet.
        let is_over = |s: &&Seen| matches!(s.fate, Fate::Expired);
        let gone = seen.as_ref().filter(is_over);
        let servers = service.map(|(service, _)| copies(service, gone));
        let servers = servers.unwrap_or_default();
        let (outcome, lack) = match &seen {
            _ if !cx.config.serves(s.dst.ip.family()) => {
                (Outcome::Passed(PassReason::NotOurs), None)
            }
            Some(Seen {
                fate: Fate::Follow, ..
            }) => (Outcome::Follows, None),
            Some(Seen {
                fate: Fate::Drop(reason),
                ..
            }) => (Outcome::Dropped(*reason), None),
            Some(Seen {
                fate: Fate::Rest, ..
            }) => (Outcome::Passed(PassReason::Standby), None),
            _ => match matched {
                Some((service, _)) if cx.config.standby().covers(&service.key(), &s.dst.ip) => {
                    (Outcome::Passed(PassReason::Standby), None)
                }
                Some((service, _)) => match self.open(service, &servers, seen.as_ref()) {
                    Ok(opening) => (Outcome::Opens(opening), None),
                    Err((verdict, lack)) => (refused(verdict), lack),
                },
                None => (self.unclaimed(), None),
            },
        };
        Explanation {
            outcome,
            connection: { seen }
                .filter(|s| !matches!(s.fate, Fate::Expired))
                .map(|seen| self.known(seen)),
            service: service.map(|(service, by)| Matched {
                key: service.key(),
                by,
                scheduler: service.scheduler().name(),
                persistent: service.options.persistence.is_some(),
            }),
            servers: servers.iter().map(Standing::of).collect(),
            lack,
            drop_rate: cx.director.defence.drop_rate(),
        }
    }

    /// The packet's connection, looked for in the order of [`burst::decide`].
    fn find(&self, has_service: bool) -> Option<Seen> {
        let (cx, s) = (&self.cx, self.packet);
        let tuple = Tuple::from(s);
        let shards = cx.director.shards.len();
        let home = self.home();
        let look = |i| self.look(i, &tuple);
        let answer = || {
            let marked = s.mark != 0 && cx.config.role_of(s) == Some(Role::Virtual);
            let by_address = cx.config.role(&s.dst.ip);
            marked.then(|| burst::shard_of(&tuple, by_address, shards))
        };
        let announced = || {
            let fate = |c: &Conn| match packet::rests(cx, c) {
                true => Fate::Rest,
                false => Fate::Follow,
            };
            let seen = |c: &Conn| Seen::new(cx, c, Direction::In, fate(c));
            cx.director.expected.look(&tuple, cx.now, seen)
        };
        let elsewhere = || {
            let others = burst::other_shards(&tuple, shards);
            let wanted = !has_service && burst::may_be_elsewhere(s);
            wanted.then(|| others.into_iter().find_map(look)).flatten()
        };
        look(home)
            .or_else(|| look(answer()?))
            .or_else(announced)
            .or_else(elsewhere)
    }

    fn look(&self, shard: usize, tuple: &Tuple) -> Option<Seen> {
        let cx = &self.cx;
        let guard = lock(&cx.director.shards[shard]);
        let found = guard.find(cx.director.seed.hash_one(tuple), tuple)?;
        let conn = guard.get(found.id)?;
        let fate = packet::fate(cx, conn, found.direction, self.packet);
        Some(Seen {
            place: Some((shard, found)),
            ..Seen::new(cx, conn, found.direction, fate)
        })
    }

    /// The shard in which the packet would open a connection.
    fn home(&self) -> usize {
        let role = self.cx.config.role_of(self.packet);
        let shards = self.cx.director.shards.len();
        burst::shard_of(&Tuple::from(self.packet), role, shards)
    }

    fn known(&self, seen: Seen) -> Known {
        let (cx, conn) = (&self.cx, seen.conn);
        let template = || {
            let control = seen.control.as_ref()?;
            let service = cx.config.service(&conn.service)?;
            let persistence = service.options.persistence.as_ref()?;
            let opening = Segment {
                tag: self.packet.tag,
                ..Segment::new(conn.protocol, conn.client, conn.virt)
            };
            let likely = TemplateKey::new(conn.service, persistence, &opening);
            cx.director.templates.of(control, likely, cx.now)
        };
        Known {
            template: template(),
            conn,
            direction: seen.direction,
            helper: seen.helper,
        }
    }

    /// What becomes of a packet that no connection and no service claims.
    fn unclaimed(&self) -> Outcome {
        let (cx, s) = (&self.cx, self.packet);
        if unasked::caller(cx, s).is_some() {
            return Outcome::Opens(Opening {
                dest: s.src,
                method: Method::Nat,
                by: Chooser::Server,
                full: false,
            });
        }
        match burst::is_unwanted(cx, s) {
            true => Outcome::Dropped(DropReason::ServerWithoutConnection),
            false => Outcome::Passed(PassReason::NotOurs),
        }
    }

    /// Whether the packet may open a connection, and to which server. A connection that has been `seen` makes room.
    fn open(
        &self,
        service: &Service,
        servers: &[Dest],
        seen: Option<&Seen>,
    ) -> Result<Opening, (Verdict, Option<Lack>)> {
        let (cx, s) = (&self.cx, self.packet);
        let drops_one = || cx.director.defence.would_drop_one();
        packet::admit(cx, s, drops_one).map_err(|v| (v, None))?;
        schedule::reaches(service, s).map_err(|v| (v, Some(Lack::NotPersistent)))?;
        let gone = seen.filter(|s| matches!(s.fate, Fate::Expired));
        let gone = gone.and_then(|seen| seen.control.as_ref());
        let mut opening = self.choose(service, servers, gone)?;
        opening.method = opening.method.towards(opening.dest, s.dst);
        if service.options.one_packet && s.protocol == Protocol::UDP {
            return Ok(opening);
        }
        let place = seen.and_then(|seen| seen.place);
        let number = place.map_or_else(|| self.home(), |(shard, _)| shard);
        let shard = lock(&cx.director.shards[number]);
        opening.full = shard.is_full_without(usize::from(place.is_some()));
        let left = place.map(|(_, found)| found);
        let addrs = &service.options.local_addrs;
        if opening.method == Method::FullNat
            && !opening.full
            && opening.by != Chooser::Lot
            && !shard.has_port(s.protocol, opening.dest, addrs, left)
        {
            return Err((Verdict::Drop(DropReason::NoLocalPort), None));
        }
        Ok(opening)
    }

    /// What [`schedule::choose`] would choose, once a connection under `gone` has gone.
    fn choose(
        &self,
        service: &Service,
        servers: &[Dest],
        gone: Option<&Arc<Control>>,
    ) -> Result<Opening, (Verdict, Option<Lack>)> {
        let (cx, s) = (&self.cx, self.packet);
        let opening = |dest, method, by| Opening {
            dest,
            method,
            by,
            full: false,
        };
        let scheduled = || {
            let arrival = schedule::arrival(cx, s);
            let i = service.scheduler.foresee(servers, &arrival)?;
            let by = match service.scheduler.draws() {
                true => Chooser::Lot,
                false => Chooser::Scheduler,
            };
            Some((servers.get(i)?, by))
        };
        let choice = match &service.options.persistence {
            Some(persistence) if schedule::lacks_tag(persistence, s) => {
                return Err((Verdict::Drop(DropReason::Unsupported), None));
            }
            Some(persistence) => {
                let key = TemplateKey::new(service.key(), persistence, s);
                let quiescent = cx.config.sysctls().expire_quiescent_template;
                let template = cx.director.templates.look(key, cx.now, quiescent, gone);
                let led = |dest: &DestLive, by| {
                    let addr = schedule::template_addr(service, dest, s);
                    opening(addr, dest.method(), by)
                };
                match template {
                    Some((dest, info)) => Some(led(&dest, Chooser::Template(info))),
                    None => scheduled().map(|(dest, by)| led(dest.live(), by)),
                }
            }
            None => scheduled().map(|(dest, by)| {
                let addr = schedule::with_port(dest.addr(), s.dst.port);
                opening(addr, dest.method(), by)
            }),
        };
        let bypass = || {
            let nowhere = schedule::nowhere(s.dst.ip.family());
            let bypass = opening(nowhere, Method::Bypass, Chooser::Bypass);
            schedule::may_bypass(cx, service, s).then_some(bypass)
        };
        choice
            .or_else(bypass)
            .ok_or_else(|| (schedule::without_server(service, s), Some(lack(servers))))
    }
}

/// The servers as the scheduler would see them, once the connection `gone` has gone.
fn copies(service: &Service, gone: Option<&Seen>) -> Vec<Dest> {
    let copies = Dest::copies(&service.dests);
    if let Some(gone) = gone
        && let Some(dest) = copies.iter().find(|d| d.live().is(&gone.dest))
    {
        dest.live().bind(gone.conn.state.is_active(), -1);
    }
    copies
}

fn refused(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Drop(reason) => Outcome::Dropped(reason),
        Verdict::Pass(reason) => Outcome::Passed(reason),
        Verdict::Forward(_) => Outcome::Follows,
    }
}

/// Why none of these servers takes a connection.
fn lack(servers: &[Dest]) -> Lack {
    if servers.is_empty() {
        Lack::NoServers
    } else if servers.iter().all(|d| d.weight() == 0) {
        Lack::Quiesced
    } else if !servers.iter().any(Dest::is_eligible) {
        Lack::Overloaded
    } else {
        Lack::Scheduler
    }
}
