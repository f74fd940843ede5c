//! What `lvsd run` writes, to its log (standard error) and its output, so that nobody waits for it.
//!
//! Problem: either may go to a full disk, or to a pipe that nobody reads any more. Who writes there then stands still: nothing is
//! checked, nothing followed, and SIGTERM is not seen. A virtual router that stood still would be taken for dead.
//!
//! Rule: while a [`Writer`] is there, all is left for its thread. If too much waits the newest is lost, and how many lines that were
//! is written. Before and after, it is written at once.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Texts that wait at a time.
const WAITING: usize = 4096;

/// How long the end waits for texts to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the one of this process is.
static QUEUE: RwLock<Option<Queue>> = RwLock::new(None);

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    /// Standard error.
    Log,
    /// Standard output.
    Output,
}

/// A line for the log.
pub(crate) fn log(line: &str) {
    leave(Stream::Log, format!("lvsd: {line}\n"));
}

/// Whole lines for the log, as they are.
pub(crate) fn show(text: &str) {
    leave(Stream::Log, text.to_owned());
}

/// A text for the output.
pub(crate) fn print(text: &str) {
    leave(Stream::Output, text.to_owned());
}

fn leave(stream: Stream, text: String) {
    let queue = QUEUE.read().unwrap_or_else(PoisonError::into_inner);
    match &*queue {
        Some(queue) => queue.leave(stream, text),
        None => write(stream, &text),
    }
}

/// Writes it now.
fn write(stream: Stream, text: &str) {
    // Whoever closed it does not want to know, and nobody is left to be told of other failures.
    let _ = match stream {
        Stream::Log => io::stderr().write_all(text.as_bytes()),
        Stream::Output => io::stdout()
            .write_all(text.as_bytes())
            .and_then(|()| io::stdout().flush()),
    };
}

/// The thread that writes all that this process has to say, until this is dropped.
#[derive(Debug)]
pub(crate) struct Writer(Thread);

impl Writer {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The system has no threads left.
    pub(crate) fn start() -> io::Result<Self> {
        let (queue, thread) = start(write)?;
        *QUEUE.write().unwrap_or_else(PoisonError::into_inner) = Some(queue);
        Ok(Self(thread))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        *QUEUE.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.end();
    }
}

/// Where texts are left.
#[derive(Clone, Debug)]
struct Queue {
    texts: SyncSender<(Stream, String)>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Thread(Option<JoinHandle<()>>);

type Write = fn(Stream, &str);

/// The thread ends when nobody can leave anything any more.
fn start(write: Write) -> io::Result<(Queue, Thread)> {
    let (texts, waiting) = sync_channel(WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let queue = Queue {
        texts,
        lost: lost.clone(),
    };
    let thread = thread::Builder::new().name("lvsd-log".to_owned());
    let thread = thread.spawn(move || work(&waiting, &lost, write))?;
    Ok((queue, Thread(Some(thread))))
}

fn work(waiting: &Receiver<(Stream, String)>, lost: &AtomicU64, write: Write) {
    while let Ok((stream, text)) = waiting.recv() {
        write(stream, &text);
        let lost = lost.swap(0, Relaxed);
        if lost > 0 {
            let text = format!("lvsd: {lost} lines were lost: the log was too slow\n");
            write(Stream::Log, &text);
        }
    }
}

impl Queue {
    fn leave(&self, stream: Stream, text: String) {
        let lines = text.lines().count() as u64;
        if self.texts.try_send((stream, text)).is_err() {
            self.lost.fetch_add(lines, Relaxed);
        }
    }
}

impl Thread {
    /// Waits for its end, but not for ever: it may hang.
    fn end(&mut self) {
        let begin = Instant::now();
        let Some(thread) = self.0.take() else { return };
        while !thread.is_finished() && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    static HELD: Mutex<()> = Mutex::new(());
    static WRITTEN: Mutex<Vec<(Stream, String)>> = Mutex::new(Vec::new());

    fn slow(stream: Stream, text: &str) {
        let _held = HELD.lock().unwrap();
        WRITTEN.lock().unwrap().push((stream, text.to_owned()));
    }

    #[test]
    fn nobody_waits_for_a_log_that_hangs() {
        let (queue, mut thread) = start(slow).unwrap();
        let held = HELD.lock().unwrap();
        for i in 0..2 * WAITING {
            queue.leave(Stream::Output, format!("{i}\n{i}\n"));
        }
        drop(held);
        while WRITTEN.lock().unwrap().len() < WAITING {
            thread::yield_now();
        }
        queue.leave(Stream::Log, "end".to_owned());
        drop(queue);
        thread.end();

        let written = WRITTEN.lock().unwrap();
        fn count(text: &str) -> Option<(&str, &str)> {
            text.strip_prefix("lvsd: ")?.split_once(" lines were lost")
        }
        let (said, texts): (Vec<_>, Vec<_>) =
            written.iter().partition(|(_, text)| count(text).is_some());
        let (last, texts) = texts.split_last().unwrap();
        assert_eq!((last.0, last.1.as_str()), (Stream::Log, "end"));
        let first: Vec<_> = (0..texts.len()).map(|i| format!("{i}\n{i}\n")).collect();
        let oldest = texts.iter().map(|(_, text)| text);
        assert!(oldest.eq(&first), "the oldest, in order");
        assert!(texts.iter().all(|(stream, _)| *stream == Stream::Output));
        let said = said.iter().filter_map(|(_, text)| count(text));
        let said: usize = said.map(|(n, _)| n.parse::<usize>().unwrap()).sum();
        assert_eq!(said, 2 * (2 * WAITING - texts.len()));
    }

    #[test]
    fn a_log_that_hangs_does_not_keep_the_process_from_ending() {
        fn never(_: Stream, _: &str) {
            loop {
                thread::park();
            }
        }
        let (queue, mut thread) = start(never).unwrap();
        queue.leave(Stream::Log, "a line".to_owned());
        drop(queue);
        thread.end();
    }
}
