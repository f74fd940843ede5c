//! One run of a script: its process, what it says, how it is ended.
//!
//! It runs in a process group of its own, so that whatever it starts can be ended with it. Before the group gets its last signal
//! the script is not waited for, so the group's number cannot have become somebody else's.

use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use lvs_health::process::{Process, Program};
use mio::event::Source as _;
use mio::unix::{SourceFd, pipe};
use mio::{Interest, Registry, Token};

use crate::alerts::visible::one_line;

/// How much of a script's output is kept: the end.
const KEPT: usize = 1024;

/// Reads of its output in a row, so that one that never stops talking delays nobody.
const READS: usize = 16;

/// How long a killed script may take to go, if we wait for it.
const FAREWELL: Duration = Duration::from_secs(1);

/// A script that runs.
#[derive(Debug)]
pub(super) struct Run {
    process: Process,
    output: Option<pipe::Receiver>,
    said: Vec<u8>,
    began: Instant,
    /// It has been asked to end.
    ending: bool,
    /// It has been waited for.
    over: bool,
    /// There may be more output to be read at once.
    pub(super) talking: bool,
}

impl Run {
    /// Starts a program and has it watched.
    pub(super) fn start(
        argv: &[String],
        user: Option<(u32, u32)>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let (sender, mut output) = pipe::new()?;
        // Scripts do not expect that writing may fail for want of room.
        sender.set_nonblocking(false)?;
        let sender = OwnedFd::from(sender);
        output.register(registry, token, Interest::READABLE)?;
        let process = Program {
            user,
            output: Some(sender.as_fd()),
            ends_with_us: true,
            ..Program::new(argv)
        }
        .start()?;
        let run = Self {
            process,
            output: Some(output),
            said: Vec::new(),
            began: Instant::now(),
            ending: false,
            over: false,
            talking: false,
        };
        let end = run.process.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&end), token, Interest::READABLE)?;
        Ok(run)
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Whether it has been asked to end.
    pub(super) fn ending(&self) -> bool {
        self.ending
    }

    /// Something has happened to it: it has said something, or has ended. How, if it has. One that has been asked to end
    /// has, since its output is closed; what it had started goes with it.
    pub(super) fn ready(&mut self) -> Option<ExitStatus> {
        self.listen();
        if self.ending {
            self.kill();
        }
        let status = match self.process.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status,
            // Somebody else has waited for it: how it ended is lost.
            Err(_) => ExitStatus::from_raw(libc::SIGKILL),
        };
        self.over = true;
        self.listen();
        Some(status)
    }

    fn listen(&mut self) {
        self.talking = false;
        let Some(output) = &mut self.output else {
            return;
        };
        let mut buffer = [0; 4096];
        for _ in 0..READS {
            match output.read(&mut buffer) {
                Ok(0) => return,
                Ok(len) => {
                    self.said
                        .extend_from_slice(buffer.get(..len).unwrap_or_default());
                    let surplus = self.said.len().saturating_sub(KEPT);
                    self.said.drain(..surplus);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
        self.talking = true;
    }

    /// Asks it, and what it has started, to end. What it says then is of no interest.
    pub(super) fn terminate(&mut self) {
        self.output = None;
        self.talking = false;
        self.ending = true;
        self.process.signal_group(libc::SIGTERM);
    }

    /// Ends it, and what it has started.
    pub(super) fn kill(&self) {
        self.process.signal_group(libc::SIGKILL);
    }

    /// The last line of what it has said, fit for a log.
    pub(super) fn said(&self) -> String {
        let text = String::from_utf8_lossy(self.said.trim_ascii());
        one_line(text.lines().next_back().unwrap_or_default())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.kill();
        let until = Instant::now() + FAREWELL;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
