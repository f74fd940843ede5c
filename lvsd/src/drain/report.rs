//! What a drain tells people and programs.

use std::fmt::Write as _;
use std::time::Duration;

use lvs_core::ServiceKey;
use serde::Serialize;

use super::course::{Course, End, Left};
use super::options::Options;
use crate::span::short;

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
    let exit = |left: &Left| if left.connections() == 0 { 0 } else { 3 };
    let (outcome, exit, message) = match end {
        End::NoService => ("no-service", 1, format!("there is no service {service}")),
        End::NoServer(others) => {
            let message = format!("{service} has no server {server}; it has {}", some(others));
            ("no-server", 1, message)
        }
        End::Removed(l) if l.connections() == 0 => {
            let message =
                format!("{server} is removed from {service} after {after}: no connection was left");
            ("removed", 0, message)
        }
        End::Removed(l) => {
            let cut = format!("{} cut", left(l));
            (
                "removed",
                3,
                format!("{server} is removed from {service} after {after}: {cut}"),
            )
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
            ("kept", 3, message)
        }
        End::Gone(l) => {
            let message = format!(
                "somebody else has removed {server} from {service} after {after}: {} left",
                left(l)
            );
            ("gone", exit(l), message)
        }
        End::CalledOff(weight) => {
            let message = format!(
                "somebody else has given {server} of {service} weight {weight}: it is theirs again, and stays"
            );
            ("called-off", 1, message)
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
        exit: u8::try_from(128 + signal).unwrap_or(u8::MAX),
        message,
        advice,
    }
}

/// That the daemon cannot be asked, or refuses.
pub(super) fn failed(options: &Options, course: &Course, trouble: &str) -> Verdict {
    Verdict {
        outcome: "failed",
        exit: 1,
        message: trouble.to_owned(),
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
        false => format!(
            "'{}'",
            word.escape_debug()
                .to_string()
                .replace("\\'", "'")
                .replace('\'', "'\\''")
        ),
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
