//! A scheduler of one's own, in a director without a network: two real servers, a thousand clients and an hour on a
//! virtual clock.
//!
//! A service takes anything that implements [`Scheduler`]; those of IPVS are in `lvs-sched`, whose example `director`
//! follows single packets. What is printed is also asserted.
//!
//! ```text
//! cargo run -p lvs-core --example simulate
//! ```

use std::error::Error;
use std::time::Duration;

use lvs_core::sched::{Arrival, Scheduler};
use lvs_core::{
    Dest, DestOptions, Director, Endpoint, Ip, Method, Protocol, Segment, ServiceKey,
    ServiceOptions, Settings, TcpFlags, Time, Verdict,
};

/// Fewest active connections for the weight; the first of equals.
#[derive(Clone, Debug)]
struct FewestActive;

impl Scheduler for FewestActive {
    fn name(&self) -> &'static str {
        "fewest-active"
    }

    fn pick(&self, dests: &[Dest], _arrival: &Arrival<'_>) -> Option<usize> {
        let eligible = dests.iter().enumerate().filter(|(_, d)| d.is_eligible());
        // a / wa < b / wb, without dividing.
        let fewest = eligible.min_by(|(_, a), (_, b)| {
            (a.active() * u64::from(b.weight())).cmp(&(b.active() * u64::from(a.weight())))
        });
        fewest.map(|(i, _)| i)
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(self.clone())
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let director = Director::new(&Settings::default());
    let mut worker = director.worker().ok_or("no worker")?;
    let vip: Endpoint = "192.0.2.80:80".parse()?;
    let key = ServiceKey::tcp(vip);
    let (strong, weak) = ("10.0.0.1:8080".parse()?, "10.0.0.2:8080".parse()?);
    director.edit(|draft| {
        draft.add_service(key, Box::new(FewestActive), ServiceOptions::default())?;
        draft.add_dest(key, weak, &DestOptions::new(Method::Nat, 1))?;
        draft.add_dest(key, strong, &DestOptions::new(Method::Nat, 3))
    })?;

    // Every other client closes; the rest fall silent, and expire after 15 minutes.
    let (mut now, mut verdicts, mut forwarded) = (Time::default(), Vec::new(), 0);
    for client in 0..1000 {
        let segment = |flags| Segment {
            len: 60,
            flags,
            ..Segment::new(
                Protocol::TCP,
                Endpoint::new(Ip::v4([198, 51, 100, 7]), 10_000 + client),
                vip,
            )
        };
        let mut burst = vec![segment(TcpFlags::SYN), segment(TcpFlags::ACK)];
        if client % 2 == 0 {
            burst.push(segment(TcpFlags::FIN.with(TcpFlags::ACK)));
        }
        worker.decide(now, &burst, &mut verdicts);
        let is_forward = |v: &&Verdict| matches!(v, Verdict::Forward(_));
        forwarded += verdicts.iter().filter(is_forward).count();
        now = now + Duration::from_millis(10);
    }
    println!("{forwarded} packets forwarded");
    assert_eq!(forwarded, 2500);

    // (minutes later, active and inactive connections of the strong server and of the weak one)
    for (minutes, want) in [
        (0, [(375, 375), (125, 125)]),
        (2, [(375, 0), (125, 0)]),
        (20, [(0, 0), (0, 0)]),
    ] {
        now = now + Duration::from_secs(60 * minutes);
        while !worker.expire(now, 1000) {}
        println!("{minutes} minutes later:");
        let config = director.config();
        let service = config.service(&key).ok_or("no service")?;
        for d in service.dests() {
            println!(
                "  {} weight {}: {:3} active {:3} inactive {:3} in all",
                d.addr(),
                d.weight(),
                d.active(),
                d.inactive(),
                d.live().stats().totals().conns
            );
        }
        let counts: Vec<_> = service
            .dests()
            .iter()
            .map(|d| (d.active(), d.inactive()))
            .collect();
        assert_eq!(counts, want);
    }
    Ok(())
}
