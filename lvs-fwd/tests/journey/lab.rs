//! A director between two links in memory, and packets made by other hands: etherparse's.
//!
//! ```text
//! client ── gateway ──[port 0] director [port 1]── servers 1, 2
//! ```

#![allow(dead_code, reason = "shared by several test programs")]

use lvs_core::DestOptions;
use lvs_core::ServiceOptions;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder, TcpHeader, UdpHeader,
};
use lvs_core::{
    ConfigError, Director, DropReason, Endpoint, Family, Ip, LocalAddr, Method, PassReason,
    Protocol, ServiceKey, Settings, Time,
};
use lvs_fwd::classify::{Classifier, Rule};
use lvs_fwd::counters::Counts;
use lvs_fwd::frag::FragMemory;
use lvs_fwd::frame::{Burst, Offload, Outputs, PortId};
use lvs_fwd::helper::Helpers;
use lvs_fwd::io::Port;
use lvs_fwd::io::mem::{Handle, MemFrame, MemPort};
use lvs_fwd::pipeline::{Pipeline, Shared};
use lvs_fwd::route::{Interface, Mac, Route, Topology, TopologyBuilder};

pub(crate) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
pub(crate) const PROTOCOLS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];
pub(crate) const METHODS: [Method; 4] = [
    Method::Nat,
    Method::DirectRoute,
    Method::Tunnel,
    Method::FullNat,
];

/// Ports.
pub(crate) const WAN: usize = 0;
pub(crate) const LAN: usize = 1;

pub(crate) const WAN_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
pub(crate) const LAN_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x11]);
pub(crate) const GATEWAY_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x20]);
pub(crate) const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x31]);

fn ip(family: Family, v4: &str, v6: &str) -> Ip {
    match family {
        Family::V4 => v4.parse().unwrap(),
        Family::V6 => v6.parse().unwrap(),
    }
}

pub(crate) fn client(family: Family) -> Endpoint {
    Endpoint::new(ip(family, "203.0.113.7", "2001:db8:c::7"), 40000)
}

pub(crate) fn vip(family: Family) -> Endpoint {
    Endpoint::new(ip(family, "198.51.100.80", "2001:db8:80::80"), 80)
}

pub(crate) fn server(family: Family) -> Endpoint {
    Endpoint::new(ip(family, "10.0.0.11", "fd00::11"), 8080)
}

/// FullNAT's local address.
pub(crate) fn local(family: Family) -> Ip {
    ip(family, "10.0.0.200", "fd00::200")
}

/// The director's own address on a link.
pub(crate) fn own(family: Family, port: usize) -> Ip {
    match port {
        WAN => ip(family, "192.0.2.1", "2001:db8:1::1"),
        _ => ip(family, "10.0.0.1", "fd00::1"),
    }
}

/// The topology without the server's Ethernet address.
pub(crate) fn links(lan_mtu: u32) -> TopologyBuilder {
    let mut t = silent_links(lan_mtu);
    for family in FAMILIES {
        t.neighbour(2, gateway(family), GATEWAY_MAC);
    }
    t
}

fn gateway(family: Family) -> Ip {
    ip(family, "192.0.2.254", "2001:db8:1::fe")
}

/// The topology without any neighbour's Ethernet address.
pub(crate) fn silent_links(lan_mtu: u32) -> TopologyBuilder {
    let mut t = Topology::builder();
    for (port, mac, mtu) in [(WAN, WAN_MAC, 1500), (LAN, LAN_MAC, lan_mtu)] {
        t.interface(Interface {
            port: PortId(port as u16),
            ifindex: port as u32 + 2,
            name: format!("port{port}"),
            mac,
            mtu,
            addrs: FAMILIES.map(|f| own(f, port)).to_vec(),
        });
    }
    for family in FAMILIES {
        let gateway = gateway(family);
        let (lan, lan_len) = (ip(family, "10.0.0.0", "fd00::"), ip_len(family, 24, 64));
        let (wan, wan_len) = (
            ip(family, "192.0.2.0", "2001:db8:1::"),
            ip_len(family, 24, 64),
        );
        let all = ip(family, "0.0.0.0", "::");
        for (dst, prefix_len, ifindex, gateway) in [
            (lan, lan_len, 3, None),
            (wan, wan_len, 2, None),
            (all, 0, 2, Some(gateway)),
        ] {
            t.route(Route {
                dst,
                prefix_len,
                metric: 0,
                ifindex,
                gateway,
                prefsrc: None,
                mtu: None,
            });
        }
    }
    t
}

