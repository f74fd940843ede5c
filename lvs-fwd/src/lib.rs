//! Packets of a user-space Linux Virtual Server.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod checksum;
pub mod classify;
pub mod counters;
pub mod frag;
pub mod frame;
mod head;
pub mod helper;
pub mod hidden;
mod hops;
pub mod io;
mod limit;
mod parking;
pub mod parse;
pub mod path_mtu;
pub mod pipeline;
pub mod responder;
pub mod rewrite;
pub mod route;
mod segmentation;
mod split;
mod tunnel_error;
pub mod wire;
