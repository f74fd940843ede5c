//! The packet-socket port on real interfaces. Needs root and iproute2.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::frames::{self, Part};
use common::{Net, addr, expect, keep_capabilities, mac_of, receive, send};
use lvs_core::{Endpoint, Protocol, steer};
use lvs_fwd::frame::{Burst, Offload, Outputs, Packet, PortId};
use lvs_fwd::hidden::{Entry, Hidden};
use lvs_fwd::io::Port;
use lvs_fwd::io::bpf::Guard;
use lvs_fwd::io::packet::{Device, PacketConfig, PacketPort, Statistics};
use lvs_fwd::route::Mac;

const SLOW_MACHINE: Duration = Duration::from_secs(5);
const TO_ALL: [u8; 6] = [0xff; 6];

fn open(dev: &str, port: u16) -> PacketPort {
    let device = Device::by_name(dev).unwrap();
    PacketPort::open(&PacketConfig::new(&device, PortId(port))).unwrap_or_else(|e| panic!("{e}"))
}

/// Two namespaces joined by a cable that carries nothing of its own accord.
fn pair() -> Net {
    let net = Net::new(&["a", "b"]);
    for ns in ["a", "b"] {
        net.sysctl(ns, "ipv6/conf/default/disable_ipv6", "1");
    }
    net.cable("a", "eth0", "b", "eth0");
    net
}

/// A frame of the experimental EtherType with a number in it.
fn numbered(n: usize, len: usize) -> Vec<u8> {
    let mut frame = [&TO_ALL[..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5]].concat();
    frame.extend((n as u32).to_be_bytes());
    frame.resize(len, n as u8);
    frame
}

/// What a bridge of two ports saw.
#[derive(Default)]
struct Seen {
    frames: usize,
    partial: usize,
    aggregates: usize,
    longest: usize,
    failed: usize,
}

/// Passes frames between eth0 and eth1 until told to stop.
fn bridge(stop: &AtomicBool) -> [Seen; 2] {
    let mut ports = [open("eth0", 0), open("eth1", 1)];
    let mut seen = [Seen::default(), Seen::default()];
    let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
    while !stop.load(Ordering::Relaxed) {
        let mut idle = true;
        for i in [0, 1] {
            burst.clear();
            outputs.clear();
            if ports[i].receive(&mut burst).unwrap() == 0 {
                continue;
            }
            idle = false;
            let out = PortId(1 - i as u16);
            for (n, frame) in burst.frames().iter().enumerate() {
                assert_eq!(frame.port, PortId(i as u16));
                let len = frame.bytes().len();
                seen[i].frames += 1;
                seen[i].partial += usize::from(frame.offload.needs_csum());
                seen[i].aggregates += usize::from(frame.offload.is_aggregate());
                seen[i].longest = seen[i].longest.max(len);
                outputs.push_frame(out, n, frame);
            }
            let sent = ports[1 - i].transmit(&mut outputs.for_port(out, burst.frames()));
            seen[i].failed += sent.failed;
        }
        if idle {
            let mut polls = [0, 1].map(|i: usize| libc::pollfd {
                fd: ports[i].as_fd().as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            });
            // SAFETY: two pollfds, which outlive the call.
            unsafe { libc::poll(polls.as_mut_ptr(), 2, 100) };
        }
    }
    for port in &mut ports {
        let statistics = port.statistics().unwrap();
        assert_eq!((statistics.truncated, statistics.outgoing), (0, 0));
    }
    seen
}

