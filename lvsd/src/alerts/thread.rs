//! A thread whose end is waited for, but not for ever.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A thread that runs.
#[derive(Debug)]
pub(super) struct Thread {
    /// Nothing is ever sent there; the thread lets go of it at its end.
    end: Receiver<()>,
}

impl Thread {
    /// Starts one.
    pub(super) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (held, end) = mpsc::channel::<()>();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _held = held;
                body();
            })?;
        Ok(Self { end })
    }

    /// Waits until it has ended; `false`: it has not, and is left alone.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        self.end.recv_timeout(longest) == Err(RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_its_end_only_so_long() {
        let (go, wait) = mpsc::channel::<()>();
        let thread = Thread::start("test", move || assert!(wait.recv().is_ok())).unwrap();
        assert!(!thread.wait(Duration::from_millis(1)));
        go.send(()).unwrap();
        assert!(thread.wait(Duration::from_secs(600)));
        assert!(thread.wait(Duration::ZERO), "it still has");
    }
}
