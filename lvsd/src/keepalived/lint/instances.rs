//! VRRP's instances and groups, and their peers.

use std::net::IpAddr;

use lvs_core::Family;

use super::{Lint, Scene, names};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{At, Device, Instance, Preempt, Transport, Vrrp};

pub(super) const LINTS: &[Lint] = &[
    Lint::fatal(
        "vrid-twice",
        vrid_twice,
        "Two instances have the same virtual_router_id on one interface, so that each takes the other's advertisements for its own.",
    ),
    Lint::warning(
        "interface-unknown",
        interface_unknown,
        "The host has no interface of this name. keepalived ends itself unless dynamic_interfaces is set.",
    ),
    Lint::fatal(
        "interface-is-loopback",
        interface_is_loopback,
        "An instance is on the loopback interface, where no other router hears it. keepalived ends itself.",
    ),
    Lint::warning(
        "source-not-here",
        source_not_here,
        "The source address of an instance's advertisements is not on this host.",
    ),
    Lint::warning(
        "peer-is-self",
        peer_is_self,
        "An instance's own address is among its unicast peers: mostly a file copied from the other host.",
    ),
    Lint::warning(
        "sync-group-of-one",
        sync_group_of_one,
        "A group has only one instance, so that there is nothing to keep in step.",
    ),
    Lint::warning(
        "sync-group-mixed-preemption",
        sync_group_mixed_preemption,
        "Some instances of a group preempt and others do not; the group moves as one, so that one of them decides for all.",
    ),
    Lint::warning(
        "strict-not-pingable",
        strict_not_pingable,
        "In strict mode a master that is not the owner accepts nothing for its VIPs: they can be neither pinged nor served on the host.",
    ),
    Lint::warning(
        "too-many-vips",
        too_many_vips,
        "An advertisement holds only so many addresses; keepalived moves the others to virtual_ipaddress_excluded.",
    ),
];

/// The interface whose link an instance's advertisements are on.
fn link(instance: &Instance) -> Option<&str> {
    instance.interface.as_ref().map(|i| i.value.as_str())
}

/// Whether two instances of the same number would hear each other.
fn same_lan(a: &Instance, b: &Instance) -> bool {
    let (link_a, link_b) = (link(a), link(b));
    match (&a.transport, &b.transport) {
        (Transport::Multicast { group: x }, Transport::Multicast { group: y }) => {
            link_a == link_b && x == y
        }
        (Transport::Unicast { peers: x, .. }, Transport::Unicast { peers: y, .. }) => {
            let same_source = match (&a.source, &b.source) {
                (Some(x), Some(y)) => x == y,
                _ => link_a == link_b,
            };
            let shared = x.iter().any(|p| y.iter().any(|q| p.addr == q.addr));
            same_source && shared
        }
        _ => false,
    }
}

fn vrid_twice(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let instances = &s.config.vrrp.instances;
    for (nr, instance) in instances.iter().enumerate() {
        let twin = instances[..nr].iter().find(|other| {
            other.vrid == instance.vrid
                && other.family == instance.family
                && same_lan(other, instance)
        });
        if let Some(twin) = twin {
            let on = link(instance)
                .map(|i| format!(" on `{i}`"))
                .unwrap_or_default();
            let message = format!(
                "`{}` has the number {}{on} that `{}` has",
                instance.name.value, instance.vrid.value, twin.name.value
            );
            let found = s
                .found(instance.vrid.span, message)
                .also(twin.vrid.span, "first here");
            let family: Vec<u8> = instances
                .iter()
                .filter(|i| i.family == instance.family)
                .map(|i| i.vrid.value)
                .collect();
            let free = (1..=255).find(|id| !family.contains(id));
            out.push(match free {
                Some(free) => found.help(format!(
                    "write `virtual_router_id {free}`, here and on its peers"
                )),
                None => found,
            });
        }
    }
}

