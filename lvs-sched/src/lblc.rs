//! Locality-based least connections: an address stays on the destination it has, so that a transparent cache sees
//! the same addresses again, unless that one is overloaded while another is idle.
//!
//! Overloaded is one with more active connections than its weight says, while some destination has less than half
//! as many as its own. (The flag of thresholds does not count for a destination that an address already has:
//! IPVS's rule.) Then, and for an address that has none, `wlc` chooses.
//!
//! What is remembered is shared by all copies, so a change of the configuration does not lose it.

use std::sync::Arc;

use lvs_core::dest::{Dest, DestLive};
use lvs_core::sched::{Arrival, Edit, Scheduler};

use crate::aged::Shared;
use crate::index::Indexed;
use crate::least::{self, Best};
use crate::tree::Summary;
use crate::wlc::FewestForWeight;

/// The scheduler `lblc`.
#[derive(Debug, Default)]
pub struct Lblc {
    cache: Shared<Place>,
    loads: Loads,
}

impl Scheduler for Lblc {
    fn name(&self) -> &'static str {
        "lblc"
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let mut cache = self.cache.lock();
        let (addr, now) = (arrival.packet.dst.ip, arrival.now);
        cache.check(now, arrival.lblc_expiration);
        if let Some(place) = cache.get(addr, now)
            && let Some(position) = place.position(dests)
            && dests[position].weight() > 0
            && !self.loads.is_overloaded(dests, position)
        {
            return Some(position);
        }
        let position = self.loads.least(dests)?;
        cache.insert(addr, now, Place::new(dests, position));
        Some(position)
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(Self {
            cache: self.cache.clone(),
            loads: Loads::default(),
        })
    }

    fn foresee(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let copy = Self {
            cache: self.cache.excerpt(arrival.packet.dst.ip, arrival.now),
            loads: Loads::default(),
        };
        copy.pick(dests, arrival)
    }

    fn edited(&mut self, _dests: &[Dest], _edit: Edit) {
        self.loads = Loads::default();
    }

    fn settle(&mut self, _dests: &[Dest]) {
        self.loads = Loads::default();
    }
}

/// A remembered destination, and where it stood when it was last looked for.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) live: Arc<DestLive>,
    position: usize,
}

impl Place {
    pub(crate) fn new(dests: &[Dest], position: usize) -> Self {
        Self {
            live: dests[position].live().clone(),
            position,
        }
    }

    /// Where it stands now, unless it has been removed. Lists change a little at a time, so it is looked for around where
    /// it stood.
    pub(crate) fn position(&mut self, dests: &[Dest]) -> Option<usize> {
        let is_here = |&i: &usize| dests.get(i).is_some_and(|d| d.live().is(&self.live));
        if !self.live.is_available() {
            return None;
        }
        if is_here(&self.position) {
            return Some(self.position);
        }
        let near = self.position;
        let around = (1..=dests.len().max(near))
            .flat_map(|step| [near.checked_sub(step), near.checked_add(step)]);
        self.position = around.flatten().find(is_here)?;
        Some(self.position)
    }
}

/// The loads of a service's destinations, in one index.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    index: Indexed<(Best<FewestForWeight>, Spare)>,
}

impl Loads {
    /// What `wlc` chooses.
    pub(crate) fn least(&self, dests: &[Dest]) -> Option<usize> {
        let best = self.index.ask(dests, |tree| tree.whole().0.position());
        best.unwrap_or_else(|| least::walk::<FewestForWeight>(dests))
    }

    /// Whether the destination at this position has more to do than it should, while another has less.
    pub(crate) fn is_overloaded(&self, dests: &[Dest], position: usize) -> bool {
        let dest = &dests[position];
        if dest.active() <= u64::from(dest.weight()) {
            return false;
        }
        let spare = self.index.ask(dests, |tree| tree.whole().1.0);
        spare.unwrap_or_else(|| dests.iter().any(has_spare))
    }
}

/// Whether somebody has less than half as many active connections as its weight says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spare(bool);

fn has_spare(dest: &Dest) -> bool {
    dest.active().saturating_mul(2) < u64::from(dest.weight())
}

impl Summary for Spare {
    const NONE: Self = Self(false);

