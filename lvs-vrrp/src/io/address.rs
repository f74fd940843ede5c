//! Addresses put on interfaces and taken away again.
//!
//! All are marked as ours where the kernel keeps such a mark (IFA_PROTO, Linux 5.18), so that whoever lists addresses sees whose they
//! are. Many at a time cost little more than one: a director with thousands of virtual addresses takes over in an instant.

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
    AddressScope, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::link::HostAddress;
use super::netlink::{Connection, Request};

/// IFA_PROTO of our addresses. The kernel leaves all but a few of the lowest to programs; keepalived's routes carry the same number.
pub const PROTOCOL: u8 = 18;

/// For ever, as a lifetime.
const FOREVER: u32 = u32::MAX;

/// An address as it is put on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Address {
    /// The number of the interface.
    pub ifindex: u32,
    /// The address.
    pub ip: IpAddr,
    /// The length of its network's prefix, or of the peer's: 0 to 32, or to 128.
    pub prefix_len: u8,
    /// The other end's, of the same family, on a point-to-point interface.
    pub peer: Option<IpAddr>,
    /// The broadcast address (IPv4).
    pub broadcast: Option<Ipv4Addr>,
    /// How far it is valid: the kernel's RT_SCOPE number (IPv4; the kernel knows an IPv6 address's from the address).
    pub scope: u8,
    /// Its label, at most 15 bytes (IPv4).
    pub label: Option<String>,
    /// The kernel's flags (IFA_F_…). Without [`Address::NODAD`] a new IPv6 address waits for duplicate address detection before it can be
    /// used.
    pub flags: u32,
    /// How long it is preferred, in seconds; `None`: for ever; 0: it is never chosen as a source.
    pub preferred: Option<u32>,
}

impl Address {
    /// Duplicate address detection is left out (IPv6).
    pub const NODAD: u32 = 0x02;
    /// Mobile IPv6's home address.
    pub const HOME: u32 = 0x10;
    /// Temporary addresses are made from it.
    pub const MNGTMPADDR: u32 = 0x100;
    /// The kernel makes no route to its network.
    pub const NOPREFIXROUTE: u32 = 0x200;
    /// Its multicast group is joined.
    pub const AUTOJOIN: u32 = 0x400;

    /// One with nothing special about it; the flag [`Address::NODAD`] is set if it is IPv6's.
    pub const fn new(ifindex: u32, ip: IpAddr, prefix_len: u8) -> Self {
        Self {
            ifindex,
            ip,
            prefix_len,
            peer: None,
            broadcast: None,
            scope: 0,
            label: None,
            flags: if ip.is_ipv6() { Self::NODAD } else { 0 },
            preferred: None,
        }
    }

    /// What puts it there.
    pub fn addition(&self) -> Request {
        let mut message = identity(self.ifindex, self.ip, self.prefix_len, self.peer);
        message.header.scope = AddressScope::from(self.scope);
        let attributes = &mut message.attributes;
        if let Some(broadcast) = self.broadcast {
            attributes.push(AddressAttribute::Broadcast(broadcast));
        }
        if let Some(label) = &self.label {
            attributes.push(AddressAttribute::Label(label.clone()));
        }
        if self.flags != 0 {
            let flags = AddressFlags::from_bits_retain(self.flags);
            attributes.push(AddressAttribute::Flags(flags));
        }
        if let Some(preferred) = self.preferred {
            let mut lifetimes = CacheInfo::default();
            lifetimes.ifa_preferred = preferred;
            lifetimes.ifa_valid = FOREVER;
            attributes.push(AddressAttribute::CacheInfo(lifetimes));
        }
        attributes.push(AddressAttribute::Protocol(AddressProtocol::from(PROTOCOL)));
        // Older kernels know the first eight flags only from the header.
        message.header.flags = AddressHeaderFlags::from_bits_truncate(self.flags as u8);
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        Request::route(RouteNetlinkMessage::NewAddress(message), flags)
    }

    /// What takes it away.
    pub fn removal(&self) -> Request {
        removal(self.ifindex, self.ip, self.prefix_len, self.peer)
    }
}

impl HostAddress {
    /// What takes it away.
    pub fn removal(&self) -> Request {
        removal(self.ifindex, self.ip, self.prefix_len, self.peer)
    }
}

/// What became of an address that was to be put on an interface or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "done or needless")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was so before: the address was there, or was not, or its interface was not.
    Before,
}

/// Puts addresses on interfaces. Returns what became of each, in order.
///
/// # Errors
///
/// The connection's; with an address, the kernel's: `ENODEV` if there is no such interface, `EINVAL` for what makes no sense, `EACCES` for
/// IPv6 where that is switched off.
pub fn add(
    connection: &mut Connection,
    addresses: &[Address],
) -> io::Result<Vec<io::Result<Outcome>>> {
    let requests: Vec<_> = addresses.iter().map(Address::addition).collect();
    outcomes(connection, &requests, &[libc::EEXIST])
}

/// Takes addresses away ([`Address::removal`]). Returns what became of each, in order.
///
/// # Errors
///
/// The connection's, and the kernel's.
pub fn remove(
    connection: &mut Connection,
    removals: &[Request],
) -> io::Result<Vec<io::Result<Outcome>>> {
    let before = [libc::EADDRNOTAVAIL, libc::ENODEV, libc::ENXIO];
    outcomes(connection, removals, &before)
}

fn outcomes(
    connection: &mut Connection,
    requests: &[Request],
    before: &[i32],
) -> io::Result<Vec<io::Result<Outcome>>> {
    let needless = |e: &io::Error| e.raw_os_error().is_some_and(|code| before.contains(&code));
    let outcomes = connection.requests(requests)?.into_iter();
    Ok(outcomes
        .map(|outcome| match outcome {
            Ok(()) => Ok(Outcome::Done),
            Err(e) if needless(&e) => Ok(Outcome::Before),
            Err(e) => Err(e),
        })
        .collect())
}

fn removal(ifindex: u32, ip: IpAddr, prefix_len: u8, peer: Option<IpAddr>) -> Request {
    let message = identity(ifindex, ip, prefix_len, peer);
    Request::route(RouteNetlinkMessage::DelAddress(message), 0)
}

/// What tells an address from all others.
fn identity(ifindex: u32, ip: IpAddr, prefix_len: u8, peer: Option<IpAddr>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = prefix_len;
    message.header.index = ifindex;
    message.attributes = vec![
        AddressAttribute::Local(ip),
        AddressAttribute::Address(peer.unwrap_or(ip)),
    ];
    message
}
