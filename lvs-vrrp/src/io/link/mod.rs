//! The interfaces and addresses of the host, as they are and as they change.
//!
//! A virtual router fails when its interface does, sends from its interface's address, and minds if somebody takes a virtual
//! address away. So the kernel's notifications are followed one by one: an interface that went down and came up again between two
//! looks has been down. Where notifications were lost, all is read anew and the differences are what has changed.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;

use self::read::Notice;
use super::netlink::{Connection, Message, Request};

/// RTNLGRP_LINK, IPV4_IFADDR, IPV6_IFADDR.
const GROUPS: [u32; 3] = [1, 5, 9];

/// An interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The kernel's number of it.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; `None` if it has none of six bytes.
    pub mac: Option<[u8; 6]>,
    /// The longest IP packet it carries.
    pub mtu: u32,
    /// Whether packets can go: it is switched on and has a carrier (IFF_UP and IFF_RUNNING).
    pub up: bool,
    /// Whether it is switched on (IFF_UP).
    pub enabled: bool,
    /// Whether addresses are resolved on it (not IFF_NOARP).
    pub arp: bool,
    /// Whether it carries multicast.
    pub multicast: bool,
    /// Whether it is the loopback.
    pub loopback: bool,
    /// What kind of virtual interface it is, as `ip link` has it (macvlan, bridge, …); empty if it is none.
    pub kind: String,
    /// The interface it stands on, by number: a macvlan's, a VLAN's, or the other end of a veth pair. That may be in another network
    /// namespace, where the number means something else.
    pub parent: Option<u32>,
    /// The bridge, bond or VRF that it is a part of, by number.
    pub controller: Option<u32>,
}

/// An address of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostAddress {
    /// The number of its interface.
    pub ifindex: u32,
    /// The address.
    pub ip: IpAddr,
    /// The length of its network's prefix.
    pub prefix_len: u8,
    /// The other end's, on a point-to-point interface.
    pub peer: Option<IpAddr>,
    /// The kernel's flags (IFA_F_…).
    pub flags: u32,
    /// Who has put it there (IFA_PROTO); 0: not said.
    pub protocol: u8,
}

impl HostAddress {
    const SECONDARY: u32 = 0x01;
    const OPTIMISTIC: u32 = 0x04;
    const DADFAILED: u32 = 0x08;
    const TENTATIVE: u32 = 0x40;

    /// Whether another address of the same network came before it (IPv4).
    pub const fn is_secondary(&self) -> bool {
        self.ip.is_ipv4() && self.flags & Self::SECONDARY != 0
    }

    /// Whether it may be sent from: not while duplicate address detection runs or has failed.
    pub const fn is_usable(&self) -> bool {
        let tentative = self.flags & Self::TENTATIVE != 0 && self.flags & Self::OPTIMISTIC == 0;
        !tentative && self.flags & Self::DADFAILED == 0
    }

    const fn key(&self) -> Key {
        (self.ifindex, self.ip, self.prefix_len, self.peer)
    }
}

/// What makes an address the same one.
type Key = (u32, IpAddr, u8, Option<IpAddr>);

/// A change that [`Links::update`] has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to see")]
pub enum Change {
    /// An interface has appeared (it was not), is another, or is gone (it is not).
    Link {
        /// As it was,
        was: Option<Link>,
        /// and as it is.
        is: Option<Link>,
    },
    /// An address has come, or is another (its flags).
    Address(HostAddress),
    /// An address is gone.
    AddressGone(HostAddress),
}

/// The interfaces of the host as they are now.
pub fn interfaces(connection: &mut Connection) -> io::Result<Vec<Link>> {
    let all = RouteNetlinkMessage::GetLink(LinkMessage::default());
    connection.dump(&Request::route(all, 0), |m| match Notice::read(m) {
        Some(Notice::Link(link)) => Some(link),
        _ => None,
    })
}

