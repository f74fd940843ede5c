//! What is read in payload: FTP's commands and answers, SIP's Call-ID.

use lvs_core::{
    ConfigError, DestOptions, Director, Endpoint, Family, Ip, Method, ServiceKey, ServiceOptions,
    Settings, TcpFlags, Time,
};
use lvs_fwd::checksum;
use lvs_fwd::frag::FragMemory;
use lvs_fwd::frame::{Burst, Offload, Outputs, PortId};
use lvs_fwd::helper::Helpers;
use lvs_fwd::helper::sip::{CallIds, call_id};
use lvs_fwd::parse::{Parsed, parse};
use lvs_fwd::pipeline::{Pipeline, Shared};
use lvs_fwd::route::Mac;
use lvs_fwd::wire::tcp;

/// Reads a SIP message.
pub fn sip(input: &[u8]) {
    let tag = CallIds::new([1, 2, 3, 4]).tag(input);
    let Some(id) = call_id(input) else {
        assert_eq!(tag, 0);
        return;
    };
    assert!(tag != 0 && !id.is_empty() && id.len() <= 255);
    assert!(id.iter().all(u8::is_ascii_graphic));
}

/// What stands before a segment in the input of [`ftp`].
mod flag {
    /// The server sends it.
    pub(super) const SERVER: u8 = 1;
    pub(super) const FIN: u8 = 2;
    /// It comes as an aggregate of segments of 16 bytes.
    pub(super) const AGGREGATE: u8 = 4;
    /// Its checksum is partial.
    pub(super) const PARTIAL: u8 = 8;
    /// The first twelve bytes of its payload are TCP options.
    pub(super) const OPTIONS: u8 = 16;
}

/// A control connection of FTP, in which anything is said. The first byte chooses the family; then come segments, each
/// behind six bytes: flags ([`flag`]), how far its sequence number and its acknowledgement are from the first (16 bits
/// each), and its length.
pub fn ftp(input: &[u8]) {
    let Some((&family, mut rest)) = input.split_first() else {
        return;
    };
    let family = if family & 1 == 0 {
        Family::V4
    } else {
        Family::V6
    };
    let mut session = Session::new(family);
    session.say(0, TcpFlags::SYN, [0, 0], &[]);
    session.say(flag::SERVER, TcpFlags::SYN.with(TcpFlags::ACK), [0, 1], &[]);
    session.say(0, TcpFlags::ACK, [1, 1], &[]);
    while let Some((&[flags, a, b, c, d, len], more)) = rest.split_first_chunk() {
        let (payload, more) = more.split_at(usize::from(len).min(more.len()));
        rest = more;
        let fin = match flags & flag::FIN {
            0 => TcpFlags::ACK,
            _ => TcpFlags::ACK.with(TcpFlags::FIN),
        };
        let numbers = [[a, b], [c, d]].map(u16::from_be_bytes);
        session.say(flags, fin, numbers, payload);
    }
}

const OWN_MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 0, 0x10]), Mac([2, 0, 0, 0, 0, 0x11])];

struct Session {
    pipeline: Pipeline,
    client: Endpoint,
    virt: Endpoint,
    server: Endpoint,
}

impl Session {
    fn new(family: Family) -> Self {
        let [client, virt, server] = match family {
            Family::V4 => ["203.0.113.7:40000", "198.51.100.9:21", "10.0.0.11:21"],
            Family::V6 => [
                "[2001:db8:c::7]:40000",
                "[2001:db8:80::9]:21",
                "[fd00::11]:21",
            ],
        }
        .map(|s| s.parse().expect("an endpoint"));
        let helpers = Helpers::standard();
        let director = Director::new(&Settings {
            helpers: helpers.ports(),
            ..Settings::default()
        });
        let made: Result<(), ConfigError> = director.edit(|draft| {
            let key = ServiceKey::tcp(virt);
            let scheduler = lvs_sched::build("rr").expect("a known scheduler");
            draft.add_service(key, scheduler, ServiceOptions::default())?;
            draft.add_dest(key, server, &DestOptions::new(Method::Nat, 1))
        });
        made.expect("a sound configuration");
        let mut shared = Shared::new(super::topology(), FragMemory::new(16, [1, 2, 3, 4]));
        shared.helpers = helpers;
        let worker = director.worker().expect("the first worker");
        Self {
            pipeline: Pipeline::new(worker, &shared, 0),
            client,
            virt,
            server,
        }
    }

