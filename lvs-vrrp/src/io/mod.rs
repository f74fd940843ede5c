//! Linux: the sockets and frames of virtual routers. Nothing here decides anything, and nothing waits.

pub mod netlink;
mod sys;
#[cfg(test)]
mod testing;
