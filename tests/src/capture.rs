//! What was seen on the wire: tcpdump in any namespace, read back as packets.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use etherparse::{IpNumber, NetSlice, SlicedPacket, TransportSlice};

use crate::command::run;
use crate::node::Node;
use crate::process::Process;

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
}

/// One captured frame, and what it says.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When it was seen, since 1970.
    pub at: Duration,
    /// The frame from its Ethernet header on.
    pub frame: Vec<u8>,
    /// The IP packet in it, if it is one.
    pub ip: Option<IpPacket>,
}

/// An IP packet.
#[derive(Clone, Debug)]
pub struct IpPacket {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Protocol number of the payload, behind IPv6 extension headers.
    pub protocol: IpNumber,
    /// What the payload is.
    pub payload: Payload,
}

/// The payload of an IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// TCP.
    Tcp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
        /// RST is set.
        rst: bool,
        /// SYN is set.
        syn: bool,
    },
    /// UDP.
    Udp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP or ICMPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four bytes behind the checksum: unused, or an MTU.
        rest: u32,
    },
    /// A later fragment, or anything else.
    Other,
}

impl Payload {
    /// The MTU in an ICMP "fragmentation needed" or "packet too big".
    pub fn too_big(&self) -> Option<u32> {
        match *self {
            Self::Icmp {
                kind: 3,
                code: 4,
                rest,
            } => Some(rest & 0xffff),
            Self::Icmp {
                kind: 2,
                code: 0,
                rest,
            } => Some(rest),
            _ => None,
        }
    }
}

impl Capture {
    /// Records what `dev` of `node` sends or is sent (not what a switch floods), if it matches `filter` (pcap
    /// syntax).
    ///
    /// # Panics
    /// If tcpdump cannot.
    pub fn start(node: &Node, dev: &str, filter: &str) -> Self {
        let file = node.file(&format!("{dev}.pcap"));
        let path = file.to_str().expect("a path in UTF-8");
        let options = "-n -p -U --immediate-mode -B 32768 -s 2048 -Z root -i";
        let argv: Vec<_> = ["tcpdump"]
            .into_iter()
            .chain(options.split(' '))
            .chain([dev, "-w", path, filter])
            .collect();
        let mut tcpdump = node.start("tcpdump", &argv);
        tcpdump.await_saying("listening on");
        Self { tcpdump, file }
    }

    /// Ends the capture, after a moment without stragglers, and returns what was seen.
    ///
    /// # Panics
    /// If tcpdump missed something.
    pub fn stop(mut self) -> Vec<Packet> {
        let mut length = None;
        while length != Some(self.length()) {
            length = Some(self.length());
            thread::sleep(Duration::from_millis(300));
        }
        self.tcpdump.signal("INT");
        self.tcpdump.await_end();
        let said = self.tcpdump.said();
        assert!(
            said.contains("\n0 packets dropped by kernel"),
            "the capture is incomplete: {said}"
        );
        self.so_far()
    }

    /// What has been seen up to now.
    ///
    /// # Panics
    /// If tcpdump has not written its file.
    pub fn so_far(&self) -> Vec<Packet> {
        read(&fs::read(&self.file).expect("tcpdump has written its file"))
    }

    /// Frames up to now that tshark's dissector finds malformed or wrongly summed, one a line.
    ///
    /// # Panics
    /// If tshark cannot read the capture.
    pub fn faults(&self) -> String {
        let sums = ["ip", "icmpv6", "vrrp"].map(|p| format!(" || {p}.checksum.status == Bad"));
        let wrong = format!(
            "_ws.malformed || _ws.expert.severity == Error{}",
            sums.concat()
        );
        let file = self.file.to_str().expect("a path in UTF-8");
        let options = ["-n", "-V", "-o", "ip.check_checksum:TRUE", "-Y", &wrong];
        run(&[&["tshark", "-r", file], options.as_slice()].concat())
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |file| file.len())
    }
}

