//! What the guardian does.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use lvs_vrrp::io::netlink::Connection;
use lvs_vrrp::io::socket::AdvertSocket;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use socket2::Socket;

use super::message::{LONGEST, Message, Word};
use super::{NAME, PATIENCE};
use crate::vrrp::host::journal::{DIRECTORY, Journal};
use crate::vrrp::host::leftovers;
use crate::vrrp::sys;

/// Waits until lvsd has died, or says that it is not needed any more.
pub fn run() -> ExitCode {
    sys::close_others();
    // Who ends lvsd by a signal to all of its processes wants this one too, but not before.
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    let _ = std::fs::write("/proc/self/comm", NAME); // it is but a name
    let socket = io::stdin().as_fd().try_clone_to_owned();
    match socket.and_then(|socket| listen(&mut Socket::from(socket))) {
        Ok(Some(will)) => {
            carry_out(&will);
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(e) => {
            log(&format!("lvsd itself starts its guardian: {e}"));
            ExitCode::from(2)
        }
    }
}

/// What is to be sent for each master.
pub(super) type Will = BTreeMap<u32, Vec<Word>>;

/// Reads until the end: what is to be sent if it came without farewell.
pub(super) fn listen(socket: &mut Socket) -> io::Result<Option<Will>> {
    let mut will = Will::new();
    let mut packet = vec![0; LONGEST];
    loop {
        let length = match socket.read(&mut packet) {
            Ok(0) => return Ok(Some(will)),
            Ok(length) => length,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(Some(will)),
            Err(e) => return Err(e),
        };
        match Message::from_bytes(packet.get(..length).unwrap_or_default()) {
            Some(Message::LastWords { router, words }) => match words.is_empty() {
                true => will.remove(&router),
                false => will.insert(router, words),
            },
            Some(Message::Bye) => return Ok(None),
            None => None,
        };
    }
}

/// First the others are told, who have waited long enough; then the host is made as it was.
fn carry_out(will: &Will) {
    let spoken = speak(will);
    let mut lines = vec![format!(
        "lvsd has died: its {} masters have stepped down, and what it has added to the host is removed",
        will.len()
    )];
    lines.extend(spoken);
    undo(&mut lines);
    say(lines);
}

/// Says it all, unless nobody reads it: that must not keep the guardian from ending.
fn say(lines: Vec<String>) {
    let said = thread::spawn(move || lines.iter().for_each(|line| log(line)));
    let begin = Instant::now();
    while !said.is_finished() && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends everybody's last words. Returns what is wrong.
fn speak(will: &Will) -> Vec<String> {
    let mut sockets = HashMap::new();
    let mut wrong = Vec::new();
    for word in will.values().flatten() {
        let endpoint = word.endpoint();
        let socket = sockets
            .entry(endpoint)
            .or_insert_with(|| AdvertSocket::open(endpoint).map_err(|e| e.to_string()));
        let sent = match socket {
            Ok(socket) => socket
                .send(word.to, &word.bytes, word.header())
                .map_err(|e| e.to_string()),
            Err(e) => Err(e.clone()),
        };
        wrong.extend(
            sent.err()
                .map(|e| format!("cannot advertise to {}: {e}", word.to)),
        );
    }
    wrong
}

fn undo(lines: &mut Vec<String>) {
    // It complains of another lvsd that has been started meanwhile, which undoes everything itself.
    let journal = Journal::open(Path::new(DIRECTORY), |_| {});
    let undone = Connection::route().and_then(|mut c| leftovers::undo(&journal, &mut c));
    match undone {
        Ok(said) => lines.extend(said),
        Err(e) => lines.push(format!("what lvsd has added to the host stays: {e}")),
    }
}

fn log(line: &str) {
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "lvsd: guardian: {line}");
}
