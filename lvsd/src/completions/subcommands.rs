//! lvsd's own commands and their options. A test compares them with what each says to `--help`.

use lvs_core::Protocol;

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
    /// A service of this protocol.
    Service(Protocol),
    /// The firewall mark of a service.
    Mark,
    /// A server of the service that is named before it.
    Server,
    /// A connection's state.
    State,
    OneOf(&'static [&'static str]),
    /// ipvsadm's grammar.
    Ipvsadm,
    /// A keyword of keepalived.conf.
    Keyword,
    /// A virtual router or a sync group.
    Router,
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

const TCP: Flag = short(
    "-t",
    "--tcp-service",
    Kind::Service(Protocol::TCP),
    "a TCP service",
);
const UDP: Flag = short(
    "-u",
    "--udp-service",
    Kind::Service(Protocol::UDP),
    "a UDP service",
);
const SCTP: Flag = flag(
    "--sctp-service",
    Kind::Service(Protocol::SCTP),
    "an SCTP service",
);
const MARK: Flag = short(
    "-f",
    "--fwmark-service",
    Kind::Mark,
    "the service of a firewall mark",
);
const IPV6: Flag = short(
    "-6",
    "--ipv6",
    Kind::Nothing,
    "with -f: that of IPv6 packets",
);

const COMPAT: Flag = flag(
    "--keepalived-compat",
    Kind::Nothing,
    "what keepalived goes on with is no error",
);
const CONFIG_ID: Flag = flag(
    "--config-id",
    Kind::Anything,
    "what lines that begin with @ID are compared with",
);

/// All commands.
#[rustfmt::skip]
pub(super) const SUBCOMMANDS: &[Subcommand] = {
    use Kind::{Anything, File, Interface, Ipvsadm, Keyword, Nothing, OneOf, Router, Server, State};
    &[
        Subcommand {
            name: "run",
            about: "forward in the foreground",
            options: &[
                short("-f", "--config", File, "a keepalived.conf"),
                COMPAT,
                CONFIG_ID,
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
            name: "check",
            about: "what is wrong with a keepalived.conf",
            options: &[
                COMPAT,
                CONFIG_ID,
                flag("--include-check", Nothing, "an include that finds nothing is an error"),
                flag("--json", Nothing, "a JSON object for each file"),
                short("-q", "--quiet", Nothing, "only the exit status"),
                HELP,
            ],
            words: File,
        },
        Subcommand {
            name: "reload",
            about: "read the configuration anew, or say what that would change",
            options: &[
                short("-n", "--dry-run", Nothing, "only say what would change"),
                flag("--json", Nothing, "one JSON object"),
                SOCKET,
                HELP,
            ],
            words: Nothing,
        },
        Subcommand {
            name: "genhash",
            about: "the digest of a page, for HTTP_GET and SSL_GET",
            options: &[
                short("-s", "--server", Anything, "the server's address"),
                short("-p", "--port", Anything, "its port"),
                short("-u", "--url", Anything, "the page"),
                short("-S", "--use-ssl", Nothing, "over TLS"),
                short("-I", "--use-sni", Nothing, "with the name of -V in the TLS hello"),
                short("-V", "--use-virtualhost", Anything, "the Host header"),
                short("-P", "--protocol", OneOf(&["1.0", "1.0c", "1.1"]), "the version of HTTP"),
                short("-t", "--timeout", Anything, "how many seconds all of it may take (5)"),
                short("-m", "--fwmark", Anything, "a firewall mark for the packets"),
                short("-v", "--verbose", Nothing, "status, length and time too"),
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
            name: "conns",
            about: "connections by service, server, client, state",
            options: &[
                TCP, UDP, SCTP, MARK, IPV6,
                short("-r", "--server", Server, "to this real server"),
                flag("--client", Anything, "of clients under this prefix"),
                flag("--state", State, "in this state, or one of several with commas between"),
                flag("--protocol", OneOf(&["tcp", "udp", "sctp", "ip"]), "of this protocol"),
                flag("--templates", Nothing, "only persistence templates"),
                flag("--no-templates", Nothing, "only connections"),
                flag("--limit", Anything, "at most so many"),
                flag("--count", Nothing, "only how many there are"),
                flag("--json", Nothing, "a JSON object for each"),
                short("-n", "--numeric", Nothing, "as always"),
                SOCKET,
                HELP,
            ],
            words: Nothing,
        },
        Subcommand {
            name: "help-config",
            about: "what can be written into a keepalived.conf",
            options: &[
                flag("--coverage", Nothing, "what lvsd does about which keyword"),
                flag("--json", Nothing, "as JSON"),
                HELP,
            ],
            words: Keyword,
        },
        Subcommand {
            name: "drain",
            about: "take a server out of service without losing what it does",
            options: &[
                TCP, UDP, SCTP, MARK, IPV6,
                short("-r", "--real-server", Server, "the real server"),
                flag("--deadline", Anything, "wait no longer than that (15m)"),
                flag("--move-udp", Nothing, "move its UDP clients at once"),
                flag("--move-templates", Nothing, "forget at once which clients it has by persistence"),
                flag("--keep", Nothing, "leave it at weight 0 instead of removing it"),
                flag("--json", Nothing, "JSON objects"),
                SOCKET,
                HELP,
            ],
            words: Nothing,
        },
        Subcommand {
            name: "explain",
            about: "what becomes of a packet, and why",
            options: &[
                short("-t", "--tcp", Nothing, "a TCP packet (default)"),
                short("-u", "--udp", Nothing, "a UDP packet"),
                flag("--sctp", Nothing, "an SCTP packet"),
                flag("--interface", Interface, "the interface it comes in by"),
                flag("--json", Nothing, "the daemon's answer as JSON"),
                SOCKET,
                HELP,
            ],
            words: Nothing,
        },
        Subcommand {
            name: "top",
            about: "services and servers with their rates, live",
            options: &[
                flag("--interval", Anything, "ask that often (1s)"),
                flag("--once", Nothing, "print everything once"),
                flag("--sort", OneOf(&["cps", "pps", "bps", "conns", "name"]), "sort by this"),
                SOCKET,
                HELP,
            ],
            words: Nothing,
        },
        Subcommand {
            name: "status",
            about: "how services, servers and checks are",
            options: &[
                flag("--down", Nothing, "only what is down"),
                Flag { repeats: true, ..short("-r", "--server", Server, "only this server") },
                flag("--json", Nothing, "one JSON object"),
                SOCKET,
                HELP,
            ],
            words: Kind::Service(Protocol::TCP),
        },
        Subcommand {
            name: "vrrp",
            about: "how virtual routers are, and why",
            options: &[flag("--json", Nothing, "one JSON object"), SOCKET, HELP],
            words: Router,
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
