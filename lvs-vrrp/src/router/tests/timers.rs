//! When things happen, and why.

use super::*;
use crate::event::Trouble;

fn entered(actions: &[Action]) -> Option<(State, &Why)> {
    actions.iter().find_map(|action| match action {
        Action::Enter { to, why, .. } => Some((*to, why)),
        _ => None,
    })
}

#[test]
fn the_waiting_begins_anew_with_each_advertisement_of_somebody_better() {
    let mut bench = Bench::started(config());
    for _ in 0..10 {
        bench.pass(ms(3_600));
        assert_eq!(bench.state(), State::Backup);
        bench.hear(7, 150);
    }
    let done = bench.wait();
    let silence = Why::Silence {
        master: address(7),
        priority: 150,
        waited: Duration::from_micros(3_609_375),
    };
    assert_eq!(entered(&done), Some((State::Master, &silence)));
    // Whoever hears of it hears first that it is so.
    assert_eq!(done[0], Action::Advertise { priority: 100 });
}

#[test]
fn version_3_follows_the_masters_interval_and_version_2_its_own() {
    for (version, waits) in [(Version::V3, 1_804_687), (Version::V2, 3_609_375)] {
        let mut bench = Bench::started(RouterConfig {
            version,
            ..config()
        });
        let mut advert = advert(7, 150);
        advert.interval = ms(500);
        bench.with(|r, now, out| r.heard(&advert, now, out));
        assert_eq!(bench.left(), Some(waits), "{version:?}");
        bench.wait();
        // Its own again, as master.
        assert_eq!(bench.router.master_interval(), ms(1000));
        assert_eq!(bench.left(), Some(1_000_000));
    }
}

#[test]
fn who_gives_way_follows_the_better_one_at_once() {
    let mut bench = Bench::master(config());
    let mut better = advert(7, 150);
    better.interval = ms(2_000);
    let done = bench.with(|r, now, out| r.heard(&better, now, out));
    let outranked = Why::Outranked {
        by: address(7),
        priority: 150,
        ours: 100,
    };
    assert_eq!(entered(&done), Some((State::Backup, &outranked)));
    assert_eq!(bench.router.master(), Some(address(7)));
    assert_eq!(bench.left(), Some(2 * 3_609_375));
    let done = bench.wait();
    assert!(matches!(
        entered(&done),
        Some((State::Master, Why::Silence { priority: 150, .. }))
    ));
}

#[test]
fn a_master_that_steps_down_is_waited_for_a_skew_time() {
    let mut bench = Bench::started(config());
    bench.hear(7, 150);
    bench.pass(ms(200));
    bench.hear(7, 0);
    assert_eq!(bench.left(), Some(609_375));
    let done = bench.wait();
    let released = Why::Released { master: address(7) };
    assert_eq!(entered(&done), Some((State::Master, &released)));
    // Somebody else has taken over: that is then who falls silent.
    let mut bench = Bench::started(config());
    bench.hear(7, 0);
    bench.hear(8, 120);
    let done = bench.wait();
    assert!(matches!(
        entered(&done),
        Some((State::Master, Why::Silence { priority: 120, .. }))
    ));
}

#[test]
fn who_preempts_lets_the_time_of_the_lower_one_run_out() {
    let mut bench = Bench::started(config());
    bench.pass(ms(1000));
    let said = bench.hear(7, 50);
    assert!(matches!(
        said[..],
        [Action::Trouble {
            trouble: Trouble::Lower {
                priority: 50,
                ours: 100
            },
            ..
        }]
    ));
    assert_eq!(bench.left(), Some(2_609_375));
    let done = bench.wait();
    let preempted = Why::Preempted {
        master: address(7),
        priority: 50,
        ours: 100,
    };
    assert_eq!(entered(&done), Some((State::Master, &preempted)));
}

#[test]
fn preempt_delay_counts_from_the_first_lower_advertisement() {
    let mut bench = Bench::started(RouterConfig {
        preempt: Preempt::After(ms(10_000)),
        ..config()
    });
    for _ in 0..10 {
        assert_eq!(bench.hear(7, 50), []);
        bench.pass(ms(1000));
    }
    // Ten seconds after the first, no longer.
    assert_eq!(bench.hear(7, 50).len(), 1);
    assert_eq!(bench.left(), Some(2_609_375));
    // Somebody better, and it counts from the beginning.
    bench.hear(8, 100);
    assert_eq!(bench.hear(7, 50), []);
    assert_eq!(bench.left(), Some(3_609_375));
    bench.pass(ms(3_000));
    assert_eq!(bench.hear(7, 50), []);
    // Silence is another matter.
    let done = bench.wait();
    assert!(matches!(
        entered(&done),
        Some((State::Master, Why::Silence { priority: 50, .. }))
    ));
}

#[test]
fn nopreempt_holds_back_nothing_but_preemption() {
    let nopreempt = || RouterConfig {
        preempt: Preempt::Never,
        ..config()
    };
    let mut bench = Bench::started(nopreempt());
    for _ in 0..100 {
        bench.pass(ms(3_000));
        bench.hear(7, 1);
        assert_eq!(bench.state(), State::Backup);
    }
    bench.hear(7, 0);
    assert_eq!(bench.left(), Some(609_375));
    bench.wait();
    assert_eq!(bench.state(), State::Master);
    // A master gives way to the better one only.
    bench.hear(7, 99);
    assert_eq!(bench.state(), State::Master);
    bench.hear(7, 101);
    assert_eq!(bench.state(), State::Backup);
}

