//! Maglev hashing: a client's address says which server it gets, and few clients move when a server comes or goes.
//!
//! The table ([`maglev`]) has room by weight. A server that is quiesced keeps its slots, so that nobody but
//! its own clients notices, and gets them back: its last weight other than 0 counts. Meanwhile its clients are
//! refused, and so are those of an overloaded one, unless `mh-fallback` sends them to another. With `mh-port` the client's
//! port counts too.
//!
//! At most as many servers as there are slots take part, the oldest ones: IPVS's table, too, stays what it is when more
//! are added.

use std::net::IpAddr;
use std::sync::Arc;

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Scheduler};
use lvs_core::{Family, Ip};

use crate::flags::Flags;
use crate::hash;
use crate::maglev::{self, Member};

/// The scheduler `mh`.
#[derive(Clone, Debug)]
pub struct Mh {
    flags: Flags,
    index: usize,
    /// Positions by slot.
    table: Arc<[u32]>,
}

/// How large IPVS can be built to make its table, from index 8 on: primes.
const SLOTS: [u32; 10] = [
    251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071,
];

/// The index of the table that IPVS is built with everywhere: 4093 slots.
const DEFAULT_INDEX: usize = 12;

impl Mh {
    /// With a table of 4093 slots.
    pub fn new(flags: Flags) -> Self {
        Self::with_index(flags, DEFAULT_INDEX)
    }

    /// With a table of another size, named as in the kernel's configuration: 8 (251 slots) to 17 (131,071 slots); anything
    /// else counts as the nearest of them.
    pub fn with_index(flags: Flags, index: usize) -> Self {
        Self {
            flags,
            index: index.clamp(8, 17),
            table: Arc::default(),
        }
    }

    /// How many slots the table has.
    pub fn slots(&self) -> u32 {
        SLOTS[self.index - 8]
    }

    /// The server of the slot that this falls into, if it is open.
    fn server(&self, value: u32, dests: &[Dest]) -> Option<usize> {
        let slot = self.slot(value);
        let position = *self.table.get(slot as usize)? as usize;
        dests.get(position)?.is_eligible().then_some(position)
    }

    fn slot(&self, value: u32) -> u32 {
        hash::maglev(value) % self.slots()
    }

    /// The server of the first slot that is open, in an order of the client's own.
    fn fallback(&self, value: u32, dests: &[Dest]) -> Option<usize> {
        let home = self.slot(value);
        let others = (0..self.slots()).map(|offset| {
            let shift = (offset + home) % self.slots();
            value.wrapping_add(shift)
        });
        // While nobody is open, a new connection must not cost thousands of hashes.
        const PATIENCE: usize = 64;
        let mut others = others.map(|value| self.server(value, dests));
        if let Some(found) = others.by_ref().take(PATIENCE).flatten().next() {
            return Some(found);
        }
        let is_open = dests.iter().any(Dest::is_eligible);
        is_open.then(|| others.flatten().next()).flatten()
    }
}

impl Default for Mh {
    fn default() -> Self {
        Self::new(Flags::NONE)
    }
}

impl Scheduler for Mh {
    fn name(&self) -> &'static str {
        "mh"
    }

    fn flags(&self) -> &'static [&'static str] {
        self.flags.names(&["mh-fallback", "mh-port"])
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let port = u32::from(self.flags.client_port(arrival.packet));
        let value = arrival.packet.src.ip.fold().wrapping_add(port);
        let server = self.server(value, dests);
        match self.flags.has(Flags::FALLBACK) {
            true => server.or_else(|| self.fallback(value, dests)),
            false => server,
        }
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(self.clone())
    }

    fn settle(&mut self, dests: &[Dest]) {
        let slots = self.slots();
        let too_many = dests.len().saturating_sub(slots as usize);
        let oldest = &dests[too_many..];
        let turns = turns(oldest, self.index as u32 / 2);
        let members: Vec<_> = oldest
            .iter()
            .zip(turns)
            .map(|(dest, turns)| member(dest, turns, slots))
            .collect();
        let position = |member| match member {
            maglev::NOBODY => maglev::NOBODY,
            member => member + too_many as u32,
        };
        let table = maglev::table(&members, slots);
        self.table = table.into_iter().map(position).collect();
    }
}

fn member(dest: &Dest, turns: u32, slots: u32) -> Member {
    let family = dest.live().service().key().family();
    let value = fold_as(family, dest.addr().ip).wrapping_add(u32::from(dest.addr().port));
    Member {
        offset: hash::maglev(value) % slots,
        skip: hash::maglev_skip(value) % (slots - 1) + 1,
        turns,
    }
}

