//! Locality-based least connections with replication: an address has a set of destinations, and of those the one that
//! `wlc` would choose. When that one is overloaded (in the sense of [`lblc`](crate::lblc)), the least busy of all joins
//! the set. A set that has not changed for as long as `lblcr_expiration` loses its busiest member.
//!
//! What is remembered is shared by all copies, so a change of the configuration does not lose it.

use lvs_core::Time;
use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Edit, Scheduler};

use crate::aged::Shared;
use crate::lblc::{Loads, Place};
use crate::least::{Rank, Rule as _};
use crate::load::overhead;
use crate::wlc::FewestForWeight;

/// The scheduler `lblcr`.
#[derive(Debug, Default)]
pub struct Lblcr {
    cache: Shared<Set>,
    loads: Loads,
}

impl Scheduler for Lblcr {
    fn name(&self) -> &'static str {
        "lblcr"
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let mut cache = self.cache.lock();
        let (addr, now) = (arrival.packet.dst.ip, arrival.now);
        cache.check(now, arrival.lblcr_expiration);
        let Some(set) = cache.get(addr, now) else {
            let position = self.loads.least(dests)?;
            cache.insert(addr, now, Set::new(dests, position, now));
            return Some(position);
        };
        let least = set.least(dests);
        if set.members.len() > 1 && now > set.changed + arrival.lblcr_expiration {
            set.remove_busiest(dests, now);
        }
        if let Some(position) = least
            && !self.loads.is_overloaded(dests, position)
        {
            return Some(position);
        }
        let position = self.loads.least(dests)?;
        set.add(dests, position, now);
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

/// The destinations of one address.
#[derive(Clone, Debug)]
struct Set {
    /// The newest last; the newest is the first to be looked at.
    members: Vec<Place>,
    changed: Time,
}

impl Set {
    fn new(dests: &[Dest], position: usize, now: Time) -> Self {
        Self {
            members: vec![Place::new(dests, position)],
            changed: now,
        }
    }

    fn add(&mut self, dests: &[Dest], position: usize, now: Time) {
        let new = Place::new(dests, position);
        if !{ &self.members }.iter().any(|old| old.live.is(&new.live)) {
            self.members.push(new);
            self.changed = now;
        }
    }

    /// The eligible member with the least overhead for its weight.
    fn least(&mut self, dests: &[Dest]) -> Option<usize> {
        let (mut best, mut position) = (Rank::NEVER, None);
        for member in self.members.iter_mut().rev() {
            let Some(i) = member.position(dests) else {
                continue;
            };
            let rank = FewestForWeight::rank(&dests[i]);
            if rank.beats(best) {
                (best, position) = (rank, Some(i));
            }
        }
        position
    }

