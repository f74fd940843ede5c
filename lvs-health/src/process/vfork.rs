//! The system calls that start a program.
//!
//! The child shares our memory and has a stack of its own; the thread that made it stands still until it has become the program
//! or has failed. So the child does nothing but system calls on what was prepared: no allocation, no lock, nothing
//! that might panic. Signals are kept off until it has put away our handlers, which would run in our memory.
//!
//! While the child is another user already and not yet the program, that user must not look into our memory through it. The
//! kernel takes care: whoever changes users makes the memory undumpable, and so closed to other processes. Only afterwards
//! that is set back, and only one thread at a time is between.
#![expect(unsafe_code, reason = "the standard library forks for this")]

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// What the child needs to know.
pub(super) struct Start<'a> {
    pub(super) candidates: Vec<CString>,
    pub(super) argv: Vec<CString>,
    pub(super) environment: Vec<CString>,
    /// Neither is below 3.
    pub(super) input: BorrowedFd<'a>,
    pub(super) output: BorrowedFd<'a>,
    pub(super) user: Option<(u32, u32)>,
    pub(super) ends_with_us: bool,
}

/// The same as pointers, and where the child says what went wrong.
struct Child {
    candidates: Vec<*const c_char>,
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    input: c_int,
    output: c_int,
    user: Option<(u32, u32)>,
    drops_groups: bool,
    parent: Option<c_int>,
    error: c_int,
}

/// The child needs a few hundred bytes.
const STACK: usize = 64 * 1024;
const ALIGNMENT: usize = 16;

