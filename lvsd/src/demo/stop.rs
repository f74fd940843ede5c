//! Ctrl-C and its like.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Notes SIGINT and SIGTERM: the first ends the demonstration in good order, a second one at once.
#[derive(Debug)]
pub struct Stop {
    /// Set by the first signal.
    pub cancel: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// From now on signals are noted.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self {
            cancel: Arc::default(),
            signal: Arc::default(),
        };
        for signal in [SIGINT, SIGTERM] {
            let number = signal.unsigned_abs() as usize;
            flag::register_conditional_shutdown(signal, 128 + signal, stop.cancel.clone())?;
            flag::register_usize(signal, stop.signal.clone(), number)?;
            flag::register(signal, stop.cancel.clone())?;
        }
        Ok(stop)
    }

    /// The exit status, 128 and the signal's number, if one came.
    pub fn status(&self) -> Option<u8> {
        let signal = self.signal.load(Relaxed);
        let status = u8::try_from(128 + signal).unwrap_or(u8::MAX);
        (signal != 0).then_some(status)
    }
}
