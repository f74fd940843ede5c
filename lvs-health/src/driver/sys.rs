//! The system calls that neither the standard library nor socket2 has.
#![expect(unsafe_code, reason = "system calls take pointers and descriptors")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_int;

/// Raises this process's limit of open descriptors to `wanted`, or as near as an ordinary process may go, and returns what it
/// is then. It is never lowered.
pub(super) fn raise_descriptors(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a whole rlimit.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur < wanted.min(limit.rlim_max) {
        limit.rlim_cur = wanted.min(limit.rlim_max);
        // SAFETY: the pointer is to a whole rlimit.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(limit.rlim_cur)
}

/// Sets a socket option whose value is a number.
pub(super) fn set_option(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    // SAFETY: the descriptor is open while it is borrowed, and the pointer is to as many bytes as said.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    })
    .map(|_| ())
}

fn check(result: c_int) -> io::Result<c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
