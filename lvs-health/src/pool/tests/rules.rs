//! The rules one by one.

use super::*;

/// The live weights in turn, by servers of weight 1 going up and down one by one: whether the quorum is there after each.
fn quorum_at(settings: Settings<u32>, all: u32, lives: &[u32]) -> Vec<bool> {
    let (mut pool, _) = Pool::new(settings, servers(&vec![1; all as usize], ALPHA));
    let mut at = 0;
    let mut seen = Vec::new();
    for &live in lives {
        while at < live {
            turn(&mut pool, at, true);
            at += 1;
        }
        while at > live {
            at -= 1;
            turn(&mut pool, at, false);
        }
        assert_eq!(pool.tally().live, u64::from(live));
        seen.push(pool.quorum());
    }
    seen
}

#[test]
fn quorum_has_hysteresis() {
    let lives = [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 2, 3, 4, 0];
    let f = false;
    let expected = [f, f, f, f, true, true, true, true, true, f, f, f, true, f];
    assert_eq!(quorum_at(quorum(3, 1), 5, &lives), expected);
    assert_eq!(
        quorum_at(quorum(1, 0), 5, &[0, 1, 0, 5, 1, 0]),
        [f, true, f, true, true, f]
    );
    // Q=2, H=1: 3 gains, 1 stays, 0 loses.
    assert_eq!(
        quorum_at(quorum(2, 1), 5, &[2, 3, 1, 0, 2]),
        [f, true, true, f, f]
    );
}

#[test]
fn a_quorum_that_is_too_much_is_all() {
    let tally = |settings, weights: &[u32]| {
        let tally = Pool::new(settings, servers(weights, UP)).0.tally();
        (tally.quorum, tally.hysteresis, tally.live)
    };
    assert_eq!(tally(quorum(3, 1), &[1, 5]), (3, 1, 6));
    assert_eq!(tally(quorum(9, 1), &[1, 5]), (6, 1, 6));
    assert_eq!(tally(quorum(9, 9), &[1, 5]), (6, 5, 6));
    assert_eq!(tally(quorum(0, 0), &[1, 5]), (1, 0, 6));
    assert_eq!(tally(quorum(1, 1), &[1]), (1, 0, 1));
    assert_eq!(
        tally(quorum(u32::MAX, u32::MAX), &[u32::MAX, u32::MAX]).0,
        u64::from(u32::MAX)
    );
}

#[test]
fn without_any_weight_the_quorum_is_not_gained_until_checks_give_some() {
    let settings = with_sorry(quorum(1, 0), false);
    let (mut pool, events) = Pool::new(settings, servers(&[0, 0], UP));
    assert_eq!(short(&events), "+0 +1 q0 S");
    assert_eq!(list(&pool), [(SORRY, 1)]);
    let influence = Influence::Adds(7);
    let standing = Standing {
        influence,
        ..FOUND_UP
    };
    let events = pool.found(&1, 0, standing, &Ok(Passed::Adding(7)));
    assert_eq!(short(&events), "1:0>7 Q7 s");
    assert_eq!(list(&pool), [(0, 0), (1, 7)]);
    // Without a sorry server they are in the list all the same.
    assert_eq!(
        list(&Pool::new(quorum(1, 0), servers(&[0, 0], UP)).0),
        [(0, 0), (1, 0)]
    );
}

#[test]
fn start_is_told() {
    let start = |settings, check| short(&Pool::new(settings, servers(&[1, 1], check)).1);
    let plain = quorum(1, 0);
    assert_eq!(start(plain.clone(), UP), "+0 +1 Q2");
    assert_eq!(start(with_sorry(plain.clone(), true), UP), "+0 +1 Q2");
    assert_eq!(start(plain.clone(), ALPHA), "");
    assert_eq!(start(with_sorry(plain.clone(), false), ALPHA), "q0 S");
    // A check that has looked already, as those of files do.
    assert_eq!(start(plain, FOUND_DOWN), "-0 -1");
    let (_, events) = Pool::new(quorum(1, 0), servers(&[1], UP));
    let causes = events.iter().all(|event| match event {
        Event::ServerUp { cause, .. } | Event::QuorumGained { cause, .. } => *cause == Cause::Start,
        _ => false,
    });
    assert!(causes);
}

#[test]
fn alpha_servers_are_told_down_at_their_first_failure_and_only_then() {
    let two = vec![(0, Server::new(1, vec![ALPHA, ALPHA]))];
    let (mut pool, events) = Pool::new(quorum(1, 0), two);
    assert_eq!(short(&events), "");
    let failure = Err(Reason::Refused.into());
    assert_eq!(short(&pool.found(&0, 1, FOUND_DOWN, &failure)), "-0");
    assert_eq!(short(&pool.found(&0, 0, FOUND_DOWN, &failure)), "");
    assert_eq!(
        short(&pool.found(&0, 0, FOUND_UP, &Ok(Passed::Plainly))),
        ""
    );
    assert_eq!(
        short(&pool.found(&0, 1, FOUND_UP, &Ok(Passed::Plainly))),
        "+0 Q1"
    );
    // One that comes up at once was never told down.
    let (mut pool, _) = Pool::new(quorum(1, 0), servers(&[1], ALPHA));
    assert_eq!(short(&turn(&mut pool, 0, true)), "+0 Q1");
}

