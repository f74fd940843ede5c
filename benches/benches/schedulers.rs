//! Choosing a server, by every scheduler, beside the walk through the list that the kernel does. Before anything is
//! timed both have to make the same choices.
//!
//! Between two choices one connection comes and another goes, as in the life of a director; both are in the times.

#[path = "../../lvs-sched/tests/list_walk/mod.rs"]
mod list_walk;

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use benches::Shuffled;
use benches::bed::{self, VIP};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lvs_core::sched::{Arrival, Edit, Scheduler};
use lvs_core::{Dest, Protocol, Segment};
use lvs_sched::maglev::{self, Member};
use lvs_sched::{Flags, hash};
use pingora_ketama::{Bucket, Continuum};

use list_walk::Walk;

/// How many connections stay open on top of those a server has from the start.
const OPEN: usize = 64;

/// A service in use.
struct Life {
    dests: Vec<Dest>,
    random: Shuffled,
    open: VecDeque<usize>,
}

impl Life {
    /// Servers of weights 100 to 500, with half as many active connections each, or a little more.
    fn new(servers: usize) -> Self {
        let list: Vec<_> = (0..servers)
            .map(|i| (bed::server(i), 100 + i as u32 % 5 * 100))
            .collect();
        let dests = Dest::group(VIP, &list);
        let mut random = Shuffled(7);
        for dest in &dests {
            let active = u64::from(dest.weight()) / 2 + random.below(20) as u64;
            dest.live().set_counts(active, random.below(300) as u64);
        }
        Self {
            dests,
            random,
            open: VecDeque::with_capacity(OPEN + 1),
        }
    }

    /// A new connection, for which `pick` chooses; and the end of an old one.
    #[inline]
    fn step(
        &mut self,
        mut pick: impl FnMut(&[Dest], &Arrival<'_>) -> Option<usize>,
    ) -> Option<usize> {
        let client = bed::client(self.random.below(100_000));
        let packet = Segment::new(Protocol::TCP, client, VIP);
        let arrival = Arrival {
            random: self.random.0,
            ..Arrival::new(&packet, bed::NOW)
        };
        let chosen = pick(&self.dests, &arrival);
        if let Some(i) = chosen {
            self.dests[i].live().bind(true, 1);
            self.open.push_back(i);
        }
        if self.open.len() > OPEN
            && let Some(i) = self.open.pop_front()
        {
            self.dests[i].live().bind(true, -1);
        }
        chosen
    }
}

fn ours(name: &str, dests: &[Dest]) -> Box<dyn Scheduler> {
    let mut scheduler = lvs_sched::build(name).expect("a known scheduler");
    scheduler.settle(dests);
    scheduler
}

fn walk(name: &str, dests: &[Dest]) -> Walk {
    let mut walk = Walk::new(name, Flags::NONE);
    walk.edited(dests, Edit::Added(0));
    walk
}

fn pick(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    for (servers, budget) in [
        (2, "30 ns"),
        (10, "30 ns"),
        (100, "200 ns"),
        (1000, "200 ns"),
        (10_000, "200 ns"),
    ] {
        for known in lvs_sched::NAMES {
            let mut life = Life::new(servers);
            let scheduler = ours(known.name, &life.dests);
            let mut walk = walk(known.name, &life.dests);
            for _ in 0..1000 {
                life.step(|dests, arrival| {
                    let chosen = scheduler.pick(dests, arrival);
                    assert_eq!(chosen, walk.pick(dests, arrival), "{}", known.name);
                    chosen
                });
            }
            let name = known.name;
            group.bench_function(format!("{name}, {servers} servers, budget {budget}"), |b| {
                b.iter(|| life.step(|dests, arrival| scheduler.pick(black_box(dests), arrival)));
            });
            group.bench_function(
                format!("{name}, {servers} servers, the kernel's walk"),
                |b| {
                    b.iter(|| life.step(|dests, arrival| walk.pick(black_box(dests), arrival)));
                },
            );
        }
        let mut life = Life::new(servers);
        let mut next = 0;
        group.bench_function(
            format!("no choice at all, {servers} servers, for comparison"),
            |b| {
                b.iter(|| {
                    life.step(|dests, _| {
                        next = (next + 1) % dests.len();
                        Some(next)
                    })
                });
            },
        );
    }
}

/// Consistent hashing: our table and the ring of pingora-ketama (nginx's).
fn tables(c: &mut Criterion) {
    let mut group = c.benchmark_group("consistent hashing");
    let dests = Life::new(1000).dests;
    group.bench_function(
        "mh, table of 4093 slots for 1000 servers, budget 1 ms",
        |b| {
            b.iter_batched_ref(
                || lvs_sched::build("mh").expect("a known scheduler"),
                |scheduler| scheduler.settle(black_box(&dests)),
                BatchSize::SmallInput,
            );
        },
    );
    for (slots, figure) in [(65_537, "1.8 ms"), (655_373, "22.9 ms")] {
        let members: Vec<_> = (0..1000)
            .map(|n| Member {
                offset: hash::maglev(n) % slots,
                skip: hash::maglev_skip(n) % (slots - 1) + 1,
                turns: 1,
            })
            .collect();
        let name =
            format!("Maglev, table of {slots} slots for 1000 servers, the paper's figure {figure}");
        group.bench_function(name, |b| {
            b.iter(|| maglev::table(black_box(&members), slots))
        });
    }
    let address = |d: &Dest| SocketAddr::new(d.addr().ip.into(), d.addr().port);
    let buckets: Vec<_> = dests
        .iter()
        .map(|d| Bucket::new(address(d), d.weight() / 100))
        .collect();
    group.bench_function("pingora-ketama, ring for 1000 servers", |b| {
        b.iter(|| Continuum::new(black_box(&buckets)));
    });

    let scheduler = ours("mh", &dests);
    let ring = Continuum::new(&buckets);
    let mut random = Shuffled(1);
    let mut clients = || bed::client(random.below(100_000));
    group.bench_function("mh, choice among 1000 servers, budget 200 ns", |b| {
        b.iter(|| {
            let packet = Segment::new(Protocol::TCP, clients(), VIP);
            scheduler.pick(black_box(&dests), &Arrival::new(&packet, bed::NOW))
        });
    });
    group.bench_function("pingora-ketama, choice among 1000 servers", |b| {
        b.iter(|| {
            let ip = IpAddr::from(clients().ip);
            let IpAddr::V4(ip) = ip else {
                return None;
            };
            ring.node(&ip.octets())
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300));
    targets = pick, tables
}
criterion_main!(benches);
