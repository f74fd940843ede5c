//! `global_defs`: mails, scripts, LVS, the daemon. What VRRP has there is in `vrrp_global`, priorities and the like in `processes`.

use super::processes::{BFD, BUFFERS, CHECKER, LIMITS, VRRP};
use super::vrrp_global::VRRP_DEFAULTS;
use super::words::{
    BOOL, INTERFACE, NAME, PORT, SCRIPT, SECOND, USER, form, int, keyword, lead, many, may, must,
    old, opt, time,
};
use super::{Keyword, Kind, Param, Table};

pub(super) const GLOBAL_DEFS: Keyword = keyword(
    "global_defs",
    "What holds for the whole daemon, and defaults.",
)
.also(&["global_definitions"])
.block(&TABLE)
.each();

static TABLE: Table = Table {
    parts: &[
        MAIL,
        SCRIPTS,
        OURS,
        LVS,
        DAEMON,
        RELOAD,
        FILES,
        SNMP,
        VRRP_DEFAULTS,
        VRRP,
        CHECKER,
        BFD,
        LIMITS,
        BUFFERS,
    ],
};

const MAIL: &[Keyword] = &[
    keyword("notification_email", "Who gets mails.")
        .list(form(&[must("ADDRESS", Kind::Text)]))
        .default("nobody, so there are no mails"),
    keyword("notification_email_from", "Who sends them.").takes(&[must("ADDRESS", Kind::Text)]).default("the daemon's user at this host"),
    keyword("smtp_server", "Who takes them.")
        .takes(&[must("HOST", Kind::Host), may("PORT", PORT)])
        .default("nobody, so there are no mails; port 25")
        .differs("A host name is looked up when a mail is to be sent; in keepalived once, when the file is read."),
    keyword("smtp_helo_name", "The name that the mail server is told.").takes(&[NAME]).default("the host's name"),
    keyword("smtp_connect_timeout", "How long it may take to deliver a mail.")
        .takes(&[must("SECONDS", int(0, 4_294))])
        .default("30")
        .old(&[old("smtp_connection_timeout", "write `smtp_connect_timeout`; keepalived does not know this spelling of some tutorials, and stays with 30 seconds")]),
    keyword("smtp_alert", "Mails unless something says otherwise.").takes(&[BOOL]).default("servers yes, everything else no"),
    keyword("smtp_alert_checker", "The same for services and servers.").takes(&[BOOL]).default("`smtp_alert`"),
    keyword("no_checker_emails", "Mails about a server as a whole only, not about each check."),
    keyword("router_id", "The name of this director, in mails.")
        .takes(&[NAME])
        .default("the host's name")
        .old(&[old("lvs_id", "write `router_id`, which means the same; keepalived has not known this name for long")]),
];

const SCRIPTS: &[Keyword] = &[
    keyword("script_user", "Whom scripts run as that do not say it themselves. A `:` before the group means all of the user's groups.")
        .takes(USER)
        .default("`keepalived_script` if there is such a user, or else the daemon's user"),
    keyword("enable_script_security", "Scripts that anybody but root could change are not run as root."),
    keyword("use_symlink_paths", "Symbolic links in the paths of scripts are kept.").takes(&[BOOL]).default("off"),
    keyword("set_supplementary_groups", "Scripts get all of their user's groups."),
    keyword("startup_script", "Run before anything else.").takes(&[SCRIPT]).first(),
    keyword("startup_script_timeout", "How long that may take.").takes(&[must("SECONDS", int(1, 1_000))]).default("10"),
    keyword("shutdown_script", "Run after everything else.").takes(&[SCRIPT]).first(),
    keyword("shutdown_script_timeout", "How long that may take.").takes(&[must("SECONDS", int(1, 1_000))]).default("10"),
    keyword("notify_fifo", "A pipe that all events are written to.").takes(FIFO).first(),
    keyword("notify_fifo_script", "Started to read that pipe, whose path is its last argument.").takes(&[SCRIPT]).first(),
    keyword("lvs_notify_fifo", "A pipe that events of services and servers are written to.").takes(FIFO).first(),
    keyword("lvs_notify_fifo_script", "Started to read that pipe, whose path is its last argument.").takes(&[SCRIPT]).first(),
    keyword("rs_init_notifies", "Servers that are taken to be up at the start are announced as well."),
    keyword("checker_log_all_failures", "Each failure of a check is logged, and not only the one that counts.").takes(&[BOOL]).default("off"),
];

/// A named pipe.
pub(super) const FIFO: &[Param] = &[
    must("PATH", Kind::Text),
    may("USER", Kind::Text),
    may("GROUP", Kind::Text),
];

