//! The virtual interfaces of virtual routers (VMACs and ipvlans): made before anybody speaks on them, removed at the end. And what
//! sysctls have to be for them, and for interfaces that keep their secondary addresses.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use lvs_core::Family;
use lvs_vrrp::io::address::{self, Address};
use lvs_vrrp::io::device::{self, Device, DeviceKind, Ipvlan};
use lvs_vrrp::io::link::Links;
use lvs_vrrp::io::netlink::Connection;

use super::host::firewall::Firewall;
use super::host::journal::{Item, Journal};
use super::host::names::{Kind, Names};
use super::host::sysctl::{self, Sysctls};
use super::logger::Logger;
use super::seat::{Own, Seat};
use crate::keepalived::model::{self, Instance, IpvlanMode, Named, Vrrp};

/// The virtual interfaces that we have made, by name.
#[derive(Debug)]
pub(super) struct Devices {
    connection: Connection,
    links: Links,
    names: Names,
    made: BTreeMap<String, (u32, Item)>,
    sysctls: Sysctls,
    /// Keeps VMACs from saying what would show their MAC addresses.
    quiet: Option<Firewall>,
    journal: Journal,
    log: Logger,
}

impl Devices {
    /// None yet, in the calling thread's network namespace.
    pub(super) fn new(journal: Journal, log: Logger) -> io::Result<Self> {
        Ok(Self {
            connection: Connection::route()?,
            links: Links::new()?,
            names: Names::read(),
            made: BTreeMap::new(),
            sysctls: Sysctls::new(journal.clone()),
            quiet: None,
            journal,
            log,
        })
    }

    /// Whether there is an interface of this name that is not ours.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        !self.made.contains_key(name) && self.links.named(name).is_some()
    }

    /// Makes what is not there. What cannot be made is logged, and tried again the next time.
    pub(super) fn make(&mut self, vrrp: &Vrrp, seats: &HashMap<String, Seat>) {
        self.set_sysctls(vrrp);
        self.keep_quiet(vrrp, seats);
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
        let Some((ifindex, item)) = self.made.remove(name) else {
            return;
        };
        match device::remove(&mut self.connection, ifindex) {
            Err(e) if e.raw_os_error() != Some(libc::ENODEV) => {
                let name = name.escape_debug();
                self.log
                    .log(format!("interface {name} cannot be removed: {e}"));
            }
            _ => self.journal.forget([&item]),
        }
    }

    /// Before there are VMACs: they speak as soon as they are up.
    fn keep_quiet(&mut self, vrrp: &Vrrp, seats: &HashMap<String, Seat>) {
        if let Err(e) = self.links.update() {
            self.log.log(format!("interfaces cannot be followed: {e}"));
        }
        let with_mac = |i: &&Instance| !matches!(i.device, model::Device::Ipvlan(_));
        let instances = vrrp.instances.iter().filter(with_mac);
        let seats = instances.filter_map(|i| seats.get(&i.name.value));
        let vmacs = seats.flat_map(Seat::virtuals);
        let vmacs = vmacs.filter_map(|own| {
            let below = self.links.named(&own.on)?;
            Some((own.name.clone(), below.ifindex))
        });
        let vmacs: BTreeMap<String, u32> = vmacs.collect();
        if self.quiet.is_none() && !vmacs.is_empty() {
            match Firewall::new(&vrrp.common.firewall) {
                Ok(firewall) => self.quiet = Some(firewall),
                Err(e) => self.log.log(format!("VMACs cannot be kept quiet: {e}")),
            }
        }
        let kept = self.quiet.as_mut().map(|quiet| quiet.keep_quiet(&vmacs));
        if let Some(Err(refused)) = kept {
            self.log
                .log(format!("VMACs cannot be kept quiet: {refused}"));
        }
    }

    fn set_sysctls(&mut self, vrrp: &Vrrp) {
        let promoting = vrrp.instances.iter().filter(|i| i.promote_secondaries);
        for interface in promoting.filter_map(|i| i.interface.as_ref()) {
            if let Err(e) = self.sysctls.promote_secondaries(&interface.value) {
                let name = interface.value.escape_debug();
                self.log
                    .log(format!("promote_secondaries of {name} cannot be set: {e}"));
            }
        }
        if vrrp.common.disable_local_igmp
            && let Err(e) = self.sysctls.disable_local_igmp()
        {
            self.log.log(format!("disable_local_igmp: {e}"));
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
            let mac = mac_of(&device);
            let item = Item::Interface {
                name: own.name.clone(),
                mac,
            };
            self.journal.note([item.clone()]);
            self.made.insert(own.name.clone(), (there.ifindex, item));
            return Ok(());
        }
        let local = self.links.source_v6(below.ifindex, |_| false);
        let item = Item::Interface {
            name: own.name.clone(),
            mac: mac_of(&device),
        };
        self.journal.note([item.clone()]);
        if let Err(e) = self.connection.request(&device.creation()) {
            self.journal.forget([&item]);
            return Err(said(e));
        }
        self.links.update().map_err(said)?;
        let link = self.links.named(&own.name);
        let ifindex = link.ok_or("it was made, and is not there")?.ifindex;
        self.made.insert(own.name.clone(), (ifindex, item));
        match device::without_own_addresses(&mut self.connection, ifindex) {
            Err(e) if e.raw_os_error() != Some(libc::EAFNOSUPPORT) => return Err(said(e)),
            _ => {}
        }
        if mac_of(&device).is_some() {
            let v6 = instance.addresses().any(|a| a.addr.ip.is_ipv6());
            let v6 = v6 || instance.family == Family::V6;
            if instance.family == Family::V4 {
                self.sysctls.below_vmac(&own.on).map_err(said)?;
            }
            sysctl::prepare_vmac(&own.name, instance.family, v6).map_err(said)?;
        }
        device::switch_on(&mut self.connection, ifindex).map_err(said)?;
        // IPv6 sends from a link-local address, and the interface makes none: it has the one of the interface below, for that only.
        if let (Some(local), Family::V6, Some(_)) = (local, instance.family, mac_of(&device)) {
            let mut address = Address::new(ifindex, local.into(), 64);
            address.preferred = Some(0);
            self.put(&address).map_err(said)?;
        }
        if let model::Device::Ipvlan(ipvlan) = &instance.device
            && let Some(own) = ipvlan.addr
        {
            let address = Address::new(ifindex, own.ip, own.len);
            self.put(&address).map_err(said)?;
        }
        Ok(())
    }

    fn put(&mut self, address: &Address) -> io::Result<()> {
        let added = address::add(&mut self.connection, std::slice::from_ref(address))?;
        added.into_iter().try_for_each(|a| a.map(drop))
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
        for wrong in self.sysctls.restore() {
            self.log.log(wrong);
        }
    }
}

fn mac_of(device: &Device) -> Option<[u8; 6]> {
    match device.kind {
        DeviceKind::Macvlan { mac } => Some(mac),
        DeviceKind::Ipvlan(_) => None,
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
        Family::V4 => 1,
        Family::V6 => 2,
    };
    [0, 0, 0x5e, 0, family, instance.vrid.value]
}

/// Whether an interface is there, whoever has made it.
pub(super) fn exists(name: &str) -> bool {
    Links::new().is_ok_and(|links| links.named(name).is_some())
}
