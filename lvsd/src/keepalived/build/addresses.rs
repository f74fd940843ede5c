//! Addresses: static and virtual ones.

use std::net::{IpAddr, Ipv4Addr};

use super::tracking::says;
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::keywords::Value;
use crate::keepalived::model::{Address, AddressFlags, At, Prefix, Scope};
use crate::keepalived::tree::{Arg, Line, Node};

/// The addresses of blocks, each once.
pub(super) fn block(node: &Node, keyword: &str, found: &mut Vec<Diagnostic>) -> Vec<Address> {
    let mut list: Vec<Address> = Vec::new();
    for line in node.children(keyword).flat_map(|block| &block.items) {
        add(&mut list, line, found);
    }
    list
}

/// Adds the address of a line, unless it is there.
pub(super) fn add(list: &mut Vec<Address>, line: &Line, found: &mut Vec<Diagnostic>) {
    let Some(address) = address(line, found) else {
        return;
    };
    let same = |a: &&Address| a.addr.ip == address.addr.ip && a.interface == address.interface;
    match list.iter().find(same) {
        Some(first) => {
            let twice = Diagnostic::warning(
                "address-twice",
                address.span.span,
                format!("{} is there already", address.addr.ip),
            );
            found.push(
                twice
                    .also(first.span.span, "first here")
                    .help("the first line counts; remove this one"),
            );
        }
        None => list.push(address),
    }
}

/// The prefix of an argument; one address if no length is written.
pub(super) fn prefix(arg: &Arg) -> Option<Prefix> {
    match arg.value {
        Value::Prefix(ip, Some(len)) => Some(Prefix { ip, len }),
        Value::Prefix(ip, None) | Value::Addr(ip) => Some(Prefix::host(ip)),
        _ => None,
    }
}

/// A word behind an option, with its place.
pub(super) fn word(line: &Line, option: &str) -> Option<At<String>> {
    let arg = line
        .option(option)?
        .args
        .iter()
        .find(|a| a.text().is_some())?;
    Some(At::new(arg.text()?.to_owned(), arg.span))
}

fn address(line: &Line, found: &mut Vec<Diagnostic>) -> Option<Address> {
    let addr = line.args.iter().find_map(prefix)?;
    let peer = line
        .option("peer")
        .and_then(|o| o.args.iter().find_map(prefix));
    let label = word(line, "label").map(|l| l.value);
    let mut address = Address {
        addr,
        peer,
        broadcast: broadcast(line, addr, found),
        interface: word(line, "dev"),
        scope: scope(line),
        label,
        flags: AddressFlags {
            home: says(line, "home"),
            dad: says(line, "-nodad"),
            mngtmpaddr: says(line, "mngtmpaddr"),
            noprefixroute: says(line, "noprefixroute"),
            autojoin: says(line, "autojoin"),
        },
        preferred: preferred(line, addr),
        tracked: !says(line, "no_track"),
        vmac: says(line, "use_vmac"),
        track_group: word(line, "track_group"),
        span: At::new((), line.span),
    };
    if addr.ip.is_ipv6() {
        for (option, given) in [
            ("label", address.label.take().is_some()),
            ("scope", line.option("scope").is_some()),
            ("brd", line.option("brd").is_some()),
        ] {
            if given {
                let at = line.option(option).map_or(line.span, |o| o.span);
                let useless = Diagnostic::warning(
                    "ipv4-only",
                    at,
                    format!("`{option}` is for IPv4 addresses only"),
                );
                found.push(useless.help("remove it"));
            }
        }
        address.scope = Scope::Global;
    }
    if let Some(peer) = peer.filter(|p| p.ip.is_ipv4() != addr.ip.is_ipv4()) {
        let message = format!("the peer {} is of another family than {}", peer.ip, addr.ip);
        found.push(Diagnostic::error("family-mismatch", line.span, message).tolerated());
        return None;
    }
    Some(address)
}

fn scope(line: &Line) -> Scope {
    let Some(given) = line.option("scope") else {
        return Scope::Global;
    };
    let by_number = given
        .int()
        .and_then(|n| u8::try_from(n).ok())
        .map(Scope::Number);
    by_number
        .or_else(|| Scope::parse(given.text()?))
        .unwrap_or_default()
}

/// `brd`: an address, or `+` and `-` for host bits of ones and zeros.
fn broadcast(line: &Line, addr: Prefix, found: &mut Vec<Diagnostic>) -> Option<Ipv4Addr> {
    let given = line.option("brd")?;
    let IpAddr::V4(ip) = addr.ip else { return None };
    let hosts = u32::MAX.checked_shr(u32::from(addr.len)).unwrap_or(0);
    match (given.addr(), given.text()) {
        (Some(IpAddr::V4(broadcast)), _) => Some(broadcast),
        (_, Some(sign @ ("+" | "-"))) if addr.len > 30 => {
            let message = format!("`{sign}` needs host bits, and {addr} has none to speak of");
            found.push(
                Diagnostic::warning("no-broadcast", given.span, message)
                    .help("write the network's prefix length, such as `/24`, or leave `brd` out"),
            );
            None
        }
        (_, Some("+")) => Some(Ipv4Addr::from_bits(ip.to_bits() | hosts)),
        (_, Some("-")) => Some(Ipv4Addr::from_bits(ip.to_bits() & !hosts)),
        _ => None,
    }
}

/// `preferred_lft`: single addresses of IPv6 are not preferred unless something is said.
fn preferred(line: &Line, addr: Prefix) -> Option<u32> {
    match line.option("preferred_lft") {
        Some(given) => given.int().map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        None if addr.ip.is_ipv6() && addr.len == 128 => Some(0),
        None => None,
    }
}
