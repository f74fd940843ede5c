//! Connections for people, and for scripts that read columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lvs_core::{Endpoint, Method, ServiceKey};

use crate::control::conns::{Connection, Count, StateName};
use crate::control::table::Key;
use crate::rules::Command;

/// The columns' names. The first six, and their widths, are ipvsadm's.
pub(super) const HEADER: &str = "pro expire state       source             virtual            destination        \
                                 local              forward packets service";

/// A connection's line.
pub(super) fn connection(conn: &Connection) -> String {
    let local = conn.local.map_or_else(|| "-".to_owned(), |l| l.to_string());
    format!(
        "{:<3} {:<6} {:<11} {:<18} {:<18} {:<18} {local:<18} {:<7} {:<7} {}",
        conn.protocol,
        minutes(conn.expires),
        conn.state,
        conn.client.to_string(),
        conn.virtual_address.to_string(),
        conn.server.to_string(),
        forwarding(conn.method),
        conn.packets,
        service(conn.service),
    )
}

/// A span as ipvsadm writes it: `MM:SS`, with as many minutes as there are.
pub(crate) fn minutes(seconds: u64) -> String {
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// A service as ipvsadm's options name it: `-t 10.0.0.1:80`.
pub(crate) fn service(key: Key) -> String {
    let words = Command::Zero(Some(key.into())).words();
    words[1..].join(" ")
}

/// How packets are forwarded, in a word.
pub(crate) const fn forwarding(method: Method) -> &'static str {
    match method {
        Method::Nat => "nat",
        Method::DirectRoute => "dr",
        Method::Tunnel => "tunnel",
        Method::FullNat => "fullnat",
        Method::Bypass => "bypass",
        _ => "?",
    }
}

/// How many there are of a server, by state.
#[derive(Default)]
struct Row {
    connections: u64,
    templates: u64,
    states: BTreeMap<String, u64>,
}

impl Row {
    fn add(&mut self, count: &Count) {
        if count.template {
            self.templates += count.count;
            return;
        }
        self.connections += count.count;
        *self.states.entry(count.state.clone()).or_default() += count.count;
    }

    fn line(&self, states: &[&str], name: &str) -> String {
        let mut line = format!("{:>8}", self.connections);
        // Writing to a string cannot fail.
        for state in states {
            let count = self.states.get(*state).copied().unwrap_or_default();
            let _ = write!(line, " {count:>width$}", width = width(state));
        }
        let _ = writeln!(line, " {:>9} {name}", self.templates);
        line
    }
}

fn width(state: &str) -> usize {
    state.len().max(7)
}

/// The counts as a table: a line for each server, and one for all.
pub(super) fn counts(counts: &[Count]) -> String {
    let mut rows: BTreeMap<(ServiceKey, Endpoint), Row> = BTreeMap::new();
    let (mut all, mut seen) = (Row::default(), BTreeSet::new());
    for count in counts {
        rows.entry((count.service.into(), count.server))
            .or_default()
            .add(count);
        all.add(count);
        if !count.template {
            seen.insert(count.state.as_str());
        }
    }
    let mut states = StateName::all();
    states.retain(|state| seen.contains(state));
    let mut text = format!("{:>8}", "conns");
    for state in &states {
        let _ = write!(text, " {state:>width$}", width = width(state));
    }
    let _ = writeln!(text, " {:>9} {:<21} service", "templates", "server");
    for ((key, server), row) in rows {
        let server = server.to_string();
        text += &row.line(&states, &format!("{server:<21} {}", service(key.into())));
    }
    text + &all.line(&states, "all")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Connection {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_connection_is_a_line_that_begins_as_ipvsadms() {
        let tcp = told(
            r#"{"protocol":"TCP","client":"203.0.113.5:50000","virtual_address":"10.0.0.1:80",
            "server":"192.168.1.2:8080","method":"nat","state":"ESTABLISHED","expires":899,"template":false,
            "packets":12,"service":{"protocol":"tcp","address":"10.0.0.1","port":80}}"#,
        );
        let fullnat = told(
            r#"{"protocol":"SCTP","client":"[2001:db8::99]:50003","virtual_address":"[2001:db8::80]:443",
            "server":"[2001:db8::a0a0]:8443","local":"[2001:db8::2]:1024","method":"fullnat","state":"C-ECHOED",
            "expires":35999,"template":false,"packets":4294967295,
            "service":{"protocol":"fwm","ipv6":true,"mark":7}}"#,
        );
        let lines = [HEADER.to_owned(), connection(&tcp), connection(&fullnat)];
        let seen = [
            "pro expire state       source             virtual            destination        local              forward packets service",
            "TCP 14:59  ESTABLISHED 203.0.113.5:50000  10.0.0.1:80        192.168.1.2:8080   -                  nat     12      -t 10.0.0.1:80",
            "SCTP 599:59 C-ECHOED    [2001:db8::99]:50003 [2001:db8::80]:443 [2001:db8::a0a0]:8443 [2001:db8::2]:1024 fullnat 4294967295 -f 7 -6",
        ];
        assert_eq!(lines, seen);
    }

    fn count(server: &str, state: &str, template: bool, count: u64) -> Count {
        let key = match server.starts_with('[') {
            true => r#"{"protocol":"udp","address":"fd00::1","port":53}"#,
            false => r#"{"protocol":"tcp","address":"10.0.0.1","port":80}"#,
        };
        let json = format!(
            r#"{{"service":{key},"server":"{server}","protocol":"TCP","state":"{state}","template":{template},"count":{count}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn counts_are_a_table() {
        let told = [
            count("[fd00::2]:53", "UDP", false, 1_000_000),
            count("10.1.0.2:8080", "FIN_WAIT", false, 2),
            count("10.1.0.1:8080", "ESTABLISHED", false, 10),
            count("10.1.0.1:8080", "FIN_WAIT", false, 3),
            count("10.1.0.1:8080", "NONE", true, 4),
            count("10.1.0.1:8080", "ASSURED", true, 5),
        ];
        let seen = "   conns ESTABLISHED FIN_WAIT     UDP templates server                service
      13          10        3       0         9 10.1.0.1:8080         -t 10.0.0.1:80
       2           0        2       0         0 10.1.0.2:8080         -t 10.0.0.1:80
 1000000           0        0 1000000         0 [fd00::2]:53          -u [fd00::1]:53
 1000015          10        5 1000000         9 all
";
        assert_eq!(counts(&told), seen);
        let none = "   conns templates server                service\n       0         0 all\n";
        assert_eq!(counts(&[]), none);
    }
}
