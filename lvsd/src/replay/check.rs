//! Comparing what came of a step with what was recorded.
//!
//! Compared are exit statuses, packets byte for byte with their network and next hop, connections and services; the
//! clock, messages and statistics are not. A connection may have 2 seconds more or less left, and one with no more than
//! 2 may be gone on the other side. What may differ in a packet is in [`same`](super::same).
//!
//! A recorded director that puts fragments together sends nothing before it has all of a datagram, ours sends each on
//! at once. So packets are compared over all consecutive steps with fragments of one datagram, taken together.

use std::fmt;

use serde_json::{Value, json};

use super::engine::Fate;
use super::host::Sent;
use super::play::{Outcome, Player, Row, spaced};
use super::same::{Datagram, completed, is_the_hosts, normal};
use super::trace::{Action, Object, Side, Step, Trace, TraceError, unhex};
use crate::rules::Names;

/// Seconds by which what is left of a connection may differ.
const TOLERANCE: u64 = 2;

/// Why a trace fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// It is not a trace, or nothing was recorded.
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Something else came of a step than was recorded.
    Differs(Box<Difference>),
}

/// The first difference between a recorded director and ours.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The step, counted from 1.
    pub step: usize,
    /// Its line in the file, counted from 1.
    pub line: usize,
    /// What was done.
    pub action: String,
    /// What differs: `rc`, `out`, `conns` or `services`.
    pub field: &'static str,
    /// What was recorded; of a list, what we have not.
    pub expected: Vec<String>,
    /// What came; of a list, what was not recorded.
    pub got: Vec<String>,
    /// How ours came to it.
    pub because: String,
}

