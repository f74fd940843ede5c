//! The director of a user-space Linux Virtual Server.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod addr;
pub mod dest;
pub mod sched;
pub mod segment;
pub mod service;
pub mod stats;
pub mod time;
pub mod verdict;

pub use addr::{Endpoint, Family, Ip};
pub use segment::{Kind, Protocol, Segment, TcpFlags};
pub use time::Time;
pub use verdict::{Direction, DropReason, Forward, PassReason, Rewrite, Verdict};
