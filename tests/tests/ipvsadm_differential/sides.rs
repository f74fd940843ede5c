//! Both sides: the real ipvsadm over the stand-in, and ours over a running lvsd.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, io};

use lvsd::control::client::Client;
use tests::{Lan, Lvsd, Plan, command, daemon};

use crate::proxy::{Proxy, Told};
use crate::story::Line;

const CONNECTIONS_HEADING: &str =
    "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";

/// What a command line did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    /// Without empty lines.
    pub(crate) stderr: String,
    /// `None`: ended by a signal.
    pub(crate) status: Option<i32>,
}

/// A place where both run: a director of their own.
#[derive(Debug)]
pub(crate) struct Sides {
    lan: Lan,
    proxy: Proxy,
    standin: PathBuf,
    lvsd: String,
    _daemon: Lvsd,
}

impl Sides {
    /// Starts an lvsd without services. What this thread runs from now on runs where no name server is
    /// reached, so that names of hosts and ports come from this machine's files only.
    pub(crate) fn new() -> Self {
        let lan = Plan::one_arm(0).build();
        let running = Lvsd::start(&lan, "");
        let proxy = Proxy::start(lan.director.file("proxy.sock"), daemon::socket(&lan));
        leave_the_network().expect("root may make namespaces");
        Self {
            standin: standin(),
            lvsd: command::lvsd(),
            lan,
            proxy,
            _daemon: running,
        }
    }

    /// Both begin anew.
    pub(crate) fn reset(&self) {
        // There is none at first.
        let _ = fs::remove_file(self.lan.director.file("standin"));
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        let mut client = Client::connect(&daemon::socket(&self.lan)).expect("lvsd listens");
        let commands = vec![words("-C"), words("--set 900 120 300")];
        let done = client.apply(commands, false).expect("lvsd answers");
        done.expect("both can be done");
    }

    /// The real one.
    pub(crate) fn theirs(&self, line: &Line) -> Outcome {
        let connections = self.lan.director.file("ip_vs_conn");
        let lines: String = line.connections.iter().map(|c| c.proc.as_str()).collect();
        fs::write(&connections, format!("{CONNECTIONS_HEADING}{lines}"))
            .expect("it can be written");
        let counters = line.counters.unwrap_or_default();
        let mut command = Command::new("ipvsadm");
        command
            .args(line.words.iter().filter(|word| *word != "--compat"))
            .env("LD_PRELOAD", &self.standin)
            .env("STANDIN_STATE", self.lan.director.file("standin"))
            .env(
                "STANDIN_COUNTERS",
                counters.map(|n| n.to_string()).join(","),
            )
            .env("STANDIN_CONNECTIONS", connections);
        outcome(command, line)
    }

    /// Ours.
    pub(crate) fn ours(&self, line: &Line) -> Outcome {
        let mut command = Command::new(&self.lvsd);
        command.args(&line.words);
        let invented = line.counters.is_some() || !line.connections.is_empty();
        if invented {
            self.proxy.tell(Told {
                counters: line.counters.unwrap_or_default(),
                connections: line.connections.clone(),
            });
            command.env("LVSD_SOCKET", &self.proxy.path);
        } else {
            command.env("LVSD_SOCKET", daemon::socket(&self.lan));
        }
        outcome(command, line)
    }
}

fn outcome(mut command: Command, line: &Line) -> Outcome {
    let mut child = command
        .arg0(line.program)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e} (scripts/test installs it)"));
    let mut stdin = child.stdin.take().expect("it is piped");
    // Most lines do not read theirs.
    let _ = stdin.write_all(line.input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it is our child");
    let stderr = command::text(&output.stderr);
    let said = stderr.lines().filter(|line| !line.is_empty());
    Outcome {
        stdout: command::text(&output.stdout),
        stderr: said.map(|line| format!("{line}\n")).collect(),
        status: output.status.code(),
    }
}

/// The stand-in's library, which cargo builds with this test.
fn standin() -> PathBuf {
    let own = env::current_exe().expect("a test knows its own path");
    let path = own.with_file_name("libstandin.so");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// Moves this thread, and what it starts, to a network namespace that leads nowhere.
#[expect(unsafe_code, reason = "the standard library does not know namespaces")]
fn leave_the_network() -> io::Result<()> {
    // SAFETY: the call changes nothing in this process's memory.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
