//! Destination hash: the packet's destination address alone says which server it gets. Made for clusters of
//! transparent caches, where one service stands for many addresses.
//!
//! Every destination holds the same number of buckets whatever its weight, but one of weight 0 refuses
//! what falls into its own. So a weight can change, even to 0 and back, without moving anybody.

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Scheduler};

use crate::buckets::Buckets;
use crate::hash;

/// The scheduler `dh`.
#[derive(Clone, Debug, Default)]
pub struct Dh {
    buckets: Buckets,
}

impl Scheduler for Dh {
    fn name(&self) -> &'static str {
        "dh"
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let bucket = hash::destination(arrival.packet.dst.ip.fold());
        self.buckets.eligible(bucket, dests)
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(self.clone())
    }

    fn settle(&mut self, dests: &[Dest]) {
        self.buckets.fill(dests, |_| 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, between, dest, flow};

    fn dh(dests: &[Dest]) -> Dh {
        let mut dh = Dh::default();
        dh.settle(dests);
        dh
    }

    /// Buckets A B C D E, again and again; the addresses' buckets are 136, 234, 76, 174, 124 and 208.
    #[test]
    fn addresses_go_where_the_kernel_sends_them() {
        let dests = [9, 1, 1, 0, 2].map(|weight| dest(weight, 0, 0));
        let dh = dh(&dests);
        for (address, server) in [
            ("192.168.1.1", Some(1)),
            ("192.168.1.2", Some(4)),
            ("192.168.1.3", Some(1)),
            ("10.0.0.5", Some(4)),
            ("203.0.113.7", Some(4)),
            ("198.51.100.10", None),
        ] {
            let packet = between("10.9.8.7".parse().unwrap(), address.parse().unwrap());
            assert_eq!(dh.pick(&dests, &arrival(&packet)), server, "{address}");
        }
    }

    proptest! {
        #[test]
        fn an_address_keeps_its_server_through_all_weights_but_0(
            weights in proptest::collection::vec((0..9u32, 0..9u32), 1..9),
            addresses in proptest::collection::vec(any::<u32>(), 1..40),
        ) {
            let before: Vec<_> = weights.iter().map(|&(w, _)| dest(w, 0, 0)).collect();
            let after: Vec<_> = weights.iter().map(|&(_, w)| dest(w, 0, 0)).collect();
            let (one, mut other) = (dh(&before), dh(&before).fork());
            other.settle(&after);
            for &address in &addresses {
                let old = one.pick(&before, &arrival(&flow(1, address)));
                let new = other.pick(&after, &arrival(&flow(2, address)));
                if let (Some(old), Some(new)) = (old, new) {
                    prop_assert_eq!(old, new);
                }
                prop_assert_eq!(old.is_some_and(|i| weights[i].1 == 0), old.is_some() && new.is_none());
            }
        }
    }
}
