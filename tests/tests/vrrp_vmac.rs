//! Virtual MACs: the client's packets for a virtual address go to the same link-layer address, whoever is master.

use std::time::Duration;

use tests::for_each_pair;
use tests::vrrp::Flavour::{V3, V3Ipv6};
use tests::vrrp::Place::{First, Second};
use tests::vrrp::fleet::fleet;
use tests::vrrp::{Pair, Place, Router, Rule, Side};

fn addresses_keep_their_mac(sides: [Side; 2]) {
    // One after the other: keepalived's interfaces for IPv6 answer ARP for everything.
    for flavour in [V3, V3Ipv6] {
        let mut routers = fleet(&[flavour], &[Rule::Preempt], Duration::from_millis(100));
        for router in &mut routers {
            router.vmac = true;
        }
        live(Pair::new(sides, routers));
    }
}

fn live(mut pair: Pair) {
    let only = |place: Place| move |_: &Pair, _: &Router| vec![place];
    pair.start(Second);
    pair.await_masters("the second alone", only(Second));
    pair.start(First);
    pair.await_masters("election", only(First));
    pair.disturb(|lan| lan.unplug(&lan.director, "eth0"));
    pair.await_masters("unplugged", only(Second));
    pair.disturb(|lan| lan.plug(&lan.director, "eth0"));
    pair.await_masters("plugged in", only(First));
    pair.disturb(|lan| lan.part(&[&lan.director, lan.second()]));
    pair.await_masters("parted", |_, _| Place::BOTH.to_vec());
    pair.disturb(|lan| lan.heal(&[&lan.director, lan.second()]));
    pair.await_masters("healed", only(First));
    pair.stop(First);
    pair.await_masters("the first is stopped", only(Second));
    pair.stop(Second);
    pair.await_good_captures();
}

for_each_pair!(addresses_keep_their_mac);
