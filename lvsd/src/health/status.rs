//! How services, servers and checks are: what `lvsd status` and the HTTP endpoint show.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything there is to know about the health of what is configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// The configuration in force.
    pub configuration: Configuration,
    /// All checks together.
    pub checks: Checks,
    /// The virtual services, as the configuration has them.
    pub services: Vec<Service>,
    /// The virtual routers.
    #[serde(default)]
    pub vrrp: crate::vrrp::status::Status,
}

/// A configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Configuration {
    /// Its file.
    pub file: PathBuf,
    /// When it was read, in seconds since 1970.
    pub read_at: u64,
    /// How often it was read anew and taken.
    pub reloads: u64,
    /// How often that was refused.
    pub refusals: u64,
    /// Why the last attempt to read it anew was refused, if it was.
    pub refused: Option<String>,
}

/// All checks together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checks {
    /// How many there are.
    pub total: usize,
    /// How many have found something yet.
    pub found: usize,
    /// How many run at this moment.
    pub running: usize,
    /// The longest, in milliseconds, that a check began after it was due.
    pub worst_lateness_ms: f64,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Service {
    /// How it is called in logs and mails.
    pub name: String,
    /// The addresses or marks it stands for, as ipvsadm writes them: `TCP 192.0.2.1:80`, `FWM 1`.
    pub services: Vec<String>,
    /// Its scheduler.
    pub scheduler: String,
    /// Its quorum.
    pub quorum: Quorum,
    /// Who serves without it.
    pub sorry: Option<Sorry>,
    /// Its checks rest, since its address is not on this host (`ha_suspend`).
    pub suspended: bool,
    /// Its servers, as the configuration has them.
    pub servers: Vec<Server>,
}

/// Whether enough servers live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quorum {
    /// Whether they do.
    pub up: bool,
    /// The weight of those that live.
    pub live: u64,
    /// The live weight at which it is gained.
    pub gained_at: u64,
    /// The live weight below which it is lost. At 0 it is always lost.
    pub lost_below: u64,
}

/// A sorry server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sorry {
    /// Its address and port.
    pub server: String,
    /// Whether it serves now.
    pub serves: bool,
}

/// A real server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// Its address and port.
    pub server: String,
    /// Whether all of its checks are up.
    pub up: bool,
    /// The weight configured.
    pub weight: u32,
    /// The weight that its checks make of it.
    pub effective_weight: u32,
    /// The weight it has in the scheduler's list now, if it is there.
    pub scheduled: Option<u32>,
    /// How often it has gone up or down.
    pub flaps: u64,
    /// Its checks, as the configuration has them.
    pub checks: Vec<Check>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// Its keyword, such as `TCP_CHECK`.
    pub kind: String,
    /// Whom it asks: an address and port, a command, or a file.
    pub target: String,
    /// Whether the server is up, as far as this check goes.
    pub up: bool,
    /// The last run; `None`: it never ran, and `up` is assumed.
    pub last: Option<Run>,
    /// Failures in a row that were forgiven so far.
    pub forgiven: u32,
    /// How many are forgiven at most.
    pub retries: u32,
    /// How often it ran.
    pub runs: u64,
    /// How many runs failed, by the reason's name.
    pub failures: BTreeMap<String, u64>,
    /// How often it has gone up or down.
    pub flaps: u64,
    /// Seconds since it last did.
    pub changed_ago: Option<f64>,
}

/// A run of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Run {
    /// Whether it was passed.
    pub passed: bool,
    /// The name of the reason if it was not.
    pub reason: Option<String>,
    /// What it found, for people.
    pub text: String,
    /// Seconds since it ended.
    pub ago: f64,
    /// How many milliseconds it took.
    pub took_ms: f64,
}
