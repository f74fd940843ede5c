//! Bytes that others have made: computed by hand from the RFCs, and sent by Debian's keepalived 2.2.7 between two network
//! namespaces (its first or second advertisement of a kind, as tcpdump saw it). We make the same ones, and take them.

use super::*;
use crate::config::{Checksum, Family, UnicastChecksum};
use crate::packet::vrid_of;

/// An advertisement, and what makes it.
struct Case {
    what: &'static str,
    config: RouterConfig,
    priority: u8,
    from: &'static str,
    to: &'static str,
    /// How many were sent before.
    before: usize,
    bytes: Vec<u8>,
}

impl Case {
    /// What is sent by it. IPv4: from the IP header on.
    fn sent(&self) -> Vec<u8> {
        let mut codec = Codec::new();
        let mut send = || {
            let (from, to) = (ip(self.from), ip(self.to));
            let config = &self.config;
            codec.advertise(config, from, to, self.priority, config.interval, WALL)
        };
        for _ in 0..self.before {
            send();
        }
        send()
    }

    fn is_taken(&self, bytes: &[u8]) {
        assert_eq!(
            vrid_of(self.config.family, bytes),
            Some(self.config.vrid),
            "{}",
            self.what
        );
        let (result, notes) = check(&self.config, &received(self.from, self.to, bytes));
        let expected = Advertisement {
            from: ip(self.from),
            vrid: self.config.vrid,
            priority: self.priority,
            interval: self.config.interval,
            addresses: self.config.addresses.clone(),
        };
        assert_eq!(result, Ok(expected), "{}", self.what);
        let old = self.config.transport.is_unicast()
            && self.config.checksum.unicast == UnicastChecksum::Detect
            && self.what.contains("old");
        let expected = if old { vec![Note::OldChecksum] } else { vec![] };
        assert_eq!(notes, expected, "{}", self.what);
    }
}

/// Messages, without IP header.
fn computed() -> Vec<Case> {
    let (group4, here) = ("224.0.0.18", "192.168.80.101");
    let vip = ["192.168.80.200"];
    let centiseconds = |config: RouterConfig, n: u64| RouterConfig {
        interval: Duration::from_millis(10 * n),
        ..config
    };
    let case = |what, config, priority, from, to, bytes| Case {
        what,
        config,
        priority,
        from,
        to,
        before: 0,
        bytes: hex(bytes),
    };
    let pass = |config, text| RouterConfig {
        authentication: Authentication::Password(password(text)),
        ..config
    };
    vec![
        case(
            "v2 with a password of eight letters",
            pass(config(Version::V2, 1, &["10.210.214.253"]), "12345678"),
            200,
            "10.210.214.1",
            group4,
            "2101c80101016357 0ad2d6fd 3132333435363738",
        ),
        case(
            "v2 with a password of four letters",
            pass(config(Version::V2, 51, &vip), "1111"),
            100,
            here,
            group4,
            "21336401010105f7 c0a850c8 3131313100000000",
        ),
        case(
            "v2 that steps down",
            config(Version::V2, 51, &vip),
            0,
            here,
            group4,
            "213300010001cd59 c0a850c8 0000000000000000",
        ),
        case(
            "v3 over IPv4",
            config(Version::V3, 51, &vip),
            100,
            here,
            group4,
            "3133640100646759 c0a850c8",
        ),
        case(
            "v3 over IPv4 without pseudo-header",
            RouterConfig {
                checksum: Checksum {
                    plain: true,
                    ..Checksum::default()
                },
                ..config(Version::V3, 51, &vip)
            },
            100,
            here,
            group4,
            "31336401006458f6 c0a850c8",
        ),
        case(
            "v3 by unicast",
            RouterConfig {
                transport: unicast(&["192.168.80.102"], None),
                ..centiseconds(config(Version::V3, 51, &vip), 25)
            },
            100,
            here,
            "192.168.80.102",
            "31336401001936a8 c0a850c8",
        ),
        case(
            "v3 over IPv6",
            centiseconds(config(Version::V3, 7, &["fe80::1", "2001:db8::1"]), 10),
            254,
            "fe80::a",
            "ff02::12",
            "3107fe02000aa677 fe800000000000000000000000000001 20010db8000000000000000000000001",
        ),
    ]
}