    /// A segment goes through; what comes of it must be sound.
    fn say(&mut self, flags: u8, tcp_flags: TcpFlags, [seq, ack]: [u16; 2], payload: &[u8]) {
        let side = flags & flag::SERVER;
        let (src, dst) = match side {
            0 => (self.client, self.virt),
            _ => (self.server, self.client),
        };
        // Across the end of the numbers.
        let number = |n: u16| (u32::MAX - 0x100).wrapping_add(n.into());
        let mut header = tcp::Repr {
            src_port: src.port,
            dst_port: dst.port,
            seq: number(seq),
            ack: number(ack),
            flags: tcp_flags,
        }
        .emit();
        if flags & flag::OPTIONS != 0 && payload.len() >= 12 {
            header[tcp::field::DATA_OFFSET] = 8 << 4;
        }
        let mut transport = [&header[..], payload].concat();
        let len = transport.len() as u32;
        let mut sum = checksum::pseudo_header(src.ip, dst.ip, 6, len);
        let mut offload = Offload::default();
        let network = network_header(src.ip, dst.ip, len as u16);
        if flags & flag::AGGREGATE != 0 {
            offload.gso_size = 16;
            offload.gso_type = match src.ip.family() {
                Family::V4 => Offload::GSO_TCPV4,
                Family::V6 => Offload::GSO_TCPV6,
            };
        }
        let field = if flags & (flag::AGGREGATE | flag::PARTIAL) != 0 {
            offload.flags = Offload::NEEDS_CSUM;
            offload.csum_start = 14 + network.len() as u16;
            offload.csum_offset = tcp::field::CHECKSUM as u16;
            sum.fold()
        } else {
            sum.add_bytes(&transport);
            sum.finish()
        };
        transport[tcp::field::CHECKSUM..][..2].copy_from_slice(&field.to_be_bytes());
        let ethertype = match src.ip.family() {
            Family::V4 => [8, 0],
            Family::V6 => [0x86, 0xdd],
        };
        let own = OWN_MACS[usize::from(side)];
        let frame = [
            &own.0[..],
            &[2, 0, 0, 0, 0, 0x20],
            &ethertype,
            &network,
            &transport,
        ];
        let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
        if let Some(f) = burst.next_free()
            && f.fill(&frame.concat(), offload, PortId(side.into()))
        {
            burst.commit();
        }
        self.pipeline
            .process(Time::from_secs(1), &mut burst, &mut outputs);
        super::judge(&self.pipeline, &burst, &outputs);
        for port in [PortId(0), PortId(1)] {
            for packet in outputs.for_port(port, burst.frames()) {
                self.judge(&packet.to_vec(), packet.offload, payload.len());
            }
        }
    }

    fn judge(&self, sent: &[u8], offload: Offload, payload: usize) {
        let Ok(Parsed::Ip(packet)) = parse(sent, offload, OWN_MACS[0]) else {
            let own = parse(sent, offload, Mac([0; 6]));
            assert!(own.is_ok(), "{own:?}");
            return;
        };
        assert_eq!(sent.len(), packet.layout.end());
        let transport = &sent[usize::from(packet.layout.l4)..];
        assert!(transport.len() <= 20 + payload + 40, "grown too far");
        let segment = &packet.segment;
        let len = transport.len() as u32;
        let mut sum = checksum::pseudo_header(segment.src.ip, segment.dst.ip, 6, len);
        if offload.needs_csum() {
            let field = [transport[16], transport[17]];
            assert_eq!(u16::from_be_bytes(field), sum.fold(), "partial checksum");
        } else {
            sum.add_bytes(transport);
            assert_eq!(sum.finish(), 0, "checksum");
        }
    }
}

fn network_header(src: Ip, dst: Ip, len: u16) -> Vec<u8> {
    let (Some(src4), Some(dst4)) = (src.as_v4(), dst.as_v4()) else {
        let [high, low] = len.to_be_bytes();
        let fixed = [0x60, 0, 0, 0, high, low, 6, 64];
        return [&fixed[..], src.bytes(), dst.bytes()].concat();
    };
    let [high, low] = (len + 20).to_be_bytes();
    let fixed = [0x45, 0, high, low, 0, 1, 0x40, 0, 64, 6, 0, 0];
    let mut header = [&fixed[..], &src4, &dst4].concat();
    let sum = checksum::of(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    header
}
