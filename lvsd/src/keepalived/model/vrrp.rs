//! VRRP: what instances share, and groups of them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::{
    Address, At, Bfd, Instance, Notify, Route, Rule, TrackFile, TrackProcess, TrackScript, Tracking,
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
    /// How urgent the thread is that speaks VRRP.
    pub urgency: Urgency,
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
            urgency: Urgency::default(),
            sync_daemon: None,
            span: None,
        }
    }
}

/// How urgent a thread is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urgency {
    /// Its nice value, -20 to 19 (`vrrp_priority`).
    pub nice: i32,
    /// Its real-time priority, 1 to 99; 0: it has none (`vrrp_rt_priority`).
    pub realtime: i32,
    /// The process's memory is not swapped out (`vrrp_no_swap`).
    pub locked: bool,
    /// The processors that it may run on; none: all (`vrrp_cpu_affinity`).
    pub processors: Vec<usize>,
}

impl Default for Urgency {
    /// The thread is put before those that forward packets, which keepalived has not got.
    fn default() -> Self {
        Self {
            nice: -20,
            realtime: 0,
            locked: false,
            processors: Vec::new(),
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
    pub span: At<()>,
}

/// A `track_group`: instances that static items put in fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackGroup {
    /// Its name.
    pub name: At<String>,
    /// The names of its instances, which exist.
    pub members: Vec<At<String>>,
    /// Where the block begins.
    pub span: At<()>,
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
    pub span: At<()>,
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
