//! VRRP for directors: which of several hosts holds the virtual addresses.
//!
//! Everything that decides is a state machine without sockets or clock: whoever drives it feeds it advertisements,
//! observations and the time, and carries out what it puts out. So two routers and a lossy link fit in a test.
//!
//! | module | holds | needs |
//! |---|---|---|
//! | [`announce`] | when gratuitous ARPs and neighbour advertisements go out | nothing |
//! | [`config`] | what a virtual router is to do | nothing |
//! | [`event`] | what comes out: advertisements to send, changes of state, troubles | nothing |
//! | [`packet`] | advertisements as bytes: made, read, checked | nothing |
//! | [`router`] | one virtual router's state machine | nothing |
//! | [`speaker`] | all virtual routers of a host | nothing |
//! | [`status`] | how everything is, and why | nothing |
//! | [`track`] | what routers watch besides each other, and what that does to them | nothing |
//!
//! The rules are those of RFC 3768 (version 2), RFC 5798 and RFC 9568 (version 3), and keepalived's where these are silent or
//! practice has left them.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod announce;
pub mod config;
pub mod event;
mod group;
#[cfg(feature = "linux")]
pub mod io;
pub mod packet;
pub mod router;
pub mod speaker;
pub mod status;
pub mod track;

/// A point in time: how long after a moment of the driver's choice.
pub type Time = std::time::Duration;
