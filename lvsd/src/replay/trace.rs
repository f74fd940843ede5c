//! Reading traces: JSON lines, each a step in a director's life.
//!
//! A trace comes from outside, so whatever is wrong with it is said with its line; nothing in it is
//! believed before it has been looked at. What a step of ours leaves out ([`Step::json`] has it all) is printed
//! again as it was read.

use std::fmt;
use std::time::Duration;

use lvs_core::{Ip, Protocol, Time};
use lvs_fwd::classify::{Prefix, Rule};
use serde_json::{Map, Value};

/// A JSON object, its keys in the order in which they were read.
pub(super) type Object = Map<String, Value>;

/// The longest packet IP has.
const MAX_PACKET: usize = 65_535;

/// The latest moment, in seconds: ten years. A clock that jumps further is a mistake.
const MAX_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// A trace.
#[derive(Debug)]
pub(super) struct Trace {
    /// The first line, which names the scenario, if there is one.
    pub(super) header: Option<Object>,
    pub(super) steps: Vec<Step>,
}

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    /// Its line, counted from 1.
    pub(super) line: usize,
    /// When it began, on the scenario's clock. Without one it follows the step before at once.
    pub(super) at: Option<Time>,
    pub(super) action: Action,
    /// The line as it was read, with what had come of the step if the trace was recorded.
    pub(super) json: Object,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Action {
    /// Runs ipvsadm with these arguments.
    Adm(Vec<String>),
    /// One packet arrives.
    In(Side, Vec<u8>),
    /// Sets a setting of `net.ipv4.vs`.
    Sysctl(String, String),
    /// Marks packets from now on.
    Mark(Rule),
    /// Lets the clock run on.
    Sleep(Duration),
    /// Lists the connections.
    ShowConns,
    /// Lists the services.
    ShowServices,
}

/// One of the director's two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Side {
    /// The clients'.
    Clients,
    /// The real servers'.
    Servers,
}

impl Side {
    /// Its letter in traces.
    pub(super) const fn letter(self) -> &'static str {
        match self {
            Self::Clients => "c",
            Self::Servers => "r",
        }
    }

    pub(super) fn from_letter(letter: &str) -> Option<Self> {
        [Self::Clients, Self::Servers]
            .into_iter()
            .find(|s| s.letter() == letter)
    }
}

/// What is wrong with a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TraceError {
    /// The line, counted from 1.
    pub(super) line: usize,
    pub(super) message: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl Trace {
    /// Reads a whole trace.
    pub(super) fn parse(source: &[u8]) -> Result<Self, TraceError> {
        let mut trace = Self {
            header: None,
            steps: Vec::new(),
        };
        let mut last = Time::default();
        for (line, bytes) in (1..).zip(source.split(|b| *b == b'\n')) {
            let fail = |message: String| TraceError { line, message };
            let bytes = bytes.trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            let json: Object = serde_json::from_slice(bytes).map_err(|e| {
                // The parser counts lines too, and each of ours is its first.
                let text = e.to_string();
                let what = text.split(" at line ").next().unwrap_or_default();
                fail(format!("not a JSON object: {what} (column {})", e.column()))
            })?;
            let is_first = trace.header.is_none() && trace.steps.is_empty();
            if is_first && json.contains_key("name") {
                trace.header = Some(json);
                continue;
            }
            let at = json
                .get("t")
                .map(|t| time(t, last))
                .transpose()
                .map_err(fail)?;
            last = at.unwrap_or(last);
            let action = Action::of(&json).map_err(fail)?;
            trace.steps.push(Step {
                line,
                at,
                action,
                json,
            });
        }
        Ok(trace)
    }
}

fn time(t: &Value, last: Time) -> Result<Time, String> {
    let seconds = t.as_f64().filter(|s| (0.0..=MAX_SECONDS).contains(s));
    let seconds = seconds.ok_or_else(|| format!("\"t\" is no time in seconds: {t}"))?;
    let time = Time::from_millis((seconds * 1000.0).round() as u64);
    match time >= last {
        true => Ok(time),
        false => Err(format!("\"t\" goes back in time, to {t}")),
    }
}

