//! Two hosts on a cable: `va` (index 10) on this one, `vb` (index 11) on the other.

use std::fs;
use std::io::Read as _;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Authentication, Peer, Version};
use crate::io::announcer::{Announcer, Station};
use crate::io::testing::in_new_network;
use crate::packet::{Codec, frames};

const VA: u32 = 10;
const VB: u32 = 11;
/// Addresses that no host has: nothing is answered.
const A: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
const A6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);
const B6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xb);

/// Lines for `ip`, carried out in the calling thread's network.
fn ip(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let output = Command::new("ip").args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {line}: {output:?}");
    }
}

/// Waits for an interface to carry packets: a moment after it has been switched on, all that is sent is lost.
fn wait_until_up(name: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let shown = Command::new("ip")
            .args(["-o", "link", "show", name])
            .output();
        if String::from_utf8(shown.unwrap().stdout)
            .unwrap()
            .contains("state UP")
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{name} does not come up");
}

/// Runs a test on one host. The other one exists as long as what `prepare` has opened there.
fn two_hosts<T: Send>(prepare: impl FnOnce() -> T + Send, test: impl FnOnce(T) + Send) {
    in_new_network(|| {
        ip(&format!(
            "link set lo up
             link add index {VA} name va type veth peer index {VB} name vb
             link set va addrgenmode none"
        ));
        let (tell, told) = mpsc::channel();
        let (go, ready) = mpsc::channel::<()>();
        let (give, given) = mpsc::channel();
        std::thread::scope(|s| {
            s.spawn(move || {
                in_new_network(move || {
                    let me = fs::read_link("/proc/thread-self").unwrap();
                    tell.send(me.file_name().unwrap().to_owned()).unwrap();
                    ready.recv().unwrap();
                    ip(&format!(
                        "link set lo up
                         link set vb addrgenmode none
                         link set vb up
                         addr add {B}/24 dev vb
                         addr add {B6}/64 dev vb nodad"
                    ));
                    wait_until_up("vb");
                    give.send(prepare()).unwrap();
                });
            });
            let other = told.recv().unwrap();
            ip(&format!("link set vb netns {}", other.display()));
            ip(&format!(
                "link set va up
                 addr add {A}/24 dev va
                 addr add {A6}/64 dev va nodad"
            ));
            go.send(()).unwrap();
            wait_until_up("va");
            test(given.recv().unwrap());
        });
    });
}

fn endpoint(protocol: Protocol, interface: u32, local: impl Into<IpAddr>) -> Endpoint {
    let (interface, local) = (NonZeroU32::new(interface), local.into());
    Endpoint {
        protocol,
        interface,
        local,
    }
}

fn open(protocol: Protocol, interface: u32, local: impl Into<IpAddr>) -> AdvertSocket {
    AdvertSocket::open(endpoint(protocol, interface, local)).unwrap()
}

/// What comes in: source, destination, hop limit, bytes.
type Arrived = (IpAddr, Option<IpAddr>, Option<u8>, Vec<u8>);