/// All interfaces that VRRP's half names, each with what for.
fn named(vrrp: &Vrrp) -> Vec<(&At<String>, &'static str)> {
    let mut all: Vec<(&At<String>, &'static str)> = Vec::new();
    for i in &vrrp.instances {
        all.extend(i.interface.iter().map(|n| (n, "the instance's interface")));
        all.extend(
            i.addresses()
                .filter_map(|a| a.interface.as_ref())
                .map(|n| (n, "the address's interface")),
        );
        all.extend(
            i.routes
                .iter()
                .filter_map(|r| r.interface.as_ref())
                .map(|n| (n, "the route's interface")),
        );
        all.extend(
            i.tracking
                .interfaces
                .iter()
                .map(|t| (&t.name, "a tracked interface")),
        );
    }
    all.extend(
        vrrp.groups
            .iter()
            .flat_map(|g| &g.tracking.interfaces)
            .map(|t| (&t.name, "a tracked interface")),
    );
    all.extend(
        vrrp.addresses
            .iter()
            .filter_map(|a| a.interface.as_ref())
            .map(|n| (n, "the address's interface")),
    );
    all.extend(
        vrrp.routes
            .iter()
            .filter_map(|r| r.interface.as_ref())
            .map(|n| (n, "the route's interface")),
    );
    all.extend(
        vrrp.garp_groups
            .iter()
            .flat_map(|g| &g.interfaces)
            .map(|n| (n, "an interface of the group")),
    );
    all.extend(
        vrrp.link_delays
            .iter()
            .map(|d| (&d.interface, "the interface")),
    );
    all.extend(
        vrrp.linkbeat
            .iter()
            .map(|l| (&l.interface, "the interface")),
    );
    all.extend(
        vrrp.common
            .sync_daemon
            .iter()
            .map(|d| (&d.interface, "the interface")),
    );
    all
}

/// Interfaces that instances make themselves.
fn made(vrrp: &Vrrp) -> Vec<String> {
    let prefix = &vrrp.common.vmac_prefix;
    let made = |i: &Instance| match &i.device {
        Device::Vmac(vmac) => Some(vmac.name.clone()),
        Device::Ipvlan(ipvlan) => Some(ipvlan.name.clone()),
        Device::Plain => None,
    };
    let each = vrrp.instances.iter().filter_map(|i| Some((i, made(i)?)));
    each.map(|(i, name)| name.unwrap_or_else(|| format!("{prefix}.{}", i.vrid.value)))
        .collect()
}

fn interface_unknown(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    let Some(interfaces) = s
        .interfaces
        .as_ref()
        .filter(|_| !vrrp.common.dynamic_interfaces)
    else {
        return;
    };
    let made = made(vrrp);
    let mut said: Vec<(&str, usize)> = Vec::new();
    for (name, what) in named(vrrp) {
        let text = name.value.as_str();
        if interfaces.iter().any(|i| i.name == text) || made.iter().any(|m| m == text) {
            continue;
        }
        if let Some((_, at)) = said.iter().find(|(n, _)| *n == text) {
            if let Some(first) = out
                .get_mut(*at)
                .filter(|d| d.also.len() < 3 && d.span != name.span)
            {
                first.also.push((name.span, "and here".to_owned()));
            }
            continue;
        }
        said.push((text, out.len()));
        let others = interfaces
            .iter()
            .filter(|i| !i.loopback)
            .map(|i| i.name.as_str());
        let found = s
            .found(name.span, format!("there is no interface `{text}`"))
            .label(what);
        let have = names(others);
        out.push(match have.is_empty() {
            true => found,
            false => found.help(format!("the host has {have}; one that comes later needs `dynamic_interfaces` in `global_defs`")),
        });
    }
}

fn interface_is_loopback(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for instance in &s.config.vrrp.instances {
        let Some(interface) = instance.interface.as_ref() else {
            continue;
        };
        let known = s
            .interfaces
            .iter()
            .flatten()
            .any(|i| i.loopback && i.name == interface.value);
        if known || interface.value == "lo" {
            let message = format!(
                "`{}` is on the loopback interface, where no other router hears it",
                instance.name.value
            );
            out.push(
                s.found(interface.span, message)
                    .help("name the interface towards the other routers"),
            );
        }
    }
}

fn source_not_here(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for instance in &s.config.vrrp.instances {
        let Some(source) = &instance.source else {
            continue;
        };
        if s.carriers(source.value).is_some_and(|c| c.is_empty()) {
            let message = format!(
                "`{}` sends from {}, which is on no interface of this host",
                instance.name.value, source.value
            );
            let own = own_address(s, instance);
            let found = s.found(source.span, message);
            out.push(match own {
                Some((ip, interface)) => {
                    found.help(format!("the address of `{interface}` is {ip}"))
                }
                None => found,
            });
        }
    }
}

/// The address that an instance's interface has on the host.
fn own_address<'s>(s: &'s Scene<'_>, instance: &Instance) -> Option<(IpAddr, &'s str)> {
    let name = link(instance)?;
    let interface = s.interfaces.as_ref()?.iter().find(|i| i.name == name)?;
    let fits = |ip: &IpAddr| ip.is_ipv4() == (instance.family == Family::V4);
    let vip = |ip: &IpAddr| instance.addresses().any(|a| a.addr.ip == *ip);
    let (ip, _) = interface
        .addrs
        .iter()
        .find(|(ip, _)| fits(ip) && !vip(ip))?;
    Some((*ip, &interface.name))
}

