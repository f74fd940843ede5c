//! One host of the virtual LAN: a network namespace with a name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use crate::command::{output, peer, run, run_with};
use crate::process::Process;

/// Does some work with the network of namespace `ns`. Sockets that are made there stay there.
///
/// # Panics
/// If there is no such namespace, or the work panics.
pub(crate) fn within<T: Send>(ns: &str, work: impl FnOnce() -> T + Send) -> T {
    let file = File::open(Path::new("/run/netns").join(ns));
    let file = file.unwrap_or_else(|e| panic!("namespace {ns}: {e}"));
    // Only the calling thread moves.
    thread::scope(|scope| {
        let working = scope.spawn(|| {
            // SAFETY: takes no pointers.
            let moved = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(moved, 0, "{}", io::Error::last_os_error());
            work()
        });
        working.join().expect("the work does not panic")
    })
}

/// A host. Dropping it ends what still runs there and removes the namespace.
#[derive(Debug)]
pub struct Node {
    title: String,
    ns: String,
    dir: PathBuf,
    logs: AtomicU32,
}

impl Node {
    /// Makes the namespace `prefix-title`; logs of its programs go to `dir`.
    ///
    /// IPv6 addresses are usable at once (no duplicate address detection), nothing is learnt from router
    /// advertisements, and no packet is refused for its source address or for coming too often.
    ///
    /// # Panics
    /// If the namespace cannot be made.
    pub fn new(prefix: &str, title: &str, dir: &Path) -> Self {
        let ns = format!("{prefix}-{title}");
        run(&["ip", "netns", "add", &ns]);
        let node = Self {
            title: title.to_owned(),
            ns,
            dir: dir.to_owned(),
            logs: AtomicU32::new(0),
        };
        node.sysctl(&[
            ("net.ipv4.icmp_ratelimit", "0"),
            ("net.ipv6.icmp.ratelimit", "0"),
            ("net.ipv4.conf.all.rp_filter", "0"),
            ("net.ipv4.conf.default.rp_filter", "0"),
            ("net.ipv6.conf.all.accept_dad", "0"),
            ("net.ipv6.conf.default.accept_dad", "0"),
            ("net.ipv6.conf.all.accept_ra", "0"),
            ("net.ipv6.conf.default.accept_ra", "0"),
        ]);
        node.ip("link set lo up\n");
        node
    }

    /// What it is called in the LAN: "client", "director", "r1" …
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The name of its namespace.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Carries out lines of `ip` commands (without the word `ip`).
    ///
    /// # Panics
    /// If one fails.
    pub fn ip(&self, batch: &str) {
        run_with(&["ip", "-n", &self.ns, "-batch", "-"], batch);
    }

    /// Sets kernel parameters of this host.
    ///
    /// # Panics
    /// If one cannot be set.
    pub fn sysctl(&self, settings: &[(&str, &str)]) {
        let script: String = settings
            .iter()
            .map(|(name, value)| format!("echo {value} > /proc/sys/{}\n", name.replace('.', "/")))
            .collect();
        self.run(&["sh", "-ec", &script]);
    }

    /// Runs `argv` here and returns its standard output.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, argv: &[&str]) -> String {
        run(&self.here(argv))
    }

    /// Runs `argv` here with `input` on its standard input and returns its standard output.
    ///
    /// # Panics
    /// If it fails.
    pub fn run_with(&self, argv: &[&str], input: &str) -> String {
        run_with(&self.here(argv), input)
    }

    /// Runs `argv` here, whatever comes of it.
    pub fn output(&self, argv: &[&str]) -> Output {
        output(&self.here(argv), "")
    }

    fn here<'a>(&'a self, argv: &[&'a str]) -> Vec<&'a str> {
        [&["ip", "netns", "exec", &self.ns], argv].concat()
    }

    /// Starts `argv` here, to run beside the test. `title` names it in messages.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(&self, title: &str, argv: &[&str]) -> Process {
        let log = self.file(&format!("{title}.{}.log", self.logs.fetch_add(1, Relaxed)));
        let title = format!("{title} on {}", self.title);
        Process::start(&self.ns, &title, &log, argv)
    }

    /// The path of a file of this host, in the LAN's temporary folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}-{name}", self.title))
    }

    /// The addresses it holds, but for loopback and link-local ones.
    pub fn addresses(&self) -> Vec<String> {
        self.run(&["ip", "-o", "addr", "show", "scope", "global"])
            .lines()
            .filter_map(|line| line.split_whitespace().nth(3)?.split('/').next())
            .map(str::to_owned)
            .collect()
    }

    /// The link-layer address of an interface.
    pub fn mac(&self, dev: &str) -> String {
        self.run(&["cat", &format!("/sys/class/net/{dev}/address")])
            .trim()
            .to_owned()
    }

    /// The same as bytes.
    ///
    /// # Panics
    /// If the interface has none.
    pub fn mac_bytes(&self, dev: &str) -> [u8; 6] {
        let bytes: Option<Vec<u8>> = self
            .mac(dev)
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).ok())
            .collect();
        let bytes = bytes.and_then(|b| b.try_into().ok());
        bytes.unwrap_or_else(|| panic!("{dev} has no link-layer address"))
    }

    /// Sends crafted frames, from the Ethernet header on, out of `eth0`.
    ///
    /// # Panics
    /// If one cannot be sent.
    pub fn inject<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) {
        let mut lines = String::new();
        for frame in frames {
            lines.extend(frame.iter().map(|b| format!("{b:02x}")));
            lines.push('\n');
        }
        self.run_with(&[&peer(), "send-raw", "eth0"], &lines);
    }

    /// The link-layer address this host has in mind for `ip`, if any.
    pub fn neighbour(&self, ip: &str) -> Option<String> {
        let shown = self.run(&["ip", "neigh", "show", ip]);
        let mut words = shown.split_whitespace();
        words.find(|w| *w == "lladdr")?;
        words.next().map(str::to_owned)
    }

    /// A counter of the kernel, by the name `nstat` gives it, such as `TcpInCsumErrors`.
    ///
    /// # Panics
    /// If there is no such counter.
    pub fn counter(&self, name: &str) -> u64 {
        let shown = self.run(&["nstat", "-asz", name]);
        let counters: BTreeMap<_, _> = shown
            .lines()
            .filter_map(|line| line.split_once(char::is_whitespace))
            .collect();
        counters
            .get(name)
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no counter {name} in: {shown}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A destructor must not panic, so failures are left to the next run's clean-up.
        let pids = output(&["ip", "netns", "pids", &self.ns], "");
        for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            output(&["kill", "-s", "KILL", pid], "");
        }
        output(&["ip", "netns", "del", &self.ns], "");
    }
}