/// The addresses of the host as they are now.
pub fn addresses(connection: &mut Connection) -> io::Result<Vec<HostAddress>> {
    let all = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    connection.dump(&Request::route(all, 0), |m| match Notice::read(m) {
        Some(Notice::Address(address)) => Some(address),
        _ => None,
    })
}

/// The interfaces and addresses of the host, followed.
#[derive(Debug)]
pub struct Links {
    events: Connection,
    requests: Connection,
    seen: Seen,
    /// Notifications have been lost.
    lost: bool,
}

impl Links {
    /// Reads those of the calling thread's network namespace and follows them from then on.
    pub fn new() -> io::Result<Self> {
        // In this order: what changes while they are read is then notified.
        let events = Connection::subscribe(&GROUPS)?;
        let mut requests = Connection::route()?;
        let seen = Seen::read(&mut requests)?;
        Ok(Self {
            events,
            requests,
            seen,
            lost: false,
        })
    }

    /// Takes in all that has been notified since the last call, and returns what has changed, in order; to be called whenever the
    /// descriptor ([`AsFd`]) is readable. Never waits for anything to happen.
    ///
    /// # Errors
    ///
    /// The socket's, which mean that it cannot be used any more.
    pub fn update(&mut self) -> io::Result<Vec<Change>> {
        Ok(self.update_some(usize::MAX)?.0)
    }

    /// The same for at most so many notifications, since somebody may make thousands of changes at a time. The second half of what is
    /// returned says whether there may be more.
    ///
    /// # Errors
    ///
    /// As those of [`Self::update`].
    pub fn update_some(&mut self, most: usize) -> io::Result<(Vec<Change>, bool)> {
        let mut changes = Vec::new();
        for _ in 0..most {
            let seen = &mut self.seen;
            match self.events.notifications(|m| seen.take(m, &mut changes)) {
                Ok(true) => {}
                Ok(false) => {
                    if self.lost {
                        let now = Seen::read(&mut self.requests)?;
                        self.seen.replace(now, &mut changes);
                        self.lost = false;
                    }
                    return Ok((changes, false));
                }
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => self.lost = true,
                Err(e) => return Err(e),
            }
        }
        Ok((changes, true))
    }

    /// All interfaces, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.seen.links.values()
    }

    /// An interface by its number.
    pub fn get(&self, ifindex: u32) -> Option<&Link> {
        self.seen.links.get(&ifindex)
    }

    /// An interface by its name.
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.iter().find(|l| l.name == name)
    }

    /// All addresses of the host.
    pub fn addresses(&self) -> impl Iterator<Item = &HostAddress> {
        self.seen.addresses.values().map(|(_, a)| a)
    }

    /// The addresses of an interface, as the kernel lists them.
    pub fn addresses_of(&self, ifindex: u32) -> Vec<&HostAddress> {
        let mut all: Vec<_> = self.seen.of(ifindex).collect();
        all.sort_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, a)| a).collect()
    }

    /// Whether the host has an address, on any interface.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses().any(|a| a.ip == ip)
    }

    /// The address that IPv4 advertisements are sent from: the interface's first that is not secondary, and not one of
    /// the virtual ones, which come and go.
    pub fn source_v4(
        &self,
        ifindex: u32,
        virtual_one: impl Fn(IpAddr) -> bool,
    ) -> Option<Ipv4Addr> {
        let ip = self.first(ifindex, |a| {
            a.ip.is_ipv4() && !a.is_secondary() && !virtual_one(a.ip)
        })?;
        match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    }

    /// The address that IPv6 advertisements are sent from: the interface's first link-local one that is not virtual.
    pub fn source_v6(
        &self,
        ifindex: u32,
        virtual_one: impl Fn(IpAddr) -> bool,
    ) -> Option<Ipv6Addr> {
        let local = |ip| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let ip = self.first(ifindex, |a| {
            local(a.ip) && a.is_usable() && !virtual_one(a.ip)
        })?;
        match ip {
            IpAddr::V6(ip) => Some(ip),
            IpAddr::V4(_) => None,
        }
    }

    fn first(&self, ifindex: u32, good: impl Fn(&HostAddress) -> bool) -> Option<IpAddr> {
        let mut first: Option<&(u64, HostAddress)> = None;
        for entry in self.seen.of(ifindex) {
            // There may be thousands, and one that comes later need not be looked at.
            if first.is_none_or(|first| entry.0 < first.0) && good(&entry.1) {
                first = Some(entry);
            }
        }
        first.map(|(_, a)| a.ip)
    }
}

