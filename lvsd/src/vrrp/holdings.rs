//! What virtual routers hold while they are masters: addresses, routes, rules, and what keeps packets out; and what the host has
//! always.
//!
//! Problem: all of it must be there when a router takes over, and gone when it gives up, whatever others have done to the host in
//! the meantime.
//!
//! Rule: what is to be there is put there, one failure not hindering the rest, and written down first (the journal). What
//! somebody else has taken away is put back.

use std::collections::{BTreeMap, HashSet};
use std::io;

use lvs_vrrp::io::address::{self, Address, Outcome};
use lvs_vrrp::io::link::{HostAddress, Links};
use lvs_vrrp::io::netlink::Connection;

use super::host::change;
use super::host::firewall::Firewall;
use super::host::journal::{Item, Journal};
use super::host::names::Names;
use super::host::routes::{self, Routes};
use super::host::rules::{self, Rules};
use super::logger::Logger;
use super::seat::Seat;
use crate::keepalived::model::{self, Instance, Route, Rule, Vrrp};

/// Whose something is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The host's: `static_ipaddress` and the like.
    Host,
    /// A virtual router's, by name.
    Router(String),
}

/// What is to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Addresses, with the names of their interfaces.
    addresses: Vec<(model::Address, String)>,
    routes: Vec<Route>,
    rules: Vec<Rule>,
    /// Packets for the addresses are kept out.
    closed: bool,
    /// Addresses that the host has already are its own, and stay: so it is with those of owners.
    owns: bool,
}

impl Wanted {
    /// A master's.
    pub(super) fn of(instance: &Instance, seat: &Seat) -> Self {
        let place = |address: &model::Address| {
            let (interface, _) = seat.of(address)?;
            Some((address.clone(), interface.to_owned()))
        };
        Self {
            addresses: instance.addresses().filter_map(place).collect(),
            routes: instance.routes.clone(),
            rules: instance.rules.clone(),
            // An owner's addresses are the host's own.
            closed: !instance.accept && !instance.is_owner(),
            owns: instance.is_owner(),
        }
    }

    /// The host's.
    pub(super) fn of_host(vrrp: &Vrrp) -> Self {
        let place = |address: &model::Address| {
            let interface = address.interface.as_ref().map(|i| i.value.clone());
            let interface = interface.unwrap_or_else(|| vrrp.common.default_interface.clone());
            (address.clone(), interface)
        };
        Self {
            addresses: vrrp.addresses.iter().map(place).collect(),
            routes: vrrp.routes.clone(),
            rules: vrrp.rules.clone(),
            closed: false,
            owns: false,
        }
    }
}

/// What all owners have, as it is made true.
#[derive(Debug)]
pub(super) struct Holdings {
    addresses: Connection,
    routes: Routes,
    rules: Rules,
    firewall: Option<Firewall>,
    wall: model::Firewall,
    held: BTreeMap<Owner, Wanted>,
    journal: Journal,
    log: Logger,
}

impl Holdings {
    /// For the calling thread's network namespace, where nothing is held yet.
    pub(super) fn new(wall: model::Firewall, journal: Journal, log: Logger) -> io::Result<Self> {
        let names = Names::read();
        Ok(Self {
            addresses: Connection::route()?,
            routes: Routes::new(names.clone())?,
            rules: Rules::new(names)?,
            firewall: None,
            wall,
            held: BTreeMap::new(),
            journal,
            log,
        })
    }

    /// Makes true what an owner is to have, from what it has had. To give everything up, want nothing.
    pub(super) fn make(&mut self, owner: &Owner, mut wanted: Wanted, links: &Links) {
        let had = self.held.remove(owner).unwrap_or_default();
        if wanted.owns {
            let of_host = |(address, interface): &(model::Address, String)| {
                let link = links.named(interface);
                let mut there = link.into_iter().flat_map(|l| links.addresses_of(l.ifindex));
                there.any(|a| a.ip == address.addr.ip)
            };
            wanted
                .addresses
                .retain(|a| had.addresses.contains(a) || !of_host(a));
        }
        self.take_away(&without(&had, &wanted), links);
        self.shut(owner, &wanted);
        self.put(&without(&wanted, &had), links);
        if wanted != Wanted::default() {
            self.held.insert(owner.clone(), wanted);
        }
    }

