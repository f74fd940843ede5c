//! What a new configuration changes about virtual routers.
//!
//! Blocks are told apart by keyword and name. What is different in one is named by the keyword that says it; secrets are not told.

use std::fmt::Display;
use std::hash::Hash;

use super::{Change, Kind, numbers, paired};
use crate::keepalived::model::{
    Address, At, Common, Instance, Notify, SyncGroup, TrackFile, TrackGroup, TrackProcess,
    TrackScript, Tracking, Vrrp,
};

/// The parts of two records that are different, by their words; a part without words is told otherwise. Every field must be named.
macro_rules! parts {
    ($record:ident, $old:expr, $new:expr, { $($field:ident: $words:expr),* $(,)? }) => {{
        let $record { $($field),* } = $old;
        let parts = [$(($field != &$new.$field, $words)),*];
        let different = parts.into_iter().filter(|(differs, words)| *differs && !words.is_empty());
        different.map(|(_, words)| words.to_owned()).collect::<Vec<String>>()
    }};
}

/// What is different from `old` to `new` in `global_defs`.
pub(super) fn globals(old: &Common, new: &Common) -> Vec<String> {
    parts!(Common, old, new, {
        default_interface: "default_interface",
        garp_interval: "vrrp_garp_interval",
        na_interval: "vrrp_gna_interval",
        startup_delay: "vrrp_startup_delay",
        boot_delay: "vrrp_delay_after_boot",
        dynamic_interfaces: "dynamic_interfaces",
        interfaces_may_change: "dynamic_interfaces allow_if_changes",
        log_unknown_vrids: "vrrp_log_unknown_vrids",
        vmac_prefix: "vmac_prefix",
        vmac_addr_prefix: "vmac_addr_prefix",
        firewall: "what keeps packets for VIPs out",
        disable_local_igmp: "disable_local_igmp",
        receive_buffer: "buffers for advertisements",
        no_fault_mails: "no_email_faults",
        states_on_reload: "fifo_write_vrrp_states_on_reload",
        poll_links: "linkbeat_use_polling",
        urgency: "priority, memory and processors of the thread that speaks, at the next start",
        sync_daemon: "lvs_sync_daemon",
        span: "",
    })
}

/// What is different from `old` to `new` elsewhere.
pub(super) fn between(old: &Vrrp, new: &Vrrp, changes: &mut Vec<Change>) {
    let mut blocks = Blocks(changes);
    let lists = [
        addresses("static_ipaddress", &old.addresses, &new.addresses),
        counted("static_routes", &old.routes, &new.routes),
        counted("static_rules", &old.rules, &new.rules),
        counted("garp_group", &old.garp_groups, &new.garp_groups),
        items(
            "interface_up_down_delays",
            &old.link_delays,
            &new.link_delays,
            |l| l.interface.value.clone(),
        ),
        items("linkbeat_interfaces", &old.linkbeat, &new.linkbeat, |l| {
            l.interface.value.clone()
        }),
    ];
    for (keyword, what) in lists.into_iter().flatten() {
        blocks.push(Kind::Changed, keyword.to_owned(), vec![what]);
    }
    blocks.of(
        "vrrp_script",
        (&old.scripts, &new.scripts),
        |s| &s.name,
        script,
    );
    blocks.of("track_file", (&old.files, &new.files), |f| &f.name, file);
    blocks.of(
        "vrrp_track_process",
        (&old.processes, &new.processes),
        |p| &p.name,
        process,
    );
    blocks.of(
        "bfd_instance",
        (&old.bfd, &new.bfd),
        |b| &b.name,
        |_, _| Vec::new(),
    );
    blocks.of(
        "track_group",
        (&old.track_groups, &new.track_groups),
        |g| &g.name,
        |a: &TrackGroup, b| members(&a.members, &b.members),
    );
    blocks.of(
        "vrrp_sync_group",
        (&old.groups, &new.groups),
        |g| &g.name,
        group,
    );
    blocks.of(
        "vrrp_instance",
        (&old.instances, &new.instances),
        |i| &i.name,
        instance,
    );
}

