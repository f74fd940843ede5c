//! What controls connections: a persistence template or a control connection.
//!
//! A template must not go while connections that follow it exist, nor an FTP control connection before its data
//! connections (IPVS: the controller and its `n_control`). The two ends may live in different shards, so what they
//! share is only this counter; whoever holds a [`Lease`] is controlled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The shared part of a controller.
#[derive(Debug, Default)]
pub(crate) struct Control {
    controlled: AtomicU32,
    assured: AtomicBool,
    forsaken: AtomicBool,
}

impl Control {
    /// Puts one more connection under this control.
    pub(crate) fn lease(self: &Arc<Self>) -> Lease {
        self.controlled.fetch_add(1, Relaxed);
        Lease(self.clone())
    }

    /// Whether it controls any connection.
    pub(crate) fn is_needed(&self) -> bool {
        self.controlled.load(Relaxed) > 0
    }

    /// Whether it would control any connection without one that is under `gone`.
    pub(crate) fn is_needed_without(self: &Arc<Self>, gone: Option<&Arc<Self>>) -> bool {
        let own = gone.is_some_and(|gone| Arc::ptr_eq(gone, self));
        self.controlled.load(Relaxed) > u32::from(own)
    }

    /// Whether a connection under it has really come about (IPVS: template state ASSURED).
    pub(crate) fn is_assured(&self) -> bool {
        self.assured.load(Relaxed)
    }

    /// Whether the last connection under it was dropped in defence, and none had come about.
    pub(crate) fn is_forsaken(&self) -> bool {
        self.forsaken.load(Relaxed) && !self.is_needed()
    }
}

/// Being controlled; ends when dropped.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Control>);

impl Lease {
    /// What controls the connection.
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.0
    }

    /// The connection has come about.
    pub(crate) fn assure(&self) {
        self.0.assured.store(true, Relaxed);
    }

    /// Ends because the connection was dropped in defence.
    pub(crate) fn forsake(self) {
        if !self.0.is_assured() {
            self.0.forsaken.store(true, Relaxed);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.controlled.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_needed_as_long_as_it_controls() {
        let control = Arc::new(Control::default());
        let (a, b) = (control.lease(), control.lease());
        drop(a);
        assert!(control.is_needed());
        b.assure();
        b.forsake();
        assert!(!control.is_needed() && control.is_assured() && !control.is_forsaken());
    }

    #[test]
    fn only_what_never_came_about_is_forsaken() {
        let control = Arc::new(Control::default());
        let (a, b) = (control.lease(), control.lease());
        a.forsake();
        assert!(!control.is_forsaken(), "another is left");
        drop(b);
        assert!(control.is_forsaken());
    }
}
