//! What no safe wrapper has.

#![expect(unsafe_code, reason = "a system call is declared unsafe")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// Takes a file for this process alone, as long as it is open (`flock`). [`io::ErrorKind::WouldBlock`] if another process has it.
pub(super) fn lock(file: &File) -> io::Result<()> {
    // SAFETY: it takes no pointers, and the descriptor is open.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
