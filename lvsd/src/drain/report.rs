//! What a drain tells people and programs.

use std::fmt::Write as _;
use std::time::Duration;

use lvs_core::ServiceKey;
use serde::Serialize;

use super::course::{Course, End, Left};
use super::options::Options;
use crate::arguments::printable;
use crate::exit;
use crate::span::short;

/// Exit status: connections were left at the deadline.
const LEFT: u8 = 3;

/// A line of `--json`.
#[derive(Debug, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
pub(super) enum Event<'a> {
    /// What people should know.
    Note { message: &'a str },
    /// Connections and templates have been moved to other servers.
    Moved { count: u64 },
    /// How it stands.
    Progress {
        #[serde(flatten)]
        left: Left,
        seconds: u64,
        /// Until the deadline, if there is one.
        seconds_left: Option<u64>,
    },
    /// The last line.
    End {
        outcome: &'a str,
        #[serde(flatten)]
        left: Left,
        seconds: u64,
        message: &'a str,
        /// ipvsadm's words that give the server its weight back.
        undo: Option<Vec<String>>,
        exit: u8,
    },
}

/// How a drain ended, for people and for programs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: &'static str,
    pub(super) exit: u8,
    pub(super) message: String,
    /// Further lines: what can be done now.
    pub(super) advice: Vec<String>,
}

/// One line, below 80 columns for IPv4.
pub(super) fn progress(options: &Options, left: Left, now: Duration) -> String {
    let server = options.server;
    let time = match options.deadline {
        Some(deadline) => format!("{} left", short(deadline.saturating_sub(now))),
        None => format!("for {}", short(now)),
    };
    format!("{server}: {}; {time}", counts(left))
}

/// What is left, in the columns' names that ipvsadm has.
fn counts(left: Left) -> String {
    let Left {
        active,
        inactive,
        persistent,
        closed,
    } = left;
    let mut text = format!("{active} active, {inactive} inactive");
    if closed > 0 {
        let _ = write!(text, " ({closed} closed)");
    }
    let _ = write!(text, ", {persistent} persistent");
    text
}

/// How it ended after this time.
pub(super) fn verdict(options: &Options, course: &Course, end: &End, after: Duration) -> Verdict {
    let (service, server) = (ServiceKey::from(options.service), options.server);
    let after = short(after);
    let left = |left: &Left| {
        let (n, s) = (left.connections(), plural(left.connections()));
        format!("{n} connection{s} ({})", counts(*left))
    };
    let status = |left: &Left| match left.connections() {
        0 => 0,
        _ => LEFT,
    };
    let (outcome, exit, message) = match end {
        End::NoService => (
            "no-service",
            exit::FAILED,
            format!("there is no service {service}"),
        ),
        End::NoServer(others) => {
            let message = format!("{service} has no server {server}; it has {}", some(others));
            ("no-server", exit::FAILED, message)
        }
        End::Removed(l) if l.connections() == 0 => {
            let message =
                format!("{server} is removed from {service} after {after}: no connection was left");
            ("removed", 0, message)
        }
        End::Removed(l) => {
            let what = format!("{server} is removed from {service} after {after}");
            ("removed", LEFT, format!("{what}: {} cut", left(l)))
        }
        End::Kept {
            is_drained: true, ..
        } => {
            let message =
                format!("{server} of {service} is drained after {after}, and kept at weight 0");
            ("kept", 0, message)
        }
        End::Kept { left: l, .. } => {
            let message = format!(
                "{server} of {service} is kept at weight 0 after {after}: {} left",
                left(l)
            );
            ("kept", LEFT, message)
        }
        End::Gone(l) => {
            let message = format!(
                "somebody else has removed {server} from {service} after {after}: {} left",
                left(l)
            );
            ("gone", status(l), message)
        }
        End::CalledOff(weight) => {
            let message = format!(
                "somebody else has given {server} of {service} weight {weight}: it is theirs again, and stays"
            );
            ("called-off", exit::FAILED, message)
        }
    };
    let advice = match end {
        End::Removed(_) => told("have it back", options, course.undo()),
        End::Kept { .. } => {
            let mut lines = told("give it its weight back", options, course.undo());
            lines.extend(told("remove it", options, course.removal()));
            lines
        }
        _ => Vec::new(),
    };
    Verdict {
        outcome,
        exit,
        message,
        advice,
    }
}

/// That nobody waits any longer, since a signal came.
pub(super) fn stopped(options: &Options, course: &Course, signal: i32, args: &[String]) -> Verdict {
    let (service, server) = (ServiceKey::from(options.service), options.server);
    let message = format!(
        "stopped waiting: {server} of {service} stays at weight 0 with {}",
        counts(course.left())
    );
    let words = [&["lvsd".to_owned(), "drain".to_owned()], args].concat();
    let mut advice = vec![format!("  to go on:                 {}", typed(&words))];
    advice.extend(told("give it its weight back", options, course.undo()));
    Verdict {
        outcome: "stopped",
        exit: exit::by_signal(signal),
        message,
        advice,
    }
}

/// That the daemon cannot be asked, or refuses.
pub(super) fn failed(options: &Options, course: &Course, trouble: &str) -> Verdict {
    Verdict {
        outcome: "failed",
        exit: exit::FAILED,
        message: printable(trouble),
        // It may have begun.
        advice: told("give it its weight back", options, course.undo()),
    }
}

fn told(what: &str, options: &Options, words: Option<Vec<String>>) -> Vec<String> {
    let Some(words) = words else {
        return Vec::new();
    };
    let mut all = vec!["lvsd".to_owned(), "adm".to_owned()];
    if let Some(socket) = &options.socket {
        all.extend(["--socket".to_owned(), socket.clone()]);
    }
    all.extend(words);
    let what = format!("to {what}:");
    vec![format!("  {what:<25} {}", typed(&all))]
}

