//! How everything is that is watched: for people who ask, for the log, and for whoever must act on it.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lvs_vrrp::config::Object;
use lvs_vrrp::status::ObjectState;

use super::Report;
use crate::span;

/// How an object is.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// Which.
    pub(crate) object: Object,
    /// How it is,
    pub(crate) state: ObjectState,
    /// since when, unless it is not known,
    pub(crate) since: Option<Instant>,
    /// and why: a phrase such as "failed (exit status 1) 3 times in a row".
    pub(crate) why: String,
    /// What there is to know about objects of its kind.
    pub(crate) detail: Detail,
}

/// Why it is as it is, and what else there is to know, as a phrase.
impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        match &self.detail {
            Detail::Script {
                running,
                last,
                runs,
                skipped,
            } => {
                if let Some(last) = last {
                    write!(f, "; {last}")?;
                }
                if let Some(began) = running {
                    write!(f, "; runs for {}", span::short(began.elapsed()))?;
                }
                write!(f, "; started {}", times(*runs))?;
                match skipped {
                    0 => Ok(()),
                    skipped => write!(f, ", left out {}", times(*skipped)),
                }
            }
            Detail::File { path } => write!(f, "; {}", path.display().to_string().escape_debug()),
            Detail::Processes { count: Some(count) } => write!(f, "; now {count}"),
            Detail::Processes { count: None } => Ok(()),
        }
    }
}

/// "the last run failed 3s ago, after 0.012 s: exit status 1: no route".
impl fmt::Display for LastRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did = if self.well { "succeeded" } else { "failed" };
        let ago = span::short(self.began.elapsed().saturating_sub(self.took));
        let took = self.took.as_secs_f64();
        write!(
            f,
            "the last run {did} {ago} ago, after {took:.3} s: {}",
            self.how
        )?;
        match &*self.said {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        number => format!("{number} times"),
    }
}

/// What there is to know about an object of a kind.
#[derive(Clone, Debug)]
pub(crate) enum Detail {
    /// A script.
    Script {
        /// When the present run began, if there is one.
        running: Option<Instant>,
        /// How the last one ended.
        last: Option<LastRun>,
        /// How often it has been started.
        runs: u64,
        /// How often it should have been, and still ran.
        skipped: u64,
    },
    /// A file.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// Processes.
    Processes {
        /// How many there are, if they have been counted.
        count: Option<u32>,
    },
}

/// A run of a script.
#[derive(Clone, Debug)]
pub(crate) struct LastRun {
    /// When it began.
    pub(crate) began: Instant,
    /// How long it took.
    pub(crate) took: Duration,
    /// It succeeded.
    pub(crate) well: bool,
    /// How it ended, such as "exit status 1" or "killed by signal 9".
    pub(crate) how: String,
    /// The last line of what it said, fit for a terminal.
    pub(crate) said: String,
}

/// Where everything about objects is kept and told.
pub(super) struct Board {
    objects: Mutex<Vec<Watched>>,
    report: Mutex<Report>,
    log: fn(&str),
}

impl Board {
    pub(super) fn new(report: Report, log: fn(&str)) -> Self {
        Self {
            objects: Mutex::new(Vec::new()),
            report: Mutex::new(report),
            log,
        }
    }

    /// How everything is.
    pub(super) fn list(&self) -> Vec<Watched> {
        locked(&self.objects).clone()
    }

    /// This object is watched from now on.
    pub(super) fn begin(&self, object: &Object, detail: Detail) {
        locked(&self.objects).push(Watched {
            object: object.clone(),
            state: ObjectState::Unknown,
            since: None,
            why: "has not been looked at".to_owned(),
            detail,
        });
    }

    /// This one is not.
    pub(super) fn end(&self, object: &Object) {
        locked(&self.objects).retain(|w| w.object != *object);
    }

    /// More is known about an object.
    pub(super) fn note(&self, object: &Object, detail: Detail) {
        let mut objects = locked(&self.objects);
        if let Some(watched) = objects.iter_mut().find(|w| w.object == *object) {
            watched.detail = detail;
        }
    }

    /// An object is so from now on. Who must act on it is told first.
    pub(super) fn tell(&self, object: &Object, state: ObjectState, why: &str) {
        locked(&self.report)(object.clone(), state);
        if let Some(watched) = locked(&self.objects)
            .iter_mut()
            .find(|w| w.object == *object)
        {
            watched.state = state;
            watched.since = Some(Instant::now());
            watched.why = why.to_owned();
        }
        match state {
            ObjectState::Good => self.say(object, format_args!("{why}: good")),
            ObjectState::Bad => self.say(object, format_args!("{why}: bad")),
            ObjectState::Number(_) | ObjectState::Unknown => {
                self.say(object, format_args!("{why}"))
            }
        }
    }

    /// A line about an object for the log.
    pub(super) fn say(&self, object: &Object, what: impl fmt::Display) {
        let (kind, name) = match object {
            Object::Script(name) => ("script", name),
            Object::File(name) => ("file", name),
            Object::Process(name) => ("process", name),
            other => return (self.log)(&format!("{other}: {what}")),
        };
        (self.log)(&format!("{kind} `{}`: {what}", name.escape_debug()));
    }

    /// A line for the log.
    pub(super) fn log(&self, line: &str) {
        (self.log)(line);
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("objects", &self.objects)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
