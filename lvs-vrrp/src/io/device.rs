//! Interfaces of a virtual router's own: macvlans with the virtual MAC address, and ipvlans.
//!
//! A macvlan in private mode hears what is sent to its MAC address or to groups and does not hear others on the same interface; so the
//! virtual router's MAC address stands beside the interface's own. It is made without IPv6 addresses of its own: one that was
//! derived from the virtual MAC address would be the same on all routers. What sysctls it needs besides is for the caller to set before
//! it is switched on.

#[cfg(test)]
mod tests;

use std::io;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoIpVlan, InfoKind, InfoMacVlan,
    IpVlanFlags, IpVlanMode, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};

use super::link::{Link, interfaces};
use super::netlink::{Connection, Request};

/// The longest name of an interface (IFNAMSIZ without the final zero).
pub const LONGEST_NAME: usize = 15;

/// An interface to be made on another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Device {
    /// Its name, at most [`LONGEST_NAME`] bytes.
    pub name: String,
    /// The interface that it stands on, by number.
    pub parent: u32,
    /// What it is.
    pub kind: DeviceKind,
    /// The interface group that it is put into, by number.
    pub group: Option<u32>,
}

/// What kind of interface is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these two")]
pub enum DeviceKind {
    /// A macvlan in private mode.
    Macvlan {
        /// Its MAC address.
        mac: [u8; 6],
    },
    /// An ipvlan of layer 2, which has its parent's MAC address.
    Ipvlan(Ipvlan),
}

/// How ipvlans of an interface are connected with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has these three")]
pub enum Ipvlan {
    /// They are.
    #[default]
    Bridge,
    /// They are not.
    Private,
    /// By the switch outside.
    Vepa,
}

impl Device {
    /// What makes it, switched off. Refused if there is an interface of its name.
    pub fn creation(&self) -> Request {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(self.name.clone()),
            LinkAttribute::Link(self.parent),
        ];
        if let Some(group) = self.group {
            message.attributes.push(LinkAttribute::Group(group));
        }
        let (kind, data) = match self.kind {
            DeviceKind::Macvlan { mac } => {
                let mac = LinkAttribute::Address(mac.to_vec());
                message.attributes.push(mac);
                let mode = InfoMacVlan::Mode(MacVlanMode::Private);
                (InfoKind::MacVlan, InfoData::MacVlan(vec![mode]))
            }
            DeviceKind::Ipvlan(connected) => {
                let mode = InfoIpVlan::Mode(IpVlanMode::L2);
                let flags = InfoIpVlan::Flags(match connected {
                    Ipvlan::Bridge => IpVlanFlags::empty(),
                    Ipvlan::Private => IpVlanFlags::Private,
                    Ipvlan::Vepa => IpVlanFlags::Vepa,
                });
                (InfoKind::IpVlan, InfoData::IpVlan(vec![mode, flags]))
            }
        };
        let info = vec![LinkInfo::Kind(kind), LinkInfo::Data(data)];
        message.attributes.push(LinkAttribute::LinkInfo(info));
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        Request::route(RouteNetlinkMessage::NewLink(message), flags)
    }

    /// Whether an interface that exists is one like this, whatever its name.
    pub fn is_like(&self, link: &Link) -> bool {
        let same = match self.kind {
            DeviceKind::Macvlan { mac } => link.kind == "macvlan" && link.mac == Some(mac),
            DeviceKind::Ipvlan(_) => link.kind == "ipvlan" && link.name == self.name,
        };
        same && link.parent == Some(self.parent)
    }
}

/// Has no IPv6 addresses made for an interface that is switched off (addr_gen_mode none). `EAFNOSUPPORT` where there is no IPv6.
pub fn without_own_addresses(connection: &mut Connection, ifindex: u32) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let families = vec![AfSpecUnspec::Inet6(vec![mode])];
    message.attributes = vec![LinkAttribute::AfSpecUnspec(families)];
    connection.request(&Request::route(RouteNetlinkMessage::SetLink(message), 0))
}

/// Switches an interface on.
pub fn switch_on(connection: &mut Connection, ifindex: u32) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    connection.request(&Request::route(RouteNetlinkMessage::SetLink(message), 0))
}

/// Removes an interface; its addresses and routes go with it. `ENODEV` if it is gone already.
pub fn remove(connection: &mut Connection, ifindex: u32) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    connection.request(&Request::route(RouteNetlinkMessage::DelLink(message), 0))
}

/// The number of an interface; `None` if there is none of that name.
pub fn number_of(connection: &mut Connection, name: &str) -> io::Result<Option<u32>> {
    let all = interfaces(connection)?;
    Ok(all.iter().find(|l| l.name == name).map(|l| l.ifindex))
}

/// A name for a virtual router's interface, as keepalived makes them: `PREFIX.VRID`; if that is taken, of IPv6 `PREFIX6.VRID`; then
/// `PREFIX1.VRID`, `PREFIX2.VRID` and so on. `None` if none is free or the prefix leaves no room.
pub fn name_of(prefix: &str, vrid: u8, v6: bool, taken: impl Fn(&str) -> bool) -> Option<String> {
    let plain = std::iter::once(String::new());
    let family = v6.then(|| "6".to_owned());
    let numbers = (1..=u8::MAX).map(|n| n.to_string());
    plain
        .chain(family)
        .chain(numbers)
        .map(|mark| format!("{prefix}{mark}.{vrid}"))
        .find(|name| name.len() <= LONGEST_NAME && !taken(name))
}
