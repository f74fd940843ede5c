//! What the daemon has done so far, as text.

use std::fmt;
use std::sync::{Arc, PoisonError};

use lvs_core::stats::Totals;
use lvs_core::{Director, DropReason, PassReason};
use lvs_fwd::counters::{Counters, Counts};
use lvs_fwd::frame::PortId;
use lvs_fwd::io::packet::Statistics;

use super::worker::SharedStatistics;

/// Where the numbers come from.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    director: Arc<Director>,
    interfaces: Vec<String>,
    workers: Vec<(Arc<Counters>, SharedStatistics)>,
}

impl Sources {
    pub(super) fn new(director: Arc<Director>, interfaces: impl Iterator<Item = String>) -> Self {
        Self {
            director,
            interfaces: interfaces.collect(),
            workers: Vec::new(),
        }
    }

    pub(super) fn add_worker(&mut self, counters: Arc<Counters>, statistics: SharedStatistics) {
        self.workers.push((counters, statistics));
    }

    pub(super) fn summary(&self) -> Summary {
        let mut counts = Counts::default();
        let mut ports = vec![Statistics::default(); self.interfaces.len()];
        for (counters, statistics) in &self.workers {
            counts += &counters.counts();
            let statistics = statistics.lock().unwrap_or_else(PoisonError::into_inner);
            for (PortId(id), s) in statistics.iter() {
                if let Some(sum) = ports.get_mut(usize::from(*id)) {
                    sum.packets += s.packets;
                    sum.dropped += s.dropped;
                    sum.truncated += s.truncated;
                }
            }
        }
        let config = self.director.config();
        let services = config.services().into_iter().map(|s| ServiceLine {
            name: s.key().to_string(),
            scheduler: s.scheduler().name(),
            totals: s.live().stats().totals(),
            servers: s
                .dests()
                .iter()
                .map(|d| ServerLine {
                    name: d.addr().to_string(),
                    method: d.method().name(),
                    weight: d.weight(),
                    active: d.active(),
                    inactive: d.inactive(),
                    totals: d.live().stats().totals(),
                })
                .collect(),
        });
        Summary {
            connections: self.director.connection_count(),
            services: services.collect(),
            interfaces: self.interfaces.iter().cloned().zip(ports).collect(),
            counts,
        }
    }
}

#[derive(Clone, Debug)]
struct ServiceLine {
    name: String,
    scheduler: &'static str,
    totals: Totals,
    servers: Vec<ServerLine>,
}

#[derive(Clone, Debug)]
struct ServerLine {
    name: String,
    method: &'static str,
    weight: u32,
    active: u64,
    inactive: u64,
    totals: Totals,
}

/// Services, packets and drops by reason at one moment; prints as a table.
#[derive(Clone, Debug)]
pub struct Summary {
    connections: usize,
    services: Vec<ServiceLine>,
    interfaces: Vec<(String, Statistics)>,
    counts: Counts,
}

impl Summary {
    /// What became of the frames.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many connections were tracked.
    pub fn connections(&self) -> usize {
        self.connections
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<44} {:<7} {:>6} {:>8} {:>8} {:>9} {:>10} {:>10} {:>13} {:>13}",
            "service / server",
            "",
            "weight",
            "active",
            "inactive",
            "conns",
            "in pkts",
            "out pkts",
            "in bytes",
            "out bytes",
        )?;
        for s in &self.services {
            write!(
                f,
                "{:<44} {:<7} {:>6} {:>8} {:>8} ",
                s.name, s.scheduler, "", "", ""
            )?;
            totals(f, &s.totals)?;
            for d in &s.servers {
                write!(
                    f,
                    "  -> {:<39} {:<7} {:>6} {:>8} {:>8} ",
                    d.name, d.method, d.weight, d.active, d.inactive
                )?;
                totals(f, &d.totals)?;
            }
        }
        let c = &self.counts;
        writeln!(f, "connections: {}", self.connections)?;
        writeln!(
            f,
            "packets: {} received, {} to servers, {} to clients, {} frames sent",
            c.received, c.forwarded_in, c.forwarded_out, c.sent
        )?;
        writeln!(
            f,
            "answered: {} ARP/NDP, {} ICMP errors, {} resets ({} more withheld); {} waited for a next hop, {} for a first fragment",
            c.arp_answered, c.icmp_sent, c.resets_sent, c.answers_limited, c.parked, c.held
        )?;
        for (name, s) in &self.interfaces {
            if s.dropped + s.truncated > 0 {
                writeln!(
                    f,
                    "{name}: {} frames lost before lvsd saw them",
                    s.dropped + s.truncated
                )?;
            }
        }
        let passed = PassReason::ALL.iter().map(|r| (r.name(), c.passed(*r)));
        reasons(f, "left to the host", passed)?;
        reasons(
            f,
            "dropped",
            DropReason::ALL.iter().map(|r| (r.name(), c.dropped(*r))),
        )
    }
}

fn totals(f: &mut fmt::Formatter<'_>, t: &Totals) -> fmt::Result {
    writeln!(
        f,
        "{:>9} {:>10} {:>10} {:>13} {:>13}",
        t.conns, t.in_packets, t.out_packets, t.in_bytes, t.out_bytes
    )
}

fn reasons(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    counts: impl Iterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut none = true;
    for (name, n) in counts.filter(|(_, n)| *n > 0) {
        write!(
            f,
            "{}{n} {name}",
            if none {
                format!("{title}: ")
            } else {
                ", ".to_owned()
            }
        )?;
        none = false;
    }
    if none {
        writeln!(f, "{title}: none")
    } else {
        writeln!(f)
    }
}
