//! What virtual routers do to the host besides its addresses.
//!
//! | module | does |
//! |---|---|
//! | [`routes`], [`rules`] | static and virtual routes and rules |
//! | [`firewall`] | keeps packets for VIPs away from a host that does not accept them |
//! | [`sysctl`] | sysctls that virtual MAC addresses need, and others, until the end |
//! | [`journal`], [`leftovers`] | what has been added, written down for the next start, which removes what a predecessor left |
//! | [`names`] | what iproute2 calls tables, protocols, realms and groups |
//! | [`change`] | what comes of asking the kernel for any of it |

pub(crate) mod change;
pub(crate) mod firewall;
pub(crate) mod journal;
pub(crate) mod leftovers;
pub(crate) mod names;
pub(crate) mod routes;
pub(crate) mod rules;
mod sys;
pub(crate) mod sysctl;
#[cfg(test)]
mod testing;
