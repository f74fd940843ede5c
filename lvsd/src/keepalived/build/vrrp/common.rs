//! VRRP's part of `global_defs`, and scalars outside of blocks.

use std::net::IpAddr;
use std::time::Duration;

use super::{in_vain, number};
use crate::keepalived::build::tracking::{says, unknown};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{
    At, BufferSize, Common, Firewall, Garp, ReceiveBuffer, Rivals, SyncDaemon, Transport, Urgency,
    Version, Vrrp,
};
use crate::keepalived::tree::{Line, Node};

/// What holds for instances that say nothing themselves.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    pub(super) version: Option<Version>,
    pub(super) group4: IpAddr,
    pub(super) group6: IpAddr,
    pub(super) garp: Garp,
    /// `vrrp_garp_lower_prio_*`, where it is not what a master does at first.
    pub(super) lower_delay: Option<Duration>,
    pub(super) lower_repeat: Option<u32>,
    pub(super) rivals: Rivals,
    pub(super) missing: u32,
    pub(super) strict: bool,
    pub(super) skip_check: bool,
    pub(super) check_unicast: bool,
    pub(super) plain_checksum: bool,
    pub(super) any_vip_count: bool,
    pub(super) mails: bool,
    pub(super) notify_priority: bool,
}

/// All `global_defs` blocks, of which the last that says something counts.
pub(super) struct Blocks<'a>(Vec<&'a Node>);

impl<'a> Blocks<'a> {
    fn new(nodes: &'a [Node]) -> Self {
        Self(nodes.iter().filter(|n| n.is("global_defs")).collect())
    }

    fn child(&self, keyword: &str) -> Option<&'a Node> {
        self.0.iter().rev().find_map(|block| block.child(keyword))
    }

    fn flag(&self, keyword: &str) -> Option<bool> {
        self.0.iter().rev().find_map(|block| block.flag(keyword))
    }

    fn is(&self, keyword: &str) -> bool {
        self.flag(keyword).unwrap_or(false)
    }

    fn number(&self, keyword: &str) -> Option<u32> {
        self.0.iter().rev().find_map(|block| number(block, keyword))
    }

    fn time(&self, keyword: &str) -> Option<Duration> {
        self.child(keyword)?.time()
    }

    fn text(&self, keyword: &str) -> Option<String> {
        Some(self.child(keyword)?.text()?.to_owned())
    }
}

/// Whole seconds behind a keyword, which tables may read as a number or as a time.
pub(super) fn seconds(line: &Line) -> Option<Duration> {
    let whole = || Some(Duration::from_secs(u64::try_from(line.int()?).ok()?));
    line.time().or_else(whole)
}

pub(super) fn build(nodes: &[Node], found: &mut Vec<Diagnostic>) -> (Common, Defaults) {
    let blocks = Blocks::new(nodes);
    let dynamic = blocks.child("dynamic_interfaces");
    let root = |keyword: &str| nodes.iter().any(|n| n.is(keyword));
    let defaults = Common::default();
    let vmac_prefix = blocks.text("vmac_prefix").unwrap_or(defaults.vmac_prefix);
    let common = Common {
        default_interface: blocks
            .text("default_interface")
            .unwrap_or(defaults.default_interface),
        garp_interval: blocks.time("vrrp_garp_interval").unwrap_or_default(),
        na_interval: blocks.time("vrrp_gna_interval").unwrap_or_default(),
        startup_delay: blocks.time("vrrp_startup_delay").unwrap_or_default(),
        boot_delay: blocks.time("vrrp_delay_after_boot").unwrap_or_default(),
        dynamic_interfaces: dynamic.is_some(),
        interfaces_may_change: dynamic.is_some_and(|n| says(n, "allow_if_changes")),
        log_unknown_vrids: blocks.is("log_unknown_vrids"),
        vmac_addr_prefix: blocks
            .text("vmac_addr_prefix")
            .unwrap_or_else(|| vmac_prefix.clone()),
        vmac_prefix,
        firewall: firewall(&blocks),
        disable_local_igmp: blocks.is("disable_local_igmp"),
        receive_buffer: receive_buffer(&blocks),
        no_fault_mails: blocks.is("no_email_faults"),
        states_on_reload: blocks.is("fifo_write_vrrp_states_on_reload"),
        poll_links: root("linkbeat_use_polling"),
        urgency: urgency(&blocks),
        sync_daemon: None,
        span: blocks.0.first().map(|block| block.head.span),
    };
    (common, for_instances(&blocks, found))
}

