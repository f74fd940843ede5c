//! Packets of a user-space Linux Virtual Server.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod frame;
pub mod io;
pub mod route;
