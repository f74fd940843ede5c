//! `virtual_server`, and what its servers can have as well.

use super::real_server::REAL_SERVER;
use super::words::{
    BOOL, FOREVER, LONGEST, NAME, PORT, SCRIPT, int, keyword, lead, may, must, old, opt, time,
};
use super::{Form, Keyword, Kind, Opt, Param, Table};

const SCHEDULERS: &[&str] = &[
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "mh", "sed", "nq", "fo", "ovf", "twos",
];

/// How packets get to a server.
pub(super) const METHOD: &[Param] = &[must(
    "METHOD",
    Kind::OneOf(&["NAT", "DR", "TUN", "FNAT", "FULLNAT"]),
)];

/// How a tunnel is made.
pub(super) const TUNNEL: &[Opt] = &[
    opt(
        "type",
        &[must("TUNNEL", Kind::OneOf(&["ipip", "gue", "gre"]))],
        "what packets are wrapped in",
    ),
    opt("port", &[must("PORT", PORT)], "gue's port"),
    opt("nocsum", &[], "no checksum outside"),
    opt("csum", &[], "with a checksum outside"),
    opt("remcsum", &[], "gue with remote checksum offload"),
];

/// What FNAT is.
pub(super) const FULLNAT: &str = "keepalived has NAT, DR and TUN only; FNAT (or FULLNAT) is \
    lvsd's, and needs `lvsd_local_address`.";

/// An address with a port or not.
pub(super) const ENDPOINT: &[Param] = &[must("ADDRESS", Kind::Addr), may("PORT", int(0, 65_535))];

pub(super) const VIRTUAL_SERVER: Keyword = keyword(
    "virtual_server",
    "A service: packets to this address and port, with this firewall mark, or to any of the addresses of a \
     `virtual_server_group`, go to one of its servers.",
)
.takes(ENDPOINT)
.or(&[
    lead("fwmark", &[must("MARK", int(0, 4_294_967_295))]).about("packets with a firewall mark"),
    lead("group", &[NAME]).about("the addresses of a `virtual_server_group`"),
])
.block(&TABLE)
.each()
.differs(
    "keepalived applies persistence of 360 seconds to a service without a port; lvsd does likewise, and says so. \
     keepalived drops a bad service and goes on; lvsd refuses the file.",
);

static TABLE: Table = Table {
    parts: &[
        SCHEDULING,
        BALANCE,
        QUORUM,
        DEFAULTS,
        CHECK_DEFAULTS,
        OURS,
        OLD,
    ],
};

const SCHEDULING: &[Keyword] = &[
    keyword("lvs_sched", "The scheduler, which chooses the server of a new connection.")
        .also(&["lb_algo"])
        .takes(&[must("SCHEDULER", Kind::OneOf(SCHEDULERS))])
        .default("wlc"),
    keyword("lvs_method", "How packets get to the servers: by NAT, unchanged to their MAC address (DR), or in a tunnel (TUN).")
        .also(&["lb_kind"])
        .takes(METHOD)
        .options(TUNNEL)
        .default("NAT")
        .differs(FULLNAT),
    keyword("flag-1", "The scheduler's first flag, whatever that is: fallback for sh and mh."),
    keyword("flag-2", "The scheduler's second flag: for sh and mh, hashing the port too."),
    keyword("flag-3", "The scheduler's third flag; no scheduler has one."),
    keyword("sh-fallback", "sh takes the next server of its table for one that is not available.").after("lvs_sched"),
    keyword("sh-port", "sh hashes the client's port too.").after("lvs_sched"),
    keyword("mh-fallback", "mh takes the next server of its table for one that is not available.").after("lvs_sched"),
    keyword("mh-port", "mh hashes the client's port too.").after("lvs_sched"),
    keyword("hashed", "Nothing.").harmless("keepalived reads it and does nothing either"),
    keyword("ops", "One-packet scheduling: each datagram is scheduled by itself. UDP only."),
];

const BALANCE: &[Keyword] = &[
    keyword("protocol", "The protocol of a service by address; one by firewall mark has none.")
        .takes(&[must("PROTOCOL", Kind::AnyCase(&["TCP", "UDP", "SCTP"]))])
        .default("UDP, for a service by address")
        .differs("keepalived takes UDP if nothing is said, and logs an error; lvsd wants it to be said."),
    keyword("persistence_timeout", "Persistence: a client stays with its server until it has been away for so long.")
        .takes(&[may("SECONDS", int(0, 2_678_400))])
        .default("off; without a number 360")
        .differs("0 stands for off, as old tutorials mean it; keepalived logs an error and leaves it off."),
    keyword("persistence_granularity", "Clients of the same network count as one: an IPv4 mask, or an IPv6 prefix's length. Switches persistence on.")
        .takes(&[must("MASK", Kind::Either(&[Kind::Mask, int(1, 128)]))])
        .default("255.255.255.255, or 128"),
    keyword("persistence_engine", "A persistence engine of IPVS, which looks into packets (`sip`).")
        .takes(&[must("NAME", Kind::Word { max: 15 })])
        .default("none"),
    keyword("ip_family", "The family of a service by firewall mark.")
        .takes(&[must("FAMILY", Kind::OneOf(&["inet", "inet6"]))])
        .default("that of its servers"),
    keyword("snmp_name", "Its name in SNMP.").takes(&[NAME]).nothing("lvsd does not speak SNMP"),
];

