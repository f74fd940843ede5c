//! Packets of a user-space Linux Virtual Server.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod checksum;
pub mod frag;
pub mod frame;
mod head;
pub mod io;
pub mod parse;
pub mod responder;
pub mod rewrite;
pub mod route;
mod segmentation;
mod split;
pub mod wire;
