//! Tests of the bytes, by what they show.

use std::net::IpAddr;
use std::time::Duration;

use super::{Advertisement, Codec, Note, Received, Reject};
use crate::config::{
    Authentication, Family, Peer, RouterConfig, Trailer, TrailerKey, TrailerMode, Transport,
    Version,
};

mod edges;
mod notes;
mod properties;
mod rejects;
mod replays;
mod vectors;

/// A time of day.
const WALL: Duration = Duration::from_millis(1_800_000_000_500);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Bytes in hexadecimal, with or without blanks.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn config(version: Version, vrid: u8, addresses: &[&str]) -> RouterConfig {
    let mut config = RouterConfig::new("test", vrid, addresses.iter().map(|a| ip(a)).collect());
    config.version = version;
    config
}

/// A password or key, padded.
fn password(text: &str) -> [u8; 8] {
    let mut password = [0; 8];
    password[..text.len()].copy_from_slice(text.as_bytes());
    password
}

fn unicast(peers: &[&str], ttl: Option<u8>) -> Transport {
    let peer = |p: &&str| Peer {
        addr: ip(p),
        ttl: (0, 255),
    };
    Transport::Unicast {
        peers: peers.iter().map(peer).collect(),
        ttl,
        check_source: false,
    }
}

fn trailer(mode: TrailerMode) -> Trailer {
    let key = |id: u8| TrailerKey {
        id,
        secret: (0..32 + id).collect(),
    };
    Trailer {
        keys: vec![key(0), key(1)],
        active: 1,
        replay: Default::default(),
        window: Duration::from_secs(5),
        mode,
    }
}

/// What came, as a driver hands it on.
fn received<'a>(from: &str, to: &str, bytes: &'a [u8]) -> Received<'a> {
    Received {
        from: ip(from),
        to: Some(ip(to)),
        hop_limit: Some(255),
        bytes,
    }
}

/// Checks with a codec that has heard nothing.
fn check(
    config: &RouterConfig,
    packet: &Received<'_>,
) -> (Result<Advertisement, Reject>, Vec<Note>) {
    let mut notes = Vec::new();
    let result = Codec::new().check(config, packet, WALL, &mut notes);
    (result, notes)
}

/// Two routers on one link: [`Pair::send`] makes an advertisement and [`Pair::hear`] checks it.
struct Pair {
    sends: RouterConfig,
    hears: RouterConfig,
    sender: Codec,
    hearer: Codec,
    from: IpAddr,
    to: IpAddr,
    wall: Duration,
    notes: Vec<Note>,
}

impl Pair {
    /// Two with the same configuration.
    fn new(config: RouterConfig) -> Self {
        let (from, one, two) = match config.family {
            Family::V4 => ("192.0.2.1", "192.0.2.2", ip("224.0.0.18")),
            Family::V6 => ("fe80::a", "fe80::b", ip("ff02::12")),
        };
        let to = if config.transport.is_unicast() {
            ip(one)
        } else {
            two
        };
        Self {
            sends: config.clone(),
            hears: config,
            sender: Codec::new(),
            hearer: Codec::new(),
            from: ip(from),
            to,
            wall: WALL,
            notes: Vec::new(),
        }
    }

    fn send(&mut self) -> Vec<u8> {
        let config = &self.sends;
        let (priority, interval) = (config.priority, config.interval);
        (self.sender).advertise(config, self.from, self.to, priority, interval, self.wall)
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<Advertisement, Reject> {
        let packet = Received {
            from: self.from,
            to: Some(self.to),
            hop_limit: Some(255),
            bytes,
        };
        self.notes.clear();
        (self.hearer).check(&self.hears, &packet, self.wall, &mut self.notes)
    }

    /// What becomes of one advertisement.
    fn pass(&mut self) -> Result<Advertisement, Reject> {
        let bytes = self.send();
        self.hear(&bytes)
    }

    /// What becomes of one that something is done to on its way. Its IPv4 and VRRP checksums stay as they were.
    fn pass_changed(&mut self, change: impl FnOnce(&mut Vec<u8>)) -> Result<Advertisement, Reject> {
        let mut bytes = self.send();
        change(&mut bytes);
        self.hear(&bytes)
    }
}

fn v2() -> RouterConfig {
    config(Version::V2, 51, &["192.0.2.100", "192.0.2.101"])
}

fn v2_with(authentication: Authentication) -> RouterConfig {
    RouterConfig {
        authentication,
        ..v2()
    }
}

fn v3() -> RouterConfig {
    config(Version::V3, 51, &["192.0.2.100", "192.0.2.101"])
}

fn v6() -> RouterConfig {
    config(Version::V3, 51, &["fe80::100", "2001:db8::100"])
}

/// Where the VRRP message begins in an IPv4 packet.
const MESSAGE: usize = 20;

/// A pair of which one is configured differently.
fn differing(sends: RouterConfig, hears: RouterConfig) -> Pair {
    Pair {
        sends,
        ..Pair::new(hears)
    }
}

fn with_trailer(mode: TrailerMode) -> RouterConfig {
    RouterConfig {
        trailer: Some(trailer(mode)),
        ..v3()
    }
}

fn to_peer() -> RouterConfig {
    RouterConfig {
        transport: unicast(&["192.0.2.1", "192.0.2.2"], None),
        ..v3()
    }
}

fn from_peers_only(peer: &str, ttl: (u8, u8)) -> RouterConfig {
    RouterConfig {
        transport: Transport::Unicast {
            peers: vec![Peer {
                addr: ip(peer),
                ttl,
            }],
            ttl: None,
            check_source: true,
        },
        ..v3()
    }
}
