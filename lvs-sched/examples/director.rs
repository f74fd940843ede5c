//! A director over packets from memory: the whole life of TCP connections on a virtual clock, without a network.
//!
//! It shows what an embedder with a data plane of its own does: summarise packets into [`Segment`]s, hand bursts of
//! them to a [`Worker`], carry the verdicts out (here: print them), call [`Director::tick`] once a second and
//! [`Worker::expire`] now and then. What matters of the output is also asserted.
//!
//! ```text
//! cargo run -p lvs-sched --example director
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lvs_core::state::State;
use lvs_core::{
    ConfigError, DestOptions, Direction, Director, Endpoint, Forward, Method, Protocol, Rewrite,
    Segment, ServiceKey, ServiceOptions, Settings, TcpFlags, Time, Verdict, Worker,
};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const RST: TcpFlags = TcpFlags::RST;
const SYN_ACK: TcpFlags = SYN.with(ACK);
const FIN_ACK: TcpFlags = TcpFlags::FIN.with(ACK);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let vip: Endpoint = "192.0.2.80:80".parse()?;
    let [a, b]: [Endpoint; 2] = ["10.0.0.1:8080".parse()?, "10.0.0.2:8080".parse()?];
    let [anna, bert, cleo]: [Endpoint; 3] = [
        "198.51.100.1:40000".parse()?,
        "198.51.100.2:40000".parse()?,
        "198.51.100.3:40000".parse()?,
    ];
    let mut lab = Lab::new()?;

    // A real scheduler, two NAT servers: `a` twice as strong as `b`. The newest stands first in the list.
    lab.director.edit(|draft| {
        let key = ServiceKey::tcp(vip);
        let wlc = Box::new(lvs_sched::wlc::Wlc::default());
        draft.add_service(key, wlc, ServiceOptions::default())?;
        draft.add_dest(key, a, &DestOptions::new(Method::Nat, 2))?;
        draft.add_dest(key, b, &DestOptions::new(Method::Nat, 1))?;
        Ok::<_, ConfigError>(())
    })?;

    println!("Open: one burst of three, and a stray that no connection knows");
    let stray = packet(anna, vip, ACK);
    let verdicts = lab.burst(&[
        stray,
        packet(anna, vip, SYN),
        packet(bert, vip, SYN),
        packet(cleo, vip, SYN),
    ]);
    assert!(matches!(verdicts[0], Verdict::Pass(_)));
    assert_eq!(verdicts[1..], [to(b), to(a), to(a)]);
    assert_eq!(lab.states(), [State::SynRecv; 3]);

    println!("Establish: the servers answer as the VIP, the clients confirm");
    for (client, server) in [(anna, b), (bert, a), (cleo, a)] {
        assert_eq!(lab.packet(server, client, SYN_ACK), from(vip));
        assert_eq!(lab.packet(client, vip, ACK), to(server));
    }
    assert_eq!(lab.states(), [State::Established; 3]);
    assert_eq!(lab.counts(), [(b, 1, 0), (a, 2, 0)]);

    println!("Close: anna politely, bert rudely; cleo falls silent");
    for (from, to, flags) in [
        (anna, vip, FIN_ACK),
        (b, anna, FIN_ACK),
        (anna, vip, ACK),
        (bert, vip, RST),
    ] {
        lab.packet(from, to, flags);
    }
    assert_eq!(
        lab.states(),
        [State::TimeWait, State::Close, State::Established]
    );
    assert_eq!(lab.counts(), [(b, 0, 1), (a, 1, 1)]);

    println!("Expire: the clock runs, each state has its time");
    let closed = lab.now;
    let mut gone = Vec::new();
    while !lab.states().is_empty() {
        let before = lab.states().len();
        lab.run_a_second();
        if lab.states().len() < before {
            gone.push(lab.now.since(closed).as_secs());
            println!("{:>8} s  {} left", gone[gone.len() - 1], before - 1);
        }
    }
    assert_eq!(gone, [10, 120, 900]);
    // A listing is exact; the table itself lets go within a tick of its timers.
    lab.run_a_second();
    assert_eq!(lab.director.connection_count(), 0);
    assert_eq!(lab.counts(), [(b, 0, 0), (a, 0, 0)]);

    println!(
        "Anna's old connection is forgotten: her next is scheduled afresh, and may go elsewhere"
    );
    lab.director.edit(|draft| {
        draft.edit_dest(ServiceKey::tcp(vip), b, &DestOptions::new(Method::Nat, 0))
    })?;
    assert_eq!(lab.packet(anna, vip, SYN), to(a));

    let totals = lab.director.stats().totals();
    println!("{totals:?}");
    assert_eq!(totals.conns, 4);
    assert_eq!((totals.in_packets, totals.out_packets), (10, 4));
    assert_eq!(totals.in_bytes, 10 * 60);
    Ok(())
}

