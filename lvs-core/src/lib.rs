//! The director of a user-space Linux Virtual Server: which real server gets a packet, and how.
//!
//! ```text
//! packet ─parse→ Segment ─Worker::decide→ Verdict ─rewrite→ packet
//!        (lvs-fwd)          (this crate)           (lvs-fwd)
//! ```
//!
//! Three rules keep it usable anywhere: it never sees a byte of a packet (a [`Segment`] is its summary); it
//! never reads a clock ([`Time`] is an argument) or a random source (the seed is given); it never does I/O.
//! So the same code runs on an interface, over a capture, in a simulation or in somebody else's data plane.
//!
//! | module | holds |
//! |---|---|
//! | [`addr`], [`time`], [`segment`], [`verdict`] | the words the rest is written in |
//! | [`service`], [`dest`], [`stats`] | virtual services and real servers |
//! | [`sched`], [`changes`] | the interface to the schedulers, which are in `lvs-sched` |
//! | [`config`] | immutable snapshots and how they change |
//! | [`state`] | protocol state, timeouts |
//! | [`sysctl`] | IPVS's settings |
//! | [`steer`] | which shard, and so which worker, a packet belongs to |
//! | [`director`] | decisions |
//! | [`guard`] | a proxy's connection, counted as long as it lives |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod addr;
pub mod changes;
pub mod config;
mod conn;
pub mod dest;
pub mod director;
pub mod guard;
pub mod sched;
pub mod segment;
pub mod service;
pub mod state;
pub mod stats;
pub mod steer;
pub mod sysctl;
pub mod time;
pub mod verdict;

pub use addr::{Endpoint, Family, Ip};
pub use config::{Config, ConfigError, Draft, Standby};
pub use conn::{ConnInfo, Shift};
pub use dest::{Dest, DestOptions, Encapsulation, Method};
pub use director::{Assist, Director, Expected, Listing, Settings, Worker};
pub use guard::ConnGuard;
pub use segment::{Chunk, Kind, Protocol, Segment, TcpFlags};
pub use service::{LocalAddr, Persistence, Service, ServiceKey, ServiceOptions, ServiceTimeouts};
pub use sysctl::Sysctls;
pub use time::Time;
pub use verdict::{Direction, DropReason, Forward, PassReason, Rewrite, Verdict};
