//! The file as a whole.

use super::addresses::STATIC_IPADDRESS;
use super::bfd::BFD_INSTANCE;
use super::global::GLOBAL_DEFS;
use super::http::SSL;
use super::interfaces::INTERFACES;
use super::routes::STATIC_ROUTES;
use super::rules::STATIC_RULES;
use super::sync_group::VRRP_SYNC_GROUP;
use super::track::OBJECTS;
use super::virtual_server::{VIRTUAL_SERVER, VIRTUAL_SERVER_GROUP};
use super::vrrp_instance::VRRP_INSTANCE;
use super::words::{NAME, int, keyword, may, must};
use super::{Keyword, Kind, Param, Table};

/// The file as if it were a block.
pub static WHOLE: Keyword = keyword("keepalived.conf", "The whole configuration.").block(&ROOT);

/// The keywords that stand in no block.
pub static ROOT: Table = Table {
    parts: &[BLOCKS, INTERFACES, OBJECTS, PROCESS, INCLUDE],
};

const BLOCKS: &[Keyword] = &[
    GLOBAL_DEFS,
    VIRTUAL_SERVER_GROUP,
    VIRTUAL_SERVER,
    SSL,
    VRRP_INSTANCE,
    VRRP_SYNC_GROUP,
    STATIC_IPADDRESS,
    STATIC_ROUTES,
    STATIC_RULES,
    BFD_INSTANCE,
];

const PROCESS: &[Keyword] = &[
    keyword("net_namespace", "Run in this network namespace.")
        .takes(&[NAME])
        .nothing(NAMESPACE),
    keyword(
        "net_namespace_ipvs",
        "Do IPVS's work in this network namespace.",
    )
    .takes(&[may("NAME", Kind::Text)])
    .nothing(NAMESPACE),
    keyword(
        "namespace_with_ipsets",
        "Use sets of addresses in a namespace with kernels before 3.13.",
    )
    .harmless("lvsd uses no such sets"),
    keyword(
        "instance",
        "A name that is put into the names of pid files.",
    )
    .takes(&[NAME])
    .harmless(NO_PID_FILES),
    keyword("use_pid_dir", "Pid files are in a folder of their own.").harmless(NO_PID_FILES),
    keyword(
        "child_wait_time",
        "How long child processes may take to end.",
    )
    .takes(&[must("SECONDS", int(0, 4_294_967))])
    .default("5")
    .harmless("lvsd is one process"),
];

const NAMESPACE: &str = "start lvsd in the namespace, with `ip netns exec NAME lvsd run …`";
const NO_PID_FILES: &str = "lvsd writes no pid files";

/// `include` and what differs in strictness only. They are carried out while the file is read, and may stand in any block.
const INCLUDE: &[Keyword] = &[
    include(
        "include",
        "The files that fit the pattern are read here. It may stand anywhere, and nothing found is only logged.",
    ),
    include(
        "includer",
        "Like `include`, but a file that is found must be readable.",
    ),
    include(
        "includem",
        "Like `includer`, and a name without wildcards must be found.",
    ),
    include(
        "includew",
        "Like `includem`, and a pattern with wildcards must find something.",
    ),
    include(
        "includeb",
        "Like `includer`, and each alternative in braces must find something.",
    ),
    include("includea", "All of these."),
];

const PATTERN: &[Param] = &[must("PATTERN", Kind::Text)];

const fn include(name: &'static str, about: &'static str) -> Keyword {
    keyword(name, about).takes(PATTERN).each()
}
