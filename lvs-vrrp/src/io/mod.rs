//! Linux: what the state machines need of the host. Nothing here decides anything, and what advertisements depend on never waits.

pub mod address;
pub mod announcer;
pub mod device;
pub mod link;
pub mod netlink;
pub mod socket;
mod sys;
#[cfg(test)]
mod testing;
