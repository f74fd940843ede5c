//! Ways past the host's own stack: taps at interfaces, TUN devices, private namespaces. Needs root and iproute2.

mod common;

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use common::frames::{Part, ethernet, packet, transport, udp, unreachable};
use common::{Net, addr};
use lvs_core::Ip;
use lvs_fwd::frame::{Frame, Offload, Packet, PortId};
use lvs_fwd::io::namespace::enter_new_network;
use lvs_fwd::io::packet::{Device, Tap};
use lvs_fwd::io::tun::Tun;
use lvs_fwd::parse::{Parsed, parse};

const TO_ALL: [u8; 6] = [0xff; 6];
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// What a tap for ports 1000 to 1999 takes of these frames, by their numbers; the last one must be among them.
fn taken(frames: &[Vec<u8>]) -> Vec<usize> {
    let net = Net::new(&["a", "b"]);
    for ns in ["a", "b"] {
        net.sysctl(ns, "ipv6/conf/default/disable_ipv6", "1");
    }
    net.cable("a", "eth0", "b", "eth0");
    let tap = |ns, ports| {
        net.run(ns, || {
            let device = Device::by_name("eth0").unwrap();
            Tap::open(&device, PortId(7), &ports).unwrap()
        })
    };
    let (mut from, mut to) = (tap("a", 1..=1), tap("b", 1000..=1999));
    let mut packets = frames.iter().map(|body| Packet {
        offload: Offload::default(),
        head: &[],
        body,
    });
    assert_eq!(from.transmit(&mut packets).sent, frames.len());
    let mut frame = Frame::default();
    let mut got = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    while got.last() != Some(&(frames.len() - 1)) {
        assert!(Instant::now() < deadline, "only {got:?} came");
        while to.receive(&mut frame) {
            assert_eq!(frame.port, PortId(7));
            got.extend(frames.iter().position(|f| f == frame.bytes()));
        }
    }
    // What a socket sends itself it does not hear.
    assert!(!from.receive(&mut frame));
    got
}

#[test]
fn a_tap_takes_its_ports_and_errors() {
    for (src, dst) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
        let (src, dst) = (addr(src), addr(dst));
        let to = |protocol, port| packet(src, dst, protocol, Part::Whole, &transport(80, port));
        let v4 = src.is_v4();
        let icmp = if v4 { 1 } else { 58 };
        let echo = if v4 { 8 } else { 128 };
        let later = packet(src, dst, TCP, Part::Later, &transport(80, 1500));
        let of_all = [
            (to(TCP, 1000), true),
            (to(TCP, 999), false),
            (to(UDP, 1999), true),
            (to(UDP, 2000), false),
            (to(SCTP, 1500), false),
            (later, false),
            (unreachable(src, dst, &to(UDP, 5)), true),
            (
                packet(src, dst, icmp, Part::Whole, &[echo, 0, 0, 0, 0, 1, 0, 1]),
                false,
            ),
            (to(TCP, 1500), true),
        ];
        let frames: Vec<_> = of_all.iter().map(|(p, _)| ethernet(TO_ALL, p)).collect();
        let wanted = of_all.iter().enumerate().filter(|(_, (_, taken))| *taken);
        assert_eq!(taken(&frames), wanted.map(|(n, _)| n).collect::<Vec<_>>());
    }
}

/// Another EtherType is nobody's, whatever is in it.
#[test]
fn a_tap_takes_ip_only() {
    let (src, dst) = (addr("192.0.2.1"), addr("192.0.2.2"));
    let good = ethernet(
        TO_ALL,
        &packet(src, dst, TCP, Part::Whole, &transport(80, 1500)),
    );
    let mut odd = good.clone();
    odd[12..14].copy_from_slice(&[0x88, 0xb5]);
    assert_eq!(taken(&[odd, good]), [1]);
}

/// Only in this thread, and it is not a bit of what was there before.
#[test]
fn a_private_network_is_empty() {
    let alone = Net::new(&[]);
    std::thread::spawn(|| {
        enter_new_network().unwrap();
        let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let names = devices
            .lines()
            .skip(2)
            .map(|l| l.split(':').next().unwrap().trim());
        let others: Vec<_> = names.filter(|n| Device::by_name(n).unwrap().up).collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(Device::by_name("eth0").is_err());
    })
    .join()
    .unwrap();
    assert!(Path::new("/proc/thread-self/net/dev").exists());
    drop(alone);
}

/// A datagram of the kernel's comes out as a whole packet, and an answer that is put in arrives, even if its checksum is
/// still to be completed.
#[test]
fn what_the_kernel_sends_is_read_and_what_is_written_it_receives() {
    let net = Net::new(&["a"]);
    let mut tun = net.run("a", || Tun::new("tun0").unwrap());
    net.ip("a", "addr add 192.0.2.1/32 dev tun0");
    net.ip("a", "link set tun0 up");
    net.ip("a", "route add default dev tun0");
    let (here, there): (Ip, Ip) = (addr("192.0.2.1"), addr("198.51.100.9"));
    let socket = net.run("a", || UdpSocket::bind("192.0.2.1:1234").unwrap());
    socket.send_to(b"question", "198.51.100.9:53").unwrap();

    let mut frame = Frame::default();
    let packet = loop {
        assert!(
            tun.receive(&mut frame).unwrap(),
            "the datagram did not come"
        );
        match parse(frame.bytes(), frame.offload, Tun::MAC).unwrap() {
            Parsed::Ip(packet) => break packet,
            _ => continue, // IPv6 looks for routers
        }
    };
    assert_eq!(packet.segment.src.to_string(), "192.0.2.1:1234");
    assert_eq!(packet.segment.dst.to_string(), "198.51.100.9:53");
    assert_eq!(
        &frame.bytes()[packet.layout.end() - 8..packet.layout.end()],
        b"question"
    );

    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    for partial in [false, true] {
        let mut answer = ethernet(Tun::MAC.0, &udp(there, 53, here, 1234, b"answer"));
        let mut offload = Offload::default();
        if partial {
            // The sum of the pseudo header alone.
            let words = [0xc633, 0x6409, 0xc000, 0x0201, 17, 14];
            let sum: u32 = words.iter().sum();
            let sum = ((sum & 0xffff) + (sum >> 16)) as u16;
            answer[40..42].copy_from_slice(&sum.to_be_bytes());
            offload.flags = Offload::NEEDS_CSUM;
            (offload.csum_start, offload.csum_offset) = (34, 6);
        }
        assert!(frame.fill(&answer, offload, PortId(0)));
        let Ok(Parsed::Ip(packet)) = parse(frame.bytes(), frame.offload, Tun::MAC) else {
            panic!("no packet");
        };
        tun.send(&frame, &packet.layout).unwrap();
        let mut got = [0; 16];
        let (len, from) = socket.recv_from(&mut got).unwrap();
        assert_eq!(
            (&got[..len], from.to_string().as_str()),
            (&b"answer"[..], "198.51.100.9:53")
        );
    }
    assert!(!tun.receive(&mut frame).unwrap());
}
