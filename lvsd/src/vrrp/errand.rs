//! Something left for another thread, which is woken.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use mio::Waker;

/// Where things are left for a thread. Whoever leaves something never waits.
pub(super) struct Errands<T> {
    queue: Sender<T>,
    waker: Arc<Waker>,
}

impl<T> Errands<T> {
    /// For the thread that reads this queue, and waits where this waker wakes it.
    pub(super) fn new(queue: Sender<T>, waker: Waker) -> Self {
        Self {
            queue,
            waker: Arc::new(waker),
        }
    }

    /// Leaves something. A thread that has ended does not mind.
    pub(super) fn leave(&self, what: T) {
        let _ = self.queue.send(what);
        let _ = self.waker.wake(); // it fails only if it is about to wake already
    }
}

impl<T> Clone for Errands<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            waker: self.waker.clone(),
        }
    }
}

impl<T> fmt::Debug for Errands<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").finish_non_exhaustive()
    }
}
