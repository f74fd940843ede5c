//! What contradicts itself in an instance, and what comes of it.
//!
//! Each correction is keepalived's, one function each, in the order in which keepalived makes them. What was written in vain is reported;
//! defaults that give way are not.

use std::time::Duration;

use lvs_core::Family;

use super::{in_vain, place};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{
    Address, Authentication, Device, Instance, Preempt, Tracked, Tracking, Transport, Version, Vrrp,
};
use crate::keepalived::tree::Node;

/// Corrects an instance; nothing is left of one that keepalived refuses.
pub(super) fn instance(
    node: &Node,
    instance: &mut Instance,
    found: &mut Vec<Diagnostic>,
) -> Option<()> {
    families(instance, found);
    vips(node, instance, found)?;
    version(node, instance, found);
    if instance.strict {
        strict(node, instance, found)?;
    }
    authenticated_master(node, instance, found);
    preemption(node, instance, found);
    interval(node, instance, found);
    late(node, instance, found);
    Some(())
}

/// VIPs are of the instance's family.
fn families(instance: &mut Instance, found: &mut Vec<Diagnostic>) {
    let family = instance.family;
    let first = instance.vips.first().map(|v| v.span.span);
    let fits = |a: &Address| lvs_core::Ip::from(a.addr.ip).family() == family;
    for wrong in instance.vips.iter().filter(|a| !fits(a)) {
        let message = format!(
            "the VIP {} is of another family than its instance",
            wrong.addr.ip
        );
        let mut mixed = Diagnostic::error("family-mismatch", wrong.span.span, message).tolerated();
        if let Some(first) = first.filter(|f| *f != wrong.span.span) {
            mixed = mixed.also(first, "the first VIP decides");
        }
        found.push(
            mixed.help(
                "make an instance for each family, or put it into `virtual_ipaddress_excluded`",
            ),
        );
    }
    instance.vips.retain(fits);
    // An address is advertised or not, not both.
    let vips = &instance.vips;
    instance.excluded.retain(|a| {
        match vips
            .iter()
            .find(|v| v.addr.ip == a.addr.ip && v.interface == a.interface)
        {
            Some(vip) => {
                let twice = in_vain(
                    "address-twice",
                    a.span.span,
                    format!("{} is a VIP already", a.addr.ip),
                );
                found.push(
                    twice
                        .also(vip.span.span, "advertised here")
                        .help("remove it from one of the two blocks"),
                );
                false
            }
            None => true,
        }
    });
}

fn vips(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) -> Option<()> {
    let tried = node.tried("virtual_ipaddress") && node.child("virtual_ipaddress").is_none();
    let damaged = tried || node.children("virtual_ipaddress").any(Node::is_damaged);
    if !instance.vips.is_empty() || instance.no_vips || damaged {
        return Some(());
    }
    let name = &instance.name.value;
    if instance.strict && instance.version == Version::V3 {
        let message = format!("`{name}` has no VIP, which strict mode wants");
        found.push(
            Diagnostic::error("no-vip", node.head.span, message)
                .help("add `virtual_ipaddress { ADDRESS }`"),
        );
        return None;
    }
    let none = in_vain("no-vip", node.head.span, format!("`{name}` has no VIP"));
    found.push(
        none.help(
            "add `virtual_ipaddress { ADDRESS }`, or `no_virtual_ipaddress` if that is meant",
        ),
    );
    Some(())
}

fn version(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) {
    if (instance.version, instance.family) != (Version::V2, Family::V6) {
        return;
    }
    let odd = in_vain(
        "version-2-over-ipv6",
        place(node, "version"),
        "version 2 of VRRP is for IPv4; over IPv6 only keepalived speaks it",
    );
    found.push(odd.help("write `version 3`, here and on the peers"));
    if instance.strict {
        instance.version = Version::V3;
    }
}

