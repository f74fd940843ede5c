//! `lvsd demo`: a whole load-balanced network on this machine, with real traffic, and nothing left behind.
//!
//! One process is everything. Its threads sit in network namespaces without names ([`host`]), joined by
//! virtual Ethernet and bridges ([`lan`]): a client, a director, three web servers. All but the director is
//! ordinary kernel TCP ([`http`], [`load`]); on the director runs lvsd itself, the same code and the same
//! packet sockets as `lvsd run`, with a rule file ([`plan`]). Each forwarding method is put through the same
//! trial ([`trial`]) and the results make a table ([`report`]).
//!
//! Where the kernel cannot undo IPIP the real servers do it by themselves ([`tunnels`], [`decap`]).

pub mod decap;
pub mod host;
pub mod http;
pub mod lan;
pub mod load;
pub mod plan;
pub mod report;
mod run;
pub mod stop;
pub mod trial;
pub mod tunnels;

pub use run::run;

#[cfg(test)]
mod tests;
