//! Lines of `virtual_rules` and `static_rules`: iproute2's words.

use super::addresses::TRACK_GROUP;
use super::routes::{NAMED, NETWORK};
use super::words::{INTERFACE, form, int, keyword, must, opt};
use super::{Form, Keyword, Kind, Opt};

const PORTS: Kind = Kind::Range {
    min: 0,
    max: 65_535,
};

macro_rules! options {
    ($($more:expr),*) => {
        &[
            opt("from", &[must("NETWORK", NETWORK)], "packets from there"),
            opt("to", &[must("NETWORK", NETWORK)], "packets to there"),
            opt("table", NAMED, "look into this table").also(&["lookup"]),
            opt("goto", &[must("PREFERENCE", int(0, 4_294_967_295))], "go on with this rule"),
            opt("nop", &[], "do nothing"),
            opt("blackhole", &[], "drop in silence"),
            opt("prohibit", &[], "drop, and say that it is forbidden"),
            opt("unreachable", &[], "drop, and say that there is no such host"),
            opt("l3mdev", &[], "look into the table of the interface's master"),
            opt("type", &[must("TYPE", Kind::OneOf(&["unicast", "blackhole", "prohibit", "unreachable", "nop"]))], "what is done"),
            opt("preference", &[must("NUMBER", int(0, 4_294_967_295))], "its place among rules").also(&["order", "priority", "pref"]),
            opt("tos", NAMED, "packets with this type of service").also(&["dsfield"]),
            opt("fwmark", &[must("MARK", Kind::Masked)], "packets with this mark"),
            opt("iif", &[INTERFACE], "packets that came in there").also(&["dev"]),
            opt("oif", &[INTERFACE], "packets of sockets bound to it"),
            opt("realms", NAMED, "realms"),
            opt("suppress_prefixlength", &[must("LENGTH", int(0, 128))], "routes with so short a prefix do not count").also(&["sup_pl"]),
            opt("suppress_ifgroup", NAMED, "routes by interfaces of this group do not count").also(&["sup_group"]),
            opt("tunnel-id", &[must("NUMBER", Kind::Text)], "packets of this tunnel"),
            opt("uidrange", &[must("USERS", Kind::Range { min: 0, max: 4_294_967_295 })], "packets of these users"),
            opt("protocol", NAMED, "who made the rule"),
            opt("ipproto", NAMED, "packets of this protocol"),
            opt("sport", &[must("PORTS", PORTS)], "packets from these ports"),
            opt("dport", &[must("PORTS", PORTS)], "packets to these ports"),
            opt("inet", &[], "a rule of IPv4"),
            opt("inet6", &[], "a rule of IPv6"),
            opt("no_track", &[], "if somebody else removes it, that does not matter"),
            $($more),*
        ]
    };
}

const RULE: &[Opt] = options!();
const STATIC_RULE: &[Opt] = options!(TRACK_GROUP);

/// Virtual rules.
pub(super) const VIRTUAL: &[Form] = &[form(&[]).options(RULE)];

pub(super) const STATIC_RULES: Keyword = keyword(
    "static_rules",
    "Rules of routing that are made when the daemon starts and removed when it ends.",
)
.lines(&[form(&[]).options(STATIC_RULE)]);
