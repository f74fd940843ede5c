//! Bursts: packets that come together are decided as if they had come one by one.

use super::*;
use crate::state::State;

#[test]
fn a_whole_connection_in_one_burst() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    let burst = [
        tcp(CLIENT, VIP, ACK),
        tcp(CLIENT, VIP, SYN),
        tcp(R1, CLIENT, SYN_ACK),
        tcp(CLIENT, VIP, ACK),
        tcp(CLIENT, VIP, TcpFlags(0x18)),
        tcp(R2, CLIENT, ACK),
        tcp(R1, CLIENT, RST),
        tcp(CLIENT, VIP, SYN),
        tcp(R1, CLIENT, ACK),
        tcp(R2, CLIENT, SYN_ACK),
    ];
    let (one, two) = (to(R1), to(R2));
    let expected = [
        NO_CONNECTION,
        one,
        back(VIP),
        one,
        one,
        NOT_OURS,
        back(VIP),
        two, // R1 still counts the connection that this one replaces
        NOT_OURS,
        back(VIP),
    ];
    assert_eq!(lab.see_all(&burst), expected);
    let c = lab.connection();
    assert_eq!((c.dest, c.state), (ep(R2), State::SynRecv));
    assert_eq!((lab.counts(R1), lab.counts(R2)), ((0, 0), (1, 0)));
}

#[test]
fn a_record_used_again_within_a_burst_is_not_mistaken() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.idle(60_000);
    // The first packet frees the expired record, the second takes its place in the table (of the same shard,
    // perhaps), the others must see neither through the old look-up.
    for n in 0..200 {
        let stranger = format!("10.9.3.{}:{}", n + 1, 3000 + n);
        lab.tcp_in(SYN);
        lab.idle(60_000);
        let burst = [
            tcp(CLIENT, VIP, ACK),
            tcp(&stranger, VIP, SYN),
            tcp(CLIENT, VIP, ACK),
            tcp(R1, CLIENT, ACK),
            tcp(R1, &stranger, SYN_ACK),
        ];
        let expected = [NO_CONNECTION, to(R1), NO_CONNECTION, NOT_OURS, back(VIP)];
        assert_eq!(lab.see_all(&burst), expected);
        lab.wait(60_064);
        assert_eq!(lab.counts(R1), (0, 0));
    }
}

#[test]
fn a_burst_of_any_length_gets_as_many_verdicts() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    let mut all = Vec::new();
    for n in [0, 1, 31, 32, 33, 64, 100] {
        let burst: Vec<_> = (0..n)
            .map(|i| tcp(&format!("10.9.4.{n}:{}", 1000 + i), VIP, SYN))
            .collect();
        all.clear();
        all.push(NOT_OURS); // what was in there is replaced
        lab.workers[0].decide(lab.now, &burst, &mut all);
        assert_eq!(all, vec![to(R1); n]);
    }
    assert_eq!(lab.counts(R1), (1 + 31 + 32 + 33 + 64 + 100, 0));
}
