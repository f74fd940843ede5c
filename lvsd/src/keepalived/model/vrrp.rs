//! VRRP: instances, groups of them, and what they share.
//!
//! All defaults are resolved and all of keepalived's corrections applied: an [`Instance`] says what will happen, whatever combination
//! of keywords it came from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lvs_core::Family;

use super::{
    Address, At, Bfd, Command, Route, Rule, TrackFile, TrackProcess, TrackScript, Tracking,
};
use crate::keepalived::place::Span;

/// The VRRP half of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vrrp {
    /// What belongs to no single instance.
    pub common: Common,
    /// `vrrp_instance` blocks; no two have the same name.
    pub instances: Vec<Instance>,
    /// `vrrp_sync_group` blocks; no two have the same name.
    pub groups: Vec<SyncGroup>,
    /// `vrrp_script` blocks.
    pub scripts: Vec<TrackScript>,
    /// `track_file` blocks.
    pub files: Vec<TrackFile>,
    /// `vrrp_track_process` blocks.
    pub processes: Vec<TrackProcess>,
    /// `bfd_instance` blocks.
    pub bfd: Vec<Bfd>,
    /// `static_ipaddress`; each names its interface.
    pub addresses: Vec<Address>,
    /// `static_routes`.
    pub routes: Vec<Route>,
    /// `static_rules`.
    pub rules: Vec<Rule>,
    /// `track_group` blocks.
    pub track_groups: Vec<TrackGroup>,
    /// `garp_group` blocks.
    pub garp_groups: Vec<GarpGroup>,
    /// `interface_up_down_delays`.
    pub link_delays: Vec<LinkDelay>,
    /// `linkbeat_interfaces`.
    pub linkbeat: Vec<Linkbeat>,
}

impl Vrrp {
    /// An instance by name.
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|i| i.name.value == name)
    }

    /// A `track_file` by name.
    pub fn file(&self, name: &str) -> Option<&TrackFile> {
        self.files.iter().find(|f| f.name.value == name)
    }

    /// A `bfd_instance` by name.
    pub fn bfd(&self, name: &str) -> Option<&Bfd> {
        self.bfd.iter().find(|b| b.name.value == name)
    }

    /// The group that an instance is in.
    pub fn group_of(&self, instance: &str) -> Option<&SyncGroup> {
        let has = |g: &&SyncGroup| g.members.iter().any(|m| m.value == instance);
        self.groups.iter().find(has)
    }
}

/// What belongs to no single instance: `global_defs` and scalars outside of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Common {
    /// The interface of static addresses that name none (`default_interface`).
    pub default_interface: String,
    /// The least time between two gratuitous ARPs of an interface.
    pub garp_interval: Duration,
    /// The least time between two unsolicited neighbour advertisements of an interface.
    pub na_interval: Duration,
    /// How long all instances wait at the start (`vrrp_startup_delay`).
    pub startup_delay: Duration,
    /// How long they wait after the host has booted (`vrrp_delay_after_boot`).
    pub boot_delay: Duration,
    /// Interfaces may be absent (`dynamic_interfaces`),
    pub dynamic_interfaces: bool,
    /// and come back as others (`allow_if_changes`).
    pub interfaces_may_change: bool,
    /// Advertisements of foreign virtual routers are logged.
    pub log_unknown_vrids: bool,
    /// The beginning of VMACs' names (`vmac_prefix`).
    pub vmac_prefix: String,
    /// The same for VMACs of addresses on other interfaces (`vmac_addr_prefix`).
    pub vmac_addr_prefix: String,
    /// What keeps packets for VIPs out where instances do not accept them.
    pub firewall: Firewall,
    /// The kernel reports no memberships of link-local groups (`disable_local_igmp`).
    pub disable_local_igmp: bool,
    /// Buffers of sockets that receive advertisements.
    pub receive_buffer: ReceiveBuffer,
    /// No mail when an instance is in fault (`no_email_faults`).
    pub no_fault_mails: bool,
    /// The pipe is told all states again after a reload (`fifo_write_vrrp_states_on_reload`).
    pub states_on_reload: bool,
    /// Links are polled (`linkbeat_use_polling`).
    pub poll_links: bool,
    /// Connections are shared with other directors (`lvs_sync_daemon`).
    pub sync_daemon: Option<At<SyncDaemon>>,
    /// Where `global_defs` begins, if there is one.
    pub span: Option<Span>,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            default_interface: "eth0".to_owned(),
            garp_interval: Duration::ZERO,
            na_interval: Duration::ZERO,
            startup_delay: Duration::ZERO,
            boot_delay: Duration::ZERO,
            dynamic_interfaces: false,
            interfaces_may_change: false,
            log_unknown_vrids: false,
            vmac_prefix: "vrrp".to_owned(),
            vmac_addr_prefix: "vrrp".to_owned(),
            firewall: Firewall::None,
            disable_local_igmp: false,
            receive_buffer: ReceiveBuffer {
                size: BufferSize::System,
                multiplier: 3,
            },
            no_fault_mails: false,
            states_on_reload: false,
            poll_links: false,
            sync_daemon: None,
            span: None,
        }
    }
}

