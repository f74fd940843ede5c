//! What a director says of a packet is what it then does, with every scheduler; and having been asked changes nothing.

use std::sync::Arc;
use std::time::Duration;

use lvs_core::director::{Chooser, Explanation, Lack, Opening, Outcome};
use lvs_core::service::Engine;
use lvs_core::state::State;
use lvs_core::{
    Chunk, ConfigError, ConnInfo, DestOptions, Director, DropReason, Endpoint, Expected, Family,
    Forward, Ip, Kind, LocalAddr, Method, Persistence, Protocol, Rewrite, Segment, ServiceKey,
    ServiceOptions, Settings, Sysctls, TcpFlags, Time, Verdict, Worker,
};
use lvs_sched::{Flags, NAMES};
use proptest::prelude::*;

const METHODS: [Method; 4] = [
    Method::Nat,
    Method::DirectRoute,
    Method::Tunnel,
    Method::FullNat,
];
const MARK: u32 = 7;
const ACK: TcpFlags = TcpFlags::ACK;
const FLAGS: [TcpFlags; 6] = [
    TcpFlags::SYN,
    TcpFlags::SYN,
    ACK,
    TcpFlags::SYN.with(ACK),
    TcpFlags::FIN.with(ACK),
    TcpFlags::RST,
];
const CHUNKS: [Chunk; 4] = [Chunk::Init, Chunk::CookieEcho, Chunk::Data, Chunk::Abort];

fn ip(last: u8) -> Ip {
    Ip::v4([10, 9, 0, last])
}

fn client(n: u8) -> Endpoint {
    // The port that is never scheduled is among them.
    let port = if n == 7 { 20 } else { 1000 + u16::from(n % 2) };
    Endpoint::new(Ip::v4([10, 9, 1, n / 2]), port)
}

fn server(service: usize, n: usize) -> Endpoint {
    let port = service_key(service).port();
    Endpoint::new(Ip::v4([10, 10, 0, n as u8]), port)
}

const SERVICES: usize = 9;

fn service_key(i: usize) -> ServiceKey {
    let at = |last, port| Endpoint::new(ip(last), port);
    match i {
        0 => ServiceKey::tcp(at(100, 80)),
        1 => ServiceKey::udp(at(100, 53)),
        2 => ServiceKey::udp(at(100, 54)),
        3 => ServiceKey::tcp(at(101, 80)),
        4 => ServiceKey::tcp(at(101, 0)),
        5 => ServiceKey::tcp(at(102, 21)),
        6 => ServiceKey::udp(at(103, 5060)),
        7 => ServiceKey::new(Protocol::SCTP, at(100, 80)),
        _ => ServiceKey::Mark {
            family: Family::V4,
            mark: MARK,
        },
    }
}

/// What a service is like: bit 0 says whether it is persistent, where it need not be.
fn service_options(i: usize, bits: u8) -> ServiceOptions {
    let persistence = |engine| Persistence {
        timeout: Duration::from_secs(20),
        prefix: 31,
        engine,
    };
    let local = LocalAddr {
        ip: Ip::v4([10, 10, 9, 1]),
        first_port: 2000,
        last_port: 2003,
    };
    ServiceOptions {
        persistence: match i {
            6 => Some(persistence(Some(Engine::Sip))),
            3 => Some(persistence(None)),
            _ => (bits & 1 != 0).then(|| persistence(None)),
        },
        one_packet: i == 2,
        // FullNAT must remember its connections.
        local_addrs: if i == 2 { [].into() } else { [local].into() },
        ..ServiceOptions::default()
    }
}

