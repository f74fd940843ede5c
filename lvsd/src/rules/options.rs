//! The grammar of ipvsadm: all its commands and options, and the few of ours. Rule files and single commands are read
//! by it, each in its own manner.

use std::time::Duration;

use lvs_core::dest::Method;
use lvs_core::{Protocol, ServiceTimeouts};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `-A`
    AddService,
    /// `-E`
    EditService,
    /// `-D`
    DeleteService,
    /// `-C`
    Flush,
    /// `-a`
    AddServer,
    /// `-e`
    EditServer,
    /// `-d`
    DeleteServer,
    /// `-Z`
    Zero,
    /// `--set`
    Set,
    /// `--mark`: ours, gives packets a firewall mark.
    Mark,
    /// `--unmark`: ours, takes such a rule away.
    Unmark,
    /// `--clear-marks`: ours, takes all away.
    ClearMarks,
    /// `-L`
    List,
    /// `-S`
    Save,
    /// `-R`
    Restore,
    /// `--start-daemon`
    StartDaemon,
    /// `--stop-daemon`
    StopDaemon,
    /// `-h`
    Help,
    /// `-v`
    Version,
}

/// How a command is written.
#[derive(Debug)]
pub(super) struct Spelling {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) verb: Verb,
}

/// An option.
#[derive(Debug)]
pub(super) struct Opt {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) takes: Takes,
    /// Its name in ipvsadm's messages, which several options can share.
    pub(super) name: &'static str,
    /// The commands it goes with.
    pub(super) verbs: &'static [Verb],
    pub(super) meaning: Meaning,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    /// A value unless the next word begins with a dash.
    ValueOrNot,
}

/// What an option says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A service by protocol, address and port.
    Service(Protocol),
    /// A service by firewall mark.
    MarkService,
    /// That the service's mark is one of IPv6 packets.
    Ipv6,
    /// The name of a scheduler.
    Scheduler,
    /// Flags of the scheduler.
    SchedulerFlags,
    /// Persistence, perhaps with its timeout.
    Persistent,
    /// Which part of a client's address counts for persistence.
    Netmask,
    /// A persistence engine.
    Engine,
    /// One-packet scheduling.
    OnePacket,
    /// Local addresses for FullNAT.
    LocalAddress,
    /// A timeout of the service's connections.
    Timeout(Timeout),
    /// The address of a real server.
    RealServer,
    /// A forwarding method.
    Method(Method),
    /// A weight.
    Weight,
    /// The threshold at which a server is overloaded.
    Upper,
    /// The threshold below which it is not any more.
    Lower,
    /// The kind of a tunnel.
    TunnelType,
    /// Its UDP port.
    TunnelPort,
    /// How it uses checksums.
    TunnelChecksum(Checksum),
    /// Something that tells the packets which get a mark.
    Match(Criterion),
    /// Something about the sync daemon.
    Sync(SyncOption),
    /// Something of use only in listings.
    Elsewhere,
}

/// What is said about the sync daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncOption {
    Id,
    MaxLen,
    Interface,
    Group,
    Port,
    Ttl,
}

/// Which connections a timeout is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    Tcp,
    TcpFin,
    Udp,
}

impl Timeout {
    /// The protocol of these connections.
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Tcp | Self::TcpFin => Protocol::TCP,
            Self::Udp => Protocol::UDP,
        }
    }

    /// Sets this one of a service's timeouts.
    pub(super) fn set(self, timeouts: &mut ServiceTimeouts, seconds: u32) {
        let place = match self {
            Self::Tcp => &mut timeouts.tcp,
            Self::TcpFin => &mut timeouts.tcp_fin,
            Self::Udp => &mut timeouts.udp,
        };
        *place = Some(Duration::from_secs(seconds.into()));
    }
}

/// How a tunnel uses its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    None,
    Full,
    Remote,
}

/// By what packets are told that get a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criterion {
    Source,
    Destination,
    Protocol,
    SourcePort,
    DestinationPort,
    Interface,
}

impl Verb {
    /// The command as ipvsadm's messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flush => "flush",
            _ => VERBS.iter().find(|s| s.verb == self).map_or("", |s| s.long),
        }
    }

    /// Whether the command itself has a value.
    pub(super) fn takes(self) -> Takes {
        match self {
            Self::Mark | Self::Unmark | Self::StartDaemon | Self::StopDaemon => Takes::Value,
            _ => Takes::Nothing,
        }
    }

    /// The command as it is mostly written.
    pub(super) fn usual(self) -> String {
        let spelling = VERBS.iter().find(|s| s.verb == self);
        match spelling.map(|s| (s.short, s.long)) {
            Some((Some(short), _)) => format!("-{short}"),
            Some((None, long)) => format!("--{long}"),
            None => String::new(),
        }
    }
}

const fn verb(short: char, long: &'static str, verb: Verb) -> Spelling {
    Spelling {
        short: Some(short),
        long,
        verb,
    }
}

const fn long_verb(long: &'static str, verb: Verb) -> Spelling {
    Spelling {
        short: None,
        long,
        verb,
    }
}

