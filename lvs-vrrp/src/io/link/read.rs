//! The kernel's messages about interfaces and addresses, read by hand: a failover hangs on them, and must not on an attribute that only
//! a newer kernel knows.

use std::net::IpAddr;

use super::{HostAddress, Link};
use crate::io::netlink::{Message, attributes, number, text};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;

const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_RUNNING: u32 = 0x40;
const IFF_NOARP: u32 = 0x80;
const IFF_MULTICAST: u32 = 0x1000;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Link(Link),
    LinkGone(u32),
    Address(HostAddress),
    AddressGone(HostAddress),
}

impl Notice {
    /// `None` if it is about something else, or not understood.
    pub(super) fn read(message: Message<'_>) -> Option<Self> {
        let payload = message.payload();
        match message.kind() {
            RTM_NEWLINK => link(payload).map(Self::Link),
            RTM_DELLINK => link(payload).map(|l| Self::LinkGone(l.ifindex)),
            RTM_NEWADDR => address(payload).map(Self::Address),
            RTM_DELADDR => address(payload).map(Self::AddressGone),
            _ => None,
        }
    }
}

/// Reads `struct ifinfomsg` and what follows. `None` for what a bridge says of its ports in the same form, and for news that name no
/// interface (a radio's).
fn link(payload: &[u8]) -> Option<Link> {
    let (header, rest) = payload.split_first_chunk::<16>()?;
    let [family, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
    if i32::from(family) != libc::AF_UNSPEC {
        return None;
    }
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let mut link = Link {
        ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
        name: String::new(),
        mac: None,
        mtu: 0,
        up: flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING,
        enabled: flags & IFF_UP != 0,
        arp: flags & IFF_NOARP == 0,
        multicast: flags & IFF_MULTICAST != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        kind: String::new(),
        parent: None,
        controller: None,
    };
    for (kind, value) in attributes(rest) {
        match kind {
            IFLA_ADDRESS => link.mac = value.try_into().ok(),
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = number(value)?,
            IFLA_LINK => link.parent = number(value).filter(|i| *i != 0),
            IFLA_MASTER => link.controller = number(value),
            IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = kind.map_or_else(String::new, |(_, value)| text(value));
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// Reads `struct ifaddrmsg` and what follows.
fn address(payload: &[u8]) -> Option<HostAddress> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [_, prefix_len, flags, _, i0, i1, i2, i3] = *header;
    let mut flags = u32::from(flags);
    let (mut local, mut address, mut protocol) = (None, None, 0);
    for (kind, value) in attributes(rest) {
        match kind {
            IFA_ADDRESS => address = ip(value),
            IFA_LOCAL => local = ip(value),
            IFA_FLAGS => flags = number(value)?,
            IFA_PROTO => protocol = value.first().copied().unwrap_or(0),
            _ => {}
        }
    }
    let ip = local.or(address)?;
    Some(HostAddress {
        ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
        ip,
        prefix_len,
        peer: address.filter(|a| *a != ip),
        flags,
        protocol,
    })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(value).map(IpAddr::from).ok();
    let v6 = || <[u8; 16]>::try_from(value).map(IpAddr::from).ok();
    v4().or_else(v6)
}
