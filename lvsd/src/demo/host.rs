//! Hosts of the virtual network: each is a network namespace without a name.
//!
//! A namespace lives as long as something is in it: here a thread, the threads that thread starts, and
//! their sockets. So there is nothing to clean up: however the process ends, even by SIGKILL, the kernel
//! takes namespaces, interfaces and routes away with it.

use std::fs::{self, File};
use std::io;
use std::sync::mpsc;
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// A host: a thread in a network namespace of its own, that does as it is told.
#[derive(Debug)]
pub struct Host {
    name: String,
    namespace: File,
    jobs: mpsc::Sender<Job>,
}

impl Host {
    /// Makes a host that has nothing but a loopback interface, switched off.
    ///
    /// # Errors
    ///
    /// Permission denied unless [`allow_namespaces`] has succeeded.
    pub fn new(name: &str) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        thread::Builder::new().name(name.into()).spawn(move || {
            let entered = unshare(libc::CLONE_NEWNET);
            let namespace = entered.and_then(|()| File::open("/proc/thread-self/ns/net"));
            let failed = namespace.is_err();
            if tell.send(namespace).is_err() || failed {
                return;
            }
            for job in queue {
                job();
            }
        })?;
        let namespace = told.recv().map_err(io::Error::other)??;
        Ok(Self {
            name: name.into(),
            namespace,
            jobs,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    pub fn namespace(&self) -> io::Result<File> {
        self.namespace.try_clone()
    }

    /// Does something on this host and waits for the result. Sockets and threads it makes belong to the
    /// host, wherever they are used later.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (tell, told) = mpsc::channel();
        let job = Box::new(move || {
            let _ = tell.send(job());
        });
        self.jobs.send(job).map_err(|_| self.dead())?;
        told.recv().map_err(|_| self.dead())?
    }

    /// Sets a kernel parameter, for example `net/ipv4/ip_forward`, unless it has that value already.
    pub fn sysctl(&self, name: &str, value: &'static str) -> io::Result<()> {
        let path = format!("/proc/sys/{name}");
        let host = self.name.clone();
        self.run(move || {
            let old = fs::read_to_string(&path)?;
            if old.split_whitespace().eq(value.split_whitespace()) {
                return Ok(());
            }
            fs::write(&path, value).map_err(|e| {
                let hint = match e.raw_os_error() {
                    Some(libc::EROFS) => {
                        " (mounted read-only: a container? run it with --privileged)"
                    }
                    _ => "",
                };
                let message = format!("{host}: cannot set {path} to {value}: {e}{hint}");
                io::Error::new(e.kind(), message)
            })
        })
    }

    fn dead(&self) -> io::Error {
        io::Error::other(format!("host {} has died", self.name))
    }
}

/// Gets the right to make network namespaces: root has it, others get it by entering a user namespace in
/// which they are root. Must be called while the process has only one thread. Returns whether a user
/// namespace was entered.
///
/// # Errors
///
/// With the reason for people.
pub fn allow_namespaces() -> io::Result<bool> {
    match unshare(libc::CLONE_NEWNET) {
        Ok(()) => return Ok(false),
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => {}
        Err(e) => return Err(explain(&e, "a network namespace")),
    }
    let (uid, gid) = ids();
    unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)
        .and_then(|()| fs::write("/proc/self/setgroups", "deny"))
        .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {uid} 1")))
        .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {gid} 1")))
        .map_err(|e| explain(&e, "a user namespace"))?;
    Ok(true)
}

fn explain(e: &io::Error, what: &str) -> io::Error {
    let message = format!(
        "cannot make {what}: {e}. Run it as root, or allow ordinary users to make user namespaces \
         (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone or \
         kernel.apparmor_restrict_unprivileged_userns, whichever there is)"
    );
    io::Error::new(e.kind(), message)
}

#[expect(unsafe_code, reason = "the standard library does not know namespaces")]
fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: takes no pointers; changes only which namespaces the calling thread is in.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "the standard library does not tell user ids")]
fn ids() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: neither takes arguments or can fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}
