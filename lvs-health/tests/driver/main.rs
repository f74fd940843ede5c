//! The driver against real sockets on loopback, and real processes.

mod bed;
mod sockets;