fn next(socket: &AdvertSocket) -> Arrived {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if let Some(received) = socket.recv(&mut [0; 2048]).unwrap() {
            let Received {
                from,
                to,
                hop_limit,
                bytes,
            } = received;
            return (from, to, hop_limit, bytes.to_vec());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing comes in");
}

fn has_nothing(socket: &AdvertSocket) {
    assert!(socket.recv(&mut [0; 2048]).unwrap().is_none());
}

fn advert(config: &RouterConfig, from: impl Into<IpAddr>, to: impl Into<IpAddr>) -> Vec<u8> {
    let interval = Duration::from_secs(1);
    Codec::new().advertise(
        config,
        from.into(),
        to.into(),
        100,
        interval,
        Duration::ZERO,
    )
}

fn router(vip: &str) -> RouterConfig {
    RouterConfig::new("test", 51, vec![vip.parse().unwrap()])
}

fn by_unicast(vip: &str, ttl: Option<u8>, peer: impl Into<IpAddr>) -> RouterConfig {
    let addr = peer.into();
    RouterConfig {
        transport: Transport::Unicast {
            peers: vec![Peer {
                addr,
                ttl: (0, 255),
            }],
            ttl,
            check_source: false,
        },
        ..router(vip)
    }
}

#[test]
fn multicast_v4() {
    let group = Transport::GROUP_V4;
    two_hosts(
        || open(Protocol::Vrrp, VB, group),
        |theirs| {
            let ours = open(Protocol::Vrrp, VA, group);
            let bytes = advert(&router("10.7.0.100"), A, group);
            ours.send(group, &bytes, HeaderV6::default()).unwrap();
            let (from, to, ttl, got) = next(&theirs);
            assert_eq!((from, to, ttl), (A.into(), Some(group), Some(255)));
            assert_eq!(got[20..], bytes[20..]);
            assert_eq!(got[1], 0xc0, "type of service");
            has_nothing(&theirs);
            has_nothing(&ours);
            // And the other way.
            let answer = advert(&router("10.7.0.100"), B, group);
            theirs.send(group, &answer, HeaderV6::default()).unwrap();
            assert_eq!(next(&ours).0, IpAddr::from(B));
        },
    );
}

#[test]
fn multicast_v6() {
    let group = Transport::GROUP_V6;
    two_hosts(
        || open(Protocol::Vrrp, VB, group),
        |theirs| {
            let ours = open(Protocol::Vrrp, VA, group);
            // One of ours, and one that we do not have (a virtual interface sends with the address of the one below).
            for source in [A6, "fe80::dead".parse().unwrap()] {
                let bytes = advert(&router("fe80::100"), source, group);
                let header = HeaderV6 {
                    source: Some(source),
                    hop_limit: None,
                };
                ours.send(group, &bytes, header).unwrap();
                let expected = (source.into(), Some(group), Some(255), bytes);
                assert_eq!(next(&theirs), expected);
            }
            ours.send(group, b"whatever", HeaderV6::default()).unwrap();
            assert_eq!(next(&theirs).0, IpAddr::from(A6), "the kernel's choice");
            has_nothing(&theirs);
            has_nothing(&ours);
        },
    );
}

#[test]
fn authentication_headers() {
    let group = Transport::GROUP_V4;
    two_hosts(
        || {
            (
                open(Protocol::Ah, VB, group),
                open(Protocol::Vrrp, VB, group),
            )
        },
        |(theirs, other)| {
            let ours = open(Protocol::Ah, VA, group);
            let config = RouterConfig {
                version: Version::V2,
                authentication: Authentication::Ah(*b"12345678"),
                ..router("10.7.0.100")
            };
            let bytes = advert(&config, A, group);
            ours.send(group, &bytes, HeaderV6::default()).unwrap();
            let (from, _, _, got) = next(&theirs);
            assert_eq!((from, got[9]), (A.into(), 51));
            let received = Received {
                from,
                to: Some(group),
                hop_limit: Some(255),
                bytes: &got,
            };
            let heard = Codec::new().check(&config, &received, Duration::ZERO, &mut Vec::new());
            assert!(heard.is_ok(), "{heard:?}");
            has_nothing(&other);
        },
    );
}

#[test]
fn unicast_v4() {
    two_hosts(
        || open(Protocol::Vrrp, VB, B),
        |theirs| {
            let ours = open(Protocol::Vrrp, VA, A);
            let config = by_unicast("10.7.0.100", Some(7), B);
            let bytes = advert(&config, A, B);
            ours.send(B.into(), &bytes, HeaderV6::default()).unwrap();
            let (from, to, ttl, _) = next(&theirs);
            assert_eq!((from, to, ttl), (A.into(), Some(B.into()), Some(7)));
        },
    );
}

#[test]
fn unicast_v6() {
    two_hosts(
        || open(Protocol::Vrrp, VB, B6),
        |theirs| {
            let ours = open(Protocol::Vrrp, VA, A6);
            let config = by_unicast("fe80::100", None, B6);
            let bytes = advert(&config, A6, B6);
            for (hop_limit, expected) in [(Some(9), 9), (Some(255), 255), (None, 64)] {
                let source = Some(A6);
                let header = HeaderV6 { source, hop_limit };
                ours.send(B6.into(), &bytes, header).unwrap();
                let expected = (A6.into(), Some(B6.into()), Some(expected), bytes.clone());
                assert_eq!(next(&theirs), expected);
            }
        },
    );
}

#[test]
fn unicast_needs_no_interface() {
    two_hosts(
        || open(Protocol::Vrrp, 0, B),
        |theirs| {
            let ours = open(Protocol::Vrrp, 0, A);
            let bytes = advert(&by_unicast("10.7.0.100", None, B), A, B);
            ours.send(B.into(), &bytes, HeaderV6::default()).unwrap();
            assert_eq!(next(&theirs).0, IpAddr::from(A));
        },
    );
}

/// Nothing comes in twice: a socket hears what goes to its group or address, on its interface, and nothing else.
#[test]
fn each_hears_its_own() {
    let group = Transport::GROUP_V4;
    let other_group = Ipv4Addr::new(224, 0, 0, 118);
    two_hosts(
        || {
            ip("link add index 12 name vc type veth peer name vd\nlink set vc up");
            [
                open(Protocol::Vrrp, VB, group),
                open(Protocol::Vrrp, VB, other_group),
                open(Protocol::Vrrp, VB, B),
                open(Protocol::Vrrp, 12, group),
                open(Protocol::Vrrp, 12, B),
            ]
        },
        |[grouped, other, single, elsewhere, single_elsewhere]| {
            let ours = open(Protocol::Vrrp, VA, group);
            let config = router("10.7.0.100");
            let none = HeaderV6::default();
            ours.send(B.into(), &advert(&config, A, B), none).unwrap();
            ours.send(other_group.into(), &advert(&config, A, other_group), none)
                .unwrap();
            ours.send(group, &advert(&config, A, group), none).unwrap();
            assert_eq!(next(&grouped).1, Some(group));
            assert_eq!(next(&single).1, Some(B.into()));
            assert_eq!(next(&other).1, Some(other_group.into()));
            [grouped, other, single, elsewhere, single_elsewhere]
                .iter()
                .for_each(has_nothing);
        },
    );
}

#[test]
fn interfaces_go_down_and_away() {
    let group = Transport::GROUP_V4;
    two_hosts(
        || open(Protocol::Vrrp, VB, group),
        |_theirs| {
            let ours = open(Protocol::Vrrp, VA, group);
            let bytes = advert(&router("10.7.0.100"), A, group);
            let sent = || ours.send(group, &bytes, HeaderV6::default());
            sent().unwrap();
            ip("link set va down");
            assert!(sent().is_err());
            ip("link set va up");
            wait_until_up("va");
            sent().unwrap();
            ip("link del va");
            assert!(sent().is_err());
            // Whatever the kernel has to say of it, it is said once.
            let _ = ours.recv(&mut [0; 64]);
            has_nothing(&ours);
            let error = AdvertSocket::open(endpoint(Protocol::Vrrp, VA, group)).unwrap_err();
            assert_eq!(error.cause().raw_os_error(), Some(libc::ENODEV), "{error}");
        },
    );
}

#[test]
fn what_cannot_be_opened() {
    in_new_network(|| {
        ip("link set lo up");
        let error = |protocol, interface, local: IpAddr| {
            let opened = AdvertSocket::open(endpoint(protocol, interface, local));
            opened.unwrap_err().cause().raw_os_error()
        };
        let (v4, v6) = (Transport::GROUP_V4, Transport::GROUP_V6);
        assert_eq!(error(Protocol::Vrrp, 0, v4), Some(libc::EINVAL));
        assert_eq!(error(Protocol::Vrrp, 0, v6), Some(libc::EINVAL));
        assert_eq!(error(Protocol::Ah, 1, v6), Some(libc::EINVAL));
        assert_eq!(error(Protocol::Vrrp, 99, v6), Some(libc::ENODEV));
        let elsewhere = Some(libc::EADDRNOTAVAIL);
        assert_eq!(error(Protocol::Vrrp, 1, A.into()), elsewhere);
        assert_eq!(error(Protocol::Vrrp, 1, A6.into()), elsewhere);
    });
}

#[test]
fn buffers_have_the_size_they_are_given() {
    in_new_network(|| {
        ip("link set lo up");
        let socket = open(Protocol::Vrrp, 1, Ipv4Addr::LOCALHOST);
        socket.set_receive_buffer(5_000_000).unwrap();
        assert_eq!(socket.socket.recv_buffer_size().unwrap(), 10_000_000);
    });
}

#[test]
fn announcements() {
    let (vip, vip6) = (Ipv4Addr::new(10, 7, 0, 100), A6);
    let station = Station {
        interface: VA,
        mac: [2, 0, 0, 0, 0, 2],
        is_router: true,
    };
    let listen = || {
        let protocol = libc::ETH_P_ALL as u16;
        let all = i32::from(protocol.to_be()).into();
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap();
        socket
            .bind(&sys::link_address(VB, protocol).unwrap())
            .unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        socket
    };
    two_hosts(listen, |mut theirs| {
        // Nothing else is said on the cable that comes from this address.
        let mut next = || {
            let mut frame = vec![0; 200];
            loop {
                let length = theirs.read(&mut frame).unwrap();
                if frame[6..12] == station.mac {
                    frame.truncate(length);
                    return frame;
                }
            }
        };
        let announcer = Announcer::new().unwrap();
        announcer.announce(station, vip.into()).unwrap();
        assert_eq!(next(), frames::gratuitous_arp(station.mac, vip));
        announcer.announce(station, vip6.into()).unwrap();
        assert_eq!(next(), frames::unsolicited_na(station.mac, vip6, true));

        let gone = Station {
            interface: 99,
            ..station
        };
        let error = |station| {
            let announced = announcer.announce(station, vip.into());
            announced.unwrap_err().raw_os_error()
        };
        assert_eq!(error(gone), Some(libc::ENXIO));
        ip("link set va down");
        assert_eq!(error(station), Some(libc::ENETDOWN));
    });
}
