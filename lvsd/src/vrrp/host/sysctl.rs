//! Sysctls of interfaces, set and put back.
//!
//! A host with a virtual MAC address must not answer for virtual addresses with its own, and must take packets on an interface that
//! routes do not point to. The kernel has sysctls for both, on the virtual interface and on the one below; the latter are
//! the administrator's, who gets them back as they were.
//!
//! What a VMAC needs is what keepalived sets for one, by observation.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use lvs_core::Family;

use super::journal::{Item, Journal};

/// The kernel's sysctls as files.
pub(crate) const ROOT: &str = "/proc/sys";

/// The sysctls that we have set, of the network namespace of whatever thread calls.
#[derive(Debug)]
pub(crate) struct Sysctls {
    journal: Journal,
    /// What has been set, with what it was, in order.
    set: Vec<Item>,
}

impl Sysctls {
    /// None set yet.
    pub(crate) fn new(journal: Journal) -> Self {
        Self {
            journal,
            set: Vec::new(),
        }
    }

    /// Sets a sysctl by its path below `/proc/sys`, until [`Self::restore`].
    ///
    /// # Errors
    ///
    /// There is none of this name (no such interface, or a kernel without), or it may not be written.
    pub(crate) fn set(&mut self, path: &str, value: &str) -> io::Result<()> {
        let was = read(path)?;
        if was == value {
            return Ok(());
        }
        let of = |item: &Item| matches!(item, Item::Sysctl { path: p, .. } if p == path);
        let before = self.set.iter().position(of);
        let first = match before.map(|at| self.set.remove(at)) {
            Some(item) => {
                self.journal.forget([&item]);
                match item {
                    Item::Sysctl { was, .. } => was,
                    _ => was,
                }
            }
            None => was,
        };
        let item = Item::Sysctl {
            path: path.to_owned(),
            was: first,
            set: value.to_owned(),
        };
        self.journal.note([item.clone()]);
        self.set.push(item);
        write(path, value)
    }

    /// Puts back what was set, the last first. Returns what is wrong, in words.
    pub(crate) fn restore(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for item in std::mem::take(&mut self.set).into_iter().rev() {
            wrong.extend(put_back(&item).err());
            self.journal.forget([&item]);
        }
        wrong
    }

    /// What an interface needs on which the kernel is to keep secondary addresses when their primary goes.
    pub(crate) fn promote_secondaries(&mut self, interface: &str) -> io::Result<()> {
        self.set(&v4(interface, "promote_secondaries"), "1")
    }

    /// The kernel reports no groups of 224.0.0.0/24 (`disable_local_igmp`).
    pub(crate) fn disable_local_igmp(&mut self) -> io::Result<()> {
        self.set("net/ipv4/igmp_link_local_mcast_reports", "0")
    }

    /// What the interface below an IPv4 VMAC needs: it answers ARP only for its own addresses. And that packets that come in at the VMAC
    /// are not thrown away because routes point to the interface below: there is no such check for all interfaces any more, but each
    /// that had it keeps it.
    pub(crate) fn below_vmac(&mut self, interface: &str) -> io::Result<()> {
        self.set(&v4(interface, "arp_ignore"), "1")?;
        self.set(&v4(interface, "arp_filter"), "1")?;
        let for_all = v4("all", "rp_filter");
        let check = read(&for_all)?;
        if check == "0" {
            return Ok(());
        }
        for entry in fs::read_dir(Path::new(ROOT).join("net/ipv4/conf"))? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| *name != "all") else {
                continue;
            };
            let of_one = v4(name, "rp_filter");
            // An interface that has just gone has no check to keep.
            match read(&of_one) {
                Ok(one) if one < check => self.set(&of_one, &check)?,
                _ => {}
            }
        }
        self.set(&for_all, "0")
    }
}

/// What a VMAC itself needs, to be set before it is switched on and, with IPv4, after [`Sysctls::below_vmac`]; it goes with the
/// interface. `v6` says whether it will have IPv6 addresses.
///
/// # Errors
///
/// There is no such interface, or its sysctls may not be written.
pub(crate) fn prepare_vmac(interface: &str, family: Family, v6: bool) -> io::Result<()> {
    if family == Family::V4 {
        for (name, value) in [
            ("arp_ignore", "1"),
            ("accept_local", "1"),
            ("rp_filter", "0"),
            ("promote_secondaries", "1"),
        ] {
            write(&v4(interface, name), value)?;
        }
    }
    if !v6 {
        let off = format!("net/ipv6/conf/{interface}/disable_ipv6");
        match write(&off, "1") {
            // Without IPv6 there is none to switch off.
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Puts a sysctl back to what it was, if it is still what it was set to.
pub(super) fn put_back(item: &Item) -> Result<(), String> {
    let Item::Sysctl { path, was, set } = item else {
        return Ok(());
    };
    let done = match read(path) {
        Ok(now) if now == *set => write(path, was),
        Ok(_) => Ok(()),
        Err(e) => Err(e),
    };
    match done {
        // It went with its interface.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        done => done.map_err(|e| format!("sysctl {path} cannot be put back to {was}: {e}")),
    }
}

fn v4(interface: &str, name: &str) -> String {
    format!("net/ipv4/conf/{interface}/{name}")
}

fn read(path: &str) -> io::Result<String> {
    Ok(fs::read_to_string(file(path)?)?.trim_end().to_owned())
}

fn write(path: &str, value: &str) -> io::Result<()> {
    fs::write(file(path)?, value)
}

/// The file of a sysctl, which is nowhere else: paths are read from a file too.
fn file(path: &str) -> io::Result<PathBuf> {
    match path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        true => Err(ErrorKind::NotFound.into()),
        false => Ok(Path::new(ROOT).join(path)),
    }
}