#[test]
fn tcp_with_all_offloads_passes_whole() {
    const AMOUNT: usize = 64 << 20;
    let net = Net::new(&["c", "d", "r"]);
    net.cable("c", "eth0", "d", "eth0");
    net.cable("d", "eth1", "r", "eth0");
    net.addr("c", "eth0", &["10.9.0.2/24", "fd09::2/64"]);
    net.addr("r", "eth0", &["10.9.0.3/24", "fd09::3/64"]);
    let stop = Arc::new(AtomicBool::new(false));
    let heeded = stop.clone();
    let bridge = net.spawn("d", move || bridge(&heeded));

    for server in ["10.9.0.3:7000", "[fd09::3]:7000"] {
        let server: SocketAddr = server.parse().unwrap();
        let listener = net.run("r", || TcpListener::bind(server).unwrap());
        let receiver = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(SLOW_MACHINE)).unwrap();
            let mut data = Vec::new();
            stream.read_to_end(&mut data).unwrap();
            stream.write_all(b"got it").unwrap();
            data
        });
        let data: Vec<u8> = (0..AMOUNT).map(|i| (i ^ i >> 8 ^ i >> 16) as u8).collect();
        let answer = net.run("c", || {
            let mut stream = TcpStream::connect_timeout(&server, SLOW_MACHINE).unwrap();
            stream.set_write_timeout(Some(SLOW_MACHINE)).unwrap();
            stream.set_read_timeout(Some(SLOW_MACHINE)).unwrap();
            let start = Instant::now();
            for part in data.chunks(1 << 20) {
                stream.write_all(part).unwrap();
                assert!(start.elapsed() < 12 * SLOW_MACHINE, "it only trickles");
            }
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        assert_eq!(answer, "got it");
        assert!(receiver.join().unwrap() == data, "the data differ");
    }
    stop.store(true, Ordering::Relaxed);
    let [there, back] = bridge.join().unwrap();
    // Segments of 1448 bytes would be 92,000 frames.
    assert!(there.frames < 2 * AMOUNT / 4000, "{} frames", there.frames);
    assert!(there.aggregates > 1000, "{} aggregates", there.aggregates);
    assert!(there.longest > 60_000, "longest {}", there.longest);
    assert!(there.partial > there.aggregates && back.partial > 0);
    assert_eq!((there.failed, back.failed), (0, 0));
}

#[test]
fn an_aggregate_leaves_as_it_came() {
    let net = pair();
    let (mut from, mut to) = (
        net.run("a", || open("eth0", 0)),
        net.run("b", || open("eth0", 0)),
    );
    // TCP over IPv4, 60,000 bytes of payload in segments of 1448.
    let mut tcp = frames::transport(1234, 80);
    tcp.resize(20 + 60_000, 0x5a);
    let whole = frames::packet(addr("10.0.0.1"), addr("10.0.0.2"), 6, Part::Whole, &tcp);
    let frame = frames::ethernet(TO_ALL, &whole);
    let offload = Offload {
        flags: Offload::NEEDS_CSUM,
        gso_type: Offload::GSO_TCPV4,
        hdr_len: 54,
        gso_size: 1448,
        csum_start: 34,
        csum_offset: 16,
    };
    // In two pieces, as a rewritten packet would be.
    let (head, body) = frame.split_at(54);
    let sent = from.transmit(&mut std::iter::once(Packet {
        offload,
        head,
        body,
    }));
    assert_eq!((sent.sent, sent.failed), (1, 0));
    let small = numbered(1, 60);
    send(&mut from, std::slice::from_ref(&small));
    let mut burst = Burst::default();
    let deadline = Instant::now() + SLOW_MACHINE;
    while burst.frames().len() < 2 && Instant::now() < deadline {
        to.receive(&mut burst).unwrap();
    }
    let [big, little] = burst.frames() else {
        panic!()
    };
    assert_eq!(big.offload, offload);
    assert!(
        big.bytes() == frame,
        "{} of {} bytes",
        big.bytes().len(),
        frame.len()
    );
    assert_eq!(little.bytes(), small);
    assert_eq!(little.offload, Offload::default());
}

