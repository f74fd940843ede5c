//! A director with a network made of memory and a clock that is set by hand.
//!
//! It is the daemon's packet path, whole: [`Director`] and [`Pipeline`] over ports, with expiry and the director's tick
//! once a second. Only the threads, the sockets and the clock are missing, so that the same packets at the same
//! moments always have the same outcome.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use lvs_core::{
    Director, DropReason, Forward, PassReason, Rewrite, Segment, Settings, Sysctls, Time, Verdict,
};
use lvs_fwd::checksum;
use lvs_fwd::classify::{Classifier, Rule};
use lvs_fwd::counters::Counts;
use lvs_fwd::frag::FragMemory;
use lvs_fwd::frame::{Burst, Offload, Outputs, PortId};
use lvs_fwd::helper::Helpers;
use lvs_fwd::io::Port as _;
use lvs_fwd::io::mem::{Handle, MemFrame, MemPort};
use lvs_fwd::pipeline::{Pipeline, Shared};
use lvs_fwd::route::Topology;

/// Keys hashes. Nobody aims at a replay, and a fixed key makes it repeatable.
const SEED: [u64; 4] = [1, 2, 3, 4];
/// First fragments remembered.
const FRAGMENTS: usize = 1024;
/// The identification that packets of our own begin with.
const FIRST_ID: u32 = 1;
const HOUR: Duration = Duration::from_secs(3600);
/// As many connections are looked at for expiry as there are.
const EVERYTHING: usize = usize::MAX;
/// Memory is never short.
const PAGES: u64 = u64::MAX;

/// The director, its network and its clock.
#[derive(Debug)]
pub(super) struct Engine {
    director: Arc<Director>,
    pipeline: Pipeline,
    classifier: Arc<ArcSwap<Classifier>>,
    ports: Vec<(MemPort, Handle)>,
    now: Time,
    burst: Burst,
    outputs: Outputs,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Forwarded(Forward),
    /// Left to the host.
    Passed(PassReason),
    Dropped(DropReason),
    /// An address was asked for, and we have told it.
    Answered,
    /// An ICMP error about a tunnel packet of the director's, turned into one about the packet inside.
    Relayed,
    /// A fragment that waits for its first.
    Held,
}

/// A frame that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SentFrame {
    pub(super) port: PortId,
    pub(super) bytes: Vec<u8>,
}

impl Engine {
    /// A director without services. Its ports are the topology's interfaces.
    pub(super) fn new(topology: Topology, sysctls: Sysctls) -> Self {
        let helpers = Helpers::standard();
        let director = Director::new(&Settings {
            sysctls,
            helpers: helpers.ports(),
            seed: SEED,
            ..Settings::default()
        });
        let ids = topology.interfaces().iter().map(|i| i.port);
        let ports = ids.map(MemPort::new).collect();
        let topology = Arc::new(ArcSwap::from_pointee(topology));
        let shared = Shared {
            helpers,
            ..Shared::new(topology, FragMemory::new(FRAGMENTS, SEED))
        };
        let classifier = shared.classifier.clone();
        #[expect(
            clippy::expect_used,
            reason = "a director gives out as many workers as it was made for, one"
        )]
        let worker = director.worker().expect("a worker");
        Self {
            pipeline: Pipeline::new(worker, &shared, FIRST_ID),
            director,
            classifier,
            ports,
            now: Time::default(),
            burst: Burst::default(),
            outputs: Outputs::default(),
        }
    }

    pub(super) fn director(&self) -> &Arc<Director> {
        &self.director
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// The data plane's counters.
    pub(super) fn counts(&self) -> Counts {
        self.pipeline.counters().counts()
    }

    /// Sets the rules by which packets are marked.
    pub(super) fn set_marks(&mut self, rules: Vec<Rule>) {
        self.classifier.store(Arc::new(Classifier::new(rules)));
    }

    /// Sets the clock, which only goes forward, and does what is due meanwhile.
    ///
    /// A clock that jumps over years must not take as long. So seconds count one by one only in the first hour and in the
    /// last; between them it goes by hours, and not even that once there is no connection left.
    pub(super) fn advance(&mut self, to: Time) {
        let begin = self.now;
        while self.now < to {
            let left = to.since(self.now);
            let next = if left > HOUR && self.director.connection_count() == 0 {
                Time::from_millis(to.as_millis() - HOUR.as_millis() as u64)
            } else if left > HOUR && self.now.since(begin) >= HOUR {
                self.now + HOUR
            } else {
                to.min(Time::from_secs(self.now.as_millis() / 1000 + 1))
            };
            self.now = next;
            self.pipeline.worker().expire(next, EVERYTHING);
            if next.as_millis().is_multiple_of(1000) {
                self.director.tick(next, PAGES);
            }
        }
    }

    /// Lets the clock run on.
    pub(super) fn run_on(&mut self, by: Duration) {
        self.advance(self.now + by);
    }

    /// One frame arrives. Returns what became of it and what was sent because of it.
    pub(super) fn receive(
        &mut self,
        port: PortId,
        frame: &[u8],
        offload: Offload,
    ) -> (Fate, Vec<SentFrame>) {
        let before = self.counts();
        self.burst.clear();
        for (near, far) in &mut self.ports {
            if near.id() == port {
                far.feed(frame, offload);
                // A port in memory does not fail.
                let _ = near.receive(&mut self.burst);
            }
        }
        self.pipeline
            .process(self.now, &mut self.burst, &mut self.outputs);
        let mut sent = Vec::new();
        for (near, far) in &mut self.ports {
            let port = near.id();
            let report = near.transmit(&mut self.outputs.for_port(port, self.burst.frames()));
            self.pipeline.counters().transmitted(report);
            sent.extend(far.take_sent().into_iter().map(|frame| SentFrame {
                port,
                bytes: completed(frame),
            }));
        }
        (self.fate(&before), sent)
    }

    /// The packet of the last frame, if the director was asked about it.
    pub(super) fn last_segment(&self) -> Option<Segment> {
        self.pipeline
            .decisions()
            .last()
            .map(|(segment, _)| *segment)
    }

    /// What became of the only frame since `before`.
    fn fate(&self, before: &Counts) -> Fate {
        let after = self.counts();
        let passed = PassReason::ALL
            .iter()
            .find(|r| after.passed(**r) > before.passed(**r));
        let dropped = DropReason::ALL
            .iter()
            .find(|r| after.dropped(**r) > before.dropped(**r));
        let forwarded = self
            .pipeline
            .decisions()
            .find_map(|(_, verdict)| match verdict {
                Verdict::Forward(forward) => Some(*forward),
                _ => None,
            });
        match (passed, dropped, forwarded) {
            (Some(reason), ..) => Fate::Passed(*reason),
            (_, Some(reason), _) => Fate::Dropped(*reason),
            (.., Some(forward)) => Fate::Forwarded(forward),
            _ if after.arp_answered > before.arp_answered => Fate::Answered,
            _ if after.forwarded_out > before.forwarded_out => Fate::Relayed,
            _ => Fate::Held,
        }
    }
}

