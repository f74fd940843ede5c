//! Playing a trace: each step is given to the host, and what comes of it is kept in the trace's own form.

use std::fmt::Write as _;

use lvs_core::sysctl::SysctlError;
use lvs_core::{ConfigError, ConnInfo, Endpoint};
use lvs_fwd::classify::Rule;
use serde_json::{Value, json};

use super::engine::Fate;
use super::host::{Host, Sent};
use super::trace::{Action, Object, Step, hex};
use crate::adm::execute;
use crate::adm::listing::{self, Layout};
use crate::control::table::Service;
use crate::rules::{Names, What};

/// A host in the midst of a trace.
pub(super) struct Player<'n> {
    host: Host,
    /// The newest first: where several match, the packet keeps the mark that was set last.
    marks: Vec<Rule>,
    names: &'n dyn Names,
}

/// What came of a step.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Such steps have none.
    Nothing,
    /// ipvsadm's exit status, and what it said if that is not 0.
    Command { exit: u8, said: String },
    /// What was sent because of a packet.
    Packets { fate: Fate, sent: Vec<Sent> },
    /// The connections, sorted.
    Conns(Vec<Row>),
    /// The services as ipvsadm lists them, with their statistics.
    Services {
        lines: Vec<String>,
        stats: Vec<String>,
    },
}

/// A connection: protocol, client, virtual service, real server, state, seconds left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) texts: [String; 5],
    pub(super) left: u64,
}

impl<'n> Player<'n> {
    /// A host before its first step. `names` is asked for names that occur in commands.
    pub(super) fn new(names: &'n dyn Names) -> Self {
        Self {
            host: Host::new(),
            marks: Vec::new(),
            names,
        }
    }

    /// Sets the clock and takes the step. An error is the trace's: a setting that does not exist.
    pub(super) fn play(&mut self, step: &Step) -> Result<Outcome, String> {
        let engine = &mut self.host.engine;
        if let Some(at) = step.at {
            engine.advance(at);
        }
        let director = engine.director().clone();
        Ok(match &step.action {
            Action::Adm(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                match execute::run(&director, &words, self.names) {
                    Ok(()) => Outcome::Command {
                        exit: 0,
                        said: String::new(),
                    },
                    Err(e) => Outcome::Command {
                        exit: e.exit,
                        said: e.message,
                    },
                }
            }
            Action::In(side, ip) => {
                let (fate, sent) = self.host.receive(*side, ip);
                Outcome::Packets { fate, sent }
            }
            Action::Sysctl(name, value) => {
                let mut sysctls = director.config().sysctls().clone();
                match sysctls.set(name, value) {
                    // What does nothing here makes no difference.
                    Ok(()) | Err(SysctlError::Meaningless(_)) => {}
                    Err(e) => return Err(format!("{name}: {e}")),
                }
                let set = director.edit(|draft| {
                    draft.set_sysctls(sysctls);
                    Ok::<_, ConfigError>(())
                });
                set.map_err(|e| format!("{name}: {e}"))?;
                Outcome::Nothing
            }
            Action::Mark(rule) => {
                self.marks.insert(0, rule.clone());
                engine.set_marks(self.marks.clone());
                Outcome::Nothing
            }
            Action::Sleep(time) => {
                engine.run_on(*time);
                Outcome::Nothing
            }
            Action::ShowConns => {
                let mut all = Vec::new();
                director.connections(engine.now(), |conn| all.push(conn));
                let mut rows: Vec<Row> = all.iter().map(Row::of).collect();
                rows.sort();
                Outcome::Conns(rows)
            }
            Action::ShowServices => {
                let mut services = Service::all(&director.config());
                listing::sort(&mut services);
                let lines = |what| listing::lines(&services, &Layout::numeric(what));
                Outcome::Services {
                    lines: lines(What::Services),
                    stats: lines(What::Stats),
                }
            }
        })
    }
}

impl Row {
    fn of(conn: &ConnInfo) -> Self {
        let endpoint = |e: Endpoint| format!("{}:{}", e.ip, e.port);
        Self {
            texts: [
                listing::protocol_name(conn.protocol),
                endpoint(conn.client),
                endpoint(conn.virt),
                endpoint(conn.dest),
                conn.state.to_string(),
            ],
            left: conn.expires_in.as_secs(),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let texts = self.texts.iter().map(|t| json!(t));
        texts.chain([json!(self.left)]).collect()
    }
}

impl Sent {
    pub(super) fn to_json(&self) -> Value {
        json!({"side": self.side.letter(), "via": self.via, "ip": hex(&self.ip)})
    }
}

impl Outcome {
    /// The step's line with this outcome in place of the recorded one, keys in their order.
    pub(super) fn line(&self, step: &Step) -> String {
        const KEYS: [&str; 7] = ["rc", "err", "out", "verdict", "conns", "services", "stats"];
        let kept = step
            .json
            .iter()
            .filter(|(key, _)| !KEYS.contains(&key.as_str()));
        let mut line: Object = kept
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut put = |key: &str, value: Value| {
            line.insert(key.to_owned(), value);
        };
        match self {
            Self::Nothing => {}
            Self::Command { exit, said } => {
                put("rc", json!(exit));
                if *exit != 0 {
                    put("err", json!(said));
                }
            }
            Self::Packets { fate, sent } => {
                put("out", sent.iter().map(Sent::to_json).collect());
                if matches!(fate, Fate::Passed(_)) {
                    put("verdict", json!("pass"));
                }
            }
            Self::Conns(rows) => put("conns", rows.iter().map(Row::to_json).collect()),
            Self::Services { lines, stats } => {
                put("services", json!(lines));
                put("stats", json!(stats));
            }
        }
        spaced(&Value::Object(line))
    }
}

/// JSON with a blank after each comma and colon, as traces have it.
pub(super) fn spaced(value: &Value) -> String {
    let mut text = String::new();
    write_spaced(value, &mut text);
    text
}

fn write_spaced(value: &Value, text: &mut String) {
    let between = |i: usize| if i == 0 { "" } else { ", " };
    // Writing to a string cannot fail.
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(between(i));
                write_spaced(item, text);
            }
            text.push(']');
        }
        Value::Object(object) => {
            text.push('{');
            for (i, (key, item)) in object.iter().enumerate() {
                let _ = write!(text, "{}{}: ", between(i), Value::from(key.as_str()));
                write_spaced(item, text);
            }
            text.push('}');
        }
        plain => {
            let _ = write!(text, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::trace::Trace;

    #[test]
    fn json_is_written_as_it_is_read() {
        for text in [
            r#"{"b": 0.562, "a": [], "c": {"x": [1, "é\"\n"]}, "d": {}, "e": null, "f": -1}"#,
            "[]",
            r#"{"t": 1.0}"#,
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(spaced(&value), text);
        }
    }

    #[test]
    fn an_outcome_takes_the_recorded_ones_place() {
        let source = br#"{"t": 1, "adm": "-C", "note": "kept", "rc": 0}"#;
        let step = &Trace::parse(source).unwrap().steps[0];
        let said = "no".to_owned();
        let line = Outcome::Command { exit: 2, said }.line(step);
        assert_eq!(
            line,
            r#"{"t": 1, "adm": "-C", "note": "kept", "rc": 2, "err": "no"}"#
        );
    }
}
