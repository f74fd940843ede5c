//! Interfaces that are up or down for long enough (`interface_up_down_delays`).

use std::collections::BTreeMap;

use lvs_vrrp::Time;
use lvs_vrrp::status::ObjectState;
use lvs_vrrp::track::{Link, LinkDelays};

use crate::keepalived::model::LinkDelay;

/// All interfaces that have been looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriers {
    delays: BTreeMap<String, LinkDelays>,
    links: BTreeMap<String, Link>,
}

impl Carriers {
    pub(super) fn new(delays: &[LinkDelay]) -> Self {
        let delays = delays.iter().map(|line| {
            let delays = LinkDelays {
                up: line.up,
                down: line.down.value,
            };
            (line.interface.value.clone(), delays)
        });
        Self {
            delays: delays.collect(),
            links: BTreeMap::new(),
        }
    }

    /// Knows what another one knew, with its own delays.
    pub(super) fn take_over(&mut self, before: &Self) {
        self.links.clone_from(&before.links);
        for (name, link) in &mut self.links {
            link.set_delays(self.delays.get(name).copied().unwrap_or_default());
        }
    }

    /// An interface is up, or not. Returns how it counts, if that has changed.
    pub(super) fn see(&mut self, name: &str, up: bool, now: Time) -> Option<ObjectState> {
        let delays = self.delays.get(name).copied().unwrap_or_default();
        let link = self.links.entry(name.to_owned());
        link.or_insert_with(|| Link::new(delays)).see(up, now)
    }

    /// How an interface counts.
    pub(super) fn state(&self, name: &str) -> ObjectState {
        self.links.get(name).map(Link::state).unwrap_or_default()
    }

    /// Time has passed. Returns the interfaces that count otherwise now.
    pub(super) fn elapsed(&mut self, now: Time) -> Vec<(String, ObjectState)> {
        let links = self.links.iter_mut();
        links
            .filter_map(|(name, link)| Some((name.clone(), link.tick(now)?)))
            .collect()
    }

    /// When [`Self::elapsed`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.links.values().filter_map(Link::deadline).min()
    }
}
