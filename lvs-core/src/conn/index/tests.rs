use proptest::prelude::*;

use super::*;
use crate::conn::Conn;
use crate::conn::tests::conn;
use crate::time::Time;

const DIRECTIONS: [Direction; 2] = [Direction::In, Direction::Out];

fn seed() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

/// A connection of client number `client` to server number `server`.
fn numbered(client: u16, server: u16) -> Conn {
    let mut c = conn(Time::default());
    c.client.port = client;
    c.local.port = client;
    c.dest_addr.port = server;
    c
}

struct Table(Index, Slab);

impl Table {
    fn add(&mut self, c: Conn) -> Id {
        let id = self.1.insert(c).unwrap();
        for d in DIRECTIONS {
            self.0.insert(id, d, &self.1, &seed());
        }
        id
    }

    fn drop(&mut self, id: Id) {
        for d in DIRECTIONS {
            let hash = self.1.get(id).map_or(0, |c| seed().hash_one(c.tuple(d)));
            self.0.remove(id, d, hash);
        }
        self.1.remove(id);
    }

    fn find(&self, tuple: Tuple) -> Option<(Id, Direction)> {
        self.0.find(seed().hash_one(tuple), &tuple, &self.1)
    }
}

proptest! {
    /// Every connection is found by both its tuples, and those taken out by neither, whatever the order.
    #[test]
    fn finds_what_is_there_and_nothing_else(
        clients in prop::collection::btree_set(any::<u16>(), 0..300),
        out in prop::collection::vec(any::<bool>(), 300),
    ) {
        let mut table = Table(Index::default(), Slab::default());
        let ids: Vec<_> = clients.iter().map(|&c| (table.add(numbered(c, 80)), c)).collect();
        for ((id, _), _) in ids.iter().zip(&out).filter(|(_, out)| **out) {
            table.drop(*id);
        }
        for ((id, client), out) in ids.iter().zip(&out) {
            for d in DIRECTIONS {
                let found = table.find(numbered(*client, 80).tuple(d));
                prop_assert_eq!(found, (!out).then_some((*id, d)));
                let mut udp = numbered(*client, 80).tuple(d);
                udp.protocol = Protocol::UDP;
                prop_assert_eq!(table.find(udp), None);
            }
        }
    }
}

#[test]
fn of_two_alike_the_one_meant_is_removed() {
    let mut table = Table(Index::default(), Slab::default());
    for _ in 0..2 {
        let [a, b] = [0, 0].map(|_| table.add(numbered(1, 80)));
        table.drop(a);
        for d in DIRECTIONS {
            assert_eq!(table.find(numbered(1, 80).tuple(d)), Some((b, d)));
        }
        table.drop(b);
        assert_eq!(table.find(numbered(1, 80).tuple(Direction::In)), None);
    }
}

/// Each bit of a tuple counts, in IPv6 also those of the first words (which IPv4 has in common).
#[test]
fn every_part_of_a_tuple_is_hashed() {
    let e = |s: &str| s.parse::<Endpoint>().unwrap();
    let four = Tuple {
        protocol: Protocol::TCP,
        src: e("10.9.1.2:40000"),
        dst: e("10.9.0.100:80"),
    };
    let six = Tuple {
        src: e("[fd00:1::2]:40000"),
        dst: e("[fd00:9::100]:80"),
        ..four
    };
    for (tuple, bits) in [(four, 96..128), (six, 0..128)] {
        let mut seen = std::collections::HashSet::from([seed().hash_one(tuple)]);
        let mut fresh = |t: Tuple| assert!(seen.insert(seed().hash_one(t)), "{t:?}");
        let flip = |ip: Ip, bit: usize| {
            let mut bytes = *ip.bytes();
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            Ip::v6(bytes)
        };
        for bit in bits {
            let (mut a, mut b) = (tuple, tuple);
            a.src.ip = flip(a.src.ip, bit);
            b.dst.ip = flip(b.dst.ip, bit);
            fresh(a);
            fresh(b);
        }
        for bit in 0..16 {
            let (mut a, mut b) = (tuple, tuple);
            a.src.port ^= 1 << bit;
            b.dst.port ^= 1 << bit;
            fresh(a);
            fresh(b);
        }
        fresh(Tuple {
            protocol: Protocol::UDP,
            ..tuple
        });
    }
}

#[test]
fn connections_spread_over_the_parts() {
    let mut count = [0u32; PARTS];
    for client in 0..64_000 {
        let tuple = numbered(client, 80).tuple(Direction::In);
        count[part(seed().hash_one(tuple))] += 1;
    }
    assert!(count.iter().all(|n| (25..120).contains(n)), "{count:?}");
}