#[derive(Clone, Debug)]
struct Packet {
    client: u8,
    service: usize,
    /// From this server, if it is an answer (or something unasked).
    server: Option<usize>,
    /// To a port that the service has not itself.
    other_port: bool,
    what: u8,
    tag: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Op {
    Packet(Packet),
    /// The client's last connection answers from the server's side.
    Reply(usize, u8),
    Announce(u8, bool),
    Add(usize, usize, u32, u32, usize),
    Edit(usize, usize, u32, u32, usize),
    Remove(usize, usize),
    Renew(usize, u8),
    Settings(u16),
    Idle(u64),
    Sweep,
}

fn packet() -> impl Strategy<Value = Packet> {
    let kind = prop_oneof![
        10 => Just(Kind::Packet),
        1 => Just(Kind::LaterFragment),
        1 => Just(Kind::IcmpError),
    ];
    (
        0..8u8,
        prop_oneof![2 => Just(0), 1 => Just(3), 2 => Just(5), 4 => 0..SERVICES],
        prop::option::weighted(0.1, 0..4usize),
        prop::bool::weighted(0.2),
        any::<u8>(),
        0..3u64,
        kind,
    )
        .prop_map(
            |(client, service, server, other_port, what, tag, kind)| Packet {
                client,
                service,
                server,
                other_port,
                what,
                tag,
                kind,
            },
        )
}

fn op() -> impl Strategy<Value = Op> {
    let weight = prop_oneof![1 => Just(0), 4 => 1..5u32];
    let upper = prop_oneof![3 => Just(0), 1 => 1..4u32];
    let dest = (0..SERVICES, 0..4usize, weight, upper, 0..METHODS.len());
    let time = prop_oneof![0..100u64, 1_000..25_000u64, 100_000..1_000_000u64];
    prop_oneof![
        30 => packet().prop_map(Op::Packet),
        8 => (any::<usize>(), any::<u8>()).prop_map(|(i, what)| Op::Reply(i, what)),
        3 => (0..8u8, any::<bool>()).prop_map(|(c, any)| Op::Announce(c, any)),
        2 => dest.clone().prop_map(|(s, d, w, u, m)| Op::Add(s, d, w, u, m)),
        3 => dest.prop_map(|(s, d, w, u, m)| Op::Edit(s, d, w, u, m)),
        2 => (0..SERVICES, 0..4usize).prop_map(|(s, d)| Op::Remove(s, d)),
        1 => (0..SERVICES, any::<u8>()).prop_map(|(s, bits)| Op::Renew(s, bits)),
        1 => any::<u16>().prop_map(Op::Settings),
        4 => time.prop_map(Op::Idle),
        2 => Just(Op::Sweep),
    ]
}

fn sysctls(bits: u16) -> Sysctls {
    let bit = |n: u16| bits >> n & 1 != 0;
    Sysctls {
        expire_nodest_conn: bit(0),
        expire_quiescent_template: bit(1),
        sloppy_tcp: bit(2),
        sloppy_sctp: bit(3),
        schedule_icmp: bit(4),
        cache_bypass: bit(5),
        nat_icmp_send: bit(6),
        reopen_removed: bit(7),
        drop_packet: if bit(8) { 3 } else { 0 },
        am_droprate: 3,
        conn_reuse_mode: u32::from(bits >> 9 & 3),
        lblc_expiration: Duration::from_secs(if bit(11) { 30 } else { 86_400 }),
        lblcr_expiration: Duration::from_secs(if bit(11) { 3 } else { 86_400 }),
        ..Sysctls::default()
    }
}

/// A director with its worker and its clock.
struct Lab {
    director: Arc<Director>,
    worker: Worker,
    now: Time,
    scheduler: String,
    flags: Flags,
}

impl Lab {
    fn new(scheduler: &str, flags: Flags, many: usize, limit: usize) -> Self {
        let director = Director::new(&Settings {
            max_connections: limit,
            helpers: vec![(Protocol::TCP, 21)],
            seed: [1, 2, 3, 4],
            ..Settings::default()
        });
        let worker = director.worker().unwrap();
        let mut lab = Self {
            director,
            worker,
            now: Time::from_secs(1000),
            scheduler: scheduler.to_owned(),
            flags,
        };
        (0..SERVICES).for_each(|s| lab.run(&Op::Renew(s, s as u8)));
        for s in 0..SERVICES {
            let count = if s == 0 { many } else { 2 };
            (0..count).for_each(|d| lab.run(&Op::Add(s, d, 1 + d as u32 % 3, 0, (s + d) % 4)));
        }
        lab
    }

