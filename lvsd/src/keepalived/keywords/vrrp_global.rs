//! `global_defs`: defaults and settings of VRRP.

use super::global::FIFO;
use super::words::{BOOL, FOREVER, SCRIPT, int, keyword, many, may, must, old, time};
use super::{Keyword, Kind, Param};

/// A number that must not be 0.
const COUNT: &[Param] = &[must("NUMBER", int(1, 4_294_967_295))];
const SECONDS: &[Param] = &[must("SECONDS", int(0, 4_294_967))];

/// What the file says that RHEL, CentOS and Fedora install.
const ZERO_INTERVAL: &str = "0 stands for none, as in the file that RHEL installs; keepalived logs an error and leaves it off.";

/// A switch of this part.
const fn switch(name: &'static str, about: &'static str) -> Keyword {
    keyword(name, about).takes(&[BOOL]).default("off")
}

pub(super) const VRRP_DEFAULTS: &[Keyword] = &[
    keyword("vrrp_mcast_group4", "The group that advertisements of IPv4 go to.").takes(&[must("ADDRESS", Kind::Addr4)]).default("224.0.0.18"),
    keyword("vrrp_mcast_group6", "The group that advertisements of IPv6 go to.").takes(&[must("ADDRESS", Kind::Addr6)]).default("ff02::12"),
    keyword("vrrp_version", "The version of VRRP that instances speak.").takes(&[must("VERSION", int(2, 3))]).default("2; instances of IPv6 speak 3"),
    keyword("default_interface", "The interface of static addresses that name none.").takes(&[must("INTERFACE", Kind::Interface)]).default("eth0"),
    keyword("vrrp_garp_master_delay", "How long after becoming master the addresses are announced a second time; 0: they are not.").takes(SECONDS).default("5"),
    keyword("vrrp_garp_master_repeat", "How often an address is announced at a time.").takes(COUNT).default("5"),
    keyword("vrrp_garp_master_refresh", "From one announcement of a master to the next; 0: there is none.").takes(SECONDS).default("0"),
    keyword("vrrp_garp_master_refresh_repeat", "How often an address is announced at those times.").takes(COUNT).default("1"),
    keyword("vrrp_garp_lower_prio_delay", "How long after a master of lower priority was heard the addresses are announced again.").takes(SECONDS).default("`vrrp_garp_master_delay`"),
    keyword("vrrp_garp_lower_prio_repeat", "How often an address is announced then.").takes(&[must("NUMBER", int(0, 4_294_967_295))]).default("`vrrp_garp_master_repeat`"),
    keyword("vrrp_garp_interval", "The least time between two gratuitous ARPs of an interface.").takes(&[must("SECONDS", time(0, FOREVER))]).default("none")
        .differs(ZERO_INTERVAL),
    keyword("vrrp_gna_interval", "The least time between two neighbour advertisements of an interface.").takes(&[must("SECONDS", time(0, FOREVER))]).default("none")
        .differs(ZERO_INTERVAL),
    switch("vrrp_min_garp", "Addresses are announced once, unless a setting before says otherwise."),
    keyword("vrrp_garp_extra_if", "From one announcement of addresses on other interfaces to the next; with `all` not on VMACs only.")
        .takes(&[may("ALL", Kind::OneOf(&["all"])), must("SECONDS", int(0, 86_400))])
        .default("off")
        .old(&[old("vrrp_vmac_garp_intvl", "write `vrrp_garp_extra_if`, which means the same")]),
    keyword("vrrp_down_timer_adverts", "So many advertisements missing, and a backup takes over.").takes(&[must("NUMBER", int(1, 100))]).default("3"),
    switch("vrrp_lower_prio_no_advert", "An advertisement of lower priority is not answered."),
    switch("vrrp_higher_prio_send_advert", "A master sends once more when it gives way."),
    switch("vrrp_owner_ignore_adverts", "An owner of its addresses ignores other masters."),
    switch("v3_checksum_as_v2", "The checksum of version 3 over IPv4 leaves the pseudo-header out, as RFC 9568 has it."),
    keyword("vrrp_check_unicast_src", "An advertisement by unicast must come from one of the peers."),
    switch("vrrp_skip_check_adv_addr", "The addresses in a master's advertisements are looked at in the first one only."),
    switch("vrrp_strict", "The RFC to the letter. A master then accepts no packets for its addresses unless it owns them."),
    keyword("vrrp_iptables", "The chains of iptables that keep packets out where instances do not accept them.")
        .takes(&[may("INPUT", Kind::Text), may("OUTPUT", Kind::Text)])
        .default("off; without a word INPUT and OUTPUT"),
    keyword("vrrp_ipsets", "The names of the sets that those chains use.").takes(&[many("SET", Kind::Text)])
        .default("keepalived, keepalived6, keepalived_if6, keepalived_igmp, keepalived_mld, keepalived_vmac_nd")
        .harmless("the addresses are in sets of nftables, which belong to lvsd's own tables"),
    keyword("nftables", "nftables keeps packets out, by this table.").takes(&[may("TABLE", Kind::Text)]).default("off; without a word `keepalived`"),
    keyword("nftables_priority", "The priority of that table's chains.").takes(&[must("PRIORITY", int(-2_147_483_648, 2_147_483_647))]).default("-1"),
    keyword("nftables_counters", "Its rules count."),
    keyword("nftables_ifindex", "Its rules name interfaces by number.").harmless("rules name interfaces as is right for them"),
    keyword("disable_local_igmp", "The kernel reports no memberships of link-local groups."),
    keyword("dynamic_interfaces", "Interfaces may be absent at the start, and come and go; an instance without its interface is in fault.")
        .takes(&[may("CHANGES", Kind::OneOf(&["allow_if_changes"]))])
        .default("off"),
    keyword("vrrp_startup_delay", "How long all instances wait at the start.").takes(&[must("SECONDS", time(1_000, FOREVER))]).default("none"),
    keyword("vrrp_delay_after_boot", "How long after the host has started they wait.").takes(&[must("SECONDS", time(1_000, FOREVER))]).default("none"),
    keyword("log_unknown_vrids", "Advertisements of foreign virtual routers are logged."),
    keyword("vmac_prefix", "The beginning of VMACs' names.").takes(&[must("PREFIX", Kind::Word { max: 11 })]).default("vrrp"),
    keyword("vmac_addr_prefix", "The beginning of the names of VMACs for addresses on other interfaces.").takes(&[must("PREFIX", Kind::Word { max: 11 })]).default("`vmac_prefix`"),
    keyword("vrrp_rx_bufs_policy", "How much of the receiving buffer one advertisement takes.")
        .takes(&[must("SIZE", Kind::Either(&[Kind::AnyCase(&["MTU", "ADVERT"]), int(1, 2_147_483_647)]))])
        .default("the system's buffer"),
    keyword("vrrp_rx_bufs_multiplier", "For how many advertisements it is made.").takes(COUNT).default("3"),
    keyword("smtp_alert_vrrp", "Mails about instances and groups.").takes(&[BOOL]).default("`smtp_alert`, or else off"),
    keyword("no_email_faults", "No mail when an instance is in fault."),
    keyword("vrrp_notify_fifo", "A pipe that events of VRRP are written to.").takes(FIFO).first(),
    keyword("vrrp_notify_fifo_script", "Started to read that pipe, whose path is its last argument.").takes(&[SCRIPT]).first(),
    keyword("fifo_write_vrrp_states_on_reload", "All states are written to the pipe again after a reload."),
    switch("vrrp_notify_priority_changes", "Changes of priority are written to the pipe."),
];
