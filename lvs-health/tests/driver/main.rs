//! The driver against real sockets on loopback, and real processes.

mod bed;
mod datagrams;
mod files;
mod hostile;
mod life;
mod scale;
mod scripts;
mod sockets;
