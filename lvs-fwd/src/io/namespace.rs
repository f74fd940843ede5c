//! A network of our own: one that nobody else sees, and that is gone when we are.

#![expect(unsafe_code, reason = "system calls are declared unsafe")]

use std::io;

/// Moves the calling thread, and no other, to a new network namespace without a name: without interfaces, but for a loopback
/// that is down, and without routes. Threads and processes it starts from now on are there too. It lasts as long as threads,
/// sockets or [devices](super::tun) in it.
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_ADMIN`.
pub fn enter_new_network() -> io::Result<()> {
    // SAFETY: takes no pointers; what the thread shares with others, but for the network, stays shared.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
