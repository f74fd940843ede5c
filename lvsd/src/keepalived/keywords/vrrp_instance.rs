//! `vrrp_instance`.

use super::track::{NOTIFY, TRACKING};
use super::words::{
    BOOL, INTERFACE, NAME, SCRIPT, SECOND, form, int, keyword, may, must, old, opt, some, time,
};
use super::{Keyword, Kind, Opt, Param, Table, addresses, routes, rules};

pub(super) const VRRP_INSTANCE: Keyword = keyword(
    "vrrp_instance",
    "A virtual router: directors that agree by VRRP which of them has the addresses.",
)
.takes(&[NAME])
.block(&TABLE)
.each();

static TABLE: Table = Table {
    parts: &[
        IDENTITY, INTERFACES, PEERS, ANNOUNCING, RIVALS, ADDRESSES, PREEMPTION, TRACKING, NOTIFY,
        REPORTING, REST,
    ],
};

const IDENTITY: &[Keyword] = &[
    keyword("state", "The state to begin in. It only matters for an owner (priority 255), and forbids `nopreempt` and `preempt_delay`.")
        .takes(&[must("STATE", Kind::OneOf(&["MASTER", "BACKUP"]))])
        .default("BACKUP; MASTER with priority 255"),
    keyword("virtual_router_id", "The number of the virtual router, the same on all its directors.").takes(&[must("ID", int(1, 255))]).default("needed"),
    keyword("priority", "The highest becomes master; 255 owns the addresses.").takes(&[must("PRIORITY", int(1, 255))]).default("100; 255 with `state MASTER`"),
    keyword("advert_int", "From one advertisement to the next: whole seconds in version 2, at most 40.95 in version 3.")
        .takes(&[must("SECONDS", time(10_000, 255 * SECOND))])
        .default("1"),
    keyword("version", "The version of VRRP.").takes(&[must("VERSION", int(2, 3))]).default("`vrrp_version` of `global_defs`; 3 for IPv6"),
    keyword("native_ipv6", "Version 3 over IPv6, as addresses of IPv6 say by themselves.").removed("leave it out: the family follows from the addresses"),
    keyword("strict_mode", "The RFC to the letter.").takes(&[BOOL]).default("`vrrp_strict` of `global_defs`"),
    keyword("authentication", "A password, or a keyed sum, in advertisements of version 2.").block(&AUTHENTICATION),
    keyword("auth_hmac", "A keyed sum behind advertisements, as keepalived 2.4 has it.").block(&AUTH_HMAC),
];

static AUTHENTICATION: Table = Table {
    parts: &[&[
        keyword(
            "auth_type",
            "PASS: a password in the clear; AH: a keyed sum (IPSEC).",
        )
        .takes(&[must("TYPE", Kind::OneOf(&["PASS", "AH"]))])
        .default("needed"),
        keyword(
            "auth_pass",
            "The password or key; its first eight bytes count.",
        )
        .takes(&[must("PASSWORD", Kind::Text)])
        .default("needed"),
    ]],
};

static AUTH_HMAC: Table = Table {
    parts: &[&[
        keyword("key", "A key and its number.")
            .takes(&[must("ID", int(0, 255)), some("KEY", Kind::Text)])
            .each(),
        keyword(
            "active_key",
            "The number of the key that advertisements are sent with.",
        )
        .takes(&[must("ID", int(0, 255))]),
        keyword(
            "anti_replay",
            "What keeps old advertisements from counting.",
        )
        .takes(&[must("HOW", Kind::OneOf(&["time", "monotonic"]))])
        .default("time"),
        keyword("time_window", "How far clocks may differ.")
            .takes(&[must("SECONDS", int(1, 300))])
            .default("three times `advert_int`, from 5 to 300"),
        keyword("mode", "What is done with advertisements that have no sum.")
            .takes(&[must(
                "MODE",
                Kind::OneOf(&["enforce", "permissive", "receive-only"]),
            )])
            .default("enforce"),
    ]],
};

const GROUP: Opt = opt(
    "group",
    &[must("GROUP", Kind::Text)],
    "the interface group it is put into",
);

