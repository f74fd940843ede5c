//! One run of a program: what it says, how it ends, how it is ended.
//!
//! It runs in a process group of its own, so that whatever it starts can be ended with it. When its time is over the group
//! gets SIGTERM, and SIGKILL two seconds later or as soon as the program itself is gone. Only then is it waited for, so that the
//! group's number cannot have become somebody else's. What a program that ended in time has left in the background stays.
//!
//! Input comes from `/dev/null`. Of the output, to either stream, the end is kept, since it often says what was wrong.

use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mio::event::Source as _;
use mio::unix::{SourceFd, pipe};
use mio::{Events, Interest, Poll, Registry, Token};

use super::sys;
use super::visible::one_line;

/// From SIGTERM to SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How much of the output is kept.
const KEPT: usize = 1024;

/// Reads in one go, before others get their turn.
const READS: usize = 16;

/// A program that runs, or whose end has not been taken note of.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Becomes readable when it ends.
    _end: OwnedFd,
    /// Until it is asked to end.
    output: Option<pipe::Receiver>,
    /// The end of what it said.
    said: Vec<u8>,
    began: Instant,
    /// When it is asked to end, or killed if it was.
    deadline: Option<Instant>,
    /// It was asked to end, after that long.
    ending: Option<Duration>,
    /// It has been waited for.
    over: bool,
}

/// What a program is at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It runs.
    Running,
    /// It runs, and has said more than was read in one go.
    Talking,
    /// It has ended; the error says how, if not well.
    Ended(Result<(), String>),
}

