//! Health checks of real servers.
//!
//! Everything that decides is a state machine without sockets or clock; one driver on mio carries tens of thousands of
//! them on one thread. So the same code runs in production, on a virtual clock in tests, and under somebody else's loop.
//!
//! | module | holds | needs |
//! |---|---|---|
//! | [`agenda`] | which check is due when | nothing |
//! | [`check`] | what is checked, how and how often | nothing |
//! | [`checker`] | what a check's results mean: up, down, when to ask again | nothing |
//! | [`driver`] | sockets, scripts, files: runs checks against real servers | Linux |
//! | [`pool`] | a service's servers: weights, quorum, sorry server | nothing |
//! | [`probe`] | one run of one check: bytes in, bytes out, a verdict | nothing |
//! | [`process`] | starts programs, as another user too, without copying ours | Linux |
//! | [`digest`] | MD5 sums of pages | nothing |
//!
//! The rules are keepalived's where nothing else is said.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod agenda;
pub mod check;
pub mod checker;
pub mod digest;
pub mod driver;
pub mod pool;
pub mod probe;
pub mod process;

pub use check::{Check, Kind, Target, Timing};
pub use checker::Checker;
pub use driver::{CheckId, Driver};
pub use pool::Pool;
pub use probe::{Failure, Passed, Reason, Verdict};
