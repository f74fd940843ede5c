//! Names in rule files: `ipvsadm -S` without `-n` writes hosts and ports by name where they have one.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};

use lvs_core::Protocol;

/// What the parser has to ask the world outside the file.
pub trait Names {
    /// Whether there is a scheduler of this name.
    fn has_scheduler(&self, name: &str) -> bool;

    /// The IPv4 address of a host (names never stand for IPv6 addresses in ipvsadm's files), or why there is
    /// none. May take its time.
    fn host(&self, name: &str) -> Result<Ipv4Addr, String>;

    /// The port of a service such as `http`.
    fn port(&self, service: &str, protocol: Protocol) -> Option<u16>;
}

/// The names this machine knows: this program's schedulers, hosts by the system's resolver, ports by
/// `/etc/services`.
#[derive(Debug, Default)]
pub struct SystemNames {
    services: OnceCell<ServiceNames>,
}

impl SystemNames {
    /// The name of a port, if it has one.
    pub fn port_name(&self, port: u16, protocol: Protocol) -> Option<String> {
        let names = &self.services().names;
        names.get(&(port, protocol)).cloned()
    }

    fn services(&self) -> &ServiceNames {
        self.services.get_or_init(|| {
            let file = std::fs::read("/etc/services").unwrap_or_default();
            ServiceNames::parse(&String::from_utf8_lossy(&file))
        })
    }
}

impl Names for SystemNames {
    fn has_scheduler(&self, name: &str) -> bool {
        lvs_sched::NAMES.iter().any(|known| known.name == name)
    }

    fn host(&self, name: &str) -> Result<Ipv4Addr, String> {
        let addresses = (name, 0).to_socket_addrs().map_err(|e| e.to_string())?;
        addresses
            .map(|address| address.ip())
            .find_map(|ip| match ip {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            })
            .ok_or_else(|| "it has no IPv4 address".to_owned())
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.services().port(service, protocol)
    }
}

/// Names asked for once and then remembered, so that a host has one address throughout a file, even one
/// whose resolver deals out several in turn.
pub(super) struct Remembered<'n> {
    names: &'n dyn Names,
    hosts: RefCell<HashMap<String, Result<Ipv4Addr, String>>>,
}

impl<'n> Remembered<'n> {
    pub(super) fn new(names: &'n dyn Names) -> Self {
        Self {
            names,
            hosts: RefCell::default(),
        }
    }
}

impl Names for Remembered<'_> {
    fn has_scheduler(&self, name: &str) -> bool {
        self.names.has_scheduler(name)
    }

    fn host(&self, name: &str) -> Result<Ipv4Addr, String> {
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.entry(name.to_owned());
        host.or_insert_with(|| self.names.host(name)).clone()
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.names.port(service, protocol)
    }
}

/// The content of a file like `/etc/services`.
#[derive(Debug, Default)]
struct ServiceNames {
    ports: HashMap<(String, Protocol), u16>,
    names: HashMap<(u16, Protocol), String>,
}

impl ServiceNames {
    /// Reads lines of `NAME PORT/PROTOCOL [ALIAS…] [# comment]`. What it can't read it skips, as the C
    /// library does; the first line of a name, or of a port, wins.
    fn parse(file: &str) -> Self {
        let mut all = Self::default();
        for line in file.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (Some(name), Some(place)) = (words.next(), words.next()) else {
                continue;
            };
            let Some((port, protocol)) = place.split_once('/') else {
                continue;
            };
            let protocol = match protocol {
                "tcp" => Protocol::TCP,
                "udp" => Protocol::UDP,
                "sctp" => Protocol::SCTP,
                _ => continue,
            };
            let Ok(port) = port.parse() else {
                continue;
            };
            let known = all.names.entry((port, protocol));
            known.or_insert_with(|| name.to_owned());
            for name in [name].into_iter().chain(words) {
                let known = all.ports.entry((name.to_owned(), protocol));
                known.or_insert(port);
            }
        }
        all
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.ports.get(&(service.to_owned(), protocol)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_names_and_aliases_by_protocol() {
        let names = ServiceNames::parse(
            "# comment\n\
             http\t\t80/tcp\t\twww # WorldWideWeb\n\
             domain 53/tcp\n\
             domain 53/udp\n\
             diameter 3868/sctp\n\
             broken\n\
             broken 80\n\
             broken 99999/tcp\n\
             broken 80/dccp\n\
             www 81/tcp\n",
        );
        let port = |name, protocol| names.port(name, protocol);
        assert_eq!(port("http", Protocol::TCP), Some(80));
        assert_eq!(port("www", Protocol::TCP), Some(80));
        assert_eq!(port("http", Protocol::UDP), None);
        assert_eq!(port("domain", Protocol::UDP), Some(53));
        assert_eq!(port("diameter", Protocol::SCTP), Some(3868));
        assert_eq!(port("broken", Protocol::TCP), None);
        assert_eq!(port("#", Protocol::TCP), None);
        let name = |port, protocol| names.names.get(&(port, protocol)).map(|n| &**n);
        assert_eq!(name(80, Protocol::TCP), Some("http"));
        assert_eq!(name(81, Protocol::TCP), Some("www"));
        assert_eq!(name(80, Protocol::UDP), None);
    }

    #[test]
    fn the_system_knows_our_schedulers() {
        let names = SystemNames::default();
        assert!(names.has_scheduler("wlc") && !names.has_scheduler("nonesuch"));
    }
}
