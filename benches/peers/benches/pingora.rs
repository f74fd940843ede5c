//! Choosing a server: our schedulers, and pingora-load-balancing where it has a counterpart.
//!
//! Pingora returns a copy of the server's description, ours a position in the list; that is how each is used. All weights
//! are 1, and all servers are open.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use futures::FutureExt as _;
use lvs_core::sched::Arrival;
use lvs_core::{Dest, Endpoint, Ip, Protocol, Segment, Time};
use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::{
    BackendIter, BackendSelection, Consistent, FNVHash, Random, RoundRobin,
};

const VIP: Endpoint = Endpoint::new(Ip::v4([192, 0, 2, 10]), 80);

fn server(i: usize) -> Endpoint {
    Endpoint::new(Ip::v4((0x0a00_0000 + i as u32).to_be_bytes()), 8080)
}

/// Clients without a pattern: a walk through the addresses by the golden ratio.
fn clients() -> impl FnMut() -> [u8; 4] {
    let mut client = 0u32;
    move || {
        client = client.wrapping_add(0x9e37_79b9);
        client.to_be_bytes()
    }
}

fn ours(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, servers: usize) {
    let list: Vec<_> = (0..servers).map(|i| (server(i), 1)).collect();
    let dests = Dest::group(VIP, &list);
    let mut scheduler = lvs_sched::build(name).expect("a known scheduler");
    scheduler.settle(&dests);
    let mut client = clients();
    group.bench_function(format!("{name}, {servers} servers"), |b| {
        b.iter(|| {
            let client = Endpoint::new(Ip::v4(client()), 40_000);
            let packet = Segment::new(Protocol::TCP, client, VIP);
            let arrival = Arrival {
                random: u64::from(client.ip.fold()) << 32,
                ..Arrival::new(&packet, Time::default())
            };
            scheduler.pick(black_box(&dests), &arrival)
        });
    });
}

fn theirs<S>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, servers: usize)
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let servers_by_name = (0..servers).map(|i| server(i).to_string());
    let balancer = LoadBalancer::<S>::try_from_iter(servers_by_name).expect("sound addresses");
    balancer
        .update()
        .now_or_never()
        .expect("nothing to wait for")
        .expect("sound addresses");
    let mut client = clients();
    group.bench_function(format!("pingora {name}, {servers} servers"), |b| {
        b.iter(|| black_box(&balancer).select(&client(), 256));
    });
}

fn choice(c: &mut Criterion) {
    for servers in [10, 1000, 10_000] {
        let mut group = c.benchmark_group("in turn");
        ours(&mut group, "rr", servers);
        theirs::<RoundRobin>(&mut group, "round robin", servers);
        group.finish();
        let mut group = c.benchmark_group("by chance");
        ours(&mut group, "twos", servers);
        theirs::<Random>(&mut group, "random", servers);
        group.finish();
        let mut group = c.benchmark_group("by the client's hash");
        ours(&mut group, "sh", servers);
        theirs::<FNVHash>(&mut group, "FNV hash", servers);
        group.finish();
        let mut group = c.benchmark_group("by consistent hash");
        ours(&mut group, "mh", servers);
        theirs::<Consistent>(&mut group, "ketama", servers);
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300));
    targets = choice
}
criterion_main!(benches);
