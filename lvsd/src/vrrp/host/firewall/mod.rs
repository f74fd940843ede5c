//! Keeps packets for VIPs away from the host where it does not accept them.
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

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use lvs_vrrp::io::netlink::{Connection, Request};

use self::nfnetlink::{Protocol, Verb};
use self::table::{Blocked, KEEPALIVED, Maker, Table};
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
        Ok(Self {
            nftables: Connection::netfilter()?,
            table: Table {
                name: name.to_owned(),
                priority,
                counters,
            },
            routers: BTreeMap::new(),
            installed: BTreeMap::new(),
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
            self.create(protocol, &wanted)?;
        }
        self.installed.insert(protocol, wanted);
        Ok(())
    }

    /// Makes a table, in place of what a predecessor left.
    fn create(&mut self, protocol: Protocol, wanted: &BTreeSet<Blocked>) -> Result<(), Why> {
        let table = &self.table;
        let found = self.nftables.dump(&Table::question(protocol), |told| {
            table.whose(told.payload())
        })?;
        let left = match found.first() {
            Some(Maker::Somebody) => return Err(Why::Taken),
            Some(Maker::Predecessor) => Some(table.delete(protocol)),
            None => None,
        };
        let messages = |owned| {
            let mut messages = Vec::from_iter(left.clone());
            messages.append(&mut table.create(protocol, owned));
            messages.append(&mut table.elements(Verb::NewElements, protocol, wanted.iter()));
            messages
        };
        let (owned, plain) = (messages(true), messages(false));
        match self.change(owned) {
            // Kernels before 5.12 know no owners.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                Ok(self.change(plain)?)
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
        let tables = self
            .installed
            .keys()
            .map(|&p| self.table.delete(p))
            .collect();
        // If somebody has deleted them before, there is nothing left to do.
        let _ = self.change(tables);
    }
}
