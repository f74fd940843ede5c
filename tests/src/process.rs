//! Programs that run beside the test, and end with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::command::{eventually, run};
use crate::node::Node;

/// How long anything awaited may take: a program getting ready or stopping, an effect of what was done.
/// Long, as a machine may be busy; who waits goes on as soon as it has come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills it; if the test is panicking, what it said is shown.
#[derive(Debug)]
pub struct Process {
    child: Child,
    title: String,
    log: PathBuf,
    argv: Vec<String>,
    ready: Option<Ready>,
}

/// By what a program is known to be ready.
#[derive(Clone, Debug)]
enum Ready {
    Says(String),
    Listens {
        ns: String,
        protocol: &'static str,
        ports: Vec<u16>,
    },
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
        let argv: Vec<_> = argv.iter().map(|word| (*word).to_owned()).collect();
        Self {
            child: spawn(title, log, &argv),
            title: title.to_owned(),
            log: log.to_owned(),
            argv,
            ready: None,
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
        self.get_ready(Ready::Says(needle.to_owned()));
    }

    /// Waits until it listens on `node` at these ports of `protocol`, "tcp" or "udp".
    ///
    /// # Panics
    /// If it does not in time, or ends before.
    pub fn await_listening(&mut self, node: &Node, protocol: &'static str, ports: &[u16]) {
        self.get_ready(Ready::Listens {
            ns: node.ns().to_owned(),
            protocol,
            ports: ports.to_vec(),
        });
    }

    /// What is waited for first is waited for again after a restart.
    fn get_ready(&mut self, ready: Ready) {
        let seen = eventually(PATIENCE, || self.is(&ready) || self.has_ended());
        assert!(
            seen && self.is(&ready),
            "{} is not ready ({ready:?}); it said: {}",
            self.title,
            self.said()
        );
        self.ready.get_or_insert(ready);
    }

    fn is(&self, ready: &Ready) -> bool {
        match ready {
            Ready::Says(needle) => self.said().contains(needle),
            Ready::Listens {
                ns,
                protocol,
                ports,
            } => ports.iter().all(|port| listens(ns, protocol, *port)),
        }
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

    /// Stops it where it is: what was sent to it waits, and is answered by nobody.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Ends it by SIGKILL, if it runs, starts it again as it was started first, and waits until it is as ready as then. What it
    /// said before is forgotten.
    ///
    /// # Panics
    /// If it cannot be started, or does not get ready.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.title, &self.log, &self.argv);
        if let Some(ready) = self.ready.clone() {
            self.get_ready(ready);
        }
    }

    /// Ends it by SIGKILL, at once.
    pub fn kill(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(title: &str, log: &Path, argv: &[String]) -> Child {
    let out = File::create(log).expect("the log can be written");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .args(argv)
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a file can be cloned"))
        .stderr(out)
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {title}: {e} (scripts/test installs setpriv)"))
}

/// Whether something listens at a port of namespace `ns`.
fn listens(ns: &str, protocol: &str, port: u16) -> bool {
    let (option, filter) = (format!("--{protocol}"), format!("sport = {port}"));
    let shown = run(&["ip", "netns", "exec", ns, "ss", "-Hln", &option, &filter]);
    !shown.trim().is_empty()
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}---", self.title, self.said());
        }
    }
}
