//! A command as words again: in one way only, and with numbers for names.

use super::super::save::{mark_words, server_words, service_words, written};
use super::{Command, Listing, SyncDaemon, What};

impl Command {
    /// The command's words such that [`parse_command`](super::parse_command) makes the same of them: defaults written out,
    /// hosts and ports as numbers.
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::AddService(rule) => service_words("-A", rule),
            Self::EditService(rule) => service_words("-E", rule),
            Self::DeleteService(key) => chain(&["-D"], written(*key)),
            Self::AddServer(key, server) => server_words("-a", *key, server),
            Self::EditServer(key, server) => server_words("-e", *key, server),
            Self::DeleteServer(key, addr) => {
                let mut words = chain(&["-d"], written(*key));
                words.extend(["-r".to_owned(), addr.to_string()]);
                words
            }
            Self::Flush => chain(&["-C"], []),
            Self::Zero(key) => chain(&["-Z"], key.map(written).unwrap_or_default()),
            Self::SetTimeouts(set) => {
                let seconds = [set.tcp, set.tcp_fin, set.udp];
                chain(&["--set"], seconds.map(|s| s.to_string()))
            }
            Self::Mark(rule) => mark_words("--mark", rule),
            Self::Unmark(rule) => mark_words("--unmark", rule),
            Self::ClearMarks => chain(&["--clear-marks"], []),
            Self::Setting { name, value } => {
                let name = format!("{}{name}", super::settings::PREFIX);
                [name, "=".to_owned(), value.clone()].into()
            }
            Self::StartDaemon(daemon) => daemon_words("--start-daemon", daemon),
            Self::StopDaemon(daemon) => daemon_words("--stop-daemon", daemon),
            Self::List(listing) => listing_words(listing),
            Self::Save { numeric } => flags(&["-S"], &[("-n", *numeric)]),
            Self::Restore { compat } => flags(&["-R"], &[("--compat", *compat)]),
            Self::Help => chain(&["-h"], []),
            Self::Version => chain(&["-v"], []),
        }
    }
}

fn listing_words(listing: &Listing) -> Vec<String> {
    let what: &[&str] = match listing.what {
        What::Services => &["-L"],
        What::Stats => &["-L", "--stats"],
        What::Rate => &["-L", "--rate"],
        What::Thresholds => &["-L", "--thresholds"],
        What::PersistentConn => &["-L", "--persistent-conn"],
        What::TunInfo => &["-L", "--tun-info"],
        What::Connections { engines: false } => &["-L", "-c"],
        What::Connections { engines: true } => &["-L", "-c", "--persistent-conn"],
        What::Timeouts => &["-L", "--timeout"],
        What::Daemons => &["-L", "--daemon"],
        What::Marks => &["-L", "--marks"],
    };
    let how = [
        ("-n", listing.numeric),
        ("--exact", listing.exact),
        ("--nosort", listing.nosort),
        ("--json", listing.json),
    ];
    let mut words = flags(what, &how);
    words.extend(listing.service.map(written).unwrap_or_default());
    words
}

fn daemon_words(verb: &str, daemon: &SyncDaemon) -> Vec<String> {
    let mut words = chain(&[verb, daemon.role.name()], []);
    let mut say = |option: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|v| [option.to_owned(), v]));
    };
    let usual = SyncDaemon::default();
    let text = |n: u16| n.to_string();
    let interface = (daemon.interface != usual.interface).then(|| daemon.interface.clone());
    say("--mcast-interface", interface);
    say(
        "--syncid",
        (daemon.id != usual.id).then(|| text(daemon.id.into())),
    );
    say("--sync-maxlen", daemon.max_len.map(text));
    say("--mcast-group", daemon.group.map(|group| group.to_string()));
    say("--mcast-port", daemon.port.map(text));
    say("--mcast-ttl", daemon.ttl.map(|ttl| text(ttl.into())));
    words
}

fn chain(first: &[&str], rest: impl IntoIterator<Item = String>) -> Vec<String> {
    let first = first.iter().map(|word| (*word).to_owned());
    first.chain(rest).collect()
}

fn flags(first: &[&str], flags: &[(&str, bool)]) -> Vec<String> {
    let given = flags.iter().filter(|(_, is_given)| *is_given);
    chain(first, given.map(|(flag, _)| (*flag).to_owned()))
}
