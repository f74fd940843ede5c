//! One run of a script: its process, what it says, how it is ended.
//!
//! It runs in a process group of its own, so that whatever it starts can be ended with it. When its time is over the group
//! gets SIGTERM, and SIGKILL two seconds later or as soon as the script itself is gone. Only then is it waited for, so
//! the group's number cannot have become somebody else's.
//!
//! Of its output, to either stream, the end is kept, since it often says what was wrong.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use mio::event::Source;
use mio::unix::{SourceFd, pipe};
use mio::{Interest, Registry, Token};

use crate::check::Script;
use crate::probe::{Failure, Passed, Reason, Verdict};
use crate::process::{Process, Program};

/// From SIGTERM to SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How much of a script's output is kept.
const KEPT: usize = 1024;

/// A script that runs, or whose end has not been taken note of.
#[derive(Debug)]
pub(super) struct Running {
    process: Process,
    output: pipe::Receiver,
    /// The end of what it said.
    said: Vec<u8>,
    began: Duration,
    /// It has been waited for.
    over: bool,
}

impl Running {
    /// Starts a script and has it watched.
    pub(super) fn start(
        script: &Script,
        registry: &Registry,
        token: Token,
        now: Duration,
    ) -> io::Result<Self> {
        let (sender, mut output) = pipe::new()?;
        // Scripts do not expect that writing may fail for want of room.
        sender.set_nonblocking(false)?;
        let sender = OwnedFd::from(sender);
        output.register(registry, token, Interest::READABLE)?;
        let process = Program {
            user: script.user,
            output: Some(sender.as_fd()),
            ends_with_us: true,
            ..Program::new(&script.argv)
        }
        .start()?;
        let running = Self {
            process,
            output,
            said: Vec::new(),
            began: now,
            over: false,
        };
        let end = running.process.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&end), token, Interest::READABLE)?;
        Ok(running)
    }

    pub(super) fn began(&self) -> Duration {
        self.began
    }

    /// Whether it has ended, and that has been noted.
    pub(super) fn over(&self) -> bool {
        self.over
    }

    /// Reads what it says, a buffer full at most, and whether it has ended. `true`: there is more to read at once.
    pub(super) fn ready(&mut self, buffer: &mut [u8]) -> (Option<ExitStatus>, bool) {
        let more = self.listen(buffer);
        match self.process.try_wait() {
            Ok(None) => (None, more),
            Ok(Some(status)) => {
                self.over = true;
                self.listen(buffer);
                (Some(status), false)
            }
            // Somebody else has waited for it: how it ended is lost.
            Err(_) => {
                self.over = true;
                (Some(ExitStatus::from_raw(libc::SIGKILL)), false)
            }
        }
    }

    fn listen(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match self.output.read(buffer) {
                Ok(0) => return false,
                Ok(len) => {
                    let came = buffer.get(..len).unwrap_or_default();
                    self.said.extend_from_slice(last(came));
                    let surplus = self.said.len().saturating_sub(KEPT);
                    self.said.drain(..surplus);
                    return true;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Asks the script, and what it has started, to end. Its output is of no interest any more.
    pub(super) fn terminate(&mut self, registry: &Registry) {
        let _ = self.output.deregister(registry);
        self.process.signal_group(libc::SIGTERM);
    }

    /// Ends them.
    pub(super) fn kill(&self) {
        self.process.signal_group(libc::SIGKILL);
    }

    /// After it was asked to end: whether it has. Then what it had started ends too.
    pub(super) fn buried(&mut self) -> bool {
        self.kill();
        self.over = !matches!(self.process.try_wait(), Ok(None));
        self.over
    }

    /// What an exit status says.
    pub(super) fn verdict(&self, script: &Script, status: ExitStatus) -> Verdict {
        match status.code() {
            Some(0) => Ok(Passed::Plainly),
            Some(code @ 2..=255) if script.dynamic => Ok(Passed::Weighing(code as u32 - 2)),
            Some(code) => Err(self.failure(Reason::Exit, &format!("status {code}"))),
            None => {
                let signal = status.signal().unwrap_or_default();
                Err(self.failure(Reason::Exit, &format!("killed by signal {signal}")))
            }
        }
    }

    /// That its time is over.
    pub(super) fn expired(&self, script: &Script) -> Verdict {
        let seconds = script.timeout.as_secs_f64();
        Err(self.failure(
            Reason::AnswerTimeout,
            &format!("still runs after {seconds} s"),
        ))
    }

    fn failure(&self, reason: Reason, what: &str) -> Failure {
        let said = shown(&self.said);
        match &*said {
            "" => Failure::new(reason, what),
            said => Failure::new(reason, format!("{what}: {said}")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            self.kill();
            let _ = self.process.try_wait();
        }
    }
}

/// As much of the end as is kept.
fn last(bytes: &[u8]) -> &[u8] {
    let surplus = bytes.len().saturating_sub(KEPT);
    bytes.get(surplus..).unwrap_or_default()
}

/// What a script said, on one line and without anything that a terminal would obey.
fn shown(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said.trim_ascii());
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str(" | "),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown() {
        assert_eq!(shown(b""), "");
        assert_eq!(shown(b" \n"), "");
        assert_eq!(shown(b"one\ntwo\n"), "one | two");
        assert_eq!(
            shown("\u{1b}[31mMüll\t\u{9b}".as_bytes()),
            r"\u{1b}[31mMüll\t\u{9b}"
        );
        assert_eq!(shown(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn the_end_is_kept() {
        let mut long = vec![b'x'; KEPT];
        long.push(b'y');
        assert_eq!(last(&long).len(), KEPT);
        assert_eq!(last(&long).last(), Some(&b'y'));
        assert_eq!(last(b"abc"), b"abc");
    }
}