/// Reads a pcap file of this machine's byte order.
fn read(file: &[u8]) -> Vec<Packet> {
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;
    let mut packets = Vec::new();
    let mut rest = file.get(FILE_HEADER..).unwrap_or_default();
    while let Some((header, body)) = rest.split_at_checked(RECORD_HEADER) {
        let field = |i: usize| header[i..i + 4].try_into().expect("four bytes");
        let [seconds, micros, length, _] = [0, 4, 8, 12].map(|i| u32::from_ne_bytes(field(i)));
        // The last one may not be whole yet.
        let Some((frame, next)) = body.split_at_checked(length as usize) else {
            break;
        };
        let at = Duration::new(seconds.into(), micros * 1000);
        packets.push(Packet::new(at, frame));
        rest = next;
    }
    packets
}

impl Packet {
    fn new(at: Duration, frame: &[u8]) -> Self {
        Self {
            at,
            frame: frame.to_vec(),
            ip: IpPacket::parse(frame),
        }
    }

    /// Whether this is a TCP segment with RST.
    pub fn is_rst(&self) -> bool {
        matches!(self.payload(), Some(Payload::Tcp { rst: true, .. }))
    }

    /// Whether this is ICMP of that type and code.
    pub fn is_icmp(&self, kind: u8, code: u8) -> bool {
        matches!(self.payload(), Some(Payload::Icmp { kind: k, code: c, .. }) if (*k, *c) == (kind, code))
    }

    /// The payload, if it is an IP packet.
    pub fn payload(&self) -> Option<&Payload> {
        self.ip.as_ref().map(|ip| &ip.payload)
    }

    /// Whether it comes from or goes to `ip`.
    pub fn involves(&self, ip: IpAddr) -> bool {
        self.ip.as_ref().is_some_and(|p| p.src == ip || p.dst == ip)
    }
}

impl IpPacket {
    fn parse(frame: &[u8]) -> Option<Self> {
        let sliced = SlicedPacket::from_ethernet(frame).ok()?;
        let (src, dst, ttl, protocol) = match sliced.net.as_ref()? {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    header.ttl(),
                    ip.payload().ip_number,
                )
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    header.hop_limit(),
                    ip.payload().ip_number,
                )
            }
            NetSlice::Arp(_) => return None,
        };
        let payload = match &sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => Payload::Tcp {
                src: tcp.source_port(),
                dst: tcp.destination_port(),
                rst: tcp.rst(),
                syn: tcp.syn(),
            },
            Some(TransportSlice::Udp(udp)) => Payload::Udp {
                src: udp.source_port(),
                dst: udp.destination_port(),
            },
            Some(TransportSlice::Icmpv4(icmp)) => Payload::icmp(icmp.slice()),
            Some(TransportSlice::Icmpv6(icmp)) => Payload::icmp(icmp.slice()),
            Some(TransportSlice::Igmp(_)) | None => Payload::Other,
        };
        Some(Self {
            src,
            dst,
            ttl,
            protocol,
            payload,
        })
    }
}

impl Payload {
    fn icmp(message: &[u8]) -> Self {
        match *message {
            [kind, code, _, _, a, b, c, d, ..] => Self::Icmp {
                kind,
                code,
                rest: u32::from_be_bytes([a, b, c, d]),
            },
            _ => Self::Other,
        }
    }
}

/// Frames that occur more than once: the marks of a stray twin, as long as nobody retransmits.
///
/// Only TCP is looked at, by what identifies a segment whatever link it is on.
pub fn duplicates(packets: &[Packet]) -> Vec<&Packet> {
    const ETHERNET: usize = 14;
    let mut seen = std::collections::HashSet::new();
    packets
        .iter()
        .filter(|p| matches!(p.payload(), Some(Payload::Tcp { .. })))
        .filter(|p| !seen.insert(&p.frame[ETHERNET..]))
        .collect()
}
