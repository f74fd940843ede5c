//! How virtual routers are, and why.

use std::net::IpAddr;
use std::time::Duration;

use crate::Time;
use crate::config::Object;
use crate::event::{RouterId, State, Why};
use crate::packet::{Note, Reject};

/// How a virtual router is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStatus {
    /// Which.
    pub id: RouterId,
    /// Its name.
    pub name: String,
    /// The name of its group.
    pub group: Option<String>,
    /// Its state,
    pub state: State,
    /// since when,
    pub since: Time,
    /// and why.
    pub why: Why,
    /// What its priority is made of.
    pub priority: Priority,
    /// The address that it sends from.
    pub source: Option<IpAddr>,
    /// Who is master, if it is another one and has been heard.
    pub master: Option<IpAddr>,
    /// From one advertisement of the master to the next.
    pub master_interval: Duration,
    /// The routers that have been heard, by address; at most [`Self::MAX_PEERS`].
    pub peers: Vec<PeerStatus>,
    /// When it sends the next advertisement, or becomes master if it hears none.
    pub deadline: Option<Time>,
    /// What it has counted.
    pub counters: Counters,
}

impl RouterStatus {
    /// Peers that are remembered at a time; the one heard longest ago is forgotten.
    pub const MAX_PEERS: usize = 32;
}

/// A router that has been heard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its address.
    pub addr: IpAddr,
    /// The priority in its last advertisement.
    pub priority: u8,
    /// The interval in it.
    pub interval: Duration,
    /// When that came.
    pub heard: Time,
    /// How many came.
    pub count: u64,
    /// The last trouble with one that came from it, and when.
    pub trouble: Option<(crate::event::Trouble, Time)>,
}

/// What an effective priority is made of: configured + all contributions, clamped to 1 and 254 unless it is an owner's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Priority {
    /// As configured.
    pub configured: u8,
    /// What counts.
    pub effective: u8,
    /// What each watched object adds, in the order of the configuration.
    pub parts: Vec<Part>,
}

/// What a watched object does to the priority.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The object.
    pub object: Object,
    /// How it is.
    pub state: ObjectState,
    /// The weight it has here.
    pub weight: i32,
    /// Whether it is turned round.
    pub reverse: bool,
    /// What it adds.
    pub adds: i32,
    /// Whether it is a fault.
    pub fault: bool,
}

/// How a watched object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no more to say")]
pub enum ObjectState {
    /// It has not been looked at: it contributes nothing.
    #[default]
    Unknown,
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// The number in a file.
    Number(i64),
}

/// What a virtual router has counted (RFC 6527's statistics, by reason).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Advertisements that came for it and were genuine.
    pub received: u64,
    /// Advertisements sent, to each peer one.
    pub sent: u64,
    /// Times it became master.
    pub became_master: u64,
    /// Times it gave up being master.
    pub released_master: u64,
    /// Advertisements of priority 0 that came.
    pub zero_received: u64,
    /// And were sent.
    pub zero_sent: u64,
    /// Advertisements that were dropped, by reason.
    pub rejected: [u64; Reject::KINDS.len()],
    /// Advertisements with something to be noted, by what.
    pub noted: [u64; Note::KINDS.len()],
    /// Masters of lower priority that were heard while being master.
    pub rivals: u64,
}