/// All commands.
pub(super) const VERBS: &[Spelling] = &[
    verb('A', "add-service", Verb::AddService),
    verb('E', "edit-service", Verb::EditService),
    verb('D', "delete-service", Verb::DeleteService),
    verb('C', "clear", Verb::Flush),
    verb('a', "add-server", Verb::AddServer),
    verb('e', "edit-server", Verb::EditServer),
    verb('d', "delete-server", Verb::DeleteServer),
    verb('Z', "zero", Verb::Zero),
    long_verb("set", Verb::Set),
    long_verb("mark", Verb::Mark),
    long_verb("unmark", Verb::Unmark),
    long_verb("clear-marks", Verb::ClearMarks),
    verb('L', "list", Verb::List),
    verb('l', "list", Verb::List),
    verb('S', "save", Verb::Save),
    verb('R', "restore", Verb::Restore),
    long_verb("start-daemon", Verb::StartDaemon),
    long_verb("stop-daemon", Verb::StopDaemon),
    verb('h', "help", Verb::Help),
    verb('v', "version", Verb::Version),
];

/// The commands of ipvsadm that need a service.
pub(super) const NEED_SERVICE: &[Verb] = {
    use Verb::{AddServer, AddService, DeleteServer, DeleteService, EditServer, EditService};
    &[
        AddService,
        EditService,
        DeleteService,
        AddServer,
        EditServer,
        DeleteServer,
    ]
};

/// Those that need a real server.
pub(super) const NEED_SERVER: &[Verb] = {
    use Verb::{AddServer, DeleteServer, EditServer};
    &[AddServer, EditServer, DeleteServer]
};

/// What a listing can be of: one of these at most.
pub(super) const LISTED: [&str; 5] = [
    "connection",
    "service-address",
    "timeout",
    "daemon",
    "marks",
];

/// ipvsadm's names of options, in the order in which it checks them, and then ours.
pub(super) const CHECKED: [&str; 47] = [
    "numeric",
    "connection",
    "service-address",
    "scheduler",
    "persistent",
    "netmask",
    "real-server",
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "mcast-interface",
    "timeout",
    "daemon",
    "stats",
    "rate",
    "thresholds",
    "persistent-conn",
    "nosort",
    "syncid",
    "exact",
    "ops",
    "pe",
    "sched-flags",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "sync-maxlen",
    "tun-info",
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
    LOCAL_ADDRESS,
    "tcp-timeout",
    "tcpfin-timeout",
    "udp-timeout",
    "json",
    "marks",
    "compat",
    "source",
    "destination",
    "protocol",
    "source-port",
    "destination-port",
    "interface",
];

const LOCAL_ADDRESS: &str = "local-address";

