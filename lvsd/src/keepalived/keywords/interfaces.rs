//! Root keywords about interfaces: link beat, delays, announcements, groups of things that are watched.

use super::words::{FOREVER, INTERFACE, NAME, SECOND, form, keyword, may, must, time};
use super::{Keyword, Kind, Table};

const NETLINK: &str = "the kernel tells of all links at once";

pub(super) const INTERFACES: &[Keyword] = &[
    keyword("linkbeat_use_polling", "Links are polled instead of being followed over netlink.").harmless(NETLINK),
    keyword("linkbeat_interfaces", "Interfaces whose links are polled, and how.")
        .lines(&[form(&[
            INTERFACE,
            may("HOW", Kind::AnyCase(&["MII", "ETHTOOL", "IOCTL"])),
        ])])
        .harmless(NETLINK),
    keyword(
        "interface_up_down_delays",
        "How long an interface must be down, and up, before that counts.",
    )
    .lines(&[form(&[
        INTERFACE,
        must("DOWN", time(0, 255 * SECOND)),
        may("UP", time(0, 255 * SECOND)),
    ])]),
    keyword("track_group", "Instances that are in fault while a static address, route or rule that names the group is gone.")
        .takes(&[NAME])
        .block(&TRACK_GROUP)
        .each(),
    keyword("garp_group", "Interfaces that share the spacing of announcements.")
        .block(&GARP_GROUP)
        .each(),
];

static TRACK_GROUP: Table = Table {
    parts: &[&[keyword("group", "The instances.").list(form(&[NAME]))]],
};

static GARP_GROUP: Table = Table {
    parts: &[&[
        keyword(
            "garp_interval",
            "The least time between two gratuitous ARPs.",
        )
        .takes(&[must("SECONDS", time(1, FOREVER))]),
        keyword(
            "gna_interval",
            "The least time between two neighbour advertisements.",
        )
        .takes(&[must("SECONDS", time(1, FOREVER))]),
        keyword("interface", "The one interface, if there is no group.").takes(&[INTERFACE]),
        keyword("interfaces", "The interfaces.").list(form(&[INTERFACE])),
    ]],
};
