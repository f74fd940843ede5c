//! Four workers over the same flows, while the configuration changes under them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::dest::DestLive;

const WORKERS: usize = 4;
const CLIENTS: u64 = 300;
const SERVERS: [&str; 3] = [R1, R2, "10.10.0.13:80"];
const METHODS: [Method; 4] = [
    Method::Nat,
    Method::DirectRoute,
    Method::Tunnel,
    Method::FullNat,
];
/// Few enough that they run out and are taken over, and so might be handed out twice.
const PORTS: u16 = 128;

fn service(i: u64) -> ServiceKey {
    match i % 3 {
        0 => ServiceKey::tcp(ep("10.9.0.100:80")),
        1 => ServiceKey::tcp(ep("10.9.0.101:80")),
        _ => ServiceKey::udp(ep("10.9.0.100:53")),
    }
}

fn locals() -> [LocalAddr; 1] {
    [ports(LIP, 1024, 1023 + PORTS)]
}

/// Numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % sides
    }
}

fn some_packet(dice: &mut Dice) -> Segment {
    let client = format!(
        "10.9.1.{}:{}",
        1 + dice.roll(3),
        2000 + dice.roll(CLIENTS / 3)
    );
    let ServiceKey::Addr { protocol, addr } = service(dice.roll(3)) else {
        unreachable!("all are of an address")
    };
    let flags = [SYN, SYN, ACK, FIN, RST, SYN_ACK][dice.roll(6) as usize];
    let server = SERVERS[dice.roll(3) as usize];
    let (src, dst) = match dice.roll(4) {
        0 => (server.to_owned(), client),
        1 => (
            server.to_owned(),
            format!("{LIP}:{}", 1024 + dice.roll(PORTS.into())),
        ),
        _ => (client, addr.to_string()),
    };
    segment(protocol, &src, &dst, flags)
}

/// Random packets, sometimes a sweep, until told to stop. Its clock is its own: the workers' need not agree.
fn work(mut worker: Worker, stop: &AtomicBool) -> Worker {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 + worker.number() as u64);
    let mut now = Time::from_secs(1000);
    let mut verdicts = Vec::new();
    while !stop.load(Relaxed) {
        let burst: Vec<_> = (0..dice.roll(32)).map(|_| some_packet(&mut dice)).collect();
        worker.decide(now, &burst, &mut verdicts);
        assert_eq!(verdicts.len(), burst.len());
        now = now + Duration::from_millis(dice.roll(500));
        if dice.roll(8) == 0 {
            worker.expire(now, dice.roll(100) as usize);
        }
    }
    worker
}

fn some_change(dice: &mut Dice, d: &mut Draft<'_>) -> Result<(), ConfigError> {
    let (s, server) = (service(dice.roll(3)), ep(SERVERS[dice.roll(3) as usize]));
    let (method, weight) = (METHODS[dice.roll(4) as usize], dice.roll(3) as u32);
    match dice.roll(8) {
        0 => d.remove_service(s),
        1 => d.add_service(
            s,
            Box::new(Least::default()),
            ServiceOptions::with_local_addrs(&locals()),
        ),
        2 => d.remove_dest(s, server),
        3 => d.edit_dest(s, server, &DestOptions::new(method, weight)),
        _ => d.add_dest(s, server, &DestOptions::new(method, weight)),
    }
}

#[test]
fn nothing_is_lost_or_counted_twice() {
    let mut lab = Lab::with(&Settings {
        workers: WORKERS,
        ..Settings::default()
    });
    let mut lives: HashMap<(ServiceKey, Endpoint), Vec<Arc<DestLive>>> = HashMap::new();
    let stop = AtomicBool::new(false);
    let workers = std::mem::take(&mut lab.workers);
    std::thread::scope(|scope| {
        let stop = &stop;
        let start = |worker| scope.spawn(move || work(worker, stop));
        let running: Vec<_> = workers.into_iter().map(start).collect();
        let mut dice = Dice(42);
        for _ in 0..1000 {
            // Refused ones are welcome: they must leave no trace.
            let _: Result<(), ConfigError> = lab.director.edit(|d| {
                some_change(&mut dice, d)?;
                some_change(&mut dice, d)
            });
            for s in lab.director.config().services() {
                for dest in s.dests() {
                    let known = lives.entry((s.key(), dest.addr())).or_default();
                    if !known.iter().any(|l| Arc::ptr_eq(l, dest.live())) {
                        known.push(dest.live().clone());
                    }
                }
            }
            lab.director.connections(Time::default(), |c| {
                assert!(c.local.is_none_or(|l| l.ip == ip(LIP)))
            });
            std::thread::yield_now();
        }
        stop.store(true, Relaxed);
        let done = running.into_iter().map(|r| r.join().unwrap());
        lab.workers = done.collect();
    });
    assert_eq!(lives.len(), 9);
    let all = || lives.values().flatten();
    assert!(
        all().count() == 9,
        "a removed server that is held comes back"
    );
    let bound: u64 = all().map(|l| l.active() + l.inactive()).sum();
    assert_eq!(bound as usize, lab.director.connection_count());
    assert_ne!(bound, 0);

    // No two connections share what a server sees of them.
    let mut seen = std::collections::HashSet::new();
    lab.director.connections(Time::default(), |c| {
        let as_seen = c.local.unwrap_or(c.client);
        let translated = c.method.translates();
        assert!(
            !translated || seen.insert((c.protocol, as_seen, c.dest)),
            "{c:?}"
        );
    });

    // A few days later nothing is left, and every port can be had again.
    lab.wait(400_000_000);
    assert_eq!(lab.director.connection_count(), 0);
    for live in all() {
        // Printed, since the public counts show what fell below zero as zero.
        let counts = format!("{live:?}");
        assert!(counts.contains("active: 0, inactive: 0"), "{counts}");
    }
    for s in [service(0), service(2)] {
        lab.edit(|d| {
            if d.service(&s).is_some() {
                d.remove_service(s)?;
            }
            d.add_service(
                s,
                Box::new(Least::default()),
                ServiceOptions::with_local_addrs(&locals()),
            )?;
            d.add_dest(s, ep(R1), &DestOptions::new(Method::FullNat, 1))
        });
        for n in 0..10_000 {
            let client = format!("10.9.2.{}:{}", n % 250, 1000 + n);
            lab.see(segment(
                s.protocol().unwrap(),
                &client,
                &s.addr().unwrap().to_string(),
                SYN,
            ));
        }
        let (active, inactive) = lab.counts(R1);
        assert_eq!(active + inactive, u64::from(PORTS));
        lab.edit(|d| d.remove_service(s));
    }
}
