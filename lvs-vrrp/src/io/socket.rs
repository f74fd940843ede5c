//! Sockets for advertisements.
//!
//! Virtual routers share sockets: what decides is where advertisements come in, their [`Endpoint`]. A driver opens one
//! [`AdvertSocket`] for each endpoint that its routers have, gives all that comes in to all of them, and sends by the router's
//! own. With the source address or the group bound, no advertisement comes in twice.
//!
//! A socket belongs to an interface, by index. When that is gone so is all use of the socket: sending fails (`ENODEV`,
//! `ENXIO`), nothing comes in, and if the interface comes back it is another one. The driver then opens another socket.
//! Reports of trouble on the way (`ENETDOWN`, `ENOBUFS`, …) are results like others, and the socket goes on.
//!
//! Needs `CAP_NET_RAW`.

mod control;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::{error, fmt, io};

use socket2::{Domain, InterfaceIndexOrAddress, MsgHdr, SockAddr, Socket, Type};

use self::control::Control;
use super::sys;
use crate::config::{Authentication, RouterConfig, Transport};
use crate::packet::Received;

/// Precedence "internetwork control", which keepalived gives its advertisements.
const TYPE_OF_SERVICE: u32 = 0xc0;
/// Before all ordinary packets of a queueing discipline (TC_PRIO_INTERACTIVE; a higher one is a privilege).
const PRIORITY: u32 = 6;
/// RFC 9568 sections 5.1.1.3 and 5.1.2.3.
const HOP_LIMIT: u32 = 255;

/// Where advertisements come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Endpoint {
    /// What they are in.
    pub protocol: Protocol,
    /// The index of the interface: the virtual router's, its virtual interface, or a VRF. Groups need one. Single addresses do
    /// not; with one, nothing else than what comes by it is heard.
    pub interface: Option<NonZeroU32>,
    /// The group, or the host's address that unicast goes to.
    pub local: IpAddr,
}

/// What advertisements are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Protocol {
    /// IP.
    Vrrp,
    /// IPsec AH in IPv4.
    Ah,
}

impl Protocol {
    /// Its number in IP headers.
    pub const fn number(self) -> u8 {
        match self {
            Self::Vrrp => 112,
            Self::Ah => 51,
        }
    }
}

impl Endpoint {
    /// That of a virtual router on an interface. By unicast it has none if it has no source address.
    pub fn of(
        config: &RouterConfig,
        interface: Option<NonZeroU32>,
        source: Option<IpAddr>,
    ) -> Option<Self> {
        let protocol = match config.authentication {
            Authentication::Ah(_) => Protocol::Ah,
            Authentication::None | Authentication::Password(_) => Protocol::Vrrp,
        };
        let local = match config.transport {
            Transport::Multicast { group } => group,
            Transport::Unicast { .. } => source?,
        };
        Some(Self {
            protocol,
            interface,
            local,
        })
    }
}

/// What is to stand in the IPv6 header of an advertisement. IPv4 ones have their header with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct HeaderV6 {
    /// The source: the one its checksum was made with, also if the interface does not have it; `None`: the kernel's choice.
    pub source: Option<Ipv6Addr>,
    /// The hop limit; `None`: 255 for groups, the kernel's otherwise.
    pub hop_limit: Option<u8>,
}

/// A socket for the advertisements of an endpoint. Nothing that it does waits.
#[derive(Debug)]
pub struct AdvertSocket {
    socket: Socket,
    endpoint: Endpoint,
}

