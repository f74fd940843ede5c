//! Interfaces that the director must work on for a virtual router to be of use.
//!
//! Problem: the director works on the interfaces that are there, and up, when it starts. A master whose addresses are on another one
//! would take them away from a healthy backup, and forward nothing.
//!
//! Rule: a virtual router with addresses of virtual services is in fault while the director does not work on the interfaces that
//! these are on. Where packets do not come by the address's interface (the loopback, one without ARP), it does not matter.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use lvs_vrrp::io::link::Links;
use lvs_vrrp::status::ObjectState;

use super::seat::Seat;
use crate::keepalived::model::{Config, Instance};

/// The addresses of virtual services.
pub(super) fn services(config: &Config) -> HashSet<IpAddr> {
    let keys = config.services.iter().flat_map(|s| &s.keys);
    keys.filter_map(|key| Some(key.addr()?.ip.into())).collect()
}

/// The interfaces by which packets for a virtual router's services come.
pub(super) fn interfaces(
    instance: &Instance,
    seat: &Seat,
    services: &HashSet<IpAddr>,
) -> BTreeSet<String> {
    let served = instance
        .addresses()
        .filter(|a| services.contains(&a.addr.ip));
    let below = served.filter_map(|address| {
        let (on, _) = seat.of(address)?;
        let own = seat.virtuals().find(|own| own.name == on);
        Some(own.map_or(on, |own| &own.on).to_owned())
    });
    below.collect()
}

/// Whether the director, which works on these interfaces, serves what comes by one.
pub(super) fn state(links: &Links, interface: &str, works_on: &[u32]) -> ObjectState {
    let Some(link) = links.named(interface) else {
        return ObjectState::Bad;
    };
    let is_macvlan = link.kind == "macvlan" || link.kind == "ipvlan";
    let by_below = link.parent.filter(|_| is_macvlan);
    let works = |ifindex: u32| works_on.contains(&ifindex);
    match link.loopback || !link.arp || works(link.ifindex) || by_below.is_some_and(works) {
        true => ObjectState::Good,
        false => ObjectState::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{seat, testing};
    use super::*;

    #[test]
    fn only_addresses_of_services_need_the_director() {
        let vrrp = testing::vrrp(
            "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n 192.0.2.2 dev eth1\n \
             192.0.2.3 dev eth2\n }\n}\n\
             vrrp_instance B {\n interface eth3\n virtual_router_id 2\n use_vmac\n virtual_ipaddress {\n 192.0.2.4\n }\n}\n\
             vrrp_instance C {\n interface eth4\n virtual_router_id 3\n virtual_ipaddress {\n 192.0.2.5\n }\n}\n",
        );
        let seats = seat::seats(&vrrp, |_| false);
        let served = ["192.0.2.1", "192.0.2.2", "192.0.2.4"];
        let served = served.iter().map(|ip| ip.parse().unwrap()).collect();
        let needed = vrrp.instances.iter().map(|instance| {
            let seat = &seats[&instance.name.value];
            let needed = interfaces(instance, seat, &served);
            needed.into_iter().collect::<Vec<_>>().join(" ")
        });
        assert_eq!(needed.collect::<Vec<_>>(), ["eth0 eth1", "eth3", ""]);
    }
}
