//! Packets of a user-space Linux Virtual Server.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod checksum;
pub mod frag;
pub mod frame;
pub mod io;
pub mod parse;
pub mod responder;
pub mod route;
pub mod wire;