impl From<TraceError> for Failure {
    fn from(TraceError { line, message }: TraceError) -> Self {
        Self::Malformed { line, message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, message } => write!(f, "line {line}: {message}"),
            Self::Differs(d) => d.fmt(f),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "step {} (line {}): {} differs",
            self.step, self.line, self.field
        )?;
        write!(f, "  step      {}", self.action)?;
        for (name, list) in [("expected", &self.expected), ("got", &self.got)] {
            if list.is_empty() {
                write!(f, "\n  {name:<8}  nothing")?;
            }
            for (i, text) in list.iter().enumerate() {
                write!(f, "\n  {:<8}  {text}", if i == 0 { name } else { "" })?;
            }
        }
        match self.because.as_str() {
            "" => Ok(()),
            because => write!(f, "\n  because   {because}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Plays a trace and compares. Returns how many steps it has.
///
/// # Errors
///
/// The first difference, or what is wrong with the trace.
pub fn check(source: &[u8], names: &dyn Names) -> Result<usize, Failure> {
    let trace = Trace::parse(source)?;
    if trace.steps.is_empty() {
        return Err(Failure::Malformed {
            line: 1,
            message: "there is no step to check".to_owned(),
        });
    }
    let mut player = Player::new(names);
    let mut fragments: Option<Group<'_>> = None;
    for (number, step) in (1..).zip(&trace.steps) {
        let fail = |message: String| TraceError {
            line: step.line,
            message,
        };
        let outcome = player.play(step).map_err(fail)?;
        if let Outcome::Packets { fate, sent } = outcome {
            let mut group = Group::new(number, step, fate, sent)?;
            if let Some(before) = fragments.take() {
                match before.datagram == group.datagram {
                    true => group = before.joined(group),
                    false => before.check()?,
                }
            }
            match group.datagram {
                Some(_) => fragments = Some(group),
                None => group.check()?,
            }
            continue;
        }
        if let Some(group) = fragments.take() {
            group.check()?;
        }
        let differs = |(field, expected, got)| {
            Failure::at((number, step), field, expected, got, String::new())
        };
        compare(step, &outcome)
            .map_err(fail)?
            .map(differs)
            .map_or(Ok(()), Err)?;
    }
    fragments.map_or(Ok(()), Group::check)?;
    Ok(trace.steps.len())
}

impl Failure {
    /// A difference at a step.
    fn at(
        (number, step): (usize, &Step),
        field: &'static str,
        expected: Vec<String>,
        got: Vec<String>,
        because: String,
    ) -> Self {
        // What was done, without what came of it.
        let kinds = ["t", "adm", "in", "sysctl", "mark", "sleep", "show"];
        let done = step
            .json
            .iter()
            .filter(|(key, _)| kinds.contains(&key.as_str()));
        let done: Object = done.map(|(k, v)| (k.clone(), v.clone())).collect();
        Self::Differs(Box::new(Difference {
            step: number,
            line: step.line,
            action: spaced(&Value::Object(done)),
            field,
            expected,
            got,
            because,
        }))
    }
}

type Comparison = Option<(&'static str, Vec<String>, Vec<String>)>;

/// What differs between the recorded outcome of a step and this one. Packets are not compared here.
fn compare(step: &Step, outcome: &Outcome) -> Result<Comparison, String> {
    let recorded = |key: &str| {
        let value = step.json.get(key);
        value.ok_or_else(|| format!("no \"{key}\" was recorded to compare with"))
    };
    Ok(match outcome {
        Outcome::Nothing | Outcome::Packets { .. } => None,
        Outcome::Command { exit, said } => {
            let expected = recorded("rc")?;
            let got = || {
                if *exit == 0 {
                    exit.to_string()
                } else {
                    format!("{exit} ({said})")
                }
            };
            (*expected != json!(exit)).then(|| ("rc", vec![expected.to_string()], vec![got()]))
        }
        Outcome::Conns(rows) => {
            let expected = recorded("conns")?.as_array();
            let expected = expected.and_then(|rows| rows.iter().map(row).collect());
            let expected: Vec<Row> = expected.ok_or("\"conns\" is no list of connections")?;
            let (missing, extra) = compare_rows(expected, rows.clone());
            let texts = |rows: Vec<Row>| rows.iter().map(|r| spaced(&r.to_json())).collect();
            (!missing.is_empty() || !extra.is_empty())
                .then(|| ("conns", texts(missing), texts(extra)))
        }
        Outcome::Services { lines, .. } => {
            let expected = recorded("services")?;
            let texts = |v: &Value| spaced(v);
            (*expected != json!(lines)).then(|| {
                let expected = expected
                    .as_array()
                    .map_or(Vec::new(), |all| all.iter().map(texts).collect());
                (
                    "services",
                    expected,
                    lines.iter().map(|l| texts(&json!(l))).collect(),
                )
            })
        }
    })
}

fn row(value: &Value) -> Option<Row> {
    let [a, b, c, d, e, left] = &value.as_array()?[..] else {
        return None;
    };
    let text = |v: &Value| v.as_str().map(str::to_owned);
    Some(Row {
        texts: [text(a)?, text(b)?, text(c)?, text(d)?, text(e)?],
        left: left.as_u64()?,
    })
}

/// The rows that only the one and only the other has, but for those that the clock explains.
fn compare_rows(expected: Vec<Row>, mut got: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    let mut missing = Vec::new();
    for row in expected {
        let near =
            |other: &Row| row.texts == other.texts && row.left.abs_diff(other.left) <= TOLERANCE;
        match got.iter().position(near) {
            Some(i) => drop(got.remove(i)),
            None => missing.push(row),
        }
    }
    let lasting = |r: &Row| r.left > TOLERANCE;
    missing.retain(lasting);
    got.retain(lasting);
    (missing, got)
}

/// A packet, or the consecutive fragments of one datagram, with what came of them.
struct Group<'s> {
    first: (usize, &'s Step),
    datagram: Option<Datagram>,
    arrived: Vec<&'s [u8]>,
    fates: Vec<Fate>,
    expected: Vec<Sent>,
    got: Vec<Sent>,
}

impl<'s> Group<'s> {
    fn new(number: usize, step: &'s Step, fate: Fate, sent: Vec<Sent>) -> Result<Self, TraceError> {
        let fail = |message: &str| TraceError {
            line: step.line,
            message: message.to_owned(),
        };
        let expected = step
            .json
            .get("out")
            .ok_or_else(|| fail("no \"out\" was recorded to compare with"))?;
        let expected = expected
            .as_array()
            .and_then(|all| all.iter().map(self::sent).collect());
        let ip: &[u8] = match &step.action {
            Action::In(_, ip) => ip,
            _ => &[],
        };
        Ok(Self {
            first: (number, step),
            datagram: Datagram::of(ip),
            arrived: vec![ip],
            fates: vec![fate],
            expected: expected.ok_or_else(|| fail("\"out\" is no list of packets"))?,
            got: sent,
        })
    }

    /// These fragments and further ones.
    fn joined(mut self, further: Self) -> Self {
        self.arrived.extend(further.arrived);
        self.fates.extend(further.fates);
        self.expected.extend(further.expected);
        self.got.extend(further.got);
        self
    }

    /// Whether all that was recorded is what this director sent. What it left to the host is right if the host's
    /// answers were recorded.
    fn check(self) -> Result<(), Failure> {
        let passed = |f: &Fate| matches!(f, Fate::Passed(_));
        let left_to_host = self.fates.iter().any(passed)
            && self.fates.iter().all(|f| passed(f) || *f == Fate::Held);
        let is_right = match left_to_host {
            true => self
                .expected
                .iter()
                .all(|s| is_the_hosts(&self.arrived, &s.ip)),
            false => {
                let recorded = |s: &Sent| Sent {
                    ip: completed(&s.ip),
                    ..s.clone()
                };
                let expected: Vec<Sent> = self.expected.iter().map(recorded).collect();
                self.normal(&expected) == self.normal(&self.got)
            }
        };
        if is_right {
            return Ok(());
        }
        let texts = |all: &[Sent]| all.iter().map(|s| spaced(&s.to_json())).collect();
        let because: Vec<String> = self.fates.iter().map(Fate::to_string).collect();
        Err(Failure::at(
            self.first,
            "out",
            texts(&self.expected),
            texts(&self.got),
            because.join("; "),
        ))
    }

    /// Packets as they are compared: without what may differ, and in an order of no meaning.
    fn normal(&self, packets: &[Sent]) -> Vec<Sent> {
        let normal = |s: &Sent| Sent {
            ip: normal(&self.arrived, &s.ip),
            ..s.clone()
        };
        let mut all: Vec<Sent> = packets.iter().map(normal).collect();
        all.sort();
        all
    }
}

fn sent(value: &Value) -> Option<Sent> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    Some(Sent {
        side: Side::from_letter(text("side")?)?,
        via: text("via")?.to_owned(),
        ip: unhex(text("ip")?).ok()?,
    })
}

#[cfg(test)]
mod tests;
