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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing;
    use super::*;
    use ObjectState::{Bad, Good, Unknown};

    fn s(seconds: u64) -> Time {
        Duration::from_secs(seconds)
    }

    fn carriers(lines: &str) -> Carriers {
        let text = format!("interface_up_down_delays {{\n {lines}\n}}\n");
        Carriers::new(&testing::vrrp(&(text + &testing::instance("V", 51, ""))).link_delays)
    }

    #[test]
    fn delays_are_an_interface_s_own() {
        let mut all = carriers("eth0 2 5\n eth1 1");
        assert_eq!(all.state("eth0"), Unknown);
        for name in ["eth0", "eth1", "eth2"] {
            assert_eq!(
                all.see(name, true, s(0)),
                Some(Good),
                "the first look counts"
            );
        }
        assert_eq!(all.next_deadline(), None);
        let down = ["eth0", "eth1", "eth2"].map(|name| all.see(name, false, s(10)));
        assert_eq!(down, [None, None, Some(Bad)]);
        assert_eq!(all.next_deadline(), Some(s(11)));
        assert_eq!(all.elapsed(s(11)), [("eth1".to_owned(), Bad)]);
        assert_eq!(all.elapsed(s(12)), [("eth0".to_owned(), Bad)]);
        assert_eq!(
            (all.elapsed(s(99)), all.next_deadline()),
            (Vec::new(), None)
        );
        // Without a second number what is up counts at once.
        assert_eq!(all.see("eth1", true, s(100)), Some(Good));
        assert_eq!(all.see("eth0", true, s(100)), None);
        assert_eq!(all.elapsed(s(104)), []);
        assert_eq!(all.elapsed(s(105)), [("eth0".to_owned(), Good)]);
    }

    #[test]
    fn what_is_over_soon_does_not_count() {
        let mut all = carriers("eth0 2 5");
        all.see("eth0", true, s(0));
        all.see("eth0", false, s(10));
        assert_eq!(all.see("eth0", true, s(11)), None);
        assert_eq!(all.next_deadline(), None);
        assert_eq!(all.elapsed(s(99)), []);
        assert_eq!(all.state("eth0"), Good);
    }

    #[test]
    fn a_reload_keeps_what_is_known_and_takes_the_new_delays() {
        let mut before = carriers("eth0 2 5");
        before.see("eth0", true, s(0));
        before.see("eth1", false, s(0));
        let mut after = carriers("eth1 7 7");
        after.take_over(&before);
        assert_eq!((after.state("eth0"), after.state("eth1")), (Good, Bad));
        assert_eq!(
            after.see("eth0", false, s(10)),
            Some(Bad),
            "it has no delay any more"
        );
        assert_eq!(after.see("eth1", true, s(10)), None);
        assert_eq!(after.next_deadline(), Some(s(17)));
    }
}
