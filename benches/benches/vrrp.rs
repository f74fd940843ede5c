//! VRRP: what an advertisement costs a host with 255 virtual routers of ten addresses each, from state machines to bytes and back. A
//! hundred a second of each router's are 25,500 of them; without the socket they should take less than a tenth of a core.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use benches::timed;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_vrrp::Time;
use lvs_vrrp::config::{Config, RouterConfig};
use lvs_vrrp::event::{Output, RouterId, State};
use lvs_vrrp::packet::Received;
use lvs_vrrp::speaker::Speaker;

const ROUTERS: u8 = 255;
const ADDRESSES: u8 = 10;
const INTERVAL: Duration = Duration::from_millis(10);
const MASTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const BACKUP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn name(vrid: u8) -> String {
    format!("V{vrid}")
}

/// The virtual routers of a host that has this address.
fn speaker(source: IpAddr, priority: fn(u8) -> u8) -> (Speaker, Vec<RouterId>) {
    let router = |vrid| {
        let addresses = (1..=ADDRESSES).map(|n| Ipv4Addr::new(192, 0, n, vrid).into());
        Arc::new(RouterConfig {
            priority: priority(vrid),
            interval: INTERVAL,
            ..RouterConfig::new(name(vrid), vrid, addresses.collect())
        })
    };
    let config = Config {
        routers: (1..=ROUTERS).map(router).collect(),
        ..Config::default()
    };
    let mut speaker = Speaker::new(config, 7);
    let ids = (1..=ROUTERS).filter_map(|vrid| speaker.id(&name(vrid)));
    let ids: Vec<_> = ids.collect();
    for id in &ids {
        speaker.source(*id, Some(source), Time::ZERO, &mut Vec::new());
    }
    (speaker, ids)
}

/// A host that is master of all, and when it has become so.
fn master() -> (Speaker, Time) {
    // Priorities that differ become masters, and speak, at different times.
    let (mut master, ids) = speaker(MASTER.into(), |vrid| 254 - vrid / 2);
    let (mut now, mut out, mut masters) = (Time::ZERO, Vec::new(), 0);
    master.start(now, &mut out);
    while masters < ids.len() {
        now = master.next_deadline().expect("they wait");
        out.clear();
        master.elapsed(now, &mut out);
        let entered = |o: &&Output| matches!(o, Output::Entered { to, .. } if *to == State::Master);
        masters += out.iter().filter(entered).count();
    }
    (master, now)
}

fn send(c: &mut Criterion) {
    let mut group = c.benchmark_group("vrrp");
    group.throughput(Throughput::Elements(1));
    let (mut master, _) = master();
    let mut out = Vec::new();
    let (mut sent, mut turns) = (0_u64, 0_u64);
    group.bench_function("an advertisement sent, budget 4 us", |b| {
        b.iter_custom(|rounds| {
            let (mut total, mut left) = (Duration::ZERO, rounds);
            while left > 0 {
                out.clear();
                total += timed(|| {
                    let now = master.next_deadline().expect("masters speak");
                    master.elapsed(now, &mut out);
                });
                sent += out.len() as u64;
                turns += 1;
                left = left.saturating_sub(out.len() as u64);
            }
            total
        });
    });
    println!(
        "so many at a time: {:.2}",
        sent as f64 / turns.max(1) as f64
    );
}

fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("vrrp");
    group.throughput(Throughput::Elements(1));
    let (mut master, mut now) = master();
    let (mut backup, ids) = speaker(BACKUP.into(), |_| 100);
    let mut out = Vec::new();
    backup.start(now, &mut out);
    group.bench_function("an advertisement received, budget 2 us", |b| {
        b.iter_custom(|rounds| {
            let (mut total, mut left) = (Duration::ZERO, rounds);
            while left > 0 {
                out.clear();
                now = master.next_deadline().expect("masters speak");
                master.elapsed(now, &mut out);
                let mut heard = Vec::new();
                for output in &out {
                    let Output::Send { router, to, bytes } = output else {
                        continue;
                    };
                    let packet = Received {
                        from: MASTER.into(),
                        to: Some(*to),
                        hop_limit: Some(255),
                        bytes,
                    };
                    // Numbers are given in order, so they are the same on both hosts.
                    total += timed(|| backup.received(*router, &packet, now, &mut heard));
                    left = left.saturating_sub(1);
                }
                assert!(heard.is_empty(), "{heard:?}");
            }
            total
        });
    });
    let states = backup.status();
    assert_eq!(states.len(), ids.len());
    assert!(
        states
            .iter()
            .all(|s| s.state == State::Backup && s.counters.received > 0)
    );
}

criterion_group!(benches, send, receive);
criterion_main!(benches);
