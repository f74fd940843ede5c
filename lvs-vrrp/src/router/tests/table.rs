//! Every state with every event.

use super::*;
use crate::event::Trouble;

/// The states that an event can meet.
const STATES: [&str; 5] = ["new", "INIT", "BACKUP", "MASTER", "FAULT"];

/// One second after it has come into a state; priority 100 at 10.0.0.100.
fn in_state(state: &str, config: RouterConfig) -> Bench {
    let mut bench = match state {
        "new" => Bench::new(config),
        "INIT" => {
            let mut bench = Bench::new(config);
            bench.start();
            bench
        }
        "BACKUP" => Bench::started(config),
        "MASTER" => Bench::master(config),
        "FAULT" => {
            let mut bench = Bench::started(config);
            bench.health(fault());
            bench
        }
        other => panic!("{other}"),
    };
    bench.now += match state {
        "MASTER" => ms(500),
        _ => ms(1000),
    };
    bench
}

/// What an event did, in short: `STATE (how long the timer runs, ms): what else`.
fn happened(bench: &Bench, actions: &[Action]) -> String {
    let said: Vec<String> = actions
        .iter()
        .map(|action| match action {
            Action::Advertise { priority } => format!("says {priority}"),
            Action::Enter { from, to, why } => {
                assert_eq!((to, why), (&bench.router.state(), bench.router.why()));
                format!("{from}→ {}", in_short(why))
            }
            Action::Rival { priority, .. } => format!("rival {priority}"),
            Action::Trouble { trouble, .. } => match trouble {
                Trouble::Lower { priority, .. } => format!("lower {priority}"),
                Trouble::OurAddress { .. } => "our address".to_owned(),
                Trouble::TwoOwners => "two owners".to_owned(),
                other => panic!("{other:?}"),
            },
        })
        .collect();
    let timer = match bench.left() {
        Some(left) => (left / 1000).to_string(),
        None => "-".to_owned(),
    };
    let state = bench.state();
    match said.is_empty() {
        true => format!("{state} ({timer})"),
        false => format!("{state} ({timer}): {}", said.join(", ")),
    }
}

fn in_short(why: &Why) -> &'static str {
    match why {
        Why::Started => "started",
        Why::Owner => "owner",
        Why::Alone { .. } => "alone",
        Why::Silence { .. } => "silence",
        Why::Released { .. } => "released",
        Why::Preempted { .. } => "preempted",
        Why::Outranked { .. } => "outranked",
        Why::Group { .. } => "group",
        Why::Faults(_) => "faults",
        Why::Recovered => "recovered",
        Why::Late { .. } => "late",
        Why::Stopped => "stopped",
        Why::Reloaded | Why::Deleted => "gone",
    }
}