/// As one types it into a shell.
fn typed(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+[]".contains(c);
    let quoted = |word: &String| match !word.is_empty() && word.chars().all(is_plain) {
        true => word.clone(),
        false => format!("'{}'", printable(word).replace('\'', "'\\''")),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// The first of them.
fn some<T: ToString>(all: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<_> = all.iter().take(SHOWN).map(T::to_string).collect();
    match all.len() {
        0 => names.push("none".to_owned()),
        n if n > SHOWN => names.push(format!("{} more", n - SHOWN)),
        _ => {}
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::SystemNames;

    fn options(line: &str) -> Options {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Options::parse(&args, &SystemNames::default())
            .unwrap()
            .unwrap()
    }

    fn left(active: u64, inactive: u64, persistent: u64, closed: u64) -> Left {
        Left {
            active,
            inactive,
            persistent,
            closed,
        }
    }

    #[test]
    fn how_it_stands_is_one_short_line() {
        let timed = options("-t 10.0.0.1:80 -r 10.1.0.1:8080 --deadline 90s");
        let now = Duration::from_secs(28);
        assert_eq!(
            progress(&timed, left(3, 40, 2, 0), now),
            "10.1.0.1:8080: 3 active, 40 inactive, 2 persistent; 1m02s left"
        );
        assert_eq!(
            progress(&timed, left(0, 40, 0, 39), Duration::from_secs(100)),
            "10.1.0.1:8080: 0 active, 40 inactive (39 closed), 0 persistent; 0s left"
        );
        let for_ever = options("-t [fd00::1]:80 -r fd00::2 --deadline never");
        assert_eq!(
            progress(&for_ever, left(0, 0, 0, 0), now),
            "[fd00::2]:80: 0 active, 0 inactive, 0 persistent; for 28s"
        );
    }

    #[test]
    fn every_end_has_words_and_an_exit_status() {
        let options = options("-t 10.0.0.1:80 -r 10.1.0.1");
        let course = Course::new(options.clone());
        let five = ["10.1.0.2:80", "10.1.0.3:80"].map(|s| s.parse().unwrap());
        let many = vec![five[0]; 7];
        for (end, outcome, exit, words) in [
            (
                End::NoService,
                "no-service",
                1,
                "there is no service TCP 10.0.0.1:80",
            ),
            (
                End::NoServer(five.to_vec()),
                "no-server",
                1,
                "TCP 10.0.0.1:80 has no server 10.1.0.1:80; it has 10.1.0.2:80, 10.1.0.3:80",
            ),
            (End::NoServer(many), "no-server", 1, "10.1.0.2:80, 2 more"),
            (End::NoServer(Vec::new()), "no-server", 1, "it has none"),
            (
                End::Removed(left(0, 5, 2, 5)),
                "removed",
                0,
                "10.1.0.1:80 is removed from TCP 10.0.0.1:80 after 42s: no connection was left",
            ),
            (
                End::Removed(left(2, 5, 0, 4)),
                "removed",
                3,
                "after 42s: 3 connections (2 active, 5 inactive (4 closed), 0 persistent) cut",
            ),
            (
                End::Removed(left(1, 0, 0, 0)),
                "removed",
                3,
                ": 1 connection (1 active",
            ),
            (
                End::Kept {
                    left: left(0, 0, 1, 0),
                    is_drained: true,
                },
                "kept",
                0,
                "10.1.0.1:80 of TCP 10.0.0.1:80 is drained after 42s, and kept at weight 0",
            ),
            (
                End::Kept {
                    left: left(0, 0, 1, 0),
                    is_drained: false,
                },
                "kept",
                3,
                "is kept at weight 0 after 42s: 0 connections (0 active, 0 inactive, 1 persistent) left",
            ),
            (
                End::Gone(left(0, 0, 0, 0)),
                "gone",
                0,
                "somebody else has removed 10.1.0.1:80",
            ),
            (
                End::Gone(left(1, 0, 0, 0)),
                "gone",
                3,
                "1 connection (1 active",
            ),
            (
                End::CalledOff(7),
                "called-off",
                1,
                "somebody else has given",
            ),
        ] {
            let verdict = verdict(&options, &course, &end, Duration::from_secs(42));
            assert_eq!((verdict.outcome, verdict.exit), (outcome, exit), "{end:?}");
            assert!(
                verdict.message.contains(words),
                "{end:?}: {}",
                verdict.message
            );
        }
    }

    #[test]
    fn what_is_to_be_typed_can_be() {
        let words = [
            "lvsd",
            "adm",
            "--socket",
            "/tmp/my 'own'.sock",
            "-r",
            "[fd00::1]:80",
            "",
        ];
        let words = words.map(str::to_owned);
        let wanted = r"lvsd adm --socket '/tmp/my '\''own'\''.sock' -r [fd00::1]:80 ''";
        assert_eq!(typed(&words), wanted);
    }

    #[test]
    fn events_are_objects() {
        let event = Event::Progress {
            left: left(1, 2, 3, 4),
            seconds: 5,
            seconds_left: None,
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"progress","active":1,"inactive":2,"persistent":3,"closed":4,"seconds":5,"seconds_left":null}"#
        );
        let event = Event::End {
            outcome: "kept",
            left: left(0, 0, 0, 0),
            seconds: 5,
            message: "so",
            undo: Some(vec!["-e".to_owned()]),
            exit: 0,
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"end","outcome":"kept","active":0,"inactive":0,"persistent":0,"closed":0,"seconds":5,"message":"so","undo":["-e"],"exit":0}"#
        );
    }
}
