//! Programs that run beside the test, and end with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::command::{eventually, run};

/// How long anything awaited may take: a program getting ready or stopping, an effect of what was done.
/// Long, as a machine may be busy; who waits goes on as soon as it has come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills it; if the test is panicking, what it said is shown.
#[derive(Debug)]
pub struct Process {
    child: Child,
    title: String,
    log: PathBuf,
}

impl Process {
    /// Starts `argv` in namespace `ns` with both outputs in `log`. `title` names it in messages.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(ns: &str, title: &str, log: &Path, argv: &[&str]) -> Self {
        Self::here(title, log, &[&["ip", "netns", "exec", ns], argv].concat())
    }

    /// Starts `argv` in this test's own namespace.
    ///
    /// `setpriv` makes the kernel kill it when this test dies in a way that runs no destructors.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn here(title: &str, log: &Path, argv: &[&str]) -> Self {
        let out = File::create(log).expect("the log can be written");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(argv)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a file can be cloned"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|e| {
                panic!("cannot start {title}: {e} (scripts/test installs setpriv)")
            });
        Self {
            child,
            title: title.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Its process id (`setpriv` and `ip` have become it).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, on both outputs.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has written `needle`.
    ///
    /// # Panics
    /// If it does not in time, or ends before.
    pub fn await_saying(&mut self, needle: &str) {
        let seen = eventually(PATIENCE, || {
            self.said().contains(needle) || self.has_ended()
        });
        assert!(
            seen && self.said().contains(needle),
            "{} did not say {needle:?} but: {}",
            self.title,
            self.said()
        );
    }

    /// Waits until `ready` holds.
    ///
    /// # Panics
    /// If it does not in time, or the program ends before.
    pub fn await_ready(&mut self, ready: impl Fn() -> bool) {
        let seen = eventually(PATIENCE, || ready() || self.has_ended());
        assert!(
            seen && !self.has_ended(),
            "{} does not get ready: {}",
            self.title,
            self.said()
        );
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        run(&["kill", "-s", name, &self.pid().to_string()]);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it goes on for more than [`PATIENCE`].
    pub fn await_end(&mut self) -> ExitStatus {
        assert!(
            eventually(PATIENCE, || self.has_ended()),
            "{} does not end; it said: {}",
            self.title,
            self.said()
        );
        self.child.wait().expect("it is our child")
    }

    /// Ends it by SIGKILL, at once.
    pub fn kill(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}---", self.title, self.said());
        }
    }
}
