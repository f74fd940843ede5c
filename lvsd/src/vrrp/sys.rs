//! What the speaker's thread asks the kernel for that no safe wrapper has.

#![expect(unsafe_code, reason = "system calls about threads and memory")]

use std::io;

/// The calling thread, in calls about threads.
const SELF: libc::pid_t = 0;

/// Gives the calling thread a nice value, -20 to 19.
pub(super) fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: it takes no pointers. On Linux this is about the thread, not the process.
    result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })
}

/// Gives the calling thread a real-time priority, 1 to 99 (SCHED_RR). What it starts is ordinary again.
pub(super) fn set_realtime(priority: i32) -> io::Result<()> {
    // SAFETY: all zeros are a valid value of this plain C struct.
    let mut wanted: libc::sched_param = unsafe { std::mem::zeroed() };
    wanted.sched_priority = priority;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a value that lives through the call.
    result(unsafe { libc::sched_setscheduler(SELF, policy, &raw const wanted) })
}

/// Keeps the calling thread on these processors.
pub(super) fn set_processors(processors: &[usize]) -> io::Result<()> {
    // SAFETY: all zeros are the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    for &processor in processors.iter().filter(|p| **p < most) {
        // SAFETY: the number is within the set, which it is checked for above.
        unsafe { libc::CPU_SET(processor, &mut set) };
    }
    // SAFETY: the pointer is to a set that lives through the call, and the size is its own.
    result(unsafe { libc::sched_setaffinity(SELF, size_of_val(&set), &raw const set) })
}

/// Keeps the memory of the process from being swapped out, from when it is first used.
pub(super) fn lock_memory() -> io::Result<()> {
    let how = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: it takes no pointers.
    result(unsafe { libc::mlockall(how) })
}

/// Closes all descriptors but the first three: for a process that has just begun.
pub(super) fn close_others() {
    let (first, last, how) = (3, libc::c_uint::MAX, 0);
    // SAFETY: it takes no pointers, and nobody has opened anything in this process yet that could be in use. Kernels before 5.9
    // do not know how; what is lvsd's closes on exec anyway.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, how) };
}

fn result(code: libc::c_int) -> io::Result<()> {
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