    fn edit(
        &self,
        change: impl FnOnce(&mut lvs_core::Draft<'_>) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        self.director.edit(change)
    }

    /// Does what is no packet.
    fn run(&mut self, op: &Op) {
        let options = |weight, upper, method: usize, s| DestOptions {
            upper,
            ..DestOptions::new(METHODS[if s == 2 { method % 3 } else { method }], weight)
        };
        let _ = match *op {
            Op::Packet(_) | Op::Reply(..) => unreachable!("these are"),
            Op::Announce(c, any_port) => {
                let control = segment(Protocol::TCP, client(c), Endpoint::new(ip(102), 21));
                self.worker.assist(self.now, &control, |a| {
                    let port = if any_port { 0 } else { 1001 };
                    a.expected.push(Expected {
                        client: Endpoint::new(a.client.ip, port),
                        virt: Endpoint::new(a.virt.ip, 3000),
                        dest: Endpoint::new(a.dest.ip, 3000),
                    });
                });
                Ok(())
            }
            Op::Add(s, d, w, u, m) => self
                .edit(|draft| draft.add_dest(service_key(s), server(s, d), &options(w, u, m, s))),
            Op::Edit(s, d, w, u, m) => self
                .edit(|draft| draft.edit_dest(service_key(s), server(s, d), &options(w, u, m, s))),
            Op::Remove(s, d) => self.edit(|draft| draft.remove_dest(service_key(s), server(s, d))),
            Op::Renew(s, bits) => {
                let scheduler = lvs_sched::build_with(&self.scheduler, self.flags).unwrap();
                self.edit(|draft| {
                    let _ = draft.remove_service(service_key(s));
                    match bits >> 1 & 7 == 7 {
                        true => Ok(()),
                        false => {
                            draft.add_service(service_key(s), scheduler, service_options(s, bits))
                        }
                    }
                })
            }
            Op::Settings(bits) => self.edit(|draft| {
                draft.set_sysctls(sysctls(bits));
                Ok(())
            }),
            Op::Idle(ms) => {
                self.now = self.now + Duration::from_millis(ms);
                Ok(())
            }
            Op::Sweep => {
                while !self.worker.expire(self.now, 1000) {}
                self.director.tick(self.now, u64::MAX);
                Ok(())
            }
        };
    }

    fn see(&mut self, s: &Segment) -> Verdict {
        let mut verdicts = Vec::new();
        self.worker.decide(self.now, &[*s], &mut verdicts);
        verdicts[0]
    }

    fn connections(&self) -> Vec<ConnInfo> {
        let mut all = Vec::new();
        self.director.connections(self.now, |c| all.push(c));
        all.sort_by_key(|c| (c.client, c.virt, c.dest, c.expires_in, c.state.number()));
        all
    }

    fn opened(&self) -> u64 {
        self.director.stats().totals().conns
    }
}

fn segment(protocol: Protocol, src: Endpoint, dst: Endpoint) -> Segment {
    Segment {
        len: 100,
        ..Segment::new(protocol, src, dst)
    }
}

/// The packet of this step; `None` if there is no connection to answer.
fn packet_of(op: &Op, lab: &Lab) -> Option<Segment> {
    match op {
        Op::Packet(p) => {
            let key = service_key(p.service);
            let protocol = key.protocol().unwrap_or(Protocol::TCP);
            let mut virt = key.addr().unwrap_or_else(|| Endpoint::new(ip(104), 443));
            if p.other_port {
                virt.port = 3000;
            }
            let (src, dst) = match p.server {
                Some(d) => (server(p.service, d), client(p.client)),
                None => (client(p.client), virt),
            };
            let marked = key.addr().is_none() || p.what & 0x70 == 0x70;
            Some(Segment {
                flags: FLAGS[usize::from(p.what) % FLAGS.len()],
                chunk: CHUNKS[usize::from(p.what) % CHUNKS.len()],
                kind: p.kind,
                mark: if marked { MARK } else { 0 },
                tag: if protocol == Protocol::UDP { p.tag } else { 0 },
                ..segment(protocol, src, dst)
            })
        }
        Op::Reply(i, what) => {
            let connections = lab.connections();
            let all: Vec<_> = connections.iter().filter(|c| !c.is_template()).collect();
            let c = all.get(i % all.len().max(1))?;
            let (src, dst) = match c.method.translates() {
                true => (c.dest, c.local.unwrap_or(c.client)),
                false => (c.virt, c.client),
            };
            Some(Segment {
                flags: FLAGS[usize::from(*what) % FLAGS.len()],
                chunk: CHUNKS[usize::from(*what) % CHUNKS.len()],
                ..segment(c.protocol, src, dst)
            })
        }
        _ => None,
    }
}

/// Where a packet to a server goes, as far as the verdict says.
fn server_of(forward: &Forward) -> Option<(Ip, Option<u16>)> {
    match forward.rewrite {
        Rewrite::Nat { dst: Some(d), .. } => Some((d.ip, Some(d.port))),
        Rewrite::Route { next_hop } => Some((next_hop, None)),
        Rewrite::Tunnel { remote, .. } => Some((remote, None)),
        _ => None,
    }
}

/// Whether this is what was foretold.
fn fits(told: &Explanation, verdict: &Verdict, s: &Segment, opened: u64) -> Result<(), String> {
    let ok = match (&told.outcome, verdict) {
        (Outcome::Follows, Verdict::Forward(_)) => opened == 0 && told.connection.is_some(),
        (Outcome::Dropped(a), Verdict::Drop(b)) => a == b,
        (Outcome::Passed(a), Verdict::Pass(b)) => a == b,
        (Outcome::Opens(o), Verdict::Drop(DropReason::TableFull)) => o.full,
        (Outcome::Opens(o), Verdict::Drop(DropReason::NoLocalPort)) => {
            o.full || o.by == Chooser::Lot
        }
        // A direct-routing reply is nobody's to send.
        (Outcome::Follows, Verdict::Pass(_)) => {
            opened == 0
                && told
                    .connection
                    .as_ref()
                    .is_some_and(|k| !k.conn.method.translates())
        }
        (Outcome::Opens(o), Verdict::Forward(f)) => opens(told, o, f, s, opened),
        _ => false,
    };
    let about = told.lack.is_none()
        || matches!(
            told.outcome,
            Outcome::Dropped(DropReason::NoDestination) | Outcome::Passed(_)
        );
    match ok && about {
        true => Ok(()),
        false => Err(format!("{s:?}\ntold {told:#?}\nbut {verdict:?}")),
    }
}

fn opens(told: &Explanation, o: &Opening, f: &Forward, s: &Segment, opened: u64) -> bool {
    let among = |ip: Ip| {
        let mut eligible = told.servers.iter().filter(|s| s.is_eligible());
        eligible.any(|s| s.addr.ip == ip)
    };
    match &o.by {
        Chooser::Bypass => opened == 0 && server_of(f) == Some((s.dst.ip, None)),
        Chooser::Server => opened == 1 && server_of(f).is_none() && o.dest == s.src,
        Chooser::Lot => opened == 1 && server_of(f).is_some_and(|(ip, _)| among(ip)),
        Chooser::Template(t) => {
            let is_template = matches!(t.state, State::Template | State::Assured);
            is_template && t.dest.ip == o.dest.ip && leads(o, f) && opened == 1
        }
        Chooser::Scheduler => leads(o, f) && opened == 1,
        _ => false,
    }
}

fn leads(o: &Opening, f: &Forward) -> bool {
    server_of(f).is_some_and(|(ip, port)| ip == o.dest.ip && port.is_none_or(|p| p == o.dest.port))
}

fn walk(
    scheduler: &str,
    flags: Flags,
    many: usize,
    limit: usize,
    ops: &[Op],
) -> Result<(), TestCaseError> {
    let mut asked = Lab::new(scheduler, flags, many, limit);
    let mut unasked = Lab::new(scheduler, flags, many, limit);
    for op in ops {
        match packet_of(op, &asked) {
            Some(s) => {
                let curious = Segment::opening(s.protocol, client(1), s.dst);
                asked.director.explain(asked.now, &curious);
                let told = asked.director.explain(asked.now, &s);
                let before = asked.opened();
                let verdict = asked.see(&s);
                let opened = asked.opened() - before;
                fits(&told, &verdict, &s, opened).map_err(TestCaseError::fail)?;
                prop_assert_eq!(verdict, unasked.see(&s), "asking about {:?} changed it", s);
            }
            None if matches!(op, Op::Packet(_) | Op::Reply(..)) => {}
            None => {
                asked.run(op);
                unasked.run(op);
            }
        }
    }
    prop_assert_eq!(asked.connections(), unasked.connections());
    prop_assert_eq!(
        format!("{:?}", asked.director.stats().totals()),
        format!("{:?}", unasked.director.stats().totals())
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_told_is_done(
        ops in prop::collection::vec(op(), 1..250),
        flags in 0..4u8,
        many in prop_oneof![Just(2usize), Just(40)],
        limit in prop_oneof![Just(16usize), Just(10_000)],
    ) {
        for known in NAMES {
            walk(known.name, Flags::from_bits(flags), many, limit, &ops)
                .map_err(|e| TestCaseError::fail(format!("{}: {e}", known.name)))?;
        }
    }
}

#[test]
fn what_is_lacking_is_said() {
    let mut lab = Lab::new("sh", Flags::NONE, 2, 1000);
    let syn = Segment::opening(Protocol::TCP, client(1), service_key(0).addr().unwrap());
    let lack = |lab: &Lab| lab.director.explain(lab.now, &syn).lack;
    assert_eq!(lack(&lab), None);
    for d in 0..2 {
        lab.run(&Op::Edit(0, d, 0, 0, 0));
    }
    assert_eq!(lack(&lab), Some(Lack::Quiesced));
    let closed = [0, 1].map(|d| {
        lab.run(&Op::Edit(0, d, 1, 0, 0));
        let told = lack(&lab);
        lab.run(&Op::Edit(0, d, 0, 0, 0));
        told
    });
    assert!(
        closed.contains(&Some(Lack::Scheduler)),
        "the other's bucket: {closed:?}"
    );
    for d in 0..2 {
        lab.run(&Op::Remove(0, d));
    }
    assert_eq!(lack(&lab), Some(Lack::NoServers));
}
