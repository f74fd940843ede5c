//! The system calls that neither the standard library nor socket2 has.
#![expect(unsafe_code, reason = "system calls take pointers and descriptors")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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

/// A descriptor that becomes readable when the child ends. It must be one that has not been waited for.
pub(super) fn pidfd(child: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child as libc::pid_t, 0) };
    let fd = check(fd as c_int)?;
    // SAFETY: the kernel has just made this descriptor for us (it closes on exec).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to a process group. Its leader must be a child that has not been waited for, so that the number is still
/// its own.
pub(super) fn signal_group(leader: u32, signal: c_int) -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    check(unsafe { libc::killpg(leader as libc::pid_t, signal) }).map(|_| ())
}

fn check(result: c_int) -> io::Result<c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