fn ip_len(family: Family, v4: u8, v6: u8) -> u8 {
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

pub(crate) fn with_servers(mut t: TopologyBuilder) -> Topology {
    for family in FAMILIES {
        t.neighbour(3, server(family).ip, SERVER_MAC);
    }
    t.build()
}

/// A director with one service of each family and protocol, each with one server.
pub(crate) struct Lab {
    pub(crate) director: Arc<Director>,
    pub(crate) pipeline: Pipeline,
    pub(crate) now: Time,
    topology: Arc<ArcSwap<Topology>>,
    classifier: Arc<ArcSwap<Classifier>>,
    ports: [(MemPort, Handle); 2],
    burst: Burst,
    outputs: Outputs,
}

impl Lab {
    pub(crate) fn new(method: Method) -> Self {
        Self::with_topology(method, with_servers(links(1500)))
    }

    pub(crate) fn with_topology(method: Method, topology: Topology) -> Self {
        Self::with_servers_by(topology, |f| (server(f), method))
    }

    pub(crate) fn with_servers_by(
        topology: Topology,
        server: impl Fn(Family) -> (Endpoint, Method),
    ) -> Self {
        Self::with_helpers(topology, Helpers::default(), server)
    }

    pub(crate) fn with_helpers(
        topology: Topology,
        helpers: Helpers,
        server: impl Fn(Family) -> (Endpoint, Method),
    ) -> Self {
        let director = Director::new(&Settings {
            helpers: helpers.ports(),
            ..Settings::default()
        });
        let made: Result<(), ConfigError> = director.edit(|draft| {
            for (family, protocol) in every_service() {
                let addr = vip(family);
                let key = ServiceKey::new(protocol, addr);
                let scheduler = lvs_sched::build("wlc").unwrap();
                draft.add_service(
                    key,
                    scheduler,
                    ServiceOptions::with_local_addrs(&[LocalAddr::new(local(family))]),
                )?;
                let (server, method) = server(family);
                draft.add_dest(key, server, &DestOptions::new(method, 1))?;
            }
            Ok(())
        });
        made.unwrap();
        let mut shared = Shared::new(
            Arc::new(ArcSwap::from_pointee(topology)),
            FragMemory::new(64, [1, 2, 3, 4]),
        );
        shared.helpers = helpers;
        Self {
            pipeline: Pipeline::new(director.worker().unwrap(), &shared, 7),
            director,
            now: Time::from_secs(1000),
            topology: shared.topology,
            classifier: shared.classifier,
            ports: [WAN, LAN].map(|p| MemPort::new(PortId(p as u16))),
            burst: Burst::default(),
            outputs: Outputs::default(),
        }
    }

    /// Takes the servers out of all services.
    pub(crate) fn remove_servers(&self) {
        let change: Result<(), ConfigError> = self.director.edit(|draft| {
            for (family, protocol) in every_service() {
                let addr = vip(family);
                draft.remove_dest(ServiceKey::new(protocol, addr), server(family))?;
            }
            Ok(())
        });
        change.unwrap();
    }

    pub(crate) fn set_rules(&self, rules: Vec<Rule>) {
        self.classifier.store(Arc::new(Classifier::new(rules)));
    }

    pub(crate) fn set_topology(&self, topology: Topology) {
        self.topology.store(Arc::new(topology));
    }

    /// One frame in, what it turned into out: which port, and the frame.
    pub(crate) fn send(&mut self, port: usize, frame: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let sent = self.send_offloaded(port, frame, Offload::default());
        sent.into_iter()
            .map(|(port, f)| {
                assert_eq!(f.offload, Offload::default());
                (port, f.bytes)
            })
            .collect()
    }

    pub(crate) fn send_offloaded(
        &mut self,
        port: usize,
        frame: &[u8],
        offload: Offload,
    ) -> Vec<(usize, MemFrame)> {
        self.send_burst(&[(port, frame.to_vec(), offload)])
    }

    /// A burst of frames; at most as many as fit into one.
    pub(crate) fn send_burst(
        &mut self,
        frames: &[(usize, Vec<u8>, Offload)],
    ) -> Vec<(usize, MemFrame)> {
        self.burst.clear();
        for (port, frame, offload) in frames {
            let (port, wire) = &mut self.ports[*port];
            assert!(wire.feed(frame, *offload));
            assert_eq!(port.receive(&mut self.burst).unwrap(), 1);
        }
        self.pipeline
            .process(self.now, &mut self.burst, &mut self.outputs);
        self.collect()
    }

    /// Lets everything that waits wait too long.
    pub(crate) fn settle(&mut self) {
        self.now = self.now + Duration::from_secs(10);
        let sent = self.release();
        assert!(sent.is_empty());
    }

    /// Lets go what waits for a next hop.
    pub(crate) fn release(&mut self) -> Vec<(usize, MemFrame)> {
        self.burst.clear();
        self.pipeline
            .release(self.now, &mut self.burst, &mut self.outputs);
        self.collect()
    }

    fn collect(&mut self) -> Vec<(usize, MemFrame)> {
        let mut sent = Vec::new();
        for (i, (port, wire)) in self.ports.iter_mut().enumerate() {
            let id = port.id();
            port.transmit(&mut self.outputs.for_port(id, self.burst.frames()));
            sent.extend(wire.take_sent().into_iter().map(|f| (i, f)));
        }
        assert_eq!(sent.len(), self.outputs.len(), "an output for no port");
        sent
    }

    pub(crate) fn counts(&self) -> Counts {
        self.pipeline.counters().counts()
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.counts().dropped(reason)
    }

    pub(crate) fn passed(&self, reason: PassReason) -> u64 {
        self.counts().passed(reason)
    }
}

pub(crate) fn every_service() -> impl Iterator<Item = (Family, Protocol)> {
    FAMILIES
        .into_iter()
        .flat_map(|f| PROTOCOLS.into_iter().map(move |p| (f, p)))
}

/// Frames that ended somewhere: each must be counted once.
pub(crate) fn ends(c: &Counts) -> u64 {
    let passed: u64 = PassReason::ALL.iter().map(|r| c.passed(*r)).sum();
    let dropped: u64 = DropReason::ALL.iter().map(|r| c.dropped(*r)).sum();
    c.forwarded_in + c.forwarded_out + c.arp_answered + passed + dropped
}

/// A packet in the making.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) src: Endpoint,
    pub(crate) dst: Endpoint,
    pub(crate) protocol: Protocol,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) ttl: u8,
    pub(crate) dont_fragment: bool,
    pub(crate) id: u16,
    /// TCP's sequence number, and its acknowledgement if there is one.
    pub(crate) numbers: [u32; 2],
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    /// A packet of an established flow, or a datagram.
    pub(crate) fn new(protocol: Protocol, src: Endpoint, dst: Endpoint) -> Self {
        Self {
            src,
            dst,
            protocol,
            syn: false,
            ack: true,
            ttl: 64,
            dont_fragment: true,
            id: 0,
            numbers: [1000, 2000],
            payload: b"some payload".to_vec(),
        }
    }

    /// The client's packet that opens a flow.
    pub(crate) fn opening(family: Family, protocol: Protocol) -> Self {
        Self {
            syn: true,
            ack: false,
            ..Self::new(protocol, client(family), vip(family))
        }
    }

    /// The packet's answer, as its receiver sends it.
    pub(crate) fn reply(&self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            ack: true,
            ttl: 64,
            payload: b"the answer".to_vec(),
            ..self.clone()
        }
    }

    /// The same packet one hop on.
    pub(crate) fn forwarded(&self) -> Self {
        Self {
            ttl: self.ttl - 1,
            ..self.clone()
        }
    }

    pub(crate) fn ip_headers(&self) -> IpHeaders {
        match (self.src.ip.as_v4(), self.dst.ip.as_v4()) {
            (Some(source), Some(destination)) => IpHeaders::Ipv4(
                Ipv4Header {
                    time_to_live: self.ttl,
                    dont_fragment: self.dont_fragment,
                    identification: self.id,
                    source,
                    destination,
                    ..Ipv4Header::default()
                },
                Default::default(),
            ),
            _ => IpHeaders::Ipv6(
                Ipv6Header {
                    hop_limit: self.ttl,
                    source: *self.src.ip.bytes(),
                    destination: *self.dst.ip.bytes(),
                    ..Ipv6Header::default()
                },
                Default::default(),
            ),
        }
    }

    fn tcp(&self) -> TcpHeader {
        let mut tcp = TcpHeader::new(self.src.port, self.dst.port, self.numbers[0], 5000);
        (tcp.syn, tcp.ack) = (self.syn, self.ack);
        tcp.acknowledgment_number = if self.ack { self.numbers[1] } else { 0 };
        tcp
    }

    /// An INIT or data, with a right CRC.
    fn sctp(&self) -> Vec<u8> {
        let (kind, tag, mut value) = match self.syn {
            true => (
                1,
                0,
                vec![0xca, 0xfe, 0, 1, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 7],
            ),
            false => (0, 0xcafe_0001_u32, vec![0; 12]),
        };
        value.extend(if self.syn { &[] } else { &self.payload[..] });
        let mut p = [self.src.port, self.dst.port]
            .map(u16::to_be_bytes)
            .concat();
        p.extend(tag.to_be_bytes());
        p.extend([0, 0, 0, 0, kind, 3]);
        p.extend((4 + value.len() as u16).to_be_bytes());
        p.extend(value);
        p.resize(p.len().next_multiple_of(4), 0);
        let crc = crc32c(&p).to_le_bytes();
        p[8..12].copy_from_slice(&crc);
        p
    }

    /// The frame, all checksums right.
    pub(crate) fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let b = PacketBuilder::ethernet2(from.0, to.0).ip(self.ip_headers());
        let mut frame = Vec::new();
        match self.protocol {
            Protocol::TCP => b.tcp_header(self.tcp()).write(&mut frame, &self.payload),
            Protocol::SCTP => b.write(&mut frame, IpNumber(132), &self.sctp()),
            Protocol::AH | Protocol::ESP => {
                b.write(&mut frame, IpNumber(self.protocol.0), &self.payload)
            }
            _ => b
                .udp(self.src.port, self.dst.port)
                .write(&mut frame, &self.payload),
        }
        .unwrap();
        frame
    }

    /// The IP packet alone.
    pub(crate) fn ip_packet(&self) -> Vec<u8> {
        self.frame(WAN_MAC, WAN_MAC)[14..].to_vec()
    }

    /// Transport header and payload, checksum right.
    pub(crate) fn transport(&self) -> Vec<u8> {
        let headers = match self.src.ip.family() {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        self.ip_packet()[headers..].to_vec()
    }

    pub(crate) fn udp_header(&self) -> UdpHeader {
        UdpHeader {
            source_port: self.src.port,
            destination_port: self.dst.port,
            length: (8 + self.payload.len()) as u16,
            checksum: 0,
        }
    }

    pub(crate) fn sent_by_client(&self) -> Vec<u8> {
        self.frame(GATEWAY_MAC, WAN_MAC)
    }

    pub(crate) fn to_server(&self) -> Vec<u8> {
        self.frame(LAN_MAC, SERVER_MAC)
    }

    pub(crate) fn sent_by_server(&self) -> Vec<u8> {
        self.frame(SERVER_MAC, LAN_MAC)
    }

    pub(crate) fn to_client(&self) -> Vec<u8> {
        self.frame(WAN_MAC, GATEWAY_MAC)
    }
}

/// SCTP's checksum, bit by bit.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

/// An Ethernet frame around an IP packet of any protocol, made from header values.
pub(crate) fn raw(from: Mac, to: Mac, ip: IpHeaders, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ip(ip)
        .write(&mut frame, IpNumber(protocol), payload)
        .unwrap();
    frame
}
