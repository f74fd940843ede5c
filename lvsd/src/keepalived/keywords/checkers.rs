//! Checks of a server.

use super::http::{HTTP_GET, SSL_GET};
use super::virtual_server::{CHECK_VIP, RISE};
use super::words::{
    BOOL, FOREVER, INTERFACE, LONGEST, NAME, PORT, USER, int, keyword, many, may, must, old, time,
};
use super::{Keyword, Kind, Table};

pub(super) const CHECKERS: &[Keyword] = &[
    keyword("TCP_CHECK", "Whether the server takes a TCP connection.")
        .block(&TCP_CHECK)
        .each(),
    HTTP_GET,
    SSL_GET,
    keyword(
        "SMTP_CHECK",
        "Whether the server greets as a mail server and takes HELO.",
    )
    .block(&SMTP_CHECK)
    .each()
    .differs("Answers of several lines pass; keepalived fails them."),
    keyword(
        "DNS_CHECK",
        "Whether the server answers a DNS question over UDP without an error.",
    )
    .block(&DNS_CHECK)
    .each(),
    keyword(
        "UDP_CHECK",
        "Whether a datagram comes back, or at least no ICMP error.",
    )
    .block(&UDP_CHECK)
    .each(),
    keyword("PING_CHECK", "Whether the server answers an ICMP echo.")
        .block(&PING_CHECK)
        .each(),
    keyword(
        "MISC_CHECK",
        "What a program says by its exit status: 0 is good, anything else is not.",
    )
    .block(&MISC_CHECK)
    .each(),
    keyword(
        "FILE_CHECK",
        "A number in a file: added to the weight, or, with weight 0, a failure unless it is 0.",
    )
    .block(&FILE_CHECK)
    .each(),
    keyword("BFD_CHECK", "The state of a BFD session.")
        .block(&BFD_CHECK)
        .each()
        .later("BFD"),
];

static TCP_CHECK: Table = Table {
    parts: &[TARGET, TIMING],
};
static SMTP_CHECK: Table = Table {
    parts: &[SMTP, TARGET, TIMING],
};
static DNS_CHECK: Table = Table {
    parts: &[DNS, TARGET, TIMING],
};
static UDP_CHECK: Table = Table {
    parts: &[UDP, TARGET, TIMING],
};
static PING_CHECK: Table = Table {
    parts: &[TARGET, TIMING],
};
static MISC_CHECK: Table = Table {
    parts: &[MISC, TIMING],
};
static FILE_CHECK: Table = Table { parts: &[FILE] };
static BFD_CHECK: Table = Table { parts: &[BFD] };

/// Whom a check asks, and from where.
pub(super) const TARGET: &[Keyword] = &[
    CHECK_VIP,
    keyword("connect_ip", "Ask this address instead of the server's.").takes(&[must("ADDRESS", Kind::Addr)]).default("the server's address")
        .differs("With `lvsd_check_vip` it says which virtual address is asked on the server, if the service has several or a firewall mark."),
    keyword("connect_port", "Ask this port instead of the server's.").takes(&[must("PORT", PORT)]).default("the server's port"),
    keyword("bindto", "Come from this address.").takes(&[must("ADDRESS", Kind::Addr)]),
    keyword("bind_port", "Come from this port.").takes(&[must("PORT", PORT)]),
    keyword("bind_if", "Go out on this interface; needed for link-local addresses of IPv6.").takes(&[INTERFACE]),
    keyword("fwmark", "The firewall mark of the check's packets.").takes(&[must("MARK", int(0, 4_294_967_295))]).default("0"),
    keyword("connect_timeout", "How long a check may take.")
        .takes(&[must("SECONDS", time(1, LONGEST))])
        .default("the server's, or else the service's, or else 5")
        .differs("Bounds the whole of a check; in keepalived each step. `lvsd_step_timeouts` in `global_defs` restores that."),
];

