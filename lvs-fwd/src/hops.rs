//! The next hops most recently used, so that few packets pay for a walk through the tables.
//!
//! Servers are few, and a burst's packets mostly go to the same ones. So each worker remembers a fixed number
//! of addresses that were ready to be sent to, each in the one place that its hash names, and forgets them all
//! when the topology changes.

use std::sync::Arc;

use lvs_core::Ip;

use crate::route::{NextHop, Resolution, Topology};

const PLACES: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Hops {
    /// What is remembered is true of this topology.
    of: Arc<Topology>,
    known: Vec<Option<(Ip, NextHop)>>,
}

impl Hops {
    /// To be called before [`Self::resolve`] when the topology may have changed.
    pub(crate) fn follow(&mut self, topology: &Arc<Topology>) {
        if self.known.is_empty() || !Arc::ptr_eq(&self.of, topology) {
            self.of = topology.clone();
            self.known.clear();
            self.known.resize(PLACES, None);
        }
    }

    /// As [`Topology::resolve`] of the topology last followed.
    #[inline]
    pub(crate) fn resolve(&mut self, dst: &Ip) -> Resolution {
        let hash = dst.fold().wrapping_mul(0x9e37_79b1);
        let place = self.known.get_mut(hash as usize >> 24 & (PLACES - 1));
        if let Some(Some((ip, hop))) = place.as_deref()
            && ip == dst
        {
            return Resolution::Ready(*hop);
        }
        let resolution = self.of.resolve(*dst);
        if let (Some(place), Resolution::Ready(hop)) = (place, resolution) {
            *place = Some((*dst, hop));
        }
        resolution
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PortId;
    use crate::route::{Interface, Mac, Route};

    fn topology(last_byte: u8) -> Arc<Topology> {
        let mut t = Topology::builder();
        t.interface(Interface {
            port: PortId(0),
            ifindex: 1,
            name: "a".to_owned(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            addrs: Vec::new(),
        });
        t.route(Route {
            dst: Ip::v4([10, 0, 0, 0]),
            prefix_len: 8,
            metric: 0,
            ifindex: 1,
            gateway: None,
            prefsrc: None,
            mtu: None,
        });
        for i in 0..=255 {
            for j in 0..4 {
                let mac = Mac([2, 1, 0, i, j, last_byte]);
                t.neighbour(1, Ip::v4([10, 0, j, i]), mac);
            }
        }
        Arc::new(t.build())
    }

    /// More addresses than places, some of them unknown, through two topologies.
    #[test]
    fn says_what_the_topology_says() {
        let mut hops = Hops::default();
        for t in [topology(1), topology(2)] {
            hops.follow(&t);
            for round in 0..2 {
                for i in 0..=255 {
                    for ip in [[10, 0, i % 5, i], [10, 0, 1, i], [11, 0, 0, i]].map(Ip::v4) {
                        assert_eq!(hops.resolve(&ip), t.resolve(ip), "{ip}, round {round}");
                    }
                }
            }
        }
    }
}