const OURS: &[Keyword] = &[
    keyword("lvsd_http", "Where /metrics, /status.json and /healthz are served: an address and port, or the path of a Unix socket. lvsd's own; keepalived ignores the line.")
        .takes(&[must("ADDRESS", Kind::Addr), must("PORT", PORT)])
        .or(&[lead("", &[must("PATH", Kind::Path)]).about("a Unix socket")])
        .default("nowhere"),
    keyword("lvsd_any_vip_count", "An advertisement with another number of VIPs counts all the same, so that a VIP can be added to one director after the other. lvsd's own; keepalived ignores the line.")
        .takes(&[BOOL])
        .default("off"),
    keyword("lvsd_step_timeouts", "`connect_timeout` bounds each step of a check, as in keepalived, and not the whole. lvsd's own; keepalived ignores the line.")
        .takes(&[BOOL])
        .default("off"),
];

const LVS: &[Keyword] = &[
    keyword("lvs_timeouts", "How long connections are kept that carry nothing.")
        .options(&[
            opt("tcp", &[must("SECONDS", int(0, 2_678_400))], "established TCP"),
            opt("tcpfin", &[must("SECONDS", int(0, 2_678_400))], "TCP after FIN"),
            opt("udp", &[must("SECONDS", int(0, 2_678_400))], "UDP"),
        ])
        .default("IPVS's: 900, 120 and 300"),
    keyword("lvs_flush", "Services that are there when the daemon starts are removed.").harmless(OWN_TABLE),
    keyword("lvs_flush_on_stop", "When the daemon ends, services go without their servers being taken out one by one; with `VS` only the configuration's own.")
        .takes(&[may("VS", Kind::OneOf(&["VS"]))])
        .default("off")
        .harmless(OWN_TABLE)
        .old(&[old("lvs_flush_onstop", "write `lvs_flush_on_stop`, which means the same")]),
    keyword("lvs_sync_daemon", "Connections are shared with other directors, as IPVS's sync daemon does.")
        .takes(&[INTERFACE, may("INSTANCE", Kind::Text)])
        .options(&[
            opt("inst", &[NAME], "send while this instance is master"),
            opt("id", &[must("ID", int(0, 255))], "the number that both ends have"),
            opt("maxlen", &[must("BYTES", int(1, 65_507))], "the longest message"),
            opt("port", &[must("PORT", PORT)], "the UDP port"),
            opt("ttl", &[must("TTL", int(1, 255))], "the TTL of messages"),
            opt("group", &[must("ADDRESS", Kind::Addr)], "the multicast group"),
        ])
        .default("off; port 8848, group 224.0.0.81")
        .later("connection synchronisation"),
    keyword("nftables_ipvs", "Each `virtual_server_group` becomes one service by firewall mark, with nftables setting the marks.")
        .takes(&[may("TABLE", Kind::Text)])
        .nothing("lvsd needs no firewall marks for that: a group's addresses are services, however many"),
    keyword("nftables_ipvs_priority", "The priority of that table.").takes(&[must("PRIORITY", int(-2_147_483_648, 2_147_483_647))]).harmless("without `nftables_ipvs` it means nothing"),
    keyword("nftables_ipvs_start_fwmark", "The first mark that is set.").takes(&[must("MARK", int(1, 4_294_967_295))]).harmless("without `nftables_ipvs` it means nothing"),
];

const OWN_TABLE: &str = "lvsd's table is its own: it begins empty, and goes with the daemon";

const DAEMON: &[Keyword] = &[
    keyword(
        "process_names",
        "Processes have titles that tell them apart.",
    )
    .harmless(ONE_PROCESS),
    keyword("process_name", "The title of the main process.")
        .takes(&[NAME])
        .harmless(ONE_PROCESS),
    keyword("vrrp_process_name", "The title of the VRRP process.")
        .takes(&[NAME])
        .harmless(ONE_PROCESS),
    keyword("checker_process_name", "The title of the checker process.")
        .takes(&[NAME])
        .harmless(ONE_PROCESS)
        .old(&[old(
            "lvs_process_name",
            "write `checker_process_name`, which means the same",
        )]),
    keyword("bfd_process_name", "The title of the BFD process.")
        .takes(&[NAME])
        .harmless(ONE_PROCESS),
    keyword(
        "umask",
        "The mode bits that files made by the daemon do not have.",
    )
    .takes(&[must("MODE", Kind::Mode)])
    .default("0177")
    .nothing("the daemon's umask counts; set it where lvsd is started"),
    keyword("random_seed", "Where `${_RANDOM}` begins.")
        .takes(&[must("NUMBER", int(0, 4_294_967_295))])
        .default("the time"),
    keyword("enable_dbus", "VRRP is shown and changed over D-Bus.").nothing(NO_DBUS),
    keyword("dbus_service_name", "The name there.")
        .takes(&[NAME])
        .nothing(NO_DBUS),
    keyword(
        "dbus_no_interface_name",
        "What stands for an interface that has none.",
    )
    .takes(&[NAME])
    .nothing(NO_DBUS),
];

const ONE_PROCESS: &str = "lvsd is one process";
const NO_DBUS: &str = "lvsd does not speak D-Bus; see `lvsd status`";

