//! ipvsadm's commands on a director of this process: carrying them out, and listing as ipvsadm lists.
//!
//! | module | holds |
//! |---|---|
//! | [`execute`] | a command becomes a change of the configuration, or is refused as the kernel refuses it |
//! | [`listing`] | services, statistics and connections as ipvsadm and `/proc/net/ip_vs_conn` show them |

pub mod execute;
pub mod listing;