#[test]
fn a_ring_goes_round_in_order_and_counts_what_it_has_no_room_for() {
    let net = pair();
    let mut from = net.run("a", || open("eth0", 0));
    let mut to = net.run("b", || {
        let device = Device::by_name("eth0").unwrap();
        let config = PacketConfig {
            slots: 1, // rounded up to 32
            ..PacketConfig::new(&device, PortId(3))
        };
        PacketPort::open(&config).unwrap()
    });
    for round in 0..10 {
        // Lengths around the slot's and the interface's limits.
        let frames: Vec<_> = (0..30)
            .map(|n| numbered(round * 30 + n, 1485 + n))
            .collect();
        send(&mut from, &frames);
        expect(&mut to, &frames);
    }
    assert_eq!(
        to.statistics().unwrap(),
        Statistics {
            packets: 300,
            ..Default::default()
        }
    );

    let frames: Vec<_> = (0..100).map(|n| numbered(n, 60)).collect();
    send(&mut from, &frames);
    let deadline = Instant::now() + SLOW_MACHINE;
    while to.statistics().unwrap().packets < 400 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let statistics = to.statistics().unwrap();
    assert_eq!((statistics.packets, statistics.dropped), (400, 68));
    expect(&mut to, &frames[..32]);
    send(&mut from, &frames[..5]);
    expect(&mut to, &frames[..5]);
}

#[test]
fn a_refused_packet_does_not_hold_up_the_rest() {
    let net = pair();
    let (mut from, mut to) = (
        net.run("a", || open("eth0", 0)),
        net.run("b", || open("eth0", 0)),
    );
    // More than two batches; too long for the interface: the first, one amid, two in a row, the last.
    let too_long = [0, 70, 100, 101, 149];
    let frames: Vec<_> = (0..150)
        .map(|n| numbered(n, if too_long.contains(&n) { 1600 } else { 100 }))
        .collect();
    let mut packets = frames.iter().map(|body| Packet {
        offload: Offload::default(),
        head: &[],
        body,
    });
    let sent = from.transmit(&mut packets);
    assert_eq!((sent.sent, sent.failed), (145, 5));
    let expected: Vec<_> = frames.iter().filter(|f| f.len() == 100).cloned().collect();
    expect(&mut to, &expected);
}

#[test]
fn frames_on_their_way_out_are_never_received() {
    let net = pair();
    let mut peer = net.run("b", || open("eth0", 0));
    for (workers, steered) in [(1, false), (2, false), (2, true)] {
        let mut ports = net.run("a", || {
            let device = Device::by_name("eth0").unwrap();
            let guard = Guard::new().unwrap();
            let program = steered.then(|| guard.steering(4, workers as u32).unwrap());
            let config = PacketConfig::new(&device, PortId(0));
            PacketPort::open_group(&config, workers, program.as_ref()).unwrap()
        });
        assert_eq!(ports.len(), workers);
        let out: Vec<_> = (0..100).map(|n| numbered(n, 100)).collect();
        for port in &mut ports {
            send(port, &out);
        }
        assert_eq!(receive(&mut peer, 100 * workers).len(), 100 * workers);
        let coming = numbered(7, 70);
        send(&mut peer, std::slice::from_ref(&coming));
        let got: Vec<_> = ports.iter_mut().flat_map(|p| receive(p, 0)).collect();
        assert_eq!(got, [coming]);
        // Nor were they shown and then skipped.
        let shown: u64 = ports
            .iter_mut()
            .map(|p| p.statistics().unwrap().packets)
            .sum();
        assert_eq!(shown, 1, "{workers} workers, steered: {steered}");
    }
}