fn for_instances(blocks: &Blocks<'_>, found: &mut Vec<Diagnostic>) -> Defaults {
    let version = blocks.child("vrrp_version").and_then(|n| n.int());
    let mut group = |keyword: &str, otherwise: IpAddr| {
        let Some(node) = blocks.child(keyword) else {
            return otherwise;
        };
        match node.addr() {
            Some(group) if group.is_multicast() => group,
            Some(group) => {
                let message = format!("{group} is not a multicast address");
                found.push(Diagnostic::error("not-multicast", node.span, message).tolerated());
                otherwise
            }
            None => otherwise,
        }
    };
    let (group4, group6) = (
        group("vrrp_mcast_group4", Transport::GROUP_V4),
        group("vrrp_mcast_group6", Transport::GROUP_V6),
    );
    Defaults {
        version: version.map(|v| if v == 3 { Version::V3 } else { Version::V2 }),
        group4,
        group6,
        garp: garp(blocks),
        lower_delay: blocks
            .child("vrrp_garp_lower_prio_delay")
            .and_then(|n| seconds(n)),
        lower_repeat: blocks.number("vrrp_garp_lower_prio_repeat"),
        rivals: Rivals {
            silent: blocks.is("vrrp_lower_prio_no_advert"),
            last_word: blocks.is("vrrp_higher_prio_send_advert"),
            owner_deaf: blocks.is("vrrp_owner_ignore_adverts"),
        },
        missing: blocks.number("vrrp_down_timer_adverts").unwrap_or(3),
        strict: blocks.is("vrrp_strict"),
        skip_check: blocks.is("vrrp_skip_check_adv_addr"),
        check_unicast: blocks.is("vrrp_check_unicast_src"),
        plain_checksum: blocks.is("v3_checksum_as_v2"),
        any_vip_count: blocks.is("lvsd_any_vip_count"),
        mails: blocks
            .flag("smtp_alert_vrrp")
            .or_else(|| blocks.flag("smtp_alert"))
            .unwrap_or(false),
        notify_priority: blocks.is("vrrp_notify_priority_changes"),
    }
}

/// How masters announce their VIPs, unless they say it themselves.
fn garp(blocks: &Blocks<'_>) -> Garp {
    let least = blocks.is("vrrp_min_garp");
    let usual = Garp::default();
    let extra = blocks.child("vrrp_garp_extra_if");
    let seconds = |keyword: &str| blocks.child(keyword).and_then(|n| seconds(n));
    Garp {
        delay: seconds("vrrp_garp_master_delay").unwrap_or(if least {
            Duration::ZERO
        } else {
            usual.delay
        }),
        repeat: blocks
            .number("vrrp_garp_master_repeat")
            .unwrap_or(if least { 1 } else { usual.repeat }),
        refresh: seconds("vrrp_garp_master_refresh").unwrap_or_default(),
        refresh_repeat: blocks
            .number("vrrp_garp_master_refresh_repeat")
            .unwrap_or(1),
        extra: extra.and_then(|n| self::seconds(n)).unwrap_or_default(),
        extra_all: extra.is_some_and(|n| says(n, "all")),
        ..usual
    }
}

fn urgency(blocks: &Blocks<'_>) -> Urgency {
    let int = |keyword: &str| i32::try_from(blocks.child(keyword)?.int()?).ok();
    let usual = Urgency::default();
    let processors = blocks.child("vrrp_cpu_affinity");
    let processors = processors.into_iter().flat_map(|node| &node.args);
    Urgency {
        nice: int("vrrp_priority").unwrap_or(usual.nice),
        realtime: int("vrrp_rt_priority").unwrap_or(usual.realtime),
        locked: blocks.is("vrrp_no_swap"),
        processors: processors
            .filter_map(|a| usize::try_from(a.int()?).ok())
            .collect(),
    }
}

fn firewall(blocks: &Blocks<'_>) -> Firewall {
    if let Some(node) = blocks.child("nftables") {
        let priority = blocks.child("nftables_priority").and_then(|n| n.int());
        return Firewall::Nftables {
            table: node.text().unwrap_or("keepalived").to_owned(),
            priority: priority.and_then(|p| i32::try_from(p).ok()).unwrap_or(-1),
            counters: blocks.is("nftables_counters"),
        };
    }
    match blocks.child("vrrp_iptables") {
        Some(node) => {
            let mut chains = node.args.iter().filter_map(|a| a.text());
            match chains.next() {
                Some(input) => Firewall::Iptables {
                    input: input.to_owned(),
                    output: chains.next().map(str::to_owned),
                },
                None => Firewall::Iptables {
                    input: "INPUT".to_owned(),
                    output: Some("OUTPUT".to_owned()),
                },
            }
        }
        None => Firewall::None,
    }
}