    /// Puts back what is not there, of all owners: an interface has come back, or somebody has taken something away. What need not
    /// be watched is left as it is.
    pub(super) fn repair(&mut self, links: &Links) {
        for wanted in self.held.values().cloned().collect::<Vec<_>>() {
            let watched = Wanted {
                addresses: filtered(&wanted.addresses, |(a, _)| a.tracked),
                routes: filtered(&wanted.routes, |r| r.tracked),
                rules: filtered(&wanted.rules, |r| r.tracked),
                ..Wanted::default()
            };
            for again in self.put(&watched, links) {
                self.log
                    .log(format!("{again} was gone: somebody has taken it away, or an interface was down. It is put back"));
            }
        }
    }

    /// Whether an address that is gone is one that is to be there.
    pub(super) fn wants(&self, gone: &HostAddress, links: &Links) -> bool {
        let on = links.get(gone.ifindex).map(|l| l.name.as_str());
        let mut all = self.held.values().flat_map(|w| &w.addresses);
        all.any(|(a, name)| a.tracked && a.addr.ip == gone.ip && on.is_none_or(|on| on == name))
    }

    /// The groups (`track_group`) of which static items are not there.
    pub(super) fn missing_groups(&mut self, links: &Links) -> HashSet<String> {
        let Some(host) = self.held.get(&Owner::Host) else {
            return HashSet::new();
        };
        let mut missing = HashSet::new();
        let there = |name: &str, ip| {
            let link = links.named(name);
            link.is_some_and(|l| links.addresses_of(l.ifindex).iter().any(|a| a.ip == ip))
        };
        for (address, interface) in &host.addresses {
            if let Some(group) = &address.track_group
                && !there(interface, address.addr.ip)
            {
                missing.insert(group.value.clone());
            }
        }
        let routes = filtered(&host.routes, |r| r.track_group.is_some());
        let rules = filtered(&host.rules, |r| r.track_group.is_some());
        let groups = routes.iter().map(|r| &r.track_group);
        let groups = groups.chain(rules.iter().map(|r| &r.track_group));
        let groups: Vec<_> = groups.flatten().map(|g| g.value.clone()).collect();
        // What cannot be asked about is taken to be there.
        let mut present = Vec::new();
        if !routes.is_empty() {
            present.extend(
                self.routes
                    .present(&routes)
                    .unwrap_or_else(|_| vec![true; routes.len()]),
            );
        }
        if !rules.is_empty() {
            present.extend(
                self.rules
                    .present(&rules)
                    .unwrap_or_else(|_| vec![true; rules.len()]),
            );
        }
        let lost = groups.into_iter().zip(present).filter(|(_, is)| !is);
        missing.extend(lost.map(|(group, _)| group));
        missing
    }

    /// Everything is given up.
    pub(super) fn give_back(&mut self, links: &Links) {
        for owner in self.held.keys().cloned().collect::<Vec<_>>() {
            self.make(&owner, Wanted::default(), links);
        }
        // What was on interfaces that are gone went with them.
        let held = |item: &Item| matches!(item, Item::Address { .. } | Item::Removable { .. });
        self.journal.forget_where(held);
    }

    /// Returns what was not there before.
    fn put(&mut self, new: &Wanted, links: &Links) -> Vec<String> {
        let mut put = Vec::new();
        let items = self.items(new, links);
        self.journal.note(items);
        let mut addresses = Vec::new();
        for (model, interface) in &new.addresses {
            match links.named(interface) {
                Some(link) => addresses.push(made(model, link.ifindex)),
                None => self.log.log(format!(
                    "{} is not put on {}: there is no such interface",
                    model.addr,
                    interface.escape_debug()
                )),
            }
        }
        match address::add(&mut self.addresses, &addresses) {
            Ok(outcomes) => {
                let both = addresses.iter().zip(&outcomes);
                let done = both.filter(|(_, outcome)| matches!(outcome, Ok(Outcome::Done)));
                put.extend(done.map(|(a, _)| format!("address {}/{}", a.ip, a.prefix_len)));
                self.complain("put on an interface", &addresses, outcomes);
            }
            Err(e) => self
                .log
                .log(format!("addresses cannot be put on interfaces: {e}")),
        }
        let routes = self.routes.add(&new.routes);
        let routes = routes.into_iter().zip(new.routes.iter().map(routes::words));
        let rules = self.rules.add(&new.rules);
        let rules = rules.into_iter().zip(new.rules.iter().map(rules::words));
        for (outcome, words) in routes.chain(rules) {
            match outcome {
                Ok(change::Change::Made) => put.push(words),
                Ok(change::Change::Already) => {}
                Err(refused) => self.log.log(refused.to_string()),
            }
        }
        put
    }

