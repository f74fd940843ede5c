//! What the kernel knows of the network, over rtnetlink.
//!
//! A director must send frames to the same neighbours, by the same routes, as its host would. Rather than
//! speak ARP and routing protocols itself it reads the kernel's tables and follows their changes
//! ([`Monitor`]), and has the kernel find the Ethernet addresses it needs ([`Resolver`]). [`Config`] makes
//! links, addresses and routes, for virtual networks in demonstrations and tests.
//!
//! Everything here is synchronous and belongs to the network namespace of the thread that created it;
//! afterwards any thread may use it. Needed rights: none for [`Monitor`], `CAP_NET_ADMIN` for the others.

mod config;
mod connection;
mod message;
mod monitor;
mod resolver;

pub use config::{Config, VethEnd};
pub use monitor::{Link, Monitor};
pub use resolver::Resolver;
