//! Why advertisements are dropped.

use std::fmt;
use std::net::IpAddr;

/// Why an advertisement does not count. The order is that of the checks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reject {
    /// It ends before its headers do.
    TooShort {
        /// Its length, all headers included.
        length: usize,
        /// What these headers need.
        least: usize,
    },
    /// It is no IPv4 packet with a VRRP or AH header.
    NotVrrp,
    /// It is for another virtual router.
    Vrid {
        /// The number in it.
        received: u8,
        /// Ours.
        expected: u8,
    },
    /// It has an AH header, which is not configured here.
    AhUnexpected,
    /// It has no AH header, which is configured here.
    AhMissing,
    /// It is longer or shorter than what it says.
    Length {
        /// Its length, all headers included.
        received: usize,
        /// What its version and its number of addresses make.
        expected: usize,
    },
    /// It came through a router (RFC 9568 section 5.1.1.3).
    Ttl {
        /// Its TTL or hop limit.
        received: u8,
    },
    /// It is of another version, which may be none at all.
    Version {
        /// The number in it.
        received: u8,
        /// Ours.
        expected: u8,
    },
    /// It has no trailer, and the mode is to enforce it.
    TrailerMissing,
    /// Its trailer is of another type, or has something in reserved bytes.
    TrailerMalformed,
    /// The time in its trailer is too far off.
    TrailerStale {
        /// How many seconds it is behind our clock.
        behind: i32,
        /// How many it may be, in both directions.
        window: u32,
    },
    /// Its trailer is made with a key that is not configured here.
    TrailerKey {
        /// The key's number.
        id: u8,
    },
    /// The sum in its trailer is wrong.
    TrailerHmac {
        /// The number of the key it is said to be made with.
        id: u8,
    },
    /// Its trailer is not newer than the sender's last.
    TrailerReplayed,
    /// It is authenticated in another way.
    AuthType {
        /// The type in it: 0 none, 1 a password, 2 AH.
        received: u8,
        /// Ours.
        expected: u8,
    },
    /// The password is another one.
    Password,
    /// The security parameter index is not the sender's address, as keepalived has it.
    AhSpi {
        /// What it is.
        received: u32,
    },
    /// The sum in the AH header is wrong.
    AhIcv,
    /// The AH header is not newer than the sender's last.
    AhReplayed {
        /// The sequence number in it.
        received: u32,
        /// That of the last.
        last: u32,
    },
    /// The interval is another one, which version 2 does not allow, or none at all.
    Interval {
        /// In hundredths of a second.
        received: u32,
        /// Ours.
        expected: u32,
    },
    /// It is something else than an advertisement.
    Type {
        /// The type in it; 1 is an advertisement.
        received: u8,
    },
    /// The length in the IPv4 header is not that of the packet.
    IpLength {
        /// What the header says.
        stated: u16,
        /// What came.
        received: usize,
    },
    /// The checksum is wrong.
    Checksum {
        /// What it is.
        received: u16,
        /// It would be right without the pseudo-header (RFC 9568 over IPv4).
        without_pseudo_header: bool,
    },
    /// It came by multicast, and unicast is configured here.
    Multicast,
    /// It came by unicast, and multicast is configured here.
    Unicast,
    /// An owner of the addresses is to listen to nobody (`owner_ignore_adverts`).
    Owner,
    /// It has another number of addresses than ours (RFC 3768 section 7.1).
    AddressCount {
        /// How many it has.
        received: usize,
        /// How many we have.
        ours: usize,
    },
    /// It is from none of the peers.
    NotAPeer {
        /// Whom it is from.
        from: IpAddr,
    },
    /// The TTL is not what the peer's may be.
    TtlRange {
        /// What it is.
        received: u8,
        /// The least,
        least: u8,
        /// and the greatest that it may be.
        most: u8,
    },
}

impl Reject {
    /// A short word for each kind, in the order of [`Self::kind`]: what metrics and statistics call it.
    pub const KINDS: [&'static str; 29] = [
        "too-short",
        "not-vrrp",
        "vrid",
        "ah-unexpected",
        "ah-missing",
        "length",
        "ttl",
        "version",
        "trailer-missing",
        "trailer-malformed",
        "trailer-stale",
        "trailer-key",
        "trailer-hmac",
        "trailer-replayed",
        "auth-type",
        "password",
        "ah-spi",
        "ah-icv",
        "ah-replayed",
        "interval",
        "type",
        "ip-length",
        "checksum",
        "multicast",
        "unicast",
        "owner",
        "address-count",
        "not-a-peer",
        "ttl-range",
    ];

