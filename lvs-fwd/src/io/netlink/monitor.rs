//! Keeps a copy of the kernel's links, addresses, routes and neighbours.
//!
//! Notifications alone do not suffice: the kernel drops IPv4 routes silently when a link goes down, one
//! changed route may replace, join or leave others, and a full queue loses messages. So a notification
//! about links, addresses or routes only marks a table as out of date; [`Monitor::update`] reads the
//! notifications of one wake-up together and then each marked table anew. Neighbours, which change far
//! more often and one by one, are followed one by one, and read anew only after a loss.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use lvs_core::Ip;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::connection::Connection;
use super::message::{self, Address, Neighbour, TableEntry};
use crate::frame::PortId;
use crate::route::{Interface, Mac, Macvlan, Topology};

/// RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE.
const GROUPS: [u32; 6] = [1, 3, 5, 7, 9, 11];
/// The most datagrams read before the tables are, so that a storm cannot keep us reading forever.
const BATCH: usize = 4096;

/// An interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Link {
    /// The kernel's number of it.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; zero if it has none.
    pub mac: Mac,
    /// The longest IP packet it carries.
    pub mtu: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it carries Ethernet frames; loopback does not.
    pub ethernet: bool,
    /// The bridge or bond it is a part of, by number.
    pub controller: Option<u32>,
    /// Of a macvlan, the interface below it, by number.
    pub macvlan_of: Option<u32>,
}

/// The kernel's tables, kept up to date.
#[derive(Debug)]
pub struct Monitor {
    events: Connection,
    requests: Connection,
    links: Vec<Link>,
    addresses: Vec<Address>,
    routes: Vec<TableEntry>,
    neighbours: HashMap<(u32, Ip), Mac>,
}

impl Monitor {
    /// Reads all tables of the calling thread's network namespace and follows them from then on.
    pub fn new() -> io::Result<Self> {
        let mut monitor = Self {
            // In this order: what changes while the tables are read is then notified.
            events: Connection::subscribe(&GROUPS)?,
            requests: Connection::open()?,
            links: Vec::new(),
            addresses: Vec::new(),
            routes: Vec::new(),
            neighbours: HashMap::new(),
        };
        monitor.read(OutOfDate::ALL)?;
        Ok(monitor)
    }

    /// Takes in what has been notified since the last call; to be called whenever the descriptor
    /// ([`AsFd`]) is readable. Never waits. Returns whether anything changed that a [`Topology`] shows.
    pub fn update(&mut self) -> io::Result<bool> {
        let mut stale = OutOfDate::default();
        let mut changed = false;
        for _ in 0..BATCH {
            let neighbours = &mut self.neighbours;
            let note = |m| match m {
                RouteNetlinkMessage::NewNeighbour(m) => {
                    changed |= message::neighbour(&m).is_some_and(|n| apply(neighbours, n));
                }
                RouteNetlinkMessage::DelNeighbour(m) => {
                    changed |= message::neighbour(&m)
                        .is_some_and(|n| apply(neighbours, Neighbour { mac: None, ..n }));
                }
                other => stale.note(&other),
            };
            match self.events.notifications(note) {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => stale = OutOfDate::ALL,
                Err(e) => return Err(e),
            }
        }
        Ok(self.read(stale)? | changed)
    }

    /// All interfaces of the host.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The topology as it is seen by the given ports. A port whose interface has disappeared is left
    /// out, so that nothing is sent to it.
    pub fn topology(&self, ports: &[(PortId, u32)]) -> Topology {
        let mut b = Topology::builder();
        for &(port, ifindex) in ports {
            let Some(link) = self.links.iter().find(|l| l.ifindex == ifindex) else {
                continue;
            };
            let mut addrs: Vec<_> = self
                .addresses
                .iter()
                .filter(|a| a.ifindex == ifindex && a.usable)
                .collect();
            addrs.sort_by_key(|a| a.rank);
            b.interface(Interface {
                port,
                ifindex,
                name: link.name.clone(),
                mac: link.mac,
                mtu: link.mtu,
                addrs: addrs.into_iter().map(|a| a.ip).collect(),
            });
        }
        for macvlan in self.macvlans(ports) {
            b.macvlan(macvlan);
        }
        for address in &self.addresses {
            b.local(address.ip);
        }
        for entry in &self.routes {
            match entry {
                TableEntry::Route(route) => b.route(route.clone()),
                TableEntry::Local(ip, len) => b.local_prefix(*ip, *len),
                TableEntry::Broadcast(ip) => b.broadcast(*ip),
            };
        }
        let ours = |ifindex| ports.iter().any(|&(_, i)| i == ifindex);
        for (&(ifindex, ip), &mac) in &self.neighbours {
            if ours(ifindex) {
                b.neighbour(ifindex, ip, mac);
            }
        }
        b.build()
    }

