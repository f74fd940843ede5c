//! What becomes of a packet, as it is told: what [`lvs_core::director::Explanation`] says, and what the daemon knows besides.

use std::fmt::Display;

use lvs_core::config::MatchedBy as By;
use lvs_core::director::{self, Chooser, Lack as Lacking};
use lvs_core::{
    ConnInfo, Direction, DropReason, Endpoint, Ip, Method, Protocol, Segment, ServiceKey,
};
use lvs_fwd::frame::PortId;
use lvs_fwd::parse::check_addresses;
use lvs_fwd::route::{Resolution, Topology};
use lvs_sched::cost::Formula;
use serde::{Deserialize, Serialize};

use super::conns::Connection;
use super::desk::Plane;
use super::table::{self, Key, Persistence, method};
use super::text;
use crate::rules::MarkRule;

/// A packet that is asked about: the first of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "clients build it")]
pub struct Packet {
    /// TCP (6), UDP (17) or SCTP (132).
    pub protocol: u8,
    /// Where it comes from.
    #[serde(with = "text")]
    pub client: Endpoint,
    /// Where it goes to.
    #[serde(with = "text")]
    pub virtual_address: Endpoint,
    /// The interface it comes in by, for rules for marks that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Explained {
    /// The packet.
    pub packet: Packet,
    /// The rule that gives it its mark; `None` if none is about it.
    pub mark: Option<Marked>,
    /// Whether the mark may be another one, since a rule asks for an interface and none was named.
    pub interface_matters: bool,
    /// The service it is led to, or else that of its connection.
    pub service: Option<Service>,
    /// Its connection, even if that ends.
    pub connection: Option<Known>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The service's servers as its scheduler sees them: the one added last is first.
    pub servers: Vec<Server>,
    /// Why none of them takes a new connection, if that is the outcome.
    pub lack: Option<Lack>,
    /// One in so many new connections is dropped for want of memory; 0 is none.
    pub drop_rate: u32,
    /// The way to the server, or with bypass to the packet's own destination; `None` if there is nothing to be sent, or the daemon
    /// sends nothing.
    pub way: Option<Way>,
}

/// The rule that gives a packet its mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Marked {
    /// The mark; 0 is none.
    pub mark: u32,
    /// Which rule it is, from 1.
    pub number: usize,
    /// The rule as a line of a rule file.
    pub rule: String,
}

/// The service that a packet is led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Service {
    /// The service.
    pub key: Key,
    /// Why it is this one.
    pub matched_by: MatchedBy,
    /// Its scheduler.
    pub scheduler: String,
    /// Whether and how clients are kept on one server.
    pub persistence: Option<Persistence>,
}

/// Why a packet is led to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MatchedBy {
    /// By its firewall mark.
    Mark,
    /// By its destination.
    Address,
    /// Its destination's port may be that of a data connection of the address's FTP service.
    FtpData,
    /// By its destination address; no service has the port.
    AnyPort,
    /// Its connection belongs to the service.
    Connection,
}

/// A connection that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Known {
    /// The connection.
    #[serde(flatten)]
    pub conn: Connection,
    /// Whether the packet comes from the connection's server, and not from its client.
    pub from_server: bool,
    /// The template it follows.
    pub follows: Option<Connection>,
    /// What its protocol helper has changed.
    pub helper: Option<Helper>,
}

/// What a protocol helper (FTP's) has done to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Helper {
    /// What is added to the client's sequence numbers.
    pub shift_in: i32,
    /// What is added to the server's.
    pub shift_out: i32,
    /// Whether other connections depend on this one.
    pub controls: bool,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "becomes", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// It goes its connection's way.
    Follows,
    /// It opens a connection.
    Opens {
        /// The real server, with the port that the packet gets.
        #[serde(with = "text")]
        server: Endpoint,
        /// How it is forwarded.
        #[serde(with = "method")]
        method: Method,
        /// What chooses the server.
        chosen_by: ChosenBy,
        /// The client's template, if that does.
        template: Option<Connection>,
        /// Whether the table only has room in the place of a connection that has ended or not come about.
        full: bool,
    },
    /// It is dropped.
    Dropped {
        /// Why, by the name of the daemon's counter.
        reason: String,
    },
    /// It is left to the host.
    Passed {
        /// Why, by the name of the daemon's counter.
        reason: String,
    },
}

/// What chooses a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChosenBy {
    /// The client's persistence template.
    Template,
    /// The scheduler.
    Scheduler,
    /// The scheduler by lot: another may be drawn.
    Lot,
    /// Nothing: for want of a server it goes to its own destination.
    Bypass,
    /// The server itself, which begins a call.
    Server,
}