/// What keeps packets for VIPs out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum Firewall {
    /// Nothing was asked for.
    None,
    /// A table of nftables'.
    Nftables {
        /// Its name.
        table: String,
        /// Its priority.
        priority: i32,
        /// Its rules count.
        counters: bool,
    },
    /// Chains of iptables'.
    Iptables {
        /// For what comes in.
        input: String,
        /// For what goes out.
        output: Option<String>,
    },
}

/// How large buffers of receiving sockets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveBuffer {
    /// For one advertisement,
    pub size: BufferSize,
    /// and for how many (`vrrp_rx_bufs_multiplier`).
    pub multiplier: u32,
}

/// How much of a buffer one advertisement takes (`vrrp_rx_bufs_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these")]
pub enum BufferSize {
    /// The buffer is as the system makes it.
    System,
    /// As much as the interface's MTU.
    Mtu,
    /// As much as an advertisement.
    Advertisement,
    /// So many bytes.
    Bytes(u32),
}

/// `lvs_sync_daemon`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDaemon {
    /// Where messages go out and come in.
    pub interface: At<String>,
    /// It sends while this instance is master and receives otherwise; `None`: always both.
    pub instance: Option<At<String>>,
    /// The number that both ends have: the instance's VRID unless given.
    pub id: u8,
    /// The longest message.
    pub max_len: Option<u16>,
    /// The UDP port.
    pub port: u16,
    /// The TTL of messages.
    pub ttl: u8,
    /// The multicast group.
    pub group: IpAddr,
}

impl SyncDaemon {
    /// The port of the kernel's daemon.
    pub const PORT: u16 = 8848;
    /// Its group.
    pub const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
}

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
    pub span: Span,
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
    pub span: Span,
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

/// A `vrrp_sync_group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// Its name.
    pub name: At<String>,
    /// The names of its instances, which exist and are in no other group; at least one.
    pub members: Vec<At<String>>,
    /// What all its instances watch.
    pub tracking: Tracking,
    /// Weights of tracked objects count (`sync_group_tracking_weight`); otherwise only those without weight do.
    pub weights: bool,
    /// Scripts.
    pub notify: Notify,
    /// Changes of priority go to the pipe.
    pub notify_priority: bool,
    /// Mails on changes of state.
    pub mails: bool,
    /// Where the block begins.
    pub span: Span,
}

/// A `track_group`: instances that static items put in fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackGroup {
    /// Its name.
    pub name: At<String>,
    /// The names of its instances, which exist.
    pub members: Vec<At<String>>,
    /// Where the block begins.
    pub span: Span,
}

/// A `garp_group`: interfaces that share the time between announcements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GarpGroup {
    /// The interfaces.
    pub interfaces: Vec<At<String>>,
    /// The least time between two gratuitous ARPs; `None`: as [`Common`] has it.
    pub garp_interval: Option<Duration>,
    /// The least time between two neighbour advertisements; `None`: as [`Common`] has it.
    pub na_interval: Option<Duration>,
    /// Where the block begins.
    pub span: Span,
}

/// A line of `interface_up_down_delays`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkDelay {
    /// The interface.
    pub interface: At<String>,
    /// How long it must be down to count as down.
    pub down: At<Duration>,
    /// How long it must be up to count as up.
    pub up: Duration,
}

/// A line of `linkbeat_interfaces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linkbeat {
    /// The interface.
    pub interface: At<String>,
    /// How its link is asked about; `None`: as it can be.
    pub method: Option<LinkMethod>,
}

/// How a link is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum LinkMethod {
    /// MII registers.
    Mii,
    /// ethtool.
    Ethtool,
    /// The interface's flags.
    Ioctl,
}
