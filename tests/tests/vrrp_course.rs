//! Two directors, one course of events, virtual routers of every kind: whoever speaks for which side, the masters are those that
//! two keepalived make.

use std::thread;
use std::time::Duration;

use tests::for_each_pair;
use tests::vrrp::Flavour::{V2, V2Ah, V2Pass, V3, V3Ipv6};
use tests::vrrp::Place::{First, Second};
use tests::vrrp::fleet::fleet;
use tests::vrrp::{PAIRS, Pair, Place, Router, Rule, Side};

/// Every kind of advert, once a second. All pairs of programs at once, as they mostly wait.
#[test]
fn every_second() {
    let flavours = [V2, V2Pass, V2Ah, V3, V3Ipv6];
    let rules = [Rule::Preempt, Rule::NoPreempt, Rule::Even];
    let routers = fleet(&flavours, &rules, Duration::from_secs(1));
    thread::scope(|scope| {
        for sides in PAIRS {
            let routers = routers.clone();
            scope.spawn(move || {
                let mut pair = Pair::new(sides, routers);
                elections(&mut pair);
                deaths(&mut pair);
                faults(&mut pair);
                end(pair);
            });
        }
    });
}

/// What version 3 is for: ten times a second.
fn ten_times_a_second(sides: [Side; 2]) {
    let rules = [
        Rule::Preempt,
        Rule::NoPreempt,
        Rule::Delayed(Duration::from_secs(1)),
        Rule::Even,
        Rule::Owner,
    ];
    let routers = fleet(&[V3, V3Ipv6], &rules, Duration::from_millis(100));
    let mut pair = Pair::new(sides, routers);
    elections(&mut pair);
    deaths(&mut pair);
    faults(&mut pair);
    end(pair);
}

for_each_pair!(ten_times_a_second);

fn only(place: Place) -> impl Fn(&Pair, &Router) -> Vec<Place> {
    move |_, _| vec![place]
}

/// Who is master when the first director has come to a master that lives.
fn elected(_: &Pair, router: &Router) -> Vec<Place> {
    match router.rule {
        Rule::Preempt | Rule::Delayed(_) | Rule::Owner => vec![First],
        Rule::NoPreempt | Rule::Even => vec![Second],
    }
}

fn elections(pair: &mut Pair) {
    pair.start(Second);
    pair.await_masters("the second alone", only(Second));
    pair.start(First);
    pair.await_masters("election", elected);
    pair.stop(First);
    pair.await_masters("the first is stopped", only(Second));
    pair.start(First);
    pair.await_masters("it is back", elected);
}

fn deaths(pair: &mut Pair) {
    pair.kill(Second);
    pair.await_masters("the second is killed", only(First));
    pair.start(Second);
    pair.await_masters("it is back", only(First));
    pair.kill(First);
    pair.await_masters("the first is killed", only(Second));
    pair.start(First);
    pair.await_masters("it is back too", elected);
}

fn faults(pair: &mut Pair) {
    pair.disturb(|lan| lan.unplug(&lan.director, "eth0"));
    pair.await_masters("unplugged", only(Second));
    pair.disturb(|lan| lan.plug(&lan.director, "eth0"));
    pair.await_masters("plugged in", elected);
    pair.disturb(|lan| lan.director.ip("link set eth0 down\n"));
    pair.await_masters("interface down", only(Second));
    pair.disturb(|lan| lan.director.ip("link set eth0 up\n"));
    pair.await_masters("interface up", elected);
    pair.disturb(|lan| lan.part(&[&lan.director, lan.second()]));
    pair.await_masters("parted", |_, _| Place::BOTH.to_vec());
    pair.disturb(|lan| lan.heal(&[&lan.director, lan.second()]));
    pair.await_masters("healed", |pair, router| vec![pair.winner(router)]);
}

fn end(mut pair: Pair) {
    pair.stop(Second);
    pair.await_masters("the second is stopped", only(First));
    pair.stop(First);
    pair.await_good_captures();
}