const fn opt(
    (short, long): (char, &'static str),
    name: &'static str,
    takes: Takes,
    verbs: &'static [Verb],
    meaning: Meaning,
) -> Opt {
    Opt {
        short: Some(short),
        long,
        takes,
        name,
        verbs,
        meaning,
    }
}

const fn long(
    long: &'static str,
    name: &'static str,
    takes: Takes,
    verbs: &'static [Verb],
    meaning: Meaning,
) -> Opt {
    Opt {
        short: None,
        long,
        takes,
        name,
        verbs,
        meaning,
    }
}

/// All options.
#[rustfmt::skip]
pub(super) const OPTIONS: &[Opt] = {
    use Meaning::{
        Elsewhere, Engine, Ipv6, LocalAddress, Lower, MarkService, Match, Netmask, OnePacket, Persistent, RealServer,
        Scheduler, SchedulerFlags, Service, Sync, TunnelChecksum, TunnelPort, TunnelType, Upper, Weight,
    };
    use Takes::{Nothing, Value, ValueOrNot};
    use Verb::{
        AddServer, AddService, DeleteServer, DeleteService, EditServer, EditService, List, Mark, Restore, Save,
        StartDaemon, StopDaemon, Unmark, Zero,
    };
    /// Whatever names a service.
    const SERVICE: &[Verb] = &[
        AddService, EditService, DeleteService, AddServer, EditServer, DeleteServer, Zero, List,
    ];
    const A: &[Verb] = &[AddService, EditService];
    const R: &[Verb] = NEED_SERVER;
    const S: &[Verb] = &[AddServer, EditServer];
    const L: &[Verb] = &[List];
    const M: &[Verb] = &[Mark, Unmark];
    const D: &[Verb] = &[StartDaemon];
    &[
        opt(('t', "tcp-service"), "service-address", Value, SERVICE, Service(Protocol::TCP)),
        opt(('u', "udp-service"), "service-address", Value, SERVICE, Service(Protocol::UDP)),
        long("sctp-service", "service-address", Value, SERVICE, Service(Protocol::SCTP)),
        opt(('f', "fwmark-service"), "service-address", Value, SERVICE, MarkService),
        opt(('6', "ipv6"), "ipv6", Nothing, SERVICE, Ipv6),

        opt(('s', "scheduler"), "scheduler", Value, A, Scheduler),
        opt(('b', "sched-flags"), "sched-flags", Value, A, SchedulerFlags),
        opt(('p', "persistent"), "persistent", ValueOrNot, A, Persistent),
        opt(('M', "netmask"), "netmask", Value, A, Netmask),
        long("pe", "pe", Value, A, Engine),
        opt(('o', "ops"), "ops", Nothing, A, OnePacket),
        long(LOCAL_ADDRESS, LOCAL_ADDRESS, Value, A, LocalAddress),
        long("tcp-timeout", "tcp-timeout", Value, A, Meaning::Timeout(Timeout::Tcp)),
        long("tcpfin-timeout", "tcpfin-timeout", Value, A, Meaning::Timeout(Timeout::TcpFin)),
        long("udp-timeout", "udp-timeout", Value, A, Meaning::Timeout(Timeout::Udp)),

        opt(('r', "real-server"), "real-server", Value, R, RealServer),
        opt(('g', "gatewaying"), "forwarding-method", Nothing, S, Meaning::Method(Method::DirectRoute)),
        opt(('i', "ipip"), "forwarding-method", Nothing, S, Meaning::Method(Method::Tunnel)),
        opt(('m', "masquerading"), "forwarding-method", Nothing, S, Meaning::Method(Method::Nat)),
        long("fullnat", "forwarding-method", Nothing, S, Meaning::Method(Method::FullNat)),
        opt(('w', "weight"), "weight", Value, S, Weight),
        opt(('x', "u-threshold"), "u-threshold", Value, S, Upper),
        opt(('y', "l-threshold"), "l-threshold", Value, S, Lower),
        long("tun-type", "tun-type", Value, S, TunnelType),
        long("tun-port", "tun-port", Value, S, TunnelPort),
        long("tun-nocsum", "tun-nocsum", Nothing, S, TunnelChecksum(Checksum::None)),
        long("tun-csum", "tun-csum", Nothing, S, TunnelChecksum(Checksum::Full)),
        long("tun-remcsum", "tun-remcsum", Nothing, S, TunnelChecksum(Checksum::Remote)),

        long("source", "source", Value, M, Match(Criterion::Source)),
        long("destination", "destination", Value, M, Match(Criterion::Destination)),
        long("protocol", "protocol", Value, M, Match(Criterion::Protocol)),
        long("source-port", "source-port", Value, M, Match(Criterion::SourcePort)),
        long("destination-port", "destination-port", Value, M, Match(Criterion::DestinationPort)),
        long("interface", "interface", Value, M, Match(Criterion::Interface)),

        opt(('n', "numeric"), "numeric", Nothing, &[List, Save], Elsewhere),
        opt(('c', "connection"), "connection", Nothing, L, Elsewhere),
        long("timeout", "timeout", Nothing, L, Elsewhere),
        long("daemon", "daemon", Nothing, L, Elsewhere),
        long("stats", "stats", Nothing, L, Elsewhere),
        long("rate", "rate", Nothing, L, Elsewhere),
        opt(('X', "exact"), "exact", Nothing, L, Elsewhere),
        long("thresholds", "thresholds", Nothing, L, Elsewhere),
        long("persistent-conn", "persistent-conn", Nothing, L, Elsewhere),
        long("tun-info", "tun-info", Nothing, L, Elsewhere),
        long("nosort", "nosort", Nothing, L, Elsewhere),
        long("sort", "sort", Nothing, L, Elsewhere),
        long("marks", "marks", Nothing, L, Elsewhere),
        long("json", "json", Nothing, L, Elsewhere),
        long("compat", "compat", Nothing, &[Restore], Elsewhere),
        long("syncid", "syncid", Value, &[List, StartDaemon, StopDaemon], Sync(SyncOption::Id)),
        long("sync-maxlen", "sync-maxlen", Value, D, Sync(SyncOption::MaxLen)),
        long("mcast-interface", "mcast-interface", Value, D, Sync(SyncOption::Interface)),
        long("mcast-group", "mcast-group", Value, D, Sync(SyncOption::Group)),
        long("mcast-port", "mcast-port", Value, D, Sync(SyncOption::Port)),
        long("mcast-ttl", "mcast-ttl", Value, D, Sync(SyncOption::Ttl)),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_options_have_the_same_name() {
        for (i, one) in OPTIONS.iter().enumerate() {
            for other in &OPTIONS[i + 1..] {
                assert_ne!(one.long, other.long);
                assert!(one.short.is_none() || one.short != other.short, "{one:?}");
            }
            assert!(VERBS.iter().all(|v| v.long != one.long));
            let is_other = |v: &Spelling| v.short.is_none() || v.short != one.short;
            assert!(VERBS.iter().all(is_other));
        }
    }

    #[test]
    fn every_option_is_checked_but_two() {
        for one in OPTIONS {
            let is_free = ["ipv6", "sort"].contains(&one.name);
            assert_eq!(CHECKED.contains(&one.name), !is_free, "{one:?}");
        }
    }
}