#[test]
fn the_sorry_server_serves_while_the_quorum_is_lost() {
    let settings = with_sorry(quorum(2, 0), false);
    let (mut pool, _) = Pool::new(settings, servers(&[1, 1, 1], UP));
    assert_eq!(list(&pool), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(short(&turn(&mut pool, 0, false)), "-0");
    assert_eq!(list(&pool), [(1, 1), (2, 1)]);
    assert_eq!(short(&turn(&mut pool, 1, false)), "-1 q1 S");
    assert!(pool.sorry_serves());
    assert_eq!(list(&pool), [(SORRY, 1)]);
    assert_eq!(pool.weight_of(&2), None);
    assert_eq!(short(&turn(&mut pool, 2, false)), "-2");
    assert_eq!(short(&turn(&mut pool, 0, true)), "+0");
    assert_eq!(list(&pool), [(SORRY, 1)]);
    assert_eq!(short(&turn(&mut pool, 2, true)), "+2 Q2 s");
    assert_eq!(list(&pool), [(0, 1), (2, 1)]);
}

#[test]
fn without_a_sorry_server_those_alive_go_on() {
    let (mut pool, _) = Pool::new(quorum(3, 0), servers(&[1, 1, 1], UP));
    assert_eq!(short(&turn(&mut pool, 0, false)), "-0 q2");
    assert_eq!(list(&pool), [(1, 1), (2, 1)]);
    turn(&mut pool, 1, false);
    assert_eq!(list(&pool), [(2, 1)]);
}

#[test]
fn inhibited_servers_stay_with_no_weight() {
    let inhibited = |settings| {
        let mut servers = servers(&[4, 5], UP);
        servers[1].1.inhibit = true;
        Pool::new(settings, servers).0
    };
    let mut pool = inhibited(quorum(1, 0));
    turn(&mut pool, 1, false);
    assert_eq!(list(&pool), [(0, 4), (1, 0)]);
    turn(&mut pool, 0, false);
    assert_eq!(list(&pool), [(1, 0)]);

    let mut pool = inhibited(with_sorry(quorum(9, 0), true));
    assert_eq!(list(&pool), [(0, 4), (1, 5), (SORRY, 0)]);
    turn(&mut pool, 0, false);
    // Server 1 is alive, but the sorry server serves.
    assert_eq!(list(&pool), [(1, 0), (SORRY, 1)]);
}

#[test]
fn a_sorry_server_may_be_one_of_the_servers() {
    for inhibit in [false, true] {
        let settings = Settings {
            sorry: Some(Sorry { server: 1, inhibit }),
            ..quorum(4, 0)
        };
        let mut own = servers(&[3, 4], UP);
        own[1].1.inhibit = inhibit;
        let (mut pool, _) = Pool::new(settings, own);
        assert_eq!(list(&pool), [(0, 3), (1, 4)]);
        turn(&mut pool, 0, false);
        assert_eq!(list(&pool), [(1, 4)]);
        turn(&mut pool, 0, true);
        turn(&mut pool, 1, false);
        assert_eq!(list(&pool), [(1, SORRY_WEIGHT)]);
        assert_eq!(pool.weight_of(&1), Some(SORRY_WEIGHT));
        turn(&mut pool, 1, true);
        assert_eq!(list(&pool), [(0, 3), (1, 4)]);
    }
}

#[test]
fn dynamic_weights() {
    let weight = |configured, influences: &[Influence]| {
        let check = |&influence| Standing {
            influence,
            ..FOUND_UP
        };
        Server::new(configured, influences.iter().map(check).collect()).effective_weight()
    };
    use Influence::{Adds, None, Replaces};
    // A script's exit statuses 0, 10, 255 and 2 of a server of weight 5.
    assert_eq!(weight(5, &[None]), 5);
    assert_eq!(weight(5, &[Replaces(8)]), 8);
    assert_eq!(weight(5, &[Replaces(253)]), 253);
    assert_eq!(weight(5, &[Replaces(0)]), 0);
    // Several add up.
    assert_eq!(weight(5, &[Replaces(8), Replaces(6)]), 9);
    assert_eq!(weight(5, &[Replaces(8), Adds(-2), None]), 6);
    assert_eq!(weight(5, &[Replaces(0), Replaces(0)]), 0);
    assert_eq!(weight(5, &[Adds(-9), Adds(7)]), 3);
    // Within what IPVS knows.
    assert_eq!(weight(5, &[Adds(i64::MIN), Adds(i64::MIN)]), 0);
    assert_eq!(
        weight(5, &[Adds(i64::MAX), Adds(i64::MAX)]),
        i32::MAX as u32
    );
    assert_eq!(weight(u32::MAX, &[]), i32::MAX as u32);
}

#[test]
fn weights_count_for_the_quorum_and_for_servers_that_come_back() {
    let (mut pool, _) = Pool::new(quorum(5, 0), servers(&[5, 1], UP));
    let weighing = |weight, up| Standing {
        up,
        influence: Influence::Replaces(weight),
        ..FOUND_UP
    };
    let passed = |weight| Ok(Passed::Weighing(weight));
    assert_eq!(
        short(&pool.found(&0, 0, weighing(2, true), &passed(2))),
        "0:5>2 q3"
    );
    assert_eq!(list(&pool), [(0, 2), (1, 1)]);
    let events = pool.found(&0, 0, weighing(2, false), &Err(Reason::Exit.into()));
    assert_eq!(short(&events), "-0");
    assert_eq!(
        short(&pool.found(&0, 0, weighing(4, true), &passed(4))),
        "0:2>4 +0 Q5"
    );
    assert_eq!(list(&pool), [(0, 4), (1, 1)]);
    // Alive with weight 0 is in the list, but does not count.
    assert_eq!(
        short(&pool.found(&0, 0, weighing(0, true), &passed(0))),
        "0:4>0 q1"
    );
    assert_eq!(list(&pool), [(0, 0), (1, 1)]);
}

#[test]
fn weights_by_hand() {
    let (mut pool, _) = Pool::new(quorum(2, 0), servers(&[2, 2], UP));
    let events = pool.set_weight(&1, 0);
    assert_eq!(short(&events), "1:2>0");
    assert!(matches!(
        &events[..],
        [Event::WeightChanged {
            cause: Cause::Command,
            alive: true,
            ..
        }]
    ));
    assert_eq!(list(&pool), [(0, 2), (1, 0)]);
    assert_eq!(short(&pool.set_weight(&0, 1)), "0:2>1");
    assert_eq!(short(&pool.set_weight(&0, 1)), "");
    assert_eq!(short(&pool.set_weight(&0, 0)), "0:1>0 q0");
    assert_eq!(short(&pool.set_weight(&7, 0)), "");
}

#[test]
fn a_server_is_up_when_all_checks_are() {
    let (mut pool, _) = Pool::new(quorum(1, 0), vec![(0, Server::new(1, vec![UP; 3]))]);
    let failure = Err(Reason::Digest.into());
    assert_eq!(short(&pool.found(&0, 2, FOUND_DOWN, &failure)), "-0 q0");
    assert_eq!(short(&pool.found(&0, 0, FOUND_DOWN, &failure)), "");
    assert_eq!(pool.server(&0).unwrap().failing(), 2);
    assert_eq!(
        short(&pool.found(&0, 2, FOUND_UP, &Ok(Passed::Plainly))),
        ""
    );
    assert_eq!(
        short(&pool.found(&0, 0, FOUND_UP, &Ok(Passed::Plainly))),
        "+0 Q1"
    );
    // A server without checks is always up.
    let (pool, _) = Pool::new(quorum(1, 0), vec![(0, Server::new(3, Vec::new()))]);
    assert_eq!(list(&pool), [(0, 3)]);
}

#[test]
fn the_cause_is_the_check_that_found_it() {
    let (mut pool, _) = Pool::new(quorum(1, 0), vec![(0, Server::new(1, vec![UP; 2]))]);
    let verdict = Err(Reason::Certificate.into());
    let cause = Cause::Check {
        check: 1,
        verdict: verdict.clone(),
    };
    let tally = Tally {
        quorum: 1,
        hysteresis: 0,
        live: 0,
    };
    let expected = vec![
        Event::ServerDown {
            server: 0,
            cause: cause.clone(),
        },
        Event::QuorumLost { tally, cause },
    ];
    assert_eq!(pool.found(&0, 1, FOUND_DOWN, &verdict), expected);
}

#[test]
fn what_is_unknown_or_nothing_new_is_ignored() {
    let (mut pool, _) = Pool::new(quorum(1, 0), servers(&[1], FOUND_UP));
    assert_eq!(turn(&mut pool, 0, true), []);
    assert_eq!(turn(&mut pool, 1, false), []);
    assert_eq!(
        pool.found(&0, 1, FOUND_DOWN, &Err(Reason::Refused.into())),
        []
    );
    assert_eq!(list(&pool), [(0, 1)]);
}

#[test]
fn the_end_is_told_of_what_is_up() {
    let end = |check, down: &[u32], cause| {
        let (mut pool, _) = Pool::new(quorum(1, 0), servers(&[1, 1], check));
        for &server in down {
            turn(&mut pool, server, false);
        }
        short(&pool.end(cause))
    };
    assert_eq!(end(UP, &[], Cause::Shutdown), "-0 -1 q0");
    assert_eq!(end(UP, &[0], Cause::Removal), "-1 q0");
    assert_eq!(end(UP, &[0, 1], Cause::Shutdown), "");
    assert_eq!(end(ALPHA, &[], Cause::Shutdown), "");
}
