//! Random walks beside a model that has no shards, no index, no wheel and no pools: only a list of flows
//! and the clock. Every verdict, count and listing must be the same.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::dest::DestLive;
use crate::state::{State, Timeouts};
use crate::steer::{client_shard, local_port_shard};

const WORKERS: usize = 2;
const SERVERS: [&str; 3] = [R1, R2, "10.10.0.13:0"];
/// One has an address that is also a virtual one, one the port that is never scheduled.
const CLIENTS: [&str; 6] = [
    "10.9.1.2:40000",
    "10.9.1.2:40001",
    "10.9.1.3:40000",
    "10.9.0.101:5555",
    "10.9.1.4:20",
    "10.9.1.5:1024",
];
const METHODS: [Method; 4] = [
    Method::Nat,
    Method::DirectRoute,
    Method::Tunnel,
    Method::FullNat,
];

fn service(i: usize) -> ServiceKey {
    match i {
        0 => ServiceKey::tcp(ep("10.9.0.100:80")),
        1 => ServiceKey::tcp(ep("10.9.0.101:80")),
        _ => ServiceKey::udp(ep("10.9.0.100:53")),
    }
}

/// Few enough ports that they run out: one or two for a shard.
fn locals(i: usize) -> Vec<LocalAddr> {
    match i {
        0 => vec![ports(LIP, 1024, 1031)],
        1 => vec![ports("10.10.0.3", 2000, 2015), ports(LIP, 1024, 1031)],
        _ => vec![ports("10.10.0.3", 2000, 2007)],
    }
}

