//! Reloads: what is not changed notices nothing; what is new, gone or changed is at once so.

use std::time::Duration;

use tests::command::eventually;
use tests::for_each_pair;
use tests::process::PATIENCE;
use tests::vrrp::Flavour::{V3, V3Ipv6};
use tests::vrrp::Place::{First, Second};
use tests::vrrp::fleet::fleet;
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Pair, Place, Router, Rule, Side};

/// The VRID of the one that comes and goes.
const GUEST: u8 = 1;

/// keepalived is silent while it reads its file, on a busy machine for longer than three tenths of a second.
const INTERVAL: Duration = Duration::from_millis(300);

fn reloads(sides: [Side; 2]) {
    let rules = [Rule::Preempt, Rule::NoPreempt];
    let mut pair = Pair::new(sides, fleet(&[V3, V3Ipv6], &rules, INTERVAL));
    let is_guest = |router: &Router| router.vrid == GUEST;
    let residents = |pair: &Pair, place: Place| -> String {
        let routers = pair.fleet().iter().filter(|r| !is_guest(r));
        GLOBAL.to_owned() + &routers.map(|r| r.block(place, "")).collect::<String>()
    };
    let all = Place::BOTH.map(|place| pair.conf(place).to_owned());
    let few = Place::BOTH.map(|place| residents(&pair, place));
    for (place, conf) in Place::BOTH.into_iter().zip(&few) {
        pair.configure(place, conf.clone());
        pair.start(place);
        let first = |_: &Pair, r: &Router| if is_guest(r) { vec![] } else { vec![First] };
        pair.await_masters("a start", first);
    }

    pair.reload(First, all[0].clone());
    pair.await_masters("one more", |_, _| vec![First]);
    assert_eq!(
        pair.adverts(First, |a| a.priority == 0),
        [],
        "some are given up"
    );
    pair.reload(Second, all[1].clone());
    pair.await_masters("one more opposite", |_, _| vec![First]);
    assert_eq!(pair.adverts(Second, |_| true), [], "somebody takes over");

    pair.reload(First, few[0].clone());
    pair.await_masters("one less", |_, r| {
        vec![if is_guest(r) { Second } else { First }]
    });
    let others = pair.adverts(First, |a| a.priority == 0 && a.vrid != GUEST);
    assert_eq!(others, [], "others are given up");
    let released = || {
        !pair
            .adverts(First, |a| a.priority == 0 && a.vrid == GUEST)
            .is_empty()
    };
    assert!(eventually(PATIENCE, released), "it is not given up");

    let lower = few[0].replace("priority 150", "priority 50");
    pair.reload(First, lower);
    pair.await_masters("a lower priority", |_, router| {
        let stays = router.rule == Rule::NoPreempt && !is_guest(router);
        vec![if stays { First } else { Second }]
    });
    pair.await_good_captures();
}

for_each_pair!(reloads);
