//! Lines of `virtual_ipaddress`, `virtual_ipaddress_excluded` and `static_ipaddress`.

use super::words::{INTERFACE, NAME, form, int, keyword, must, opt};
use super::{Form, Keyword, Kind, Opt, Param};

const ADDRESS: &[Param] = &[must("ADDRESS", Kind::Prefix)];

/// How far something is valid.
pub(super) const SCOPE: Param = must(
    "SCOPE",
    Kind::Either(&[
        Kind::OneOf(&["global", "site", "link", "host", "nowhere"]),
        int(0, 255),
    ]),
);

const BROADCAST: Opt = opt(
    "brd",
    &[must(
        "ADDRESS",
        Kind::Either(&[Kind::Addr4, Kind::OneOf(&["+", "-"])]),
    )],
    "the broadcast address; `+`: host bits set; `-`: clear",
)
.also(&["broadcast"]);
const DEV: Opt = opt("dev", &[INTERFACE], "the interface");
const SCOPE_OPT: Opt = opt("scope", &[SCOPE], "how far it is valid (IPv4)");
const LABEL: Opt = opt(
    "label",
    &[must("LABEL", Kind::Word { max: 15 })],
    "its label (IPv4)",
);
const PEER: Opt = opt(
    "peer",
    &[must("ADDRESS", Kind::Prefix)],
    "the other end of a point-to-point link",
);
const HOME: Opt = opt("home", &[], "the home address of Mobile IPv6");
const NODAD: Opt = opt(
    "-nodad",
    &[],
    "duplicate address detection is done, which else is not",
);
const MNGTMPADDR: Opt = opt(
    "mngtmpaddr",
    &[],
    "temporary addresses are made from it (IPv6)",
);
const NOPREFIXROUTE: Opt = opt(
    "noprefixroute",
    &[],
    "the kernel makes no route to its network",
);
const AUTOJOIN: Opt = opt("autojoin", &[], "its multicast group is joined");
const PREFERRED: Opt = opt(
    "preferred_lft",
    &[must(
        "SECONDS",
        Kind::Either(&[Kind::OneOf(&["forever"]), int(0, 4_294_967_295)]),
    )],
    "how long it is preferred as a source; 0: never",
)
.also(&["preferred"]);
const NO_TRACK: Opt = opt(
    "no_track",
    &[],
    "if somebody else removes it, that does not matter",
);
const USE_VMAC: Opt = opt("use_vmac", &[], "put on a VMAC of that interface");

/// The group of a static item.
pub(super) const TRACK_GROUP: Opt = opt(
    "track_group",
    &[NAME],
    "instances that are in fault while it is gone",
);

/// Virtual addresses.
pub(super) const VIRTUAL: &[Form] = &[form(ADDRESS).options(&[
    BROADCAST,
    DEV,
    SCOPE_OPT,
    LABEL,
    PEER,
    HOME,
    NODAD,
    MNGTMPADDR,
    NOPREFIXROUTE,
    AUTOJOIN,
    PREFERRED,
    NO_TRACK,
    USE_VMAC,
])];

const STATIC: &[Form] = &[form(ADDRESS).options(&[
    BROADCAST,
    DEV,
    SCOPE_OPT,
    LABEL,
    PEER,
    HOME,
    NODAD,
    MNGTMPADDR,
    NOPREFIXROUTE,
    AUTOJOIN,
    PREFERRED,
    NO_TRACK,
    TRACK_GROUP,
])];

pub(super) const STATIC_IPADDRESS: Keyword = keyword(
    "static_ipaddress",
    "Addresses that are put on interfaces when the daemon starts and removed when it ends.",
)
.lines(STATIC);
