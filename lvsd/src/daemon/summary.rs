//! What the daemon has done so far, as text.

use std::fmt;
use std::sync::{Arc, PoisonError};

use lvs_core::stats::{Rates, Totals};
use lvs_core::{Director, DropReason, PassReason};
use lvs_fwd::counters::{Counters, Counts};
use lvs_fwd::frame::PortId;
use lvs_fwd::io::packet::Statistics;

use super::activity::Activity;
use super::worker::{SharedStatistics, WorkerThread};
use crate::pulse::Pulse;
use crate::web;

/// Where the numbers come from.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    director: Arc<Director>,
    interfaces: Vec<String>,
    workers: Vec<Worker>,
    /// Of the control thread.
    control: Arc<Pulse>,
}

#[derive(Clone, Debug)]
struct Worker {
    counters: Arc<Counters>,
    statistics: SharedStatistics,
    activity: Arc<Activity>,
}

impl Sources {
    pub(super) fn new(
        director: Arc<Director>,
        interfaces: Vec<String>,
        control: Arc<Pulse>,
    ) -> Self {
        Self {
            director,
            interfaces,
            workers: Vec::new(),
            control,
        }
    }

    pub(super) fn add_worker(&mut self, worker: &WorkerThread) {
        self.workers.push(Worker {
            counters: worker.counters(),
            statistics: worker.statistics(),
            activity: worker.activity(),
        });
    }

    pub(super) fn summary(&self) -> Summary {
        let mut counts = Counts::default();
        for worker in &self.workers {
            counts += &worker.counters.counts();
        }
        Summary {
            interfaces: self.interfaces(),
            ..Summary::of(&self.director, counts)
        }
    }

    /// What the HTTP endpoint tells of threads and interfaces.
    pub(super) fn load(&self) -> web::Load {
        let workers = self.workers.iter().map(|worker| web::Worker {
            counts: worker.counters.counts(),
            bursts: worker.activity.bursts(),
            busy: worker.activity.busy(),
        });
        let interfaces = self.interfaces().into_iter();
        let interfaces = interfaces.map(|(name, s)| web::Interface {
            name,
            received: s.packets,
            lost: s.dropped + s.truncated,
        });
        let pulses = (0..).zip(&self.workers);
        let pulses = pulses.map(|(n, w)| (format!("worker {n}"), w.activity.pulse.silence()));
        let control = ("control".to_owned(), self.control.silence());
        web::Load {
            workers: workers.collect(),
            interfaces: interfaces.collect(),
            threads: pulses.chain([control]).collect(),
        }
    }

    /// All workers' ports on each interface together.
    fn interfaces(&self) -> Vec<(String, Statistics)> {
        let mut ports = vec![Statistics::default(); self.interfaces.len()];
        for worker in &self.workers {
            let statistics = worker.statistics.lock();
            let statistics = statistics.unwrap_or_else(PoisonError::into_inner);
            for (PortId(id), s) in statistics.iter() {
                if let Some(sum) = ports.get_mut(usize::from(*id)) {
                    sum.packets += s.packets;
                    sum.dropped += s.dropped;
                    sum.truncated += s.truncated;
                }
            }
        }
        self.interfaces.iter().cloned().zip(ports).collect()
    }
}

#[derive(Clone, Debug)]
struct ServiceLine {
    name: String,
    scheduler: &'static str,
    totals: Totals,
    rates: Rates,
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
    rates: Rates,
}

/// Services, packets and drops by reason at one moment; prints as a table.
#[derive(Clone, Debug)]
pub struct Summary {
    connections: usize,
    templates: usize,
    totals: Totals,
    rates: Rates,
    services: Vec<ServiceLine>,
    interfaces: Vec<(String, Statistics)>,
    counts: Counts,
}

impl Summary {
    /// Of a director and a data plane without interfaces of the system's.
    pub(crate) fn of(director: &Director, counts: Counts) -> Self {
        let config = director.config();
        let services = config.services().into_iter().map(|s| ServiceLine {
            name: s.key().to_string(),
            scheduler: s.scheduler().name(),
            totals: s.live().stats().totals(),
            rates: s.live().stats().rates(),
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
                    rates: d.live().stats().rates(),
                })
                .collect(),
        });
        Self {
            connections: director.connection_count(),
            templates: director.template_count(),
            totals: director.stats().totals(),
            rates: director.stats().rates(),
            services: services.collect(),
            interfaces: Vec::new(),
            counts,
        }
    }

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
            "{:<44} {:<7} {:>6} {:>8} {:>8} {:>9} {:>10} {:>10} {:>13} {:>13} {:>7} {:>9} {:>10} {:>11} {:>11}",
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
            "conns/s",
            "in pkts/s",
            "out pkts/s",
            "in bytes/s",
            "out bytes/s",
        )?;
        write!(
            f,
            "{:<44} {:<7} {:>6} {:>8} {:>8} ",
            "total", "", "", "", ""
        )?;
        numbers(f, &self.totals, &self.rates)?;
        for s in &self.services {
            write!(
                f,
                "{:<44} {:<7} {:>6} {:>8} {:>8} ",
                s.name, s.scheduler, "", "", ""
            )?;
            numbers(f, &s.totals, &s.rates)?;
            for d in &s.servers {
                write!(
                    f,
                    "  -> {:<39} {:<7} {:>6} {:>8} {:>8} ",
                    d.name, d.method, d.weight, d.active, d.inactive
                )?;
                numbers(f, &d.totals, &d.rates)?;
            }
        }
        let c = &self.counts;
        writeln!(f, "connections: {}", self.connections)?;
        if self.templates > 0 {
            writeln!(f, "persistence templates: {}", self.templates)?;
        }
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
        if c.given_back > 0 {
            writeln!(
                f,
                "given back to the host, having been hidden: {}",
                c.given_back
            )?;
        }
        reasons(
            f,
            "dropped",
            DropReason::ALL.iter().map(|r| (r.name(), c.dropped(*r))),
        )
    }
}

/// What has been counted since the start, and the rates of the last seconds.
fn numbers(f: &mut fmt::Formatter<'_>, t: &Totals, r: &Rates) -> fmt::Result {
    write!(
        f,
        "{:>9} {:>10} {:>10} {:>13} {:>13} ",
        t.conns, t.in_packets, t.out_packets, t.in_bytes, t.out_bytes
    )?;
    writeln!(
        f,
        "{:>7} {:>9} {:>10} {:>11} {:>11}",
        r.conns, r.in_packets, r.out_packets, r.in_bytes, r.out_bytes
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
