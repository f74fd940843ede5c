//! The control plane with many services: editing one, applying all at once, asking about a packet. What a listing
//! costs is in `listing`.

use std::sync::Arc;

use benches::bed::{self, NOW, VIP};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lvs_core::{
    ConfigError, DestOptions, Director, Draft, Endpoint, Method, Protocol, Segment, ServiceKey,
    ServiceOptions, Settings,
};

const SERVICES: u16 = 1000;
const SERVERS: usize = 4;

fn service(i: u16) -> ServiceKey {
    ServiceKey::tcp(Endpoint::new(VIP.ip, 1000 + i))
}

fn options(weight: u32) -> DestOptions {
    DestOptions::new(Method::Nat, weight)
}

fn add_all(draft: &mut Draft<'_>) -> Result<(), ConfigError> {
    for i in 0..SERVICES {
        let scheduler = lvs_sched::build("wlc").expect("a known scheduler");
        draft.add_service(service(i), scheduler, ServiceOptions::default())?;
        for s in 0..SERVERS {
            draft.add_dest(service(i), bed::server(s), &options(1))?;
        }
    }
    Ok(())
}

fn clear(draft: &mut Draft<'_>) -> Result<(), ConfigError> {
    (0..SERVICES).try_for_each(|i| draft.remove_service(service(i)))
}

fn filled() -> Arc<Director> {
    let director = Director::new(&Settings::default());
    director.edit(add_all).expect("a sound configuration");
    director
}

fn edits(c: &mut Criterion) {
    let mut group = c.benchmark_group("1000 services of 4 servers");
    let director = filled();
    let mut weight = 1;
    let mut other_weight = || {
        weight ^= 2;
        options(weight)
    };
    group.bench_function("one weight, budget 200 us", |b| {
        b.iter(|| {
            let options = other_weight();
            director.edit(|draft| draft.edit_dest(service(500), bed::server(2), &options))
        });
    });
    group.bench_function("one server more, one less, budget 500 us", |b| {
        let more = bed::server(9);
        b.iter(|| {
            let added = director.edit(|draft| draft.add_dest(service(500), more, &options(1)));
            let removed = director.edit(|draft| draft.remove_dest(service(500), more));
            added.and(removed)
        });
    });
    group.bench_function("a weight of each service, budget 5 ms", |b| {
        b.iter(|| {
            let options = other_weight();
            director.edit(|draft| {
                (0..SERVICES)
                    .try_for_each(|i| draft.edit_dest(service(i), bed::server(2), &options))
            })
        });
    });
    group.bench_function("cleared and applied again, budget 20 ms", |b| {
        b.iter(|| director.edit(|draft| clear(draft).and_then(|()| add_all(draft))));
    });
    group.bench_function("applied to nothing, budget 20 ms", |b| {
        let nothing = || Director::new(&Settings::default());
        b.iter_batched(
            nothing,
            |d| d.edit(add_all).map(|()| d),
            BatchSize::PerIteration,
        );
    });
}

fn explain(c: &mut Criterion) {
    let director = bed::director(Method::Nat, 10);
    let mut worker = director.worker().expect("the first worker");
    bed::establish(&mut worker, 0..1000);
    for (what, i) in [("a known", 7), ("an unknown", 5000)] {
        let packet = Segment::opening(Protocol::TCP, bed::client(i), VIP);
        c.bench_function(
            format!("explain {what} connection, wlc, 10 servers").as_str(),
            |b| {
                b.iter(|| director.explain(NOW, &packet));
            },
        );
    }
}

criterion_group!(benches, edits, explain);
criterion_main!(benches);