#[derive(Clone, Debug)]
struct Packet {
    client: usize,
    service: usize,
    /// Whether it is a reply; of this server where there is no connection.
    reply: Option<usize>,
    flags: TcpFlags,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Op {
    Burst(usize, Vec<Packet>),
    Idle(u64),
    Sweep,
    AddService(usize, usize),
    RemoveService(usize),
    SetLocals(usize, usize),
    AddDest(usize, usize, usize, u32),
    EditDest(usize, usize, usize, u32),
    RemoveDest(usize, usize),
}

fn packet() -> impl Strategy<Value = Packet> {
    let flags = prop_oneof![
        5 => Just(SYN),
        1 => Just(SYN_ACK),
        4 => Just(ACK),
        3 => Just(FIN),
        3 => Just(RST),
        1 => Just(NONE),
        1 => Just(SYN.with(RST)),
    ];
    let kind = prop_oneof![
        8 => Just(Kind::Packet),
        1 => Just(Kind::LaterFragment),
        1 => Just(Kind::IcmpError),
    ];
    let reply = prop::option::of(0..SERVERS.len());
    (0..CLIENTS.len(), 0..3usize, reply, flags, kind).prop_map(
        |(client, service, reply, flags, kind)| Packet {
            client,
            service,
            reply,
            flags,
            kind,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let dest = (0..3usize, 0..SERVERS.len(), 0..METHODS.len(), 0..3u32);
    let time = prop_oneof![0..200u64, 1_000..70_000u64, 100_000..1_000_000u64];
    prop_oneof![
        30 => (0..WORKERS, prop::collection::vec(packet(), 1..6)).prop_map(|(w, p)| Op::Burst(w, p)),
        6 => time.prop_map(Op::Idle),
        4 => Just(Op::Sweep),
        2 => (0..3usize, 0..3usize).prop_map(|(s, l)| Op::AddService(s, l)),
        1 => (0..3usize).prop_map(Op::RemoveService),
        1 => (0..3usize, 0..3usize).prop_map(|(s, l)| Op::SetLocals(s, l)),
        5 => dest.clone().prop_map(|(s, d, m, w)| Op::AddDest(s, d, m, w)),
        2 => dest.prop_map(|(s, d, m, w)| Op::EditDest(s, d, m, w)),
        2 => (0..3usize, 0..SERVERS.len()).prop_map(|(s, d)| Op::RemoveDest(s, d)),
    ]
}

#[derive(Clone, Debug)]
struct Flow {
    service: usize,
    server: usize,
    client: Endpoint,
    virt: Endpoint,
    dest: Endpoint,
    /// What the server sees as its client.
    local: Endpoint,
    method: Method,
    state: State,
    in_only: bool,
    deadline: Time,
}

impl Flow {
    fn protocol(&self) -> Protocol {
        service(self.service).protocol().unwrap()
    }

    fn reply(&self) -> (Endpoint, Endpoint) {
        match self.method.translates() {
            true => (self.dest, self.local),
            false => (self.virt, self.client),
        }
    }

    fn direction_of(&self, s: &Segment) -> Option<Direction> {
        if s.protocol != self.protocol() {
            None
        } else if (s.src, s.dst) == (self.client, self.virt) {
            Some(Direction::In)
        } else {
            ((s.src, s.dst) == self.reply()).then_some(Direction::Out)
        }
    }

    fn way(&self, direction: Direction) -> Verdict {
        let nat = |src, dst| forward(direction, Rewrite::Nat { src, dst });
        match (direction, self.method) {
            (Direction::In, Method::Nat) => nat(None, Some(self.dest)),
            (Direction::In, Method::FullNat) => nat(Some(self.local), Some(self.dest)),
            (Direction::In, Method::DirectRoute) => {
                let next_hop = self.dest.ip;
                forward(direction, Rewrite::Route { next_hop })
            }
            (Direction::In, Method::Bypass) => unreachable!("no server has it"),
            (Direction::In, Method::Tunnel) => {
                let remote = self.dest.ip;
                forward(
                    direction,
                    Rewrite::Tunnel {
                        remote,
                        encapsulation: Encapsulation::Ipip,
                    },
                )
            }
            (Direction::Out, Method::Nat) => nat(Some(self.virt), None),
            (Direction::Out, Method::FullNat) => nat(Some(self.virt), Some(self.client)),
            (Direction::Out, _) => NOT_OURS,
        }
    }

    fn restart(&mut self, now: Time) {
        self.deadline = now + Timeouts::default().of(self.state);
    }
}

#[derive(Clone, Debug)]
struct ModelService {
    locals: usize,
    /// Server, method, weight; newest first.
    dests: Vec<(usize, Method, u32)>,
}

#[derive(Default)]
struct Model {
    reopen_removed: bool,
    services: BTreeMap<usize, ModelService>,
    flows: Vec<Flow>,
}

impl Model {
    fn is_available(&self, f: &Flow) -> bool {
        let s = self.services.get(&f.service);
        s.is_some_and(|s| s.dests.iter().any(|d| d.0 == f.server))
    }

    /// Active and inactive connections of a server of a service.
    fn counts(&self, service: usize, server: usize) -> (u64, u64) {
        let mine = |f: &&Flow| (f.service, f.server) == (service, server);
        let (active, inactive): (Vec<_>, Vec<_>) = self
            .flows
            .iter()
            .filter(mine)
            .partition(|f| f.state.is_active());
        (active.len() as u64, inactive.len() as u64)
    }

    fn service_at(&self, s: &Segment) -> Option<usize> {
        let key = ServiceKey::new(s.protocol, s.dst);
        self.services.keys().copied().find(|&i| service(i) == key)
    }

    /// Checks a verdict and does to the flows what the packet does.
    fn see(
        &mut self,
        now: Time,
        shards: u32,
        s: &Segment,
        got: Verdict,
    ) -> Result<(), TestCaseError> {
        if self.services.is_empty() {
            prop_assert_eq!(got, NOT_OURS);
            return Ok(());
        }
        let is_syn = s.flags.has(SYN) && !s.flags.has(RST);
        let mut flows = self.flows.iter().enumerate();
        let mut hit = flows.find_map(|(i, f)| Some((i, f.direction_of(s)?)));
        if let Some((i, _)) = hit
            && self.flows[i].deadline <= now
        {
            self.flows.remove(i);
            hit = None;
        }
        let here = self.service_at(s);
        if let Some((i, direction)) = hit {
            let f = &self.flows[i];
            let over = f.state.is_ended() || self.reopen_removed && !self.is_available(f);
            let anew = over && is_syn && direction == Direction::In && s.kind == Kind::Packet;
            match here {
                Some(here) if anew => return self.schedule(now, shards, here, Some(i), s, got),
                None if anew => {
                    self.flows.remove(i);
                    prop_assert_eq!(got, NOT_OURS);
                }
                _ => self.follow(now, i, direction, s, got)?,
            }
            return Ok(());
        }
        let Some(here) = here else {
            prop_assert_eq!(got, NOT_OURS);
            return Ok(());
        };
        let expected = match s.kind {
            Kind::LaterFragment => Verdict::Drop(DropReason::FragmentUnknown),
            Kind::IcmpError => Verdict::Pass(PassReason::OtherProtocol),
            Kind::Packet if s.protocol == Protocol::TCP && !is_syn => NO_CONNECTION,
            Kind::Packet if s.src.port == 20 => NO_CONNECTION,
            Kind::Packet => return self.schedule(now, shards, here, None, s, got),
        };
        prop_assert_eq!(got, expected);
        Ok(())
    }

    fn follow(
        &mut self,
        now: Time,
        i: usize,
        direction: Direction,
        s: &Segment,
        got: Verdict,
    ) -> Result<(), TestCaseError> {
        let is_error = s.kind == Kind::IcmpError;
        if direction == Direction::In && !is_error && !self.is_available(&self.flows[i]) {
            prop_assert_eq!(got, Verdict::Drop(DropReason::DestinationRemoved));
            return Ok(());
        }
        let f = &mut self.flows[i];
        prop_assert_eq!(got, f.way(direction));
        match s.kind {
            Kind::Packet => {
                f.in_only &= direction == Direction::In;
                f.state = f.state.after(s, direction, f.in_only, false);
                f.restart(now);
            }
            Kind::LaterFragment => f.restart(now),
            Kind::IcmpError => {}
        }
        Ok(())
    }

    fn schedule(
        &mut self,
        now: Time,
        shards: u32,
        here: usize,
        old: Option<usize>,
        s: &Segment,
        got: Verdict,
    ) -> Result<(), TestCaseError> {
        let load = |d: &&(usize, Method, u32)| {
            let (active, inactive) = self.counts(here, d.0);
            256 * active + inactive
        };
        let at = self.services[&here].clone();
        let picked = at
            .dests
            .iter()
            .filter(|d| d.2 > 0)
            .min_by_key(load)
            .copied();
        if let Some(old) = old {
            self.flows.remove(old);
        }
        let Some((server, method, _)) = picked else {
            prop_assert_eq!(got, Verdict::Drop(DropReason::NoDestination));
            return Ok(());
        };
        let mut dest = ep(SERVERS[server]);
        if dest.port == 0 {
            dest.port = s.dst.port;
        }
        let local = match method {
            Method::FullNat => match self.local(shards, &at, dest, s, got)? {
                Some(local) => local,
                None => return Ok(()),
            },
            _ => s.src,
        };
        let in_only = !method.translates();
        let state = State::initial(s.protocol).after(s, Direction::In, in_only, false);
        let mut flow = Flow {
            service: here,
            server,
            client: s.src,
            virt: s.dst,
            dest,
            local,
            method,
            state,
            in_only,
            deadline: now,
        };
        flow.restart(now);
        prop_assert_eq!(got, flow.way(Direction::In));
        // What the server cannot tell from it is over.
        let reply = (flow.protocol(), flow.reply());
        self.flows.retain(|f| (f.protocol(), f.reply()) != reply);
        self.flows.push(flow);
        Ok(())
    }

    /// The local endpoint a verdict gives; `None` if rightly there is none.
    fn local(
        &mut self,
        shards: u32,
        at: &ModelService,
        dest: Endpoint,
        s: &Segment,
        got: Verdict,
    ) -> Result<Option<Endpoint>, TestCaseError> {
        let shard = client_shard(s.src.ip, s.src.port, shards);
        let addrs = locals(at.locals);
        let all = addrs
            .iter()
            .flat_map(|l| (l.first_port..=l.last_port).map(|p| Endpoint::new(l.ip, p)));
        let mine: Vec<_> = all
            .filter(|e| local_port_shard(e.port, shards) == shard)
            .collect();
        let user_of = |e: &Endpoint| {
            let uses = |f: &Flow| {
                (f.method, f.protocol(), f.dest, f.local) == (Method::FullNat, s.protocol, dest, *e)
            };
            self.flows.iter().position(uses)
        };
        let free: Vec<_> = mine.iter().filter(|e| user_of(e).is_none()).collect();
        let closed = |e: &Endpoint| user_of(e).filter(|&i| self.flows[i].state.is_ended());
        let Verdict::Forward(Forward {
            rewrite: Rewrite::Nat {
                src: Some(local), ..
            },
            ..
        }) = got
        else {
            prop_assert_eq!(got, Verdict::Drop(DropReason::NoLocalPort));
            prop_assert!(free.is_empty() && !mine.iter().any(|e| closed(e).is_some()));
            return Ok(None);
        };
        if free.is_empty() {
            prop_assert!(mine.contains(&local));
            let heir_of = closed(&local);
            prop_assert!(heir_of.is_some(), "{} is in use", local);
            self.flows.remove(heir_of.unwrap_or_default());
        } else {
            prop_assert!(free.contains(&&local), "{} is not free", local);
        }
        Ok(Some(local))
    }
}

/// Director and model side by side.
struct Walk {
    lab: Lab,
    model: Model,
    lives: BTreeMap<(usize, usize), Arc<DestLive>>,
}

impl Walk {
    fn new(reopen_removed: bool) -> Self {
        let lab = Lab::with(&Settings {
            workers: WORKERS,
            sysctls: Sysctls {
                reopen_removed,
                ..Sysctls::default()
            },
            ..Settings::default()
        });
        Self {
            lab,
            model: Model {
                reopen_removed,
                ..Model::default()
            },
            lives: BTreeMap::new(),
        }
    }

    fn segment(&self, p: &Packet) -> Segment {
        let ServiceKey::Addr { protocol, addr } = service(p.service) else {
            unreachable!("all are of an address")
        };
        let client = ep(CLIENTS[p.client]);
        let mine = |f: &&Flow| (f.service, f.client) == (p.service, client);
        let flow = self.model.flows.iter().find(mine);
        let (src, dst) = match (p.reply, flow) {
            (None, _) => (client, addr),
            (Some(_), Some(f)) => f.reply(),
            (Some(r), None) => (ep(SERVERS[r]), client),
        };
        let flags = match p.kind {
            Kind::Packet if protocol == Protocol::TCP => p.flags,
            _ => NONE,
        };
        Segment {
            src,
            dst,
            len: 100,
            protocol,
            flags,
            kind: p.kind,
            chunk: Chunk::Data,
            mark: 0,
            tag: 0,
        }
    }

    /// Whether the packet's shard can be told from its addresses. The others are decided after the rest of
    /// their burst, so they are sent alone here.
    fn is_plain(&self, s: &Segment) -> bool {
        let virtuals = self
            .model
            .services
            .keys()
            .map(|&i| service(i).addr().unwrap().ip);
        let is_virtual = virtuals.into_iter().any(|ip| ip == s.dst.ip);
        let mut addrs = self.model.services.values().flat_map(|m| locals(m.locals));
        let is_local = addrs.any(|l| l.ip == s.dst.ip);
        match s.dst.port {
            80 | 53 => is_virtual,
            1024..=1031 | 2000..=2015 if s.dst.ip != ep(CLIENTS[5]).ip => is_local,
            port => port != 5555,
        }
    }

    fn burst(&mut self, worker: usize, packets: &[Packet]) -> Result<(), TestCaseError> {
        let segments = packets.iter().map(|p| self.segment(p));
        let all: Vec<_> = segments.map(|s| (s, self.is_plain(&s))).collect();
        for run in all.chunk_by(|a, b| a.1 && b.1) {
            let run: Vec<_> = run.iter().map(|(s, _)| *s).collect();
            let mut verdicts = Vec::new();
            self.lab.workers[worker].decide(self.lab.now, &run, &mut verdicts);
            prop_assert_eq!(verdicts.len(), run.len());
            let shards = self.lab.director.shards() as u32;
            for (s, v) in run.iter().zip(verdicts) {
                self.model.see(self.lab.now, shards, s, v)?;
            }
        }
        Ok(())
    }

    /// Expiry is exact to 64 ms: at a moment when none hangs in the balance, all that is over is gone.
    fn sweep(&mut self) {
        let tick = Duration::from_millis(64);
        let open = |f: &Flow, now| f.deadline <= now && f.deadline + tick > now;
        while self.model.flows.iter().any(|f| open(f, self.lab.now)) {
            self.lab.idle(64);
        }
        self.lab.wait(0);
        self.model.flows.retain(|f| f.deadline > self.lab.now);
    }

    /// A change, to the model only if the director agreed.
    fn edit(&mut self, op: &Op) {
        let least = || Box::new(Least::default());
        let dest = |r: usize| ep(SERVERS[r]);
        let result: Result<(), ConfigError> = self.lab.director.edit(|d| match *op {
            Op::AddService(s, l) => d.add_service(
                service(s),
                least(),
                ServiceOptions::with_local_addrs(&locals(l)),
            ),
            Op::RemoveService(s) => d.remove_service(service(s)),
            Op::SetLocals(s, l) => {
                d.set_options(service(s), ServiceOptions::with_local_addrs(&locals(l)))
            }
            Op::AddDest(s, r, m, w) => {
                d.add_dest(service(s), dest(r), &DestOptions::new(METHODS[m], w))
            }
            Op::EditDest(s, r, m, w) => {
                d.edit_dest(service(s), dest(r), &DestOptions::new(METHODS[m], w))
            }
            Op::RemoveDest(s, r) => d.remove_dest(service(s), dest(r)),
            Op::Burst(..) | Op::Idle(_) | Op::Sweep => Ok(()),
        });
        if result.is_err() {
            return;
        }
        let services = &mut self.model.services;
        match *op {
            Op::AddService(s, locals) => {
                let dests = Vec::new();
                services.insert(s, ModelService { locals, dests });
            }
            Op::RemoveService(s) => {
                services.remove(&s);
            }
            Op::SetLocals(s, l) => services.entry(s).or_insert_with(none).locals = l,
            Op::AddDest(s, r, m, w) => {
                let at = services.entry(s).or_insert_with(none);
                at.dests.insert(0, (r, METHODS[m], w));
            }
            Op::EditDest(s, r, m, w) => {
                let at = services.entry(s).or_insert_with(none);
                at.dests
                    .iter_mut()
                    .filter(|d| d.0 == r)
                    .for_each(|d| *d = (r, METHODS[m], w));
            }
            Op::RemoveDest(s, r) => {
                services
                    .entry(s)
                    .or_insert_with(none)
                    .dests
                    .retain(|d| d.0 != r);
            }
            Op::Burst(..) | Op::Idle(_) | Op::Sweep => {}
        }
        for s in self.lab.director.config().services() {
            let i = (0..3).find(|&i| service(i) == s.key()).unwrap();
            for d in s.dests() {
                let r = SERVERS.iter().position(|r| ep(r) == d.addr()).unwrap();
                let live = self.lives.entry((i, r)).or_insert_with(|| d.live().clone());
                assert!(Arc::ptr_eq(live, d.live()), "there are two of one server");
            }
        }
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Burst(worker, packets) => self.burst(*worker, packets)?,
            Op::Idle(ms) => self.lab.idle(*ms),
            Op::Sweep => self.sweep(),
            edit => self.edit(edit),
        }
        self.compare()
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let flows = &self.model.flows;
        prop_assert_eq!(self.lab.director.connection_count(), flows.len());
        let mut sum = 0;
        for (&(s, r), live) in &self.lives {
            prop_assert_eq!((live.active(), live.inactive()), self.model.counts(s, r));
            sum += live.active() + live.inactive();
        }
        prop_assert_eq!(sum as usize, flows.len());
        let order = |c: &ConnInfo| (c.protocol, c.client, c.virt);
        let mut listed = self.lab.connections();
        listed.sort_by_key(order);
        let now = self.lab.now;
        let mut expected: Vec<_> = flows.iter().filter(|f| f.deadline > now).collect();
        expected.sort_by_key(|f| (f.protocol(), f.client, f.virt));
        prop_assert_eq!(listed.len(), expected.len());
        for (c, f) in listed.iter().zip(expected) {
            prop_assert_eq!(order(c), (f.protocol(), f.client, f.virt));
            prop_assert_eq!((c.dest, c.method, c.state), (f.dest, f.method, f.state));
            let local = (f.method == Method::FullNat).then_some(f.local);
            prop_assert_eq!((c.local, c.expires_in), (local, f.deadline.since(now)));
        }
        Ok(())
    }
}

fn none() -> ModelService {
    unreachable!("the director knows a service that the model does not")
}

proptest! {
    #[test]
    fn director_and_model_agree(
        reopen_removed in any::<bool>(),
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut walk = Walk::new(reopen_removed);
        for s in 0..3 {
            walk.step(&Op::AddService(s, s))?;
            for r in 0..SERVERS.len() {
                walk.step(&Op::AddDest(s, r, (s + r) % METHODS.len(), 1))?;
            }
        }
        for op in ops {
            walk.step(&op)?;
        }
        walk.lab.idle(86_400_000);
        walk.sweep();
        prop_assert_eq!(walk.model.flows.len(), 0);
        walk.compare()?;
    }
}