#[test]
fn a_group_gives_both_directions_to_the_same_worker() {
    const SHARDS: u32 = 16;
    const WORKERS: u32 = 3;
    let net = pair();
    let mut guard = Guard::new().unwrap();
    let ends = [
        (addr("10.9.0.100"), addr("10.10.0.11"), addr("10.9.0.2")),
        (addr("fd09::100"), addr("fd10::11"), addr("fd09::2")),
    ];
    let mut entries = Vec::new();
    for (vip, server, _) in ends {
        let protocol = Protocol::UDP;
        entries.push(Entry::Virtual {
            protocol,
            addr: Endpoint::new(vip, 53),
        });
        entries.push(Entry::Reply {
            protocol,
            addr: Endpoint::new(server, 5353),
        });
    }
    let hidden = Hidden::new(&entries, &[], |_, _| false);
    guard.set(&hidden, |_| None).unwrap();
    let mut ports = net.run("b", || {
        let device = Device::by_name("eth0").unwrap();
        let steering = guard.steering(SHARDS, WORKERS).unwrap();
        let config = PacketConfig::new(&device, PortId(0));
        PacketPort::open_group(&config, WORKERS as usize, Some(&steering)).unwrap()
    });
    let mut peer = net.run("a", || open("eth0", 0));
    let mut expected = vec![Vec::new(); WORKERS as usize];
    for (vip, server, client) in ends {
        for port in 40_000..40_050 {
            let worker = steer::client_shard(client, port, SHARDS) % WORKERS;
            for packet in [
                frames::udp(client, port, vip, 53, b"request"),
                frames::udp(server, 5353, client, port, b"reply"),
            ] {
                expected[worker as usize].push(frames::ethernet(TO_ALL, &packet));
            }
        }
    }
    assert!(expected.iter().all(|e| e.len() > 20));
    let all: Vec<_> = expected.concat();
    send(&mut peer, &all);
    for (worker, port) in ports.iter_mut().enumerate() {
        expect(port, &expected[worker]);
    }
}

#[test]
fn only_what_the_filter_accepts_is_copied() {
    let net = pair();
    let mut guard = Guard::new().unwrap();
    let (vip, server, own) = (addr("10.9.0.100"), addr("10.10.0.11"), addr("10.9.0.1"));
    let (client, stranger) = (addr("10.9.0.2"), addr("10.9.0.9"));
    let protocol = Protocol::UDP;
    let entries = [
        Entry::Virtual {
            protocol,
            addr: Endpoint::new(vip, 53),
        },
        Entry::Reply {
            protocol,
            addr: Endpoint::new(server, 5353),
        },
        Entry::Own(own),
    ];
    let hidden = Hidden::new(&entries, &[], |_, _| false);
    guard.set(&hidden, |_| None).unwrap();
    let mut port = net.run("b", || {
        let device = Device::by_name("eth0").unwrap();
        let filter = guard.filter().unwrap();
        let config = PacketConfig {
            filter: Some(&filter),
            ..PacketConfig::new(&device, PortId(0))
        };
        PacketPort::open(&config).unwrap()
    });
    let mac = mac_of(&net, "b", "eth0").0;
    let mut peer = net.run("a", || open("eth0", 0));
    let mut arp = numbered(1, 60);
    arp[12..14].copy_from_slice(&[8, 6]);
    let wanted = vec![
        frames::ethernet(mac, &frames::udp(client, 9, vip, 53, b"request")),
        frames::ethernet(mac, &frames::udp(server, 5353, client, 9, b"reply")),
        frames::ethernet(mac, &frames::packet(client, vip, 17, Part::Later, &[0; 32])),
        frames::ethernet(mac, &frames::unreachable(stranger, client, &[0x45; 28])),
        arp,
    ];
    let unwanted = vec![
        frames::ethernet(mac, &frames::udp(client, 9, own, 22, b"the host's")),
        frames::ethernet(mac, &frames::udp(server, 5353, own, 9, b"a health check's")),
        frames::ethernet(mac, &frames::udp(client, 9, stranger, 53, b"routed")),
        frames::ethernet(
            [2, 0, 0, 0, 0, 77],
            &frames::udp(client, 9, vip, 53, b"another's"),
        ),
        frames::ethernet(
            mac,
            &frames::packet(client, vip, 1, Part::Whole, &[8, 0, 0, 0]),
        ),
        numbered(2, 60),
    ];
    send(
        &mut peer,
        &[unwanted.clone(), wanted.clone(), unwanted].concat(),
    );
    expect(&mut port, &wanted);
    assert_eq!(port.statistics().unwrap().packets, wanted.len() as u64);
}