/// A server as the scheduler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// Its address and port.
    #[serde(with = "text")]
    pub server: Endpoint,
    /// How packets get there.
    #[serde(with = "method")]
    pub method: Method,
    /// Its weight.
    pub weight: u32,
    /// Connections in an active state.
    pub active: u64,
    /// Other connections.
    pub inactive: u64,
    /// Persistence templates.
    pub persistent: u64,
    /// At this many connections it gets no new ones; 0 is no limit.
    pub upper: u32,
    /// Below this many it gets new ones again.
    pub lower: u32,
    /// Whether it gets no new ones for that reason.
    pub overloaded: bool,
    /// Whether the scheduler may choose it: its weight is not 0, and it is not overloaded.
    pub eligible: bool,
    /// What the scheduler compares, before it divides by the weight if it does; `None` if it does not compare loads.
    pub cost: Option<u64>,
}

/// Why a service has no server for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Lack {
    /// It has no servers.
    NoServers,
    /// All have weight 0.
    Quiesced,
    /// All whose weight is not 0 are overloaded.
    Overloaded,
    /// The scheduler refuses all that are eligible.
    Scheduler,
    /// A service of all ports, or FTP's for data connections, must be persistent.
    NotPersistent,
}

/// The way to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Way {
    /// By an interface that the director works on.
    Link {
        /// The interface.
        interface: String,
        /// The gateway, or the address itself.
        #[serde(with = "text")]
        next_hop: Ip,
        /// Its Ethernet address, if that is known at the moment.
        mac: Option<String>,
    },
    /// The address is the director's own.
    Local,
    /// No route leads there by an interface that the director works on.
    NoRoute,
}

impl Explained {
    /// What would become of the packet at this moment.
    pub fn of(plane: &dyn Plane, packet: &Packet) -> Self {
        let mut segment = Segment::opening(
            Protocol(packet.protocol),
            packet.client,
            packet.virtual_address,
        );
        let (mark, interface_matters) = mark(&plane.marks(), packet, &segment);
        segment.mark = mark.as_ref().map_or(0, |marked| marked.mark);
        let director = plane.director();
        if let Err(reason) = check_addresses(packet.client.ip, packet.virtual_address.ip) {
            return Self::dropped(packet, reason);
        }
        let told = director.explain(plane.now(), &segment);
        let scheduler = told.service.map_or("", |service| service.scheduler);
        let outcome = Outcome::of(&told.outcome);
        let connection = told.connection.as_ref().map(Known::of);
        let target = target(packet, &outcome, connection.as_ref());
        let way = target.and_then(|ip| Some(Way::to(ip, &*plane.topology()?)));
        let persistence = |key: ServiceKey| {
            let config = director.config();
            let service = config.service(&key)?;
            table::Service::of(service).persistence
        };
        Self {
            packet: packet.clone(),
            mark,
            interface_matters,
            service: told.service.map(|matched| Service {
                key: matched.key.into(),
                matched_by: matched.by.into(),
                scheduler: matched.scheduler.to_owned(),
                persistence: persistence(matched.key),
            }),
            connection,
            outcome,
            servers: { told.servers.iter() }
                .map(|standing| Server::of(standing, scheduler))
                .collect(),
            lack: told.lack.map(Lack::from),
            drop_rate: told.drop_rate,
            way,
        }
    }

    /// Of a packet that the director never gets to see.
    fn dropped(packet: &Packet, reason: DropReason) -> Self {
        Self {
            packet: packet.clone(),
            mark: None,
            interface_matters: false,
            service: None,
            connection: None,
            outcome: Outcome::Dropped {
                reason: reason.name().to_owned(),
            },
            servers: Vec::new(),
            lack: None,
            drop_rate: 0,
            way: None,
        }
    }
}

/// The rule that marks the packet, and whether another one might if the interface were known.
fn mark(rules: &[MarkRule], packet: &Packet, segment: &Segment) -> (Option<Marked>, bool) {
    let about = |rule: &&MarkRule| rule.rule.matches(segment, PortId(0));
    let by_interface = |rule: &&MarkRule| match (&rule.interface, &packet.interface) {
        (Some(asked), Some(given)) => asked == given,
        (Some(_), None) => false,
        (None, _) => true,
    };
    let found = rules.iter().position(|r| about(&r) && by_interface(&r));
    let before = &rules[..found.unwrap_or(rules.len())];
    let matters = packet.interface.is_none() && before.iter().any(|r| about(&r));
    let marked = found.and_then(|i| rules.get(i).map(|rule| (i, rule)));
    let marked = marked.map(|(i, rule)| Marked {
        mark: rule.rule.mark,
        number: i + 1,
        rule: rule.to_string().trim_end().to_owned(),
    });
    (marked, matters)
}

