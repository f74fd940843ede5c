//! The commands and options of ipvsadm, all of them: so that what a rule file can't have yet is told from
//! what nobody knows.

use lvs_core::Protocol;
use lvs_core::dest::Method;

/// A command of ipvsadm.
#[derive(Debug)]
pub(super) struct Verb {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) what: What,
}

/// What becomes of a command in a rule file.
#[derive(Debug)]
pub(super) enum What {
    Do(Command),
    Later,
    Never,
}

/// A command that may stand in a rule file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `-A`
    AddService,
    /// `-a`
    AddServer,
}

/// An option of ipvsadm, or of ours.
#[derive(Debug)]
pub(super) struct Opt {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) takes: Takes,
    pub(super) commands: &'static [Command],
    pub(super) meaning: Meaning,
}

/// Whether an option has a value.
#[derive(Debug)]
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
    /// The name of a scheduler.
    Scheduler,
    /// Local addresses for FullNAT.
    LocalAddress,
    /// The address of a real server.
    RealServer,
    /// A forwarding method.
    Method(Method),
    /// A weight.
    Weight,
    /// The kind of a tunnel.
    TunnelType,
    /// A service by something else; not supported yet.
    LaterService(&'static str),
    /// Something that is not supported yet.
    Later(&'static str),
    /// Something of no use in a rule file.
    Elsewhere,
}

const fn verb(short: char, long: &'static str, what: What) -> Verb {
    Verb {
        short: Some(short),
        long,
        what,
    }
}

const fn long_verb(long: &'static str, what: What) -> Verb {
    Verb {
        short: None,
        long,
        what,
    }
}

/// All of ipvsadm's commands.
pub(super) const VERBS: &[Verb] = &[
    verb('A', "add-service", What::Do(Command::AddService)),
    verb('a', "add-server", What::Do(Command::AddServer)),
    verb('E', "edit-service", What::Later),
    verb('e', "edit-server", What::Later),
    verb('D', "delete-service", What::Later),
    verb('d', "delete-server", What::Later),
    verb('C', "clear", What::Later),
    verb('Z', "zero", What::Later),
    long_verb("set", What::Later),
    long_verb("start-daemon", What::Later),
    long_verb("stop-daemon", What::Later),
    verb('L', "list", What::Never),
    verb('l', "list", What::Never),
    verb('S', "save", What::Never),
    verb('R', "restore", What::Never),
    verb('h', "help", What::Never),
    verb('v', "version", What::Never),
];

const A: &[Command] = &[Command::AddService];
const S: &[Command] = &[Command::AddServer];
const BOTH: &[Command] = &[Command::AddService, Command::AddServer];
const NEITHER: &[Command] = &[];

const fn opt(
    short: char,
    long: &'static str,
    takes: Takes,
    commands: &'static [Command],
    meaning: Meaning,
) -> Opt {
    Opt {
        short: Some(short),
        long,
        takes,
        commands,
        meaning,
    }
}

const fn long(
    long: &'static str,
    takes: Takes,
    commands: &'static [Command],
    meaning: Meaning,
) -> Opt {
    Opt {
        short: None,
        long,
        takes,
        commands,
        meaning,
    }
}

/// All of ipvsadm's options, and the two of ours.
#[rustfmt::skip]
pub(super) const OPTIONS: &[Opt] = {
    use Meaning::{Elsewhere, Later, LaterService, LocalAddress, RealServer, Scheduler, Service, TunnelType, Weight};
    use Takes::{Nothing, Value, ValueOrNot};
    &[
        opt('t', "tcp-service", Value, BOTH, Service(Protocol::TCP)),
        opt('u', "udp-service", Value, BOTH, Service(Protocol::UDP)),
        long("sctp-service", Value, BOTH, LaterService("SCTP")),
        opt('f', "fwmark-service", Value, BOTH, LaterService("firewall marks")),
        opt('6', "ipv6", Nothing, BOTH, Later("IPv6 by firewall mark")),

        opt('s', "scheduler", Value, A, Scheduler),
        long("local-address", Value, A, LocalAddress),
        opt('p', "persistent", ValueOrNot, A, Later("persistence")),
        opt('M', "netmask", Value, A, Later("persistence")),
        long("pe", Value, A, Later("persistence engines")),
        opt('o', "ops", Nothing, A, Later("one-packet scheduling")),
        opt('b', "sched-flags", Value, A, Later("scheduler flags")),

        opt('r', "real-server", Value, S, RealServer),
        opt('g', "gatewaying", Nothing, S, Meaning::Method(Method::DirectRoute)),
        opt('i', "ipip", Nothing, S, Meaning::Method(Method::Tunnel)),
        opt('m', "masquerading", Nothing, S, Meaning::Method(Method::Nat)),
        long("fullnat", Nothing, S, Meaning::Method(Method::FullNat)),
        opt('w', "weight", Value, S, Weight),
        opt('x', "u-threshold", Value, S, Later("connection thresholds")),
        opt('y', "l-threshold", Value, S, Later("connection thresholds")),
        long("tun-type", Value, S, TunnelType),
        long("tun-port", Value, S, Later("GUE and GRE tunnels")),
        long("tun-nocsum", Nothing, S, Later("GUE and GRE tunnels")),
        long("tun-csum", Nothing, S, Later("GUE and GRE tunnels")),
        long("tun-remcsum", Nothing, S, Later("GUE and GRE tunnels")),

        opt('n', "numeric", Nothing, NEITHER, Elsewhere),
        opt('c', "connection", Nothing, NEITHER, Elsewhere),
        long("timeout", Nothing, NEITHER, Elsewhere),
        long("daemon", Nothing, NEITHER, Elsewhere),
        long("stats", Nothing, NEITHER, Elsewhere),
        long("rate", Nothing, NEITHER, Elsewhere),
        opt('X', "exact", Nothing, NEITHER, Elsewhere),
        long("thresholds", Nothing, NEITHER, Elsewhere),
        long("persistent-conn", Nothing, NEITHER, Elsewhere),
        long("tun-info", Nothing, NEITHER, Elsewhere),
        long("nosort", Nothing, NEITHER, Elsewhere),
        long("sort", Nothing, NEITHER, Elsewhere),
        long("syncid", Value, NEITHER, Elsewhere),
        long("sync-maxlen", Value, NEITHER, Elsewhere),
        long("mcast-interface", Value, NEITHER, Elsewhere),
        long("mcast-group", Value, NEITHER, Elsewhere),
        long("mcast-port", Value, NEITHER, Elsewhere),
        long("mcast-ttl", Value, NEITHER, Elsewhere),
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
            assert!(
                VERBS
                    .iter()
                    .all(|v| v.short.is_none() || v.short != one.short)
            );
        }
    }
}
