//! `real_server`.

use super::checkers::CHECKERS;
use super::virtual_server::{CHECK_DEFAULTS, ENDPOINT, FULLNAT, METHOD, TUNNEL};
use super::words::{BOOL, NAME, SCRIPT, int, keyword, must, old};
use super::{Keyword, Kind, Table};

pub(super) const REAL_SERVER: Keyword = keyword(
    "real_server",
    "A server of the service, known by its address and port.",
)
.takes(ENDPOINT)
.block(&TABLE)
.each();

static TABLE: Table = Table {
    parts: &[SERVER, CHECK_DEFAULTS, CHECKERS],
};

const SERVER: &[Keyword] = &[
    keyword("weight", "Its share of new connections; 0: none.")
        .takes(&[must("WEIGHT", int(0, 2_147_483_647))])
        .default("the service's `weight`, or else 1"),
    keyword("lvs_method", "How packets get there.")
        .old(&[old("lb_kind", "write `lvs_method`: keepalived knows `lb_kind` in `virtual_server` only")])
        .takes(METHOD)
        .options(TUNNEL)
        .default("the service's")
        .differs(FULLNAT),
    keyword(
        "inhibit_on_failure",
        "When it fails, it gets weight 0 instead of being taken out: connections that it has go on.",
    )
    .takes(&[BOOL])
    .default("the service's"),
    keyword("notify_up", "Run when it comes up.").takes(&[SCRIPT]).first(),
    keyword("notify_down", "Run when it goes down.").takes(&[SCRIPT]).first(),
    keyword("uthreshold", "With more connections than this it gets no new ones; 0: no limit.")
        .takes(&[must("CONNECTIONS", int(0, 4_294_967_295))])
        .default("0"),
    keyword("lthreshold", "With fewer connections than this it gets new ones again; 0: three quarters of `uthreshold`.")
        .takes(&[must("CONNECTIONS", int(0, 4_294_967_295))])
        .default("0"),
    keyword("smtp_alert", "Mails when it goes down or comes up.")
        .takes(&[BOOL])
        .default("`smtp_alert_checker`, or else `smtp_alert` of `global_defs`, or else on"),
    keyword("virtualhost", "The host that HTTP and TLS checks ask for.")
        .takes(&[must("HOST", Kind::Text)])
        .default("the service's"),
    keyword("snmp_name", "Its name in SNMP.")
        .takes(&[NAME])
        .nothing("lvsd does not speak SNMP"),
];
