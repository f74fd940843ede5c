//! What virtual routers are to do.
//!
//! A record says what will happen, with all defaults resolved; that combinations make sense (no password in version 3, an
//! interval that the version can send) is for who makes it to see to, and what does not is corrected by nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// All virtual routers of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The virtual routers; no two have the same name.
    pub routers: Vec<Arc<RouterConfig>>,
    /// Groups of them that change state together.
    pub groups: Vec<GroupConfig>,
    /// How long all wait at the start before they listen (keepalived's `vrrp_startup_delay`).
    pub startup_delay: Duration,
}

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Version {
    /// RFC 3768: whole seconds, passwords.
    V2,
    /// RFC 5798 and RFC 9568: hundredths of a second, IPv6.
    V3,
}

impl Version {
    /// The number in packets.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// The family of a virtual router's advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of an address.
    pub const fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// A virtual router as this host takes part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Its name: what makes it the same one after a reload.
    pub name: String,
    /// The virtual router's number, 1 to 255.
    pub vrid: u8,
    /// The family of its advertisements.
    pub family: Family,
    /// The version of the protocol.
    pub version: Version,
    /// 1 to 255; 255 is the owner of the addresses.
    pub priority: u8,
    /// An owner that begins as master; otherwise it decides nothing.
    pub wants_master: bool,
    /// From one advertisement to the next: whole seconds in version 2, 10 ms to 40.95 s in version 3.
    pub interval: Duration,
    /// So many advertisements missing, and a backup takes over: 3 by the RFCs.
    pub missing: u32,
    /// What is done about a master of lower priority.
    pub preempt: Preempt,
    /// Whom advertisements go to.
    pub transport: Transport,
    /// How advertisements of version 2 are known to be genuine.
    pub authentication: Authentication,
    /// keepalived 2.4's trailer behind advertisements, of all versions.
    pub trailer: Option<Trailer>,
    /// The addresses in advertisements, in order.
    pub addresses: Vec<IpAddr>,
    /// Whether lists of addresses in advertisements are compared with ours.
    pub check_addresses: CheckAddresses,
    /// An advertisement with another number of addresses than ours counts all the same. RFC 3768 and keepalived up to 2.2.7 drop it, so that
    /// two routers are master until both have the same list; later RFCs and keepalived take it.
    pub any_address_count: bool,
    /// How checksums of version 3 over IPv4 are made.
    pub checksum: Checksum,
    /// What is done when two masters meet.
    pub rivals: Rivals,
    /// A master that finds itself so late that a backup of this priority, the highest of all others, may have taken over becomes
    /// backup (keepalived's `timer_expired_backup`).
    pub late: Option<u8>,
    /// The RFC to the letter (keepalived's `strict_mode`): an advertisement whose list of addresses is another one, or whose
    /// first IPv6 address is not link-local, is complained of.
    pub strict: bool,
    /// What it watches.
    pub tracking: Vec<Tracked>,
    /// The host has no address to send from: a fault. What [`crate::event::Output`] is sent by the driver needs one.
    pub needs_source: bool,
}

impl RouterConfig {
    /// The priority of an address owner (RFC 9568 section 6.1).
    pub const OWNER: u8 = 255;
    /// The priority of who steps down.
    pub const RELEASE: u8 = 0;

    /// A virtual router with the RFC's defaults: version 3, priority 100, an advertisement a second, by multicast.
    pub fn new(name: impl Into<String>, vrid: u8, addresses: Vec<IpAddr>) -> Self {
        let family = addresses.first().map_or(Family::V4, |a| Family::of(*a));
        Self {
            name: name.into(),
            vrid,
            family,
            version: Version::V3,
            priority: 100,
            wants_master: false,
            interval: Duration::from_secs(1),
            missing: 3,
            preempt: Preempt::Always,
            transport: Transport::multicast(family),
            authentication: Authentication::None,
            trailer: None,
            addresses,
            check_addresses: CheckAddresses::Each,
            any_address_count: false,
            checksum: Checksum::default(),
            rivals: Rivals::default(),
            late: None,
            strict: false,
            tracking: Vec::new(),
            needs_source: true,
        }
    }

    /// Whether it owns its addresses.
    pub const fn is_owner(&self) -> bool {
        self.priority == Self::OWNER
    }
}

/// What is done about a master of lower priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are these three")]
pub enum Preempt {
    /// It is taken over from.
    Always,
    /// It is taken over from when it has been seen for so long.
    After(Duration),
    /// It is left alone.
    Never,
}

/// Whom advertisements go to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Transport {
    /// To a group.
    Multicast {
        /// The group.
        group: IpAddr,
    },
    /// To each peer, in order.
    Unicast {
        /// The others.
        peers: Vec<Peer>,
        /// The TTL or hop limit of what is sent; `None`: the kernel's (IPv6).
        ttl: Option<u8>,
        /// An advertisement must come from one of them.
        check_source: bool,
    },
}