/// RFC 5798 to the letter.
fn strict(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) -> Option<()> {
    if let Transport::Unicast { .. } = instance.transport {
        let at = ["unicast_peer", "unicast_src_ip"]
            .iter()
            .find_map(|k| node.child(k));
        let span = at.map_or(node.head.span, |n| n.span);
        let message = "strict mode knows multicast only: keepalived refuses the instance";
        found.push(
            Diagnostic::error("strict-unicast", span, message)
                .help("remove the peers, or `vrrp_strict` and `strict_mode`"),
        );
        return None;
    }
    let mut vain = |keyword: &str, why: &str| {
        if let Some(line) = node.child(keyword) {
            found.push(
                in_vain("strict-corrects", line.span, format!("strict mode {why}"))
                    .help("remove it, or leave strict mode"),
            );
        }
    };
    let owner = instance.is_owner();
    if instance.wants_master != owner && node.child("state").is_some() {
        vain(
            "state",
            "has `state MASTER` with priority 255, and only then",
        );
    }
    instance.wants_master = owner;
    if instance.missing != 3 {
        vain("down_timer_adverts", "has `down_timer_adverts 3`");
        instance.missing = 3;
    }
    if matches!(instance.preempt, Preempt::After(_)) {
        vain("preempt_delay", "has no `preempt_delay`");
        instance.preempt = Preempt::Always;
    }
    if !owner {
        if instance.version == Version::V2 {
            vain(
                "accept",
                "of version 2 accepts nothing for VIPs unless it owns them",
            );
            instance.accept = false;
        } else {
            instance.accept &= node.child("accept").is_some();
        }
    }
    vain("garp_lower_prio_delay", "does not announce VIPs again");
    vain("garp_lower_prio_repeat", "does not announce VIPs again");
    instance.garp.lower_delay = Duration::ZERO;
    instance.garp.lower_repeat = 0;
    if node.flag("lower_prio_no_advert") == Some(false) {
        vain("lower_prio_no_advert", "does not answer a lower priority");
    }
    if node.flag("higher_prio_send_advert") == Some(true) {
        vain("higher_prio_send_advert", "gives way without a word");
    }
    instance.rivals.silent = true;
    instance.rivals.last_word = false;
    instance.rivals.owner_deaf = true;
    if let Device::Vmac(vmac) = &mut instance.device {
        if vmac.send_below {
            vain("vmac_xmit_base", "sends by the VMAC");
            vmac.send_below = false;
        }
        let version = if instance.family == Family::V4 { 1 } else { 2 };
        let usual = [0, 0, 0x5e, 0, version, instance.vrid.value];
        if vmac.mac != usual {
            vain("use_vmac", "has the virtual router's own MAC address");
            vmac.mac = usual;
        }
    }
    Some(())
}

/// Who authenticates by AH has to learn a sequence number first.
fn authenticated_master(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) {
    let ah = instance
        .authentication
        .is_some_and(|a| matches!(a.value, Authentication::Ah(_)));
    if ah && instance.wants_master {
        if node.child("state").is_some() {
            let message = "with authentication by AH an instance begins as backup";
            found.push(
                in_vain("master-with-ah", place(node, "state"), message)
                    .help("write `state BACKUP`"),
            );
        }
        instance.wants_master = false;
    }
}

fn preemption(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) {
    let delay = node
        .child("preempt_delay")
        .filter(|n| n.time().is_some_and(|t| !t.is_zero()));
    let (why, also, help) = if instance.wants_master && !instance.is_owner() {
        let help = "the state to begin in decides nothing else: write `state BACKUP` here, as on the peers";
        (
            "an instance with `state MASTER` preempts",
            place(node, "state"),
            help,
        )
    } else if instance.is_owner() {
        let help = "give the instance a priority below 255, and `state BACKUP`";
        (
            "an owner (priority 255) preempts",
            place(node, "priority"),
            help,
        )
    } else {
        if let (Some(delay), Preempt::Never) = (delay, instance.preempt) {
            let vain = in_vain(
                "preempt-delay-ignored",
                delay.span,
                "`preempt_delay` beside `nopreempt` delays nothing",
            );
            found.push(
                vain.also(place(node, "nopreempt"), "it never preempts")
                    .help("remove one of the two"),
            );
        }
        return;
    };
    if instance.preempt == Preempt::Never {
        let vain = in_vain(
            "nopreempt-ignored",
            place(node, "nopreempt"),
            format!("`nopreempt` is in vain: {why}"),
        );
        found.push(vain.also(also, "because of this").help(help));
    }
    if let Some(delay) = delay {
        let vain = in_vain(
            "preempt-delay-ignored",
            delay.span,
            format!("`preempt_delay` is in vain: {why} at once"),
        );
        found.push(vain.also(also, "because of this").help(help));
    }
    instance.preempt = Preempt::Always;
}

