//! Where a virtual router sits: the interfaces that it speaks on, and that its addresses are on.
//!
//! With a virtual MAC address of its own a virtual router has an interface of its own on the one that is named. Its name
//! follows from the configuration alone, so that all who need it say the same.

use std::collections::{HashMap, HashSet};

use lvs_core::Family;
use lvs_vrrp::announce::Place;
use lvs_vrrp::io::device::name_of;

use crate::keepalived::model::{Address, Device, Instance, Vrrp};

/// Where a virtual router sits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// The family of its advertisements; addresses of the other one are not on its own virtual interface, as in keepalived.
    family: Family,
    /// The interface that is named; `None`: it sends from an address, wherever that is.
    pub(super) base: Option<String>,
    /// The interface that advertisements go by.
    pub(super) speaks_on: Option<String>,
    /// The virtual interface on the named one, with its configuration.
    pub(super) own: Option<Own>,
    /// Virtual interfaces on others, for addresses there.
    pub(super) others: Vec<Own>,
}

/// A virtual interface of a virtual router's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Own {
    /// Its name.
    pub(super) name: String,
    /// The interface that it is on.
    pub(super) on: String,
}

impl Seat {
    /// The interface that an address is on, and what that is to the virtual router.
    pub(super) fn of<'a>(&'a self, address: &'a Address) -> Option<(&'a str, Place)> {
        let named = address.interface.as_ref().map(|i| i.value.as_str());
        let elsewhere = named.filter(|name| Some(*name) != self.base.as_deref());
        let Some(name) = elsewhere else {
            let base = self.base.as_deref();
            let own = self.own.as_ref().map(|own| own.name.as_str());
            if own.is_some() && address.addr.ip.is_ipv4() != (self.family == Family::V4) {
                return Some((base?, Place::Other));
            }
            return Some((own.or(base)?, Place::Own));
        };
        match self.others.iter().find(|other| other.on == name) {
            Some(other) => Some((&other.name, Place::OtherVirtual)),
            None => Some((name, Place::Other)),
        }
    }

    /// All its virtual interfaces.
    pub(super) fn virtuals(&self) -> impl Iterator<Item = &Own> {
        self.own.iter().chain(&self.others)
    }
}

/// Where all virtual routers of a configuration sit, by name. `taken` says which names of interfaces belong to somebody else.
pub(super) fn seats(vrrp: &Vrrp, taken: impl Fn(&str) -> bool) -> HashMap<String, Seat> {
    let mut used: HashSet<String> = HashSet::new();
    // Names that are written down come first: those that are made up give way.
    for instance in &vrrp.instances {
        used.extend(written(instance).map(str::to_owned));
    }
    let mut seats = HashMap::new();
    for instance in &vrrp.instances {
        let mut make_up = |prefix: &str| {
            let v6 = instance.family == Family::V6;
            let busy = |name: &str| used.contains(name) || taken(name);
            let name = name_of(prefix, instance.vrid.value, v6, busy)?;
            used.insert(name.clone());
            Some(name)
        };
        let seat = seat(instance, vrrp, &mut make_up);
        seats.insert(instance.name.value.clone(), seat);
    }
    seats
}

fn written(instance: &Instance) -> Option<&str> {
    match &instance.device {
        Device::Plain => None,
        Device::Vmac(vmac) => vmac.name.as_deref(),
        Device::Ipvlan(ipvlan) => ipvlan.name.as_deref(),
    }
}

fn seat(
    instance: &Instance,
    vrrp: &Vrrp,
    make_up: &mut impl FnMut(&str) -> Option<String>,
) -> Seat {
    let base = instance.interface.as_ref().map(|i| i.value.clone());
    let mut seat = Seat {
        family: instance.family,
        speaks_on: base.clone(),
        base: base.clone(),
        own: None,
        others: Vec::new(),
    };
    let Some(base) = base else { return seat };
    if instance.device != Device::Plain {
        let name = written(instance).map(str::to_owned);
        let name = name.or_else(|| make_up(&vrrp.common.vmac_prefix));
        seat.own = name.map(|name| Own {
            name,
            on: base.clone(),
        });
    }
    let speaks_below = matches!(&instance.device, Device::Vmac(vmac) if vmac.send_below);
    if let Some(own) = &seat.own
        && !speaks_below
    {
        seat.speaks_on = Some(own.name.clone());
    }
    let everywhere = matches!(&instance.device, Device::Vmac(vmac) if vmac.everywhere);
    for address in instance.addresses() {
        let Some(name) = address.interface.as_ref().map(|i| &i.value) else {
            continue;
        };
        let wanted = (everywhere || address.vmac) && *name != base;
        if wanted
            && seat.others.iter().all(|other| other.on != *name)
            && let Some(made) = make_up(&vrrp.common.vmac_addr_prefix)
        {
            seat.others.push(Own {
                name: made,
                on: name.clone(),
            });
        }
    }
    seat
}

#[cfg(test)]
mod tests;
