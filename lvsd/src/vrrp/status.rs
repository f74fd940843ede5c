//! How virtual routers are, and why: what `lvsd vrrp`, `lvsd status` and the HTTP endpoint show.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use lvs_vrrp::Time;
use lvs_vrrp::packet::{Note, Reject};
use lvs_vrrp::status::{Counters, ObjectState, Part, PeerStatus, RouterStatus};
use serde::{Deserialize, Serialize};

use super::speaking::Report;
use super::watch;
use crate::keepalived::model::{Instance, Vrrp};

/// How all virtual routers of this host are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// The virtual routers, as the configuration has them.
    pub routers: Vec<Router>,
    /// The sync groups.
    pub groups: Vec<Group>,
    /// The longest, in milliseconds, that the thread which speaks came late to what was due.
    pub worst_lateness_ms: f64,
}

/// A virtual router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Router {
    /// Its name (`vrrp_instance`).
    pub name: String,
    /// Its number.
    pub vrid: u8,
    /// The version of the protocol.
    pub version: u8,
    /// The interface, if one is named.
    pub interface: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// `INIT`, `BACKUP`, `MASTER` or `FAULT`,
    pub state: String,
    /// for so many seconds,
    pub for_seconds: f64,
    /// and why.
    pub why: String,
    /// What keeps it from speaking, if anything does.
    pub mute: Option<String>,
    /// Its priority, and what it is made of.
    pub priority: Priority,
    /// The address that it sends from.
    pub source: Option<IpAddr>,
    /// Who is master, as far as is known; our own source if it is this host.
    pub master: Option<IpAddr>,
    /// Milliseconds between the master's advertisements.
    pub interval_ms: f64,
    /// Milliseconds until it takes over if nobody is heard (as backup), or speaks again (as master).
    pub due_in_ms: Option<f64>,
    /// The virtual addresses.
    pub addresses: Vec<String>,
    /// Neighbours that have been heard.
    pub peers: Vec<Peer>,
    /// What has been counted.
    pub counters: Counted,
}

/// An effective priority, and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Priority {
    /// What counts.
    pub effective: u8,
    /// As configured.
    pub configured: u8,
    /// What is watched.
    pub parts: Vec<Watched>,
}

/// Something watched, and what it does to the priority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Watched {
    /// What: `script chk_nginx`, `interface eth0`.
    pub object: String,
    /// `good`, `bad`, `unknown`, or a file's number.
    pub state: String,
    /// Its weight here; 0: bad is a fault.
    pub weight: i32,
    /// Good and bad, or the sign, are turned round.
    pub reverse: bool,
    /// What it adds now.
    pub adds: i32,
    /// Whether it is a fault now.
    pub fault: bool,
    /// What is known of it besides.
    pub detail: Option<String>,
}

/// A neighbour that has been heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The priority in its last advertisement that counted,
    pub priority: u8,
    /// and the interval, in milliseconds.
    pub interval_ms: f64,
    /// How many seconds ago that came; if none has counted, the first that did not.
    pub heard_ago: f64,
    /// How many counted.
    pub advertisements: u64,
    /// The last trouble with it, how many seconds ago, and what to do about it.
    pub trouble: Option<Trouble>,
}

/// Trouble with a neighbour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trouble {
    /// What.
    pub text: String,
    /// What to do about it.
    pub cure: Option<String>,
    /// How many seconds ago.
    pub ago: f64,
}

/// What a virtual router has counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counted {
    /// Advertisements that came and were genuine.
    pub received: u64,
    /// Advertisements sent.
    pub sent: u64,
    /// Times it became master.
    pub became_master: u64,
    /// Times it gave that up.
    pub released_master: u64,
    /// Advertisements of priority 0 that came,
    pub zero_received: u64,
    /// and were sent.
    pub zero_sent: u64,
    /// Masters of lower priority heard while master.
    pub rivals: u64,
    /// Advertisements dropped, by reason; only reasons that there were.
    pub rejected: BTreeMap<String, u64>,
    /// Advertisements with something odd, by what.
    pub noted: BTreeMap<String, u64>,
}

