//! A connection's life: states, counts, timers, and what may follow it.

use super::*;
use crate::state::{State, Timeouts};

#[test]
fn counts_follow_a_connection_through_its_life() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    let steps = [
        (true, SYN, State::SynRecv, (1, 0)),
        (false, SYN_ACK, State::SynRecv, (1, 0)),
        (true, ACK, State::Established, (1, 0)),
        (false, ACK, State::Established, (1, 0)),
        (true, FIN, State::CloseWait, (0, 1)),
        (false, ACK, State::CloseWait, (0, 1)),
        (false, FIN, State::TimeWait, (0, 1)),
        (true, ACK, State::TimeWait, (0, 1)),
    ];
    for (inward, flags, state, counts) in steps {
        if inward {
            lab.tcp_in(flags);
        } else {
            lab.tcp_out(flags);
        }
        assert_eq!(lab.connection().state, state);
        assert_eq!(lab.counts(R1), counts, "{state}");
        assert_eq!(lab.connection().expires_in, Timeouts::default().of(state));
    }
    lab.wait(120_064);
    assert_eq!(lab.counts(R1), (0, 0));
    assert_eq!(lab.director.connection_count(), 0);
}

/// Brings a connection into each state that can be reached, and checks its timeout to one tick.
#[test]
fn each_state_expires_after_its_time() {
    type Step = (bool, TcpFlags);
    let ways: [(State, &[Step]); 6] = [
        (State::SynRecv, &[(true, SYN)]),
        (State::Established, &[(true, SYN), (true, ACK)]),
        (State::CloseWait, &[(true, SYN), (true, ACK), (true, FIN)]),
        (State::FinWait, &[(true, SYN), (true, ACK), (false, FIN)]),
        (
            State::TimeWait,
            &[(true, SYN), (true, ACK), (true, FIN), (false, FIN)],
        ),
        (State::Close, &[(true, SYN), (true, ACK), (true, RST)]),
    ];
    for offset in [0, 1, 63] {
        for (state, steps) in ways {
            let mut lab = Lab::tcp(Method::Nat, &[R1]);
            lab.idle(offset);
            for (inward, flags) in steps {
                if *inward {
                    lab.tcp_in(*flags);
                } else {
                    lab.tcp_out(*flags);
                }
            }
            assert_eq!(lab.connection().state, state);
            let timeout = Timeouts::default().of(state).as_millis() as u64;
            lab.wait(timeout - 1);
            assert_eq!(lab.director.connection_count(), 1, "{state} too early");
            lab.idle(1);
            assert_eq!(
                lab.connections(),
                [],
                "{state}: over, though nobody has swept"
            );
            lab.wait(64);
            assert_eq!(lab.director.connection_count(), 0, "{state} too late");
        }
    }
}

#[test]
fn every_packet_starts_the_timer_anew() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    for i in 0..20 {
        lab.wait(899_000);
        let v = if i % 2 == 0 {
            lab.tcp_in(ACK)
        } else {
            lab.tcp_out(ACK)
        };
        assert!(matches!(v, Verdict::Forward(_)), "round {i}");
    }
    lab.wait(899_999);
    assert_eq!(lab.director.connection_count(), 1);
    lab.wait(65);
    assert_eq!(lab.director.connection_count(), 0);
}

#[test]
fn a_shorter_timeout_counts_at_once() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    lab.wait(1000);
    lab.tcp_in(RST);
    assert_eq!(lab.connection().expires_in, Duration::from_secs(10));
    lab.wait(10_064);
    assert_eq!(lab.director.connection_count(), 0);
}

#[test]
fn timeouts_can_be_set() {
    let timeouts = Timeouts::default().with(State::SynRecv, Duration::from_millis(1500));
    let mut lab = Lab::with(&Settings {
        timeouts,
        ..Settings::default()
    });
    lab.serve(ServiceKey::tcp(ep(VIP)), Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.wait(1499);
    assert_eq!(lab.director.connection_count(), 1);
    lab.wait(65);
    assert_eq!(lab.director.connection_count(), 0);
}

#[test]
fn an_expired_connection_is_over_even_before_it_is_swept() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    lab.tcp_in(SYN);
    lab.idle(60_000);
    assert_eq!(lab.tcp_out(SYN_ACK), NOT_OURS);
    assert_eq!(lab.counts(R1), (0, 0));
    lab.tcp_in(SYN);
    lab.idle(60_000);
    assert_eq!(lab.tcp_in(ACK), NO_CONNECTION);
    lab.tcp_in(SYN);
    lab.idle(60_000);
    assert_eq!(lab.tcp_in(SYN), to(R1), "a new one, where the old one was");
    assert_eq!(lab.totals(R1).conns, 4);
    assert_eq!(lab.counts(R1), (1, 0));
    assert_eq!(lab.director.connection_count(), 1);
}

