//! `vrrp_instance`: its keywords, with what holds for all instances.

use std::net::IpAddr;
use std::time::Duration;

use lvs_core::Family;

use super::common::{Defaults, seconds};
use super::{byte, correct, number, secrets, transport};
use crate::keepalived::build::{addresses, routing, tracking};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{
    Address, At, CheckAddresses, Garp, Instance, Notify, Preempt, Rivals, UnicastChecksum, Version,
    Vrrp,
};
use crate::keepalived::tree::Node;

pub(super) fn build(
    node: &Node,
    defaults: &Defaults,
    vrrp: &Vrrp,
    found: &mut Vec<Diagnostic>,
) -> Option<Instance> {
    let name = tracking::name(node)?;
    let Some(vrid) = node.child("virtual_router_id") else {
        found.extend(tracking::missing(
            node,
            "virtual_router_id",
            ": peers know each other by it",
        ));
        return None;
    };
    let vrid = At::new(u8::try_from(vrid.int()?).ok()?, vrid.span);
    let vips = addresses::block(node, "virtual_ipaddress", found);
    let family = family(node, &vips);
    let reach = transport::build(node, family, vrid.value, defaults, found)?;
    let master = node
        .child("state")
        .and_then(|n| n.text())
        .map(|state| state == "MASTER");
    let usual = if master == Some(true) {
        Instance::OWNER
    } else {
        100
    };
    let priority = At::new(
        byte(node, "priority").unwrap_or(usual),
        super::place(node, "priority"),
    );
    let flag = |keyword: &str, otherwise: bool| node.flag(keyword).unwrap_or(otherwise);
    let mut instance = Instance {
        name,
        vrid,
        interface: reach.interface,
        family,
        version: version(node, family, defaults),
        wants_master: master.unwrap_or(priority.value == Instance::OWNER),
        priority,
        interval: At::new(
            node.child("advert_int")
                .and_then(|n| n.time())
                .unwrap_or(Duration::from_secs(1)),
            super::place(node, "advert_int"),
        ),
        missing: number(node, "down_timer_adverts").unwrap_or(defaults.missing),
        preempt: preempt(node),
        transport: reach.transport,
        source: reach.source,
        track_source: flag("track_src_ip", false),
        device: reach.device,
        vrf: text(node, "vrf"),
        authentication: None,
        hmac: None,
        vips,
        excluded: addresses::block(node, "virtual_ipaddress_excluded", found),
        no_vips: flag("no_virtual_ipaddress", false),
        routes: routing::routes(node, family, found),
        rules: routing::rules(node, found),
        promote_secondaries: flag("promote_secondaries", false),
        accept: !flag("no_accept", false),
        garp: garp(node, defaults),
        rivals: Rivals {
            silent: flag("lower_prio_no_advert", defaults.rivals.silent),
            last_word: flag("higher_prio_send_advert", defaults.rivals.last_word),
            owner_deaf: flag("owner_ignore_adverts", defaults.rivals.owner_deaf),
        },
        tracking: tracking::tracking(node, vrrp, found),
        track_primary: !flag("dont_track_primary", false),
        check_addresses: match flag("skip_check_adv_addr", defaults.skip_check) {
            true => CheckAddresses::NewMaster,
            false => CheckAddresses::Each,
        },
        plain_checksum: flag("v3_checksum_as_v2", defaults.plain_checksum),
        any_vip_count: defaults.any_vip_count,
        unicast_checksum: match node.child("old_unicast_checksum").map(|n| n.text()) {
            None => UnicastChecksum::Detect,
            Some(Some("never")) => UnicastChecksum::New,
            Some(_) => UnicastChecksum::Old,
        },
        late: late(node),
        strict: flag("strict_mode", defaults.strict),
        notify: notify(node),
        notify_priority: flag("notify_priority_changes", defaults.notify_priority),
        mails: flag("smtp_alert", defaults.mails),
        receive_buffer: number(node, "kernel_rx_buf_size"),
        span: At::new((), node.head.span),
    };
    secrets::read(node, &mut instance, found);
    correct::instance(node, &mut instance, found)?;
    Some(instance)
}