/// When a check runs.
pub(super) const TIMING: &[Keyword] = &[
    keyword("retry", "Failures in a row that are forgiven: one more, and the server is down.")
        .takes(&[must("NUMBER", int(0, 4_294_967_295))])
        .default("the server's, or else the service's, or else 1; DNS_CHECK 3, MISC_CHECK 0")
        .old(&[old("nb_get_retry", "write `retry`, which means the same")]),
    keyword("delay_before_retry", "From a forgiven failure to the next check.")
        .takes(&[must("SECONDS", time(0, FOREVER))])
        .default("the server's, or else the service's, or else 1; HTTP_GET and SSL_GET 3; DNS_CHECK `delay_loop`"),
    keyword("warmup", "The first check begins at random within this time.")
        .takes(&[must("SECONDS", time(0, FOREVER))])
        .default("the server's, or else the service's, or else `delay_loop`"),
    keyword("delay_loop", "From the start of a check to the start of the next.")
        .takes(&[must("SECONDS", time(1, FOREVER))])
        .default("the server's, or else the service's"),
    keyword("alpha", "The server counts as down until the check has passed for the first time.").takes(&[BOOL]).default("the server's, or else the service's"),
    keyword("log_all_failures", "Each failure is logged, and not only the one that counts.").takes(&[BOOL]).default("`checker_log_all_failures` of `global_defs`"),
    RISE,
];

const SMTP: &[Keyword] = &[
    keyword("helo_name", "The name that the server is told.")
        .takes(&[must("NAME", Kind::Text)])
        .default("smtpchecker.keepalived.org"),
    keyword(
        "host",
        "Whom the check asks, in a block of its own, as keepalived up to 2.2 has it; each of several is asked. What it does not say \
         holds as the check has it. One SMTP_CHECK for each says the same.",
    )
    .block(&SMTP_HOST)
    .each(),
];

static SMTP_HOST: Table = Table { parts: &[TARGET] };

const DNS: &[Keyword] = &[
    keyword("type", "The record type that is asked for.")
        .takes(&[must(
            "TYPE",
            Kind::AnyCase(&[
                "A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY",
            ]),
        )])
        .default("SOA"),
    keyword("name", "The name that is asked for.")
        .takes(&[must("NAME", Kind::Text)])
        .default("the root"),
];

const UDP: &[Keyword] = &[
    keyword("payload", "What is sent, in hexadecimal.").takes(&[super::words::some("HEX", Kind::Hex { wild: false, bytes: 0 })]).default("some text"),
    keyword("require_reply", "An answer must come; if bytes are given, it must begin with them. `x` stands for any digit.")
        .takes(&[many("HEX", Kind::Hex { wild: true, bytes: 0 })])
        .default("no answer is needed"),
    keyword("min_reply_length", "The shortest good answer, if `require_reply` has bytes.").takes(&[must("BYTES", int(0, 65_535))]).default("0"),
    keyword("max_reply_length", "The longest good answer, if `require_reply` has bytes.").takes(&[must("BYTES", int(0, 65_535))]).default("255"),
];

const MISC: &[Keyword] = &[
    keyword("misc_path", "The program and its arguments, in quotes.")
        .takes(&[must("COMMAND", Kind::Command { user: false })])
        .default("needed"),
    keyword("misc_timeout", "How long it may run.")
        .takes(&[must("SECONDS", int(1, 4_294_967_295))])
        .default("the service's `delay_loop`"),
    keyword(
        "misc_dynamic",
        "Exit statuses 2 to 255 make the weight 0 to 253.",
    )
    .default("off"),
    keyword("user", "Whom it runs as.")
        .takes(USER)
        .default("`script_user` of `global_defs`"),
];

const FILE: &[Keyword] = &[
    keyword("track_file", "The name of a `track_file` block.")
        .takes(&[NAME])
        .default("needed"),
    keyword("weight", "What the file's number is multiplied with.")
        .takes(&[
            must("WEIGHT", int(-2_147_483_647, 2_147_483_647)),
            may("REVERSE", Kind::OneOf(&["reverse", "noreverse"])),
        ])
        .default("the file's"),
];

const BFD: &[Keyword] = &[
    keyword("name", "The name of a `bfd_instance` block.")
        .takes(&[NAME])
        .default("needed"),
    keyword(
        "alpha",
        "The server counts as down until the session is up.",
    )
    .takes(&[BOOL])
    .default("off"),
];
