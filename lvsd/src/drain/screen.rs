//! Where a drain says what: on a terminal one line that is written anew, elsewhere a line every few seconds, for programs
//! JSON.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use super::course::{Course, Left};
use super::options::Options;
use super::report::{Event, Verdict, progress};
use crate::top::terminal;

/// Without a terminal, how it stands is said at most so often.
const SELDOM: Duration = Duration::from_secs(5);

/// The process's outputs.
pub(super) struct Screen {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    kind: Kind,
    /// When it was last said how things stand.
    said: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Terminal,
    Lines,
    Json,
}

impl Screen {
    /// Those of this process.
    pub(super) fn of_process(json: bool) -> Self {
        let kind = match (json, io::stderr().is_terminal()) {
            (true, _) => Kind::Json,
            (false, true) => Kind::Terminal,
            (false, false) => Kind::Lines,
        };
        Self::new(kind, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    pub(super) fn new(kind: Kind, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self {
            out,
            err,
            kind,
            said: None,
        }
    }

    /// What people should know.
    pub(super) fn note(&mut self, message: &str) {
        match self.kind {
            Kind::Json => self.event(&Event::Note { message }),
            _ => self.line(message),
        }
    }

    pub(super) fn moved(&mut self, count: u64) {
        match self.kind {
            Kind::Json => self.event(&Event::Moved { count }),
            _ if count == 0 => {}
            _ => self.line(&format!(
                "{count} UDP clients and templates moved to other servers"
            )),
        }
    }

    /// How it stands, unless that was said just now.
    pub(super) fn progress(&mut self, options: &Options, left: Left, now: Duration) {
        let is_early = self.said.is_some_and(|said| now < said + SELDOM);
        if self.kind != Kind::Terminal && is_early {
            return;
        }
        self.said = Some(now);
        match self.kind {
            Kind::Json => self.event(&Event::Progress {
                left,
                seconds: now.as_secs(),
                seconds_left: options.deadline.map(|d| d.saturating_sub(now).as_secs()),
            }),
            Kind::Lines => self.line(&progress(options, left, now)),
            Kind::Terminal => {
                let width = terminal::size(&io::stderr()).map_or(80, |size| size.columns);
                // The last column stays free: a line that has filled it may have begun the next.
                let text: String = progress(options, left, now)
                    .chars()
                    .take(width.saturating_sub(1))
                    .collect();
                // If it cannot be said it is still done.
                let _ = write!(self.err, "\r{text}{CLEAR}").and_then(|()| self.err.flush());
            }
        }
    }

    /// The last word.
    pub(super) fn end(&mut self, verdict: &Verdict, course: &Course, now: Duration) {
        if self.kind == Kind::Json {
            return self.event(&Event::End {
                outcome: verdict.outcome,
                left: course.left(),
                seconds: now.as_secs(),
                message: &verdict.message,
                undo: course.undo(),
                exit: verdict.exit,
            });
        }
        self.clear();
        let is_good = matches!(verdict.exit, 0 | 3);
        let to = if is_good {
            &mut self.out
        } else {
            &mut self.err
        };
        let who = if is_good { "" } else { "lvsd drain: " };
        let _ = writeln!(to, "{who}{}", verdict.message);
        for line in &verdict.advice {
            let _ = writeln!(self.err, "{line}");
        }
    }

    fn line(&mut self, text: &str) {
        self.clear();
        let _ = writeln!(self.err, "{text}");
    }

    fn clear(&mut self) {
        if self.kind == Kind::Terminal {
            let _ = write!(self.err, "\r{CLEAR}");
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        let line = serde_json::to_string(event).unwrap_or_default();
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

/// Clears the line from here on.
const CLEAR: &str = "\x1b[K";
