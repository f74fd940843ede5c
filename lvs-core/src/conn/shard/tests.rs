use super::*;
use crate::TcpFlags;
use crate::addr::Ip;
use crate::conn::tests::conn;
use crate::state::{State, Timeouts};

const NOW: Time = Time::from_secs(10);

/// IPVS's timeouts.
fn usual(state: State, _: &DestLive) -> Duration {
    Timeouts::default().of(state)
}

fn shard(limit: usize) -> Shard {
    Shard::new(0, 1, limit, &RandomState::with_seeds(1, 2, 3, 4))
}

/// A NAT connection of client number `client` that lasts a minute.
fn numbered(client: u16) -> Conn {
    let mut c = conn(Time::from_secs(70));
    c.client.port = client;
    c.local.port = client;
    c
}

fn addr(last: u8, first_port: u16, last_port: u16) -> LocalAddr {
    LocalAddr {
        ip: Ip::v4([10, 10, 0, last]),
        first_port,
        last_port,
    }
}

fn server(n: u16) -> Endpoint {
    Endpoint::new(Ip::v4([10, 20, 0, 1]), n)
}

fn packet(flags: TcpFlags) -> Segment {
    let c = conn(NOW);
    Segment {
        flags,
        ..Segment::new(Protocol::TCP, c.client, c.virt)
    }
}

fn find(s: &Shard, tuple: Tuple) -> Option<Found> {
    s.find(s.seed.hash_one(tuple), &tuple)
}

#[test]
fn a_limit_holds_and_refusing_leaves_no_trace() {
    let mut s = shard(2);
    for n in 0..2 {
        let mut c = numbered(n);
        c.state = State::Established;
        assert!(s.insert(c, NOW).is_some());
    }
    assert!(!s.make_room(NOW));
    let version = s.version();
    let third = numbered(2);
    let (dest, tuple) = (third.dest.clone(), third.tuple(Direction::In));
    assert!(s.insert(third, NOW).is_none());
    assert_eq!((dest.active(), dest.inactive()), (0, 0));
    assert!(find(&s, tuple).is_none());
    assert_eq!((s.len(), s.version()), (2, version));
}

#[test]
fn a_full_shard_gives_up_what_has_not_come_about() {
    let mut s = shard(2);
    let first = s.insert(numbered(0), NOW).unwrap();
    s.insert(numbered(1), NOW).unwrap();
    s.touch(
        first,
        Direction::In,
        &packet(TcpFlags::SYN),
        false,
        usual,
        NOW,
    );
    s.touch(
        first,
        Direction::In,
        &packet(TcpFlags::ACK),
        false,
        usual,
        NOW,
    );
    assert!(s.insert(numbered(2), NOW).is_some());
    assert_eq!(s.len(), 2);
    assert!(
        find(&s, numbered(0).tuple(Direction::In)).is_some(),
        "established"
    );
    assert!(
        find(&s, numbered(1).tuple(Direction::In)).is_none(),
        "half open"
    );
    s.touch(
        first,
        Direction::In,
        &packet(TcpFlags::RST),
        false,
        usual,
        NOW,
    );
    assert!(s.insert(numbered(3), NOW).is_some());
    assert!(
        find(&s, numbered(0).tuple(Direction::In)).is_none(),
        "ended"
    );
    assert!(find(&s, numbered(2).tuple(Direction::In)).is_some());
}

#[test]
fn whatever_moves_records_shows_in_the_version() {
    let mut s = shard(10);
    let before = s.version();
    let id = s.insert(numbered(1), NOW).unwrap();
    let with = s.version();
    let syn = packet(TcpFlags::SYN);
    s.touch(id, Direction::In, &syn, false, usual, NOW);
    assert_eq!(s.version(), with, "a touch moves nothing");
    s.remove(id);
    assert!(before < with && with < s.version());
    let gone = s.version();
    s.remove(id);
    assert_eq!(s.version(), gone);
}

