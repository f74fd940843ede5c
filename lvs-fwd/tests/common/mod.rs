//! Network namespaces and frames for tests that need the real kernel, and root.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lvs_core::Ip;
use lvs_fwd::frame::{Burst, Offload, Packet};
use lvs_fwd::io::Port;
use lvs_fwd::io::packet::PacketPort;
use lvs_fwd::route::Mac;

pub(crate) mod frames;

/// Namespaces of one test, gone when it ends, also by a panic. One test at a time has any: what a test
/// measures is not disturbed by others, nor do forked children hold others' sockets.
pub(crate) struct Net {
    prefix: String,
    names: Vec<&'static str>,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Net {
    /// Creates namespaces with their loopback interfaces up.
    pub(crate) fn new(names: &[&'static str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut net = Self {
            prefix: format!("iopkt{}-{n}", std::process::id()),
            names: Vec::new(),
            _alone: alone,
        };
        for name in names {
            ip(&format!("netns add {}", net.full(name)));
            net.names.push(name);
            net.ip(name, "link set lo up");
        }
        net
    }

    /// Joins two namespaces with a cable; both ends are up.
    pub(crate) fn cable(&self, a: &str, a_dev: &str, b: &str, b_dev: &str) {
        let (a_ns, b_ns) = (self.full(a), self.full(b));
        ip(&format!(
            "link add {a_dev} netns {a_ns} type veth peer name {b_dev} netns {b_ns}"
        ));
        for (ns, dev) in [(a, a_dev), (b, b_dev)] {
            self.ip(ns, &format!("link set {dev} up"));
        }
    }

    /// Runs `ip` with these words in a namespace.
    pub(crate) fn ip(&self, ns: &str, words: &str) {
        ip(&format!("-n {} {words}", self.full(ns)));
    }

    /// Adds addresses, usable at once.
    pub(crate) fn addr(&self, ns: &str, dev: &str, addrs: &[&str]) {
        for addr in addrs {
            let nodad = if addr.contains(':') { "nodad" } else { "" };
            self.ip(ns, &format!("addr add {addr} dev {dev} {nodad}"));
        }
    }

    /// Writes a setting below /proc/sys/net.
    pub(crate) fn sysctl(&self, ns: &str, path: &'static str, value: &'static str) {
        self.run(ns, move || {
            std::fs::write(format!("/proc/sys/net/{path}"), value).expect(path);
        });
    }

    /// Runs something on a thread inside a namespace; threads it starts are inside as well.
    pub(crate) fn run<R: Send>(&self, ns: &str, work: impl FnOnce() -> R + Send) -> R {
        let path = format!("/run/netns/{}", self.full(ns));
        std::thread::scope(|s| {
            let inside = s.spawn(move || {
                enter(&path);
                work()
            });
            inside
                .join()
                .unwrap_or_else(|e| std::panic::resume_unwind(e))
        })
    }

    /// The same, not waiting for its end.
    pub(crate) fn spawn<R: Send + 'static>(
        &self,
        ns: &str,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> std::thread::JoinHandle<R> {
        let path = format!("/run/netns/{}", self.full(ns));
        std::thread::spawn(move || {
            enter(&path);
            work()
        })
    }

    fn full(&self, ns: &str) -> String {
        format!("{}-{ns}", self.prefix)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.full(name)])
                .status();
        }
    }
}

fn ip(words: &str) {
    let output = Command::new("ip")
        .args(words.split_whitespace())
        .output()
        .expect("these tests need iproute2's ip");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words} (as root?): {errors}");
}

fn enter(path: &str) {
    let namespace = File::open(path).expect(path);
    // SAFETY: takes no pointers; it changes this thread's network namespace only.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "setns: {}", std::io::Error::last_os_error());
}

/// Leaves this thread only these capabilities.
pub(crate) fn keep_capabilities(numbers: &[u32]) {
    let header = [0x2008_0522_u32, 0]; // version 3, this thread
    let mut sets = [0u32; 6]; // effective, permitted, inheritable; then their upper halves
    for n in numbers {
        let upper = 3 * (n / 32) as usize;
        sets[upper] |= 1 << (n % 32);
        sets[upper + 1] |= 1 << (n % 32);
    }
    // SAFETY: the two structures are those of version 3 and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    assert_eq!(result, 0, "capset: {}", std::io::Error::last_os_error());
}

/// An address from its text.
pub(crate) fn addr(text: &str) -> Ip {
    text.parse().expect("an address")
}

/// Sends frames as they are; all must go.
pub(crate) fn send(port: &mut PacketPort, frames: &[Vec<u8>]) {
    stay_on_one_processor();
    let mut packets = frames.iter().map(|body| Packet {
        offload: Offload::default(),
        head: &[],
        body,
    });
    let sent = port.transmit(&mut packets);
    assert_eq!((sent.sent, sent.failed), (frames.len(), 0));
}

/// Takes a capability from what this thread runs.
pub(crate) fn deny_to_children(capability: u32) {
    // SAFETY: takes no pointers; it changes this thread only.
    let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    assert_eq!(result, 0, "prctl: {}", std::io::Error::last_os_error());
}

/// The next frames, at least `count` of them unless they do not come, and what comes unexpected.
pub(crate) fn receive(port: &mut PacketPort, count: usize) -> Vec<Vec<u8>> {
    const SLOW_MACHINE: Duration = Duration::from_secs(5);
    const QUIET: Duration = Duration::from_millis(50);
    let mut burst = Burst::default();
    let mut got = Vec::new();
    let mut deadline = Instant::now() + if count > 0 { SLOW_MACHINE } else { QUIET };
    while Instant::now() < deadline {
        burst.clear();
        if port.receive(&mut burst).expect("receive") > 0 {
            got.extend(burst.frames().iter().map(|f| f.bytes().to_vec()));
            if got.len() >= count {
                deadline = Instant::now() + QUIET;
            }
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    got
}

/// Asserts that just these frames arrive, in this order, without printing them all.
pub(crate) fn expect(port: &mut PacketPort, frames: &[Vec<u8>]) {
    let got = receive(port, frames.len());
    let numbers = |frames: &[Vec<u8>]| {
        frames
            .iter()
            .map(|f| f[14..18].to_vec())
            .collect::<Vec<_>>()
    };
    assert!(
        got == frames,
        "{:?} instead of {:?}",
        numbers(&got),
        numbers(frames)
    );
}

/// Keeps this thread on one processor. A cable delivers by way of the sender's processor, so frames sent
/// from two may overtake each other.
fn stay_on_one_processor() {
    // SAFETY: all zero is a valid, empty cpu_set_t; both calls get its true size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu() as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

/// The Ethernet address of a device in a namespace.
pub(crate) fn mac_of(net: &Net, ns: &str, dev: &str) -> Mac {
    net.run(ns, || {
        lvs_fwd::io::packet::Device::by_name(dev).expect(dev).mac
    })
}