impl AsFd for Links {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// What is known of the host.
#[derive(Debug, Default)]
struct Seen {
    links: BTreeMap<u32, Link>,
    /// With numbers that grow in the kernel's order.
    addresses: BTreeMap<Key, (u64, HostAddress)>,
    order: u64,
}

impl Seen {
    fn read(requests: &mut Connection) -> io::Result<Self> {
        let links = interfaces(requests)?.into_iter().map(Notice::Link);
        let addresses = addresses(requests)?.into_iter().map(Notice::Address);
        let mut seen = Self::default();
        let mut nobody = Vec::new();
        links
            .chain(addresses)
            .for_each(|n| seen.note(n, &mut nobody));
        Ok(seen)
    }

    fn take(&mut self, message: Message<'_>, changes: &mut Vec<Change>) {
        if let Some(notice) = Notice::read(message) {
            self.note(notice, changes);
        }
    }

    fn note(&mut self, notice: Notice, changes: &mut Vec<Change>) {
        match notice {
            Notice::Link(link) => {
                let was = self.links.insert(link.ifindex, link.clone());
                if was.as_ref() != Some(&link) {
                    let is = Some(link);
                    changes.push(Change::Link { was, is });
                }
            }
            Notice::LinkGone(ifindex) => {
                let left: Vec<_> = self.of(ifindex).map(|(_, a)| *a).collect();
                for address in left {
                    self.note(Notice::AddressGone(address), changes);
                }
                if let Some(was) = self.links.remove(&ifindex) {
                    let (was, is) = (Some(was), None);
                    changes.push(Change::Link { was, is });
                }
            }
            Notice::Address(address) => {
                self.order += 1;
                let new = (self.order, address);
                let entry = self.addresses.entry(address.key()).or_insert(new);
                if entry.0 == self.order || entry.1 != address {
                    entry.1 = address;
                    changes.push(Change::Address(address));
                }
            }
            Notice::AddressGone(address) => {
                if let Some((_, was)) = self.addresses.remove(&address.key()) {
                    changes.push(Change::AddressGone(was));
                }
            }
        }
    }

    /// Becomes `now`, by way of changes: what is gone first.
    fn replace(&mut self, now: Self, changes: &mut Vec<Change>) {
        let gone: Vec<_> = self
            .addresses
            .iter()
            .filter(|(key, _)| !now.addresses.contains_key(key))
            .map(|(_, (_, address))| Notice::AddressGone(*address))
            .chain(
                self.links
                    .keys()
                    .filter(|i| !now.links.contains_key(i))
                    .map(|i| Notice::LinkGone(*i)),
            )
            .collect();
        let links = now.links.values().cloned().map(Notice::Link);
        let addresses = now.addresses.values().map(|(_, a)| Notice::Address(*a));
        for notice in gone.into_iter().chain(links).chain(addresses) {
            self.note(notice, changes);
        }
        *self = now;
    }

    /// The addresses of an interface, in no order.
    fn of(&self, ifindex: u32) -> impl Iterator<Item = &(u64, HostAddress)> {
        let lowest = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let first = (ifindex, lowest, 0, None);
        let end = (ifindex.saturating_add(1), lowest, 0, None);
        self.addresses.range(first..end).map(|(_, entry)| entry)
    }
}