const INTERFACES: &[Keyword] = &[
    keyword(
        "interface",
        "The interface that advertisements go out on and addresses are put on.",
    )
    .takes(&[INTERFACE])
    .default("needed, unless there are `unicast_src_ip` and peers"),
    keyword(
        "use_vmac",
        "The addresses are on an interface of their own with the virtual router's MAC address.",
    )
    .takes(&[may("NAME", Kind::Interface), may("MAC", Kind::Mac)])
    .options(&[
        opt("name", &[INTERFACE], "its name"),
        opt("netlink_notify_msg", &[], "other programs are told of it"),
        GROUP,
    ])
    .default("off; name vrrp.ID"),
    keyword("use_vmac_addr", "So are addresses on other interfaces."),
    keyword(
        "vmac_xmit_base",
        "Advertisements go by the interface below.",
    ),
    keyword("use_ipvlan", "The addresses are on an ipvlan interface.")
        .takes(&[may("NAME", Kind::Interface), may("ADDRESS", Kind::Prefix)])
        .options(&[
            opt("name", &[INTERFACE], "its name"),
            opt("bridge", &[], "they can talk to each other"),
            opt("private", &[], "they cannot"),
            opt("vepa", &[], "they can by the switch"),
            GROUP,
        ])
        .default("off; bridge"),
    keyword("vrf", "The VRF of an instance without interface.").takes(&[INTERFACE]),
    keyword(
        "dont_track_primary",
        "It is no fault if its own interface is down.",
    ),
    keyword(
        "track_src_ip",
        "It is a fault if the host does not have the source address.",
    ),
    keyword(
        "promote_secondaries",
        "The interface's other addresses stay when the first one goes.",
    ),
    keyword("kernel_rx_buf_size", "The size of the receiving buffer.")
        .takes(&[must("BYTES", int(1, 2_147_483_647))])
        .default("the system's"),
    keyword("linkbeat_use_polling", "The link is polled.").removed(
        "write it outside of the instance, or name the interface in `linkbeat_interfaces`",
    ),
];

const PEERS: &[Keyword] = &[
    keyword("mcast_src_ip", "The source of advertisements.").takes(&[must("ADDRESS", Kind::Addr)]).default("the interface's address"),
    keyword("mcast_dst_ip", "The group that they go to.").takes(&[must("ADDRESS", Kind::Addr)]).default("`vrrp_mcast_group4` or `vrrp_mcast_group6`"),
    keyword("unicast_src_ip", "The source of advertisements by unicast.").takes(&[must("ADDRESS", Kind::Addr)]).default("the interface's address")
        .old(&[old("vrrp_unicast_bind", "write `unicast_src_ip`; some distributions had this one in the days of 1.2")]),
    keyword("unicast_peer", "Advertisements go to these addresses instead of a group.")
        .lines(&[form(&[must("ADDRESS", Kind::Addr)]).options(&[
            opt("min_ttl", &[must("TTL", int(0, 255))], "the least TTL of what comes from there"),
            opt("max_ttl", &[must("TTL", int(0, 255))], "the greatest"),
        ])]),
    keyword("vrrp_unicast_peer", "A peer, as some distributions had it in the days of 1.2.").takes(&[must("ADDRESS", Kind::Addr)])
        .removed("put the addresses between the braces of `unicast_peer { }`"),
    keyword("unicast_ttl", "The TTL of advertisements by unicast.").takes(&[must("TTL", int(0, 255))]).default("255; the system's for IPv6"),
    keyword("unicast_fault_no_peer", "It is a fault to have no peers."),
    keyword("check_unicast_src", "An advertisement must come from one of the peers.").default("`vrrp_check_unicast_src` of `global_defs`"),
    keyword("old_unicast_checksum", "The checksum of version 3 by unicast is made as keepalived up to 1.3.6 made it, or never so.")
        .takes(&[may("NEVER", Kind::OneOf(&["never"]))])
        .default("as the peer makes it"),
    keyword("v3_checksum_as_v2", "The checksum of version 3 over IPv4 leaves the pseudo-header out, as RFC 9568 has it.").takes(&[BOOL]).default("`v3_checksum_as_v2` of `global_defs`"),
];

const COUNT: &[Param] = &[must("NUMBER", int(1, 4_294_967_295))];
const SECONDS: &[Param] = &[must("SECONDS", int(0, 4_294_967))];

const ANNOUNCING: &[Keyword] = &[
    keyword("garp_master_delay", "How long after becoming master the addresses are announced a second time; 0: they are not.").takes(SECONDS).default("5"),
    keyword("garp_master_repeat", "How often an address is announced at a time.").takes(COUNT).default("5"),
    keyword("garp_master_refresh", "From one announcement of a master to the next; 0: there is none.").takes(SECONDS).default("0"),
    keyword("garp_master_refresh_repeat", "How often an address is announced at those times.").takes(COUNT).default("1"),
    keyword("garp_lower_prio_delay", "How long after a master of lower priority was heard the addresses are announced again.").takes(SECONDS).default("`garp_master_delay`"),
    keyword("garp_lower_prio_repeat", "How often an address is announced then.").takes(&[must("NUMBER", int(0, 4_294_967_295))]).default("`garp_master_repeat`"),
    keyword("garp_extra_if", "From one announcement of addresses on other interfaces to the next; with `all` not on VMACs only.")
        .takes(&[may("ALL", Kind::OneOf(&["all"])), must("SECONDS", int(0, 86_400))])
        .default("`vrrp_garp_extra_if` of `global_defs`")
        .old(&[old("vmac_garp_intvl", "write `garp_extra_if`, which means the same")]),
];

