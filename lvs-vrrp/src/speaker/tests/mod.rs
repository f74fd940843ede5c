//! What a host's virtual routers do together.

mod faults;
mod groups;
mod packets;
mod properties;
mod reloads;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::Speaker;
use crate::Time;
use crate::config::{Config, GroupConfig, Object, RouterConfig, Tracked};
use crate::event::{Output, State, Why};
use crate::packet::{Codec, Received};
use crate::status::{ObjectState, RouterStatus};

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn ms(ms: u64) -> Time {
    Duration::from_millis(ms)
}

fn script(name: &str) -> Object {
    Object::Script(name.to_owned())
}

fn watched(object: Object, weight: i32) -> Tracked {
    Tracked {
        object,
        weight,
        reverse: false,
    }
}

/// One with priority 100.
fn router(name: &str, vrid: u8) -> RouterConfig {
    RouterConfig::new(name, vrid, vec![address(200)])
}

fn config(routers: Vec<RouterConfig>) -> Config {
    Config {
        routers: routers.into_iter().map(Arc::new).collect(),
        ..Config::default()
    }
}

fn grouped(routers: Vec<RouterConfig>) -> Config {
    let members = routers.iter().map(|r| r.name.clone()).collect();
    let group = GroupConfig {
        name: "G".to_owned(),
        members,
    };
    Config {
        groups: vec![group],
        ..config(routers)
    }
}

/// A speaker, its clock, and what it has put out, in short.
struct Host {
    speaker: Speaker,
    now: Time,
    all: Vec<Output>,
}

impl Host {
    /// One that sends from 10.0.0.100 and has been started.
    fn started(config: Config) -> Self {
        let mut host = Self::new(config);
        host.source(Some(address(100)));
        host.start();
        host
    }

    fn new(config: Config) -> Self {
        Self {
            speaker: Speaker::new(config, 7),
            now: Time::ZERO,
            all: Vec::new(),
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut Speaker, Time, &mut Vec<Output>)) -> Vec<String> {
        self.all.clear();
        act(&mut self.speaker, self.now, &mut self.all);
        let said = self.all.iter().map(|output| self.in_short(output));
        said.collect()
    }

    fn start(&mut self) -> Vec<String> {
        self.with(|s, now, out| {
            s.start(now, out);
            s.elapsed(now, out);
        })
    }

    fn source(&mut self, source: Option<IpAddr>) -> Vec<String> {
        self.with(|s, now, out| {
            for id in s.ids() {
                s.source(id, source, now, out);
            }
        })
    }

    fn observe(&mut self, object: &Object, state: ObjectState) -> Vec<String> {
        self.with(|s, now, out| s.observe(object, state, now, out))
    }

    fn reload(&mut self, config: Config) -> Vec<String> {
        self.with(|s, now, out| s.reload(config, now, out))
    }

    /// Hears an advertisement of a neighbour with the same configuration but this address and priority.
    fn hear(&mut self, name: &str, from: u8, priority: u8) -> Vec<String> {
        let id = self.speaker.id(name).expect("a router");
        let config = self.speaker.config(id).expect("a router").clone();
        let interval = config.interval;
        self.hear_as(name, &config, from, priority, interval)
    }

    /// Hears an advertisement made with a neighbour's configuration.
    fn hear_as(
        &mut self,
        name: &str,
        config: &RouterConfig,
        from: u8,
        priority: u8,
        interval: Duration,
    ) -> Vec<String> {
        let id = self.speaker.id(name).expect("a router");
        let to = crate::config::Transport::GROUP_V4;
        let from = address(from);
        let bytes = Codec::new().advertise(config, from, to, priority, interval, Time::ZERO);
        let packet = Received {
            from,
            to: Some(to),
            hop_limit: Some(255),
            bytes: &bytes,
        };
        self.with(|s, now, out| s.received(id, &packet, now, out))
    }

    /// Lets time pass, all timers on their way.
    fn pass(&mut self, time: Duration) -> Vec<String> {
        let end = self.now + time;
        let mut said = Vec::new();
        while let Some(due) = self.speaker.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            said.extend(self.with(|s, now, out| s.elapsed(now, out)));
        }
        self.now = end;
        said
    }

    fn status(&self, name: &str) -> RouterStatus {
        let mut status = self.speaker.status().into_iter();
        status.find(|s| s.name == name).expect("a router")
    }

    fn states(&self) -> Vec<State> {
        self.speaker.status().iter().map(|s| s.state).collect()
    }

    fn in_short(&self, output: &Output) -> String {
        let name = |id| match self.speaker.config(id) {
            Some(config) => config.name.clone(),
            None => format!("{id:?}"),
        };
        match output {
            Output::Send { router, bytes, .. } => {
                let priority = bytes.get(22).copied().unwrap_or_default();
                format!("{} says {priority}", name(*router))
            }
            Output::Entered {
                router,
                from,
                to,
                why,
                ..
            } => {
                let group = if matches!(why, Why::Group { .. }) {
                    " with its group"
                } else {
                    ""
                };
                format!("{} {from}→{to}{group}", name(*router))
            }
            Output::GroupEntered { group, from, to } => format!("group {group} {from}→{to}"),
            Output::Reannounce { router } => format!("{} announces", name(*router)),
            Output::Priority {
                router, from, to, ..
            } => format!("{} has priority {to}, not {from}", name(*router)),
            Output::Rival {
                router, priority, ..
            } => format!("{} hears a rival of {priority}", name(*router)),
            Output::Trouble {
                router, trouble, ..
            } => format!("{}: {trouble}", name(*router)),
        }
    }
}