impl Transport {
    /// The group of IPv4 (RFC 9568 section 5.1.1.2).
    pub const GROUP_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
    /// The group of IPv6 (RFC 9568 section 5.1.2.2).
    pub const GROUP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));

    /// To the RFC's group.
    pub const fn multicast(family: Family) -> Self {
        let group = match family {
            Family::V4 => Self::GROUP_V4,
            Family::V6 => Self::GROUP_V6,
        };
        Self::Multicast { group }
    }

    /// Whether advertisements go to single peers.
    pub const fn is_unicast(&self) -> bool {
        matches!(self, Self::Unicast { .. })
    }
}

/// A peer of unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub addr: IpAddr,
    /// The least and greatest TTL of what comes from it, looked at if sources are.
    pub ttl: (u8, u8),
}

/// How advertisements of version 2 are known to be genuine (RFC 2338 section 5.3.6; RFC 3768 has taken this back).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the RFC has these three")]
pub enum Authentication {
    /// They are not.
    #[default]
    None,
    /// A password in the clear, padded with zeros.
    Password([u8; 8]),
    /// IPsec AH by HMAC-MD5 with this key (IPv4).
    Ah([u8; 8]),
}

impl std::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(…)",
            Self::Ah(_) => "Ah(…)",
        })
    }
}

/// A keyed sum behind advertisements (keepalived 2.4's `auth_hmac`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Keys by number; no two have the same.
    pub keys: Vec<TrailerKey>,
    /// The number of the one that we send with; it is among them.
    pub active: u8,
    /// What makes each packet new.
    pub replay: Replay,
    /// How far clocks may be apart, if that is the time.
    pub window: Duration,
    /// How strict it is.
    pub mode: TrailerMode,
}

/// A key of a [`Trailer`].
#[derive(Clone, PartialEq, Eq)]
pub struct TrailerKey {
    /// Its number.
    pub id: u8,
    /// What is known to its holders only.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for TrailerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrailerKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What makes each packet with a [`Trailer`] new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these two")]
pub enum Replay {
    /// The time of day, which must not be too far off.
    #[default]
    Time,
    /// A number that grows.
    Monotonic,
}

/// How strict a [`Trailer`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these three")]
pub enum TrailerMode {
    /// Sent, and demanded.
    #[default]
    Enforce,
    /// Sent, not demanded.
    Permissive,
    /// Not sent, looked at where it is.
    ReceiveOnly,
}

/// Whether lists of addresses in advertisements are compared with ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these two")]
pub enum CheckAddresses {
    /// Each.
    #[default]
    Each,
    /// Not those of the master that sent the last (`skip_check_adv_addr`).
    NewMaster,
}

/// How checksums of version 3 over IPv4 are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Without the pseudo-header, as RFC 9568 has it (`v3_checksum_as_v2`). Checksums that come are then not looked at.
    pub plain: bool,
    /// What stands in the pseudo-header of unicast.
    pub unicast: UnicastChecksum,
}

/// What stands as destination in the pseudo-header of unicast advertisements of version 3 over IPv4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these three")]
pub enum UnicastChecksum {
    /// The peer's address, until a peer uses the group's.
    #[default]
    Detect,
    /// The group's address (keepalived up to 1.3.6).
    Old,
    /// The peer's address, always.
    New,
}

/// What is done when two masters meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rivals {
    /// A master of lower priority is not answered (`lower_prio_no_advert`; RFC 5798 and before).
    pub silent: bool,
    /// Before we give way we speak once more (`higher_prio_send_advert`).
    pub last_word: bool,
    /// An owner does not listen (`owner_ignore_adverts`).
    pub owner_deaf: bool,
}

/// A set of virtual routers that change state together (keepalived's `vrrp_sync_group`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Its name.
    pub name: String,
    /// The names of its routers, which exist and are in no other group; at least one.
    pub members: Vec<String>,
}

/// What a virtual router may watch, by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these")]
pub enum Object {
    /// A network interface: good while it is up and running.
    Interface(String),
    /// A script: good while it succeeds.
    Script(String),
    /// A file with a number in it.
    File(String),
    /// Processes: good while there are enough.
    Process(String),
    /// A session of BFD.
    Bfd(String),
    /// The director, on an interface: good while it works there.
    Director(String),
    /// Addresses, routes and rules that were to be there (keepalived's `track_group`): good while they are.
    Kernel(String),
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = match self {
            Self::Interface(name) => ("interface", name),
            Self::Script(name) => ("script", name),
            Self::File(name) => ("file", name),
            Self::Process(name) => ("process", name),
            Self::Bfd(name) => ("BFD session", name),
            Self::Director(name) => ("director on", name),
            Self::Kernel(name) => ("track_group", name),
        };
        write!(f, "{kind} {}", name.escape_debug())
    }
}

/// What a virtual router watches, and what it does there (keepalived's weights).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The object.
    pub object: Object,
    /// Positive: added while the object is good; negative: added while it is bad; 0: bad is a fault. Of a file: what its
    /// number is multiplied with; 0: a number that is not 0 is a fault.
    pub weight: i32,
    /// The contribution's sign is turned round, or without weight good and bad.
    pub reverse: bool,
}