    /// Takes out the member with the most overhead for its weight, be it eligible or not. Those of weight 0 stay.
    fn remove_busiest(&mut self, dests: &[Dest], now: Time) {
        let mut busiest: Option<(Rank, usize)> = None;
        for (i, member) in self.members.iter_mut().enumerate().rev() {
            let configured = member.position(dests).map(|p| dests[p].weight());
            let weight = configured.unwrap_or_else(|| member.live.weight());
            let rank = Rank::new(overhead(&member.live), weight);
            if weight > 0 && busiest.is_none_or(|(most, _)| most.beats(rank)) {
                busiest = Some((rank, i));
            }
        }
        if let Some((_, i)) = busiest {
            self.members.remove(i);
            self.changed = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{arrival, dest, packet};

    fn pick(lblcr: &dyn Scheduler, dests: &[Dest], seconds: u64) -> Option<usize> {
        let packet = packet();
        let arrival = Arrival {
            now: Time::from_secs(seconds),
            lblcr_expiration: Duration::from_secs(100),
            ..arrival(&packet)
        };
        lblcr.pick(dests, &arrival)
    }

    /// A set of the first two servers, the second having joined at 1 s; the third has nothing to do.
    fn of_two(dests: &[Dest; 3]) -> Lblcr {
        let lblcr = Lblcr::default();
        dests[2].live().set_counts(9, 0);
        assert_eq!(pick(&lblcr, dests, 0), Some(0));
        dests[0].live().set_counts(6, 0);
        assert_eq!(
            pick(&lblcr, dests, 1),
            Some(1),
            "the first has more than its weight"
        );
        dests[2].live().set_counts(0, 0);
        lblcr
    }

    fn servers() -> [Dest; 3] {
        [dest(5, 0, 0), dest(5, 0, 0), dest(5, 0, 0)]
    }

    #[test]
    fn the_least_busy_of_its_set_serves_an_address() {
        let dests = servers();
        let lblcr = of_two(&dests);
        dests[0].live().set_counts(3, 0);
        dests[1].live().set_counts(4, 0);
        assert_eq!(
            pick(&lblcr, &dests, 2),
            Some(0),
            "the third is idle, but of no concern"
        );
        dests[1].live().set_counts(3, 0);
        assert_eq!(
            pick(&lblcr, &dests, 2),
            Some(1),
            "of equals the one that joined last"
        );
        let fork = lblcr.fork();
        assert_eq!(pick(&*fork, &dests, 2), Some(1), "copies share the sets");
    }

    #[test]
    fn when_all_of_the_set_are_overloaded_another_joins() {
        let dests = servers();
        let lblcr = of_two(&dests);
        dests[1].live().set_counts(7, 0);
        assert_eq!(pick(&lblcr, &dests, 2), Some(2));
        dests[2].live().set_counts(5, 0);
        assert_eq!(pick(&lblcr, &dests, 3), Some(2), "it stays in the set");
    }

    #[test]
    fn the_overloaded_flag_and_weight_0_count() {
        let dests = servers();
        let lblcr = of_two(&dests);
        dests[0].live().set_counts(0, 0);
        dests[0].live().set_overloaded(true);
        assert_eq!(pick(&lblcr, &dests, 2), Some(1));
        let quiesced = [dests[0].clone(), dests[1].with_weight(0), dests[2].clone()];
        assert_eq!(pick(&lblcr, &quiesced, 2), Some(2));
    }

    #[test]
    fn an_unchanged_set_loses_its_busiest_one_at_a_time() {
        let dests = servers();
        let lblcr = of_two(&dests);
        dests[1].live().set_counts(2, 0);
        dests[0].live().set_counts(1, 0);
        assert_eq!(pick(&lblcr, &dests, 101), Some(0), "not longer than 100 s");
        dests[0].live().set_counts(3, 0);
        assert_eq!(pick(&lblcr, &dests, 102), Some(1), "and the first goes");
        dests[0].live().set_counts(0, 0);
        assert_eq!(pick(&lblcr, &dests, 103), Some(1));
        assert_eq!(pick(&lblcr, &dests, 300), Some(1), "the last one stays");
    }

    #[test]
    fn of_two_equally_busy_the_one_that_joined_last_goes() {
        let dests = servers();
        let lblcr = of_two(&dests);
        dests[0].live().set_counts(2, 0);
        dests[1].live().set_counts(2, 0);
        assert_eq!(pick(&lblcr, &dests, 102), Some(1));
        assert_eq!(pick(&lblcr, &dests, 103), Some(0));
    }

    #[test]
    fn the_one_that_goes_still_serves_this_time() {
        let dests = servers();
        let lblcr = of_two(&dests);
        dests[1].live().set_counts(2, 0);
        dests[0].live().set_counts(9, 0);
        dests[0].live().set_overloaded(true);
        let only = [dests[0].with_weight(0), dests[1].clone(), dests[2].clone()];
        assert_eq!(
            pick(&lblcr, &only, 102),
            Some(1),
            "the busiest with a weight, and the only one open"
        );
        dests[2].live().set_counts(1, 0);
        assert_eq!(
            pick(&lblcr, &only, 103),
            Some(2),
            "it is no longer in the set"
        );
    }
}
