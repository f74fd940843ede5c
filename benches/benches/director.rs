//! Decisions: following connections. Opening and expiring them is in `table`, changing the configuration in `control`.

use std::time::Duration;

use benches::bed::{self, NOW, VIP, segment};
use benches::{Shuffled, timed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_core::{Method, TcpFlags};

const BURST: usize = 32;
const SERVERS: usize = 10;
const MILLION: usize = 1_000_000;

fn follow(c: &mut Criterion) {
    let mut group = c.benchmark_group("follow");
    group.throughput(Throughput::Elements(BURST as u64));
    for (count, size) in [(10_000, "10 k"), (MILLION, "1 M")] {
        let director = bed::director(Method::Nat, SERVERS);
        let mut worker = director.worker().expect("the first worker");
        let replies = bed::establish(&mut worker, 0..count);
        let (mut segments, mut verdicts) = (Vec::new(), Vec::new());
        for direction in ["in", "out"] {
            group.bench_function(format!("{direction}, {size} connections"), |b| {
                b.iter_custom(|rounds| {
                    let mut order = Shuffled(rounds);
                    let mut total = Duration::ZERO;
                    for _ in 0..rounds {
                        segments.clear();
                        segments.extend((0..BURST).map(|_| {
                            let i = order.below(count);
                            let (src, dst) = match direction {
                                "in" => (bed::client(i), VIP),
                                _ => replies[i],
                            };
                            segment(src, dst, TcpFlags::ACK)
                        }));
                        total += timed(|| worker.decide(NOW, &segments, &mut verdicts));
                    }
                    total
                });
            });
        }
    }
}

criterion_group!(benches, follow);
criterion_main!(benches);