#[test]
fn computed_messages_are_made_and_taken() {
    for case in computed() {
        let bytes = case.sent();
        case.is_taken(&bytes);
        let header = if case.config.family == Family::V4 {
            20
        } else {
            0
        };
        assert_eq!(bytes[header..], case.bytes, "{}", case.what);
    }
}

/// What keepalived sent, from the IP header on (IPv6: behind it).
fn of_keepalived() -> Vec<Case> {
    let (group, peer, here) = ("224.0.0.18", "192.168.80.102", "192.168.80.101");
    let vips = ["192.168.80.200", "192.168.80.201"];
    let case = |what, config: RouterConfig, to, before, bytes| Case {
        what,
        priority: 200,
        from: if config.family == Family::V4 {
            here
        } else {
            "fe80::a"
        },
        config,
        to,
        before,
        bytes: hex(bytes),
    };
    let ah = Authentication::Ah(password("s3cret"));
    let v3 = |vrid| RouterConfig {
        interval: Duration::from_millis(250),
        ..config(Version::V3, vrid, &vips)
    };
    let to_peer = |config, ttl| RouterConfig {
        transport: unicast(&[peer], ttl),
        ..config
    };
    let v6 = |vrid, vips: &[&str]| RouterConfig {
        interval: Duration::from_millis(100),
        ..config(Version::V3, vrid, vips)
    };
    let stepping_down = |case: Case| Case {
        priority: 0,
        ..case
    };
    vec![
        case(
            "v2",
            config(Version::V2, 10, &vips),
            group,
            0,
            "45c0002c00010000ff70c980c0a85065e0000012210ac8020001f40ec0a850c8c0a850c90000000000000000",
        ),
        case(
            "v2, the second",
            config(Version::V2, 10, &vips),
            group,
            1,
            "45c0002c00020000ff70c97fc0a85065e0000012210ac8020001f40ec0a850c8c0a850c90000000000000000",
        ),
        stepping_down(case(
            "v2 that steps down",
            config(Version::V2, 10, &vips),
            group,
            4,
            "45c0002c00050000ff70c97cc0a85065e0000012210a00020001bc0fc0a850c8c0a850c90000000000000000",
        )),
        case(
            "v2 with a password",
            RouterConfig {
                authentication: Authentication::Password(password("1111")),
                ..config(Version::V2, 11, &vips)
            },
            group,
            0,
            "45c0002c00010000ff70c980c0a85065e0000012210bc802010190abc0a850c8c0a850c93131313100000000",
        ),
        case(
            "v2 with AH",
            RouterConfig {
                authentication: ah,
                ..config(Version::V2, 12, &vips)
            },
            group,
            0,
            "45c0004400010000ff33c9a5c0a85065e0000012 70040000c0a85065000000019efef094ab637aa87e7526e3 \
             210cc8020201f20cc0a850c8c0a850c90000000000000000",
        ),
        case(
            "v2 with AH, the second",
            RouterConfig {
                authentication: ah,
                ..config(Version::V2, 12, &vips)
            },
            group,
            1,
            "45c0004400020000ff33c9a4c0a85065e0000012 70040000c0a8506500000002387bc1ebd9b3bfdeef15205f \
             210cc8020201f20cc0a850c8c0a850c90000000000000000",
        ),
        stepping_down(case(
            "v2 with AH that steps down",
            RouterConfig {
                authentication: ah,
                ..config(Version::V2, 12, &vips)
            },
            group,
            4,
            "45c0004400050000ff33c9a1c0a85065e0000012 70040000c0a850650000000543ad1479fdb05721116f118f \
             210c00020201ba0dc0a850c8c0a850c90000000000000000",
        )),
        case(
            "v2 with AH by unicast, TTL 64",
            RouterConfig {
                authentication: ah,
                ..to_peer(config(Version::V2, 13, &vips), Some(64))
            },
            peer,
            0,
            "45c0004400010000403357aac0a85065c0a85066 70040000c0a8506500000001af90d5584801697c5f5b4e50 \
             210dc8020201f20bc0a850c8c0a850c90000000000000000",
        ),
        case(
            "v3",
            v3(14),
            group,
            0,
            "45c0002400010000ff70c988c0a85065e0000012310ec8020019f251c0a850c8c0a850c9",
        ),
        case(
            "v3 by unicast",
            to_peer(v3(15), None),
            peer,
            1,
            "45c0002400020000ff70988bc0a85065c0a85066310fc8020019c154c0a850c8c0a850c9",
        ),
        case(
            "v3 by unicast with old_unicast_checksum",
            RouterConfig {
                checksum: Checksum {
                    unicast: UnicastChecksum::Old,
                    ..Checksum::default()
                },
                ..to_peer(v3(16), None)
            },
            peer,
            0,
            "45c0002400010000ff70988cc0a85065c0a850663110c8020019f24fc0a850c8c0a850c9",
        ),
        case(
            "v3 over IPv6",
            v6(18, &["fe80::1", "2001:db8::1"]),
            "ff02::12",
            0,
            "3112c802000adc6cfe80000000000000000000000000000120010db8000000000000000000000001",
        ),
        stepping_down(case(
            "v3 over IPv6 that steps down",
            v6(18, &["fe80::1", "2001:db8::1"]),
            "ff02::12",
            0,
            "31120002000aa46dfe80000000000000000000000000000120010db8000000000000000000000001",
        )),
        case(
            "v3 over IPv6 by unicast",
            RouterConfig {
                transport: unicast(&["fe80::b"], None),
                ..v6(19, &["fe80::2", "2001:db8::2"])
            },
            "fe80::b",
            0,
            "3113c802000adcf2fe80000000000000000000000000000220010db8000000000000000000000002",
        ),
    ]
}