/// The kernel's set of signals.
type Signals = u64;
const SIGNALS: c_int = 64;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Starts a program: its number, and a descriptor that becomes readable when it has ended.
pub(super) fn start(start: &Start<'_>) -> io::Result<(u32, OwnedFd)> {
    // SAFETY: these take nothing and return numbers.
    let (root, ourselves) = unsafe { (libc::geteuid() == 0, libc::getpid()) };
    let mut child = Child {
        candidates: pointers(&start.candidates),
        argv: pointers(&start.argv),
        environment: pointers(&start.environment),
        input: start.input.as_raw_fd(),
        output: start.output.as_raw_fd(),
        user: start.user,
        drops_groups: root,
        parent: start.ends_with_us.then_some(ourselves),
        error: 0,
    };
    let mut stack = vec![0_u8; STACK];
    let mut descriptor: c_int = -1;
    let _only = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the child runs `become_program` on the upper end of `stack`, which grows downwards and outlives it, as does
    // `child`: with CLONE_VFORK this call returns when the child has its own memory or is gone. It gets no other pointer. The masks
    // and the descriptor's place are live locals.
    let id = unsafe {
        let dumpable = libc::prctl(libc::PR_GET_DUMPABLE);
        let (all, mut before): (Signals, Signals) = (!0, 0);
        set_signals(&raw const all, &raw mut before);
        let top = stack.as_mut_ptr().add(STACK);
        let top = top.sub(top as usize % ALIGNMENT);
        let id = libc::clone(
            become_program,
            top.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
            (&raw mut child).cast(),
            &raw mut descriptor,
        );
        let error = io::Error::last_os_error();
        set_signals(&raw const before, ptr::null_mut());
        if dumpable == 1 {
            libc::prctl(libc::PR_SET_DUMPABLE, 1);
        }
        match id {
            -1 => return Err(error),
            id => id,
        }
    };
    // SAFETY: the kernel has made this descriptor for us; it closes on exec.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    match child.error {
        0 => Ok((id as u32, descriptor)),
        error => {
            wait(descriptor.as_raw_fd(), 0)?;
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

/// How a child ended, if it has.
pub(super) fn try_wait(descriptor: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    wait(descriptor.as_raw_fd(), libc::WNOHANG)
}

fn wait(descriptor: c_int, options: c_int) -> io::Result<Option<ExitStatus>> {
    loop {
        // SAFETY: of this structure all bytes may be zero.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a whole siginfo_t.
        let waited = unsafe {
            libc::waitid(
                libc::P_PIDFD,
                descriptor as libc::id_t,
                &raw mut info,
                libc::WEXITED | options,
            )
        };
        if waited == 0 {
            // SAFETY: waitid has filled these in, or left them zero.
            let (id, status) = unsafe { (info.si_pid(), info.si_status()) };
            // As wait(2) has them: an exit status is in the upper byte.
            let raw = match info.si_code {
                libc::CLD_EXITED => (status & 0xff) << 8,
                _ => status,
            };
            return Ok((id != 0).then(|| ExitStatus::from_raw(raw)));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sends a signal to the group of a child that has not been waited for.
pub(super) fn signal_group(leader: u32, signal: c_int) {
    // SAFETY: the call takes two numbers.
    unsafe { libc::killpg(leader as libc::pid_t, signal) };
}

/// With a null pointer at the end.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let texts = texts.iter().map(|t| t.as_ptr());
    texts.chain([ptr::null()]).collect()
}

/// All that the child does.
extern "C" fn become_program(child: *mut c_void) -> c_int {
    // SAFETY: `start` passes its own `Child`, and stands still while we run.
    let child = unsafe { &mut *child.cast::<Child>() };
    // SAFETY: see `prepare` and `run`.
    let error = unsafe { prepare(child).err().unwrap_or_else(|| run(child)) };
    child.error = error;
    // SAFETY: ends this process and nothing else.
    unsafe { libc::_exit(127) }
}

/// Everything but becoming the program.
///
/// # Safety
///
/// Only in the child.
unsafe fn prepare(child: &Child) -> Result<(), c_int> {
    // SAFETY: system calls on numbers and on locals; the child's descriptors, signals and identity are its own.
    unsafe {
        // Handlers would run in our parent's memory. Which signals cannot be caught at all does not matter.
        let default = [0_u64; 4];
        for signal in 1..=SIGNALS {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                ptr::null_mut::<c_void>(),
                size_of::<Signals>(),
            );
        }
        let none: Signals = 0;
        set_signals(&raw const none, ptr::null_mut());
        done(libc::syscall(libc::SYS_setpgid, 0, 0))?;
        for (from, to) in [(child.input, 0), (child.output, 1), (child.output, 2)] {
            done(libc::syscall(libc::SYS_dup3, from, to, 0))?;
        }
        // Kernels before 5.11 do not know how; what is ours closes on exec anyway.
        let (first, last) = (3, c_int::MAX);
        libc::syscall(
            libc::SYS_close_range,
            first,
            last,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        if let Some((user, group)) = child.user {
            if child.drops_groups {
                let none = ptr::null::<libc::gid_t>();
                done(libc::syscall(libc::SYS_setgroups, 0, none))?;
            }
            // The library's functions would change all threads, that is, our parent's.
            done(libc::syscall(libc::SYS_setresgid, group, group, group))?;
            done(libc::syscall(libc::SYS_setresuid, user, user, user))?;
        }
        if let Some(parent) = child.parent {
            done(c_long::from(libc::prctl(
                libc::PR_SET_PDEATHSIG,
                libc::SIGTERM,
            )))?;
            if libc::getppid() != parent {
                return Err(libc::ESRCH);
            }
        }
    }
    Ok(())
}

/// Becomes the first candidate that can be run, or says why none can.
///
/// # Safety
///
/// Only in the child.
unsafe fn run(child: &Child) -> c_int {
    let mut error = libc::ENOENT;
    for &candidate in child.candidates.iter().filter(|c| !c.is_null()) {
        // SAFETY: all three are strings, or lists of them, that end as the call wants, and that `start` keeps.
        unsafe { libc::execve(candidate, child.argv.as_ptr(), child.environment.as_ptr()) };
        // SAFETY: a thread-local number, at present ours alone.
        match unsafe { *libc::__errno_location() } {
            libc::ENOENT | libc::ENOTDIR => {}
            // Perhaps another folder has one that we may run.
            libc::EACCES => error = libc::EACCES,
            other => return other,
        }
    }
    error
}

/// # Safety
///
/// The pointers are to a set of signals each; the second may be null.
unsafe fn set_signals(set: *const Signals, before: *mut Signals) {
    // Unlike the library's function, this keeps off the library's own signals too.
    let size = size_of::<Signals>();
    // SAFETY: as the caller promises.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            set,
            before,
            size,
        )
    };
}

fn done(result: c_long) -> Result<(), c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO)),
        _ => Ok(()),
    }
}
