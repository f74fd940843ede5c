//! Lines of `virtual_routes` and `static_routes`: iproute2's words.

use super::addresses::{SCOPE, TRACK_GROUP};
use super::words::{INTERFACE, form, int, keyword, may, must, opt};
use super::{Form, Keyword, Kind, Opt, Param};

const ANY: &[&str] = &["default", "any", "all"];

/// A network, or everything.
pub(super) const NETWORK: Kind = Kind::Either(&[Kind::Prefix, Kind::OneOf(ANY)]);

/// A number that iproute2's files may give a name.
pub(super) const NAMED: &[Param] = &[must("NUMBER|NAME", Kind::Text)];

const UINT: Kind = int(0, 4_294_967_295);

/// A number before which `lock` may stand.
const LOCKABLE: &[Param] = &[may("LOCK", Kind::OneOf(&["lock"])), must("NUMBER", UINT)];

/// A time before which `lock` may stand, with a unit or without.
const LOCKABLE_TIME: &[Param] = &[
    may("LOCK", Kind::OneOf(&["lock"])),
    must("TIME", Kind::Text),
];

const WORDS: &[Param] = &[
    may(
        "TYPE",
        Kind::OneOf(&[
            "unicast",
            "local",
            "broadcast",
            "multicast",
            "throw",
            "unreachable",
            "prohibit",
            "blackhole",
            "nat",
            "anycast",
        ]),
    ),
    may("NETWORK", NETWORK),
];

macro_rules! options {
    ($($more:expr),*) => {
        &[
            opt("to", &[must("NETWORK", NETWORK)], "where packets are bound for"),
            opt("via", &[may("FAMILY", Kind::OneOf(&["inet", "inet6"])), must("ADDRESS", Kind::Addr)], "the next hop").also(&["gw"]),
            opt("or", &[must("ADDRESS", Kind::Addr)], "a second next hop (deprecated: write `nexthop`)"),
            opt("dev", &[INTERFACE], "the interface").also(&["oif"]),
            opt("src", &[must("ADDRESS", Kind::Addr)], "the source of what the host sends itself"),
            opt("from", &[must("NETWORK", NETWORK)], "only for packets from there (IPv6)"),
            opt("tos", NAMED, "only for packets with this type of service").also(&["dsfield"]),
            opt("table", NAMED, "the table"),
            opt("protocol", NAMED, "who made it; any other than keepalived's is not watched").also(&["proto"]),
            opt("scope", &[SCOPE], "how far the destination is"),
            opt("metric", &[must("NUMBER", UINT)], "the lower, the better").also(&["priority", "preference"]),
            opt("onlink", &[], "the next hop is taken to be on the link"),
            opt("encap", &[must("KIND", Kind::OneOf(&["ip", "ip6", "mpls", "ila"])), may("LABELS", Kind::Labels)], "what is put around packets"),
            opt("id", &[must("NUMBER", Kind::Text)], "the tunnel's number, behind `encap`"),
            opt("dst", &[must("ADDRESS", Kind::Addr)], "the tunnel's end, behind `encap`"),
            opt("tc", &[must("NUMBER", UINT)], "the traffic class, behind `encap`"),
            opt("ttl", &[must("NUMBER", int(0, 255))], "the TTL, behind `encap`"),
            opt("flags", &[must("NUMBER", Kind::Text)], "the tunnel's flags, behind `encap`"),
            opt("expires", &[must("SECONDS", UINT)], "the kernel removes it after that (IPv6)"),
            opt("mtu", LOCKABLE, "the path's MTU"),
            opt("hoplimit", &[must("NUMBER", int(0, 255))], "the hop limit"),
            opt("advmss", LOCKABLE, "the MSS that is announced"),
            opt("rtt", LOCKABLE_TIME, "the first guess at the round trip time"),
            opt("rttvar", LOCKABLE_TIME, "the first guess at its variance"),
            opt("reordering", LOCKABLE, "how far packets may be out of order"),
            opt("window", &[must("NUMBER", UINT)], "the largest window"),
            opt("cwnd", LOCKABLE, "the congestion window"),
            opt("ssthresh", LOCKABLE, "the slow start threshold"),
            opt("realms", NAMED, "realms (IPv4)"),
            opt("rto_min", LOCKABLE_TIME, "the least retransmission timeout"),
            opt("initcwnd", &[must("NUMBER", UINT)], "the first congestion window"),
            opt("initrwnd", &[must("NUMBER", UINT)], "the first receive window"),
            opt("features", &[must("FEATURE", Kind::OneOf(&["ecn"]))], "features"),
            opt("quickack", &[must("NUMBER", int(0, 1))], "quick acknowledgements"),
            opt("congctl", &[may("LOCK", Kind::OneOf(&["lock"])), must("NAME", Kind::Text)], "the congestion control"),
            opt("pref", &[must("PREFERENCE", Kind::OneOf(&["low", "medium", "high"]))], "the preference among routers (IPv6)"),
            opt("ttl-propagate", &[must("STATE", Kind::OneOf(&["enabled", "disabled"]))], "whether MPLS copies the TTL"),
            opt("fastopen_no_cookie", &[must("NUMBER", int(0, 1))], "TCP fast open without cookies"),
            opt("vrf", &[INTERFACE], "the VRF"),
            opt("add", &[], "only if there is none"),
            opt("append", &[], "behind its equals"),
            opt("prepend", &[], "before its equals, which is the default"),
            opt("inet", &[], "a route of IPv4"),
            opt("inet6", &[], "a route of IPv6"),
            opt("nexthop", &[], "one of several next hops: `via`, `dev`, `weight`, `onlink`, `realms` and `encap` behind it are its own"),
            opt("weight", &[must("NUMBER", int(1, 256))], "its share, behind `nexthop`"),
            opt("no_track", &[], "if somebody else removes it, that does not matter"),
            $($more),*
        ]
    };
}

const ROUTE: &[Opt] = options!();
const STATIC_ROUTE: &[Opt] = options!(TRACK_GROUP);

/// Virtual routes.
pub(super) const VIRTUAL: &[Form] = &[form(WORDS).options(ROUTE)];

pub(super) const STATIC_ROUTES: Keyword = keyword(
    "static_routes",
    "Routes that are made when the daemon starts and removed when it ends.",
)
.lines(&[form(WORDS).options(STATIC_ROUTE)]);
