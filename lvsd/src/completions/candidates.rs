//! What may stand where the last word of a command line is.

use std::fs;

use lvs_core::state::State;

use super::live::{self, Live};
use super::subcommands::{Flag, Kind, SUBCOMMANDS, Subcommand};
use crate::rules::{Next, Wanted, next};

/// What a shell can offer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// One of these.
    Words(Vec<Candidate>),
    /// The name of a file.
    File,
}

/// A word, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) word: String,
    pub(super) about: String,
}

impl Candidate {
    pub(super) fn new(word: impl Into<String>, about: impl Into<String>) -> Self {
        let (word, about) = (word.into(), about.into());
        Self { word, about }
    }
}

/// The options that name a service.
const SERVICES: [&str; 4] = [
    "tcp-service",
    "udp-service",
    "sctp-service",
    "fwmark-service",
];

/// What may stand where the last of these words is; the first is the program's name.
pub(super) fn of(words: &[&str]) -> Offer {
    let Some((program, args)) = words.split_first() else {
        return Offer::Words(Vec::new());
    };
    let offer = match program.rsplit('/').next().unwrap_or_default() {
        "ipvsadm" => grammar(args, None),
        "ipvsadm-save" => {
            Offer::Words(vec![Candidate::new("-n", "addresses and ports as numbers")])
        }
        "ipvsadm-restore" => Offer::Words(Vec::new()),
        _ => lvsd(args),
    };
    let typed = args.last().copied().unwrap_or_default();
    match offer {
        Offer::Words(mut words) => {
            let shown = |text: &str| !text.chars().any(char::is_control);
            words.retain(|c| c.word.starts_with(typed) && shown(&c.word) && shown(&c.about));
            Offer::Words(words)
        }
        Offer::File => Offer::File,
    }
}

fn lvsd(args: &[&str]) -> Offer {
    match args {
        [] => Offer::Words(Vec::new()),
        [_] => {
            let all = SUBCOMMANDS.iter();
            Offer::Words(all.map(|s| Candidate::new(s.name, s.about)).collect())
        }
        [name, rest @ ..] => match SUBCOMMANDS.iter().find(|s| s.name == *name) {
            Some(s) if s.words == Kind::Ipvsadm => adm(rest),
            Some(s) => subcommand(s, rest),
            None => Offer::Words(Vec::new()),
        },
    }
}

/// ipvsadm's arguments, with ours before them: `--socket PATH`, or the word `diff`.
fn adm(args: &[&str]) -> Offer {
    let (socket, args) = match args {
        ["--socket", path, rest @ ..] if !rest.is_empty() => (Some(*path), rest),
        ["--socket", ..] => return Offer::File,
        [glued, rest @ ..] if glued.starts_with("--socket=") => match rest {
            [] => return Offer::File,
            _ => (glued.strip_prefix("--socket="), rest),
        },
        _ => (None, args),
    };
    match (args, grammar(args, socket)) {
        (["diff", .., last], _) if last.starts_with('-') => Offer::Words(vec![
            Candidate::new("--json", "as JSON"),
            Candidate::new("--config", "of a keepalived.conf"),
        ]),
        (["diff", options @ .., _], _) if options.iter().all(|o| o.starts_with("--")) => {
            Offer::File
        }
        ([_], Offer::Words(mut words)) => {
            words.push(Candidate::new("diff", "what a file would change"));
            if socket.is_none() {
                words.push(Candidate::new("--socket", "the daemon's control socket"));
            }
            Offer::Words(words)
        }
        (_, offer) => offer,
    }
}

/// ipvsadm's arguments.
fn grammar(args: &[&str], socket: Option<&str>) -> Offer {
    let words = match next(args) {
        Next::Words(words) => {
            let words = words.into_iter();
            words.map(|s| Candidate::new(s.word, s.about)).collect()
        }
        Next::Value { before, wanted } => {
            let typed = args.last().copied().unwrap_or_default();
            let typed = typed.strip_prefix(before.as_str()).unwrap_or_default();
            let values = value(&wanted, typed, &Live::new(socket));
            let glued = values.into_iter().map(|c| Candidate {
                word: format!("{before}{}", c.word),
                ..c
            });
            glued.collect()
        }
    };
    Offer::Words(words)
}

