//! Source hash: a client's address alone says which server it gets, so that a client stays on its server
//! without any memory of it.
//!
//! Each destination holds buckets by its weight. A destination of weight 0 holds one too, as in IPVS;
//! its clients are refused. (IPVS's flags `sh-port` and `sh-fallback` are not there yet.)

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Scheduler};

use crate::buckets::Buckets;
use crate::hash;

/// The scheduler `sh`.
#[derive(Clone, Debug, Default)]
pub struct Sh {
    buckets: Buckets,
}

impl Scheduler for Sh {
    fn name(&self) -> &'static str {
        "sh"
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let bucket = hash::source(arrival.packet.src.ip.fold(), 0);
        self.buckets.eligible(bucket, dests)
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(self.clone())
    }

    fn settle(&mut self, dests: &[Dest]) {
        self.buckets.fill(dests, Dest::weight);
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::{Ip, Segment};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, between, dest, flow, packet};

    fn sh(dests: &[Dest]) -> Sh {
        let mut sh = Sh::default();
        sh.settle(dests);
        sh
    }

    fn from(client: &str) -> Segment {
        between(client.parse().unwrap(), Ip::v4([192, 0, 2, 10]))
    }

    /// Buckets A B B C, again and again; the clients' buckets are 136, 234, 76 and 208.
    #[test]
    fn clients_go_where_the_kernel_sends_them() {
        let dests = [dest(1, 0, 0), dest(2, 0, 0), dest(0, 0, 0)];
        let sh = sh(&dests);
        assert_eq!(sh.pick(&dests, &arrival(&from("192.168.1.1"))), Some(0));
        assert_eq!(sh.pick(&dests, &arrival(&from("192.168.1.2"))), Some(1));
        assert_eq!(sh.pick(&dests, &arrival(&from("192.168.1.3"))), Some(0));
        assert_eq!(sh.pick(&dests, &arrival(&from("198.51.100.10"))), Some(0));
    }

    #[test]
    fn the_clients_of_a_closed_server_are_refused_and_nobody_else_moves() {
        let open = [dest(1, 0, 0), dest(1, 0, 0)];
        let closed = [open[0].clone(), open[1].with_weight(0)];
        let (before, after) = (sh(&open), sh(&closed));
        for client in 0..1000 {
            let packet = flow(client, 1);
            let server = before.pick(&open, &arrival(&packet));
            assert_eq!(
                after.pick(&closed, &arrival(&packet)),
                server.filter(|&i| i == 0)
            );
        }
    }

    #[test]
    fn neither_ports_nor_the_destination_count() {
        let dests: Vec<_> = (0..50).map(|_| dest(1, 0, 0)).collect();
        let sh = sh(&dests);
        let mut other = packet();
        other.src.port ^= 1;
        other.dst.port ^= 1;
        other.dst.ip = Ip::v4([10, 9, 8, 7]);
        assert_eq!(
            sh.pick(&dests, &arrival(&packet())),
            sh.pick(&dests, &arrival(&other))
        );
    }

    proptest! {
        #[test]
        fn a_client_gets_the_same_server_from_every_copy(
            weights in proptest::collection::vec(0..9u32, 1..9),
            clients in proptest::collection::vec(any::<u32>(), 1..40),
        ) {
            let dests: Vec<_> = weights.iter().map(|&w| dest(w, 0, 0)).collect();
            let one = sh(&dests);
            let first: Vec<_> = clients.iter().map(|&c| one.pick(&dests, &arrival(&flow(c, 1)))).collect();
            let mut other = one.fork();
            other.settle(&dests);
            let again: Vec<_> = clients.iter().map(|&c| other.pick(&dests, &arrival(&flow(c, 2)))).collect();
            prop_assert_eq!(first, again);
        }
    }
}
