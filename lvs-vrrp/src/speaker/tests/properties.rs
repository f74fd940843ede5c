//! What holds of a speaker whatever it is fed, by anybody.

use proptest::prelude::*;

use super::*;
use crate::event::RouterId;

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Hear(u8, u8, u8),
    Rubbish(Vec<u8>),
    Observe(u8, u8),
    Source(bool),
    Reload(u8),
    Again,
    StopAndStart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_000u64).prop_map(Step::Pass),
        4 => (0..3u8, 7..9u8, any::<u8>()).prop_map(|(r, from, p)| Step::Hear(r, from, p)),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Rubbish),
        2 => (0..3u8, 0..3u8).prop_map(|(object, state)| Step::Observe(object, state)),
        1 => any::<bool>().prop_map(Step::Source),
        2 => any::<u8>().prop_map(Step::Reload),
        1 => Just(Step::Again),
        1 => Just(Step::StopAndStart),
    ]
}

/// One of many configurations: each bit changes something.
fn variant(bits: u8) -> Config {
    let is = |bit: u8| bits & (1 << bit) != 0;
    let one = |name: &str, vrid: u8| RouterConfig {
        priority: if is(0) { 100 } else { 150 },
        vrid: if is(1) { vrid } else { vrid + 10 },
        tracking: vec![
            watched(script("0"), if is(2) { 0 } else { 10 }),
            watched(script("1"), -20),
        ],
        ..router(name, vrid)
    };
    let mut routers = vec![one("a", 1), one("b", 2)];
    if is(3) {
        routers.push(RouterConfig {
            priority: 255,
            wants_master: true,
            tracking: vec![watched(script("2"), 0)],
            ..one("c", 3)
        });
    }
    if is(4) {
        routers.remove(0);
    }
    match is(5) {
        true => grouped(routers),
        false => config(routers),
    }
}

fn is_whole(host: &Host) -> Result<(), TestCaseError> {
    for (group, state) in host.speaker.groups() {
        let members = host.speaker.status().into_iter();
        let members = members.filter(|m| m.group.as_ref() == Some(&group));
        let states: Vec<State> = members.map(|m| m.state).collect();
        let fits = match state {
            State::Init => states
                .iter()
                .all(|s| matches!(s, State::Init | State::Backup)),
            State::Backup => states
                .iter()
                .all(|s| matches!(s, State::Init | State::Backup)),
            State::Master => states.contains(&State::Master) && !states.contains(&State::Fault),
            // One of which nothing is known yet has not begun.
            State::Fault => states
                .iter()
                .all(|s| matches!(s, State::Init | State::Fault)),
        };
        prop_assert!(fits, "{group} is {state}, and its members {states:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_is_put_out_is_what_is(bits in any::<u8>(), steps in prop::collection::vec(step(), 1..50)) {
        let mut host = Host::new(variant(bits));
        host.source(Some(address(100)));
        host.start();
        let mut states: std::collections::HashMap<RouterId, State> = host
            .speaker
            .status()
            .into_iter()
            .map(|router| (router.id, router.state))
            .collect();
        let mut bits = bits;
        for step in steps {
            match step {
                Step::Pass(time) => {
                    host.now += ms(time);
                    let now = host.now;
                    host.with(|s, _, out| s.elapsed(now, out));
                    // Time that has been dealt with is over.
                    prop_assert!(host.speaker.next_deadline().is_none_or(|due| due > now));
                }
                Step::Hear(place, from, priority) => {
                    let names: Vec<String> = host.speaker.status().into_iter().map(|r| r.name).collect();
                    host.hear(&names[usize::from(place) % names.len()], from, priority);
                }
                Step::Rubbish(bytes) => {
                    let id = host.speaker.ids()[0];
                    let packet = Received { from: address(9), to: None, hop_limit: None, bytes: &bytes };
                    host.with(|s, now, out| s.received(id, &packet, now, out));
                }
                Step::Observe(object, state) => {
                    let state = [ObjectState::Good, ObjectState::Bad, ObjectState::Number(-300)][usize::from(state)];
                    host.observe(&script(&object.to_string()), state);
                }
                Step::Source(there) => {
                    host.source(there.then_some(address(100)));
                }
                Step::Reload(other) => {
                    bits = other;
                    host.reload(variant(bits));
                }
                Step::Again => {
                    let before = host.speaker.status();
                    prop_assert!(host.reload(variant(bits)).is_empty());
                    prop_assert_eq!(host.speaker.status(), before);
                }
                Step::StopAndStart => {
                    host.with(|s, now, out| {
                        s.stop(now, out);
                        assert_eq!(s.next_deadline(), None);
                        s.start(now, out);
                    });
                }
            }
            for output in &host.all {
                if let Output::Entered { router, from, to, .. } = output {
                    prop_assert_ne!(from, to);
                    let was = states.insert(*router, *to).unwrap_or_default();
                    prop_assert_eq!(was, *from);
                }
            }
            for router in host.speaker.status() {
                let known = states.get(&router.id).copied().unwrap_or_default();
                prop_assert_eq!(known, router.state, "{}", router.name);
                let idle = matches!(router.state, State::Init | State::Fault);
                prop_assert!(idle || router.deadline.is_some());
            }
            is_whole(&host)?;
        }
    }
}
