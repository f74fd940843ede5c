//! The thread between the private network and the interfaces.
//!
//! What the namespace sends is brought to the server that its source port stands for, by the code of the packet path. What the server
//! answers is handed to the namespace. Everything else is nobody's business here and is dropped.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use lvs_core::Ip;
use lvs_fwd::frame::{Frame, Outputs};
use lvs_fwd::io::netlink::Resolver;
use lvs_fwd::io::packet::{Device, Tap};
use lvs_fwd::io::tun::Tun;
use lvs_fwd::parse::{IpPacket, Parsed, parse};
use lvs_fwd::rewrite::{Egress, Rewriter};
use lvs_fwd::route::{Resolution, Topology};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::{Way, Ways, lock, ports, rewrite};
use crate::control::desk::Plane;

/// Frames taken from one source before the others have their turn.
const BATCH: usize = 256;
/// Packets that wait for an Ethernet address, at most.
const MAX_WAITING: usize = 1024;
/// So long they wait.
const PATIENCE: Duration = Duration::from_secs(3);
/// So often they try.
const RETRY: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_secs(1);
const WAKE: Token = Token(usize::MAX);

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// What the thread has.
struct Body {
    tun: Tun,
    taps: Vec<Tap>,
    ways: Ways,
    plane: Arc<dyn Plane>,
    resolver: Resolver,
    rewriter: Rewriter,
    outputs: Outputs,
    waiting: VecDeque<Waiting>,
    stop: Arc<AtomicBool>,
    poll: Poll,
}

/// A packet for a server whose Ethernet address is looked for.
struct Waiting {
    since: Instant,
    bytes: Vec<u8>,
}

impl Relay {
    /// Begins to relay between `tun` and all interfaces.
    pub(super) fn start(
        tun: Tun,
        topology: &Topology,
        ways: Ways,
        plane: Arc<dyn Plane>,
        log: fn(&str),
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let taps = topology.interfaces().iter().map(|interface| {
            let device = Device::by_index(interface.ifindex)?;
            Tap::open(&device, interface.port, &ports::RANGE).map_err(io::Error::other)
        });
        let taps = taps.collect::<io::Result<Vec<_>>>()?;
        let descriptors = taps.iter().map(AsFd::as_fd).chain([tun.as_fd()]);
        for (n, fd) in descriptors.enumerate() {
            let mut source = SourceFd(&fd.as_raw_fd());
            poll.registry()
                .register(&mut source, Token(n), Interest::READABLE)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let waker = Waker::new(poll.registry(), WAKE)?;
        let body = Body {
            tun,
            taps,
            ways,
            plane,
            resolver: Resolver::new()?,
            rewriter: Rewriter::new(0),
            outputs: Outputs::default(),
            waiting: VecDeque::new(),
            stop: stop.clone(),
            poll,
        };
        let thread = thread::Builder::new().name("lvsd-vip-relay".to_owned());
        let thread = thread.spawn(move || {
            if let Err(e) = body.run() {
                log(&format!(
                    "warning: virtual addresses on servers cannot be checked any more: {e}"
                ));
            }
        })?;
        Ok(Self {
            stop,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Body {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        let mut frame = Frame::default();
        let mut more = false;
        while !self.stop.load(Relaxed) {
            let wait = match (more, self.waiting.is_empty()) {
                (true, _) => Duration::ZERO,
                (false, false) => RETRY,
                (false, true) => IDLE,
            };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
            // Events tell of changes only, so everything is read till there is nothing; who has more is asked again at once.
            more = self.receive(&mut frame);
            more |= self.send(&mut frame)?;
            self.retry(&mut frame);
        }
        Ok(())
    }

    /// From the interfaces to the namespace.
    fn receive(&mut self, frame: &mut Frame) -> bool {
        let Some(topology) = self.plane.topology() else {
            return false;
        };
        let mut more = false;
        for tap in &mut self.taps {
            let Some(interface) = topology.interface(tap.port()) else {
                continue;
            };
            let mut left = BATCH;
            while left > 0 && tap.receive(frame) {
                left -= 1;
                let parsed = parse(frame.bytes(), frame.offload, interface.mac);
                if let Ok(Parsed::Ip(packet)) = parsed
                    && is_answer(&self.ways, &packet)
                {
                    // What the kernel does not take, it would not have taken from a network card.
                    let _ = self.tun.send(frame, &packet.layout);
                }
            }
            more |= left == 0;
        }
        more
    }

    /// From the namespace to the servers.
    fn send(&mut self, frame: &mut Frame) -> io::Result<bool> {
        for _ in 0..BATCH {
            if !self.tun.receive(frame)? {
                return Ok(false);
            }
            if !self.forward(frame) && self.waiting.len() < MAX_WAITING {
                self.waiting.push_back(Waiting {
                    since: Instant::now(),
                    bytes: frame.bytes().to_vec(),
                });
            }
        }
        Ok(true)
    }

    fn retry(&mut self, frame: &mut Frame) {
        for _ in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.pop_front() else {
                return;
            };
            let port = frame.port;
            let whole = frame.fill(&waiting.bytes, Default::default(), port);
            let over = waiting.since.elapsed() > PATIENCE;
            if whole && !over && !self.forward(frame) {
                self.waiting.push_back(waiting);
            }
        }
    }

    /// Sends a packet to its server, or drops it. `false` if it is too early.
    fn forward(&mut self, frame: &mut Frame) -> bool {
        let Ok(Parsed::Ip(packet)) = parse(frame.bytes(), frame.offload, Tun::MAC) else {
            return true;
        };
        let (Some(way), Some(topology)) = (way(&self.ways, &packet), self.plane.topology()) else {
            return true;
        };
        let to = Ip::from(way.via.server);
        let hop = match topology.resolve(to) {
            Resolution::Ready(hop) => hop,
            Resolution::Unresolved { ifindex, next_hop } => {
                // It asks no more than once a second; an interface that has just gone is no reason to stop.
                let _ = self.resolver.resolve(ifindex, next_hop, self.plane.now());
                return false;
            }
            Resolution::Local | Resolution::NoRoute => return true,
        };
        let egress = Egress {
            hop,
            source: topology.source_for(to),
        };
        self.outputs.clear();
        let (rewriter, outputs) = (&mut self.rewriter, &mut self.outputs);
        let emitted = rewriter.emit(&rewrite(way.via), &egress, 0, frame, &packet, outputs);
        if emitted.is_ok()
            && let Some(tap) = self.taps.iter_mut().find(|t| t.port() == hop.port)
        {
            let frames = std::slice::from_ref(&*frame);
            tap.transmit(&mut self.outputs.for_port(hop.port, frames));
        }
        true
    }
}

/// Whom a packet of ours is for.
fn way(ways: &Ways, packet: &IpPacket) -> Option<Way> {
    let segment = &packet.segment;
    let way = *lock(ways).get(&(segment.protocol, segment.src.port))?;
    (segment.src.ip == way.source && segment.dst == way.vip).then_some(way)
}

/// Whether a packet, or the one that an ICMP error quotes, answers one of ours.
fn is_answer(ways: &Ways, packet: &IpPacket) -> bool {
    let segment = &packet.segment;
    let ways = lock(ways);
    let way = ways.get(&(segment.protocol, segment.dst.port));
    way.is_some_and(|way| segment.dst.ip == way.source && segment.src == way.vip)
}
