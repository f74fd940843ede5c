//! lvsd's own commands and their options. A test compares them with what each says to `--help`.

/// A command.
#[derive(Debug)]
pub(super) struct Subcommand {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) options: &'static [Flag],
    /// What stands there without an option.
    pub(super) words: Kind,
}

/// An option.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) short: Option<&'static str>,
    pub(super) long: &'static str,
    pub(super) value: Kind,
    pub(super) about: &'static str,
    pub(super) repeats: bool,
}

/// What an option's value is, or a command's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is none.
    Nothing,
    /// It cannot be guessed.
    Anything,
    File,
    Interface,
    /// A network service of TCP, UDP or SCTP, by the option it is of.
    Service(&'static str),
    Mark,
    Server,
    State,
    OneOf(&'static [&'static str]),
    /// ipvsadm's grammar.
    Ipvsadm,
}

const fn flag(long: &'static str, value: Kind, about: &'static str) -> Flag {
    Flag {
        short: None,
        long,
        value,
        about,
        repeats: false,
    }
}

const fn short(short: &'static str, long: &'static str, value: Kind, about: &'static str) -> Flag {
    Flag {
        short: Some(short),
        long,
        value,
        about,
        repeats: false,
    }
}

const fn repeated(long: &'static str, value: Kind, about: &'static str) -> Flag {
    Flag {
        repeats: true,
        ..flag(long, value, about)
    }
}

const HELP: Flag = short("-h", "--help", Kind::Nothing, "help");
const SOCKET: Flag = flag("--socket", Kind::File, "the daemon's control socket");

/// All commands.
#[rustfmt::skip]
pub(super) const SUBCOMMANDS: &[Subcommand] = {
    use Kind::{Anything, File, Interface, Ipvsadm, Mark, Nothing, OneOf, Server, Service, State};
    &[
        Subcommand {
            name: "run",
            about: "forward in the foreground",
            options: &[
                flag("--rules", File, "services and servers to begin with"),
                flag("--socket", File, "listen there"),
                flag("--socket-group", Anything, "let members of this group connect too"),
                repeated("--interface", Interface, "work on this interface"),
                flag("--workers", Anything, "worker threads, 1 to 16"),
                flag("--max-connections", Anything, "the most connections at a time"),
                HELP,
            ],
            words: Nothing,
        },
        Subcommand {
            name: "adm",
            about: "what ipvsadm does, with the running daemon",
            options: &[SOCKET],
            words: Ipvsadm,
        },
        Subcommand {
            name: "demo",
            about: "show it in a virtual LAN",
            options: &[flag("--workers", Anything, "worker threads"), HELP],
            words: Nothing,
        },
        Subcommand {
            name: "replay",
            about: "what the director does with recorded traffic, and why",
            options: &[
                flag("--check", Nothing, "print differences from what was recorded"),
                flag("--keep-going", Nothing, "with --check: go on with the next file"),
                flag("--rules", File, "services and servers"),
                short("-o", "--output", File, "write what would have been sent"),
                flag("--json", Nothing, "JSON objects"),
                flag("--mtu", Anything, "the longest IP packet, 1280 to 65535"),
                HELP,
            ],
            words: File,
        },
        Subcommand {
            name: "completions",
            about: "a script for the shell's completion",
            options: &[HELP],
            words: OneOf(&["bash", "zsh", "fish"]),
        },
    ]
};