    fn take_away(&mut self, old: &Wanted, links: &Links) {
        let items = self.items(old, links);
        let rules = self.rules.remove(&old.rules);
        let routes = self.routes.remove(&old.routes);
        for refused in rules.into_iter().chain(routes).filter_map(Result::err) {
            self.log.log(refused.to_string());
        }
        let addresses: Vec<Address> = old
            .addresses
            .iter()
            .filter_map(|(a, name)| Some(made(a, links.named(name)?.ifindex)))
            .collect();
        let removals: Vec<_> = addresses.iter().map(Address::removal).collect();
        match address::remove(&mut self.addresses, &removals) {
            Ok(outcomes) => self.complain("taken away", &addresses, outcomes),
            Err(e) => self.log.log(format!("addresses cannot be taken away: {e}")),
        }
        self.journal.forget(&items);
    }

    /// As the journal has them.
    fn items(&mut self, wanted: &Wanted, links: &Links) -> Vec<Item> {
        let address = |(model, name): &(model::Address, String)| {
            let address = made(model, links.named(name)?.ifindex);
            Some(Item::Address {
                interface: name.clone(),
                ifindex: address.ifindex,
                ip: address.ip,
                len: address.prefix_len,
                peer: address.peer,
            })
        };
        let removable = |what: &str, removal| Item::Removable {
            what: what.to_owned(),
            removal,
        };
        // Of routes and rules that the kernel would not take either, nothing stays.
        let rules = self.rules.removals(&wanted.rules);
        let routes = match wanted.routes.is_empty() {
            true => Vec::new(),
            false => self.routes.removals(&wanted.routes).unwrap_or_default(),
        };
        let addresses = wanted.addresses.iter().filter_map(address);
        addresses
            .chain(routes.into_iter().map(|r| removable("a route", r)))
            .chain(rules.into_iter().map(|r| removable("a rule", r)))
            .collect()
    }

    fn complain(&self, what: &str, all: &[Address], outcomes: Vec<io::Result<Outcome>>) {
        for (address, outcome) in all.iter().zip(outcomes) {
            if let Err(e) = outcome {
                self.log
                    .log(format!("address {} cannot be {what}: {e}", address.ip));
            }
        }
    }

    /// Keeps packets out of the host that are for addresses it has but does not accept.
    fn shut(&mut self, owner: &Owner, wanted: &Wanted) {
        let Owner::Router(name) = owner else { return };
        if self.firewall.is_none() && wanted.closed {
            match Firewall::new(&self.wall) {
                Ok(firewall) => self.firewall = Some(firewall),
                Err(e) => self
                    .log
                    .log(format!("packets for VIPs cannot be kept out: {e}")),
            }
        }
        let Some(firewall) = &mut self.firewall else {
            return;
        };
        let addresses = wanted.addresses.iter();
        let addresses = addresses.map(|(a, interface)| (a.addr.ip, interface.as_str()));
        let done = match wanted.closed {
            true => firewall.block(name, addresses),
            false => firewall.unblock(name),
        };
        if let Err(refused) = done {
            self.log.log(refused.to_string());
        }
    }
}

/// What is in `all` and not in `but`.
fn without(all: &Wanted, but: &Wanted) -> Wanted {
    Wanted {
        addresses: rest(&all.addresses, &but.addresses),
        routes: rest(&all.routes, &but.routes),
        rules: rest(&all.rules, &but.rules),
        ..Wanted::default()
    }
}

fn rest<T: Clone + PartialEq>(all: &[T], but: &[T]) -> Vec<T> {
    // Most of what stays is where it was.
    let stays = |i: usize, t: &T| but.get(i) == Some(t) || but.contains(t);
    let goes = all.iter().enumerate().filter(|(i, t)| !stays(*i, t));
    goes.map(|(_, t)| t.clone()).collect()
}

fn filtered<T: Clone>(all: &[T], keep: impl Fn(&T) -> bool) -> Vec<T> {
    all.iter().filter(|t| keep(t)).cloned().collect()
}

fn made(model: &model::Address, ifindex: u32) -> Address {
    let mut flags = 0;
    let mut set = |is: bool, flag: u32| {
        if is {
            flags |= flag;
        }
    };
    set(!model.flags.dad, Address::NODAD);
    set(model.flags.home, Address::HOME);
    set(model.flags.mngtmpaddr, Address::MNGTMPADDR);
    set(model.flags.noprefixroute, Address::NOPREFIXROUTE);
    set(model.flags.autojoin, Address::AUTOJOIN);
    let (ip, peer) = (model.addr.ip, model.peer);
    Address {
        ifindex,
        ip,
        prefix_len: peer.map_or(model.addr.len, |p| p.len),
        peer: peer.map(|p| p.ip),
        broadcast: model.broadcast,
        scope: model.scope.number(),
        label: model.label.clone(),
        flags,
        preferred: model.preferred,
    }
}
