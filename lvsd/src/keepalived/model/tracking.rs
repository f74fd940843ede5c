//! What VRRP watches besides its peers: scripts, files, processes, interfaces, BFD sessions.
//!
//! Each object is defined once and named where it is watched, with the weight it has there. An object without weight is
//! decisive: while it is bad, the instance is in fault. One with a weight only moves the priority.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{At, Command};

/// What the state of a tracked object does to the priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Weight {
    /// Positive: added while the object is good; negative: added while it is bad; 0: bad is a fault. Of a file: what its
    /// number is multiplied with.
    pub value: i32,
    /// The contribution's sign is turned round, or without weight good and bad.
    pub reverse: bool,
}

impl Weight {
    /// What an object other than a file adds to the priority while it is good, or bad.
    pub const fn contribution(self, good: bool) -> i32 {
        let counts = if good { self.value > 0 } else { self.value < 0 };
        match (counts, self.reverse) {
            (false, _) => 0,
            (true, false) => self.value,
            (true, true) => self.value.saturating_neg(),
        }
    }
}

/// A `vrrp_script`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackScript {
    /// Its name; no two have the same.
    pub name: At<String>,
    /// What is run: good is exit status 0.
    pub command: Command,
    /// The whole command line belongs to a shell, since it begins with a redirection (`</dev/tcp/127.0.0.1/80`); then `command`
    /// is `sh -c` with it.
    pub shell: bool,
    /// From start to start.
    pub interval: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// Unless the reference says otherwise.
    pub weight: Weight,
    /// Good runs in a row that make it good, at least 1.
    pub rise: u32,
    /// Bad runs in a row that make it bad, at least 1.
    pub fall: u32,
    /// It counts as bad until it has been good (`init_fail`).
    pub init_fail: bool,
    /// Where the block begins.
    pub span: At<()>,
}

/// A `track_file`, of VRRP and of `FILE_CHECK` alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFile {
    /// Its name; no two have the same.
    pub name: At<String>,
    /// The file that holds a number. One that is missing counts as 0.
    pub path: PathBuf,
    /// Unless the reference says otherwise; 1 if the block says nothing.
    pub weight: Weight,
    /// What is written into it at the start.
    pub init: Option<InitFile>,
    /// Where the block begins.
    pub span: At<()>,
}

/// `init_file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitFile {
    /// The number.
    pub value: i32,
    /// Also if the file is there already.
    pub overwrite: bool,
}

/// A `vrrp_track_process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackProcess {
    /// Its name; no two have the same.
    pub name: At<String>,
    /// The program and its arguments; at least the program.
    pub argv: Vec<String>,
    /// How processes are compared with that.
    pub matching: ProcessMatch,
    /// Unless the reference says otherwise.
    pub weight: Weight,
    /// Good is to have at least so many,
    pub quorum: u32,
    /// and at most so many.
    pub quorum_max: Option<u32>,
    /// How long there must be enough before it is good.
    pub fork_delay: Duration,
    /// How long there must be too few before it is bad.
    pub terminate_delay: Duration,
    /// Where the block begins.
    pub span: At<()>,
}

/// How processes are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the language has these")]
pub enum ProcessMatch {
    /// By the name that the kernel keeps (15 bytes).
    Name,
    /// By the whole command line (arguments given, or `param_match` alone).
    Exact,
    /// The command line begins with these arguments (`param_match partial`, or `full_command` without arguments).
    Partial,
    /// The command line begins with these arguments, and the last may go on (`param_match initial`).
    Initial,
}

/// A `bfd_instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bfd {
    /// Its name; no two have the same.
    pub name: At<String>,
    /// The other end.
    pub neighbour: At<IpAddr>,
    /// Our end.
    pub source: Option<IpAddr>,
    /// The shortest interval at which we can take packets.
    pub min_rx: Duration,
    /// The shortest interval at which we want to send them.
    pub min_tx: Duration,
    /// How often we send while the session is down.
    pub idle_tx: Duration,
    /// How many may be missing before the session is down.
    pub multiplier: u8,
    /// We wait for the other end to begin.
    pub passive: bool,
    /// The other end is behind routers (RFC 5883: port 4784).
    pub multihop: bool,
    /// The TTL of what we send.
    pub ttl: u8,
    /// How many routers may be in between; `None`: any number.
    pub max_hops: Option<u8>,
    /// Unless the reference says otherwise.
    pub weight: Weight,
    /// VRRP may track it.
    pub vrrp: bool,
    /// `BFD_CHECK` may use it.
    pub checker: bool,
    /// Where the block begins.
    pub span: At<()>,
}

/// One line of a `track_*` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The object's name; it exists, unless it is an interface.
    pub name: At<String>,
    /// What it does here.
    pub weight: Weight,
}

/// All that an instance or a group watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// `track_interface`.
    pub interfaces: Vec<Tracked>,
    /// `track_script`.
    pub scripts: Vec<Tracked>,
    /// `track_file`.
    pub files: Vec<Tracked>,
    /// `track_process`.
    pub processes: Vec<Tracked>,
    /// `track_bfd`.
    pub bfd: Vec<Tracked>,
    /// Lines with weights, where weights do not count: keepalived forgets them. They are here so that nobody takes what
    /// they name to be forgotten too.
    pub ignored: Vec<Tracked>,
}

impl Tracking {
    /// All that counts, each with the word for its kind.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Tracked)> {
        let kinds = [
            ("interface", &self.interfaces),
            ("script", &self.scripts),
            ("file", &self.files),
            ("process", &self.processes),
            ("bfd", &self.bfd),
        ];
        kinds
            .into_iter()
            .flat_map(|(kind, list)| list.iter().map(move |t| (kind, t)))
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }
}
