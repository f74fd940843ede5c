//! A complete Linux Virtual Server in user space: the daemon's parts.
//!
//! | module | holds |
//! |---|---|
//! | [`rules`] | rule files in ipvsadm's format |
//! | [`daemon`] | the running director: threads, ports, guard |
//! | [`run`] | `lvsd run` |
//! | [`demo`] | `lvsd demo` |
#![warn(missing_docs)]

pub mod daemon;
pub mod demo;
pub mod rules;
pub mod run;