impl Action {
    fn of(json: &Object) -> Result<Self, String> {
        const KINDS: [&str; 6] = ["adm", "in", "sysctl", "mark", "sleep", "show"];
        let mut kinds = KINDS
            .iter()
            .filter_map(|kind| Some((*kind, json.get(*kind)?)));
        let (kind, value) = kinds
            .next()
            .ok_or_else(|| format!("no step; one of these is wanted: {}", KINDS.join(", ")))?;
        if let Some((other, _)) = kinds.next() {
            return Err(format!("two steps in one line, \"{kind}\" and \"{other}\""));
        }
        let text = || text(value).ok_or_else(|| format!("\"{kind}\" is no text: {value}"));
        match kind {
            "adm" => Ok(Self::Adm(
                text()?.split_whitespace().map(str::to_owned).collect(),
            )),
            "in" => packet(value),
            "sysctl" => match text()?.split_once('=') {
                Some((name, value)) => Ok(Self::Sysctl(name.trim().to_owned(), value.to_owned())),
                None => Err(format!("\"sysctl\" is no NAME=VALUE: {value}")),
            },
            "mark" => mark(value).map(Self::Mark),
            "sleep" => {
                let seconds = value.as_f64().filter(|s| (0.0..=MAX_SECONDS).contains(s));
                let seconds = seconds.ok_or_else(|| format!("\"sleep\" is no time: {value}"))?;
                Ok(Self::Sleep(Duration::from_secs_f64(seconds)))
            }
            _ => match text()? {
                "conns" => Ok(Self::ShowConns),
                "services" => Ok(Self::ShowServices),
                _ => Err(format!(
                    "\"show\" can be \"conns\" or \"services\", not {value}"
                )),
            },
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

fn packet(value: &Value) -> Result<Action, String> {
    let side = value.get("side").and_then(text).and_then(Side::from_letter);
    let side = side.ok_or("a packet wants a \"side\", \"c\" or \"r\"")?;
    let hex = value
        .get("ip")
        .and_then(text)
        .ok_or("a packet wants its bytes as \"ip\"")?;
    Ok(Action::In(side, unhex(hex)?))
}

/// The bytes of a packet written in hexadecimal digits.
pub(super) fn unhex(hex: &str) -> Result<Vec<u8>, String> {
    if hex.len() > 2 * MAX_PACKET {
        return Err(format!("a packet of more than {MAX_PACKET} bytes"));
    }
    let digit = |d: u8| char::from(d).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or_else(|| "a packet is not in pairs of hexadecimal digits".to_owned())
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |b: &u8| [b >> 4, b & 15].map(|d| char::from(DIGITS[usize::from(d)]));
    bytes.iter().flat_map(digits).collect()
}

fn mark(value: &Value) -> Result<Rule, String> {
    let want = |key: &str| {
        value
            .get(key)
            .ok_or_else(|| format!("a mark wants \"{key}\""))
    };
    let wrong = |key: &str| format!("the mark's \"{key}\" is wrong: {}", value[key]);
    let mark = want("mark")?.as_u64().and_then(|m| u32::try_from(m).ok());
    let dst = text(want("dst")?).and_then(|d| d.parse::<Ip>().ok());
    let protocol = match text(want("proto")?) {
        Some("tcp") => Protocol::TCP,
        Some("udp") => Protocol::UDP,
        Some("sctp") => Protocol::SCTP,
        _ => return Err(wrong("proto")),
    };
    let ports = text(want("dport")?).and_then(|ports| {
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some(first..=last)
    });
    Ok(Rule {
        mark: mark.ok_or_else(|| wrong("mark"))?,
        destination: Some(Prefix::single(dst.ok_or_else(|| wrong("dst"))?)),
        protocol: Some(protocol),
        destination_ports: Some(ports.ok_or_else(|| wrong("dport"))?),
        ..Rule::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Step, String> {
        let trace = Trace::parse(line.as_bytes()).map_err(|e| e.message)?;
        Ok(trace.steps.into_iter().next().unwrap())
    }

    #[test]
    fn every_kind_of_step_is_read() {
        let source = br#"{"name": "x", "about": ""}
            {"t": 0.0125, "adm": "-A  -t 10.0.0.1:80"}

            {"t": 1, "in": {"side": "r", "ip": "4500fF"}}
            {"sysctl": "conntrack=1"}
            {"mark": {"family": "ip", "dst": "10.0.0.1", "proto": "udp", "dport": "5000-5009", "mark": 9}}
            {"sleep": 2}
            {"show": "conns"}
            {"show": "services", "services": []}"#;
        let trace = Trace::parse(source).unwrap();
        assert_eq!(trace.header.unwrap()["name"], "x");
        let [adm, packet, sysctl, mark, sleep, conns, services] = &trace.steps[..] else {
            panic!("{:?}", trace.steps);
        };
        assert_eq!((adm.line, adm.at), (2, Some(Time::from_millis(13))));
        assert!(matches!(&adm.action, Action::Adm(words) if words == &["-A", "-t", "10.0.0.1:80"]));
        assert!(matches!(&packet.action, Action::In(Side::Servers, b) if b == &[0x45, 0, 0xff]));
        assert_eq!((packet.line, packet.at), (4, Some(Time::from_secs(1))));
        assert!(matches!(&sysctl.action, Action::Sysctl(n, v) if n == "conntrack" && v == "1"));
        assert_eq!(sysctl.at, None);
        let Action::Mark(rule) = &mark.action else {
            panic!()
        };
        assert_eq!(
            (rule.mark, rule.destination_ports.clone()),
            (9, Some(5000..=5009))
        );
        assert!(matches!(sleep.action, Action::Sleep(d) if d == Duration::from_secs(2)));
        assert!(matches!(conns.action, Action::ShowConns));
        assert!(matches!(services.action, Action::ShowServices));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, word) in [
            ("{", "EOF"),
            ("[]", "JSON object"),
            ("{}", "no step"),
            (r#"{"adm": "-C", "sleep": 1}"#, "two steps"),
            (r#"{"adm": 1}"#, "no text"),
            (r#"{"t": -1, "adm": ""}"#, "\"t\""),
            (r#"{"t": 1e300, "adm": ""}"#, "\"t\""),
            (r#"{"t": "1", "adm": ""}"#, "\"t\""),
            (r#"{"sleep": 1e18}"#, "sleep"),
            (r#"{"in": {"side": "x", "ip": "45"}}"#, "side"),
            (r#"{"in": {"side": "c"}}"#, "ip"),
            (r#"{"in": {"side": "c", "ip": "450"}}"#, "pairs"),
            (r#"{"in": {"side": "c", "ip": "4é"}}"#, "pairs"),
            (r#"{"sysctl": "x"}"#, "NAME=VALUE"),
            (r#"{"show": "x"}"#, "conns"),
            (r#"{"mark": 7}"#, "mark"),
            (
                r#"{"mark": {"mark": 1, "dst": "x", "proto": "tcp", "dport": "1"}}"#,
                "dst",
            ),
            (
                r#"{"mark": {"mark": 1, "dst": "::1", "proto": "ip", "dport": "1"}}"#,
                "proto",
            ),
            (
                r#"{"mark": {"mark": 1, "dst": "::1", "proto": "tcp", "dport": "2-1"}}"#,
                "dport",
            ),
            (
                r#"{"mark": {"mark": 4294967296, "dst": "::1", "proto": "tcp", "dport": "1"}}"#,
                "mark",
            ),
        ] {
            let e = one(line).unwrap_err();
            assert!(e.contains(word), "{line}: {e}");
        }
        let long = format!(
            r#"{{"in": {{"side": "c", "ip": "{}"}}}}"#,
            "00".repeat(65_536)
        );
        assert!(one(&long).unwrap_err().contains("65535"));
        let back =
            Trace::parse(b"{\"t\": 2, \"adm\": \"\"}\n{\"t\": 1, \"adm\": \"\"}").unwrap_err();
        assert_eq!(back.to_string(), "line 2: \"t\" goes back in time, to 1");
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)).unwrap(), all);
    }
}