fn receive_buffer(blocks: &Blocks<'_>) -> ReceiveBuffer {
    let size = match blocks.child("vrrp_rx_bufs_policy") {
        None => BufferSize::System,
        Some(node) => match (node.text(), node.int()) {
            (Some("MTU"), _) => BufferSize::Mtu,
            (Some("ADVERT"), _) => BufferSize::Advertisement,
            (_, Some(bytes)) => BufferSize::Bytes(u32::try_from(bytes).unwrap_or(u32::MAX)),
            _ => BufferSize::System,
        },
    };
    ReceiveBuffer {
        size,
        multiplier: blocks.number("vrrp_rx_bufs_multiplier").unwrap_or(3),
    }
}

/// `lvs_sync_daemon`, and the keyword of instances that it replaced.
pub(super) fn sync_daemon(nodes: &[Node], vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    let blocks = Blocks::new(nodes);
    let from_global = blocks
        .child("lvs_sync_daemon")
        .and_then(|node| global_daemon(node, vrrp, found));
    let from_instance = nodes
        .iter()
        .filter(|n| n.is("vrrp_instance"))
        .find_map(|node| {
            let line = node.child("lvs_sync_daemon_interface")?;
            let arg = line.args.iter().find(|a| a.text().is_some())?;
            let name = super::tracking::name(node)?;
            let vrid = vrrp.instance(&name.value)?.vrid.value;
            let interface = At::new(arg.text()?.to_owned(), arg.span);
            Some((line.span, daemon(interface, Some(name), vrid)))
        });
    vrrp.common.sync_daemon = match (from_global, from_instance) {
        (Some(global), Some((span, _))) => {
            let message =
                "`lvs_sync_daemon_interface` is not used beside `lvs_sync_daemon` in `global_defs`";
            found.push(
                in_vain("sync-daemon-twice", span, message)
                    .also(global.span, "this one counts")
                    .help("remove it"),
            );
            Some(global)
        }
        (global, instance) => {
            global.or_else(|| instance.map(|(span, daemon)| At::new(daemon, span)))
        }
    };
}

fn daemon(interface: At<String>, instance: Option<At<String>>, id: u8) -> SyncDaemon {
    SyncDaemon {
        interface,
        instance,
        id,
        max_len: None,
        port: SyncDaemon::PORT,
        ttl: 1,
        group: SyncDaemon::GROUP,
    }
}

fn global_daemon(node: &Node, vrrp: &Vrrp, found: &mut Vec<Diagnostic>) -> Option<At<SyncDaemon>> {
    let mut words = node.args.iter().filter(|a| a.text().is_some());
    let interface = words.next()?;
    let interface = At::new(interface.text()?.to_owned(), interface.span);
    let by_word = words.next();
    let by_option = || {
        node.option("inst")
            .and_then(|o| o.args.iter().find(|a| a.text().is_some()))
    };
    let instance = by_word
        .or_else(by_option)
        .and_then(|a| Some(At::new(a.text()?.to_owned(), a.span)));
    let vrid = match &instance {
        Some(name) => match vrrp.instance(&name.value) {
            Some(instance) => instance.vrid.value,
            None => {
                let all = vrrp.instances.iter().map(|i| i.name.value.as_str());
                found.push(unknown("vrrp_instance", &name.value, name.span, all));
                return None;
            }
        },
        None => 0,
    };
    let number = |option: &str| node.option(option).and_then(|o| o.int());
    let mut daemon = daemon(interface, instance, vrid);
    if let Some(id) = number("id").and_then(|n| u8::try_from(n).ok()) {
        daemon.id = id;
    }
    daemon.max_len = number("maxlen").and_then(|n| u16::try_from(n).ok());
    if let Some(port) = number("port").and_then(|n| u16::try_from(n).ok()) {
        daemon.port = port;
    }
    if let Some(ttl) = number("ttl").and_then(|n| u8::try_from(n).ok()) {
        daemon.ttl = ttl;
    }
    if let Some(group) = node.option("group").and_then(|o| o.addr()) {
        daemon.group = group;
    }
    Some(At::new(daemon, node.span))
}
