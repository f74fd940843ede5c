//! Choosing a server, by every scheduler. Weights and counts differ from server to server.

use std::hint::black_box;

use benches::bed::{self, VIP, segment};
use criterion::{Criterion, criterion_group, criterion_main};
use lvs_core::sched::Arrival;
use lvs_core::{Dest, TcpFlags};

fn pick(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    for (count, size) in [
        (10, "10 servers, budget 30 ns"),
        (10_000, "10000 servers, budget 200 ns"),
    ] {
        let dests: Vec<Dest> = (0..count)
            .map(|i| {
                let dest = Dest::detached(bed::server(i), 1 + i as u32 % 5);
                dest.live()
                    .set_counts(100 + i as u64 * 7 % 31, i as u64 % 11);
                dest
            })
            .collect();
        for known in lvs_sched::NAMES {
            let mut scheduler = lvs_sched::build(known.name).expect("a known scheduler");
            scheduler.settle(&dests);
            let mut i = 0;
            group.bench_function(format!("{}, {size}", known.name), |b| {
                b.iter(|| {
                    i += 1;
                    let packet = segment(bed::client(i % 100_000), VIP, TcpFlags::SYN);
                    scheduler.pick(black_box(&dests), &Arrival::new(&packet, bed::NOW))
                });
            });
        }
    }
}

criterion_group!(benches, pick);
criterion_main!(benches);