    /// The macvlans above ports that are up, and no ports themselves.
    fn macvlans(&self, ports: &[(PortId, u32)]) -> impl Iterator<Item = Macvlan> {
        let is_port = |l: &&Link| ports.iter().any(|&(_, i)| i == l.ifindex);
        let others = self.links.iter().filter(move |l| l.up && !is_port(l));
        others.filter_map(|link| {
            let below = link.macvlan_of?;
            let (port, _) = ports.iter().find(|&&(_, i)| i == below)?;
            Some(Macvlan {
                port: *port,
                below,
                ifindex: link.ifindex,
                mac: link.mac,
            })
        })
    }

    /// Reads the tables that are out of date. Returns whether any of them differs from before.
    fn read(&mut self, stale: OutOfDate) -> io::Result<bool> {
        let mut changed = false;
        if stale.links {
            let links = self.read_links()?;
            changed |= replace(&mut self.links, links);
        }
        if stale.addresses {
            let addresses = self.read_addresses()?;
            changed |= replace(&mut self.addresses, addresses);
        }
        if stale.routes {
            let mut routes = self.read_routes(AddressFamily::Inet)?;
            routes.extend(self.read_routes(AddressFamily::Inet6)?);
            changed |= replace(&mut self.routes, routes);
        }
        if stale.neighbours {
            let neighbours = self.read_neighbours()?;
            changed |= replace(&mut self.neighbours, neighbours);
        }
        Ok(changed)
    }

    fn read_links(&mut self) -> io::Result<Vec<Link>> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        self.requests.dump(&request, |m| match m {
            RouteNetlinkMessage::NewLink(m) => message::link(&m),
            _ => None,
        })
    }

    fn read_addresses(&mut self) -> io::Result<Vec<Address>> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        self.requests.dump(&request, |m| match m {
            RouteNetlinkMessage::NewAddress(m) => message::address(&m),
            _ => None,
        })
    }

    fn read_routes(&mut self, family: AddressFamily) -> io::Result<Vec<TableEntry>> {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let request = RouteNetlinkMessage::GetRoute(request);
        self.requests.dump(&request, |m| match m {
            RouteNetlinkMessage::NewRoute(m) => message::table_entry(&m),
            _ => None,
        })
    }

    fn read_neighbours(&mut self) -> io::Result<HashMap<(u32, Ip), Mac>> {
        let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
        let known = self.requests.dump(&request, |m| match m {
            RouteNetlinkMessage::NewNeighbour(m) => {
                let n = message::neighbour(&m)?;
                Some(((n.ifindex, n.ip), n.mac?))
            }
            _ => None,
        })?;
        Ok(known.into_iter().collect())
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// Which tables must be read anew.
#[derive(Clone, Copy, Debug, Default)]
struct OutOfDate {
    links: bool,
    addresses: bool,
    routes: bool,
    neighbours: bool,
}

impl OutOfDate {
    const ALL: Self = Self {
        links: true,
        addresses: true,
        routes: true,
        neighbours: true,
    };

    /// A link takes its addresses and routes with it, an address its routes.
    fn note(&mut self, m: &RouteNetlinkMessage) {
        let (links, addresses, routes) = match m {
            RouteNetlinkMessage::NewLink(_) | RouteNetlinkMessage::DelLink(_) => (true, true, true),
            RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_) => {
                (false, true, true)
            }
            RouteNetlinkMessage::NewRoute(m) | RouteNetlinkMessage::DelRoute(m) => {
                (false, false, message::concerns_us(m))
            }
            _ => return,
        };
        self.links |= links;
        self.addresses |= addresses;
        self.routes |= routes;
    }
}

/// Enters a neighbour's news. Returns whether a packet would be sent differently now.
fn apply(neighbours: &mut HashMap<(u32, Ip), Mac>, n: Neighbour) -> bool {
    let key = (n.ifindex, n.ip);
    match n.mac {
        Some(mac) => neighbours.insert(key, mac) != Some(mac),
        None => neighbours.remove(&key).is_some(),
    }
}

/// Puts `new` in place and returns whether it differs.
fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}
