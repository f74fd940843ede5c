//! What a virtual router does, without packets.

mod model;
mod table;
mod timers;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::{Action, Health, Router};
use crate::Time;
use crate::config::{Preempt, RouterConfig, Version};
use crate::event::{Cause, State, Why};
use crate::packet::Advertisement;

/// One with priority 100 and an advertisement a second, at 10.0.0.100.
fn config() -> RouterConfig {
    RouterConfig::new("r", 1, vec![address(200)])
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn advert(from: u8, priority: u8) -> Advertisement {
    Advertisement {
        from: address(from),
        vrid: 1,
        priority,
        interval: Duration::from_secs(1),
        addresses: vec![address(200)],
    }
}

fn fault() -> Health {
    Health::Fault(Why::Faults(vec![Cause::NoSource]))
}

fn ms(ms: u64) -> Time {
    Duration::from_millis(ms)
}

/// A router and its clock.
struct Bench {
    router: Router,
    now: Time,
}

impl Bench {
    fn new(config: RouterConfig) -> Self {
        let mut router = Router::new(Arc::new(config));
        router.set_source(Some(address(100)));
        Self {
            router,
            now: Time::ZERO,
        }
    }

    /// One that has been started, and is healthy.
    fn started(config: RouterConfig) -> Self {
        let mut bench = Self::new(config);
        bench.health(Health::Good);
        bench.start();
        bench
    }

    /// One that has become master because nobody else is there.
    fn master(config: RouterConfig) -> Self {
        let mut bench = Self::started(config);
        bench.wait();
        assert_eq!(bench.router.state(), State::Master);
        bench
    }

    fn with(&mut self, act: impl FnOnce(&mut Router, Time, &mut Vec<Action>)) -> Vec<Action> {
        let mut out = Vec::new();
        act(&mut self.router, self.now, &mut out);
        out
    }

    fn start(&mut self) -> Vec<Action> {
        self.with(|r, now, out| {
            r.start(now, now, out);
            r.elapsed(true, now, out);
        })
    }

    fn health(&mut self, health: Health) -> Vec<Action> {
        self.with(|r, now, out| r.set_health(health, now, out))
    }

    fn hear(&mut self, from: u8, priority: u8) -> Vec<Action> {
        self.with(|r, now, out| r.heard(&advert(from, priority), now, out))
    }

    /// Lets time pass until it does something.
    fn wait(&mut self) -> Vec<Action> {
        let deadline = self.router.next_deadline().expect("a timer");
        self.pass(deadline.saturating_sub(self.now))
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.with(|r, now, out| r.elapsed(true, now, out))
    }

    /// How long its timer still runs, in microseconds.
    fn left(&self) -> Option<u128> {
        let deadline = self.router.next_deadline()?;
        Some(deadline.saturating_sub(self.now).as_micros())
    }

    fn state(&self) -> State {
        self.router.state()
    }
}