/// Where the packet is sent, if it is sent.
fn target(packet: &Packet, outcome: &Outcome, connection: Option<&Known>) -> Option<Ip> {
    match (outcome, connection) {
        (Outcome::Follows, Some(known)) => Some(match known.conn.method {
            Method::Bypass => known.conn.virtual_address.ip,
            _ if known.from_server => known.conn.client.ip,
            _ => known.conn.server.ip,
        }),
        (
            Outcome::Opens {
                chosen_by, server, ..
            },
            _,
        ) => Some(match chosen_by {
            ChosenBy::Bypass | ChosenBy::Server => packet.virtual_address.ip,
            _ => server.ip,
        }),
        _ => None,
    }
}

impl Known {
    fn of(known: &director::Known) -> Self {
        Self {
            conn: Connection::of(&known.conn),
            from_server: known.direction == Direction::Out,
            follows: known.template.as_ref().map(Connection::of),
            helper: known.helper.map(|helped| Helper {
                shift_in: helped.shift_in.delta,
                shift_out: helped.shift_out.delta,
                controls: helped.controls,
            }),
        }
    }
}

impl Outcome {
    fn of(outcome: &director::Outcome) -> Self {
        let reason = |reason: &dyn Display| reason.to_string();
        match outcome {
            director::Outcome::Opens(opening) => {
                let (chosen_by, template) = chosen(&opening.by);
                Self::Opens {
                    server: opening.dest,
                    method: opening.method,
                    chosen_by,
                    template: template.map(Connection::of),
                    full: opening.full,
                }
            }
            director::Outcome::Dropped(r) => Self::Dropped {
                reason: reason(&r.name()),
            },
            director::Outcome::Passed(r) => Self::Passed {
                reason: reason(&r.name()),
            },
            _ => Self::Follows,
        }
    }
}

fn chosen(by: &Chooser) -> (ChosenBy, Option<&ConnInfo>) {
    match by {
        Chooser::Template(template) => (ChosenBy::Template, Some(template)),
        Chooser::Lot => (ChosenBy::Lot, None),
        Chooser::Bypass => (ChosenBy::Bypass, None),
        Chooser::Server => (ChosenBy::Server, None),
        _ => (ChosenBy::Scheduler, None),
    }
}

impl From<By> for MatchedBy {
    fn from(by: By) -> Self {
        match by {
            By::Mark => Self::Mark,
            By::FtpData => Self::FtpData,
            By::AnyPort => Self::AnyPort,
            By::Connection => Self::Connection,
            _ => Self::Address,
        }
    }
}

impl From<Lacking> for Lack {
    fn from(lack: Lacking) -> Self {
        match lack {
            Lacking::NoServers => Self::NoServers,
            Lacking::Quiesced => Self::Quiesced,
            Lacking::Overloaded => Self::Overloaded,
            Lacking::NotPersistent => Self::NotPersistent,
            _ => Self::Scheduler,
        }
    }
}

impl Server {
    fn of(standing: &director::Standing, scheduler: &str) -> Self {
        let (active, inactive) = (standing.active, standing.inactive);
        Self {
            server: standing.addr,
            method: standing.options.method,
            weight: standing.options.weight,
            active,
            inactive,
            persistent: standing.persistent,
            upper: standing.options.upper,
            lower: standing.options.lower,
            overloaded: standing.overloaded,
            eligible: standing.is_eligible(),
            cost: Formula::of(scheduler).map(|formula| formula.cost(active, inactive)),
        }
    }
}

impl Way {
    /// The way to an address by these interfaces and routes.
    pub fn to(ip: Ip, topology: &Topology) -> Self {
        let mac = match topology.resolve(ip) {
            Resolution::Local => return Self::Local,
            Resolution::NoRoute => return Self::NoRoute,
            Resolution::Ready(hop) => Some(hop.dst_mac.to_string()),
            Resolution::Unresolved { .. } => None,
        };
        let link = topology.next_hop(ip).and_then(|(ifindex, next_hop)| {
            let mut interfaces = topology.interfaces().iter();
            let interface = interfaces.find(|i| i.ifindex == ifindex)?;
            Some(Self::Link {
                interface: interface.name.clone(),
                next_hop,
                mac,
            })
        });
        link.unwrap_or(Self::NoRoute)
    }
}

#[cfg(test)]
mod tests;
