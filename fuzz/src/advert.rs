//! What comes for a virtual router.

use std::net::IpAddr;
use std::time::Duration;

use lvs_vrrp::config::{
    Authentication, CheckAddresses, Checksum, Family, Peer, RouterConfig, Trailer, TrailerKey,
    TrailerMode, Transport, UnicastChecksum, Version,
};
use lvs_vrrp::packet::{Codec, Note, Received, Reject, vrid_of};

/// The time of day.
const WALL: Duration = Duration::new(0x6800_0000, 500_000_000);

/// Gives a virtual router what came. The first byte says how it is configured ([`config`]), the second its number; then come
/// packets, each behind a byte with its length. Whatever came, a partner takes what it sends.
pub fn advert(input: &[u8]) {
    let Some((&[options, vrid], mut rest)) = input.split_first_chunk() else {
        return;
    };
    let config = config(options, vrid);
    let (ours, theirs): (IpAddr, IpAddr) = match config.family {
        Family::V4 => ([192, 168, 80, 102].into(), [192, 168, 80, 101].into()),
        Family::V6 => (V6_B.into(), V6_A.into()),
    };
    let (mut codec, mut partner, mut notes) = (Codec::new(), Codec::new(), Vec::new());
    while let Some((&length, more)) = rest.split_first() {
        let (bytes, more) = more.split_at(usize::from(length).min(more.len()));
        rest = more;
        let packet = received(&config, theirs, ours, bytes);
        notes.clear();
        match codec.check(&config, &packet, WALL, &mut notes) {
            Ok(advertisement) => {
                assert_eq!(advertisement.vrid, vrid);
                assert_eq!(vrid_of(config.family, bytes), Some(vrid));
                let interval = advertisement.interval;
                assert!(
                    interval >= Duration::from_millis(10) && interval <= Duration::from_secs(255)
                );
                let size = if config.family == Family::V4 { 4 } else { 16 };
                assert!(advertisement.addresses.len() * size < bytes.len());
                let once = matches!(config.authentication, Authentication::Ah(_))
                    || !notes.contains(&Note::NoTrailer) && config.trailer.is_some();
                let again = codec.check(&config, &packet, WALL, &mut Vec::new());
                assert_eq!(again.is_err(), once, "the same once more: {again:?}");
            }
            Err(reject) => {
                assert!(notes.is_empty());
                assert!(reject.kind() < Reject::KINDS.len());
                assert!(!reject.to_string().contains(|c: char| c.is_control()));
            }
        }
        let to = match config.transport {
            Transport::Multicast { group } => group,
            Transport::Unicast { .. } => theirs,
        };
        let interval = config.interval;
        let sent = codec.advertise(&config, ours, to, config.priority, interval, WALL);
        let heard = received(&config, ours, theirs, &sent);
        let taken = partner.check(&config, &heard, WALL, &mut Vec::new());
        let is_deaf = taken == Err(Reject::NotAPeer { from: ours });
        assert!(taken.is_ok() || is_deaf, "{taken:?}");
    }
}

const V6_A: [u16; 8] = [0xfe80, 0, 0, 0, 0, 0, 0, 0xa];
const V6_B: [u16; 8] = [0xfe80, 0, 0, 0, 0, 0, 0, 0xb];

fn received<'a>(config: &RouterConfig, from: IpAddr, to: IpAddr, bytes: &'a [u8]) -> Received<'a> {
    Received {
        from,
        to: match config.transport {
            Transport::Multicast { group } => Some(group),
            Transport::Unicast { .. } => Some(to),
        },
        hop_limit: Some(255),
        bytes,
    }
}

/// A virtual router: the three lowest bits say of which kind.
fn config(options: u8, vrid: u8) -> RouterConfig {
    let addresses: [&str; 2] = match options & 7 {
        5 | 6 => ["fe80::1", "2001:db8::1"],
        _ => ["192.168.80.200", "192.168.80.201"],
    };
    let addresses = addresses.iter().filter_map(|a| a.parse().ok()).collect();
    let mut config = RouterConfig::new("fuzzed", vrid, addresses);
    let peers: &[IpAddr] = &[[192, 168, 80, 101].into(), V6_A.into()];
    let unicast = Transport::Unicast {
        peers: peers
            .iter()
            .map(|a| Peer {
                addr: *a,
                ttl: (1, 255),
            })
            .collect(),
        ttl: None,
        check_source: options & 0x80 != 0,
    };
    match options & 7 {
        0 => config.version = Version::V2,
        1 => {
            config.version = Version::V2;
            config.authentication = Authentication::Password(*b"1111\0\0\0\0");
        }
        2 => {
            config.version = Version::V2;
            config.authentication = Authentication::Ah(*b"s3cret\0\0");
        }
        3 | 5 => {}
        4 | 6 => config.transport = unicast,
        _ => {
            config.checksum = Checksum {
                plain: true,
                unicast: UnicastChecksum::Detect,
            }
        }
    }
    if options & 0x08 != 0 {
        config.trailer = Some(Trailer {
            keys: vec![TrailerKey {
                id: 1,
                secret: (0..32).collect(),
            }],
            active: 1,
            replay: Default::default(),
            window: Duration::from_secs(3),
            mode: if options & 0x10 != 0 {
                TrailerMode::Permissive
            } else {
                TrailerMode::Enforce
            },
        });
    }
    config.strict = options & 0x20 != 0;
    if options & 0x40 != 0 {
        config.check_addresses = CheckAddresses::NewMaster;
    }
    config
}
