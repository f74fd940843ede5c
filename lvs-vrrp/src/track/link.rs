//! Whether a network interface can be relied on.
//!
//! Problem: a port of a switch that flaps, or a bond that changes its active port, would put routers in fault and take them out
//! again each time.
//!
//! Rule: an interface is good while it is up and running. With keepalived's `interface_up_down_delays` it must have been so,
//! or not, for a while before that counts; how it is found at the start counts at once.

use std::time::Duration;

use super::debounce::Debounce;
use crate::Time;
use crate::status::ObjectState;

/// How long a link must have been as it is before that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkDelays {
    /// Up.
    pub up: Duration,
    /// Down.
    pub down: Duration,
}

/// A network interface that is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    delays: LinkDelays,
    debounce: Debounce,
}

impl Link {
    /// One that has not been looked at.
    pub fn new(delays: LinkDelays) -> Self {
        let debounce = Debounce::default();
        Self { delays, debounce }
    }

    /// Other delays, for changes from now on.
    pub fn set_delays(&mut self, delays: LinkDelays) {
        self.delays = delays;
    }

    /// How it is.
    pub fn state(&self) -> ObjectState {
        super::state(self.debounce.counts())
    }

    /// When [`Link::tick`] has something to do.
    pub fn deadline(&self) -> Option<Time> {
        self.debounce.deadline()
    }

    /// It is seen to be up and running, or not to be. Returns how it is from now on, if that has changed.
    pub fn see(&mut self, up: bool, now: Time) -> Option<ObjectState> {
        let delay = if up { self.delays.up } else { self.delays.down };
        let changed = self.debounce.see(up, delay, now);
        changed.map(|up| super::state(Some(up)))
    }

    /// Time has passed. Returns how it is from now on, if that has changed.
    pub fn tick(&mut self, now: Time) -> Option<ObjectState> {
        let changed = self.debounce.tick(now);
        changed.map(|up| super::state(Some(up)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectState::{Bad, Good, Unknown};

    const S: Duration = Duration::from_secs(1);

    fn link() -> Link {
        Link::new(LinkDelays {
            up: 5 * S,
            down: 2 * S,
        })
    }

    #[test]
    fn what_is_found_counts_at_once() {
        for (up, state) in [(true, Good), (false, Bad)] {
            let mut link = link();
            assert_eq!((link.state(), link.deadline()), (Unknown, None));
            assert_eq!(link.see(up, S), Some(state));
            assert_eq!((link.state(), link.deadline()), (state, None));
        }
    }

    #[test]
    fn a_short_while_does_not_count() {
        let mut link = link();
        link.see(true, S);
        assert_eq!(link.see(false, 10 * S), None);
        assert_eq!(link.see(false, 11 * S), None, "seen twice");
        assert_eq!(link.deadline(), Some(12 * S));
        assert_eq!(link.tick(11 * S), None);
        assert_eq!(link.see(true, 11 * S), None);
        assert_eq!((link.tick(100 * S), link.state()), (None, Good));
        assert_eq!(link.deadline(), None);
    }

    #[test]
    fn a_long_one_does() {
        let mut link = link();
        link.see(true, S);
        link.see(false, 10 * S);
        assert_eq!(link.tick(12 * S), Some(Bad));
        assert_eq!(link.state(), Bad);
        assert_eq!(link.see(true, 20 * S), None);
        assert_eq!(link.deadline(), Some(25 * S));
        assert_eq!(link.tick(25 * S), Some(Good));
        assert_eq!(link.tick(26 * S), None);
    }

    #[test]
    fn without_delays_everything_counts() {
        let mut link = Link::default();
        assert_eq!(link.see(true, S), Some(Good));
        assert_eq!(link.see(false, S), Some(Bad));
        assert_eq!(link.see(false, S), None);
        assert_eq!(link.see(true, S), Some(Good));
        link.set_delays(LinkDelays { up: S, down: S });
        assert_eq!(link.see(false, 2 * S), None);
        assert_eq!(link.tick(3 * S), Some(Bad));
    }
}
