//! The program that speaks VRRP on a director: lvsd or keepalived, started with the same file.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::command::run;
use crate::daemon::{CONFIGURATION, Lvsd};
use crate::lan::Lan;
use crate::node::Node;
use crate::process::Process;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `keepalived --vrrp`.
    Keepalived,
    /// `lvsd run -f`.
    Lvsd,
}

/// It runs. Dropping it kills it.
#[derive(Debug)]
pub enum Speaker {
    /// keepalived's parent process.
    Keepalived(Process),
    /// lvsd.
    Lvsd(Lvsd),
}

impl Side {
    /// Starts it on `node` with this keepalived.conf and waits until it speaks.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(self, lan: &Lan, node: &Node, conf: &str) -> Speaker {
        match self {
            Self::Keepalived => Speaker::Keepalived(keepalived(node, conf)),
            Self::Lvsd => Speaker::Lvsd(Lvsd::configured(lan, conf).on(node).start()),
        }
    }
}

/// The name of keepalived's file, in [`Node::file`].
const FILE: &str = "vrrp.conf";

fn keepalived(node: &Node, conf: &str) -> Process {
    let path = |name: &str| {
        let path = node.file(name);
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let (file, pid, child) = (path(FILE), path("pid"), path("vrrp.pid"));
    fs::write(&file, conf).expect("the configuration can be written");
    for left in [&pid, &child] {
        // A killed predecessor may not be gone from the process table yet, and be taken for a live one.
        let _ = fs::remove_file(left);
    }
    let options = "-n -l -D --vrrp -f".split(' ');
    let argv: Vec<_> = ["keepalived"]
        .into_iter()
        .chain(options)
        .chain([&*file, "-p", &*pid, "-r", &*child])
        .collect();
    let mut keepalived = node.start("keepalived", &argv);
    keepalived.await_saying("Startup complete");
    keepalived
}

impl Speaker {
    /// All it has said so far.
    pub fn said(&self) -> String {
        match self {
            Self::Keepalived(process) => process.said(),
            Self::Lvsd(lvsd) => lvsd.said(),
        }
    }

    /// Sends it a signal, by name, and does not wait.
    pub fn signal(&self, name: &str) {
        match self {
            Self::Keepalived(process) => process.signal(name),
            Self::Lvsd(lvsd) => lvsd.signal(name),
        }
    }

    /// Gives it, as it runs, another file, and tells it by SIGHUP.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn reload(&self, node: &Node, conf: &str) {
        let file = match self {
            Self::Keepalived(_) => FILE,
            Self::Lvsd(_) => CONFIGURATION,
        };
        fs::write(node.file(file), conf).expect("the configuration can be written");
        self.signal("HUP");
    }

    /// Stops it, and waits for its end.
    ///
    /// # Panics
    /// If it goes on, or does not end well.
    pub fn stop(self) {
        let (status, said) = match self {
            Self::Keepalived(mut process) => {
                process.signal("TERM");
                (process.await_end(), process.said())
            }
            Self::Lvsd(lvsd) => lvsd.stop("TERM"),
        };
        assert!(status.success(), "{status}: {said}");
    }

    /// Ends it by SIGKILL, with all of its processes: nobody says goodbye.
    pub fn kill(self) {
        match self {
            // keepalived's parent starts its child again, and its child says goodbye when the parent is gone.
            Self::Keepalived(mut process) => {
                process.freeze();
                let pid = process.pid().to_string();
                let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
                for child in children.unwrap_or_default().split_whitespace() {
                    run(&["kill", "-s", "KILL", child]);
                }
                process.kill();
            }
            Self::Lvsd(lvsd) => lvsd.kill(),
        }
        // Packets under way.
        thread::sleep(Duration::from_millis(10));
    }
}
