//! The system calls that the standard library does not have.
#![expect(unsafe_code, reason = "system calls take pointers and descriptors")]

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{io, ptr};

use libc::c_int;

/// The user and the group that we run as.
pub(super) fn ourselves() -> (u32, u32) {
    // SAFETY: these calls take nothing and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// A descriptor that becomes readable when the child ends. It must be one that has not been waited for.
pub(super) fn pidfd(child: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child as libc::pid_t, 0) };
    let fd = check(fd as c_int)?;
    // SAFETY: the kernel has just made this descriptor for us (it closes on exec).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a child has ended. It must be one that has not been waited for, and this does not wait for it either.
pub(super) fn has_ended(child: u32) -> bool {
    // SAFETY: all zero is a valid siginfo.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a whole siginfo.
    let result = unsafe { libc::waitid(libc::P_PID, child, &raw mut info, flags) };
    // SAFETY: the call has filled it in, or it is still all zero.
    result != 0 || unsafe { info.si_pid() } != 0
}

/// Sends a signal to a process group. Its leader must be a child that has not been waited for, so that the number is still
/// its own.
pub(super) fn signal_group(leader: u32, signal: c_int) -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    check(unsafe { libc::killpg(leader as libc::pid_t, signal) }).map(drop)
}

/// Makes a named pipe.
pub(super) fn make_pipe(path: &Path, mode: u32) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path ends with a zero and lives until the call returns.
    check(unsafe { libc::mkfifo(path.as_ptr(), mode) }).map(drop)
}

/// Lets a pipe hold as many bytes, or as many as the system allows, before writing to it would block.
pub(super) fn widen_pipe(pipe: BorrowedFd<'_>, bytes: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open while it is borrowed, and the call takes a number.
    check(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) }).map(drop)
}

/// What one account takes at most in the C library's buffer.
const ACCOUNT: usize = 64 * 1024;

/// A user's name.
pub(super) fn user_name(uid: u32) -> Option<CString> {
    let mut buffer = vec![0; ACCOUNT];
    // SAFETY: all zero is a valid passwd.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = ptr::null_mut();
    // SAFETY: the buffer is as long as said, and all live until it returns.
    let failed = unsafe {
        libc::getpwuid_r(
            uid,
            &raw mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        )
    };
    if failed != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the name is in the buffer and ends with a zero.
    Some(unsafe { CStr::from_ptr(entry.pw_name) }.to_owned())
}

/// More groups than this nobody is in.
const MOST_GROUPS: usize = 65536;

/// All groups of a user, with this one.
pub(super) fn groups(user: &CStr, gid: u32) -> Option<Vec<u32>> {
    let mut groups = vec![0; MOST_GROUPS];
    let mut number = MOST_GROUPS as c_int;
    // SAFETY: the name ends with a zero, and there is room for as many groups as said.
    let failed =
        unsafe { libc::getgrouplist(user.as_ptr(), gid, groups.as_mut_ptr(), &raw mut number) };
    groups.truncate(usize::try_from(number).ok()?);
    (failed != -1).then_some(groups)
}

/// The command will run as this user and group, with these groups besides, and no others of ours.
pub(super) fn run_as(command: &mut Command, (uid, gid): (u32, u32), groups: Vec<u32>) {
    let switch = move || {
        // SAFETY: there are as many groups as said.
        check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
        // SAFETY: the call takes a number.
        check(unsafe { libc::setgid(gid) })?;
        // SAFETY: the call takes a number.
        check(unsafe { libc::setuid(uid) }).map(drop)
    };
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(switch) };
}

/// The command will get SIGTERM when the thread that starts it ends, so that it cannot outlive us.
pub(super) fn tie(command: &mut Command) {
    let us = std::process::id();
    let tie = move || {
        // SAFETY: the call takes numbers.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) })?;
        // SAFETY: the call takes nothing and cannot fail.
        match unsafe { libc::getppid() } as u32 == us {
            true => Ok(()),
            // We have ended meanwhile.
            false => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    };
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(tie) };
}

fn check(result: c_int) -> io::Result<c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_groups() {
        let root = user_name(0).unwrap();
        assert_eq!(root.to_bytes(), b"root");
        assert!(groups(&root, 0).unwrap().contains(&0));
        assert_eq!(user_name(u32::MAX - 7), None);
    }

    #[test]
    fn who_is_tied_does_not_outlive_the_thread() {
        use std::os::unix::process::ExitStatusExt as _;
        let start = || {
            let mut command = Command::new("sleep");
            tie(command.arg("1000"));
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    }
}
