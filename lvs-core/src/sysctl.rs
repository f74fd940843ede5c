//! IPVS's settings of `/proc/sys/net/ipv4/vs/`, as far as they have a meaning for a director in user space.
//!
//! The names and defaults are the kernel's, so that what people have in `/etc/sysctl.d` says here what it said there.
//! Those of connection synchronisation belong to the daemon that synchronises.

use std::fmt;
use std::time::Duration;

/// The settings of one director, all changeable while it runs ([`crate::Draft::set_sysctls`]).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Sysctls {
    /// Memory below which the defences in modes 1 and 2 begin, in pages.
    pub amemthresh: u32,
    /// In mode 3 of `drop_packet`, one of this many new connections is dropped.
    pub am_droprate: u32,
    /// Drops connections that look unwanted: 0 never, 1 and 2 while memory is short, 3 always.
    pub drop_entry: u8,
    /// Drops new connections: 0 never, 1 and 2 while memory is short, 3 always.
    pub drop_packet: u8,
    /// The state table that waits for the server's acknowledgement: 0 never, 1 and 2 while memory is short, 3 always.
    pub secure_tcp: u8,
    /// For a firewall-mark service without an available server, sends packets to their own destination.
    pub cache_bypass: bool,
    /// Ends connections whose server has been removed at their next packet, instead of dropping it.
    pub expire_nodest_conn: bool,
    /// Forgets the persistence of clients whose server has weight 0.
    pub expire_quiescent_template: bool,
    /// Lets any TCP segment but RST open a connection.
    pub sloppy_tcp: bool,
    /// Lets any SCTP packet but ABORT open a connection.
    pub sloppy_sctp: bool,
    /// Answers packets of real servers that belong to no connection with ICMP port unreachable.
    pub nat_icmp_send: bool,
    /// Whether tunnels keep to the path MTU: check the size and copy DF.
    pub pmtu_disc: bool,
    /// When a SYN of known endpoints is scheduled anew: bit 0 (any bit) if the connection has ended, bit 1 also in
    /// FIN_WAIT where only the client is seen.
    pub conn_reuse_mode: u32,
    /// Lets an ICMP error about no known connection open one.
    pub schedule_icmp: bool,
    /// Whether rates are estimated.
    pub run_estimation: bool,
    /// How long lblc remembers an address nobody asks for.
    pub lblc_expiration: Duration,
    /// The same for lblcr, and how often it takes a server from a set.
    pub lblcr_expiration: Duration,
    /// Not IPVS's: whether a SYN may open a connection anew that is still known, but whose server has been removed.
    /// IPVS drops it until the old connection times out, so that clients which soon use a port again hang for up to
    /// 15 minutes; `false` restores that.
    pub reopen_removed: bool,
}

impl Default for Sysctls {
    /// IPVS's defaults, but for `reopen_removed`.
    fn default() -> Self {
        Self {
            amemthresh: 1024,
            am_droprate: 10,
            drop_entry: 0,
            drop_packet: 0,
            secure_tcp: 0,
            cache_bypass: false,
            expire_nodest_conn: false,
            expire_quiescent_template: false,
            sloppy_tcp: false,
            sloppy_sctp: false,
            nat_icmp_send: false,
            pmtu_disc: true,
            conn_reuse_mode: 1,
            schedule_icmp: false,
            run_estimation: true,
            lblc_expiration: Self::LBLC_EXPIRATION,
            lblcr_expiration: Self::LBLC_EXPIRATION,
            reopen_removed: true,
        }
    }
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SysctlError {
    /// There is no setting of this name, here or in IPVS.
    Unknown,
    /// IPVS has it, but it has no meaning here; the reason.
    Meaningless(&'static str),
    /// The value is not one of those named.
    BadValue(&'static str),
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such setting"),
            Self::Meaningless(why) => write!(f, "it has no meaning here: {why}"),
            Self::BadValue(accepted) => write!(f, "the value must be {accepted}"),
        }
    }
}

impl std::error::Error for SysctlError {}

impl Sysctls {
    pub(crate) const LBLC_EXPIRATION: Duration = Duration::from_secs(24 * 3600);
}
