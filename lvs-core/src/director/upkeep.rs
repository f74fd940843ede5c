//! What is due without any packet: once a second, and when servers go.

use std::sync::atomic::Ordering::Relaxed;

use super::{Director, lock};
use crate::config::empty_trash;
use crate::service::ServiceKey;
use crate::time::Time;

/// Rates are estimated every two ticks, the trash looked at every sixty (IPVS).
const ESTIMATION: u64 = 2;
const TRASH: u64 = 60;

/// Connections are looked at in so many goes, so that no shard is held for long.
const GOES: usize = 64;

impl Director {
    /// To be called once a second: expires templates, estimates rates, defends. `available_pages` is the free memory,
    /// which the defences in modes 1 and 2 go by.
    pub fn tick(&self, now: Time, available_pages: u64) {
        let tick = self.ticks.fetch_add(1, Relaxed);
        let config = self.config();
        self.templates.expire(now);
        self.expected.expire(now);
        self.defence.judge(config.sysctls(), Some(available_pages));
        self.drop_entries(now, self.seed.hash_one(tick));
        if tick.is_multiple_of(ESTIMATION) && config.sysctls().run_estimation {
            self.stats.estimate();
            for service in config.services() {
                service.live().stats().estimate();
                service
                    .dests()
                    .iter()
                    .for_each(|d| d.live().stats().estimate());
            }
        }
        if tick.is_multiple_of(TRASH) {
            empty_trash(&mut lock(&self.trash), now);
        }
    }

    /// Begins to count from zero for one service and its destinations, or for everything (ipvsadm: `-Z`).
    pub fn zero(&self, key: Option<&ServiceKey>) {
        let config = self.config();
        for service in config.services() {
            if key.is_none_or(|k| *k == service.key()) {
                service.live().stats().zero();
                service.dests().iter().for_each(|d| d.live().stats().zero());
            }
        }
        if key.is_none() {
            self.stats.zero();
        }
    }

    /// Ends the connections whose servers have been removed (IPVS, with `expire_nodest_conn`).
    pub(super) fn drop_connections_without_destination(&self) {
        for go in 0..GOES {
            for shard in self.shards.iter().chain([self.expected.shard()]) {
                lock(shard).sift(go, GOES, Time::default(), |c| !c.dest.is_available());
            }
        }
        self.templates.drop_without_destination();
    }
}
