//! The spine: frames in, frames out.
//!
//! ```text
//! frame ─parse→ Segment ─Director→ Verdict ─rewrite→ Output
//!    └─ARP, NDP→ answer    └─refused→ ICMP error, RST
//! ```
//!
//! A pipeline is a pure function of its state, the burst and the time. Each stage treats the whole burst
//! before the next begins. Every frame ends in exactly one counter: forwarded, answered, passed to the
//! host for a reason, or dropped for a reason. (Passing costs nothing but for what was hidden: the host has a copy of
//! its own.)

mod fragments;
mod helping;
mod host;
mod tunnels;

use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Cache};
use lvs_core::{
    DropReason, Forward, Ip, Kind, PassReason, Rewrite, Segment, Time, Verdict, Worker,
};

use crate::answer::{self, IcmpAnswer};
use crate::classify::Classifier;
use crate::counters::Counters;
use crate::frag::{FragMemory, FragmentKey};
use crate::frame::{BURST, Burst, Frame, Outputs};
use crate::helper::Helpers;
use crate::helper::sip::CallIds;
use crate::hidden::Hidden;
use crate::hops::Hops;
use crate::limit::Limit;
use crate::parking::Parking;
use crate::parse::{IpPacket, Layout, Parsed, parse};
use crate::path_mtu::{self, PathMtus};
use crate::responder;
use crate::rewrite::{Egress, Refusal, Rewriter};
use crate::route::{Mac, Resolution, Topology};

/// ICMP errors a second, as many as Linux sends by default (`icmp_msgs_per_sec`).
const ICMP_RATE: u64 = 1000;
/// TCP resets a second.
const RESET_RATE: u64 = 10_000;
/// Next hops asked for between two visits of the control plane.
const MAX_WANTED: usize = 256;

/// What pipelines share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Interfaces, routes and neighbours; replaced by the control plane.
    pub topology: Arc<ArcSwap<Topology>>,
    /// Fragments seen by any worker.
    pub fragments: Arc<Mutex<FragMemory>>,
    /// Gives packets their marks; replaced by the control plane.
    pub classifier: Arc<ArcSwap<Classifier>>,
    /// What is hidden from the host and can be given back to it; replaced by the control plane.
    pub hidden: Arc<ArcSwap<Hidden>>,
    /// Protocol helpers; the director's [`Settings::helpers`](lvs_core::Settings) must be their ports.
    pub helpers: Helpers,
    /// Turns SIP's Call-IDs into tags. The key should come from the system's randomness.
    pub call_ids: CallIds,
    /// What is known of paths to servers behind tunnels.
    pub path_mtus: PathMtus,
}

impl Shared {
    /// Without rules for marks, without helpers, with nothing hidden, and with a key that only tests may keep.
    pub fn new(topology: Arc<ArcSwap<Topology>>, fragments: FragMemory) -> Self {
        Self {
            topology,
            fragments: Arc::new(Mutex::new(fragments)),
            classifier: Arc::default(),
            hidden: Arc::default(),
            helpers: Helpers::default(),
            call_ids: CallIds::new([0; 4]),
            path_mtus: PathMtus::default(),
        }
    }
}

/// A packet in the last stage, with all it is treated with.
struct Item<'a> {
    now: Time,
    topology: &'a Topology,
    index: usize,
    frame: &'a mut Frame,
    packet: &'a IpPacket,
    outputs: &'a mut Outputs,
}

/// One worker's packet path.
#[derive(Debug)]
pub struct Pipeline {
    worker: Worker,
    topology: Cache<Arc<ArcSwap<Topology>>, Arc<Topology>>,
    fragments: Arc<Mutex<FragMemory>>,
    classifier: Cache<Arc<ArcSwap<Classifier>>, Arc<Classifier>>,
    hidden: Cache<Arc<ArcSwap<Hidden>>, Arc<Hidden>>,
    helpers: Helpers,
    call_ids: CallIds,
    path_mtus: PathMtus,
    known_mtus: path_mtu::Reader,
    hops: Hops,
    rewriter: Rewriter,
    counters: Arc<Counters>,
    icmp_limit: Limit,
    reset_limit: Limit,
    parking: Parking,
    ours: fragments::Ours,
    /// For fragments that waited.
    spare: Option<Frame>,
    wanted: Vec<(u32, Ip)>,
    // Kept from burst to burst only for their memory.
    packets: Vec<(usize, IpPacket)>,
    segments: Vec<Segment>,
    verdicts: Vec<Verdict>,
}

