//! Stories of packets: a frame goes into the whole pipeline, and every byte of what comes out is known.

mod answers;
mod fragments;
mod helpers;
mod host;
mod icmp;
mod ipsec;
mod lab;
mod methods;
mod sizes;
mod standby;
mod tunnels;
mod waiting;
