//! In which order services and servers stand.

use std::cmp::Reverse;

use crate::control::table::{Counters, Key, Server, Service};

/// What they are sorted by: numbers from the greatest on, names from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// New connections a second.
    Cps,
    /// Packets a second, both ways.
    Pps,
    /// Bits a second, both ways.
    Bps,
    /// Connections there are.
    Conns,
    /// Protocol and address, marks last.
    Name,
}

impl Sort {
    pub(super) const ALL: [Self; 5] = [Self::Cps, Self::Pps, Self::Bps, Self::Conns, Self::Name];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cps => "cps",
            Self::Pps => "pps",
            Self::Bps => "bps",
            Self::Conns => "conns",
            Self::Name => "name",
        }
    }

    /// The one so many places further on, round and round.
    pub(super) fn step(self, by: usize) -> Self {
        let all = Self::ALL;
        let place = all.iter().position(|sort| *sort == self).unwrap_or(0);
        all[(place + by) % all.len()]
    }

    pub(super) fn services(self, services: &mut [&Service]) {
        services.sort_by_cached_key(|service| {
            let value = self.value(&service.rates, connections(service));
            (Reverse(value), name(&service.key))
        });
    }

    pub(super) fn servers(self, servers: &mut [&Server]) {
        servers.sort_by_key(|server| {
            let value = self.value(&server.rates, server.active.saturating_add(server.inactive));
            (Reverse(value), server.endpoint())
        });
    }

    fn value(self, rates: &Counters, connections: u64) -> u64 {
        match self {
            Self::Cps => rates.conns,
            Self::Pps => rates.in_packets.saturating_add(rates.out_packets),
            Self::Bps => rates.in_bytes.saturating_add(rates.out_bytes),
            Self::Conns => connections,
            Self::Name => 0,
        }
    }
}

fn connections(service: &Service) -> u64 {
    let each = service
        .servers
        .iter()
        .map(|s| s.active.saturating_add(s.inactive));
    each.fold(0, u64::saturating_add)
}

fn name(key: &Key) -> impl Ord + use<> {
    match key {
        Key::Tcp(a) => (0, Some((a.address, a.port)), 0, false),
        Key::Udp(a) => (1, Some((a.address, a.port)), 0, false),
        Key::Sctp(a) => (2, Some((a.address, a.port)), 0, false),
        Key::Fwm(m) => (3, None, m.mark, m.ipv6),
    }
}