/// Changes of blocks.
struct Blocks<'a>(&'a mut Vec<Change>);

impl Blocks<'_> {
    fn push(&mut self, kind: Kind, block: String, what: Vec<String>) {
        self.0.push(Change {
            kind,
            block,
            service: String::new(),
            server: String::new(),
            what,
        });
    }

    /// Those of all blocks of a keyword.
    fn of<T: PartialEq>(
        &mut self,
        keyword: &str,
        (old, new): (&[T], &[T]),
        name: impl Fn(&T) -> &At<String>,
        parts: impl Fn(&T, &T) -> Vec<String>,
    ) {
        let block = |t: &T| format!("{keyword} {}", name(t).value);
        let (kept, gone) = paired(old, new, |t| name(t).value.clone());
        for (is, was) in kept {
            match was {
                None => self.push(Kind::Added, block(is), Vec::new()),
                Some(was) if was == is => {}
                Some(was) => {
                    let mut what = parts(was, is);
                    if what.is_empty() {
                        what.push("settings".to_owned());
                    }
                    self.push(Kind::Changed, block(is), what);
                }
            }
        }
        for was in gone {
            self.push(Kind::Removed, block(was), Vec::new());
        }
    }
}

fn instance(old: &Instance, new: &Instance) -> Vec<String> {
    let mut what = Vec::new();
    let mut say = |about: &str, from: String, to: String| {
        if from != to {
            what.push(format!("{about} from {from} to {to}"));
        }
    };
    say(
        "virtual_router_id",
        old.vrid.value.to_string(),
        new.vrid.value.to_string(),
    );
    say(
        "priority",
        old.priority.value.to_string(),
        new.priority.value.to_string(),
    );
    let seconds = |i: &Instance| format!("{} s", i.interval.value.as_secs_f64());
    say("advert_int", seconds(old), seconds(new));
    let interface = |i: &Instance| i.interface.as_ref().map_or("none", |i| &i.value).to_owned();
    say("interface", interface(old), interface(new));
    let lists = [
        addresses("virtual_ipaddress", &old.vips, &new.vips),
        addresses("virtual_ipaddress_excluded", &old.excluded, &new.excluded),
        counted("virtual_routes", &old.routes, &new.routes),
        counted("virtual_rules", &old.rules, &new.rules),
    ];
    let lists = lists.into_iter().flatten();
    what.extend(lists.map(|(keyword, how)| format!("{keyword} {how}")));
    what.extend(tracked(&old.tracking, &new.tracking));
    what.extend(scripts(&old.notify, &new.notify));
    what.extend(parts!(Instance, old, new, {
        name: "",
        vrid: "",
        interface: "",
        family: "family",
        version: "version",
        wants_master: "state",
        priority: "",
        interval: "",
        missing: "down_timer_adverts",
        preempt: "nopreempt or preempt_delay",
        transport: "multicast group or unicast peers",
        source: "source address",
        track_source: "track_src_ip",
        device: "use_vmac or use_ipvlan",
        vrf: "vrf",
        authentication: "authentication",
        hmac: "auth_hmac",
        vips: "",
        excluded: "",
        no_vips: "no_virtual_ipaddress",
        routes: "",
        rules: "",
        promote_secondaries: "promote_secondaries",
        accept: "accept",
        garp: "announcements (garp_*)",
        rivals: "what is done when two masters meet",
        tracking: "",
        track_primary: "dont_track_primary",
        check_addresses: "skip_check_adv_addr",
        plain_checksum: "v3_checksum_as_v2",
        any_vip_count: "lvsd_any_vip_count",
        unicast_checksum: "old_unicast_checksum",
        late: "timer_expired_backup",
        strict: "strict_mode",
        notify: "",
        notify_priority: "notify_priority_changes",
        mails: "smtp_alert",
        receive_buffer: "kernel_rx_buf_size",
        span: "",
    }));
    what
}

