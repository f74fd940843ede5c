//! Makes links, addresses and routes: the few kinds that a virtual network needs.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use lvs_core::Ip;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
    RouteVia,
};

use super::connection::Connection;
use super::message::{family, std_ip};
use crate::route::Mac;

/// Changes the network of one namespace.
#[derive(Debug)]
pub struct Config(Connection);

/// One end of a pair of virtual Ethernet interfaces.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct VethEnd<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its Ethernet address; the kernel picks one if `None`.
    pub mac: Option<Mac>,
    /// The network namespace it goes to, a descriptor of `/proc/…/ns/net`; the configured one if `None`.
    pub namespace: Option<BorrowedFd<'a>>,
}

impl Config {
    /// For the calling thread's network namespace.
    pub fn new() -> io::Result<Self> {
        Connection::open().map(Self)
    }

    /// Makes a pair of virtual Ethernet interfaces, both switched off.
    pub fn veth(&mut self, end: VethEnd<'_>, other: VethEnd<'_>, mtu: u32) -> io::Result<()> {
        let message = |end: VethEnd<'_>| {
            let mut m = LinkMessage::default();
            m.attributes.push(LinkAttribute::IfName(end.name.into()));
            m.attributes.push(LinkAttribute::Mtu(mtu));
            let mac = end.mac.map(|m| LinkAttribute::Address(m.0.into()));
            m.attributes.extend(mac);
            let namespace = end.namespace.map(|n| LinkAttribute::NetNsFd(n.as_raw_fd()));
            m.attributes.extend(namespace);
            m
        };
        let peer = InfoData::Veth(InfoVeth::Peer(message(other)));
        self.create(
            message(end),
            vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(peer)],
        )
    }

    /// Makes a bridge, switched off.
    pub fn bridge(&mut self, name: &str) -> io::Result<()> {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::IfName(name.into()));
        self.create(m, vec![LinkInfo::Kind(InfoKind::Bridge)])
    }

    /// Has the kernel undo IPIP tunnels: makes an interface of that kind, called `name`, that takes any
    /// sender's packets. `EEXIST` if there is one already (the kernel's module brings `tunl0` along),
    /// `EOPNOTSUPP` if the kernel cannot do it.
    pub fn ipip(&mut self, name: &str) -> io::Result<()> {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::IfName(name.into()));
        self.create(m, vec![LinkInfo::Kind(InfoKind::IpIp)])
    }

    /// Removes an interface; of a pair of virtual Ethernet interfaces the other end goes too.
    pub fn delete(&mut self, name: &str) -> io::Result<()> {
        let m = self.link(name)?;
        self.0.request(RouteNetlinkMessage::DelLink(m), 0)
    }

    /// The kernel's number of an interface.
    pub fn ifindex(&mut self, name: &str) -> io::Result<u32> {
        self.link(name).map(|m| m.header.index)
    }

    /// Switches an interface on or off.
    pub fn set_up(&mut self, name: &str, up: bool) -> io::Result<()> {
        let mut m = self.link(name)?;
        m.header.change_mask = LinkFlags::Up;
        m.header.flags = if up {
            LinkFlags::Up
        } else {
            LinkFlags::empty()
        };
        self.0.request(RouteNetlinkMessage::SetLink(m), 0)
    }

    /// Makes an interface part of a bridge.
    pub fn set_bridge(&mut self, name: &str, bridge: &str) -> io::Result<()> {
        let bridge = self.ifindex(bridge)?;
        self.set(name, LinkAttribute::Controller(bridge))
    }

    /// Sets the longest IP packet an interface carries.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> io::Result<()> {
        self.set(name, LinkAttribute::Mtu(mtu))
    }

    /// Gives an interface an Ethernet address.
    pub fn set_mac(&mut self, name: &str, mac: Mac) -> io::Result<()> {
        self.set(name, LinkAttribute::Address(mac.0.into()))
    }

    /// Gives an interface an IP address. Duplicates of an IPv6 address are not looked for, and it may be bound to at once;
    /// but the kernel routes to it only a moment later, when it gets round to that.
    pub fn add_address(&mut self, name: &str, ip: Ip, prefix_len: u8) -> io::Result<()> {
        let m = self.address(name, ip, prefix_len)?;
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.0.request(RouteNetlinkMessage::NewAddress(m), flags)
    }

    /// Takes an IP address from an interface.
    pub fn remove_address(&mut self, name: &str, ip: Ip, prefix_len: u8) -> io::Result<()> {
        let m = self.address(name, ip, prefix_len)?;
        self.0.request(RouteNetlinkMessage::DelAddress(m), 0)
    }

    /// Adds a route to the main table, through a gateway, by an interface, or both. With neither, its
    /// packets are refused as unreachable.
    pub fn add_route(
        &mut self,
        (dst, prefix_len): (Ip, u8),
        gateway: Option<Ip>,
        name: Option<&str>,
    ) -> io::Result<()> {
        let m = self.route((dst, prefix_len), gateway, name)?;
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.0.request(RouteNetlinkMessage::NewRoute(m), flags)
    }

    /// Removes a route from the main table.
    pub fn remove_route(
        &mut self,
        (dst, prefix_len): (Ip, u8),
        gateway: Option<Ip>,
        name: Option<&str>,
    ) -> io::Result<()> {
        let m = self.route((dst, prefix_len), gateway, name)?;
        self.0.request(RouteNetlinkMessage::DelRoute(m), 0)
    }

    /// Adds a neighbour for good, so that it is never looked for.
    pub fn add_neighbour(&mut self, name: &str, ip: Ip, mac: Mac) -> io::Result<()> {
        let mut m = NeighbourMessage::default();
        m.header.family = family(ip);
        m.header.ifindex = self.ifindex(name)?;
        m.header.state = NeighbourState::Permanent;
        m.attributes = vec![
            NeighbourAttribute::Destination(std_ip(ip).into()),
            NeighbourAttribute::LinkLayerAddress(mac.0.into()),
        ];
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.0.request(RouteNetlinkMessage::NewNeighbour(m), flags)
    }

    fn create(&mut self, mut m: LinkMessage, info: Vec<LinkInfo>) -> io::Result<()> {
        m.attributes.push(LinkAttribute::LinkInfo(info));
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.0.request(RouteNetlinkMessage::NewLink(m), flags)
    }

    fn set(&mut self, name: &str, attribute: LinkAttribute) -> io::Result<()> {
        let mut m = self.link(name)?;
        m.attributes.push(attribute);
        self.0.request(RouteNetlinkMessage::SetLink(m), 0)
    }

    /// The start of a message about an existing interface.
    fn link(&mut self, name: &str) -> io::Result<LinkMessage> {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::IfName(name.into()));
        match self.0.get(RouteNetlinkMessage::GetLink(m))? {
            Some(RouteNetlinkMessage::NewLink(found)) => {
                let mut m = LinkMessage::default();
                m.header.index = found.header.index;
                Ok(m)
            }
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("no interface {name}"),
            )),
        }
    }

    fn address(&mut self, name: &str, ip: Ip, prefix_len: u8) -> io::Result<AddressMessage> {
        let mut m = AddressMessage::default();
        m.header.family = family(ip);
        m.header.prefix_len = prefix_len;
        m.header.scope = AddressScope::Universe;
        m.header.index = self.ifindex(name)?;
        m.attributes = vec![
            AddressAttribute::Local(std_ip(ip)),
            AddressAttribute::Address(std_ip(ip)),
        ];
        if !ip.is_v4() {
            m.header.flags = AddressHeaderFlags::Nodad;
            m.attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        Ok(m)
    }

    fn route(
        &mut self,
        (dst, prefix_len): (Ip, u8),
        gateway: Option<Ip>,
        name: Option<&str>,
    ) -> io::Result<RouteMessage> {
        let mut m = RouteMessage::default();
        m.header.address_family = family(dst);
        m.header.destination_prefix_length = prefix_len;
        m.header.table = RouteHeader::RT_TABLE_MAIN;
        m.header.protocol = RouteProtocol::Static;
        m.header.kind = match (gateway, name) {
            (None, None) => RouteType::Unreachable,
            _ => RouteType::Unicast,
        };
        if gateway.is_none() && dst.is_v4() && name.is_some() {
            m.header.scope = RouteScope::Link;
        }
        if prefix_len > 0 {
            let dst = RouteAddress::from(std_ip(dst));
            m.attributes.push(RouteAttribute::Destination(dst));
        }
        m.attributes.extend(gateway.map(|g| match std_ip(g) {
            std::net::IpAddr::V6(g) if dst.is_v4() => RouteAttribute::Via(RouteVia::Inet6(g)),
            g => RouteAttribute::Gateway(g.into()),
        }));
        if let Some(name) = name {
            m.attributes.push(RouteAttribute::Oif(self.ifindex(name)?));
        }
        Ok(m)
    }
}