fn value(wanted: &Wanted, typed: &str, live: &Live) -> Vec<Candidate> {
    match wanted {
        Wanted::Service { new: true, .. } | Wanted::Mark { new: true } | Wanted::Anything => {
            Vec::new()
        }
        Wanted::Service { protocol, .. } => live.services(*protocol),
        Wanted::Mark { .. } => live.marks(),
        Wanted::Server { service, new } => {
            let of = service.as_ref().map(|(long, key)| (*long, key.as_str()));
            match new {
                true => live.servers_elsewhere(of),
                false => live.servers(of),
            }
        }
        Wanted::OneOf(words) => plain(words.iter().copied()),
        Wanted::SomeOf(words) => {
            let (before, _) = typed.rsplit_once(',').map_or(("", typed), |(b, l)| (b, l));
            let given: Vec<&str> = before.split(',').collect();
            let comma = if before.is_empty() { "" } else { "," };
            let more = words.iter().filter(|w| !given.contains(w));
            more.map(|w| Candidate::new(format!("{before}{comma}{w}"), ""))
                .collect()
        }
        Wanted::Scheduler => lvs_sched::NAMES
            .iter()
            .map(|s| Candidate::new(s.name, s.about))
            .collect(),
        Wanted::Interface => interfaces(),
    }
}

fn subcommand(subcommand: &Subcommand, args: &[&str]) -> Offer {
    let Some((last, before)) = args.split_last() else {
        return Offer::Words(Vec::new());
    };
    let mut given: Vec<(&Flag, &str)> = Vec::new();
    let mut awaiting = None;
    for word in before {
        match awaiting.take() {
            Some(flag) => given.push((flag, word)),
            None => match find(subcommand, word) {
                Some((flag, None)) if flag.value != Kind::Nothing => awaiting = Some(flag),
                Some((flag, value)) => given.push((flag, value.unwrap_or_default())),
                None => {}
            },
        }
    }
    if let Some(flag) = awaiting {
        return of_kind(flag.value, "", &given);
    }
    if let Some((flag, Some(_))) = find(subcommand, last) {
        return of_kind(flag.value, &format!("{}=", flag.long), &given);
    }
    if !last.starts_with('-') && subcommand.words != Kind::Nothing {
        return of_kind(subcommand.words, "", &given);
    }
    let is_free = |flag: &&Flag| flag.repeats || given.iter().all(|(g, _)| g.long != flag.long);
    let words = subcommand.options.iter().filter(is_free).map(|flag| {
        let word = match flag.short {
            Some(short) if !last.starts_with("--") => short,
            _ => flag.long,
        };
        Candidate::new(word, flag.about)
    });
    Offer::Words(words.collect())
}

/// The option that a word is, and the value glued to it.
fn find<'a>(subcommand: &Subcommand, word: &'a str) -> Option<(&'static Flag, Option<&'a str>)> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ => (word, None),
    };
    let mut options = subcommand.options.iter();
    let flag = options.find(|f| f.long == name || f.short == Some(name))?;
    Some((flag, value))
}

fn of_kind(kind: Kind, before: &str, given: &[(&Flag, &str)]) -> Offer {
    let of = |long: &str| given.iter().find(|(f, _)| f.long == long).map(|(_, v)| *v);
    let live = || Live::new(of("--socket"));
    let words = match kind {
        Kind::File => return Offer::File,
        Kind::Nothing | Kind::Anything | Kind::Ipvsadm => Vec::new(),
        Kind::Interface => interfaces(),
        Kind::Service(protocol) => live().services(protocol),
        Kind::Mark => live().marks(),
        Kind::Router => live::routers(of("--socket")),
        Kind::Server => {
            let named = |long: &&'static str| Some((*long, of(&format!("--{long}"))?));
            live().servers(SERVICES.iter().find_map(named))
        }
        Kind::State => {
            let mut names: Vec<&str> = State::ALL.iter().map(|s| s.name()).collect();
            names.sort_unstable();
            names.dedup();
            plain(names)
        }
        Kind::OneOf(words) => plain(words.iter().copied()),
        Kind::Keyword => {
            let names = crate::help_config::names().into_iter();
            names
                .map(|(name, about)| Candidate::new(name, about))
                .collect()
        }
    };
    let glued = words.into_iter().map(|c| Candidate {
        word: format!("{before}{}", c.word),
        ..c
    });
    Offer::Words(glued.collect())
}

fn plain<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<Candidate> {
    words.into_iter().map(|w| Candidate::new(w, "")).collect()
}

fn interfaces() -> Vec<Candidate> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    plain(names.iter().map(String::as_str))
}
