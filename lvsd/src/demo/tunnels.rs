//! The servers' ends of the tunnels: the kernel's where it has ipip, else our own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use lvs_fwd::io::netlink::Config;

use super::decap::Decap;
use super::host::Host;
use super::lan::Lan;

/// Ends of the tunnels, on all servers. Our own are closed when dropped.
#[derive(Debug)]
pub struct Tunnels {
    /// Whether the kernel undoes IPv4 in IPv4.
    pub by_kernel: bool,
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Tunnels {
    /// Opens them for packets of all four combinations of families.
    pub fn open(lan: &Lan) -> io::Result<Self> {
        let mut tunnels = Self {
            by_kernel: true,
            stop: Arc::default(),
            running: Vec::new(),
        };
        for server in &lan.servers {
            let kernel = Self::let_kernel(server)?;
            tunnels.by_kernel &= kernel;
            let stop = tunnels.stop.clone();
            tunnels.running.push(server.run(move || {
                let decap = Decap::open(kernel)?;
                Ok(thread::spawn(move || decap.run(&stop)))
            })?);
        }
        Ok(tunnels)
    }

    /// Has the kernel undo IPv4 in IPv4, if it can.
    fn let_kernel(server: &Host) -> io::Result<bool> {
        const NAME: &str = "tunl0";
        let made = server.run(|| Config::new()?.ipip(NAME));
        match made.as_ref().map_err(io::Error::raw_os_error) {
            Ok(()) | Err(Some(libc::EEXIST)) => {}
            Err(_) => return Ok(false),
        }
        server.run(|| Config::new()?.set_up(NAME, true))?;
        // The packets inside come from an interface that no route to their sender uses.
        for interface in ["all", NAME] {
            server.sysctl(&format!("net/ipv4/conf/{interface}/rp_filter"), "0")?;
        }
        Ok(true)
    }
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.running.drain(..) {
            let _ = thread.join();
        }
    }
}
