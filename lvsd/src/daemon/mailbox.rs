//! Orders to a thread that may be asleep.

use std::sync::{Mutex, PoisonError};

use lvs_fwd::frame::PortId;
use lvs_fwd::route::Mac;
use mio::Waker;

/// Something for a worker to do between two bursts.
#[derive(Debug)]
pub(super) enum Order {
    /// Send a frame.
    Send(PortId, Vec<u8>),
    /// Receive a multicast group.
    Join(PortId, Mac),
}

#[derive(Debug)]
pub(super) struct Mailbox {
    orders: Mutex<Vec<Order>>,
    waker: Waker,
}

impl Mailbox {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            orders: Mutex::default(),
            waker,
        }
    }

    pub(super) fn post(&self, order: Order) {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(order);
    }

    /// Wakes the thread, if only to look at what is shared.
    pub(super) fn wake(&self) {
        // It can only fail if the thread has ended, and then there is nobody to wake.
        let _ = self.waker.wake();
    }

    pub(super) fn take(&self) -> Vec<Order> {
        std::mem::take(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