impl AdvertSocket {
    /// Opens a socket.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` for a group if there is no such interface, `EADDRNOTAVAIL` if the host does not have
    /// the address, `EINVAL` for a group without interface and for AH over IPv6.
    pub fn open(endpoint: Endpoint) -> Result<Self, OpenError> {
        let domain = match endpoint.local {
            IpAddr::V4(_) => Domain::IPV4,
            IpAddr::V6(_) if endpoint.protocol == Protocol::Ah => {
                return Err(invalid("AH over IPv6"));
            }
            IpAddr::V6(_) => Domain::IPV6,
        };
        let ifindex = endpoint.interface.map_or(0, NonZeroU32::get);
        if endpoint.local.is_multicast() && ifindex == 0 {
            return Err(invalid("a group without interface"));
        }
        let protocol = i32::from(endpoint.protocol.number()).into();
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = step("socket", Socket::new(domain, kind, Some(protocol)))?;
        // Before it is bound, all packets of the protocol come in; those that did are read away at the end.
        if ifindex != 0 {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX);
            let bound = sys::set_number(&socket, level, name, ifindex as libc::c_int);
            step("SO_BINDTOIFINDEX", bound)?;
        }
        match endpoint.local {
            IpAddr::V4(local) => prepare_v4(&socket, local, ifindex)?,
            IpAddr::V6(local) => prepare_v6(&socket, local, ifindex)?,
        }
        // Types of service bring priorities of their own with them: so this is the last.
        step("SO_PRIORITY", socket.set_priority(PRIORITY))?;
        let socket = Self { socket, endpoint };
        socket.drain();
        Ok(socket)
    }

    /// What it was opened for.
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Gives room for so many bytes of packets that have come in and are not read yet. The kernel doubles it, for what it
    /// needs with each packet. Without the privilege to have more, it is no more than `net.core.rmem_max`.
    pub fn set_receive_buffer(&self, bytes: u32) -> io::Result<()> {
        let number = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        let (level, forced) = (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
        sys::set_number(&self.socket, level, forced, number)
            .or_else(|_| sys::set_number(&self.socket, level, libc::SO_RCVBUF, number))
    }

    /// The next advertisement that has come in, if one has. What is longer than the buffer is cut off.
    pub fn recv<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<Received<'b>>> {
        let mut control = [0; Control::ROOM];
        let arrival = loop {
            match sys::receive(&self.socket, buffer, &mut control) {
                Ok(arrival) => break arrival,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        };
        let bytes = buffer.get(..arrival.length).unwrap_or_default();
        let control = control.get(..arrival.control).unwrap_or_default();
        Ok(match self.endpoint.local {
            IpAddr::V4(_) => received_v4(bytes),
            IpAddr::V6(_) => arrival.from.map(|from| received_v6(bytes, from, control)),
        })
    }

    /// Sends an advertisement: IPv4 from its IP header on, IPv6 from its VRRP header on.
    ///
    /// # Errors
    ///
    /// `WouldBlock` or `ENOBUFS` if the interface is busy, `ENETDOWN` or `ENETUNREACH` if it is switched off or no route leads to
    /// the peer, `ENODEV` or `ENXIO` if it is gone.
    pub fn send(&self, to: IpAddr, bytes: &[u8], header: HeaderV6) -> io::Result<()> {
        let ifindex = self.endpoint.interface.map_or(0, NonZeroU32::get);
        let (to, control) = match to {
            IpAddr::V4(to) => (SocketAddr::from((to, 0)), Control::default()),
            IpAddr::V6(to) => {
                let scope = if is_link_local(to) { ifindex } else { 0 };
                let to = SocketAddrV6::new(to, 0, 0, scope);
                (to.into(), Control::of(header, ifindex))
            }
        };
        // Groups are on the link, whatever the routes say.
        let flags = if to.ip().is_multicast() {
            libc::MSG_DONTROUTE
        } else {
            0
        };
        let to = SockAddr::from(to);
        let buffers = [io::IoSlice::new(bytes)];
        let message = MsgHdr::new().with_addr(&to).with_buffers(&buffers);
        let message = match control.as_bytes() {
            [] => message,
            bytes => message.with_control(bytes),
        };
        loop {
            match self.socket.sendmsg(&message, flags | libc::MSG_DONTWAIT) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn drain(&self) {
        let mut waiting = 0..10_000;
        while waiting.next().is_some() && sys::receive(&self.socket, &mut [], &mut []).is_ok() {}
    }
}

impl AsFd for AdvertSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for AdvertSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Why a socket could not be opened.
#[derive(Debug)]
pub struct OpenError {
    step: &'static str,
    cause: io::Error,
}

impl OpenError {
    /// What the system said.
    pub const fn cause(&self) -> &io::Error {
        &self.cause
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)
    }
}

impl error::Error for OpenError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.cause)
    }
}