#[test]
fn a_listing_goes_in_steps_and_skips_what_is_over() {
    let mut s = shard(100);
    for n in 0..10 {
        let mut c = numbered(n);
        if n == 4 {
            c.deadline = NOW;
        }
        s.insert(c, NOW);
    }
    let ninth = find(&s, numbered(9).tuple(Direction::In)).unwrap();
    s.remove(ninth.id);
    let (mut from, mut seen) = (0, Vec::new());
    while s.list(from, 3, NOW, &mut |c| seen.push(c.client.port)) {
        from += 3;
    }
    assert_eq!(seen, [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(from, 9);
}

#[test]
fn addresses_are_begun_with_in_turn() {
    let mut s = shard(10);
    let two = [addr(2, 1024, 1025), addr(3, 1024, 1025)];
    let mut take = |start| s.take_port(Protocol::TCP, server(80), &two, start);
    let first = take(0).unwrap().ip;
    let second = take(1).unwrap().ip;
    assert_ne!(first, second);
    assert_eq!(take(2).unwrap().ip, first);
    assert_eq!(take(4).unwrap().ip, second, "the other one has no more");
    assert_eq!(take(0), None);
    assert_eq!(s.take_port(Protocol::TCP, server(80), &[], 7), None);
}

#[test]
fn only_what_has_closed_gives_its_port_up() {
    for state in State::ALL {
        let mut s = shard(10);
        let one = [addr(2, 1024, 1024)];
        let mut c = numbered(1);
        let dest = c.dest_addr;
        c.method = Method::FullNat;
        c.local = s.take_port(Protocol::TCP, dest, &one, 0).unwrap();
        c.state = state;
        let (local, live) = (c.local, c.dest.clone());
        s.insert(c, NOW);
        let again = s.take_port(Protocol::TCP, dest, &one, 0);
        assert_eq!(again, state.is_ended().then_some(local), "{state}");
        assert_eq!(s.len(), usize::from(!state.is_ended()));
        assert_eq!(live.active() + live.inactive(), s.len() as u64);
    }
}

#[test]
fn pools_without_a_port_in_use_are_dropped_when_there_are_many() {
    let mut s = shard(10);
    let one = [addr(2, 1024, 2000)];
    let kept = s.take_port(Protocol::TCP, server(0), &one, 0).unwrap();
    for n in 1..MANY_POOLS as u16 {
        let local = s.take_port(Protocol::TCP, server(n), &one, 0).unwrap();
        s.give_port(Protocol::TCP, local, server(n));
    }
    assert_eq!(s.pools.len(), MANY_POOLS);
    s.take_port(Protocol::TCP, server(60_000), &one, 0).unwrap();
    assert_eq!(s.pools.len(), 2);
    let next = s.take_port(Protocol::TCP, server(0), &one, 0).unwrap();
    assert_ne!(next, kept, "what is in use is not forgotten");
}

/// To look through all pools for each new server would cost more the more there are.
#[test]
fn pools_in_use_are_not_looked_through_again_and_again() {
    let mut s = shard(10);
    let one = [addr(2, 1024, 2000)];
    for n in 0..MANY_POOLS as u16 + 1 {
        s.take_port(Protocol::TCP, server(n), &one, 0).unwrap();
    }
    assert_eq!(s.pools_wanted, 2 * MANY_POOLS);
    for n in 0..MANY_POOLS as u16 + 1 {
        let local = Endpoint::new(one[0].ip, 1024);
        s.give_port(Protocol::TCP, local, server(n));
    }
    for n in 0..MANY_POOLS as u16 {
        s.take_port(Protocol::UDP, server(n), &one, 0).unwrap();
    }
    assert_eq!(s.pools.len(), MANY_POOLS, "those of TCP are gone");
    assert_eq!(s.pools_wanted, 2 * (MANY_POOLS - 1));
}

#[test]
fn the_newest_of_two_that_a_server_cannot_tell_apart_stays() {
    let mut s = shard(10);
    let (older, mut newer) = (numbered(1), numbered(1));
    newer.virt.port = 81;
    newer.dest = older.dest.clone();
    let (live, reply) = (newer.dest.clone(), newer.tuple(Direction::Out));
    assert_eq!(reply, older.tuple(Direction::Out));
    s.insert(older, NOW);
    let id = s.insert(newer, NOW).unwrap();
    assert_eq!(find(&s, reply).unwrap().id, id);
    assert_eq!((s.len(), live.inactive()), (1, 1));
}

/// Connections that live long may hold the ports that come up next; those that have closed behind them must
/// still be found.
#[test]
fn the_search_for_a_closed_connection_goes_on_where_it_ended() {
    let mut s = shard(1000);
    let one = [addr(2, 1024, 1024 + 299)];
    let dest = numbered(0).dest_addr;
    for n in 0..300 {
        let mut c = numbered(n);
        c.method = Method::FullNat;
        c.local = s.take_port(Protocol::TCP, dest, &one, 0).unwrap();
        c.state = if n < 200 {
            State::Established
        } else {
            State::TimeWait
        };
        s.insert(c, NOW);
    }
    let mut take = || s.take_port(Protocol::TCP, dest, &one, 0);
    let first = (0..5).find_map(|_| take()).unwrap();
    assert_eq!(first.port, 1024 + 200);
    assert_eq!(take().unwrap().port, 1024 + 201);
}