/// A server's address folded as one of the service's family (IPVS): behind a tunnel it may be of the other.
fn fold_as(family: Family, ip: Ip) -> u32 {
    match (family, IpAddr::from(ip)) {
        (Family::V4, IpAddr::V6(v6)) => {
            let [a, b, ..] = v6.segments();
            u32::from(a) << 16 | u32::from(b)
        }
        _ => ip.fold(),
    }
}

/// How many slots each claims in its turn: its last weight but 0, in lowest terms and with at most `bits` bits; but
/// nobody who has a weight gets less than 1.
fn turns(dests: &[Dest], bits: u32) -> impl Iterator<Item = u32> + '_ {
    let weights = || dests.iter().map(Dest::last_weight);
    let divisor = weights().fold(0, crate::wrr::gcd).max(1);
    let heaviest = weights().max().unwrap_or(0) / divisor;
    let shift = (u32::BITS - heaviest.leading_zeros()).saturating_sub(bits);
    weights().map(move |weight| match weight {
        0 => 0,
        weight => ((weight / divisor) >> shift).max(1),
    })
}

#[cfg(test)]
mod tests {
    use lvs_core::{Endpoint, Protocol, Segment};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, between, flow};

    fn servers(weights: &[u32]) -> Vec<Dest> {
        let service = Endpoint::new(Ip::v4([192, 0, 2, 10]), 80);
        let server = |(n, &weight): (u32, &u32)| {
            let ip = Ip::v4((0x0a00_0001 + n).to_be_bytes());
            (Endpoint::new(ip, 80), weight)
        };
        Dest::group(service, &(0..).zip(weights).map(server).collect::<Vec<_>>())
    }

    fn mh(flags: Flags, dests: &[Dest]) -> Mh {
        let mut mh = Mh::new(flags);
        mh.settle(dests);
        mh
    }

    fn shares(mh: &Mh, dests: &[Dest]) -> Vec<usize> {
        let of = |i: usize| mh.table.iter().filter(|&&p| p as usize == i).count();
        (0..dests.len()).map(of).collect()
    }

    fn from(client: &str) -> Segment {
        between(client.parse().unwrap(), Ip::v4([192, 0, 2, 10]))
    }

    #[test]
    fn permutations_are_the_kernels() {
        let dests = servers(&[1, 1, 2]);
        let members = [(3167, 700), (1231, 3544), (1631, 3453)];
        for (dest, (offset, skip)) in dests.iter().zip(members) {
            let turns = 1;
            let expected = Member {
                offset,
                skip,
                turns,
            };
            assert_eq!(member(dest, turns, 4093), expected);
        }
        assert_eq!(turns(&dests, 6).collect::<Vec<_>>(), [1, 1, 2]);
        assert_eq!(shares(&mh(Flags::NONE, &dests), &dests), [1024, 1023, 2046]);
    }

    #[test]
    fn clients_go_where_the_kernel_sends_them() {
        let dests = servers(&[1, 1, 2]);
        let without = mh(Flags::NONE, &dests);
        let with_port = mh(Flags::PORT, &dests);
        for (client, server, by_port) in [
            ("192.168.1.1", 2, Some(1)),
            ("192.168.1.2", 2, None),
            ("192.168.1.3", 2, Some(1)),
            ("10.9.8.7", 2, None),
        ] {
            let packet = from(client);
            assert_eq!(
                without.pick(&dests, &arrival(&packet)),
                Some(server),
                "{client}"
            );
            if by_port.is_some() {
                assert_eq!(
                    with_port.pick(&dests, &arrival(&packet)),
                    by_port,
                    "{client}"
                );
            }
            let esp = Segment {
                protocol: Protocol::ESP,
                ..packet
            };
            assert_eq!(
                with_port.pick(&dests, &arrival(&esp)),
                Some(server),
                "{client}"
            );
        }
        let slot = |client: &str, port| without.slot(from(client).src.ip.fold() + port);
        assert_eq!(slot("192.168.1.1", 0), 2456);
        assert_eq!(slot("192.168.1.1", 40_000), 3629);
        assert_eq!(slot("192.168.1.2", 0), 811);
        assert_eq!(slot("192.168.1.3", 0), 3321);
        assert_eq!(slot("192.168.1.3", 40_000), 2844);
        assert_eq!(slot("10.9.8.7", 0), 3544);
    }

    #[test]
    fn removing_a_server_moves_few_besides_its_own() {
        let dests = servers(&[1, 1, 2]);
        let before = mh(Flags::NONE, &dests);
        let rest = [dests[0].clone(), dests[2].clone()];
        let after = mh(Flags::NONE, &rest);
        let old = |p: u32| [0, 2][p as usize];
        let moved = { &before.table }.iter().zip(&*after.table);
        assert_eq!(moved.filter(|&(&b, &a)| b != old(a)).count(), 1026);
    }

    #[test]
    fn great_weights_are_taken_down_to_six_bits() {
        let dests = servers(&[1000, 1]);
        assert_eq!(turns(&dests, 6).collect::<Vec<_>>(), [62, 1]);
        assert_eq!(shares(&mh(Flags::NONE, &dests), &dests), [4029, 64]);
        assert_eq!(
            turns(&servers(&[30, 0, 20]), 6).collect::<Vec<_>>(),
            [3, 0, 2]
        );
    }

    #[test]
    fn a_quiesced_server_keeps_its_slots_and_one_that_never_had_weight_has_none() {
        let mut dests = servers(&[1, 1, 2, 0]);
        let before = mh(Flags::NONE, &dests);
        dests[1] = dests[1].with_weight(0);
        let mut after = before.fork();
        after.settle(&dests);
        for client in 0..2000 {
            let packet = flow(client, 1);
            let old = before.pick(&servers(&[1, 1, 2, 0]), &arrival(&packet));
            assert_eq!(
                after.pick(&dests, &arrival(&packet)),
                old.filter(|&i| i != 1)
            );
            assert_ne!(old, Some(3));
        }
        assert!(
            mh(Flags::FALLBACK, &servers(&[0, 0]))
                .pick(&dests, &arrival(&flow(1, 1)))
                .is_none()
        );
    }

    #[test]
    fn fallback_finds_an_open_server_and_gives_up_when_there_is_none() {
        let dests = servers(&[1, 1, 2]);
        let mh = mh(Flags::FALLBACK, &dests);
        let home = |client| mh.pick(&dests, &arrival(&flow(client, 1)));
        let before: Vec<_> = (0..500).map(home).collect();
        dests[2].live().set_overloaded(true);
        for (client, before) in (0..).zip(&before) {
            let after = home(client);
            assert!(after.is_some_and(|i| i != 2));
            assert!(
                *before == Some(2) || after == *before,
                "who need not move stays"
            );
        }
        dests.iter().for_each(|d| d.live().set_overloaded(true));
        assert_eq!(home(1), None);
    }

    /// A table of 251 slots and 300 servers: the newest 49 get none.
    #[test]
    fn of_more_servers_than_slots_the_oldest_take_part() {
        let dests = servers(&vec![1; 300]);
        let mut mh = Mh::with_index(Flags::NONE, 0);
        assert_eq!(mh.slots(), 251);
        mh.settle(&dests);
        assert_eq!(shares(&mh, &dests), [vec![0; 49], vec![1; 251]].concat());
        assert_eq!(Mh::with_index(Flags::NONE, 99).slots(), 131_071);
    }

    #[test]
    fn a_server_of_the_other_family_is_folded_as_one_of_the_services() {
        let v6 = "2001:db8::5:6".parse::<Ip>().unwrap();
        let v4 = Ip::v4([10, 0, 0, 1]);
        assert_eq!(fold_as(Family::V4, v6), 0x2001_0db8);
        assert_eq!(fold_as(Family::V6, v6), 0x2001_0db8 ^ 0x0005_0006);
        assert_eq!(fold_as(Family::V6, v4), 0x0a00_0001);
    }

    proptest! {
        /// Shares within 3 % of the table, and a server's going moves little else: less than the paper's figure
        /// for tables about a hundred times as large as the number of servers.
        #[test]
        fn even_shares_and_small_moves(count in 2..40usize, gone in any::<usize>()) {
            let dests = servers(&vec![1; count]);
            let before = mh(Flags::NONE, &dests);
            let even = 4093 / count;
            for share in shares(&before, &dests) {
                prop_assert!(share == even || share == even + 1);
            }
            let gone = gone % count;
            let mut rest = dests.clone();
            rest.remove(gone);
            let after = mh(Flags::NONE, &rest);
            let old = |p: u32| p as usize + usize::from(p as usize >= gone);
            let moved = before.table.iter().zip(&*after.table);
            let others = moved.filter(|&(&b, &a)| b as usize != gone && b as usize != old(a)).count();
            prop_assert!(others <= 4093 / 10, "{} of 4093", others);
        }
    }
}