    /// Its place in [`Self::KINDS`].
    pub const fn kind(&self) -> usize {
        match self {
            Self::TooShort { .. } => 0,
            Self::NotVrrp => 1,
            Self::Vrid { .. } => 2,
            Self::AhUnexpected => 3,
            Self::AhMissing => 4,
            Self::Length { .. } => 5,
            Self::Ttl { .. } => 6,
            Self::Version { .. } => 7,
            Self::TrailerMissing => 8,
            Self::TrailerMalformed => 9,
            Self::TrailerStale { .. } => 10,
            Self::TrailerKey { .. } => 11,
            Self::TrailerHmac { .. } => 12,
            Self::TrailerReplayed => 13,
            Self::AuthType { .. } => 14,
            Self::Password => 15,
            Self::AhSpi { .. } => 16,
            Self::AhIcv => 17,
            Self::AhReplayed { .. } => 18,
            Self::Interval { .. } => 19,
            Self::Type { .. } => 20,
            Self::IpLength { .. } => 21,
            Self::Checksum { .. } => 22,
            Self::Multicast => 23,
            Self::Unicast => 24,
            Self::Owner => 25,
            Self::AddressCount { .. } => 26,
            Self::NotAPeer { .. } => 27,
            Self::TtlRange { .. } => 28,
        }
    }

