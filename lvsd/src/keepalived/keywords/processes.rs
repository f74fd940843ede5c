//! What `global_defs` says about keepalived's processes: priorities, memory, buffers.

use super::Keyword;
use super::words::{BOOL, int, keyword, must, old, some};

const BY_SERVICE: &str = "lvsd is one process; set this where it is started, as by systemd's `Nice=`, `CPUAffinity=` or `LimitMEMLOCK=`";

/// The five of one process.
macro_rules! process {
    ($name:literal) => {
        &[
            keyword(concat!($name, "_priority"), "The process's nice value.")
                .takes(&[must("PRIORITY", int(-20, 19))])
                .default("0")
                .nothing(BY_SERVICE),
            keyword(
                concat!($name, "_no_swap"),
                "The process's memory is never swapped out.",
            )
            .nothing(BY_SERVICE),
            keyword(
                concat!($name, "_rt_priority"),
                "The process's real-time priority.",
            )
            .takes(&[must("PRIORITY", int(0, 99))])
            .default("0, which is none")
            .nothing(BY_SERVICE),
            keyword(
                concat!($name, "_rlimit_rttime"),
                "How long it may run in one go at real-time priority, in microseconds.",
            )
            .takes(&[must("MICROSECONDS", int(1, i64::MAX))])
            .default("10000")
            .nothing(BY_SERVICE)
            .old(&[old(
                concat!($name, "_rlimit_rtime"),
                "the name has become one with two `t`: `…_rlimit_rttime`",
            )]),
            keyword(
                concat!($name, "_cpu_affinity"),
                "The processors it may run on.",
            )
            .takes(&[some("CPU", int(0, 65_535))])
            .nothing(BY_SERVICE),
        ]
    };
}

/// Of these lvsd has a thread of its own.
pub(super) const VRRP: &[Keyword] = &[
    keyword("vrrp_priority", "The nice value of the thread that speaks VRRP.")
        .takes(&[must("PRIORITY", int(-20, 19))])
        .default("-20")
        .differs("Without it the thread is put before those that forward packets; keepalived, which has none, leaves it at 0."),
    keyword("vrrp_no_swap", "The memory of the process is never swapped out.")
        .differs("It is that of the whole lvsd, and each page from when it is first used."),
    keyword("vrrp_rt_priority", "The real-time priority of the thread that speaks VRRP.")
        .takes(&[must("PRIORITY", int(0, 99))])
        .default("0, which is none"),
    keyword("vrrp_rlimit_rttime", "How long it may run in one go at real-time priority, in microseconds.")
        .takes(&[must("MICROSECONDS", int(1, i64::MAX))])
        .default("none")
        .nothing("the kernel would end the whole lvsd for it; the thread does a bounded part of its work at a time")
        .old(&[old(
            "vrrp_rlimit_rtime",
            "the name has become one with two `t`: `…_rlimit_rttime`",
        )]),
    keyword("vrrp_cpu_affinity", "The processors that the thread that speaks VRRP may run on.")
        .takes(&[some("CPU", int(0, 65_535))]),
];
pub(super) const CHECKER: &[Keyword] = process!("checker");
pub(super) const BFD: &[Keyword] = process!("bfd");

pub(super) const LIMITS: &[Keyword] = &[
    keyword(
        "max_auto_priority",
        "The real-time priority that may be taken when timers run late.",
    )
    .takes(&[super::words::may("PRIORITY", int(-1, 99))])
    .default("0, which is none")
    .nothing("lvsd counts how late checks are instead"),
    keyword(
        "min_auto_priority_delay",
        "How late timers may run before it is raised, in microseconds.",
    )
    .takes(&[must("MICROSECONDS", int(1, 10_000_000))])
    .default("1000000")
    .nothing("lvsd counts how late checks are instead"),
];

/// The two of one socket.
macro_rules! buffer {
    ($name:literal) => {
        [
            keyword($name, "The size of a netlink socket's receiving buffer.")
                .takes(&[must("BYTES", int(1, 2_147_483_647))])
                .default("the system's")
                .harmless(OWN_SIZE),
            keyword(
                concat!($name, "_force"),
                "It may be larger than the system's limit.",
            )
            .takes(&[BOOL])
            .default("off")
            .harmless(OWN_SIZE),
        ]
    };
}

const OWN_SIZE: &str = "lvsd's sockets are as large as they need to be";

pub(super) const BUFFERS: &[Keyword] = {
    const VRRP_CMD: [Keyword; 2] = buffer!("vrrp_netlink_cmd_rcv_bufs");
    const VRRP_MONITOR: [Keyword; 2] = buffer!("vrrp_netlink_monitor_rcv_bufs");
    const LVS_CMD: [Keyword; 2] = buffer!("lvs_netlink_cmd_rcv_bufs");
    const LVS_MONITOR: [Keyword; 2] = buffer!("lvs_netlink_monitor_rcv_bufs");
    const PROCESS: [Keyword; 2] = buffer!("process_monitor_rcv_bufs");
    &[
        VRRP_CMD[0],
        VRRP_CMD[1],
        VRRP_MONITOR[0],
        VRRP_MONITOR[1],
        LVS_CMD[0],
        LVS_CMD[1],
        LVS_MONITOR[0],
        LVS_MONITOR[1],
        PROCESS[0],
        PROCESS[1],
    ]
};
