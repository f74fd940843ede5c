//! Gratuitous ARPs and unsolicited neighbour advertisements as frames on interfaces.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::sys;
use crate::packet::frames;

/// How long a frame waits for room at a busy interface.
const PATIENCE: Duration = Duration::from_millis(100);

/// Sends announcements on all interfaces. Needs `CAP_NET_RAW`.
#[derive(Debug)]
pub struct Announcer {
    socket: Socket,
}

/// An interface that announcements go out on. It must be Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Station {
    /// Its index.
    pub interface: u32,
    /// Its MAC address, where hosts are told to send to.
    pub mac: [u8; 6],
    /// Whether it forwards IPv6 packets, which neighbour advertisements tell hosts.
    pub is_router: bool,
}

impl Announcer {
    /// One that has sent nothing yet.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW`.
    pub fn new() -> io::Result<Self> {
        // Without protocol nothing comes in.
        let socket = Socket::new(Domain::PACKET, Type::RAW.cloexec(), None)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket })
    }

    /// Announces that an address is at a station: an IPv4 address by a gratuitous ARP, an IPv6 address by a neighbour
    /// advertisement. Waits for a tenth of a second at most if the interface has no room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` or `ENOBUFS` if it was busy, `ENETDOWN` if it is switched off, `ENXIO` or `ENODEV` if it is gone.
    pub fn announce(&self, station: Station, addr: IpAddr) -> io::Result<()> {
        match addr {
            IpAddr::V4(ip) => {
                let frame = frames::gratuitous_arp(station.mac, ip);
                self.send(station.interface, libc::ETH_P_ARP, &frame)
            }
            IpAddr::V6(ip) => {
                let frame = frames::unsolicited_na(station.mac, ip, station.is_router);
                self.send(station.interface, libc::ETH_P_IPV6, &frame)
            }
        }
    }

    fn send(&self, ifindex: u32, protocol: libc::c_int, frame: &[u8]) -> io::Result<()> {
        let to = sys::link_address(ifindex, protocol as u16)?;
        loop {
            match self.socket.send_to(frame, &to) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