    /// What to do about it, in one sentence, by the keywords of keepalived.conf.
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::TooShort { .. }
            | Self::NotVrrp
            | Self::IpLength { .. }
            | Self::TrailerMalformed => {
                "Find out what the sender runs: this is no advertisement of a working VRRP router."
            }
            Self::Length { .. } => {
                "Look at auth_hmac, which must be on both or on neither, and at what the sender runs."
            }
            Self::Type { .. } => "Find out what the sender runs: VRRP has advertisements only.",
            Self::Vrid { .. } => "Nothing is wrong with it: another virtual router's it is.",
            Self::AhUnexpected | Self::AhMissing | Self::AuthType { .. } => {
                "Make auth_type the same on both; if the sender is no partner, another cluster uses this \
                 virtual_router_id: choose another one."
            }
            Self::Password | Self::AhIcv => {
                "Make auth_pass the same on both (eight characters count); if the sender is no partner, another \
                 cluster uses this virtual_router_id: choose another one."
            }
            Self::AhSpi { .. } => {
                "Look for address translation between the two, or for a sender that is not keepalived or lvsd."
            }
            Self::AhReplayed { .. } => {
                "It mends itself when the sender hears us, unless somebody replays what was once sent."
            }
            Self::Ttl { .. } => {
                "VRRP by multicast stays on one link: find out what forwards it, or use unicast_peer between networks."
            }
            Self::Version { .. } => {
                "Make vrrp_version, or version, the same on both; if the sender is no partner, another cluster uses this \
                 virtual_router_id: choose another one."
            }
            Self::TrailerMissing => {
                "Give the sender auth_hmac with the same key, or set mode permissive here until it has it."
            }
            Self::TrailerStale { .. } => {
                "Set both clocks by NTP, or use anti_replay monotonic on both."
            }
            Self::TrailerKey { .. } => {
                "Add that key to auth_hmac here, or make the sender use one that both have (active_key)."
            }
            Self::TrailerHmac { .. } => {
                "Make the secret of that key the same on both; if the sender is no partner, another cluster uses this \
                 virtual_router_id: choose another one."
            }
            Self::TrailerReplayed => {
                "See that the sender's clock does not go back; otherwise somebody replays what was once sent."
            }
            Self::Interval { .. } => {
                "Make advert_int the same on both; if the sender is no partner, another cluster uses this \
                 virtual_router_id: choose another one."
            }
            Self::Checksum {
                without_pseudo_header: true,
                ..
            } => "Set v3_checksum_as_v2 here, as the sender has it.",
            Self::Checksum { .. } => {
                "Make v3_checksum_as_v2 and old_unicast_checksum the same on both; otherwise something damages packets."
            }
            Self::Multicast => "Give the sender a unicast_peer, or take it away here.",
            Self::Unicast => "Give this router a unicast_peer, or take it away at the sender.",
            Self::Owner => {
                "Give one router only the priority 255, or take owner_ignore_adverts away."
            }
            Self::AddressCount { .. } => {
                "Make virtual_ipaddress the same on both; if the sender is no partner, another cluster uses this \
                 virtual_router_id: choose another one."
            }
            Self::NotAPeer { .. } => {
                "Add the sender to unicast_peer, or set its unicast_src_ip to the address that is there."
            }
            Self::TtlRange { .. } => {
                "Look for a changed path between the two, or change min_ttl and max_ttl of this unicast_peer."
            }
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length, least } => {
                write!(f, "{length} bytes long, and its headers alone need {least}")
            }
            Self::NotVrrp => f.write_str("no IPv4 packet with a VRRP or AH header"),
            Self::Vrid { received, expected } => {
                write!(f, "for virtual router {received}, not {expected}")
            }
            Self::AhUnexpected => {
                f.write_str("an AH header (auth_type AH), which is not configured here")
            }
            Self::AhMissing => {
                f.write_str("no AH header, and auth_type AH is configured here")
            }
            Self::Length { received, expected } => {
                write!(f, "{received} bytes long, and should be {expected}")?;
                if *received == expected + super::trailer::LENGTH {
                    f.write_str(": there may be an auth_hmac trailer, which is not configured here")?;
                }
                Ok(())
            }
            Self::Ttl { received } => write!(
                f,
                "TTL {received}, which must be 255: it came through a router, or its sender sets it wrong"
            ),
            Self::Version { received, expected } => {
                write!(f, "VRRP version {received}, not {expected}")
            }
            Self::TrailerMissing => f.write_str("no auth_hmac trailer"),
            Self::TrailerMalformed => f.write_str("an auth_hmac trailer of an unknown kind"),
            Self::TrailerStale { behind, window } => write!(
                f,
                "an auth_hmac trailer made {} s {} by our clock, and {window} s are allowed",
                behind.unsigned_abs(),
                if *behind < 0 { "in the future" } else { "ago" }
            ),
            Self::TrailerKey { id } => {
                write!(f, "an auth_hmac trailer with key {id}, which is not configured here")
            }
            Self::TrailerHmac { id } => write!(
                f,
                "an auth_hmac trailer whose sum is wrong: another secret for key {id}, or a forgery"
            ),
            Self::TrailerReplayed => {
                f.write_str("an auth_hmac trailer that is not newer than the last one")
            }
            Self::AuthType { received, expected } => write!(
                f,
                "authentication by {}, not by {}",
                AuthName(*received),
                AuthName(*expected)
            ),
            Self::Password => f.write_str("a wrong password (auth_pass)"),
            Self::AhSpi { received } => write!(
                f,
                "an AH header with SPI {received:#010x}, which must be the sender's address"
            ),
            Self::AhIcv => f.write_str(
                "an AH header whose sum is wrong: another password (auth_pass), or a changed packet",
            ),
            Self::AhReplayed { received, last } => {
                write!(f, "an AH header with number {received}, and the last was {last}")
            }
            Self::Interval { received, expected } => write!(
                f,
                "an advertisement every {} s, not every {} s",
                Seconds(*received),
                Seconds(*expected)
            ),
            Self::Type { received } => {
                write!(f, "VRRP type {received}, not 1 (advertisement)")
            }
            Self::IpLength { stated, received } => {
                write!(f, "{received} bytes long, and its IPv4 header says {stated}")
            }
            Self::Checksum {
                received,
                without_pseudo_header,
            } => {
                write!(f, "a wrong checksum, {received:#06x}")?;
                if *without_pseudo_header {
                    f.write_str(": it is made without the pseudo-header")?;
                }
                Ok(())
            }
            Self::Multicast => f.write_str("sent by multicast, and unicast is configured here"),
            Self::Unicast => f.write_str("sent by unicast, and multicast is configured here"),
            Self::Owner => f.write_str("not heeded, since we own the addresses"),
            Self::AddressCount { received, ours } => {
                write!(f, "{received} virtual addresses, and we have {ours}")
            }
            Self::NotAPeer { from } => write!(f, "from {from}, which is no unicast_peer"),
            Self::TtlRange {
                received,
                least,
                most,
            } => write!(f, "TTL {received}, which must be {least} to {most}"),
        }
    }
}

/// A type of authentication by its number.
struct AuthName(u8);

impl fmt::Display for AuthName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("nothing"),
            1 => f.write_str("a password (PASS)"),
            2 => f.write_str("AH"),
            other => write!(f, "an unknown type ({other})"),
        }
    }
}

/// Hundredths of a second, as seconds.
pub(super) struct Seconds(pub(super) u32);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        if part == 0 {
            write!(f, "{whole}")
        } else {
            write!(f, "{whole}.{part:02}")
        }
    }
}
