//! An instance of VRRP.
//!
//! All defaults are resolved and all of keepalived's corrections applied: an [`Instance`] says what will happen, whatever combination
//! of keywords it came from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lvs_core::Family;

use super::{Address, At, Command, Route, Rule, Tracking};

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Version {
    /// RFC 3768.
    V2,
    /// RFC 5798, RFC 9568.
    V3,
}

/// A `vrrp_instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Its name.
    pub name: At<String>,
    /// The number of the virtual router, 1 to 255.
    pub vrid: At<u8>,
    /// The interface; `None` only with unicast and a source address.
    pub interface: Option<At<String>>,
    /// The family of its advertisements and VIPs.
    pub family: Family,
    /// The version of the protocol.
    pub version: Version,
    /// `state MASTER`. It decides nothing but this: an owner (priority 255) begins as master.
    pub wants_master: bool,
    /// 1 to 255; 255 is the owner of the addresses.
    pub priority: At<u8>,
    /// From one advertisement to the next: whole seconds in version 2, at most 40.95 s in version 3.
    pub interval: At<Duration>,
    /// So many advertisements missing, and a backup takes over; 3 unless said otherwise.
    pub missing: u32,
    /// What is done about a master of lower priority.
    pub preempt: Preempt,
    /// Whom advertisements go to.
    pub transport: Transport,
    /// Where they come from; `None`: the interface's address.
    pub source: Option<At<IpAddr>>,
    /// It is a fault if the host does not have the source address (`track_src_ip`).
    pub track_source: bool,
    /// The interface is a virtual one.
    pub device: Device,
    /// The VRF of an instance without interface.
    pub vrf: Option<At<String>>,
    /// A password or keyed sum (version 2).
    pub authentication: Option<At<Authentication>>,
    /// The trailer of keepalived 2.4.
    pub hmac: Option<Hmac>,
    /// The addresses in advertisements.
    pub vips: Vec<Address>,
    /// Further addresses, of either family.
    pub excluded: Vec<Address>,
    /// To have none is meant (`no_virtual_ipaddress`).
    pub no_vips: bool,
    /// Routes that a master has.
    pub routes: Vec<Route>,
    /// Rules that a master has.
    pub rules: Vec<Rule>,
    /// The interface's secondary addresses stay when the primary goes.
    pub promote_secondaries: bool,
    /// A master accepts packets for its VIPs.
    pub accept: bool,
    /// Announcements of the VIPs.
    pub garp: Garp,
    /// What is done when two masters meet.
    pub rivals: Rivals,
    /// What it watches.
    pub tracking: Tracking,
    /// Its own interface counts too (not `dont_track_primary`).
    pub track_primary: bool,
    /// VIP lists in advertisements of the same master are compared with ours (not `skip_check_adv_addr`).
    pub check_addresses: CheckAddresses,
    /// The checksum of version 3 over IPv4 leaves the pseudo-header out (`v3_checksum_as_v2`; RFC 9568).
    pub plain_checksum: bool,
    /// Advertisements with another number of VIPs count (`lvsd_any_vip_count`).
    pub any_vip_count: bool,
    /// How the checksum of version 3 by unicast is made.
    pub unicast_checksum: UnicastChecksum,
    /// It becomes backup when the process ran so late that others may have taken over, with this priority
    /// (`timer_expired_backup`).
    pub late: Option<u8>,
    /// RFC 5798 to the letter; the rest of this record has been made to fit.
    pub strict: bool,
    /// Scripts.
    pub notify: Notify,
    /// Changes of priority go to the pipe.
    pub notify_priority: bool,
    /// Mails on changes of state.
    pub mails: bool,
    /// The size of the receiving buffer (`kernel_rx_buf_size`).
    pub receive_buffer: Option<u32>,
    /// Where the block begins.
    pub span: At<()>,
}

impl Instance {
    /// The priority of an address owner.
    pub const OWNER: u8 = 255;

    /// Whether it owns its addresses.
    pub fn is_owner(&self) -> bool {
        self.priority.value == Self::OWNER
    }

    /// All addresses that a master has.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.vips.iter().chain(&self.excluded)
    }

    /// The interface that an address is put on.
    pub fn interface_of<'a>(&'a self, address: &'a Address) -> Option<&'a str> {
        let own = self.interface.as_ref();
        address.interface.as_ref().or(own).map(|i| i.value.as_str())
    }
}

/// What is done about a master of lower priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum Preempt {
    /// It is taken over from.
    Always,
    /// It is taken over from when it has been seen for so long (`preempt_delay`).
    After(Duration),
    /// It is left alone (`nopreempt`).
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
    /// To each peer.
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
    /// The group of IPv4 (RFC 5798 section 5.1.1.2).
    pub const GROUP_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
    /// The group of IPv6 (RFC 5798 section 5.1.2.2).
    pub const GROUP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));
}

/// A peer of unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub addr: At<IpAddr>,
    /// The least and greatest TTL of what comes from it.
    pub ttl: (u8, u8),
}

/// On what kind of interface an instance lives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum Device {
    /// The one named.
    Plain,
    /// A macvlan of its own, with the virtual router's MAC address (`use_vmac`).
    Vmac(Vmac),
    /// An ipvlan of its own (`use_ipvlan`).
    Ipvlan(Ipvlan),
}

