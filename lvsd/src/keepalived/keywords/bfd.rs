//! `bfd_instance`.

use super::words::{FOREVER, int, keyword, may, must, weight};
use super::{Keyword, Kind, Table};

pub(super) const BFD_INSTANCE: Keyword = keyword(
    "bfd_instance",
    "A BFD session (RFC 5880), for BFD_CHECK and for instances to track.",
)
.takes(&[must("NAME", Kind::Word { max: 31 })])
.block(&TABLE)
.each()
.later("BFD");

static TABLE: Table = Table {
    parts: &[&[
        keyword("neighbor_ip", "The other end.")
            .also(&["neighbour_ip"])
            .takes(&[must("ADDRESS", Kind::Addr)])
            .default("needed"),
        keyword("source_ip", "Our end.").takes(&[must("ADDRESS", Kind::Addr)]),
        keyword(
            "min_rx",
            "The shortest interval at which we can take packets.",
        )
        .takes(&[must(
            "MILLISECONDS",
            Kind::Millis {
                min: 1_000,
                max: FOREVER,
            },
        )])
        .default("10"),
        keyword(
            "min_tx",
            "The shortest interval at which we want to send them.",
        )
        .takes(&[must(
            "MILLISECONDS",
            Kind::Millis {
                min: 1_000,
                max: FOREVER,
            },
        )])
        .default("10"),
        keyword("idle_tx", "How often we send while the session is down.")
            .takes(&[must(
                "MILLISECONDS",
                Kind::Millis {
                    min: 1_000_000,
                    max: FOREVER,
                },
            )])
            .default("1000"),
        keyword(
            "multiplier",
            "How many packets may be missing before the session is down.",
        )
        .takes(&[must("NUMBER", int(1, 255))])
        .default("5"),
        keyword("passive", "We wait for the other end to begin."),
        keyword(
            "multihop",
            "The other end is behind routers; packets then go to port 4784.",
        )
        .takes(&[may("BOOL", Kind::Bool)])
        .default("off"),
        keyword("ttl", "The TTL or hop limit of what we send.")
            .also(&["hoplimit"])
            .takes(&[must("TTL", int(1, 255))])
            .default("255; with multihop 64"),
        keyword(
            "max_hops",
            "How many routers may be in between; -1: any number.",
        )
        .takes(&[must("NUMBER", int(-1, 255))])
        .default("0"),
        keyword(
            "weight",
            "What it does to the priority, as with `vrrp_script`.",
        )
        .takes(&weight(-253, 253))
        .default("0"),
        keyword("vrrp", "Only VRRP may track it.").default("both may"),
        keyword("checker", "Only BFD_CHECK may use it.").default("both may"),
    ]],
};
