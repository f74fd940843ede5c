//! What is on the host at the start and should not be.
//!
//! Problem: a predecessor that was killed has left what it had added; so has one that was no lvsd.
//!
//! Rule: at the start, what its journal says is undone, the last first; then virtual addresses that are on their interfaces
//! are taken away (keepalived does so too): who has not become master must not have them.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;

use lvs_vrrp::io::address::{self, Outcome};
use lvs_vrrp::io::device;
use lvs_vrrp::io::link::{self, Link};
use lvs_vrrp::io::netlink::{Connection, Request};

use super::journal::{Item, Journal};
use super::sysctl;
use crate::keepalived::model::Prefix;

/// What removing meets if it is gone already: the thing, its interface, its table.
const GONE: [i32; 5] = [
    libc::ESRCH,
    libc::ENOENT,
    libc::ENODEV,
    libc::ENXIO,
    libc::EADDRNOTAVAIL,
];

/// Undoes and forgets all that is noted. Returns what was done and what is wrong, in words.
///
/// # Errors
///
/// Netlink's.
pub(crate) fn undo(journal: &Journal, connection: &mut Connection) -> io::Result<Vec<String>> {
    let items = journal.left();
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let mut said = vec![format!(
        "a predecessor did not give back what it had added to the host ({} items): they are removed",
        items.len()
    )];
    let interfaces = link::interfaces(connection)?;
    let removals: Vec<_> = items
        .iter()
        .rev()
        .filter_map(|item| Some((item, removal(item, &interfaces)?)))
        .collect();
    let requests: Vec<_> = removals
        .iter()
        .map(|(_, request)| request.clone())
        .collect();
    let outcomes = connection.requests(&requests)?;
    for ((item, _), outcome) in removals.iter().zip(outcomes) {
        said.extend(failure(item, outcome));
    }
    for item in items.iter().rev() {
        match item {
            Item::Interface { .. } => {
                let theirs = interfaces.iter().filter(|link| is_it(item, link));
                for link in theirs {
                    let outcome = device::remove(connection, link.ifindex);
                    said.extend(failure(item, outcome));
                }
            }
            Item::Sysctl { .. } => said.extend(sysctl::put_back(item).err()),
            Item::Address { .. } | Item::Removable { .. } => {}
        }
    }
    journal.forget(&items);
    Ok(said)
}

/// Takes away addresses that are on their interfaces, with these lengths of prefixes. Returns them.
///
/// # Errors
///
/// Netlink's.
pub(crate) fn take_away<'a>(
    addresses: impl IntoIterator<Item = (Prefix, &'a str)>,
    connection: &mut Connection,
) -> io::Result<Vec<Prefix>> {
    let unwanted: HashSet<(Prefix, &str)> = addresses.into_iter().collect();
    let interfaces = link::interfaces(connection)?;
    let mut found = Vec::new();
    for there in link::addresses(connection)? {
        let (ip, len) = (there.ip, there.prefix_len);
        let on = interfaces.iter().find(|l| l.ifindex == there.ifindex);
        if on.is_some_and(|l| unwanted.contains(&(Prefix { ip, len }, l.name.as_str()))) {
            found.push((Prefix { ip, len }, there.removal()));
        }
    }
    let removals: Vec<_> = found.iter().map(|(_, request)| request.clone()).collect();
    let outcomes = address::remove(connection, &removals)?;
    let done = |outcome: io::Result<Outcome>| matches!(outcome, Ok(Outcome::Done));
    let gone = found
        .into_iter()
        .zip(outcomes)
        .filter_map(|((prefix, _), outcome)| done(outcome).then_some(prefix));
    Ok(gone.collect())
}

/// The message that removes an item, if that is what removes it and it can be there.
fn removal(item: &Item, interfaces: &[Link]) -> Option<Request> {
    match item {
        Item::Address {
            interface,
            ifindex,
            ip,
            len,
            peer,
        } => {
            let same = |l: &&Link| l.ifindex == *ifindex && l.name == *interface;
            interfaces.iter().find(same)?;
            let mut address = address::Address::new(*ifindex, *ip, *len);
            address.peer = *peer;
            Some(address.removal())
        }
        Item::Removable { removal, .. } => Some(removal.clone()),
        Item::Interface { .. } | Item::Sysctl { .. } => None,
    }
}

/// Whether an interface is the one that an item says: somebody else may have made one of its name.
fn is_it(item: &Item, link: &Link) -> bool {
    let Item::Interface { name, mac } = item else {
        return false;
    };
    let kind = if mac.is_some() { "macvlan" } else { "ipvlan" };
    link.name == *name && link.kind == kind && (mac.is_none() || link.mac == *mac)
}

fn failure(item: &Item, outcome: io::Result<()>) -> Option<String> {
    let e = outcome.err()?;
    if e.raw_os_error().is_some_and(|code| GONE.contains(&code)) {
        return None;
    }
    let what = match item {
        Item::Address {
            ip, len, interface, ..
        } => {
            format!("address {ip}/{len} on {}", interface.escape_debug())
        }
        Item::Removable { what, .. } => what.escape_debug().to_string(),
        Item::Interface { name, .. } => format!("interface {}", name.escape_debug()),
        Item::Sysctl { path, .. } => format!("sysctl {}", path.escape_debug()),
    };
    Some(format!(
        "what a predecessor left cannot be removed: {what}: {e}"
    ))
}
