//! A complete Linux Virtual Server in user space: the daemon's parts.
#![warn(missing_docs)]

pub mod demo;
pub mod rules;