#[test]
fn a_changed_priority_moves_the_timer_that_runs() {
    let mut bench = Bench::started(config());
    bench.pass(ms(2_000));
    bench.with(|r, _, _| r.set_priority(200));
    assert_eq!(bench.left(), Some(3_218_750 - 2_000_000));
    bench.with(|r, _, _| r.set_priority(100));
    assert_eq!(bench.left(), Some(3_609_375 - 2_000_000));
    // What would have run out already runs out now.
    bench.pass(ms(1_500));
    bench.with(|r, _, _| r.set_priority(254));
    assert_eq!(bench.left(), Some(0));
    bench.wait();
    assert_eq!(bench.state(), State::Master);
}

#[test]
fn a_masters_rhythm_is_kept_though_each_turn_is_late() {
    let mut bench = Bench::master(config());
    let start = bench.now;
    for n in 1..=20 {
        bench.now = start + ms(n * 1000);
        let done = bench.pass(ms(n * 7));
        assert_eq!(done, [Action::Advertise { priority: 100 }]);
        assert_eq!(
            bench.router.next_deadline(),
            Some(start + ms((n + 1) * 1000))
        );
    }
    // It does not catch up on what was missed.
    bench.pass(ms(5_000));
    assert_eq!(bench.left(), Some(1_000_000));
}

#[test]
fn late_is_when_the_best_of_the_others_would_have_taken_over() {
    let late = |priority| RouterConfig {
        late: Some(priority),
        ..config()
    };
    // After its last advertisement, one of 254 waits 3.0078 s, one of 1 3.9961 s.
    for (priority, waits) in [(254, 3_008), (1, 3_997)] {
        let mut bench = Bench::master(late(priority));
        bench.pass(ms(waits - 2));
        assert_eq!(bench.state(), State::Master);
        let mut bench = Bench::master(late(priority));
        let done = bench.pass(ms(waits));
        let by = ms(waits - 1000);
        assert_eq!(entered(&done), Some((State::Backup, &Why::Late { by })));
        assert_eq!(done.len(), 1);
    }
}

#[test]
fn nothing_is_heard_before_the_host_has_settled() {
    let mut bench = Bench::new(config());
    bench.health(Health::Good);
    bench.with(|r, now, out| r.start(now + ms(5_000), now, out));
    assert_eq!(bench.state(), State::Backup);
    assert_eq!(bench.left(), Some(8_609_375));
    bench.pass(ms(4_999));
    bench.hear(7, 0);
    assert_eq!(bench.left(), Some(3_610_375));
    bench.pass(ms(1));
    bench.hear(7, 0);
    assert_eq!(bench.left(), Some(609_375));
    let mut owner = Bench::new(RouterConfig {
        priority: 255,
        wants_master: true,
        ..config()
    });
    owner.health(Health::Good);
    owner.with(|r, now, out| r.start(now + ms(5_000), now, out));
    owner.pass(ms(4_999));
    assert_eq!(owner.state(), State::Init);
    let done = owner.wait();
    assert_eq!(entered(&done), Some((State::Master, &Why::Owner)));
    assert_eq!(owner.now, ms(5_000));
}

#[test]
fn an_owner_gives_way_to_one_that_does_not_listen_until_that_has_gone() {
    let mut bench = Bench::started(RouterConfig {
        priority: 255,
        wants_master: true,
        ..config()
    });
    assert_eq!(bench.state(), State::Master);
    let mut heard = 0;
    while bench.state() == State::Master {
        bench.now += ms(1000);
        let done = bench.hear(7, 255);
        heard += 1;
        assert!(heard < 10);
        if bench.state() == State::Master {
            assert!(done.contains(&Action::Advertise { priority: 255 }));
        }
    }
    // Told at once, and once more a second later; then 1.2 seconds.
    assert_eq!(heard, 4);
    assert_eq!(bench.router.priority(), 254);
    assert!(matches!(
        bench.router.why(),
        Why::Outranked {
            priority: 255,
            ours: 254,
            ..
        }
    ));
    for _ in 0..20 {
        bench.pass(ms(1000));
        bench.hear(7, 255);
        assert_eq!(bench.state(), State::Backup);
    }
    let done = bench.wait();
    assert_eq!(done[0], Action::Advertise { priority: 255 });
    assert_eq!(bench.router.priority(), 255);
}

#[test]
fn a_rival_owner_that_had_gone_is_told_anew() {
    let mut bench = Bench::started(RouterConfig {
        priority: 255,
        wants_master: true,
        ..config()
    });
    for _ in 0..20 {
        bench.now += ms(4_000);
        let done = bench.hear(7, 255);
        assert_eq!(done.len(), 3, "{done:?}");
        assert_eq!(bench.state(), State::Master);
    }
}

#[test]
fn a_new_configuration_leaves_the_state_and_moves_timers() {
    let slower = Arc::new(RouterConfig {
        interval: ms(2_000),
        ..config()
    });
    let mut backup = Bench::started(config());
    backup.pass(ms(500));
    backup.with(|r, now, _| r.set_config(Arc::clone(&slower), now));
    assert_eq!(backup.left(), Some(2 * 3_609_375 - 500_000));
    // A master's interval that has been learnt is still the master's.
    let mut follower = Bench::started(config());
    follower.hear(7, 200);
    follower.with(|r, now, _| r.set_config(Arc::clone(&slower), now));
    assert_eq!(follower.left(), Some(3_609_375));
    let mut master = Bench::master(config());
    master.pass(ms(100));
    master.with(|r, now, _| r.set_config(Arc::clone(&slower), now));
    assert_eq!(master.left(), Some(900_000));
    master.wait();
    assert_eq!(master.left(), Some(2_000_000));
    // A shorter one counts at once.
    master.with(|r, now, _| r.set_config(Arc::new(config()), now));
    assert_eq!(master.left(), Some(1_000_000));
}
