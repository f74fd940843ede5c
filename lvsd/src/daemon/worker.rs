//! A worker thread: ports, pipeline, ports.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lvs_core::{Ip, Time};
use lvs_fwd::counters::Counters;
use lvs_fwd::frame::{Burst, Offload, Outputs, Packet, PortId};
use lvs_fwd::io::packet::{PacketPort, Statistics};
use lvs_fwd::io::{Port as _, Sent};
use lvs_fwd::pipeline::Pipeline;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::activity::{Activity, Stopwatch};
use super::mailbox::{Mailbox, Order};
use super::{Clock, Error};

/// How long a worker without traffic sleeps before it looks after its timers.
const TICK: Duration = Duration::from_secs(1);
/// Connections looked at for expiry at once: well below a millisecond.
const EXPIRY_BUDGET: usize = 2048;
/// How often timers are looked after while there is traffic.
const BUSY_TICK: Duration = Duration::from_millis(20);

/// A port's statistics, refreshed every tick for whoever asks.
pub(super) type SharedStatistics = Arc<Mutex<Vec<(PortId, Statistics)>>>;

#[derive(Debug)]
pub(super) struct WorkerThread {
    pipeline: Pipeline,
    ports: Vec<PacketPort>,
    wanted: SyncSender<(u32, Ip)>,
    control: Arc<Mailbox>,
    mailbox: Arc<Mailbox>,
    poll: Poll,
    clock: Clock,
    stopping: Arc<AtomicBool>,
    statistics: SharedStatistics,
    activity: Arc<Activity>,
}

impl WorkerThread {
    pub(super) fn new(
        pipeline: Pipeline,
        ports: Vec<PacketPort>,
        wanted: SyncSender<(u32, Ip)>,
        control: Arc<Mailbox>,
        clock: Clock,
        stopping: Arc<AtomicBool>,
    ) -> Result<(Self, Arc<Mailbox>), Error> {
        let failed = |e| Error::System("epoll", e);
        let poll = Poll::new().map_err(failed)?;
        for (i, port) in ports.iter().enumerate() {
            let fd = port.as_fd().as_raw_fd();
            poll.registry()
                .register(&mut SourceFd(&fd), Token(i), Interest::READABLE)
                .map_err(failed)?;
        }
        let waker = Waker::new(poll.registry(), Token(ports.len())).map_err(failed)?;
        let mailbox = Arc::new(Mailbox::new(waker));
        let statistics = SharedStatistics::default();
        let worker = Self {
            pipeline,
            ports,
            wanted,
            control,
            mailbox: mailbox.clone(),
            poll,
            clock,
            stopping,
            statistics,
            activity: Arc::default(),
        };
        Ok((worker, mailbox))
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        self.pipeline.counters().clone()
    }

    pub(super) fn statistics(&self) -> SharedStatistics {
        self.statistics.clone()
    }

    pub(super) fn activity(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    pub(super) fn run(mut self) {
        let mut burst = Burst::default();
        let mut outputs = Outputs::default();
        let mut events = Events::with_capacity(self.ports.len() + 1);
        let mut last_tick = self.clock.now();
        let mut stopwatch = Stopwatch::start();
        while !self.stopping.load(Relaxed) {
            let mut idle = true;
            for i in 0..self.ports.len() {
                burst.clear();
                // An interface that is down, or has gone, is no reason to stop: the others go on, and it may
                // come back.
                if matches!(self.ports[i].receive(&mut burst), Ok(n) if n > 0) {
                    idle = false;
                    self.activity.burst();
                    self.pipeline
                        .process(self.clock.now(), &mut burst, &mut outputs);
                    self.transmit(&burst, &outputs);
                }
            }
            let now = self.clock.now();
            let all_expired = if idle || now.since(last_tick) >= BUSY_TICK {
                last_tick = now;
                let all_expired = self.look_after(now, &mut burst, &mut outputs);
                stopwatch.count(&self.activity);
                all_expired
            } else {
                true
            };
            if idle && all_expired {
                // Edge-triggered: safe to sleep only because every port has just been found empty.
                match self.poll.poll(&mut events, Some(TICK)) {
                    Err(e) if e.kind() != io::ErrorKind::Interrupted => break,
                    _ => {}
                }
                stopwatch.slept();
            }
        }
        self.publish_statistics();
    }

    fn transmit(&mut self, burst: &Burst, outputs: &Outputs) {
        if outputs.is_empty() {
            return;
        }
        for port in &mut self.ports {
            let report = port.transmit(&mut outputs.for_port(port.id(), burst.frames()));
            self.pipeline.counters().transmitted(report);
            let mut back = outputs.for_host(port.id(), burst.frames()).peekable();
            if back.peek().is_some() {
                // What goes back is not sent.
                let failed = port.give_back(&mut back).failed;
                self.pipeline
                    .counters()
                    .transmitted(Sent { sent: 0, failed });
            }
        }
    }

    /// What is due besides packets. Returns whether all expired connections are gone.
    fn look_after(&mut self, now: Time, burst: &mut Burst, outputs: &mut Outputs) -> bool {
        for order in self.mailbox.take() {
            self.obey(order);
        }
        burst.clear();
        self.pipeline.release(now, burst, outputs);
        self.transmit(burst, outputs);
        let mut asked = false;
        for hop in self.pipeline.wanted() {
            // A full channel means that control is busy with others; the packets' senders will try again.
            asked |= self.wanted.try_send(hop).is_ok();
        }
        if asked {
            self.control.wake();
        }
        self.publish_statistics();
        self.pipeline.worker().expire(now, EXPIRY_BUDGET)
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Send(to, frame) => {
                if let Some(port) = self.ports.iter_mut().find(|p| p.id() == to) {
                    let packet = Packet {
                        offload: Offload::default(),
                        head: &frame,
                        body: &[],
                    };
                    let report = port.transmit(&mut std::iter::once(packet));
                    self.pipeline.counters().transmitted(report);
                }
            }
            Order::Join(on, group) => {
                if let Some(port) = self.ports.iter().find(|p| p.id() == on) {
                    // Without the membership neighbours cannot find the address; but many interfaces (veth,
                    // bridges in promiscuous mode) deliver the group anyway.
                    let _ = port.join_multicast(group);
                }
            }
        }
    }

    fn publish_statistics(&mut self) {
        let of = |p: &mut PacketPort| (p.id(), p.statistics().unwrap_or_default());
        let now: Vec<_> = self.ports.iter_mut().map(of).collect();
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = now;
    }
}