/// A word behind a keyword, with its place.
pub(super) fn text(node: &Node, keyword: &str) -> Option<At<String>> {
    let child = node.child(keyword)?;
    let arg = child.args.iter().find(|a| a.text().is_some())?;
    Some(At::new(arg.text()?.to_owned(), arg.span))
}

/// The family: of the first VIP, or else of whatever address there is.
fn family(node: &Node, vips: &[Address]) -> Family {
    let of = |ip: IpAddr| lvs_core::Ip::from(ip).family();
    if node.child("native_ipv6").is_some() {
        return Family::V6;
    }
    let peers = node.children("unicast_peer").flat_map(|n| &n.items);
    let mut peers = peers.filter_map(|line| line.addr());
    let single = ["unicast_src_ip", "mcast_src_ip", "mcast_dst_ip"];
    let single = || {
        single
            .iter()
            .find_map(|keyword| node.child(keyword)?.addr())
    };
    let first = vips.first().map(|a| a.addr.ip);
    first
        .or_else(|| peers.next())
        .or_else(single)
        .map_or(Family::V4, of)
}

fn version(node: &Node, family: Family, defaults: &Defaults) -> Version {
    match (node.child("version").and_then(|n| n.int()), family) {
        (Some(3), _) => Version::V3,
        (Some(_), _) => Version::V2,
        (None, Family::V6) => Version::V3,
        (None, Family::V4) => defaults.version.unwrap_or(Version::V2),
    }
}

fn preempt(node: &Node) -> Preempt {
    // Of the two flags, the later one counts.
    let last = node
        .body
        .iter()
        .rev()
        .find(|n| n.is("nopreempt") || n.is("preempt"));
    let delay = node
        .child("preempt_delay")
        .and_then(|n| n.time())
        .filter(|d| !d.is_zero());
    match (last.is_some_and(|n| n.is("nopreempt")), delay) {
        (true, _) => Preempt::Never,
        (false, Some(delay)) => Preempt::After(delay),
        (false, None) => Preempt::Always,
    }
}

fn garp(node: &Node, defaults: &Defaults) -> Garp {
    let usual = defaults.garp;
    let seconds = |keyword: &str| node.child(keyword).and_then(|n| seconds(n));
    let delay = seconds("garp_master_delay").unwrap_or(usual.delay);
    let repeat = number(node, "garp_master_repeat").unwrap_or(usual.repeat);
    let extra = node.child("garp_extra_if");
    Garp {
        delay,
        repeat,
        refresh: seconds("garp_master_refresh").unwrap_or(usual.refresh),
        refresh_repeat: number(node, "garp_master_refresh_repeat").unwrap_or(usual.refresh_repeat),
        lower_delay: seconds("garp_lower_prio_delay")
            .or(defaults.lower_delay)
            .unwrap_or(delay),
        lower_repeat: number(node, "garp_lower_prio_repeat")
            .or(defaults.lower_repeat)
            .unwrap_or(repeat),
        extra: extra.map_or(usual.extra, |n| {
            super::common::seconds(n).unwrap_or_default()
        }),
        extra_all: extra.map_or(usual.extra_all, |n| tracking::says(n, "all")),
    }
}

/// `timer_expired_backup`, with 254 if it says no priority.
fn late(node: &Node) -> Option<u8> {
    let line = node.child("timer_expired_backup")?;
    Some(line.int().and_then(|n| u8::try_from(n).ok()).unwrap_or(254))
}

/// The scripts of an instance or a group.
pub(super) fn notify(node: &Node) -> Notify {
    let script = |keyword: &str| node.child(keyword).and_then(|n| n.command().cloned());
    Notify {
        master: script("notify_master"),
        backup: script("notify_backup"),
        fault: script("notify_fault"),
        stop: script("notify_stop"),
        deleted: script("notify_deleted"),
        any: script("notify"),
        rival: script("notify_master_rx_lower_pri"),
    }
}
