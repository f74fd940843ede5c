//! The packet-socket port: frames straight from and to an interface.
//!
//! Two sockets an interface. One receives through a ring shared with the kernel, one only sends, so that
//! nothing queues up behind it. Both carry a header of checksum and segmentation state with each frame
//! (`PACKET_VNET_HDR`), without which partial checksums would go out as final ones and aggregates not at all.
//!
//! A frame is copied out of its ring slot into the burst, which frees the slot at once; slots are small. An
//! aggregate too big for a slot waits in the socket's queue and is received straight into the burst's frame.
//! So every byte is copied once, and the ring holds thousands of small packets in a few megabytes.
//!
//! Several workers share an interface through a fan-out group ([`PacketPort::open_group`]).

mod device;
mod ring;
mod socket;
mod tap;
mod tx;

use std::os::fd::{AsFd, BorrowedFd};
use std::{fmt, io};

pub use device::Device;
pub use tap::Tap;

use self::ring::Ring;
use self::socket::Socket;
use self::tx::Transmitter;
use super::bpf::Program;
use super::{Port, Sent};
use crate::frame::{Burst, Frame, Offload, Packet, PortId};
use crate::route::Mac;

/// How a packet port is opened.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct PacketConfig<'a> {
    /// The interface; must be Ethernet.
    pub device: &'a Device,
    /// The port's number.
    pub port: PortId,
    /// How many frames of up to about 1900 bytes the ring holds; 2 KiB each. Rounded up to a multiple of 32.
    pub slots: usize,
    /// Chooses the frames to receive, [`Guard::filter`](super::bpf::Guard::filter). Without one all are.
    pub filter: Option<&'a Program>,
    /// Send past the queueing discipline. Saves a little, but nothing queues when the network card is
    /// busy, and capture tools do not see what is sent.
    pub qdisc_bypass: bool,
    /// How frames are given back to the host, [`Guard::return_mark`](super::bpf::Guard::return_mark). Without it
    /// they are not.
    pub return_mark: Option<u32>,
}

impl<'a> PacketConfig<'a> {
    /// Room for a few milliseconds at full rate: 8 MiB.
    pub const DEFAULT_SLOTS: usize = 4096;

    /// The usual settings.
    pub fn new(device: &'a Device, port: PortId) -> Self {
        Self {
            device,
            port,
            slots: Self::DEFAULT_SLOTS,
            filter: None,
            qdisc_bypass: false,
            return_mark: None,
        }
    }
}

/// Why a port cannot be opened: what was tried on which interface, and what the kernel said.
#[derive(Debug)]
pub struct OpenError {
    device: String,
    step: &'static str,
    source: io::Error,
}

impl OpenError {
    /// The system or socket call that failed.
    pub fn step(&self) -> &'static str {
        self.step
    }

    /// Whether a privilege is missing (`CAP_NET_RAW` in the network namespace's user namespace).
    pub fn is_permission(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.device, self.step, self.source)?;
        if self.is_permission() {
            f.write_str(" (needs CAP_NET_RAW)")?;
        }
        Ok(())
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// What a port has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Statistics {
    /// Frames the kernel had for the port, those it dropped included.
    pub packets: u64,
    /// Frames the kernel dropped because the ring was full (or could not describe).
    pub dropped: u64,
    /// Frames lost because they fit neither a slot nor the queue for big ones, or are beyond the largest frame.
    pub truncated: u64,
    /// Frames of a VLAN, which belong to another interface.
    pub tagged: u64,
    /// Frames on their way out, which the kernel should not have shown.
    pub outgoing: u64,
}

/// One interface, by way of packet sockets.
///
/// [`AsFd`] gives the descriptor to poll for reading.
#[derive(Debug)]
pub struct PacketPort {
    id: PortId,
    device: Device,
    // Before the socket, so that the ring is unmapped first.
    ring: Ring,
    rx: Socket,
    tx: Transmitter,
    /// To the host.
    back: Option<Transmitter>,
    statistics: Statistics,
    /// How many times in a row nothing was there.
    empty: u32,
}

/// After so many empty rounds the socket is asked whether it has an error to report: one left pending
/// would end every wait at once.
const EMPTY_ROUNDS: u32 = 16;

impl PacketPort {
    /// Opens an interface. It receives from now on.
    pub fn open(config: &PacketConfig<'_>) -> Result<Self, OpenError> {
        let device = config.device;
        let fail = |(step, source)| OpenError {
            device: device.name.clone(),
            step,
            source,
        };
        if !device.ethernet {
            let why = io::Error::new(io::ErrorKind::Unsupported, "not an Ethernet interface");
            return Err(fail(("SIOCGIFHWADDR", why)));
        }
        let rx = Socket::new().map_err(fail)?;
        let ring = rx.start_receiving(device.index, config.slots, config.filter);
        let tx = Transmitter::new(device.index, config.qdisc_bypass);
        let back = config
            .return_mark
            .map(|mark| Transmitter::to_host(device.index, mark));
        Ok(Self {
            id: config.port,
            device: device.clone(),
            ring: ring.map_err(fail)?,
            rx,
            tx: tx.map_err(fail)?,
            back: back.transpose().map_err(fail)?,
            statistics: Statistics::default(),
            empty: 0,
        })
    }