/// A TCP segment as a parser would summarise it.
fn packet(src: Endpoint, dst: Endpoint, flags: TcpFlags) -> Segment {
    Segment {
        len: 60,
        flags,
        ..Segment::new(Protocol::TCP, src, dst)
    }
}

/// NAT of a client's packet: the destination is replaced.
fn to(server: Endpoint) -> Verdict {
    nat(Direction::In, None, Some(server))
}

/// NAT of a server's packet: the source is replaced.
fn from(vip: Endpoint) -> Verdict {
    nat(Direction::Out, Some(vip), None)
}

fn nat(direction: Direction, src: Option<Endpoint>, dst: Option<Endpoint>) -> Verdict {
    Verdict::Forward(Forward {
        direction,
        rewrite: Rewrite::Nat { src, dst },
        helper: None,
    })
}

fn describe(flags: TcpFlags, verdict: &Verdict) -> String {
    let flags: Vec<&str> = [
        ("SYN", SYN),
        ("FIN", TcpFlags::FIN),
        ("RST", RST),
        ("ACK", ACK),
    ]
    .into_iter()
    .filter_map(|(name, flag)| flags.has(flag).then_some(name))
    .collect();
    let what = match verdict {
        Verdict::Forward(f) => match f.rewrite {
            Rewrite::Nat { dst: Some(dst), .. } => format!("now to {dst}"),
            Rewrite::Nat { src: Some(src), .. } => format!("now from {src}"),
            other => format!("{other:?}"),
        },
        Verdict::Pass(why) => format!("left to the host: {}", why.name()),
        Verdict::Drop(why) => format!("dropped: {}", why.name()),
    };
    format!("{}: {what}", flags.join("+"))
}

/// A director, its only worker and the clock.
struct Lab {
    director: Arc<Director>,
    worker: Worker,
    now: Time,
}

impl Lab {
    fn new() -> Result<Self, Box<dyn Error>> {
        let director = Director::new(&Settings::default());
        let worker = director.worker().ok_or("no worker")?;
        let now = Time::default();
        Ok(Self {
            director,
            worker,
            now,
        })
    }

    fn burst(&mut self, segments: &[Segment]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        self.worker.decide(self.now, segments, &mut verdicts);
        for (s, verdict) in segments.iter().zip(&verdicts) {
            println!("    {} > {} {}", s.src, s.dst, describe(s.flags, verdict));
        }
        verdicts
    }

    fn packet(&mut self, src: Endpoint, dst: Endpoint, flags: TcpFlags) -> Verdict {
        self.burst(&[packet(src, dst, flags)])[0]
    }

    /// Lets a second pass, as an event loop would.
    fn run_a_second(&mut self) {
        self.now = self.now + Duration::from_secs(1);
        self.director.tick(self.now, u64::MAX);
        while !self.worker.expire(self.now, 1000) {}
    }

    /// The states of all connections, by client.
    fn states(&self) -> Vec<State> {
        let mut found = BTreeMap::new();
        self.director
            .connections(self.now, |c| _ = found.insert(c.client, c.state));
        found.into_values().collect()
    }

    /// Each server's active and inactive connections, in list order.
    fn counts(&self) -> Vec<(Endpoint, u64, u64)> {
        let config = self.director.config();
        let services = config.services().into_iter();
        services
            .flat_map(|s| s.dests())
            .map(|d| (d.addr(), d.active(), d.inactive()))
            .collect()
    }
}
