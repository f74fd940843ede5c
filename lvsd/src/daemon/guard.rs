//! Keeping the host's own stack out: the best guard this system allows.
//!
//! 1. A BPF program at the interfaces' ingress (TCX, Linux 6.6): needs `CAP_BPF`. Also filters and steers, and gives
//!    back what was hidden for nothing.
//! 2. An nftables table of the netdev family, held by `nft`: needs `nft` and `CAP_NET_ADMIN`.
//! 3. None. Then the host must not hold the VIPs, and must not forward (`ip_forward`); otherwise it answers and
//!    duplicates what lvsd forwards, and connections break.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use lvs_core::{Config, Family};
use lvs_fwd::frame::PortId;
use lvs_fwd::hidden::{Entry, Hidden};
use lvs_fwd::io::bpf::{self, BpfError, Program};
use lvs_fwd::io::nft::NftGuard;
use lvs_fwd::io::packet::Device;
use lvs_fwd::route::Topology;

#[derive(Debug)]
pub(super) struct Guard {
    bpf: Option<bpf::Guard>,
    nft: Option<NftGuard>,
    /// Whether the BPF program hides packets (it may also only filter and steer).
    attached: bool,
    /// The interfaces of an nftables guard that has ended and is to be started anew.
    lost: bool,
    /// In the order of their ports.
    interfaces: Vec<Device>,
    /// What is hidden.
    hidden: Arc<Hidden>,
    /// What the packet path gives back: all that is hidden, if there is a way back, or else nothing.
    returnable: Arc<ArcSwap<Hidden>>,
    notes: Vec<String>,
}

pub(super) fn lock(guard: &Mutex<Guard>) -> MutexGuard<'_, Guard> {
    guard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ifindex(devices: &[Device], port: PortId) -> Option<u32> {
    devices.get(usize::from(port.0)).map(|d| d.index)
}

fn reason(e: &BpfError) -> String {
    match e {
        BpfError::Permission { .. } => "CAP_BPF is missing".to_owned(),
        e => e.to_string(),
    }
}

impl Guard {
    /// Finds out what can be had for these interfaces; hides nothing yet.
    pub(super) fn choose(interfaces: &[Device]) -> Self {
        let mut guard = Self {
            bpf: None,
            nft: None,
            attached: false,
            lost: false,
            interfaces: interfaces.to_vec(),
            hidden: Arc::default(),
            returnable: Arc::default(),
            notes: Vec::new(),
        };
        match bpf::Guard::new() {
            Ok(g) => guard.bpf = Some(g),
            Err(e) => {
                guard.notes.push(format!(
                    "no BPF ({}): every frame of the interfaces is copied to lvsd",
                    reason(&e)
                ));
                guard.start_nft();
            }
        }
        guard
    }

    fn interfaces(&self) -> Vec<&str> {
        self.interfaces.iter().map(|d| d.name.as_str()).collect()
    }

    /// What can be given back to the host, always up to date.
    pub(super) fn returnable(&self) -> &Arc<ArcSwap<Hidden>> {
        &self.returnable
    }

    /// Whether the host gets what it is given, because what is hidden can be given back or nothing is hidden.
    pub(super) fn gives_back(&self) -> bool {
        self.nft.is_none() && !self.lost
    }

    /// How frames are given back.
    pub(super) fn return_mark(&self) -> Option<u32> {
        self.bpf.as_ref().map(bpf::Guard::return_mark)
    }

    fn start_nft(&mut self) {
        match NftGuard::start(&self.interfaces()) {
            Ok(g) => self.nft = Some(g),
            Err(e) => self.notes.push(format!("no nftables guard: {e}")),
        }
    }

    /// The program that chooses the frames lvsd receives.
    pub(super) fn filter(&mut self) -> Option<Program> {
        self.note(|g| g.filter(), "no receive filter")
    }

    /// The program that spreads frames over workers.
    pub(super) fn steering(&mut self, shards: usize, workers: usize) -> Option<Program> {
        if workers < 2 {
            return None;
        }
        let (shards, workers) = (u32::try_from(shards).ok()?, u32::try_from(workers).ok()?);
        self.note(|g| g.steering(shards, workers), "no steering")
    }

    fn note(
        &mut self,
        make: impl FnOnce(&bpf::Guard) -> Result<Program, BpfError>,
        without: &str,
    ) -> Option<Program> {
        match make(self.bpf.as_ref()?) {
            Ok(p) => Some(p),
            Err(e) => {
                self.notes.push(format!("{without} ({})", reason(&e)));
                None
            }
        }
    }

    /// Begins to hide. The ports must be open by now.
    ///
    /// # Errors
    ///
    /// Why the services cannot be hidden, nor received either: there are too many.
    pub(super) fn activate(&mut self, hidden: Hidden) -> Result<(), BpfError> {
        if let Some(g) = &mut self.bpf {
            let devices = &self.interfaces;
            g.set(&hidden, |port| ifindex(devices, port))?;
            match devices.iter().try_for_each(|d| g.attach(d.index)) {
                Ok(()) => self.attached = true,
                Err(e) => {
                    devices.iter().for_each(|d| g.detach(d.index));
                    self.notes.push(format!("no BPF guard ({})", reason(&e)));
                    self.start_nft();
                }
            }
        }
        self.replace(hidden)
    }

