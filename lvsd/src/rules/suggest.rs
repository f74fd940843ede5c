//! What may stand next where a command is still being written: for shells' completion.
//!
//! The grammar says it, so that no command and no option can be missing: only their descriptions stand here.

use lvs_core::Protocol;

use super::SchedulerFlags;
use super::options::{
    Criterion, LISTED, Meaning, NEED_SERVER, NEED_SERVICE, OPTIONS, Opt, Takes, VERBS, Verb,
};

/// What may stand where the last word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// One of these words.
    Words(Vec<Suggestion>),
    /// What is behind `before` in that word is to be such a value.
    Value {
        /// The part of the word before its value: `--scheduler=`, or nothing.
        before: String,
        /// What it is.
        wanted: Wanted,
    },
}

/// A word and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suggestion {
    pub(crate) word: String,
    pub(crate) about: &'static str,
}

/// A kind of value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A service of this protocol; `new`: one that does not exist yet.
    Service { protocol: Protocol, new: bool },
    /// A service's mark, likewise.
    Mark { new: bool },
    /// A server of the service named before it, by the option's long name and value; `new`: one that the service does not have yet.
    Server {
        service: Option<(&'static str, String)>,
        new: bool,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Some of these words, with commas between.
    SomeOf(Vec<&'static str>),
    /// The name of a scheduler.
    Scheduler,
    /// The name of a network interface.
    Interface,
    /// Something that cannot be guessed.
    Anything,
}

/// What may stand where the last of these words is, which are ipvsadm's arguments.
pub(crate) fn next(words: &[&str]) -> Next {
    let Some((last, before)) = words.split_last() else {
        return Next::Words(Vec::new());
    };
    let Some((first, rest)) = before.split_first() else {
        return Next::Words(commands(last));
    };
    let Some(verb) = command(first) else {
        return Next::Words(Vec::new());
    };
    let mut line = Line {
        verb,
        given: Vec::new(),
        awaiting: None,
    };
    // `-Ln`, `-At ADDRESS`: the letters behind the command's are options.
    if !first.starts_with("--") {
        let letters = first.chars().skip(2).collect::<String>();
        line.letters(&letters);
    }
    let of_command = command_value(verb).filter(|_| !first.contains('='));
    match (of_command, rest) {
        (Some(wanted), []) => {
            let before = String::new();
            return Next::Value { before, wanted };
        }
        (Some(_), [_, rest @ ..]) => line.read(rest),
        (None, rest) => line.read(rest),
    }
    line.next(last)
}

fn command(first: &str) -> Option<Verb> {
    let spelled = VERBS.iter().find(|v| match first.strip_prefix("--") {
        Some(long) => long.split('=').next() == Some(v.long),
        None => {
            let mut chars = first.chars();
            chars.next() == Some('-') && v.short.is_some() && chars.next() == v.short
        }
    });
    spelled.map(|v| v.verb)
}

fn commands(typed: &str) -> Vec<Suggestion> {
    let spelled = VERBS.iter().filter(|v| v.short != Some('l')); // the same as -L
    spelled.map(|v| spell(v.short, v.long, typed)).collect()
}

/// What a command itself has for a value, if any.
fn command_value(verb: Verb) -> Option<Wanted> {
    match verb {
        Verb::StartDaemon | Verb::StopDaemon => Some(Wanted::OneOf(&["master", "backup"])),
        Verb::Mark | Verb::Unmark => Some(Wanted::Mark { new: false }),
        _ => None,
    }
}

/// Each once: by its letter if it has one, unless two dashes are there already.
fn spell(short: Option<char>, long: &'static str, typed: &str) -> Suggestion {
    let word = match short {
        Some(short) if !typed.starts_with("--") => format!("-{short}"),
        _ => format!("--{long}"),
    };
    let about = about(long);
    Suggestion { word, about }
}

/// What a command says up to the last word.
struct Line<'a> {
    verb: Verb,
    given: Vec<(&'static Opt, &'a str)>,
    /// The option whose value is to come.
    awaiting: Option<&'static Opt>,
}

impl<'a> Line<'a> {
    fn read(&mut self, words: &[&'a str]) {
        for &word in words {
            match self.awaiting.take() {
                Some(option) if takes(option, word) => {
                    self.given.pop();
                    self.given.push((option, word));
                }
                _ => self.word(word),
            }
        }
    }

    fn word(&mut self, word: &'a str) {
        if let Some(long) = word.strip_prefix("--") {
            let (long, value) = match long.split_once('=') {
                Some((long, value)) => (long, Some(value)),
                None => (long, None),
            };
            if let Some(option) = OPTIONS.iter().find(|o| o.long == long) {
                self.give(option, value);
            }
        } else if let Some(letters) = word.strip_prefix('-') {
            self.letters_of(letters);
        }
    }

    fn letters(&mut self, letters: &str) {
        // Their values, glued on, are of no interest: nobody completes such a word.
        for option in letters.chars().map_while(by_letter) {
            self.give(option, None);
        }
    }

    fn letters_of(&mut self, letters: &'a str) {
        for (at, letter) in letters.char_indices() {
            let Some(option) = by_letter(letter) else {
                return;
            };
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            if option.takes != Takes::Nothing && !rest.is_empty() {
                return self.give(option, Some(rest));
            }
            self.give(option, None);
        }
    }

    fn give(&mut self, option: &'static Opt, value: Option<&'a str>) {
        self.given.push((option, value.unwrap_or_default()));
        self.awaiting = match (option.takes, value) {
            (Takes::Nothing, _) | (_, Some(_)) => None,
            _ => Some(option),
        };
    }

    fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(o, _)| o.name == name)
    }

    fn next(&self, last: &str) -> Next {
        if let Some(option) = self.awaiting.filter(|o| takes(o, last)) {
            let only_perhaps = option.takes == Takes::ValueOrNot && last.is_empty();
            if !only_perhaps {
                let before = String::new();
                let wanted = self.wanted(option);
                return Next::Value { before, wanted };
            }
        }
        if let Some((name, _)) = last.split_once('=')
            && let Some(long) = name.strip_prefix("--")
            && let Some(option) = OPTIONS.iter().find(|o| o.long == long)
        {
            let before = format!("{name}=");
            let wanted = self.wanted(option);
            return Next::Value { before, wanted };
        }
        let fits = |o: &&Opt| {
            o.verbs.contains(&self.verb)
                && (!self.has(o.name) || o.meaning == Meaning::LocalAddress)
                && (o.meaning != Meaning::Ipv6 || self.has_mark())
                && !(self.verb == Verb::List && LISTED.contains(&o.name) && self.lists())
                && match self.must() {
                    Some(name) if last.is_empty() => o.name == name,
                    _ => true,
                }
        };
        let options = OPTIONS.iter().filter(fits);
        Next::Words(options.map(|o| spell(o.short, o.long, last)).collect())
    }

    /// Whether it is said what is listed: it can be one thing only.
    fn lists(&self) -> bool {
        LISTED.iter().any(|name| self.has(name))
    }

    fn has_mark(&self) -> bool {
        let mut meanings = self.given.iter().map(|(o, _)| o.meaning);
        meanings.any(|m| m == Meaning::MarkService)
    }

    /// An option that the command cannot do without, and does not have.
    fn must(&self) -> Option<&'static str> {
        let needs = [
            (NEED_SERVICE, "service-address"),
            (NEED_SERVER, "real-server"),
        ];
        let missing =
            |(verbs, name): &(&[Verb], &str)| verbs.contains(&self.verb) && !self.has(name);
        needs.into_iter().find(missing).map(|(_, name)| name)
    }

    fn wanted(&self, option: &Opt) -> Wanted {
        match option.meaning {
            Meaning::Service(protocol) => {
                let new = self.verb == Verb::AddService;
                Wanted::Service { protocol, new }
            }
            Meaning::MarkService => Wanted::Mark {
                new: self.verb == Verb::AddService,
            },
            Meaning::RealServer => {
                let service = self.given.iter().find(|(o, _)| o.name == "service-address");
                Wanted::Server {
                    service: service.map(|(o, value)| (o.long, (*value).to_owned())),
                    new: self.verb == Verb::AddServer,
                }
            }
            Meaning::Scheduler => Wanted::Scheduler,
            Meaning::SchedulerFlags => Wanted::SomeOf(self.flags()),
            Meaning::Engine => Wanted::OneOf(&["sip"]),
            Meaning::TunnelType => Wanted::OneOf(&["ipip", "gre", "gue"]),
            Meaning::Match(Criterion::Protocol) => {
                Wanted::OneOf(&["tcp", "udp", "sctp", "ah", "esp"])
            }
            _ if option.long.ends_with("interface") => Wanted::Interface,
            _ => Wanted::Anything,
        }
    }

    /// The flags of the scheduler that is named before them.
    fn flags(&self) -> Vec<&'static str> {
        let named = self
            .given
            .iter()
            .find(|(o, _)| o.meaning == Meaning::Scheduler);
        let scheduler = named.map_or("wlc", |(_, value)| *value);
        let all = ["flag-1", "flag-2", "flag-3"];
        let all = all.iter().try_fold(SchedulerFlags::NONE, |flags, name| {
            flags.with(name, scheduler)
        });
        all.map_or_else(|_| Vec::new(), |flags| flags.names(scheduler))
    }
}