#[test]
fn frames_of_a_vlan_are_anothers() {
    let net = pair();
    let (mut from, mut to) = (
        net.run("a", || open("eth0", 0)),
        net.run("b", || open("eth0", 0)),
    );
    let tagged = |tci: u16, n| {
        let mut frame = numbered(n, 100);
        let [a, b] = tci.to_be_bytes();
        frame.splice(12..12, [0x81, 0, a, b]);
        frame
    };
    // A priority without a VLAN number is not a VLAN.
    send(
        &mut from,
        &[tagged(0x600a, 1), tagged(0xe000, 2), numbered(3, 100)],
    );
    expect(&mut to, &[numbered(2, 100), numbered(3, 100)]);
    assert_eq!(to.statistics().unwrap().tagged, 1);
}

#[test]
fn an_interface_that_goes_down_is_reported_once_and_may_come_back() {
    let net = pair();
    let (mut from, mut to) = (
        net.run("a", || open("eth0", 0)),
        net.run("b", || open("eth0", 0)),
    );
    net.ip("b", "link set eth0 down");
    let mut burst = Burst::default();
    let errors: Vec<_> = (0..100)
        .filter_map(|_| to.receive(&mut burst).err())
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].raw_os_error(), Some(libc::ENETDOWN));
    let frame = numbered(1, 60);
    let packet = Packet {
        offload: Offload::default(),
        head: &[],
        body: &frame,
    };
    let down = to.transmit(&mut std::iter::repeat_n(packet, 3));
    assert_eq!((down.sent, down.failed), (0, 3));

    net.ip("b", "link set eth0 up");
    let deadline = Instant::now() + SLOW_MACHINE;
    while burst.frames().is_empty() && Instant::now() < deadline {
        from.transmit(&mut std::iter::once(packet));
        std::thread::sleep(Duration::from_millis(10));
        to.receive(&mut burst).unwrap();
    }
    assert_eq!(burst.frames()[0].bytes(), frame);
}

#[test]
fn a_group_address_is_joined_while_the_port_lives() {
    let net = pair();
    let joined = || {
        let list = std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap();
        list.contains("01005e000012")
    };
    net.run("a", || {
        let port = open("eth0", 0);
        assert!(!joined());
        port.join_multicast(Mac([1, 0, 0x5e, 0, 0, 0x12])).unwrap();
        assert!(joined());
        drop(port);
        assert!(!joined());
    });
}

#[test]
fn devices_are_found_by_name_and_number() {
    let net = pair();
    net.ip("a", "link set eth0 mtu 1400 address 02:00:00:0a:0b:0c");
    net.run("a", || {
        let device = Device::by_name("eth0").unwrap();
        assert_eq!(Device::by_index(device.index).unwrap(), device);
        assert_eq!(device.mac, Mac([2, 0, 0, 0x0a, 0x0b, 0x0c]));
        assert_eq!((device.mtu, device.up, device.ethernet), (1400, true, true));
        for name in ["", "nosuch0", "a-name-far-too-long"] {
            assert!(Device::by_name(name).is_err(), "{name}");
        }
        assert!(Device::by_index(999_999).is_err());
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    let net = pair();
    let error = |dev: &str, slots| {
        let device = Device::by_name(dev).unwrap();
        let config = PacketConfig {
            slots,
            ..PacketConfig::new(&device, PortId(0))
        };
        PacketPort::open(&config).unwrap_err()
    };
    net.run("a", || {
        assert_eq!(
            error("lo", 64).to_string(),
            "lo: SIOCGIFHWADDR: not an Ethernet interface"
        );
        let too_many = error("eth0", 1 << 40);
        assert_eq!(too_many.step(), "PACKET_RX_RING");
        assert!(!too_many.is_permission());
        keep_capabilities(&[]);
        let unprivileged = error("eth0", 64);
        assert!(unprivileged.is_permission());
        assert_eq!(
            unprivileged.to_string(),
            "eth0: socket(AF_PACKET): Operation not permitted (os error 1) (needs CAP_NET_RAW)"
        );
    });
}