#[test]
fn keepalived_sends_the_same() {
    for case in of_keepalived() {
        assert_eq!(case.sent(), case.bytes, "{}", case.what);
    }
}

#[test]
fn what_keepalived_sends_is_taken() {
    for mut case in of_keepalived() {
        case.is_taken(&case.bytes);
        if case.what.contains("old") {
            case.config.checksum = Checksum::default();
            case.is_taken(&case.bytes);
        }
    }
}

/// The trailer's two examples in the appendix of keepalived's draft: key 00 01 … 1f, stamped 0x6800000080000000.
#[test]
fn trailers_of_the_draft() {
    let mut trailer = trailer(TrailerMode::Enforce);
    trailer.keys.remove(0);
    trailer.keys[0].secret = (0..32).collect();
    let wall = Duration::new(0x6800_0000, 500_000_000);
    let v4 = RouterConfig {
        trailer: Some(trailer.clone()),
        checksum: Checksum {
            plain: true,
            ..Checksum::default()
        },
        ..config(Version::V3, 51, &["192.0.2.100"])
    };
    let v6 = RouterConfig {
        trailer: Some(trailer),
        transport: unicast(&["fe80::20"], None),
        ..config(Version::V3, 51, &["fe80::100"])
    };
    let cases = [
        (
            v4,
            "198.51.100.10",
            "224.0.0.18",
            "3133c80100644402c0000264 010100006800000080000000 1b84bc4e8e43892dc6d98448f8ee2265",
        ),
        (
            v6,
            "fe80::10",
            "fe80::20",
            "3133c8010064a2e9fe800000000000000000000000000100 010100006800000080000000 \
             c8c56146ebfd66ee10ec4d8186461b78",
        ),
    ];
    for (config, from, to, bytes) in cases {
        let second = Duration::from_secs(1);
        let sent = Codec::new().advertise(&config, ip(from), ip(to), 200, second, wall);
        let header = if config.family == Family::V4 { 20 } else { 0 };
        assert_eq!(sent[header..], hex(bytes), "{from}");
        let packet = received(from, to, &sent);
        let result = Codec::new().check(&config, &packet, wall, &mut Vec::new());
        assert_eq!(result.unwrap().priority, 200, "{from}");
    }
}