/// `use_vmac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmac {
    /// Its name; `None`: made of the prefix and the VRID. It is put on the instance's interface.
    pub name: Option<String>,
    /// Its MAC address: RFC 5798's unless given.
    pub mac: [u8; 6],
    /// The interface group that it is put into.
    pub group: Option<String>,
    /// Other programs are told of it (`netlink_notify_msg`).
    pub announce: bool,
    /// Advertisements go by the interface below (`vmac_xmit_base`).
    pub send_below: bool,
    /// VIPs on other interfaces get VMACs there too (`use_vmac_addr`).
    pub everywhere: bool,
}

/// `use_ipvlan`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipvlan {
    /// Its name; `None`: made of the prefix and the VRID. It is put on the instance's interface.
    pub name: Option<String>,
    /// Its address.
    pub addr: Option<super::Prefix>,
    /// How it is connected with others.
    pub mode: IpvlanMode,
    /// The interface group that it is put into.
    pub group: Option<String>,
}

/// How ipvlans of an interface are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has these three")]
pub enum IpvlanMode {
    /// With each other.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// By the switch outside.
    Vepa,
}

/// `authentication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these two")]
pub enum Authentication {
    /// A password in the clear, padded with zeros.
    Password([u8; 8]),
    /// IPsec AH by HMAC-MD5 with this key.
    Ah([u8; 8]),
}

/// `auth_hmac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hmac {
    /// Keys by number; no two have the same.
    pub keys: Vec<HmacKey>,
    /// The number of the one we send with; it is among them.
    pub active: u8,
    /// What makes each packet new.
    pub replay: Replay,
    /// How far clocks may be apart.
    pub window: Duration,
    /// How strict it is.
    pub mode: HmacMode,
    /// Where the block begins.
    pub span: At<()>,
}

/// A key of `auth_hmac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacKey {
    /// Its number.
    pub id: u8,
    /// Its words, as written, joined by blanks.
    pub secret: String,
}

/// What makes each packet of `auth_hmac` new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these two")]
pub enum Replay {
    /// The time of day, which must not be too far off.
    #[default]
    Time,
    /// A number that grows.
    Monotonic,
}

/// How strict `auth_hmac` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum HmacMode {
    /// Sent, and demanded.
    #[default]
    Enforce,
    /// Sent, not demanded.
    Permissive,
    /// Not sent, looked at where it is.
    ReceiveOnly,
}

/// How VIPs are announced by gratuitous ARP and unsolicited neighbour advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garp {
    /// From the first burst to the second; zero: there is none.
    pub delay: Duration,
    /// Announcements a burst, at least 1.
    pub repeat: u32,
    /// From one repetition to the next while master; zero: none.
    pub refresh: Duration,
    /// Announcements each time.
    pub refresh_repeat: u32,
    /// After a master of lower priority was seen: the same two,
    pub lower_delay: Duration,
    /// and how many; 0: none.
    pub lower_repeat: u32,
    /// From one announcement to the next on other interfaces with VIPs; zero: none.
    pub extra: Duration,
    /// On all of those, not only VMACs.
    pub extra_all: bool,
}

impl Default for Garp {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_delay: Duration::from_secs(5),
            lower_repeat: 5,
            extra: Duration::ZERO,
            extra_all: false,
        }
    }
}

/// What is done when two masters meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rivals {
    /// A master of lower priority is not answered (`lower_prio_no_advert`).
    pub silent: bool,
    /// Before we give way we speak once more (`higher_prio_send_advert`).
    pub last_word: bool,
    /// An owner does not listen (`owner_ignore_adverts`).
    pub owner_deaf: bool,
}

/// Whether VIP lists in advertisements are compared with ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these two")]
pub enum CheckAddresses {
    /// Each.
    #[default]
    Each,
    /// Not those of the master that sent the last (`skip_check_adv_addr`).
    NewMaster,
}

/// How the checksum of version 3 by unicast is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum UnicastChecksum {
    /// With the peer's address, until a peer uses the group's.
    #[default]
    Detect,
    /// With the group's address (keepalived up to 1.3.6).
    Old,
    /// With the peer's address, always.
    New,
}

/// Scripts of an instance or a group. None of a group's is for a deletion or a rival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// On becoming master.
    pub master: Option<Command>,
    /// On becoming backup.
    pub backup: Option<Command>,
    /// On a fault.
    pub fault: Option<Command>,
    /// At the end.
    pub stop: Option<Command>,
    /// When a reload has removed it.
    pub deleted: Option<Command>,
    /// On each change, with what, name, state and priority as further arguments.
    pub any: Option<Command>,
    /// When a master hears another of lower priority.
    pub rival: Option<Command>,
}

impl Notify {
    /// All of them, with their keywords.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Command)> {
        let all = [
            ("notify_master", &self.master),
            ("notify_backup", &self.backup),
            ("notify_fault", &self.fault),
            ("notify_stop", &self.stop),
            ("notify_deleted", &self.deleted),
            ("notify", &self.any),
            ("notify_master_rx_lower_pri", &self.rival),
        ];
        all.into_iter()
            .filter_map(|(keyword, command)| Some((keyword, command.as_ref()?)))
    }
}
