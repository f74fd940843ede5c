//! A director without a network: two real servers, a thousand clients and a simulated hour.
//!
//! Shows all that an embedder does: write (or choose) a scheduler, configure services, hand bursts of
//! segments to a worker, carry the verdicts out (here: count them) and let connections expire.
//!
//! ```text
//! cargo run -p lvs-core --example simulate
//! ```

use lvs_core::Chunk;
use lvs_core::DestOptions;
use lvs_core::ServiceOptions;
use lvs_core::sched::Arrival;
use std::error::Error;
use std::time::Duration;

use lvs_core::sched::{Edit, Scheduler};
use lvs_core::{
    ConfigError, Dest, Director, Endpoint, Ip, Kind, Method, Protocol, Segment, ServiceKey,
    Settings, TcpFlags, Time, Verdict,
};

/// Fewest active connections for the weight; the first of equals.
#[derive(Clone, Debug)]
struct FewestActive;

impl Scheduler for FewestActive {
    fn name(&self) -> &'static str {
        "fewest-active"
    }

    fn pick(&self, dests: &[Dest], _packet: &Arrival<'_>) -> Option<usize> {
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

    fn edited(&mut self, _dests: &[Dest], _edit: Edit) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let director = Director::new(&Settings::default());
    let mut worker = director.worker().ok_or("no worker")?;
    let vip: Endpoint = "192.0.2.80:80".parse()?;
    let key = ServiceKey::tcp(vip);
    let servers: [(Endpoint, u32); 2] =
        [("10.0.0.1:8080".parse()?, 3), ("10.0.0.2:8080".parse()?, 1)];
    director.edit(|draft| {
        draft.add_service(key, Box::new(FewestActive), ServiceOptions::default())?;
        for (server, weight) in servers {
            draft.add_dest(key, server, &DestOptions::new(Method::Nat, weight))?;
        }
        Ok::<_, ConfigError>(())
    })?;

    let segment = |client: u16, flags| Segment {
        src: Endpoint::new(Ip::v4([198, 51, 100, 7]), 10_000 + client),
        dst: vip,
        len: 60,
        protocol: Protocol::TCP,
        flags,
        kind: Kind::Packet,
        chunk: Chunk::Data,
        mark: 0,
        tag: 0,
    };
    let (mut now, mut verdicts, mut forwarded) = (Time::default(), Vec::new(), 0);
    // Half of the clients close; the others fall silent, and expire after 15 minutes.
    for client in 0..1000 {
        let mut burst = vec![
            segment(client, TcpFlags::SYN),
            segment(client, TcpFlags::ACK),
        ];
        if client % 2 == 0 {
            burst.push(segment(client, TcpFlags::FIN.with(TcpFlags::ACK)));
        }
        worker.decide(now, &burst, &mut verdicts);
        let is_forward = |v: &&Verdict| matches!(v, Verdict::Forward(_));
        forwarded += verdicts.iter().filter(is_forward).count();
        now = now + Duration::from_millis(10);
    }
    println!("{forwarded} packets forwarded");
    for minute in [0, 2, 20] {
        now = now + Duration::from_secs(60 * minute);
        while !worker.expire(now, 1000) {}
        println!("{minute} minutes later:");
        for service in director.config().services() {
            for d in service.dests() {
                println!(
                    "  {} weight {}: {:4} active {:4} inactive {:4} in all",
                    d.addr(),
                    d.weight(),
                    d.active(),
                    d.inactive(),
                    d.live().stats().totals().conns
                );
            }
        }
    }
    Ok(())
}