/// A frame as it is on the wire, where no card completes checksums.
fn completed(frame: MemFrame) -> Vec<u8> {
    let MemFrame { mut bytes, offload } = frame;
    if offload.needs_csum()
        && let Some(summed) = bytes.get_mut(offload.csum_start.into()..)
    {
        checksum::complete(summed, offload.csum_offset.into());
    }
    bytes
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forwarded(Forward { rewrite, .. }) => match rewrite {
                Rewrite::Route { next_hop } => write!(f, "routed to {next_hop}"),
                Rewrite::Nat { src, dst } => {
                    let [src, dst] = [src, dst].map(|e| e.map(|e| e.to_string()));
                    let or = |e: Option<String>| e.unwrap_or_else(|| "the same".to_owned());
                    write!(f, "translated, source {}, destination {}", or(src), or(dst))
                }
                Rewrite::Tunnel { remote, .. } => write!(f, "tunnelled to {remote}"),
            },
            Self::Passed(reason) => write!(f, "left to the host: {}", reason.name()),
            Self::Dropped(reason) => write!(f, "dropped: {}", reason.name()),
            Self::Answered => f.write_str("answered"),
            Self::Relayed => f.write_str("about a tunnel packet, relayed to the client"),
            Self::Held => f.write_str("waits for its first fragment"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adm::execute;
    use crate::replay::testing::NoNames;
    use lvs_fwd::route::{Interface, Mac, Route};

    /// A director with one interface on which everybody is, and one service with timeouts of a minute and a day.
    fn engine() -> Engine {
        let mut t = Topology::builder();
        t.interface(Interface {
            port: PortId(0),
            ifindex: 1,
            name: "x".to_owned(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            addrs: Vec::new(),
        });
        t.route(Route {
            dst: "10.0.0.0".parse().unwrap(),
            prefix_len: 8,
            metric: 0,
            ifindex: 1,
            gateway: None,
            prefsrc: None,
            mtu: None,
        });
        let server = "10.10.0.11".parse().unwrap();
        t.neighbour(1, server, Mac([2, 0, 0, 0, 0, 2]));
        let engine = Engine::new(t.build(), Sysctls::default());
        for line in [
            "-A -u 10.9.0.100:53 -p 100000",
            "-a -u 10.9.0.100:53 -r 10.10.0.11 -g",
            "--set 0 0 86400",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            execute::run(engine.director(), &words, &NoNames).unwrap();
        }
        engine
    }

    const FRAME: &str = "020000000001 020000000009 0800 \
                         4500001d0f844000401115cf0a0901080a090064 dae50035000941d6 78";

    #[test]
    fn years_pass_quickly_and_everything_in_its_time() {
        let mut engine = engine();
        let digits: String = FRAME.split_whitespace().collect();
        let frame = crate::replay::trace::unhex(&digits).unwrap();
        engine.advance(Time::from_millis(1500));
        let (fate, sent) = engine.receive(PortId(0), &frame, Offload::default());
        assert!(
            matches!(fate, Fate::Forwarded(_)) && sent.len() == 1,
            "{fate}"
        );
        let left = |e: &Engine| {
            (
                e.director().connection_count(),
                e.director().template_count(),
            )
        };
        engine.advance(Time::from_secs(86_400));
        assert_eq!(left(&engine), (1, 1));
        engine.advance(Time::from_secs(86_402));
        assert_eq!(left(&engine), (0, 1));
        engine.advance(Time::from_secs(200_000));
        assert_eq!(left(&engine), (0, 0));
        engine.receive(PortId(0), &frame, Offload::default());
        engine.advance(Time::from_secs(10_000_000_000));
        assert_eq!(left(&engine), (0, 0));
        assert_eq!(engine.now(), Time::from_secs(10_000_000_000));
        engine.advance(Time::from_secs(1));
        assert_eq!(engine.now(), Time::from_secs(10_000_000_000), "never back");
    }
}