const QUORUM: &[Keyword] = &[
    keyword(
        "ha_suspend",
        "Checks rest while the virtual address is not on this host. Not for services by firewall mark.",
    ),
    keyword(
        "omega",
        "When the daemon ends, `notify_down` and `quorum_down` are run as if all servers had failed.",
    ),
    keyword(
        "quorum",
        "The sum of weights of living servers that the service needs.",
    )
    .takes(&[must("WEIGHT", int(1, 4_294_967_295))])
    .default("1"),
    keyword(
        "hysteresis",
        "How much more than the quorum it takes to gain it, and how much less to lose it.",
    )
    .takes(&[must("WEIGHT", int(0, 4_294_967_295))])
    .default("0"),
    keyword("quorum_up", "Run when the quorum is gained.")
        .takes(&[SCRIPT])
        .first(),
    keyword("quorum_down", "Run when the quorum is lost.")
        .takes(&[SCRIPT])
        .first(),
    keyword("sorry_server", "Serves while the quorum is lost.").takes(ENDPOINT),
    keyword(
        "sorry_server_inhibit",
        "The sorry server stays among the servers, with weight 0, while it is not needed.",
    )
    .after("sorry_server"),
    keyword(
        "sorry_server_lvs_method",
        "How packets get to the sorry server.",
    )
    .takes(METHOD)
    .options(TUNNEL)
    .default("the service's `lvs_method`")
    .after("sorry_server")
    .differs(FULLNAT),
    REAL_SERVER,
];

const DEFAULTS: &[Keyword] = &[
    keyword(
        "weight",
        "The weight of servers that have none of their own.",
    )
    .takes(&[must("WEIGHT", int(1, 2_147_483_647))])
    .default("1"),
    keyword(
        "inhibit_on_failure",
        "A server that fails gets weight 0 instead of being taken out.",
    )
    .takes(&[BOOL])
    .default("off"),
    keyword("virtualhost", "The host that HTTP and TLS checks ask for.")
        .takes(&[must("HOST", Kind::Text)]),
    keyword("smtp_alert", "Mails when the quorum is lost or gained.")
        .takes(&[BOOL])
        .default("`smtp_alert_checker`, or else `smtp_alert` of `global_defs`, or else off"),
];

/// When checks run, for a service or a server.
pub(super) const CHECK_DEFAULTS: &[Keyword] = &[
    keyword("delay_loop", "From the start of a check to the start of the next.")
        .takes(&[must("SECONDS", time(1, FOREVER))])
        .default("60"),
    keyword("connect_timeout", "How long a check may take.")
        .takes(&[must("SECONDS", time(1, LONGEST))])
        .default("5")
        .differs("Bounds the whole of a check, from connecting to the verdict. In keepalived it bounds each step, so that a \
                  server that sends a byte now and then never times out; `lvsd_step_timeouts` in `global_defs` restores that."),
    keyword("retry", "Failures in a row that are forgiven.")
        .takes(&[must("NUMBER", int(1, 4_294_967_295))])
        .default("1; DNS_CHECK 3, MISC_CHECK 0")
        .old(&[old("nb_get_retry", "write `retry`, which means the same")]),
    keyword("delay_before_retry", "From a forgiven failure to the next check.")
        .takes(&[must("SECONDS", time(0, FOREVER))])
        .default("1; HTTP_GET and SSL_GET 3; DNS_CHECK `delay_loop`"),
    keyword("warmup", "The first check begins at random within this time.")
        .takes(&[must("SECONDS", time(0, FOREVER))])
        .default("`delay_loop`"),
    keyword("alpha", "Servers count as down until their checks have passed for the first time.")
        .takes(&[BOOL])
        .default("off"),
    RISE,
    CHECK_VIP,
];

/// How often a check must pass.
pub(super) const RISE: Keyword = keyword(
    "lvsd_rise",
    "Successes in a row that bring a server up again. lvsd's own; keepalived ignores the line, and knows only 1.",
)
.takes(&[must("NUMBER", int(1, 4_294_967_295))])
.default("1");

/// Which address of a server is asked.
pub(super) const CHECK_VIP: Keyword = keyword(
    "lvsd_check_vip",
    "Checks of servers by DR or TUN ask the virtual address on the server, by the way that real traffic takes: so they also find out \
     that the server does not hold the address, does not unwrap the tunnel or does not listen there. lvsd's own; keepalived ignores \
     the line.",
)
.takes(&[BOOL])
.default("off");

const OURS: &[Keyword] = &[
    keyword(
        "lvsd_keep_flows",
        "UDP flows and persistence templates of a server that has failed stay with it, as in IPVS. Otherwise they are scheduled anew \
         at once. lvsd's own; keepalived ignores the line.",
    )
    .takes(&[BOOL])
    .default("off"),
    keyword(
        "lvsd_local_address",
        "An address, and perhaps ports, that packets to FullNAT servers come from. lvsd's own; keepalived ignores the line.",
    )
    .takes(&[
        must("ADDRESS", Kind::Addr),
        may("PORTS", Kind::Range { min: 1, max: 65_535 }),
    ])
    .default("needed for FNAT")
    .each(),
];

const OLD: &[Keyword] = &[keyword(
    "nat_mask",
    "The mask of NAT networks in kernels of the 2.2 series.",
)
.takes(&[may("MASK", Kind::Text)])
.removed("it meant something to Linux 2.2 only; leave it out")];

/// `virtual_server_group`.
pub(super) const VIRTUAL_SERVER_GROUP: Keyword = keyword(
    "virtual_server_group",
    "Addresses and firewall marks that share servers, checks and quorum, for `virtual_server group NAME`.",
)
.takes(&[NAME])
.lines(GROUP_LINES);

const GROUP_LINES: &[Form] = &[
    super::words::form(&[must("ADDRESSES", Kind::Addrs), may("PORT", int(0, 65_535))])
        .about("an address, several in a row, or a network"),
    lead(
        "fwmark",
        &[
            must("MARK", int(0, 4_294_967_295)),
            may("FAMILY", Kind::OneOf(&["inet", "inet6"])),
        ],
    )
    .about("packets with a firewall mark"),
];
