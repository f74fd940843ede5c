//! The virtual interfaces of virtual routers (VMACs and ipvlans): made before anybody speaks on them, removed at the end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use lvs_vrrp::io::address::{self, Address};
use lvs_vrrp::io::device::{self, Device, DeviceKind, Ipvlan};
use lvs_vrrp::io::link::Links;
use lvs_vrrp::io::netlink::Connection;

use super::host::names::{Kind, Names};
use super::logger::Logger;
use super::seat::{Own, Seat};
use crate::keepalived::model::{self, Instance, IpvlanMode, Named, Vrrp};

/// The virtual interfaces that we have made, by name.
#[derive(Debug)]
pub(super) struct Devices {
    connection: Connection,
    links: Links,
    names: Names,
    made: BTreeMap<String, u32>,
    log: Logger,
}

impl Devices {
    /// None yet, in the calling thread's network namespace.
    pub(super) fn new(log: Logger) -> io::Result<Self> {
        Ok(Self {
            connection: Connection::route()?,
            links: Links::new()?,
            names: Names::read(),
            made: BTreeMap::new(),
            log,
        })
    }

    /// Whether there is an interface of this name that is not ours.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        !self.made.contains_key(name) && self.links.named(name).is_some()
    }

    /// Makes what is not there. What cannot be made is logged, and tried again the next time.
    pub(super) fn make(&mut self, vrrp: &Vrrp, seats: &HashMap<String, Seat>) {
        let all = vrrp.instances.iter();
        let all = all.filter_map(|i| Some((i, seats.get(&i.name.value)?)));
        for (instance, own) in all.flat_map(|(i, seat)| seat.virtuals().map(move |own| (i, own))) {
            if let Err(why) = self.make_one(instance, own) {
                let name = instance.name.value.escape_debug();
                let device = own.name.escape_debug();
                self.log.log(format!("({name}) interface {device}: {why}"));
            }
        }
    }

    /// Removes all that these virtual routers have no use for.
    pub(super) fn keep_only(&mut self, seats: &HashMap<String, Seat>) {
        let used: HashSet<&str> = seats
            .values()
            .flat_map(Seat::virtuals)
            .map(|own| own.name.as_str())
            .collect();
        let unused = self
            .made
            .keys()
            .filter(|name| !used.contains(name.as_str()));
        for name in unused.cloned().collect::<Vec<_>>() {
            self.remove(&name);
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(ifindex) = self.made.remove(name) else {
            return;
        };
        match device::remove(&mut self.connection, ifindex) {
            Err(e) if e.raw_os_error() != Some(libc::ENODEV) => {
                let name = name.escape_debug();
                self.log
                    .log(format!("interface {name} cannot be removed: {e}"));
            }
            _ => {}
        }
    }

    fn make_one(&mut self, instance: &Instance, own: &Own) -> Result<(), String> {
        let said = |e: io::Error| e.to_string();
        self.links.update().map_err(said)?;
        let on = own.on.escape_debug();
        let below = self.links.named(&own.on);
        let below = below.ok_or_else(|| format!("there is no interface {on} to put it on"))?;
        let device = Device {
            name: own.name.clone(),
            parent: below.ifindex,
            kind: kind(instance),
            group: self.group(instance)?,
        };
        if let Some(there) = self.links.named(&own.name) {
            if !device.is_like(there) {
                return Err("there is another interface of this name".to_owned());
            }
            self.made.insert(own.name.clone(), there.ifindex);
            return Ok(());
        }
        self.connection.request(&device.creation()).map_err(said)?;
        self.links.update().map_err(said)?;
        let link = self.links.named(&own.name);
        let ifindex = link.ok_or("it was made, and is not there")?.ifindex;
        self.made.insert(own.name.clone(), ifindex);
        match device::without_own_addresses(&mut self.connection, ifindex) {
            Err(e) if e.raw_os_error() != Some(libc::EAFNOSUPPORT) => return Err(said(e)),
            _ => {}
        }
        device::switch_on(&mut self.connection, ifindex).map_err(said)?;
        if let model::Device::Ipvlan(ipvlan) = &instance.device
            && let Some(own) = ipvlan.addr
        {
            let addresses = [Address::new(ifindex, own.ip, own.len)];
            let added = address::add(&mut self.connection, &addresses).map_err(said)?;
            added
                .into_iter()
                .try_for_each(|a| a.map(drop))
                .map_err(said)?;
        }
        Ok(())
    }

    fn group(&self, instance: &Instance) -> Result<Option<u32>, String> {
        let group = match &instance.device {
            model::Device::Plain => None,
            model::Device::Vmac(vmac) => vmac.group.as_ref(),
            model::Device::Ipvlan(ipvlan) => ipvlan.group.as_ref(),
        };
        let number = |name: &String| self.names.number(Kind::Group, &Named::parse(name));
        group.map(number).transpose().map_err(|e| e.to_string())
    }
}

/// The end of lvsd: they go.
impl Drop for Devices {
    fn drop(&mut self) {
        for name in self.made.keys().cloned().collect::<Vec<_>>() {
            self.remove(&name);
        }
    }
}

fn kind(instance: &Instance) -> DeviceKind {
    match &instance.device {
        model::Device::Ipvlan(ipvlan) => DeviceKind::Ipvlan(match ipvlan.mode {
            IpvlanMode::Bridge => Ipvlan::Bridge,
            IpvlanMode::Private => Ipvlan::Private,
            IpvlanMode::Vepa => Ipvlan::Vepa,
        }),
        model::Device::Vmac(vmac) => DeviceKind::Macvlan { mac: vmac.mac },
        // An address of its own asks for a VMAC (`use_vmac` behind it).
        model::Device::Plain => DeviceKind::Macvlan {
            mac: virtual_mac(instance),
        },
    }
}

/// RFC 9568 section 7.3.
fn virtual_mac(instance: &Instance) -> [u8; 6] {
    let family = match instance.family {
        lvs_core::Family::V4 => 1,
        lvs_core::Family::V6 => 2,
    };
    [0, 0, 0x5e, 0, family, instance.vrid.value]
}

/// Whether an interface is there, whoever has made it.
pub(super) fn exists(name: &str) -> bool {
    Links::new().is_ok_and(|links| links.named(name).is_some())
}