fn prepare_v4(socket: &Socket, local: Ipv4Addr, ifindex: u32) -> Result<(), OpenError> {
    step("IP_HDRINCL", socket.set_header_included_v4(true))?;
    step("IP_MULTICAST_ALL", socket.set_multicast_all_v4(false))?;
    step("IP_MULTICAST_LOOP", socket.set_multicast_loop_v4(false))?;
    step("IP_TOS", socket.set_tos_v4(TYPE_OF_SERVICE))?;
    if local.is_multicast() {
        let interface = InterfaceIndexOrAddress::Index(ifindex);
        let joined = socket.join_multicast_v4_n(&local, &interface);
        step("IP_ADD_MEMBERSHIP", joined)?;
        let by = sys::set_multicast_interface_v4(socket, ifindex);
        step("IP_MULTICAST_IF", by)?;
    }
    let bound = socket.bind(&SocketAddr::from((local, 0)).into());
    step("bind", bound)
}

fn prepare_v6(socket: &Socket, local: Ipv6Addr, ifindex: u32) -> Result<(), OpenError> {
    let level = libc::IPPROTO_IPV6;
    step("IPV6_MULTICAST_ALL", socket.set_multicast_all_v6(false))?;
    step("IPV6_MULTICAST_LOOP", socket.set_multicast_loop_v6(false))?;
    step("IPV6_TCLASS", socket.set_tclass_v6(TYPE_OF_SERVICE))?;
    step("IPV6_RECVHOPLIMIT", socket.set_recv_hoplimit_v6(true))?;
    let wants_destination = sys::set_number(socket, level, libc::IPV6_RECVPKTINFO, 1);
    step("IPV6_RECVPKTINFO", wants_destination)?;
    if local.is_multicast() {
        let joined = socket.join_multicast_v6(&local, ifindex);
        step("IPV6_ADD_MEMBERSHIP", joined)?;
        step("IPV6_MULTICAST_IF", socket.set_multicast_if_v6(ifindex))?;
        let hops = socket.set_multicast_hops_v6(HOP_LIMIT);
        step("IPV6_MULTICAST_HOPS", hops)?;
    }
    let scope = if is_link_local(local) { ifindex } else { 0 };
    let bound = socket.bind(&SocketAddrV6::new(local, 0, 0, scope).into());
    step("bind", bound)?;
    // A virtual interface sends with the address of the one below. Binding is meant to fail without the address.
    step("IPV6_FREEBIND", socket.set_freebind_v6(true))
}

/// What an IPv4 header says; nothing if there is none, which the kernel sees to.
fn received_v4(bytes: &[u8]) -> Option<Received<'_>> {
    let header: &[u8; 20] = bytes.first_chunk()?;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    Some(Received {
        from: Ipv4Addr::new(s0, s1, s2, s3).into(),
        to: Some(Ipv4Addr::new(d0, d1, d2, d3).into()),
        hop_limit: Some(header[8]),
        bytes,
    })
}

fn received_v6<'b>(bytes: &'b [u8], from: Ipv6Addr, control: &[u8]) -> Received<'b> {
    let (to, hop_limit) = control::destination_and_hop_limit(control);
    Received {
        from: from.into(),
        to: to.map(IpAddr::V6),
        hop_limit,
        bytes,
    }
}

/// Whether an address means something only together with an interface.
const fn is_link_local(addr: Ipv6Addr) -> bool {
    let [first, second, ..] = addr.octets();
    matches!((first, second & 0x0f), (0xff, 1 | 2)) || addr.is_unicast_link_local()
}

fn step<T>(step: &'static str, result: io::Result<T>) -> Result<T, OpenError> {
    result.map_err(|cause| OpenError { step, cause })
}

fn invalid(step: &'static str) -> OpenError {
    let cause = io::Error::from_raw_os_error(libc::EINVAL);
    OpenError { step, cause }
}
