//! Health checks of real servers: **nothing checks yet**; this crate so far holds the interface its checkers
//! will have.
//!
//! A checker is a state machine without sockets or clock: a driver tells it what happened and when, and carries
//! out what it asks for. So thousands run on one thread, and tests run on a virtual clock.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::time::Duration;

/// What one check of a server found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server answered as it should.
    Up,
    /// It did not; the text says what was wrong, for people.
    Down(String),
}

/// What a checker wants of its driver next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Want {
    /// Nothing but to be called again at this time, counted from the driver's start, or when bytes arrive.
    Wait(Duration),
    /// These bytes sent.
    Send(Vec<u8>),
    /// Nothing more: the check is over.
    Finished(Outcome),
}

/// One run of one check, from connecting to its outcome.
///
/// The driver connects, calls [`Check::connected`], and then [`Check::received`] and [`Check::elapsed`] as things
/// happen, until it is told [`Want::Finished`].
pub trait Check {
    /// The transport connection stands.
    fn connected(&mut self, now: Duration) -> Want;

    /// Bytes came from the server; none means that it closed the connection.
    fn received(&mut self, bytes: &[u8], now: Duration) -> Want;

    /// Time passed, or the connection failed for the reason given.
    fn elapsed(&mut self, now: Duration, failure: Option<&str>) -> Want;
}
