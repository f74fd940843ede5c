//! Keeps packets for VIPs away from the host where it does not accept them. (And, see [`vmac`], packets from virtual MAC addresses
//! in it.)
//!
//! Problem: a router that holds a VIP without owning it forwards what is sent through it, but must not itself answer at that
//! address (RFC 9568, `Accept_Mode` false); the kernel would, as the VIP is on its interface.
//!
//! Rule: while such a virtual router is master, nftables drops what is for its addresses and what is from them, neighbour
//! discovery excepted. What lvsd serves at a VIP comes to it before nftables, and goes on. The tables belong to this process:
//! the kernel removes them when it ends, however that comes, and lets nobody else change them meanwhile. So there is never a
//! rest of a predecessor, but where the kernel is older than 5.12; there what one left is replaced.

mod expression;
mod nfnetlink;
mod table;
#[cfg(test)]
mod tests;
mod vmac;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use lvs_vrrp::io::netlink::{Connection, Request};

use self::nfnetlink::{Protocol, Verb};
use self::table::{Blocked, KEEPALIVED, Maker, Table};
pub(crate) use self::vmac::Vmacs;
use super::change::{Change, Refused, Why};
use crate::keepalived::model::Firewall as Wanted;

/// What keeps packets for VIPs out. The tables go when this is dropped.
#[derive(Debug)]
pub(crate) struct Firewall {
    nftables: Connection,
    table: Table,
    /// What each virtual router has blocked.
    routers: BTreeMap<String, BTreeSet<Blocked>>,
    /// What is in the kernel's tables; no table of a protocol, if there is no such key.
    installed: BTreeMap<Protocol, BTreeSet<Blocked>>,
    /// A table of its own, so that kernels without copies of packets block all the same.
    vmac_table: Table,
    /// What is in it.
    vmacs: BTreeMap<Protocol, Vmacs>,
}

impl Firewall {
    /// Tables' priority where none is said: before the filters that most hosts have.
    const PRIORITY: i32 = -1;

    /// For the calling thread's network namespace. Where iptables was asked for, or nothing, it is nftables all the same, with
    /// keepalived's names.
    ///
    /// # Errors
    ///
    /// The kernel has no netfilter.
    pub(crate) fn new(wanted: &Wanted) -> io::Result<Self> {
        let (name, priority, counters) = match wanted {
            Wanted::Nftables {
                table,
                priority,
                counters,
            } => (table.as_str(), *priority, *counters),
            Wanted::None | Wanted::Iptables { .. } => (KEEPALIVED, Self::PRIORITY, false),
        };
        let table = |name: String| Table {
            name,
            priority,
            counters,
        };
        Ok(Self {
            nftables: Connection::netfilter()?,
            table: table(name.to_owned()),
            routers: BTreeMap::new(),
            installed: BTreeMap::new(),
            vmac_table: table(format!("{name}_vmac")),
            vmacs: BTreeMap::new(),
        })
    }

    /// Drops packets for these addresses of a virtual router, each with the interface it is on, and no longer those for others
    /// of its addresses.
    ///
    /// # Errors
    ///
    /// `CAP_NET_ADMIN` is lacking, or nftables in the kernel, or there is a table of this name that somebody else made. The
    /// router's addresses are then what they were; asking again does the rest.
    pub(crate) fn block<'a>(
        &mut self,
        router: &str,
        addresses: impl IntoIterator<Item = (IpAddr, &'a str)>,
    ) -> Result<Change, Refused> {
        let blocked = addresses.into_iter();
        let blocked = blocked.map(|(ip, interface)| Blocked::new(ip, interface));
        let mut routers = self.routers.clone();
        routers.insert(router.to_owned(), blocked.collect());
        self.apply(routers)
    }

    /// Drops packets for a virtual router's addresses no longer.
    ///
    /// # Errors
    ///
    /// As with [`Self::block`].
    pub(crate) fn unblock(&mut self, router: &str) -> Result<Change, Refused> {
        let mut routers = self.routers.clone();
        routers.remove(router);
        self.apply(routers)
    }

