//! Other settings and servers.

use super::*;

#[test]
fn the_same_again_is_no_news() {
    for check in [UP, ALPHA, FOUND_DOWN, FOUND_UP] {
        for settings in [quorum(2, 1), with_sorry(quorum(2, 1), true)] {
            let (mut pool, _) = Pool::new(settings.clone(), servers(&[1, 2], check));
            let before = list(&pool);
            assert_eq!(pool.reconfigure(settings, servers(&[1, 2], check)), []);
            assert_eq!(list(&pool), before);
        }
    }
}

#[test]
fn servers_come_and_go() {
    let (mut pool, _) = Pool::new(quorum(1, 0), servers(&[1, 1, 1], UP));
    turn(&mut pool, 1, false);
    let new = vec![
        (5, Server::new(2, vec![UP])),
        (2, Server::new(3, vec![UP])),
        (6, Server::new(2, vec![ALPHA])),
    ];
    let events = pool.reconfigure(quorum(1, 0), new);
    // Server 1 was down already: nothing to say.
    assert_eq!(short(&events), "-0 +5 2:1>3");
    let causes: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::ServerUp { cause, .. }
            | Event::ServerDown { cause, .. }
            | Event::WeightChanged { cause, .. } => cause,
            _ => unreachable!(),
        })
        .collect();
    assert_eq!(causes, [&Cause::Removal, &Cause::Start, &Cause::Reload]);
    assert_eq!(list(&pool), [(5, 2), (2, 3)]);
    assert_eq!(pool.weight_of(&0), None);
}

#[test]
fn a_server_that_comes_twice_counts_once() {
    let twice = vec![(0, Server::new(1, vec![])), (0, Server::new(2, vec![]))];
    let (pool, events) = Pool::new(quorum(1, 0), twice);
    assert_eq!(short(&events), "+0 Q1");
    assert_eq!(list(&pool), [(0, 1)]);
}

#[test]
fn a_server_whose_failing_check_is_gone_comes_up() {
    let (mut pool, _) = Pool::new(quorum(1, 0), vec![(0, Server::new(1, vec![UP, UP]))]);
    pool.found(&0, 1, FOUND_DOWN, &Err(Reason::Status.into()));
    let events = pool.reconfigure(quorum(1, 0), servers(&[1], FOUND_UP));
    assert_eq!(short(&events), "+0 Q1");
    assert!(matches!(
        &events[0],
        Event::ServerUp {
            cause: Cause::Reload,
            ..
        }
    ));
    let events = pool.reconfigure(
        quorum(1, 0),
        vec![(0, Server::new(1, vec![FOUND_UP, ALPHA]))],
    );
    assert_eq!(short(&events), "-0 q0");
}

#[test]
fn the_quorum_is_counted_anew() {
    let (mut pool, _) = Pool::new(quorum(1, 0), servers(&[1, 1, 1, 1], UP));
    turn(&mut pool, 0, false);
    let now = || {
        let mut now = servers(&[1, 1, 1, 1], FOUND_UP);
        now[0].1.checks = vec![FOUND_DOWN];
        now
    };
    assert_eq!(short(&pool.reconfigure(quorum(4, 0), now())), "q3");
    assert_eq!(short(&pool.reconfigure(quorum(4, 1), now())), "");
    assert_eq!(short(&pool.reconfigure(quorum(3, 0), now())), "Q3");
    assert_eq!(short(&pool.reconfigure(quorum(4, 1), now())), "");
}

#[test]
fn sorry_servers_come_and_go() {
    let (mut pool, _) = Pool::new(quorum(1, 0), servers(&[1], UP));
    turn(&mut pool, 0, false);
    let down = || servers(&[1], FOUND_DOWN);
    // The loss was told already.
    let events = pool.reconfigure(with_sorry(quorum(1, 0), false), down());
    assert_eq!(events, [Event::SorryOn { server: SORRY }]);
    assert_eq!(list(&pool), [(SORRY, 1)]);

    let other = Settings {
        sorry: Some(Sorry {
            server: 50,
            inhibit: false,
        }),
        ..quorum(1, 0)
    };
    let events = pool.reconfigure(other.clone(), down());
    assert_eq!(
        events,
        [
            Event::SorryOff { server: SORRY },
            Event::SorryOn { server: 50 }
        ]
    );
    assert_eq!(list(&pool), [(50, 1)]);

    let events = pool.reconfigure(other.clone(), servers(&[1], FOUND_UP));
    assert_eq!(short(&events), "+0 Q1 s");
    assert_eq!(list(&pool), [(0, 1)]);

    pool.reconfigure(other, down());
    assert_eq!(
        pool.reconfigure(quorum(1, 0), down()),
        [Event::SorryOff { server: 50 }]
    );
    assert_eq!(list(&pool), []);
}

#[test]
fn a_loss_that_nobody_was_told_of_is_told_with_the_sorry_server() {
    let (mut pool, events) = Pool::new(quorum(1, 0), servers(&[1], ALPHA));
    assert_eq!(short(&events), "");
    let settings = with_sorry(quorum(1, 0), false);
    assert_eq!(
        short(&pool.reconfigure(settings.clone(), servers(&[1], ALPHA))),
        "q0 S"
    );
    assert_eq!(short(&pool.reconfigure(settings, servers(&[1], ALPHA))), "");
}
