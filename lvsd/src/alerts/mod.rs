//! What tells people and scripts that something happened.
//!
//! | module | holds |
//! |---|---|
//! | `worker` | the thread that runs scripts, writes to pipes and keeps their readers running |
//! | `desk`, `queue` | what waits for it, and which script is next |
//! | `program`, `security` | where a program is, whom it runs as, and whether it may |
//! | `process` | one run of a program |
//! | `pipe`, `reader` | a named pipe, and when its reader is started anew |
//! | `mail` | mails |
//! | `thread`, `sys`, `visible` | threads, system calls, text fit for a log |
//!
//! Nobody who has something to tell ever waits: [`Alerts`] only leaves it where the two threads find it. All that waits there
//! is limited, and what falls out is logged.

mod desk;
mod mail;
mod pipe;
mod process;
mod program;
mod queue;
mod reader;
pub(crate) mod security;
mod sys;
#[cfg(test)]
mod tests;
mod thread;
pub(crate) mod visible;
mod worker;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::Poll;

use crate::health::Herald;
use crate::keepalived::host::SystemHost;
use crate::keepalived::model::{Command, Global};
use desk::Desk;
use mail::Mailer;
use program::Program;
use thread::Thread;
use worker::Worker;

/// Tells of events as a configuration wants them told: by scripts, into pipes, by mail.
///
/// It has two threads, which end with [`Herald::stop`] or when it is dropped.
#[derive(Debug)]
pub struct Alerts {
    desk: Arc<Desk>,
    thread: Thread,
    mailer: Mailer,
    /// The settings in force.
    global: Global,
    stopped: bool,
    log: fn(&str),
}

impl Alerts {
    /// Opens the pipes of a configuration, starts their readers, and is ready to tell.
    ///
    /// A pipe that cannot be opened, a reader that does not start and the like are logged, and tried again.
    ///
    /// # Errors
    ///
    /// The system has no threads or descriptors left.
    pub fn start(global: &Global, log: fn(&str)) -> io::Result<Self> {
        let poll = Poll::new()?;
        let desk = Arc::new(Desk::new(&poll)?);
        let worker = Worker::new(poll, desk.clone(), global.clone(), log);
        let mailer = Mailer::start(global, log)?;
        Ok(Self {
            desk,
            thread: Thread::start("lvsd-alerts", || worker.run())?,
            mailer,
            global: global.clone(),
            stopped: false,
            log,
        })
    }

    /// Runs `startup_script`, if there is one, and waits for its end, or until its time is over. How it went is logged if
    /// not well, and nothing else follows from it, as in keepalived.
    pub fn startup(global: &Global, log: fn(&str)) {
        alone("startup_script", global.startup.as_ref(), global, log);
    }

    /// Runs `shutdown_script` likewise.
    pub fn shutdown(global: &Global, log: fn(&str)) {
        alone("shutdown_script", global.shutdown.as_ref(), global, log);
    }
}

impl Herald for Alerts {
    fn tell(&mut self, alert: Alert) {
        let Alert {
            about,
            script,
            line,
            mail,
        } = alert;
        if script.is_some() || line.is_some() {
            self.desk.leave(|waiting| {
                if let Some(line) = line {
                    waiting.line(line);
                }
                if let Some(script) = script {
                    waiting.script(about, script);
                }
            });
        }
        if let Some(mail) = mail {
            self.mailer.send(mail);
        }
    }

    fn configure(&mut self, global: &Global) {
        if *global == self.global {
            return; // or what is wrong with it would be said again
        }
        self.global = global.clone();
        let settings = Box::new(global.clone());
        self.desk.leave(|waiting| waiting.settings = Some(settings));
        self.mailer.configure(global);
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.desk.leave(|waiting| waiting.stopping = true);
        self.mailer.stop();
        if !self.thread.wait(worker::LONGEST_END) {
            (self.log)("scripts are still being run, and are left alone");
        }
        self.mailer.wait();
    }
}

/// Several who have something to tell share one.
impl Herald for Arc<Mutex<Alerts>> {
    fn tell(&mut self, alert: Alert) {
        lock(self).tell(alert);
    }

    fn configure(&mut self, global: &Global) {
        lock(self).configure(global);
    }

    fn stop(&mut self) {
        lock(self).stop();
    }
}

fn lock(alerts: &Mutex<Alerts>) -> MutexGuard<'_, Alerts> {
    alerts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a script and waits for its end.
fn alone(keyword: &str, script: Option<&(Command, u32)>, global: &Global, log: fn(&str)) {
    let Some((command, seconds)) = script else {
        return;
    };
    let name = worker::name(command);
    let program = match Program::new(&SystemHost, global, command, sys::ourselves()) {
        Ok(program) => program,
        Err(refusal) => return log(&format!("{keyword} `{name}` is not run: {refusal}")),
    };
    if let Some(weakness) = &program.weakness {
        log(&format!("{keyword} `{name}` runs as root, and {weakness}"));
    }
    match process::run(program.command(), Duration::from_secs((*seconds).into())) {
        Ok(Ok(())) => {}
        Ok(Err(how)) => log(&format!("{keyword} `{name}` failed: {how}")),
        Err(e) => {
            let why = program.explained(&e);
            log(&format!("{keyword} `{name}` is not run: {why}"));
        }
    }
}

/// Something that happened, in all the forms in which it is told. Told in the order in which it is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Alert {
    /// What it is about, such as a server of a service: scripts about the same thing run one after the other, never side by side.
    pub about: String,
    /// The script to run.
    pub script: Option<Script>,
    /// A line for pipes.
    pub line: Option<Line>,
    /// A mail to everybody who gets mails.
    pub mail: Option<Mail>,
}

/// A line for pipes: that for all events, and that for its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Line {
    /// What kind of thing it is about.
    pub kind: LineKind,
    /// The line, without its end.
    pub text: String,
}

/// What kind of thing a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these two")]
pub enum LineKind {
    /// Services and servers (`lvs_notify_fifo`).
    Services,
    /// Virtual routers (`vrrp_notify_fifo`).
    Vrrp,
}

/// A script to run, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Script {
    /// Which.
    pub command: Command,
    /// Variables for its environment, besides the daemon's own.
    pub environment: Vec<(&'static str, String)>,
}

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Mail {
    /// Without our name, which is put before it in brackets.
    pub subject: String,
    /// The text.
    pub body: String,
}
