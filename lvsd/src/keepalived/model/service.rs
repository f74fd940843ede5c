//! Virtual services, their servers and checks.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use lvs_core::{DestOptions, Endpoint, Family, Protocol, ServiceKey, ServiceOptions};

use super::{At, Command};
use crate::rules::SchedulerFlags;

/// A `virtual_server` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// What the block's head says; no two of a configuration have the same.
    pub head: Head,
    /// The services it stands for, at least one: several for a group. They share servers, checks and quorum.
    pub keys: Vec<ServiceKey>,
    /// The scheduler's name; it exists.
    pub scheduler: At<String>,
    /// The scheduler's flags, each legal for it.
    pub flags: SchedulerFlags,
    /// Persistence and the like. The same for all keys.
    pub options: ServiceOptions,
    /// The servers, at least one, no two with the same address and port.
    pub servers: Vec<RealServer>,
    /// Who serves when too few servers do.
    pub sorry: Option<SorryServer>,
    /// The weight of servers that must live (`quorum`).
    pub quorum: At<u32>,
    /// How much more it takes to gain it and less to lose it (`hysteresis`), less than the quorum.
    pub hysteresis: At<u32>,
    /// Run when the quorum is gained.
    pub quorum_up: Option<Command>,
    /// Run when it is lost.
    pub quorum_down: Option<Command>,
    /// Checks rest while none of the addresses is on the host (`ha_suspend`).
    pub ha_suspend: bool,
    /// At the daemon's end, scripts run as if all servers failed (`omega`).
    pub omega: bool,
    /// Mails about the quorum (`smtp_alert`).
    pub mails: bool,
    /// Flows and templates of a server that has failed stay with it, as in IPVS (`lvsd_keep_flows`). Otherwise UDP flows,
    /// and all templates, are scheduled anew at once.
    pub keep_flows: bool,
    /// Where the block begins.
    pub span: At<()>,
}

/// What stands behind the word `virtual_server`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum Head {
    /// An address, with the block's `protocol`.
    Address(Protocol, Endpoint),
    /// A firewall mark, and which packets that carry it.
    Mark(Family, u32),
    /// A `virtual_server_group`, with the block's `protocol` if the group has addresses.
    Group(Option<Protocol>, String),
}

/// A `real_server` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// Address and port, which identify it.
    pub addr: Endpoint,
    /// How packets get there, how many, and the configured weight.
    pub options: DestOptions,
    /// When it fails, its weight becomes 0 instead of its being taken out (`inhibit_on_failure`).
    pub inhibit: bool,
    /// Run when it comes up.
    pub notify_up: Option<Command>,
    /// Run when it goes down.
    pub notify_down: Option<Command>,
    /// Mails about it (`smtp_alert`).
    pub mails: bool,
    /// Its checks; without any it is always up.
    pub checks: Vec<Checker>,
    /// Where the block begins.
    pub span: At<()>,
}

/// A check of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checker {
    /// The block's keyword, such as `TCP_CHECK`.
    pub keyword: &'static str,
    /// What it does.
    pub check: lvs_health::Check,
    /// Whether each failure is logged, and not only the one that counts (`log_all_failures`).
    pub log_all: bool,
    /// Where the block begins.
    pub span: At<()>,
    /// Where its program is named, or else where the block begins.
    pub program: At<()>,
}

/// A `sorry_server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SorryServer {
    /// Address and port.
    pub addr: Endpoint,
    /// How packets get there.
    pub options: DestOptions,
    /// It stays in the list with weight 0 when it is not needed (`sorry_server_inhibit`).
    pub inhibit: bool,
    /// Where it is named.
    pub span: At<()>,
}

/// `global_defs`, as far as virtual services and the daemon have use for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Global {
    /// Our name in mails (`router_id`); `None`: the host's.
    pub router_id: Option<String>,
    /// Who gets mails (`notification_email`).
    pub mail_to: Vec<At<String>>,
    /// Who sends them (`notification_email_from`).
    pub mail_from: Option<At<String>>,
    /// Who takes them (`smtp_server`); without it there are no mails.
    pub smtp_server: Option<At<MailServer>>,
    /// What that is told our name is (`smtp_helo_name`); `None`: the host's.
    pub smtp_helo: Option<String>,
    /// Seconds it may take to connect (`smtp_connect_timeout`), 30 if `None`.
    pub smtp_timeout: Option<u32>,
    /// No mail for a single check, only for a server as a whole (`no_checker_emails`).
    pub no_checker_mails: bool,
    /// Whom scripts run as (`script_user`).
    pub script_user: Option<At<super::User>>,
    /// Scripts that somebody else could change are not run as root (`enable_script_security`).
    pub script_security: bool,
    /// Symbolic links in scripts' paths are kept (`use_symlink_paths`).
    pub symlink_paths: bool,
    /// Scripts get their user's supplementary groups (`set_supplementary_groups`).
    pub supplementary_groups: bool,
    /// Run before anything else (`startup_script`), with the seconds it may take.
    pub startup: Option<(Command, u32)>,
    /// Run after everything else (`shutdown_script`), with the seconds it may take.
    pub shutdown: Option<(Command, u32)>,
    /// A pipe for all events (`notify_fifo`).
    pub fifo: Option<Fifo>,
    /// A pipe for events of services and servers (`lvs_notify_fifo`).
    pub lvs_fifo: Option<Fifo>,
    /// A pipe for events of VRRP (`vrrp_notify_fifo`).
    pub vrrp_fifo: Option<Fifo>,
    /// Servers that are taken to be up at the start are announced too (`rs_init_notifies`).
    pub announce_initial: bool,
    /// How long connections are kept, in seconds (`lvs_timeouts`): TCP, TCP after FIN, UDP.
    pub timeouts: [Option<u32>; 3],
    /// Everything in the table goes at the start (`lvs_flush`).
    pub flush: bool,
    /// What becomes of services at the end (`lvs_flush_on_stop`).
    pub flush_on_stop: bool,
    /// Where the HTTP endpoint listens (`lvsd_http ADDRESS PORT` or `lvsd_http PATH`).
    pub http: Option<At<Listen>>,
}

/// A server for mails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an address or a name")]
pub enum MailServer {
    /// By address.
    Address(SocketAddr),
    /// By name and port; looked up when a mail is to be sent.
    Name(String, u16),
}

/// A named pipe that events are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// Made if it is not there.
    pub path: PathBuf,
    /// Whose it will be.
    pub user: Option<super::User>,
    /// Started with the path as its last argument, to read it.
    pub reader: Option<Command>,
}

/// Where the HTTP endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "what Rust's standard library listens at"
)]
pub enum Listen {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().to_string().escape_debug().fmt(f),
        }
    }
}
