//! Source hash: a client's address alone says which server it gets, so that a client stays on its server
//! without any memory of it.
//!
//! Each destination holds buckets by its weight. A destination of weight 0 holds one too, as in IPVS; its clients are
//! refused, and so are those of an overloaded one, unless `sh-fallback` sends them to another: to that of the bucket twice
//! as far from the first as their own, or of those behind it. With `sh-port` the client's port counts too.

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Scheduler};

use crate::buckets::Buckets;
use crate::flags::Flags;
use crate::hash;

/// The scheduler `sh`.
#[derive(Clone, Debug, Default)]
pub struct Sh {
    flags: Flags,
    buckets: Buckets,
}

impl Sh {
    /// With these flags.
    pub fn new(flags: Flags) -> Self {
        Self {
            flags,
            buckets: Buckets::default(),
        }
    }
}

impl Scheduler for Sh {
    fn name(&self) -> &'static str {
        "sh"
    }

    fn flags(&self) -> &'static [&'static str] {
        self.flags.names(&["sh-fallback", "sh-port"])
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let client = arrival.packet.src.ip.fold();
        let home = hash::source(client, self.flags.client_port(arrival.packet));
        let server = |bucket| self.buckets.eligible(bucket, dests);
        let others = (0..=u8::MAX).map(|offset| home.wrapping_mul(2).wrapping_add(offset));
        server(home).or_else(|| match self.flags.has(Flags::FALLBACK) {
            true => { others }.find_map(server),
            false => None,
        })
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
    use lvs_core::{Ip, Protocol, Segment};
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

    fn with(flags: Flags, dests: &[Dest]) -> Sh {
        let mut sh = Sh::new(flags);
        sh.settle(dests);
        sh
    }

    /// The probes of the first client are buckets 136, 16, 17; those of the second 234, 212.
    #[test]
    fn fallback_goes_on_where_the_kernel_does() {
        let dests = [dest(1, 0, 0), dest(2, 0, 0), dest(0, 0, 0)];
        let down = |closed: &[usize]| {
            for (i, d) in dests.iter().enumerate() {
                d.live().set_overloaded(closed.contains(&i));
            }
        };
        let pick = |flags, client| with(flags, &dests).pick(&dests, &arrival(&from(client)));
        down(&[0, 2]);
        assert_eq!(pick(Flags::FALLBACK, "192.168.1.1"), Some(1));
        assert_eq!(pick(Flags::NONE, "192.168.1.1"), None);
        down(&[1, 2]);
        assert_eq!(pick(Flags::FALLBACK, "192.168.1.2"), Some(0));
        assert_eq!(pick(Flags::PORT, "192.168.1.2"), None);
        down(&[0, 1]);
        assert_eq!(pick(Flags::FALLBACK, "192.168.1.2"), None);
    }

    /// Without the port its buckets are 136, 234, 76, 174, 124 and 208; with port 40000 they are these.
    #[test]
    fn with_its_flag_the_port_counts_where_there_are_ports() {
        let dests: Vec<_> = (0..256).map(|_| dest(1, 0, 0)).collect();
        let sh = with(Flags::PORT, &dests);
        let pick = |packet: &Segment| sh.pick(&dests, &arrival(packet));
        for (client, bucket) in [
            ("192.168.1.1", 44),
            ("192.168.1.2", 142),
            ("192.168.1.3", 240),
            ("10.0.0.5", 82),
            ("203.0.113.7", 32),
            ("198.51.100.10", 116),
        ] {
            assert_eq!(pick(&from(client)), Some(bucket), "{client}");
        }
        let protocol = |protocol| Segment {
            protocol,
            ..from("192.168.1.1")
        };
        assert_eq!(pick(&protocol(Protocol::UDP)), Some(44));
        assert_eq!(pick(&protocol(Protocol::SCTP)), Some(44));
        assert_eq!(pick(&protocol(Protocol::ESP)), Some(136));
    }

    #[test]
    fn flags_are_listed_by_name() {
        let names = |bits| Sh::new(Flags::from_bits(bits)).flags();
        assert_eq!(names(3), ["sh-fallback", "sh-port"]);
        assert_eq!(names(2), ["sh-port"]);
        assert_eq!(names(5), ["sh-fallback"], "the third has no name");
        assert!(names(4).is_empty() && names(0).is_empty());
        assert_eq!(Sh::new(Flags::PORT).fork().flags(), ["sh-port"]);
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