fn peer_is_self(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for instance in &s.config.vrrp.instances {
        let Transport::Unicast { peers, .. } = &instance.transport else {
            continue;
        };
        for peer in peers {
            let ip = peer.addr.value;
            let source = instance.source.as_ref().filter(|source| source.value == ip);
            let vip = instance.addresses().any(|a| a.addr.ip == ip);
            let here = s.carriers(ip).is_some_and(|c| !c.is_empty()) && !vip;
            if let Some(source) = source {
                let found = s
                    .found(
                        peer.addr.span,
                        format!("{ip} is the instance's own address"),
                    )
                    .also(source.span, "its source");
                out.push(found.help("name the other host's address"));
            } else if here {
                let found = s.found(peer.addr.span, format!("{ip} is an address of this host"));
                out.push(found.help("name the other host's address"));
            }
        }
    }
}

fn sync_group_of_one(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for group in &s.config.vrrp.groups {
        if let [member] = group.members.as_slice() {
            let message = format!(
                "`{}` has only one instance, `{}`",
                group.name.value, member.value
            );
            out.push(
                s.found(group.name.span, message)
                    .help("add the instances that are to move with it, or remove the group"),
            );
        }
    }
}

fn sync_group_mixed_preemption(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    for group in &vrrp.groups {
        let members = group.members.iter().filter_map(|m| vrrp.instance(&m.value));
        let (never, preempting): (Vec<&Instance>, Vec<&Instance>) =
            members.partition(|i| i.preempt == Preempt::Never);
        if let (Some(first), Some(other)) = (never.first(), preempting.first()) {
            let message = format!(
                "in `{}`, {} preempt and {} do not",
                group.name.value,
                member_names(&preempting),
                member_names(&never)
            );
            let found = s
                .found(group.name.span, message)
                .also(first.span.span, "does not preempt")
                .also(other.span.span, "preempts");
            out.push(found.help("write `nopreempt` in all instances of the group, or in none"));
        }
    }
}

fn member_names(instances: &[&Instance]) -> String {
    names(instances.iter().map(|i| i.name.value.as_str()))
}

fn strict_not_pingable(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for instance in s
        .config
        .vrrp
        .instances
        .iter()
        .filter(|i| i.strict && !i.accept)
    {
        if let Some(vip) = instance.vips.first() {
            let message = format!(
                "`{}` is strict: its VIPs answer nothing, not even pings",
                instance.name.value
            );
            let found = s
                .found(instance.name.span, message)
                .also(vip.span.span, "such as this one");
            out.push(found.help("remove `vrrp_strict` or `strict_mode`, unless that is meant"));
        }
    }
}

fn too_many_vips(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for instance in &s.config.vrrp.instances {
        // What fits into 1500 bytes, and what the field for their number holds.
        let most = match instance.family {
            Family::V4 => 255,
            Family::V6 => 90,
        };
        if let Some(surplus) = instance.vips.get(most) {
            let message = format!(
                "`{}` has {} VIPs, and an advertisement holds {most}",
                instance.name.value,
                instance.vips.len()
            );
            let found = s
                .found(surplus.span.span, message)
                .label("the first that is too many");
            out.push(found.help("move those from here on to `virtual_ipaddress_excluded`"));
        }
    }
}