fn by_letter(letter: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.short == Some(letter))
}

fn takes(option: &Opt, word: &str) -> bool {
    match option.takes {
        Takes::Nothing => false,
        Takes::Value => true,
        Takes::ValueOrNot => !word.starts_with('-'),
    }
}

/// What a command or option means, in a few words.
fn about(long: &str) -> &'static str {
    ABOUT
        .iter()
        .find(|(name, _)| *name == long)
        .map_or("", |(_, about)| about)
}

#[rustfmt::skip]
const ABOUT: &[(&str, &str)] = &[
    ("add-service", "add a virtual service"),
    ("edit-service", "change a virtual service: what is not written goes back to its default"),
    ("delete-service", "delete a virtual service with its servers"),
    ("clear", "delete all services"),
    ("add-server", "add a real server to a service"),
    ("edit-server", "change a real server: what is not written goes back to its default"),
    ("delete-server", "remove a real server"),
    ("zero", "set counters to zero, of one service or all"),
    ("set", "set the timeouts: TCP, TCP after FIN, UDP, in seconds"),
    ("mark", "give packets a firewall mark"),
    ("unmark", "delete such a rule"),
    ("clear-marks", "delete all such rules"),
    ("list", "list services and servers"),
    ("save", "print everything as -R reads it"),
    ("restore", "carry out commands from standard input, all or none"),
    ("start-daemon", "start connection synchronisation"),
    ("stop-daemon", "stop connection synchronisation"),
    ("help", "help"),
    ("version", "the version"),
    ("tcp-service", "a TCP service: ADDRESS:PORT"),
    ("udp-service", "a UDP service: ADDRESS:PORT"),
    ("sctp-service", "an SCTP service: ADDRESS:PORT"),
    ("fwmark-service", "the service of a firewall mark"),
    ("ipv6", "the mark is one of IPv6 packets"),
    ("scheduler", "how servers are chosen (wlc)"),
    ("sched-flags", "flags of the scheduler"),
    ("persistent", "a client keeps its server, for so many seconds (360)"),
    ("netmask", "with -p: clients alike under this mask count as one"),
    ("pe", "with -p: a persistence engine"),
    ("ops", "schedule each UDP datagram for itself"),
    ("local-address", "an address for FullNAT"),
    ("tcp-timeout", "seconds that idle TCP connections of the service are kept"),
    ("tcpfin-timeout", "seconds that its TCP connections are kept after a FIN"),
    ("udp-timeout", "seconds that its idle UDP connections are kept"),
    ("real-server", "the real server: ADDRESS[:PORT]"),
    ("gatewaying", "direct routing (default)"),
    ("ipip", "tunnel"),
    ("masquerading", "NAT"),
    ("fullnat", "NAT of both addresses"),
    ("weight", "weight (1); 0 takes no new connections"),
    ("u-threshold", "so many connections, and it gets no new ones"),
    ("l-threshold", "fewer than this, and it gets new ones again"),
    ("tun-type", "kind of tunnel (ipip)"),
    ("tun-port", "UDP port of a GUE tunnel"),
    ("tun-nocsum", "tunnel without checksum (default)"),
    ("tun-csum", "tunnel with checksum"),
    ("tun-remcsum", "GUE tunnel with remote checksum"),
    ("source", "packets from this address or prefix"),
    ("destination", "packets to this address or prefix"),
    ("protocol", "packets of this protocol"),
    ("source-port", "packets from this port or range"),
    ("destination-port", "packets to this port or range"),
    ("interface", "packets that come in by this interface"),
    ("numeric", "addresses and ports as numbers"),
    ("connection", "list connections"),
    ("timeout", "show the timeouts"),
    ("daemon", "show synchronisation daemons"),
    ("stats", "show packet and byte counters"),
    ("rate", "show rates a second"),
    ("exact", "show numbers in full"),
    ("thresholds", "show thresholds"),
    ("persistent-conn", "show persistence templates"),
    ("tun-info", "show tunnels"),
    ("nosort", "as the scheduler has them"),
    ("sort", "sorted (default)"),
    ("marks", "list the rules for marks"),
    ("json", "as JSON"),
    ("compat", "line by line, as ipvsadm does"),
    ("syncid", "a synchronisation group"),
    ("sync-maxlen", "longest synchronisation message"),
    ("mcast-interface", "interface for synchronisation"),
    ("mcast-group", "multicast group for synchronisation"),
    ("mcast-port", "UDP port for synchronisation"),
    ("mcast-ttl", "TTL or hop limit for synchronisation"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        match next(&words) {
            Next::Words(words) => words.into_iter().map(|s| s.word).collect(),
            Next::Value { .. } => panic!("{line:?} wants a value"),
        }
    }

    fn value(line: &str) -> (String, Wanted) {
        let words: Vec<&str> = line.split(' ').collect();
        match next(&words) {
            Next::Words(words) => panic!("{line:?} wants words: {words:?}"),
            Next::Value { before, wanted } => (before, wanted),
        }
    }

    #[test]
    fn everything_has_a_description() {
        let verbs = VERBS.iter().map(|v| v.long);
        for long in verbs.chain(OPTIONS.iter().map(|o| o.long)) {
            assert!(!about(long).is_empty(), "--{long} has no description");
        }
        let is_known = |long: &str| {
            VERBS.iter().any(|v| v.long == long) || OPTIONS.iter().any(|o| o.long == long)
        };
        for (long, _) in ABOUT {
            assert!(is_known(long), "there is no --{long}");
        }
    }

    #[test]
    fn commands_come_first_and_options_are_their_own() {
        assert!(words("").contains(&"-A".to_owned()));
        assert!(words("--").contains(&"--add-service".to_owned()));
        assert_eq!(words("-a "), ["-t", "-u", "--sctp-service", "-f"]);
        assert_eq!(words("-a -t 10.0.0.1:80 "), ["-r"]);
        let server = words("-a -t 10.0.0.1:80 -r 10.0.0.2 -");
        assert!(server.contains(&"-m".to_owned()) && !server.contains(&"-s".to_owned()));
        assert!(!words("-a -t 10.0.0.1:80 -r 10.0.0.2 -m -").contains(&"-g".to_owned()));
        assert!(words("-A -t 10.0.0.1:80 -p ").contains(&"-s".to_owned()));
        assert!(words("-L --stats -").contains(&"-c".to_owned()));
        assert!(!words("-L -t 10.0.0.1:80 -").contains(&"-c".to_owned()));
        assert_eq!(words("nonsense "), [""; 0]);
    }

    #[test]
    fn only_a_mark_can_be_of_ipv6() {
        assert!(words("-A -f 1 -").contains(&"-6".to_owned()));
        assert!(!words("-A -t 10.0.0.1:80 -").contains(&"-6".to_owned()));
    }

    #[test]
    fn values() {
        let service = |new| Wanted::Service {
            protocol: Protocol::TCP,
            new,
        };
        assert_eq!(value("-A -t 10"), (String::new(), service(true)));
        assert_eq!(value("-Et "), (String::new(), service(false)));
        assert_eq!(
            value("-D --tcp-service="),
            ("--tcp-service=".to_owned(), service(false))
        );
        assert_eq!(value("-A -t 10.0.0.1:80 -s w").1, Wanted::Scheduler);
        let flags = |line| match value(line).1 {
            Wanted::SomeOf(flags) => flags,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            flags("-A -t 10.0.0.1:80 -smh -b "),
            ["mh-fallback", "mh-port"]
        );
        assert_eq!(
            flags("-A -t 10.0.0.1:80 -b "),
            ["flag-1", "flag-2", "flag-3"]
        );
        let server = |service: Option<(_, &str)>, new| Wanted::Server {
            service: service.map(|(long, value)| (long, value.to_owned())),
            new,
        };
        let web = Some(("tcp-service", "10.0.0.1:80"));
        assert_eq!(value("-d -t 10.0.0.1:80 -r ").1, server(web, false));
        assert_eq!(value("-a -t10.0.0.1:80 -r ").1, server(web, true));
        assert_eq!(value("-d -r ").1, server(None, false));
        assert_eq!(
            value("--start-daemon ").1,
            Wanted::OneOf(&["master", "backup"])
        );
        assert_eq!(value("-A -t 10.0.0.1:80 -p 3").1, Wanted::Anything);
    }
}