const RELOAD: &[Keyword] = &[
    keyword("include_check", "Which includes must find something: `read`, `match`, `wildcard_match`, `brace_match`, with `+` or `-` to add or take away.")
        .takes(&[many("CHECK", Kind::OneOf(INCLUDE_CHECKS))])
        .each()
        .default("none; without a word all"),
    keyword("reload_check_config", "A new configuration is checked before it takes the place of the old one.")
        .takes(&[may("FILE", Kind::Text)])
        .harmless("lvsd always checks first, and says what is wrong to whoever asked for the reload"),
    keyword("reload_time_file", "A file that holds the time of the next reload.").takes(&[must("FILE", Kind::Text)])
        .nothing("let a timer run `lvsd reload`"),
    keyword("reload_repeat", "That file is kept.").nothing("let a timer run `lvsd reload`"),
    keyword("reload_file", "A file that exists while a reload goes on.").takes(&[may("FILE", Kind::Text)])
        .nothing("`lvsd reload` returns when the reload is done"),
    keyword("tmp_config_directory", "Where a copy of the configuration is kept while it is read.").takes(&[must("FOLDER", Kind::Text)])
        .harmless("lvsd makes no such copy"),
    keyword("config_save_dir", "Where the configurations that were in force are kept.").takes(&[must("FOLDER", Kind::Text)])
        .nothing("lvsd keeps no old configurations"),
];

const INCLUDE_CHECKS: &[&str] = &[
    "read",
    "readable",
    "match",
    "wildcard_match",
    "brace_match",
    "+read",
    "+readable",
    "+match",
    "+wildcard_match",
    "+brace_match",
    "-read",
    "-readable",
    "-match",
    "-wildcard_match",
    "-brace_match",
];

const FILES: &[Keyword] = &[
    keyword(
        "data_use_instance",
        "Names of dumps have the instance's name in them.",
    )
    .takes(&[BOOL])
    .harmless(NO_DUMPS),
    keyword("state_dump_file", "Where SIGUSR1 writes the state.")
        .also(&["state_dump_file_location"])
        .takes(&[must("PATH", Kind::Text)])
        .nothing(NO_DUMPS),
    keyword("stats_dump_file", "Where SIGUSR2 writes counters.")
        .also(&["stats_dump_file_location"])
        .takes(&[must("PATH", Kind::Text)])
        .nothing(NO_DUMPS),
    keyword("json_dump_file", "Where the state is written as JSON.")
        .also(&["json_dump_file_location"])
        .takes(&[must("PATH", Kind::Text)])
        .nothing(NO_DUMPS),
    keyword("json_version", "How that JSON looks.")
        .takes(&[must("VERSION", int(1, 2))])
        .default("1")
        .nothing(NO_DUMPS),
    keyword("iproute_usr_dir", "Where iproute2's tables of names are.")
        .takes(&[must("FOLDER", Kind::Text)])
        .nothing(IPROUTE),
    keyword(
        "iproute_etc_dir",
        "Where the host's own tables of names are.",
    )
    .takes(&[must("FOLDER", Kind::Text)])
    .nothing(IPROUTE),
];

const IPROUTE: &str =
    "lvsd looks for names in /etc/iproute2, /usr/share/iproute2 and /usr/lib/iproute2";

const NO_DUMPS: &str = "lvsd writes no dumps; see `lvsd status --json`";

const SNMP: &[Keyword] = &[
    keyword("snmp_socket", "Where the SNMP master agent listens.")
        .takes(&[must("SOCKET", Kind::Text)])
        .default("unix:/var/agentx/master")
        .nothing(NO_SNMP),
    keyword("enable_snmp_vrrp", "VRRP is shown in SNMP.")
        .nothing(NO_SNMP)
        .old(&[old(
            "enable_snmp_keepalived",
            "write `enable_snmp_vrrp`, which means the same",
        )]),
    keyword(
        "enable_snmp_checker",
        "Services and servers are shown in SNMP.",
    )
    .nothing(NO_SNMP),
    keyword(
        "enable_snmp_rfc",
        "The RFCs' tables of VRRP are shown in SNMP.",
    )
    .nothing(NO_SNMP),
    keyword("enable_snmp_rfcv2", "The table of RFC 2787.").nothing(NO_SNMP),
    keyword("enable_snmp_rfcv3", "The table of RFC 6527.").nothing(NO_SNMP),
    keyword("enable_traps", "Events are sent as SNMP traps.").nothing(NO_SNMP),
    keyword(
        "snmp_vs_stats_update_interval",
        "How old services' counters in SNMP may be.",
    )
    .takes(&[must("SECONDS", time(1_000, 30 * SECOND))])
    .default("5")
    .nothing(NO_SNMP),
    keyword(
        "snmp_rs_stats_update_interval",
        "How old servers' counters in SNMP may be.",
    )
    .takes(&[must("SECONDS", time(1_000, 30 * SECOND))])
    .default("that of services")
    .nothing(NO_SNMP),
];

const NO_SNMP: &str = "lvsd does not speak SNMP; `lvsd_http` serves metrics";