const RIVALS: &[Keyword] = &[
    keyword("lower_prio_no_advert", "An advertisement of lower priority is not answered.").takes(&[BOOL]).default("`vrrp_lower_prio_no_advert` of `global_defs`"),
    keyword("higher_prio_send_advert", "A master sends once more when it gives way.").takes(&[BOOL]).default("`vrrp_higher_prio_send_advert` of `global_defs`"),
    keyword("owner_ignore_adverts", "An owner of its addresses ignores other masters.").takes(&[BOOL]).default("`vrrp_owner_ignore_adverts` of `global_defs`"),
    keyword("down_timer_adverts", "So many advertisements missing, and a backup takes over.").takes(&[must("NUMBER", int(1, 100))]).default("3"),
    keyword("skip_check_adv_addr", "The addresses in a master's advertisements are looked at in the first one only.").takes(&[BOOL]).default("`vrrp_skip_check_adv_addr` of `global_defs`")
        .differs("`off` means off; in keepalived it means on."),
    keyword("timer_expired_backup", "It becomes backup when the process ran so late that another may have taken over, with this priority. Needs `nopreempt`.")
        .takes(&[may("PRIORITY", int(1, 254))])
        .default("off; without a number 254")
        .old(&[old("thread_timer_expired", "write `timer_expired_backup`, which means the same")]),
];

const ADDRESSES: &[Keyword] = &[
    keyword(
        "virtual_ipaddress",
        "Addresses that the master has and advertises.",
    )
    .lines(addresses::VIRTUAL),
    keyword(
        "virtual_ipaddress_excluded",
        "Addresses that the master has and does not advertise; of either family.",
    )
    .lines(addresses::VIRTUAL),
    keyword("no_virtual_ipaddress", "To have no addresses is meant."),
    keyword("virtual_routes", "Routes that the master has.").lines(routes::VIRTUAL),
    keyword("virtual_rules", "Rules of routing that the master has.").lines(rules::VIRTUAL),
    keyword("accept", "The master accepts packets for the addresses.")
        .default("so it is, unless strict"),
    keyword(
        "no_accept",
        "The master accepts no packets for the addresses.",
    ),
];

const PREEMPTION: &[Keyword] = &[
    keyword(
        "nopreempt",
        "A master of lower priority is left alone. Needs `state BACKUP` and a priority below 255.",
    ),
    keyword("preempt", "A master of lower priority is taken over from.").default("so it is"),
    keyword(
        "preempt_delay",
        "How long a master of lower priority is left alone.",
    )
    .takes(&[must("SECONDS", time(0, 1_000 * SECOND))])
    .default("0"),
];

const REPORTING: &[Keyword] = &[
    keyword("notify_deleted", "Run when a reload removes the instance.")
        .takes(&[SCRIPT])
        .first(),
    keyword(
        "notify_master_rx_lower_pri",
        "Run when a master hears another of lower priority.",
    )
    .takes(&[SCRIPT])
    .first(),
    keyword(
        "notify_priority_changes",
        "Changes of priority are written to the pipe.",
    )
    .takes(&[BOOL])
    .default("the sync group's, or else `vrrp_notify_priority_changes` of `global_defs`"),
    keyword("smtp_alert", "Mails when the state changes.")
        .takes(&[BOOL])
        .default("`smtp_alert_vrrp`, or else `smtp_alert` of `global_defs`, or else off"),
];

const REST: &[Keyword] = &[
    keyword("lvs_sync_daemon_interface", "Connections are shared with other directors while this instance is master.").takes(&[INTERFACE])
        .later("connection synchronisation")
        .old(&[old("lvs_sync_daemon_inteface", "write `lvs_sync_daemon INTERFACE inst NAME` in `global_defs`; this slip was in keepalived's own manual")]),
    keyword("debug", "Nothing.").takes(&[may("LEVEL", int(0, 4))]).removed("it never did anything: leave it out. Without a level it even stops keepalived 2.x"),
];
