//! Linux: the sockets and frames of virtual routers. Nothing here decides anything, and nothing waits.

pub mod address;
pub mod announcer;
pub mod device;
pub mod link;
pub mod netlink;
pub mod socket;
mod sys;
#[cfg(test)]
mod testing;