/// A sync group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// Its virtual routers.
    pub members: Vec<String>,
}

pub(super) fn of(model: &Vrrp, report: &Report, watched: &watch::Status) -> Status {
    let routers = model.instances.iter().filter_map(|instance| {
        let name = &instance.name.value;
        let status = report.routers.iter().find(|r| r.name == *name)?;
        Some(router(instance, status, report, watched))
    });
    let groups = report.groups.iter().map(|(name, state)| {
        let group = model.groups.iter().find(|g| g.name.value == *name);
        let members = group.into_iter().flat_map(|g| &g.members);
        Group {
            name: name.clone(),
            state: state.to_string(),
            members: members.map(|m| m.value.clone()).collect(),
        }
    });
    Status {
        routers: routers.collect(),
        groups: groups.collect(),
        worst_lateness_ms: millis(report.lateness),
    }
}

fn router(
    instance: &Instance,
    status: &RouterStatus,
    report: &Report,
    watched: &watch::Status,
) -> Router {
    let now = report.now;
    let parts = status.priority.parts.iter();
    Router {
        name: status.name.clone(),
        vrid: instance.vrid.value,
        version: match instance.version {
            crate::keepalived::model::Version::V2 => 2,
            crate::keepalived::model::Version::V3 => 3,
        },
        interface: instance.interface.as_ref().map(|i| i.value.clone()),
        group: status.group.clone(),
        state: status.state.to_string(),
        for_seconds: ago(status.since, now),
        why: status.why.to_string(),
        mute: report.mute.get(&status.id).cloned(),
        priority: Priority {
            effective: status.priority.effective,
            configured: status.priority.configured,
            parts: parts.map(|p| part(p, watched)).collect(),
        },
        source: status.source,
        master: match status.state {
            lvs_vrrp::event::State::Master => status.source,
            _ => status.master,
        },
        interval_ms: millis(status.master_interval),
        due_in_ms: status.deadline.map(|d| millis(d.saturating_sub(now))),
        addresses: instance.addresses().map(|a| a.addr.to_string()).collect(),
        peers: status.peers.iter().map(|p| peer(p, now)).collect(),
        counters: counted(&status.counters),
    }
}

fn part(part: &Part, watched: &watch::Status) -> Watched {
    let known = watched.iter().find(|w| w.object == part.object);
    Watched {
        object: part.object.to_string(),
        state: match part.state {
            ObjectState::Unknown => "unknown".to_owned(),
            ObjectState::Good => "good".to_owned(),
            ObjectState::Bad => "bad".to_owned(),
            ObjectState::Number(number) => number.to_string(),
        },
        weight: part.weight,
        reverse: part.reverse,
        adds: part.adds,
        fault: part.fault,
        detail: known.map(watch::Watched::to_string),
    }
}

fn peer(peer: &PeerStatus, now: Time) -> Peer {
    Peer {
        address: peer.addr,
        priority: peer.priority,
        interval_ms: millis(peer.interval),
        heard_ago: ago(peer.heard, now),
        advertisements: peer.count,
        trouble: peer.trouble.as_ref().map(|(trouble, when)| Trouble {
            text: trouble.to_string(),
            cure: trouble.cure().map(str::to_owned),
            ago: ago(*when, now),
        }),
    }
}

fn counted(counters: &Counters) -> Counted {
    Counted {
        received: counters.received,
        sent: counters.sent,
        became_master: counters.became_master,
        released_master: counters.released_master,
        zero_received: counters.zero_received,
        zero_sent: counters.zero_sent,
        rivals: counters.rivals,
        rejected: by_name(&Reject::KINDS, &counters.rejected),
        noted: by_name(&Note::KINDS, &counters.noted),
    }
}

fn by_name(names: &[&str], counts: &[u64]) -> BTreeMap<String, u64> {
    let all = names.iter().zip(counts).filter(|(_, count)| **count > 0);
    all.map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

fn ago(then: Time, now: Time) -> f64 {
    now.saturating_sub(then).as_secs_f64()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests;