impl Pipeline {
    /// A pipeline around a director's worker. `id_seed` is where the identification of packets of its own
    /// begins; give workers seeds far apart.
    pub fn new(worker: Worker, shared: &Shared, id_seed: u32) -> Self {
        Self {
            worker,
            topology: Cache::new(shared.topology.clone()),
            fragments: shared.fragments.clone(),
            classifier: Cache::new(shared.classifier.clone()),
            hidden: Cache::new(shared.hidden.clone()),
            helpers: shared.helpers.clone(),
            call_ids: shared.call_ids.clone(),
            path_mtus: shared.path_mtus.clone(),
            known_mtus: shared.path_mtus.reader(),
            hops: Hops::default(),
            rewriter: Rewriter::new(id_seed),
            counters: Arc::default(),
            icmp_limit: Limit::new(ICMP_RATE, ICMP_RATE),
            reset_limit: Limit::new(RESET_RATE, RESET_RATE),
            parking: Parking::default(),
            ours: fragments::Ours::default(),
            spare: None,
            wanted: Vec::new(),
            packets: Vec::with_capacity(BURST),
            segments: Vec::with_capacity(BURST),
            verdicts: Vec::with_capacity(BURST),
        }
    }

    /// The counters, for whoever wants to read them while the pipeline works.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The director's worker.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The packets of the last burst that came before the director, each with its decision: for whoever explains. What
    /// then could not be sent is in the counters.
    pub fn decisions(&self) -> impl Iterator<Item = (&Segment, &Verdict)> {
        self.segments.iter().zip(&self.verdicts)
    }