    /// Whether the nftables guard has ended without being asked to (somebody killed `nft`).
    pub(super) fn is_lost(&mut self) -> bool {
        if self.nft.as_mut().is_some_and(|g| !g.is_running()) {
            self.lose("nft has ended");
        }
        self.lost
    }

    fn lose(&mut self, why: &str) {
        self.nft = None;
        if !self.lost {
            self.lost = true;
            self.notes.push(format!(
                "warning: nftables guard lost ({why}); trying to start it anew"
            ));
        }
    }

    /// Hides exactly this if there is room for it; starts a guard anew that was lost.
    ///
    /// # Errors
    ///
    /// If it is too much; then what was hidden stays.
    pub(super) fn replace(&mut self, hidden: Hidden) -> Result<(), BpfError> {
        let hidden = Arc::new(hidden);
        let devices = &self.interfaces;
        if let Some(g) = &mut self.bpf {
            let before = self.returnable.load_full();
            if self.attached {
                // Before the guard: better that the host gets a packet twice for a moment than never.
                self.returnable.store(hidden.clone());
            }
            if let Err(e) = g.set(&hidden, |port| ifindex(devices, port)) {
                self.returnable.store(before);
                return Err(e);
            }
        }
        self.hidden = hidden.clone();
        if self.lost
            && let Ok(g) = NftGuard::start(&self.interfaces())
        {
            self.nft = Some(g);
        }
        let Some(g) = &mut self.nft else {
            return Ok(());
        };
        match g.set(&hidden) {
            Ok(()) if self.lost => {
                self.lost = false;
                self.notes.push("nftables guard restored".to_owned());
            }
            Ok(()) => {}
            Err(e) => self.lose(&e.to_string()),
        }
        Ok(())
    }

    /// Hides these too, if there is room for them; costs what they are, not what is hidden already.
    ///
    /// # Errors
    ///
    /// If it is too much; then some of them may be hidden.
    pub(super) fn add(&mut self, more: &[Entry]) -> Result<(), BpfError> {
        if more.is_empty() {
            return Ok(());
        }
        let hidden = self.hidden.with(more);
        let Some(g) = self.bpf.as_mut().filter(|_| self.attached) else {
            return self.replace(hidden);
        };
        let hidden = Arc::new(hidden);
        let before = self.returnable.swap(hidden.clone());
        if let Err(e) = g.add(&hidden) {
            self.returnable.store(before);
            return Err(e);
        }
        self.hidden = hidden;
        Ok(())
    }

    /// The same, as far as there is room.
    pub(super) fn add_all(&mut self, more: &[Entry]) {
        if let Err(e) = self.add(more) {
            self.refuse(&e);
        }
    }

    /// Whether some of that was [added](Self::add), and perhaps for nothing.
    pub(super) fn has_more(&self) -> bool {
        self.hidden.has_more()
    }

    /// What is hidden.
    pub(super) fn hidden(&self) -> &Arc<Hidden> {
        &self.hidden
    }

    /// Hides exactly this, as far as there is room for it.
    pub(super) fn set(&mut self, hidden: Hidden) {
        if let Err(e) = self.replace(hidden) {
            self.refuse(&e);
        }
    }

    fn refuse(&mut self, e: &BpfError) {
        let why = reason(e);
        self.notes.push(format!(
            "warning: the BPF guard does not take the services ({why})"
        ));
    }

    /// What there is to say since the last call.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Stops hiding.
    pub(super) fn detach(&mut self) {
        self.lost = false;
        self.attached = false;
        self.hidden = Arc::default();
        self.returnable.store(Arc::default());
        self.bpf = None;
        self.nft = None;
    }

    /// What there is to say since the last call: which guard it is, what is missing and what follows.
    /// `governed` says that VRRP puts virtual addresses on interfaces.
    pub(super) fn explain(
        &mut self,
        config: &Config,
        topology: &Topology,
        governed: bool,
    ) -> Vec<String> {
        let mut lines = self.take_notes();
        if self.attached {
            lines.push("guard: BPF (TCX)".to_owned());
        } else if self.nft.is_some() {
            lines.push("guard: nftables (netdev ingress)".to_owned());
        } else {
            lines.push(
                "guard: none; the host must neither hold the VIPs nor forward packets".to_owned(),
            );
            lines.extend(dangers(config, topology));
            if governed {
                lines.push(
                    "warning: without a guard, the host resets connections to virtual addresses that VRRP gives it; \
                     allow BPF (CAP_BPF, Linux 6.6) or install nft"
                        .to_owned(),
                );
            }
        }
        lines
    }
}

/// What breaks without a guard.
fn dangers(config: &Config, topology: &Topology) -> Vec<String> {
    let mut lines = Vec::new();
    for ip in config.owned().filter(|ip| topology.is_local(*ip)) {
        lines.push(format!(
            "warning: without a guard, the host holds {ip} and will reset its connections; \
             remove the address from the interface (lvsd answers ARP and NDP for it)"
        ));
    }
    for (family, file) in [
        (Family::V4, "/proc/sys/net/ipv4/ip_forward"),
        (Family::V6, "/proc/sys/net/ipv6/conf/all/forwarding"),
    ] {
        let forwards = fs::read_to_string(file).is_ok_and(|s| s.trim() != "0");
        let concerned = config.services().iter().any(|s| s.key().family() == family);
        if forwards && concerned {
            lines.push(format!(
                "warning: without a guard, {file} is not 0: the host will forward duplicates of what \
                 lvsd forwards; write 0 to it"
            ));
        }
    }
    lines
}