    /// Opens an interface once for each of several workers; each frame goes to one of them, the `n`th
    /// port belonging to worker `n`. A [steering program](super::bpf::steer) says to which; without one
    /// the kernel hashes the flow, so that the two directions of a NAT connection meet different workers. The
    /// ports must live equally long: when one is dropped its place is taken by the last.
    pub fn open_group(
        config: &PacketConfig<'_>,
        workers: usize,
        steering: Option<&Program>,
    ) -> Result<Vec<Self>, OpenError> {
        let mut ports = Vec::with_capacity(workers.max(1));
        ports.push(Self::open(config)?);
        if workers > 1 {
            let fail = |(step, source)| OpenError {
                device: config.device.name.clone(),
                step,
                source,
            };
            let group = ports[0].rx.create_group(steering).map_err(fail)?;
            for _ in 1..workers {
                let port = Self::open(config)?;
                port.rx.join_group(group).map_err(fail)?;
                ports.push(port);
            }
        }
        Ok(ports)
    }

    /// The interface as it was when the port was opened.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Receives frames to a group address as well. The membership ends with the port.
    pub fn join_multicast(&self, group: Mac) -> io::Result<()> {
        self.rx.join_multicast(self.device.index, group)
    }

    /// What has been counted so far.
    pub fn statistics(&mut self) -> io::Result<Statistics> {
        let (packets, dropped) = self.rx.take_statistics()?;
        self.statistics.packets += u64::from(packets);
        self.statistics.dropped += u64::from(dropped);
        Ok(self.statistics)
    }

    /// Gives frames back to the host, as if they had just come in. The [guard](super::bpf::Guard) must be attached, or
    /// they go out to the network. Without [`PacketConfig::return_mark`] they are lost.
    pub fn give_back(&mut self, packets: &mut dyn Iterator<Item = Packet<'_>>) -> Sent {
        match &mut self.back {
            Some(back) => back.transmit(packets),
            None => Sent {
                sent: 0,
                failed: packets.count(),
            },
        }
    }

    /// Takes the next slot's frame. `None` if there is none; otherwise whether the frame counts.
    fn take(&mut self, into: &mut Frame) -> Option<bool> {
        let slot = self.ring.next()?;
        let offload = slot.offload();
        let counter = if slot.is_outgoing() {
            Some(&mut self.statistics.outgoing)
        } else if slot.vlan().is_some_and(|vid| vid != 0) {
            Some(&mut self.statistics.tagged)
        } else {
            None
        };
        let queued = slot.is_queued();
        let mut whole = queued || {
            let bytes = slot.frame().filter(|_| counter.is_none());
            bytes.is_some_and(|bytes| into.fill(bytes, offload, self.id))
        };
        drop(slot);
        if queued {
            whole = self.rx.receive_big(into, self.id);
        }
        match counter {
            Some(counter) => *counter += 1,
            None if !whole => self.statistics.truncated += 1,
            None => return Some(true),
        }
        Some(false)
    }
}

impl AsFd for PacketPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.rx.as_fd()
    }
}

impl Port for PacketPort {
    fn id(&self) -> PortId {
        self.id
    }

    /// An error means that the interface went down or away (`ENETDOWN`). It is reported once; if
    /// the interface comes up again, the port goes on.
    fn receive(&mut self, burst: &mut Burst) -> io::Result<usize> {
        let mut added = 0;
        while let Some(frame) = burst.next_free() {
            match self.take(frame) {
                Some(true) => {
                    burst.commit();
                    added += 1;
                }
                Some(false) => {}
                None => break,
            }
        }
        if added > 0 {
            self.empty = 0;
        } else {
            self.empty += 1;
            if self.empty >= EMPTY_ROUNDS {
                self.empty = 0;
                self.rx.take_error()?;
            }
        }
        Ok(added)
    }

    fn transmit(&mut self, packets: &mut dyn Iterator<Item = Packet<'_>>) -> Sent {
        self.tx.transmit(packets)
    }
}

/// Length of `struct virtio_net_hdr`.
pub(super) const VNET_HEADER: usize = 10;

/// Reads `struct virtio_net_hdr`, which is in native byte order.
fn offload_from(h: &[u8; VNET_HEADER]) -> Offload {
    let word = |i: usize| u16::from_ne_bytes([h[i], h[i + 1]]);
    Offload {
        flags: h[0],
        gso_type: h[1],
        hdr_len: word(2),
        gso_size: word(4),
        csum_start: word(6),
        csum_offset: word(8),
    }
}

/// Writes `struct virtio_net_hdr`.
pub(super) fn offload_to(o: &Offload) -> [u8; VNET_HEADER] {
    let [a, b] = o.hdr_len.to_ne_bytes();
    let [c, d] = o.gso_size.to_ne_bytes();
    let [e, f] = o.csum_start.to_ne_bytes();
    let [g, h] = o.csum_offset.to_ne_bytes();
    [o.flags, o.gso_type, a, b, c, d, e, f, g, h]
}