    /// Has these interfaces (VMACs), and no others, send by themselves nothing that would show their MAC address. Each comes with
    /// the number of the interface below, on which the groups are announced that they listen to. They need not exist yet: it is
    /// too late when they are up. This and [`Self::block`] have tables of their own, so they may be of different `Firewall`s.
    ///
    /// # Errors
    ///
    /// As with [`Self::block`]; or the kernel cannot copy packets (`nft_dup_ipv4`, `nft_dup_ipv6`).
    pub(crate) fn keep_quiet(&mut self, vmacs: &Vmacs) -> Result<Change, Refused> {
        let mut change = Change::Already;
        for protocol in [Protocol::Ip, Protocol::Ip6] {
            let installed = self.vmacs.get(&protocol);
            if installed.map_or(vmacs.is_empty(), |i| i == vmacs) {
                continue;
            }
            self.quiet(protocol, vmacs).map_err(|why| Refused {
                what: format!("table {} of nftables", self.vmac_table.name),
                why,
            })?;
            change = Change::Made;
        }
        Ok(change)
    }

    fn quiet(&mut self, protocol: Protocol, vmacs: &Vmacs) -> Result<(), Why> {
        if self.vmacs.remove(&protocol).is_some() {
            was_there(self.change(vec![self.vmac_table.delete(protocol)]))?;
        }
        if !vmacs.is_empty() {
            let table = self.vmac_table.clone();
            let messages = |owned| table.create_for_vmacs(protocol, owned, vmacs);
            self.create(&table, protocol, messages)?;
            self.vmacs.insert(protocol, vmacs.clone());
        }
        Ok(())
    }

    fn apply(&mut self, routers: BTreeMap<String, BTreeSet<Blocked>>) -> Result<Change, Refused> {
        let mut change = Change::Already;
        for protocol in [Protocol::Ip, Protocol::Ip6] {
            let wanted: BTreeSet<Blocked> = routers
                .values()
                .flatten()
                .filter(|b| b.protocol() == protocol)
                .cloned()
                .collect();
            let installed = self.installed.get(&protocol);
            if installed.map_or(wanted.is_empty(), |i| *i == wanted) {
                continue;
            }
            self.install(protocol, wanted).map_err(|why| Refused {
                what: format!("table {} of nftables", self.table.name),
                why,
            })?;
            change = Change::Made;
        }
        self.routers = routers;
        Ok(change)
    }

    /// Has the kernel's table of a protocol hold these addresses; no table if there is none.
    fn install(&mut self, protocol: Protocol, wanted: BTreeSet<Blocked>) -> Result<(), Why> {
        if wanted.is_empty() {
            was_there(self.change(vec![self.table.delete(protocol)]))?;
            self.installed.remove(&protocol);
            return Ok(());
        }
        // Where it has no owner, somebody may have removed it.
        let there = match self.installed.get(&protocol) {
            Some(installed) => {
                let (old, new) = (installed.difference(&wanted), wanted.difference(installed));
                let mut messages = self.table.elements(Verb::DeleteElements, protocol, old);
                messages.append(&mut self.table.elements(Verb::NewElements, protocol, new));
                was_there(self.change(messages))?
            }
            None => false,
        };
        if !there {
            let table = self.table.clone();
            let messages = |owned| {
                let mut messages = table.create(protocol, owned);
                messages.append(&mut table.elements(Verb::NewElements, protocol, wanted.iter()));
                messages
            };
            self.create(&table, protocol, messages)?;
        }
        self.installed.insert(protocol, wanted);
        Ok(())
    }

    /// Makes a table, owned or not, in place of what a predecessor left.
    fn create(
        &mut self,
        table: &Table,
        protocol: Protocol,
        messages: impl Fn(bool) -> Vec<Request>,
    ) -> Result<(), Why> {
        let found = self.nftables.dump(&Table::question(protocol), |told| {
            table.whose(told.payload())
        })?;
        let left = match found.first() {
            Some(Maker::Somebody) => return Err(Why::Taken),
            Some(Maker::Predecessor) => Some(table.delete(protocol)),
            None => None,
        };
        let messages = |owned| left.clone().into_iter().chain(messages(owned)).collect();
        match self.change(messages(true)) {
            // Kernels before 5.12 know no owners.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                Ok(self.change(messages(false))?)
            }
            result => Ok(result?),
        }
    }

    fn change(&mut self, messages: Vec<Request>) -> io::Result<()> {
        self.nftables.transaction(&nfnetlink::batch(messages))
    }
}

/// Whether what was to be changed was there.
fn was_there(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        let blocking = self.installed.keys().map(|&p| self.table.delete(p));
        let quieting = self.vmacs.keys().map(|&p| self.vmac_table.delete(p));
        let tables = blocking.chain(quieting).collect();
        // If somebody has deleted them before, there is nothing left to do.
        let _ = self.change(tables);
    }
}