fn group(old: &SyncGroup, new: &SyncGroup) -> Vec<String> {
    let mut what = members(&old.members, &new.members);
    what.extend(tracked(&old.tracking, &new.tracking));
    what.extend(scripts(&old.notify, &new.notify));
    what.extend(parts!(SyncGroup, old, new, {
        name: "",
        members: "",
        tracking: "",
        weights: "sync_group_tracking_weight",
        notify: "",
        notify_priority: "notify_priority_changes",
        mails: "smtp_alert",
        span: "",
    }));
    what
}

fn script(old: &TrackScript, new: &TrackScript) -> Vec<String> {
    parts!(TrackScript, old, new, {
        name: "",
        command: "script",
        shell: "",
        interval: "interval",
        timeout: "timeout",
        weight: "weight",
        rise: "rise",
        fall: "fall",
        init_fail: "init_fail",
        span: "",
    })
}

fn file(old: &TrackFile, new: &TrackFile) -> Vec<String> {
    parts!(TrackFile, old, new, {
        name: "",
        path: "file",
        weight: "weight",
        init: "init_file",
        span: "",
    })
}

fn process(old: &TrackProcess, new: &TrackProcess) -> Vec<String> {
    parts!(TrackProcess, old, new, {
        name: "",
        argv: "process",
        matching: "param_match",
        weight: "weight",
        quorum: "quorum",
        quorum_max: "quorum_max",
        fork_delay: "fork_delay",
        terminate_delay: "terminate_delay",
        span: "",
    })
}

fn members(old: &[At<String>], new: &[At<String>]) -> Vec<String> {
    let members = items("members", old, new, |m| m.value.clone());
    let order = || (old != new).then(|| ("members", "in another order".to_owned()));
    let members = members.or_else(order);
    members
        .map(|(_, how)| format!("members {how}"))
        .into_iter()
        .collect()
}

fn tracked(old: &Tracking, new: &Tracking) -> Option<String> {
    let all = |t: &Tracking| t.all().map(|(k, t)| (k, t.clone())).collect::<Vec<_>>();
    let how = items("", &all(old), &all(new), |(kind, t)| {
        format!("{kind} {}", t.name.value)
    });
    how.map(|(_, how)| format!("tracks {how}"))
}

fn scripts(old: &Notify, new: &Notify) -> Option<String> {
    let all = |n: &Notify| n.all().map(|(k, c)| (k, c.clone())).collect::<Vec<_>>();
    let how = items("", &all(old), &all(new), |(keyword, _)| *keyword);
    how.map(|(_, how)| format!("scripts {how}"))
}

fn addresses<'a>(keyword: &'a str, old: &[Address], new: &[Address]) -> Option<(&'a str, String)> {
    let changed = items(keyword, old, new, |a| a.addr);
    changed.or_else(|| (old != new).then(|| (keyword, "in another order".to_owned())))
}

/// What has come (`+`), gone (`-`) and changed (`~`), by name.
fn items<'a, T: PartialEq, K: Eq + Hash + Display>(
    keyword: &'a str,
    old: &[T],
    new: &[T],
    key: impl Fn(&T) -> K,
) -> Option<(&'a str, String)> {
    /// The most that are named.
    const NAMED: usize = 12;
    let (kept, gone) = paired(old, new, &key);
    let mut names: Vec<String> = Vec::new();
    for (is, was) in kept {
        match was {
            None => names.push(format!("+{}", key(is))),
            Some(was) if was == is => {}
            Some(_) => names.push(format!("~{}", key(is))),
        }
    }
    names.extend(gone.into_iter().map(|was| format!("-{}", key(was))));
    if names.is_empty() {
        return None;
    }
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    Some((keyword, names.join(" ")))
}

/// The same of what has no name.
fn counted<'a, T: PartialEq>(keyword: &'a str, old: &[T], new: &[T]) -> Option<(&'a str, String)> {
    (old != new).then(|| (keyword, numbers(old, new)))
}
