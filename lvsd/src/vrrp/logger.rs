//! A log that nobody waits for.
//!
//! Problem: the log may go to a full disk, or to a pipe that nobody reads; a virtual router that waits for it is taken for dead.
//!
//! Rule: lines are left for a thread of their own. If too many wait, the newest are lost, and how many is logged.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Lines that wait at a time.
const WAITING: usize = 4096;

/// How long the end waits for lines to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Leaves lines for the log. Clones leave them at the same place.
#[derive(Clone, Debug)]
pub(super) struct Logger {
    lines: SyncSender<Option<String>>,
    lost: Arc<AtomicU64>,
}

/// The thread that writes them; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    logger: Logger,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(log: fn(&str)) -> io::Result<Self> {
        let (lines, queue) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let logger = Logger {
            lines,
            lost: lost.clone(),
        };
        let thread = thread::Builder::new().name("lvsd-vrrp-log".to_owned());
        let thread = thread.spawn(move || write(&queue, &lost, log))?;
        Ok(Self {
            logger,
            thread: Some(thread),
        })
    }

    /// Where lines are left.
    pub(super) fn logger(&self) -> Logger {
        self.logger.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.logger.lines.try_send(None); // if it is full, the log hangs, and so would we
        let begin = Instant::now();
        let Some(thread) = self.thread.take() else {
            return;
        };
        while !thread.is_finished() && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

impl Logger {
    /// Leaves a line.
    pub(super) fn log(&self, line: impl Into<String>) {
        if self.lines.try_send(Some(line.into())).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

fn write(queue: &Receiver<Option<String>>, lost: &AtomicU64, log: fn(&str)) {
    while let Ok(Some(line)) = queue.recv() {
        let lost = lost.swap(0, Relaxed);
        if lost > 0 {
            log(&format!(
                "{lost} lines about virtual routers were lost: the log was too slow"
            ));
        }
        log(&line);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    static HELD: Mutex<()> = Mutex::new(());
    static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn slow(line: &str) {
        let _held = HELD.lock().unwrap();
        LOGGED.lock().unwrap().push(line.to_owned());
    }

    #[test]
    fn nobody_waits_for_a_log_that_hangs() {
        let writer = Writer::start(slow).unwrap();
        let logger = writer.logger();
        let held = HELD.lock().unwrap();
        for i in 0..2 * WAITING {
            logger.log(i.to_string());
        }
        drop(held);
        while LOGGED.lock().unwrap().len() < WAITING {
            thread::yield_now();
        }
        logger.log(usize::MAX.to_string());
        drop(writer);
        let logged = LOGGED.lock().unwrap();
        let lines: Vec<usize> = logged.iter().filter_map(|l| l.parse().ok()).collect();
        let (last, lines) = lines.split_last().unwrap();
        assert_eq!(*last, usize::MAX);
        assert!(
            lines.iter().copied().eq(0..lines.len()),
            "the oldest, in order"
        );
        let lost = 2 * WAITING - lines.len();
        let said = logged.iter().filter_map(|l| l.split_once(" lines about"));
        let said: usize = said.map(|(n, _)| n.parse::<usize>().unwrap()).sum();
        assert_eq!(said, lost);
    }
}
