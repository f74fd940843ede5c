//! A stand-in for the kernel's IPVS under the real `ipvsadm`.
//!
//! Few machines that run our tests have IPVS in their kernel, but every Debian has the true ipvsadm. That
//! program talks to the kernel through six functions of libnl, and reads connections from
//! `/proc/net/ip_vs_conn`. This library, preloaded into it (`LD_PRELOAD`), takes their place and
//! answers from a table of its own with the kernel's rules, so that what ipvsadm prints and how it ends can be
//! compared with ours.
//!
//! | module | holds |
//! |---|---|
//! | [`preload`] | the functions ipvsadm calls |
//! | [`family`] | the generic netlink family IPVS: commands and answers |
//! | [`table`] | services, servers and daemons, and what the kernel refuses |
//! | [`attributes`] | netlink messages, read and written |
//!
//! Told by the environment:
//!
//! | variable | meaning |
//! |---|---|
//! | `STANDIN_STATE` | file that keeps the table from one call to the next; nothing is kept without |
//! | `STANDIN_COUNTERS` | counters of every service and server, separated by commas: connections, packets in and out, bytes in and out, their five rates, active, inactive and persistent connections |
//! | `STANDIN_CONNECTIONS` | file in place of `/proc/net/ip_vs_conn`, which is missing without |

pub mod attributes;
pub mod family;
#[cfg(not(test))] // a test has no libnl to link with
pub mod preload;
pub mod table;
