//! Blocks about interfaces: announcements, delays, polling.

use std::time::Duration;

use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{At, GarpGroup, LinkDelay, LinkMethod, Linkbeat, Vrrp};
use crate::keepalived::tree::{Arg, Line, Node};

pub(super) fn build(nodes: &[Node], vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    for node in nodes {
        match node.keyword.name {
            "garp_group" => garp_group(node, vrrp, found),
            "interface_up_down_delays" => {
                vrrp.link_delays.extend(node.items.iter().filter_map(delay))
            }
            "linkbeat_interfaces" => vrrp.linkbeat.extend(node.items.iter().filter_map(linkbeat)),
            _ => {}
        }
    }
}

fn interfaces(line: &Line) -> impl Iterator<Item = At<String>> {
    line.args
        .iter()
        .filter_map(|a| Some(At::new(a.text()?.to_owned(), a.span)))
}

fn garp_group(node: &Node, vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    let one = node.children("interface").flat_map(|n| interfaces(n));
    let several = node
        .children("interfaces")
        .flat_map(|n| &n.items)
        .flat_map(interfaces);
    let mut all: Vec<At<String>> = Vec::new();
    for interface in one.chain(several) {
        let before = vrrp
            .garp_groups
            .iter()
            .flat_map(|g| &g.interfaces)
            .chain(&all);
        let first = before
            .into_iter()
            .find(|i| **i == interface)
            .map(|i| i.span);
        match first {
            Some(first) => {
                let message = format!("`{}` is in a `garp_group` already", interface.value);
                let twice = Diagnostic::error("interface-in-two-groups", interface.span, message)
                    .tolerated();
                found.push(
                    twice
                        .also(first, "first here")
                        .help("remove it from one of them"),
                );
            }
            None => all.push(interface),
        }
    }
    let time = |keyword: &str| node.child(keyword).and_then(|n| n.time());
    let (garp_interval, na_interval) = (time("garp_interval"), time("gna_interval"));
    let span = node.head.span;
    if garp_interval.is_none() && na_interval.is_none() && !node.is_damaged() {
        let message = "this `garp_group` has no interval: its interfaces share nothing";
        found.push(
            Diagnostic::warning("empty-garp-group", span, message)
                .help("add `garp_interval SECONDS` or `gna_interval SECONDS`"),
        );
    }
    if all.is_empty() {
        if !node.is_damaged() {
            let message = "this `garp_group` has no interfaces";
            found.push(
                Diagnostic::warning("empty-garp-group", span, message)
                    .help("add `interfaces { NAME NAME }`"),
            );
        }
        return;
    }
    vrrp.garp_groups.push(GarpGroup {
        interfaces: all,
        garp_interval,
        na_interval,
        span: At::new((), span),
    });
}

fn delay(line: &Line) -> Option<LinkDelay> {
    let interface = interfaces(line).next()?;
    let mut times = line
        .args
        .iter()
        .filter_map(|a| Some(At::new(a.time()?, a.span)));
    let down = times.next()?;
    Some(LinkDelay {
        interface,
        down,
        up: times.next().map_or(Duration::ZERO, |t| t.value),
    })
}

fn linkbeat(line: &Line) -> Option<Linkbeat> {
    let mut words = interfaces(line);
    let interface = words.next()?;
    let method = line
        .args
        .iter()
        .filter_map(Arg::text)
        .nth(1)
        .and_then(|how| match how {
            "MII" => Some(LinkMethod::Mii),
            "ETHTOOL" => Some(LinkMethod::Ethtool),
            "IOCTL" => Some(LinkMethod::Ioctl),
            _ => None,
        });
    Some(Linkbeat { interface, method })
}
