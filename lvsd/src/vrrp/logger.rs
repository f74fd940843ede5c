//! The log of virtual routers. They are taken for dead if they wait for it, so it must be one that nobody waits for: see
//! [`output`](crate::output).

/// Where lines go.
#[derive(Clone, Debug)]
pub(super) struct Logger(pub(super) fn(&str));

impl Logger {
    /// Logs a line.
    pub(super) fn log(&self, line: impl Into<String>) {
        (self.0)(&line.into());
    }
}
