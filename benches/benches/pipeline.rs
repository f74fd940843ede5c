//! Frames in, frames out: the whole packet path over frames in memory.
//!
//! Each burst is 32 frames of the least size, of 32 established connections chosen at random. Filling the
//! burst's buffers is not timed (a port does that); so the frames' first lines are in the cache when the
//! clock starts, as they are when a kernel has just copied them there. Connections, routes and counters
//! are not helped in any way.

use std::time::Duration;

use benches::bed::{self, INSIDE, NOW, OUTSIDE, VIP};
use benches::frames::{self, SMALL};
use benches::{Shuffled, timed};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_core::{Endpoint, Method, TcpFlags};
use lvs_fwd::frame::{BURST, Burst, Offload, Outputs, PortId};

const SERVERS: usize = 10;

fn fill(burst: &mut Burst, port: PortId, src: Endpoint, dst: Endpoint, flags: TcpFlags) {
    let bytes = frames::tcp(src, dst, flags, SMALL);
    if let Some(frame) = burst.next_free() {
        frame.fill(&bytes, Offload::default(), port);
        burst.commit();
    }
}

fn established(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(BURST as u64));
    let methods = [
        ("nat", Method::Nat, true),
        ("route", Method::DirectRoute, false),
        ("tunnel", Method::Tunnel, false),
        ("fullnat", Method::FullNat, true),
    ];
    for (method_name, method, replies_come_back) in methods {
        let sizes: &[(usize, &str)] = match method {
            Method::Nat => &[
                (10_000, "10 k, budget 60 ns"),
                (1_000_000, "1 M, budget 150 ns"),
            ],
            _ => &[(10_000, "10 k")],
        };
        for &(count, size) in sizes {
            let director = bed::director(method, SERVERS);
            let mut worker = director.worker().expect("the first worker");
            let replies = bed::establish(&mut worker, 0..count);
            let mut pipeline = bed::pipeline(worker, SERVERS);
            let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
            for direction in ["in", "out"] {
                if direction == "out" && !replies_come_back {
                    continue;
                }
                group.bench_function(format!("{method_name} {direction}, {size} a packet"), |b| {
                    b.iter_custom(|rounds| {
                        let mut order = Shuffled(rounds);
                        let mut total = Duration::ZERO;
                        for _ in 0..rounds {
                            burst.clear();
                            for _ in 0..BURST {
                                let i = order.below(count);
                                match direction {
                                    "in" => fill(
                                        &mut burst,
                                        OUTSIDE,
                                        bed::client(i),
                                        VIP,
                                        TcpFlags::ACK,
                                    ),
                                    _ => fill(
                                        &mut burst,
                                        INSIDE,
                                        replies[i].0,
                                        replies[i].1,
                                        TcpFlags::ACK,
                                    ),
                                }
                            }
                            total += timed(|| pipeline.process(NOW, &mut burst, &mut outputs));
                        }
                        assert!(rounds == 0 || outputs.len() == BURST, "all is forwarded");
                        total
                    });
                });
            }
        }
    }
}

/// Every packet opens a connection; the table is emptied, untimed, after each hundred thousand.
fn opening(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(BURST as u64));
    let director = bed::director(Method::Nat, SERVERS);
    let mut pipeline = bed::pipeline(director.worker().expect("the first worker"), SERVERS);
    let (mut burst, mut outputs) = (Burst::default(), Outputs::default());
    let (mut next, mut now) = (0, NOW);
    group.bench_function("new connection, nat", |b| {
        b.iter_custom(|rounds| {
            let mut total = Duration::ZERO;
            for _ in 0..rounds {
                burst.clear();
                for _ in 0..BURST {
                    fill(&mut burst, OUTSIDE, bed::client(next), VIP, TcpFlags::SYN);
                    next += 1;
                }
                total += timed(|| pipeline.process(now, &mut burst, &mut outputs));
                if next > 100_000 {
                    next = 0;
                    now = now + Duration::from_secs(1000);
                    pipeline.worker().expire(now, usize::MAX);
                }
            }
            total
        });
    });
}

criterion_group!(benches, established, opening);
criterion_main!(benches);