/// Whole seconds in version 2, hundredths up to 40.95 s in version 3.
fn interval(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) {
    let given = instance.interval.value;
    let (unit, least, most, what) = match instance.version {
        Version::V2 => (1_000_000, 1, 255, "whole seconds"),
        Version::V3 => (10_000, 1, 4095, "hundredths of a second up to 40.95"),
    };
    let units = (given.as_micros() + unit / 2) / unit;
    let micros = units.clamp(least, most) * unit;
    let taken = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
    if taken != given {
        let version = if instance.version == Version::V2 {
            2
        } else {
            3
        };
        let message = format!(
            "`advert_int` {} s: version {version} has {what}",
            given.as_secs_f64()
        );
        let rounded = in_vain("interval-rounded", place(node, "advert_int"), message);
        let taken_s = taken.as_secs_f64();
        let help = match instance.version {
            Version::V2 if given < Duration::from_secs(1) => {
                format!("write {taken_s}, or `version 3` here and on the peers")
            }
            _ => format!("write {taken_s}"),
        };
        found.push(rounded.label(format!("{taken_s} s is taken")).help(help));
        instance.interval.value = taken;
    }
}

fn late(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) {
    if instance.late.is_some() && instance.preempt != Preempt::Never {
        let message = "`timer_expired_backup` needs `nopreempt`";
        found.push(
            in_vain("late-ignored", place(node, "timer_expired_backup"), message)
                .help("add `nopreempt`, or remove it"),
        );
        instance.late = None;
    }
}

/// Owners, and members of groups that do not say otherwise, track nothing with a weight: keepalived forgets such lines.
pub(super) fn weights(vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    let in_weightless = |name: &str| {
        let mut groups = vrrp.groups.iter().filter(|g| !g.weights);
        groups
            .find(|g| g.members.iter().any(|m| m.value == name))
            .map(|g| g.name.clone())
    };
    let groups: Vec<_> = vrrp
        .instances
        .iter()
        .map(|i| in_weightless(&i.name.value))
        .collect();
    for (instance, group) in vrrp.instances.iter_mut().zip(groups) {
        let owner = instance.is_owner();
        let (why, also, help) = match group {
            _ if owner => (
                "an owner's priority is always 255".to_owned(),
                instance.priority.span,
                "give it a priority below 255, or remove the weight, so that failure is a fault",
            ),
            Some(group) => (
                format!("the group `{}` does not count weights", group.value),
                group.span,
                "add `sync_group_tracking_weight` to the group, or remove the weight, so that failure is a fault",
            ),
            None => continue,
        };
        for (kind, gone) in weighted(&mut instance.tracking) {
            let message = format!(
                "`{}` does not watch the {kind} `{}`: {why}",
                instance.name.value, gone.name.value
            );
            found.push(
                in_vain("weight-ignored", gone.name.span, message)
                    .also(also, "because of this")
                    .help(help),
            );
        }
    }
    for group in vrrp.groups.iter_mut().filter(|g| !g.weights) {
        for (kind, gone) in weighted(&mut group.tracking) {
            let message = format!(
                "the group `{}` does not watch the {kind} `{}`: it does not count weights",
                group.name.value, gone.name.value
            );
            let vain = in_vain("weight-ignored", gone.name.span, message);
            found.push(vain.help("add `sync_group_tracking_weight` to the group, or remove the weight, so that failure is a fault"));
        }
    }
}

/// Takes out all that is tracked with a weight. A file without one is the rare case: its number is a fault unless it is 0.
fn weighted(tracking: &mut Tracking) -> Vec<(&'static str, Tracked)> {
    let mut gone = Vec::new();
    for (kind, list) in [
        ("interface", &mut tracking.interfaces),
        ("script", &mut tracking.scripts),
        ("file", &mut tracking.files),
        ("process", &mut tracking.processes),
        ("BFD session", &mut tracking.bfd),
    ] {
        gone.extend(
            list.extract_if(.., |t| t.weight.value != 0)
                .map(|t| (kind, t)),
        );
    }
    tracking.ignored.extend(gone.iter().map(|(_, t)| t.clone()));
    gone
}
