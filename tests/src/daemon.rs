//! lvsd on a director.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Output};
use std::time::Duration;

use crate::command::{eventually, lvsd};
use crate::lan::Lan;
use crate::node::Node;
use crate::process::{PATIENCE, Process};

/// How lvsd shall be started.
#[derive(Debug)]
pub struct Start<'a> {
    node: &'a Node,
    rules: Option<String>,
    config: Option<String>,
    workers: Option<usize>,
    without: Vec<&'static str>,
}

impl<'a> Start<'a> {
    /// With these rules too.
    #[must_use]
    pub fn rules(self, rules: impl ToString) -> Self {
        Self {
            rules: Some(rules.to_string()),
            ..self
        }
    }

    /// On this host.
    #[must_use]
    pub fn on(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    /// With this number of workers.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self {
            workers: Some(workers),
            ..self
        }
    }

    /// Without these capabilities, named as `setpriv` does: "net_raw", "bpf" …
    #[must_use]
    pub fn without(self, capabilities: &[&'static str]) -> Self {
        Self {
            without: capabilities.to_vec(),
            ..self
        }
    }

    fn argv(&self) -> Vec<String> {
        let mut argv = Vec::new();
        if !self.without.is_empty() {
            let minus: Vec<_> = self.without.iter().map(|c| format!("-{c}")).collect();
            argv.push("setpriv".to_owned());
            argv.push(format!("--bounding-set={}", minus.join(",")));
        }
        let path = |p: PathBuf| p.to_str().expect("a path in UTF-8").to_owned();
        argv.extend([lvsd(), "run".to_owned()]);
        if let Some(rules) = &self.rules {
            let file = self.node.file("rules");
            fs::write(&file, rules).expect("the rule file can be written");
            argv.extend(["--rules".to_owned(), path(file)]);
        }
        if let Some(config) = &self.config {
            let file = self.node.file(CONFIGURATION);
            fs::write(&file, config).expect("the configuration can be written");
            argv.extend(["-f".to_owned(), path(file)]);
        }
        argv.extend(["--socket".to_owned(), path(self.node.file(SOCKET))]);
        if let Some(workers) = self.workers {
            argv.extend(["--workers".to_owned(), workers.to_string()]);
        }
        argv
    }

    /// Starts it and waits until it forwards.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(&self) -> Lvsd {
        let argv = self.argv();
        let argv: Vec<_> = argv.iter().map(String::as_str).collect();
        let mut process = self.node.start("lvsd", &argv);
        process.await_saying("ready");
        Lvsd(process)
    }

    /// Runs it to its end, for starts that must be refused.
    pub fn refused(&self) -> Output {
        let argv = self.argv();
        let argv: Vec<_> = ["timeout", "60"]
            .into_iter()
            .chain(argv.iter().map(String::as_str))
            .collect();
        self.node.output(&argv)
    }
}

/// The name of its keepalived.conf, in [`Node::file`].
pub const CONFIGURATION: &str = "keepalived.conf";
/// The name of its socket, likewise.
pub const SOCKET: &str = "lvsd.sock";

/// Where the lvsd of a LAN's director has its keepalived.conf.
pub fn configuration(lan: &Lan) -> PathBuf {
    lan.director.file(CONFIGURATION)
}

/// Where the lvsd of a LAN's director can be asked and changed.
pub fn socket(lan: &Lan) -> PathBuf {
    lan.director.file(SOCKET)
}

/// A running lvsd. Dropping it kills it.
#[derive(Debug)]
pub struct Lvsd(Process);

impl Lvsd {
    /// Starts it with these rules and waits until it forwards.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(lan: &Lan, rules: impl ToString) -> Self {
        Self::with(lan, rules).start()
    }

    /// Prepares a start with a keepalived.conf.
    pub fn configured(lan: &Lan, config: impl ToString) -> Start<'_> {
        Start {
            node: &lan.director,
            rules: None,
            config: Some(config.to_string()),
            workers: None,
            without: Vec::new(),
        }
    }

    /// Prepares a start that needs more than rules.
    pub fn with(lan: &Lan, rules: impl ToString) -> Start<'_> {
        Start {
            node: &lan.director,
            rules: Some(rules.to_string()),
            config: None,
            workers: None,
            without: Vec::new(),
        }
    }

    /// All it has said so far.
    pub fn said(&self) -> String {
        self.0.said()
    }

    /// Asks for a summary (SIGUSR1) and returns it once it mentions `needle`.
    ///
    /// # Panics
    /// If it does not.
    pub fn summary(&mut self, needle: &str) -> String {
        let before = self.0.said().len();
        self.0.signal("USR1");
        let came = eventually(PATIENCE, || self.0.said()[before..].contains(needle));
        // The rest of what was begun.
        std::thread::sleep(Duration::from_millis(200));
        let said = self.0.said()[before..].to_owned();
        assert!(came, "no {needle:?} in the summary: {said}");
        said
    }

    /// Sends it a signal, by name, and does not wait.
    pub fn signal(&self, signal: &str) {
        self.0.signal(signal);
    }

    /// Stops it by a signal; returns its exit status and what it said after the signal.
    ///
    /// # Panics
    /// If it goes on.
    pub fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        let before = self.0.said().len();
        self.0.signal(signal);
        let status = self.0.await_end();
        let said = self.0.said()[before..].to_owned();
        (status, said)
    }

    /// Ends it by SIGKILL.
    pub fn kill(mut self) {
        self.0.kill();
    }

    /// Time its threads have spent on a processor.
    ///
    /// # Panics
    /// If it is no longer there.
    pub fn cpu_time(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.0.pid());
        let nanos = fs::read_dir(tasks)
            .expect("lvsd runs")
            .filter_map(Result::ok)
            .map(|task| {
                let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let first = stat.split(' ').next().and_then(|n| n.parse::<u64>().ok());
                first.unwrap_or_default()
            })
            .sum();
        Duration::from_nanos(nanos)
    }
}