fn check(rows: &[(&str, RouterConfig, Event, [&str; 5])]) {
    let mut wrong = Vec::new();
    for (name, config, event, expected) in rows {
        for (state, expected) in STATES.into_iter().zip(expected) {
            let mut bench = in_state(state, config.clone());
            let actions = event(&mut bench);
            let is = happened(&bench, &actions);
            if is != *expected {
                wrong.push(format!(
                    "{state} × {name}:\n  is        {is}\n  should be {expected}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

type Event = fn(&mut Bench) -> Vec<Action>;

fn with(change: impl FnOnce(&mut RouterConfig)) -> RouterConfig {
    let mut config = config();
    change(&mut config);
    config
}

fn owner() -> RouterConfig {
    with(|c| (c.priority, c.wants_master) = (255, true))
}

#[test]
fn every_event_in_every_state() {
    let nopreempt = || with(|c| c.preempt = Preempt::Never);
    let patient = || with(|c| c.preempt = Preempt::After(ms(10_000)));
    let silent = || with(|c| c.rivals.silent = true);
    let last_word = || with(|c| c.rivals.last_word = true);
    let v2 = || with(|c| c.version = Version::V2);
    let late = || with(|c| c.late = Some(254));
    let quiet_owner = || {
        let mut owner = owner();
        owner.rivals.silent = true;
        owner
    };
    let rows: &[(&str, RouterConfig, Event, [&str; 5])] = &[
        (
            "start",
            config(),
            |b| b.start(),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (2609)",
                "MASTER (500)",
                "FAULT (-)",
            ],
        ),
        (
            "start of an owner",
            owner(),
            |b| b.start(),
            [
                "INIT (-)",
                "INIT (-)",
                "MASTER (1000): says 255",
                "MASTER (500)",
                "FAULT (-)",
            ],
        ),
        (
            "start in good health",
            config(),
            |b| {
                b.health(Health::Good);
                b.start()
            },
            [
                "BACKUP (3609): INIT→ started",
                "BACKUP (3609)",
                "BACKUP (2609)",
                "MASTER (500)",
                "BACKUP (3609)",
            ],
        ),
        (
            "start of an owner in good health",
            owner(),
            |b| {
                b.health(Health::Good);
                b.start()
            },
            [
                "MASTER (1000): says 255, INIT→ owner",
                "MASTER (1000): says 255, INIT→ owner",
                "MASTER (1000): says 255",
                "MASTER (500)",
                "BACKUP (1003)",
            ],
        ),
        (
            "good health",
            config(),
            |b| b.health(Health::Good),
            [
                "INIT (-)",
                "BACKUP (3609): INIT→ started",
                "BACKUP (2609)",
                "MASTER (500)",
                "BACKUP (3609): FAULT→ recovered",
            ],
        ),
        (
            "good health of an owner",
            owner(),
            |b| b.health(Health::Good),
            [
                "INIT (-)",
                "INIT (0)",
                "MASTER (0)",
                "MASTER (500)",
                "BACKUP (1003): FAULT→ recovered",
            ],
        ),
        (
            "unknown health",
            config(),
            |b| b.health(Health::Unknown),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (2609)",
                "MASTER (500)",
                "FAULT (-)",
            ],
        ),
        (
            "fault",
            config(),
            |b| b.health(fault()),
            [
                "INIT (-)",
                "FAULT (-): INIT→ faults",
                "FAULT (-): BACKUP→ faults",
                "FAULT (-): says 0, MASTER→ faults",
                "FAULT (-)",
            ],
        ),
        (
            "its timer",
            config(),
            |b| match b.left() {
                Some(_) => b.wait(),
                None => b.pass(ms(10_000)),
            },
            [
                "INIT (-)",
                "INIT (-)",
                "MASTER (1000): says 100, BACKUP→ alone",
                "MASTER (1000): says 100",
                "FAULT (-)",
            ],
        ),
        (
            "its timer, the group does not allow",
            config(),
            |b| {
                b.now = b.router.next_deadline().unwrap_or(b.now);
                b.with(|r, now, out| r.elapsed(false, now, out))
            },
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "MASTER (1000): says 100",
                "FAULT (-)",
            ],
        ),
        (
            "its timer, very late",
            config(),
            |b| b.pass(ms(10_000)),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (1609)",
                "MASTER (1000): says 100",
                "FAULT (-)",
            ],
        ),
        (
            "its timer, very late, and that counts",
            late(),
            |b| b.pass(ms(10_000)),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (1609)",
                "BACKUP (3609): MASTER→ late",
                "FAULT (-)",
            ],
        ),
        (
            "time before its timer",
            config(),
            |b| b.pass(ms(100)),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (2509)",
                "MASTER (400)",
                "FAULT (-)",
            ],
        ),
        (
            "priority 0",
            config(),
            |b| b.hear(7, 0),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (609)",
                "MASTER (1000): says 100",
                "FAULT (-)",
            ],
        ),
        (
            "priority 0, version 2",
            v2(),
            |b| b.hear(7, 0),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (609)",
                "MASTER (1000): says 100",
                "FAULT (-)",
            ],
        ),
        (
            "a lower priority",
            config(),
            |b| b.hear(7, 99),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (2609): lower 99",
                "MASTER (1000): says 100, rival 99",
                "FAULT (-)",
            ],
        ),
        (
            "a lower priority, nopreempt",
            nopreempt(),
            |b| b.hear(7, 99),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "MASTER (1000): says 100, rival 99",
                "FAULT (-)",
            ],
        ),
        (
            "a lower priority, preempt_delay",
            patient(),
            |b| b.hear(7, 99),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "MASTER (1000): says 100, rival 99",
                "FAULT (-)",
            ],
        ),
        (
            "a lower priority, lower_prio_no_advert",
            silent(),
            |b| b.hear(7, 99),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (2609): lower 99",
                "MASTER (500): rival 99",
                "FAULT (-)",
            ],
        ),
        (
            "the same priority, a lower address",
            config(),
            |b| b.hear(99, 100),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "MASTER (1000): says 100, rival 100",
                "FAULT (-)",
            ],
        ),
        (
            "the same priority, our address",
            config(),
            |b| b.hear(100, 100),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "MASTER (500): our address",
                "FAULT (-)",
            ],
        ),
        (
            "the same priority, a higher address",
            config(),
            |b| b.hear(101, 100),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "BACKUP (3609): MASTER→ outranked",
                "FAULT (-)",
            ],
        ),
        (
            "a higher priority",
            config(),
            |b| b.hear(7, 101),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "BACKUP (3609): MASTER→ outranked",
                "FAULT (-)",
            ],
        ),
        (
            "a higher priority, nopreempt",
            nopreempt(),
            |b| b.hear(7, 101),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "BACKUP (3609): MASTER→ outranked",
                "FAULT (-)",
            ],
        ),
        (
            "a higher priority, higher_prio_send_advert",
            last_word(),
            |b| b.hear(7, 101),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "BACKUP (3609): says 100, MASTER→ outranked",
                "FAULT (-)",
            ],
        ),
        (
            "an owner",
            config(),
            |b| b.hear(7, 255),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3609)",
                "BACKUP (3609): MASTER→ outranked",
                "FAULT (-)",
            ],
        ),
        (
            "an owner hears an owner of lower address",
            owner(),
            |b| b.hear(7, 255),
            [
                "INIT (-)",
                "INIT (-)",
                "MASTER (1000): two owners, says 255, rival 255",
                "MASTER (1000): two owners, says 255, rival 255",
                "FAULT (-)",
            ],
        ),
        (
            "an owner hears an owner of lower address, lower_prio_no_advert",
            quiet_owner(),
            |b| b.hear(7, 255),
            [
                "INIT (-)",
                "INIT (-)",
                "MASTER (1000): two owners, says 255, rival 255",
                "MASTER (1000): two owners, says 255, rival 255",
                "FAULT (-)",
            ],
        ),
        (
            "an owner hears an owner of higher address",
            owner(),
            |b| b.hear(101, 255),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (3003): two owners, MASTER→ outranked",
                "BACKUP (3003): two owners, MASTER→ outranked",
                "FAULT (-)",
            ],
        ),
        (
            "priority falls",
            config(),
            |b| b.with(|r, _, _| r.set_priority(50)),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (2804)",
                "MASTER (500)",
                "FAULT (-)",
            ],
        ),
        (
            "group becomes master",
            config(),
            |b| b.with(|r, now, out| r.follow(State::Master, group(), now, out)),
            [
                "INIT (-)",
                "INIT (-)",
                "MASTER (1000): says 100, BACKUP→ group",
                "MASTER (500)",
                "FAULT (-)",
            ],
        ),
        (
            "group becomes backup",
            config(),
            |b| b.with(|r, now, out| r.follow(State::Backup, group(), now, out)),
            [
                "INIT (-)",
                "INIT (-)",
                "BACKUP (2609)",
                "BACKUP (3609): MASTER→ group",
                "FAULT (-)",
            ],
        ),
        (
            "stop",
            config(),
            |b| b.with(|r, now, out| r.stop(Why::Stopped, now, out)),
            [
                "INIT (-)",
                "INIT (-)",
                "INIT (-): BACKUP→ stopped",
                "INIT (-): says 0, MASTER→ stopped",
                "INIT (-): FAULT→ stopped",
            ],
        ),
    ];
    check(rows);
}

fn group() -> Why {
    Why::Group {
        group: "G".to_owned(),
        member: None,
    }
}