#[test]
fn a_closed_connection_gives_way_to_a_new_one() {
    for ending in [&[(true, FIN), (false, FIN)][..], &[(false, RST)]] {
        let mut lab = Lab::tcp(Method::Nat, &[R1]);
        lab.tcp_in(SYN);
        lab.tcp_in(ACK);
        for (inward, flags) in ending {
            if *inward {
                lab.tcp_in(*flags);
            } else {
                lab.tcp_out(*flags);
            }
        }
        assert_eq!(lab.counts(R1), (0, 1));
        lab.edit(|d| {
            d.add_dest(
                ServiceKey::tcp(ep(VIP)),
                ep(R2),
                &DestOptions::new(Method::Nat, 1),
            )
        });
        assert_eq!(lab.tcp_in(ACK), to(R1), "only a SYN opens anew");
        // While the scheduler chooses, the old connection still counts against R1.
        assert_eq!(lab.tcp_in(SYN), to(R2));
        assert_eq!((lab.counts(R1), lab.counts(R2)), ((0, 0), (1, 0)));
        assert_eq!(lab.tcp_out(ACK), NOT_OURS, "nothing is left of the old one");
        assert_eq!(lab.director.connection_count(), 1);
    }
}

#[test]
fn the_old_connection_counts_while_the_new_one_is_scheduled() {
    // R2 comes first in the list. Did the old connection not count, both would have none, and R2 be chosen
    // again.
    let mut lab = Lab::tcp(Method::Nat, &[R2, R1]);
    assert_eq!(lab.tcp_in(SYN), to(R2));
    lab.tcp_in(RST); // a reset of a half-open connection leaves it half-open
    assert_eq!(lab.counts(R2), (1, 0));
    assert_eq!(lab.see(tcp(R2, CLIENT, RST)), back(VIP));
    assert_eq!(lab.counts(R2), (0, 1));
    assert_eq!(lab.tcp_in(SYN), to(R1));
    assert_eq!((lab.counts(R2), lab.counts(R1)), ((0, 0), (1, 0)));
}

#[test]
fn a_retransmitted_syn_stays_with_its_server() {
    let mut lab = Lab::tcp(Method::Nat, &[R1, R2]);
    for _ in 0..3 {
        assert_eq!(lab.tcp_in(SYN), to(R1));
    }
    assert_eq!(lab.totals(R1).conns, 1);
    assert_eq!(lab.totals(R1).in_packets, 3);
}

#[test]
fn half_a_view_closes_in_its_own_way() {
    let mut lab = Lab::tcp(Method::DirectRoute, &[R1]);
    lab.tcp_in(SYN);
    lab.tcp_in(ACK);
    lab.tcp_in(FIN);
    assert_eq!(
        (lab.connection().state, lab.counts(R1)),
        (State::FinWait, (0, 1))
    );
    lab.tcp_in(SYN);
    assert_eq!(
        lab.connection().state,
        State::SynRecv,
        "FIN_WAIT is not taken over"
    );
    assert_eq!(lab.totals(R1).conns, 1);
    assert_eq!(lab.counts(R1), (1, 0));
}

#[test]
fn a_budget_is_kept_and_resumed() {
    let mut lab = Lab::tcp(Method::Nat, &[R1]);
    for port in 1000..1100 {
        lab.see(tcp(&format!("10.9.1.2:{port}"), VIP, SYN));
    }
    lab.idle(61_000);
    let mut rounds = 0;
    while !lab.workers[0].expire(lab.now, 10) {
        rounds += 1;
        assert!(rounds < 100);
    }
    assert!(rounds >= 9);
    assert_eq!(lab.director.connection_count(), 0);
    assert_eq!(lab.counts(R1), (0, 0));
}