    fn of(dest: &Dest, _position: u32) -> Self {
        Self(has_spare(dest))
    }

    fn join(before: Self, after: Self) -> Self {
        Self(before.0 || after.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lvs_core::{Ip, Segment, Time};

    use super::*;
    use crate::testing::{arrival, between, dest};

    fn to(address: u8) -> Segment {
        between(Ip::v4([10, 9, 8, 7]), Ip::v4([192, 0, 2, address]))
    }

    fn pick(lblc: &dyn Scheduler, dests: &[Dest], address: u8) -> Option<usize> {
        lblc.pick(dests, &arrival(&to(address)))
    }

    #[test]
    fn an_address_stays_where_it_is_though_another_is_less_busy() {
        let dests = [dest(5, 0, 0), dest(5, 0, 0)];
        let lblc = Lblc::default();
        assert_eq!(pick(&lblc, &dests, 1), Some(0));
        dests[0].live().set_counts(5, 0);
        assert_eq!(pick(&lblc, &dests, 1), Some(0), "as many as its weight");
        assert_eq!(pick(&lblc, &dests, 2), Some(1), "another address");
    }

    #[test]
    fn it_moves_only_when_one_has_too_many_and_another_less_than_half() {
        let dests = [dest(5, 0, 0), dest(5, 0, 0)];
        let lblc = Lblc::default();
        pick(&lblc, &dests, 1);
        dests[0].live().set_counts(6, 0);
        dests[1].live().set_counts(3, 0);
        assert_eq!(pick(&lblc, &dests, 1), Some(0), "nobody has less than half");
        dests[1].live().set_counts(2, 0);
        assert_eq!(pick(&lblc, &dests, 1), Some(1));
        dests[0].live().set_counts(0, 0);
        assert_eq!(pick(&lblc, &dests, 1), Some(1), "and stays there");
    }

    #[test]
    fn thresholds_do_not_count_for_a_server_it_has() {
        let dests = [dest(5, 0, 0), dest(5, 9, 0)];
        let lblc = Lblc::default();
        pick(&lblc, &dests, 1);
        dests[0].live().set_overloaded(true);
        assert_eq!(pick(&lblc, &dests, 1), Some(0));
        assert_eq!(pick(&lblc, &dests, 2), Some(1));
        let quiesced = [dests[0].with_weight(0), dests[1].clone()];
        assert_eq!(pick(&lblc, &quiesced, 1), Some(1));
    }

    #[test]
    fn copies_share_what_is_remembered_and_find_it_where_it_stands_now() {
        let dests: Vec<_> = (0..9).map(|n| dest(5, n + 1, 0)).collect();
        let lblc = Lblc::default();
        dests[5].live().set_counts(0, 0);
        assert_eq!(pick(&lblc, &dests, 1), Some(5));
        dests[5].live().set_counts(3, 0);
        let fork = lblc.fork();
        let longer = [&[dest(5, 0, 0)], &dests[..]].concat();
        assert_eq!(pick(&*fork, &longer, 1), Some(6));
        assert_eq!(pick(&*fork, &dests[3..], 1), Some(2));
        assert_eq!(pick(&*fork, &dests[5..6], 1), Some(0));
        assert_eq!(pick(&*fork, &dests[..5], 1), Some(0), "it is gone");
        assert_eq!(pick(&*fork, &[], 1), None);
    }

    #[test]
    fn an_address_is_forgotten_when_nobody_asks_for_it() {
        let dests = [dest(5, 0, 0), dest(5, 0, 0)];
        let lblc = Lblc::default();
        let at = |seconds, expiration| {
            let packet = to(1);
            let arrival = Arrival {
                lblc_expiration: Duration::from_secs(expiration),
                ..Arrival::new(&packet, Time::from_secs(seconds))
            };
            lblc.pick(&dests, &arrival)
        };
        assert_eq!(at(0, 600), Some(0));
        dests[0].live().set_counts(1, 0);
        assert_eq!(at(1300, 600), Some(0), "checked after half an hour");
        assert_eq!(at(1801, 600), Some(0), "not long enough");
        assert_eq!(at(3601, 600), Some(1));
    }
}
