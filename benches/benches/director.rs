//! Decisions: following connections, and publishing a changed configuration. Opening and expiring them is in `table`.

use lvs_core::DestOptions;
use lvs_core::ServiceOptions;
use std::time::Duration;

use benches::bed::{self, NOW, VIP, segment};
use benches::{Shuffled, timed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_core::{ConfigError, Director, Endpoint, Method, ServiceKey, Settings, TcpFlags};

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

fn publish(c: &mut Criterion) {
    let director = Director::new(&Settings::default());
    let service = |i: u16| ServiceKey::tcp(Endpoint::new(VIP.ip, 1000 + i));
    let made: Result<(), ConfigError> = director.edit(|draft| {
        for i in 0..1000 {
            let scheduler = lvs_sched::build("wlc").expect("a known scheduler");
            draft.add_service(service(i), scheduler, ServiceOptions::default())?;
            for s in 0..4 {
                draft.add_dest(
                    service(i),
                    bed::server(s),
                    &DestOptions::new(Method::Nat, 1),
                )?;
            }
        }
        Ok(())
    });
    made.expect("a sound configuration");
    let mut weight = 1;
    c.bench_function(
        "publish a changed weight, 1000 services of 4 servers, budget 5 ms",
        |b| {
            b.iter(|| {
                weight ^= 2;
                director.edit(|draft| {
                    draft.edit_dest(
                        service(500),
                        bed::server(2),
                        &DestOptions::new(Method::Nat, weight),
                    )
                })
            });
        },
    );
    c.bench_function(
        "publish changed weights of 1000 services of 4 servers, budget 5 ms",
        |b| {
            b.iter(|| {
                weight ^= 2;
                director.edit(|draft| {
                    (0..1000).try_for_each(|i| {
                        draft.edit_dest(
                            service(i),
                            bed::server(2),
                            &DestOptions::new(Method::Nat, weight),
                        )
                    })
                })
            });
        },
    );
}

criterion_group!(benches, follow, publish);
criterion_main!(benches);