impl Process {
    /// Starts a program and has it watched.
    pub(super) fn start(
        mut command: Command,
        limit: Option<Duration>,
        now: Instant,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let (sender, mut output) = pipe::new()?;
        // Programs do not expect that writing may fail for want of room.
        sender.set_nonblocking(false)?;
        let stdout = OwnedFd::from(sender);
        let stderr = stdout.try_clone()?;
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        let mut child = command.spawn()?;
        // Our own ends of the pipe go with the command, so that its end can be seen.
        drop(command);
        let watched = sys::pidfd(child.id()).and_then(|end| {
            let interest = Interest::READABLE;
            registry.register(&mut SourceFd(&end.as_raw_fd()), token, interest)?;
            output.register(registry, token, interest)?;
            Ok(end)
        });
        match watched {
            Ok(end) => Ok(Self {
                child,
                _end: end,
                output: Some(output),
                said: Vec::new(),
                began: now,
                deadline: limit.map(|limit| now + limit),
                ending: None,
                over: false,
            }),
            Err(e) => {
                let _ = sys::signal_group(child.id(), libc::SIGKILL);
                let _ = child.wait();
                Err(e)
            }
        }
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// When [`Process::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// It must end by then, if it need not sooner.
    pub(super) fn hurry(&mut self, by: Instant) {
        if self.ending.is_none() {
            self.deadline = Some(self.deadline.map_or(by, |d| d.min(by)));
        }
    }

    /// Whether it has said something, or ended.
    pub(super) fn ready(&mut self) -> Turn {
        let talking = self.listen();
        if self.ending.is_some() {
            if !sys::has_ended(self.child.id()) {
                return Turn::Running;
            }
            // What it has started goes with it.
            let _ = sys::signal_group(self.child.id(), libc::SIGKILL);
        }
        let status = match self.child.try_wait() {
            Ok(None) if talking => return Turn::Talking,
            Ok(None) => return Turn::Running,
            Ok(Some(status)) => status,
            // Somebody else has waited for it: how it ended is lost.
            Err(_) => ExitStatus::from_raw(libc::SIGKILL),
        };
        self.over = true;
        self.listen();
        Turn::Ended(self.outcome(status))
    }

    /// Asks it to end, or kills it, if it is time.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.ending.is_none() {
            self.ending = Some(now.saturating_duration_since(self.began));
            self.deadline = Some(now + GRACE);
            self.output = None;
            let _ = sys::signal_group(self.child.id(), libc::SIGTERM);
        } else {
            self.deadline = None;
            let _ = sys::signal_group(self.child.id(), libc::SIGKILL);
        }
    }

    /// After its end: where what it has left in the background may still write, unless that was ended too. Once nobody
    /// reads any more, a program that writes there is killed.
    pub(super) fn take_output(&mut self) -> Option<pipe::Receiver> {
        self.output.take()
    }

    /// Reads what it says. `true`: there is more.
    fn listen(&mut self) -> bool {
        let Some(output) = &mut self.output else {
            return false;
        };
        let mut buffer = [0; 4096];
        for _ in 0..READS {
            match output.read(&mut buffer) {
                Ok(0) => return false,
                Ok(len) => {
                    let came = buffer.get(..len).unwrap_or_default();
                    self.said.extend_from_slice(came);
                    let surplus = self.said.len().saturating_sub(KEPT);
                    self.said.drain(..surplus);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn outcome(&self, status: ExitStatus) -> Result<(), String> {
        let what = match (self.ending, status.code()) {
            (Some(after), _) => {
                format!(
                    "it still ran after {:.1} s, and was ended",
                    after.as_secs_f64()
                )
            }
            (None, Some(0)) => return Ok(()),
            (None, Some(code)) => format!("status {code}"),
            (None, None) => format!("killed by signal {}", status.signal().unwrap_or_default()),
        };
        Err(match &*one_line(&String::from_utf8_lossy(&self.said)) {
            "" => what,
            said => format!("{what}: {said}"),
        })
    }
}

/// Runs a program, and waits for its end. The error says how it ended, if not well.
pub(super) fn run(command: Command, limit: Duration) -> io::Result<Result<(), String>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);
    let (now, token) = (Instant::now(), Token(0));
    let mut process = Process::start(command, Some(limit), now, poll.registry(), token)?;
    loop {
        let wait = match process.ready() {
            Turn::Ended(how) => return Ok(how),
            Turn::Talking => Some(Duration::ZERO),
            Turn::Running => process
                .deadline()
                .map(|d| d.saturating_duration_since(Instant::now())),
        };
        match poll.poll(&mut events, wait) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
            _ => process.tick(Instant::now()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.over {
            let _ = sys::signal_group(self.child.id(), libc::SIGKILL);
            let _ = self.child.wait(); // nothing survives that signal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{runs, until};
    use super::*;

    fn sh(script: &str, limit: u64) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, Duration::from_secs(limit)).unwrap()
    }

    #[test]
    fn how_programs_end() {
        assert_eq!(sh("echo fine", 60), Ok(()));
        let said = sh("echo one; echo two >&2; exit 3", 60);
        assert_eq!(said, Err("status 3: one | two".to_owned()));
        assert_eq!(sh("kill -9 $$", 60), Err("killed by signal 9".to_owned()));
        assert_eq!(
            sh("cat; exit 1", 60),
            Err("status 1".to_owned()),
            "no input"
        );
        let missing = run(Command::new("/no/such/program"), Duration::ZERO);
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_end_of_what_it_said_is_kept() {
        let script = "head -c 300000 /dev/zero | tr '\\0' x; printf end; exit 1";
        let said = sh(script, 60).unwrap_err();
        let kept = said.strip_prefix("status 1: ").unwrap();
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with("xend"));
    }

    /// A shell that has started a process in the background, and that process's number.
    fn with_child(script: &str, poll: &Poll) -> (Process, String) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let now = Instant::now();
        let mut process = Process::start(command, None, now, poll.registry(), Token(0)).unwrap();
        until("it has said something", || {
            process.listen();
            process.said.ends_with(b"\n")
        });
        let child = String::from_utf8_lossy(&process.said).trim().to_owned();
        (process, child)
    }

    /// Waits until it has ended.
    fn wait(process: &mut Process) -> Result<(), String> {
        let mut ended = None;
        until("it ends", || {
            process.tick(Instant::now());
            if let Turn::Ended(how) = process.ready() {
                ended = Some(how);
            }
            ended.is_some()
        });
        ended.unwrap()
    }

    #[test]
    fn a_group_is_ended_together() {
        let poll = Poll::new().unwrap();
        let (mut process, child) = with_child("sleep 1000 & echo $!; wait", &poll);
        assert!(runs(&child));
        process.hurry(Instant::now());
        process.tick(Instant::now());
        let how = wait(&mut process).unwrap_err();
        assert!(how.starts_with("it still ran after"), "{how}");
        until("it has ended", || !runs(&child));
    }

    #[test]
    fn who_does_not_listen_is_killed() {
        let poll = Poll::new().unwrap();
        let deaf = "trap '' TERM; sleep 1000 & echo $!; while :; do wait; done";
        let (mut process, child) = with_child(deaf, &poll);
        let now = Instant::now();
        process.hurry(now);
        process.tick(now);
        process.tick(now + GRACE / 2);
        assert!(matches!(process.ready(), Turn::Running));
        process.tick(now + GRACE);
        assert!(wait(&mut process).is_err());
        until("it has ended", || !runs(&child));
    }

    #[test]
    fn whoever_is_left_of_a_group_is_killed() {
        let poll = Poll::new().unwrap();
        // The shell ends when it is asked to, and its child does not.
        let script = "sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & wait";
        let (mut process, child) = with_child(script, &poll);
        let now = Instant::now();
        process.hurry(now);
        process.tick(now);
        assert!(wait(&mut process).is_err());
        until("it has ended", || !runs(&child));
    }

    #[test]
    fn what_is_left_in_the_background_stays() {
        let poll = Poll::new().unwrap();
        let (mut process, child) = with_child("sleep 1000 & echo $!", &poll);
        assert_eq!(wait(&mut process), Ok(()));
        assert!(process.take_output().is_some());
        drop(process);
        assert!(runs(&child));
        let killed = Command::new("/bin/sh")
            .args(["-c", &format!("kill {child}")])
            .status();
        assert!(killed.unwrap().success());
    }
}