    /// The (interface, address) pairs whose Ethernet addresses were missed since the last call; the control
    /// plane is to resolve them and publish a new topology.
    pub fn wanted(&mut self) -> std::vec::Drain<'_, (u32, Ip)> {
        self.wanted.drain(..)
    }

    /// Treats a burst; `outputs` says what is to be sent, and refers to the frames of `burst`.
    pub fn process(&mut self, now: Time, burst: &mut Burst, outputs: &mut Outputs) {
        outputs.clear();
        let topology = self.topology.load().clone();
        self.hops.follow(&topology);
        self.rewriter
            .set_pmtu_disc(self.worker.config().sysctls().pmtu_disc);
        self.counters.received.add(burst.frames().len() as u64);
        self.read(now, &topology, burst, outputs);
        self.mark(burst);
        self.tag(burst);
        self.worker.decide(now, &self.segments, &mut self.verdicts);
        // Taken out only so that the rest of `self` can be borrowed meanwhile.
        let packets = std::mem::take(&mut self.packets);
        let verdicts = std::mem::take(&mut self.verdicts);
        for ((index, packet), verdict) in packets.iter().zip(&verdicts) {
            let Some(frame) = burst.frames_mut().get_mut(*index) else {
                continue;
            };
            let topology = &topology;
            let key = FragmentKey::of(packet, frame.bytes());
            let item = Item {
                now,
                topology,
                index: *index,
                frame,
                packet,
                outputs,
            };
            let Some(key) = key else {
                self.carry_out(verdict, item);
                continue;
            };
            let kind = packet.segment.kind;
            let verdict = self.as_its_first(verdict, kind, &key, now);
            self.carry_out(&verdict, item);
            if kind != Kind::LaterFragment {
                self.let_followers_go(&key, packet, &verdict, now, topology, outputs);
            }
        }
        (self.packets, self.verdicts) = (packets, verdicts);
    }

    /// Sends what waited for a next hop that is known by now, and gives up what waited too long (for that, or for its
    /// first fragment). `burst` must be empty; call it when the topology has changed and every second.
    pub fn release(&mut self, now: Time, burst: &mut Burst, outputs: &mut Outputs) {
        outputs.clear();
        self.expire_fragments(now);
        if self.parking.is_empty() {
            return;
        }
        let topology = self.topology.load().clone();
        self.hops.follow(&topology);
        for parked in self.parking.take() {
            if parked.is_stale(now) {
                self.counters.count_drop(DropReason::Unresolved);
                continue;
            }
            let ready = matches!(topology.resolve(parked.to), Resolution::Ready(_));
            let index = burst.frames().len();
            let restored = ready && burst.next_free().is_some_and(|f| parked.restore(f));
            if !restored {
                self.parking.put_back(parked);
                continue;
            }
            burst.commit();
            if let Some(frame) = burst.frames_mut().get_mut(index) {
                let forward = Forward {
                    direction: parked.direction,
                    rewrite: parked.rewrite,
                    helper: None,
                };
                let packet = &parked.packet;
                let topology = &topology;
                self.forward(
                    &forward,
                    Item {
                        now,
                        topology,
                        index,
                        frame,
                        packet,
                        outputs,
                    },
                );
            }
        }
    }

    /// First stage: answers what concerns the link, and gathers the segments of the rest.
    fn read(&mut self, now: Time, topology: &Topology, burst: &mut Burst, outputs: &mut Outputs) {
        self.packets.clear();
        self.segments.clear();
        for (index, frame) in burst.frames_mut().iter_mut().enumerate() {
            let Some(interface) = topology.interface(frame.port) else {
                self.counters.count_pass(PassReason::LinkLayer); // the interface has just gone
                continue;
            };
            // Matched by reference: a packet is copied where it is kept and nowhere else.
            let own_mac = topology.own_mac(interface, frame.bytes());
            match &parse(frame.bytes(), frame.offload, own_mac) {
                Ok(Parsed::Ip(packet)) if packet.fragment.is_none() => {
                    self.segments.push(packet.segment);
                    self.packets.push((index, *packet));
                }
                Ok(Parsed::Ip(packet)) => {
                    let mut packet = *packet;
                    if self.follow_fragment(&mut packet, index, frame, topology, outputs, now) {
                        self.segments.push(packet.segment);
                        self.packets.push((index, packet));
                    }
                }
                Ok(Parsed::Arp) => self.answer_link(
                    topology,
                    interface.mac,
                    index,
                    frame,
                    outputs,
                    |frame, mac, ours| responder::answer_arp(frame, mac, ours),
                ),
                Ok(Parsed::NeighbourSolicitation) => self.answer_link(
                    topology,
                    interface.mac,
                    index,
                    frame,
                    outputs,
                    |frame, mac, ours| responder::answer_ndp(frame, mac, ours),
                ),
                Ok(Parsed::Pass(reason)) => {
                    let about_tunnel = *reason == PassReason::OtherProtocol
                        && self.relay_tunnel_error(now, topology, index, frame, outputs);
                    if !about_tunnel {
                        self.counters.count_pass(*reason);
                    }
                }
                Err(reason) => self.counters.count_drop(*reason),
            }
        }
    }

    /// Gives packets their marks.
    fn mark(&mut self, burst: &Burst) {
        let classifier = self.classifier.load();
        if classifier.rules().is_empty() {
            return;
        }
        for ((index, packet), segment) in self.packets.iter_mut().zip(&mut self.segments) {
            if let Some(frame) = burst.frames().get(*index) {
                segment.mark = classifier.classify(segment, frame.port);
                packet.segment.mark = segment.mark;
            }
        }
    }

    /// Answers ARP or neighbour discovery for the addresses that are ours, unless the host holds them, which answers
    /// for its own, or they are not to be [answered for](lvs_core::Standby::answers_for).
    fn answer_link(
        &mut self,
        topology: &Topology,
        mac: Mac,
        index: usize,
        frame: &mut Frame,
        outputs: &mut Outputs,
        answer: impl Fn(&mut Frame, Mac, &dyn Fn(Ip) -> bool) -> bool,
    ) {
        let (config, classifier) = (self.worker.config(), self.classifier.load());
        let owns = |ip| {
            host::owns(config, classifier, ip)
                && !topology.is_local(ip)
                && config.standby().answers_for(&ip)
        };
        if answer(frame, mac, &owns) {
            self.counters.arp_answered.add(1);
            outputs.push_frame(frame.port, index, frame);
        } else {
            self.counters.count_pass(PassReason::LinkLayer);
        }
    }

    fn carry_out(&mut self, verdict: &Verdict, mut item: Item<'_>) {
        match *verdict {
            Verdict::Forward(ref forward) => match forward.helper {
                None => self.forward(forward, item),
                Some(number) => self.help(number, forward, item),
            },
            // An error about a GUE packet looks like one about any UDP packet.
            Verdict::Pass(reason) => {
                let Item {
                    now,
                    topology,
                    index,
                    ref mut frame,
                    packet,
                    ref mut outputs,
                } = item;
                let about_tunnel = packet.segment.kind == Kind::IcmpError
                    && self.relay_tunnel_error(now, topology, index, frame, outputs);
                if !about_tunnel {
                    self.pass(reason, item);
                }
            }
            Verdict::Drop(reason) => {
                self.counters.count_drop(reason);
                if let DropReason::NoDestination | DropReason::ServerWithoutConnection = reason {
                    self.refuse(IcmpAnswer::PortUnreachable, item);
                }
            }
        }
    }

    fn forward(&mut self, forward: &Forward, mut item: Item<'_>) {
        if let Some(answer) = self.attempt(forward, &mut item) {
            self.refuse(answer, item);
        }
    }

    /// Sends a packet on if that can be. Returns what its sender is to be told if not.
    fn attempt(&mut self, forward: &Forward, item: &mut Item<'_>) -> Option<IcmpAnswer> {
        let Forward {
            direction, rewrite, ..
        } = forward;
        let Item {
            now,
            topology,
            index,
            ref mut frame,
            packet,
            ref mut outputs,
        } = *item;
        if packet.segment.kind == Kind::IcmpError && !is_for_quoted_sender(frame, packet) {
            return self.silently(DropReason::Martian);
        }
        let to = match rewrite {
            Rewrite::Route { next_hop } => next_hop,
            Rewrite::Tunnel { remote, .. } => remote,
            Rewrite::Nat { dst, .. } => &dst.as_ref().unwrap_or(&packet.segment.dst).ip,
        };
        let mut hop = match self.hops.resolve(to) {
            Resolution::Ready(hop) => hop,
            Resolution::Unresolved { ifindex, next_hop } => {
                if self.wanted.len() < MAX_WANTED && !self.wanted.contains(&(ifindex, next_hop)) {
                    self.wanted.push((ifindex, next_hop));
                }
                match self
                    .parking
                    .park(frame, packet, *rewrite, *direction, *to, now)
                {
                    true => self.counters.parked.add(1),
                    false => self.counters.count_drop(DropReason::Unresolved),
                }
                return None;
            }
            Resolution::Local => {
                self.deliver(forward, item);
                return None;
            }
            Resolution::NoRoute => return self.silently(DropReason::NoRoute),
        };
        let source = match rewrite {
            Rewrite::Tunnel { .. } => {
                hop.mtu = self.known_mtus.limit(now, to, hop.mtu);
                topology.source_for(*to)
            }
            _ => None,
        };
        let egress = Egress { hop, source };
        match self
            .rewriter
            .emit(rewrite, &egress, index, frame, packet, outputs)
        {
            Ok(()) => {
                self.counters.count_forward(*direction);
                None
            }
            Err(refusal) => {
                self.counters.count_drop(refusal.reason());
                match refusal {
                    Refusal::TtlExceeded => Some(IcmpAnswer::TimeExceeded),
                    Refusal::TooBig { mtu } => Some(IcmpAnswer::TooBig { mtu }),
                    Refusal::Drop(_) => None,
                }
            }
        }
    }

    fn silently(&self, reason: DropReason) -> Option<IcmpAnswer> {
        self.counters.count_drop(reason);
        None
    }

    /// Tells the sender why its packet went no further: in the name of the address it asked for if that is ours, as
    /// a host with the address does; else as a router.
    fn refuse(&mut self, answer: IcmpAnswer, item: Item<'_>) {
        let Item {
            now,
            topology,
            index,
            frame,
            packet,
            outputs,
        } = item;
        let Layout { family, .. } = packet.layout;
        let asked = packet.segment.dst.ip;
        let addrs = topology.interface(frame.port).map_or(&[][..], |i| &i.addrs);
        let own = addrs
            .iter()
            .find(|a| a.family() == family && !a.is_link_local_v6());
        let from = match host::owns(self.worker.config(), self.classifier.load(), asked) {
            true => asked,
            false => own.copied().unwrap_or(asked),
        };
        if !self.icmp_limit.take(now) {
            self.counters.answers_limited.add(1);
        } else if answer::icmp_error(frame, packet, from, answer) {
            self.counters.icmp_sent.add(1);
            outputs.push_frame(frame.port, index, frame);
        }
    }

    /// Resets a TCP connection or aborts an SCTP association nobody knows, in place of the host, from which its
    /// service is hidden.
    fn reset(&mut self, item: Item<'_>) {
        let Item {
            now,
            index,
            frame,
            packet,
            outputs,
            ..
        } = item;
        if !self.reset_limit.take(now) {
            self.counters.answers_limited.add(1);
        } else if answer::reset(frame, packet) {
            self.counters.resets_sent.add(1);
            outputs.push_frame(frame.port, index, frame);
        }
    }
}

/// Whether an ICMP error is addressed to the sender of the packet it quotes, as every honest one is
/// (RFC 792, RFC 4443 section 2.2): only then do its own and the quoted addresses translate alike.
fn is_for_quoted_sender(frame: &Frame, packet: &IpPacket) -> bool {
    let to = packet.layout.addresses(frame.bytes()).map(|(_, to)| to);
    to == Some(packet.segment.dst.ip)
}
