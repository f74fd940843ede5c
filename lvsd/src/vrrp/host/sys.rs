//! What no safe wrapper has.

#![expect(unsafe_code, reason = "a system call is declared unsafe")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

/// Takes a file for this process alone, as long as it is open (`flock`). [`io::ErrorKind::WouldBlock`] if another process has it.
pub(super) fn lock(file: &File) -> io::Result<()> {
    // SAFETY: it takes no pointers, and the descriptor is open.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The number of a socket's network namespace, which no other has had or will have during this boot (`SO_NETNS_COOKIE`, Linux 5.14).
pub(super) fn namespace_cookie(socket: &impl AsFd) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length = size_of_val(&cookie) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    let (level, name) = (libc::SOL_SOCKET, libc::SO_NETNS_COOKIE);
    let to = (&raw mut cookie).cast();
    // SAFETY: the pointers are to a number and to its size, which live through the call.
    let done = unsafe { libc::getsockopt(fd, level, name, to, &raw mut length) };
    match done {
        0 => Ok(cookie),
        _ => Err(io::Error::last_os_error()),
    }
}
