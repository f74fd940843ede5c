//! Fragments on their way through the pipeline.
//!
//! The first of a packet goes like any packet. A later one is made part of its flow ([`crate::frag`]) and
//! then asked about like any packet too. One that came before its first waits for it, if it may concern us at all:
//! its destination is an address of ours, or it comes from a real server whose replies we translate. All else is
//! left to the host.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use lvs_core::{
    Config, DropReason, Forward, Ip, Kind, Method, PassReason, Protocol, Time, Verdict, Worker,
};

use super::{Item, Pipeline};
use crate::classify::Classifier;
use crate::frag::{Early, FragMemory, FragmentKey};
use crate::frame::{Frame, Outputs, PortId};
use crate::parse::IpPacket;
use crate::route::Topology;

impl Pipeline {
    /// Makes a fragment part of its packet's flow. Returns false if it goes no further now: it waits for its first,
    /// or is none of ours.
    pub(super) fn follow_fragment(
        &mut self,
        packet: &mut IpPacket,
        index: usize,
        frame: &Frame,
        topology: &Topology,
        outputs: &mut Outputs,
        now: Time,
    ) -> bool {
        let Some(key) = FragmentKey::of(packet, frame.bytes()) else {
            return true;
        };
        if self.worker.config().standby().has(&key.dst) {
            return true; // its first is not ours, and need not be waited for
        }
        let mut memory = lock(&self.fragments);
        if memory.follow(packet, &key, now) {
            return true;
        }
        if key.protocol == Protocol::ICMP {
            self.counters.count_pass(PassReason::OtherProtocol); // mostly a long ping
            return false;
        }
        let classifier = self.classifier.load();
        let concerns_us = is_marked(classifier, packet, frame.port)
            || self.ours.has_part_in(&key, &mut self.worker, topology);
        if !concerns_us {
            drop(memory);
            self.counters.count_pass(PassReason::NotOurs);
            self.give_back_if_hidden(packet, index, frame, outputs);
            return false;
        }
        let given_up = memory.hold(Early::new(key, *packet, frame, now), now);
        drop(memory);
        self.counters.held.add(1);
        self.give_up(given_up);
        false
    }

    /// Gives up fragments that waited too long for their first.
    pub(super) fn expire_fragments(&mut self, now: Time) {
        let given_up = lock(&self.fragments).expire_held(now);
        self.give_up(given_up);
    }

    fn give_up(&self, count: usize) {
        for _ in 0..count {
            self.counters.count_drop(DropReason::FragmentUnknown);
        }
    }

    /// The verdict on a fragment. A later one whose connection is not remembered (one-packet scheduling) goes the
    /// way of its first.
    pub(super) fn as_its_first(
        &self,
        verdict: &Verdict,
        kind: Kind,
        key: &FragmentKey,
        now: Time,
    ) -> Verdict {
        let unknown = Verdict::Drop(DropReason::FragmentUnknown);
        if kind != Kind::LaterFragment || *verdict != unknown {
            return *verdict;
        }
        match lock(&self.fragments).way(key, now) {
            Some(way) => Verdict::Forward(way),
            None => *verdict,
        }
    }

    /// Sends on what waited for this first fragment, now that it has been decided. What is sent is copied to
    /// `outputs`, whose burst does not hold those frames.
    pub(super) fn let_followers_go(
        &mut self,
        key: &FragmentKey,
        first: &IpPacket,
        verdict: &Verdict,
        now: Time,
        topology: &Topology,
        outputs: &mut Outputs,
    ) {
        let mut memory = lock(&self.fragments);
        if let Verdict::Forward(way) = *verdict {
            memory.note_way(
                key,
                first,
                Forward {
                    helper: None,
                    ..way
                },
            );
        }
        let waiting = memory.take_held(key);
        drop(memory);
        for early in waiting {
            let mut frame = std::mem::take(&mut self.spare).unwrap_or_default();
            if early.restore(&mut frame) {
                self.follow_late(&early, key, &mut frame, now, topology, outputs);
            }
            self.spare = Some(frame);
        }
    }

    fn follow_late(
        &mut self,
        early: &Early,
        key: &FragmentKey,
        frame: &mut Frame,
        now: Time,
        topology: &Topology,
        outputs: &mut Outputs,
    ) {
        let mut packet = early.packet;
        if !lock(&self.fragments).follow(&mut packet, key, now) {
            return self.give_up(1);
        }
        let classifier = self.classifier.load();
        packet.segment.mark = classifier.classify(&packet.segment, frame.port);
        let mut verdicts = Vec::with_capacity(1);
        self.worker.decide(now, &[packet.segment], &mut verdicts);
        let Some(verdict) = verdicts.first() else {
            return self.give_up(1);
        };
        let verdict = self.as_its_first(verdict, packet.segment.kind, key, now);
        let mut sent = Outputs::default();
        self.carry_out(
            &verdict,
            Item {
                now,
                topology,
                index: 0,
                frame,
                packet: &packet,
                outputs: &mut sent,
            },
        );
        outputs.adopt(&sent, std::slice::from_ref(frame));
    }
}

fn lock(memory: &std::sync::Mutex<FragMemory>) -> MutexGuard<'_, FragMemory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the packet goes to a firewall-mark service, as far as one can tell without ports.
fn is_marked(classifier: &Classifier, packet: &IpPacket, port: PortId) -> bool {
    let segment = &packet.segment;
    !classifier.marks_of(&segment.dst.ip).is_empty() || classifier.classify(segment, port) != 0
}

/// The real servers whose replies are translated, as of one configuration: looked for only if a fragment asks.
#[derive(Debug, Default)]
pub(super) struct Ours {
    /// Not kept alive by us.
    config: Weak<Config>,
    servers: HashSet<Ip>,
}

impl Ours {
    /// Whether a packet between these addresses may be of a connection.
    fn has_part_in(&mut self, key: &FragmentKey, worker: &mut Worker, topology: &Topology) -> bool {
        let config = worker.config();
        if config.owns(&key.dst) {
            return true;
        }
        if !std::ptr::eq(self.config.as_ptr(), Arc::as_ptr(config)) {
            self.config = Arc::downgrade(config);
            self.servers.clear();
            let standby = config.standby();
            let services = config.services().into_iter();
            for service in services.filter(|s| !standby.includes(&s.key())) {
                let nat = service.dests().iter().filter(|d| d.method() == Method::Nat);
                self.servers.extend(nat.map(|d| d.addr().ip));
            }
        }
        // What a server sends to the host itself is the host's.
        self.servers.contains(&key.src) && !topology.is_local(key.dst)
    }
}
