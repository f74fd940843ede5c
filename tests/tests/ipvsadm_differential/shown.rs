//! What a run has shown, lest it pass for having compared nothing but empty tables and the same few complaints.

use std::collections::BTreeMap;

use crate::sides::Outcome;

/// The kernel's refusals that a command for services and servers can meet.
const REFUSALS: [&str; 8] = [
    "Service already exists",
    "No such service",
    "Service not defined",
    "Destination already exists",
    "No such destination",
    "Scheduler or persistence engine not found",
    "Numerical result out of range",
    "Invalid operation.  ",
];

/// The layouts of tables, by words of which only their headings have all.
const LAYOUTS: [(&str, &str); 6] = [
    ("Forward Weight", "plain"),
    ("InBytes", "--stats"),
    ("InPPS", "--rate"),
    ("Uthreshold", "--thresholds"),
    ("PersistConn", "--persistent-conn"),
    ("TunnelInfo", "--tun-info"),
];

/// What lines of tables can say of services and servers.
const ATTRIBUTES: [&str; 17] = [
    " Route ",
    " Tunnel ",
    " Masq ",
    " ipip ",
    " gre",
    " gue:",
    ":-c ",
    ":+c ",
    ":r+c ",
    " ops",
    " persistent ",
    " pe sip",
    " mask ",
    " (flag-1",
    " (sh-port",
    " (mh-",
    "SCTP ",
];

/// How often each was there.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Deliberate differences, by what is said of them.
    pub(crate) differences: BTreeMap<&'static str, usize>,
    refusals: BTreeMap<&'static str, usize>,
    attributes: BTreeMap<&'static str, usize>,
    /// Tables in each layout, and what was saved.
    tables: BTreeMap<&'static str, Tables>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tables {
    all: usize,
    /// Those in which there are servers.
    with_servers: usize,
    /// Those in which there are at least two services with servers, one with several.
    grown: usize,
}

impl Shown {
    /// Takes note of what a line did.
    pub(crate) fn take(&mut self, outcome: &Outcome) {
        for refusal in REFUSALS {
            *self.refusals.entry(refusal).or_default() += outcome.stderr.matches(refusal).count();
        }
        let stdout = &outcome.stdout;
        for attribute in ATTRIBUTES {
            *self.attributes.entry(attribute).or_default() += stdout.matches(attribute).count();
        }
        let heading = |words: &str| stdout.lines().take(3).any(|line| line.contains(words));
        let layout = LAYOUTS.iter().find(|(words, _)| heading(words));
        let (name, server) = match layout {
            Some((_, name)) => (*name, "  -> "),
            None if stdout.starts_with("-A ") => ("saved", "-a "),
            None => return,
        };
        let lines = stdout
            .lines()
            .filter(|l| !l.contains("-> RemoteAddress:Port"));
        let servers: Vec<_> = lines.map(|line| line.starts_with(server)).collect();
        let first_ones = servers.windows(2).filter(|w| !w[0] && w[1]).count();
        let count = servers.iter().filter(|is| **is).count();
        let tables = self.tables.entry(name).or_default();
        tables.all += 1;
        tables.with_servers += usize::from(count > 0);
        tables.grown += usize::from(first_ones > 1 && count > first_ones);
    }

    /// Takes note of what another has shown.
    pub(crate) fn add(&mut self, other: &Self) {
        for (difference, count) in &other.differences {
            *self.differences.entry(difference).or_default() += count;
        }
        for (refusal, count) in &other.refusals {
            *self.refusals.entry(refusal).or_default() += count;
        }
        for (attribute, count) in &other.attributes {
            *self.attributes.entry(attribute).or_default() += count;
        }
        for (name, more) in &other.tables {
            let tables = self.tables.entry(name).or_default();
            tables.all += more.all;
            tables.with_servers += more.with_servers;
            tables.grown += more.grown;
        }
    }

    /// What has not been shown as often as this.
    pub(crate) fn missing(&self, times: usize) -> Vec<String> {
        let mut missing = Vec::new();
        for (what, counts) in [
            (&REFUSALS[..], &self.refusals),
            (&ATTRIBUTES, &self.attributes),
        ] {
            let rare = |what: &&&str| counts.get(**what).is_none_or(|count| *count < times);
            missing.extend(what.iter().filter(rare).map(|what| format!("{what}: rare")));
        }
        for name in LAYOUTS.map(|(_, name)| name).iter().chain(&["saved"]) {
            let tables = self.tables.get(name).copied().unwrap_or_default();
            if tables.grown < times || tables.with_servers * 3 < tables.all {
                missing.push(format!("{name}: only {tables:?}"));
            }
        }
        missing
    }
}
