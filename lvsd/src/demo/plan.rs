//! What is demonstrated: the services, their servers, and the rule file that says so.
//!
//! Each forwarding method has a virtual address of each family, port 80, with all three servers behind it
//! at weights 3, 2 and 1. Where the method can translate ports the servers' is another one.

use std::fmt::Write as _;
use std::net::SocketAddr;

use lvs_core::dest::Method;
use lvs_core::{Endpoint, Family, Ip};

use super::lan::{FAMILIES, Lan, SERVERS, Side};

/// The methods in the order they are shown.
pub const METHODS: [Method; 4] = [
    Method::Nat,
    Method::DirectRoute,
    Method::Tunnel,
    Method::FullNat,
];
/// The servers' weights.
pub const WEIGHTS: [u32; SERVERS] = [3, 2, 1];
/// The server that dies in each trial.
pub const VICTIM: usize = SERVERS - 1;
/// The services' port.
pub const PORT: u16 = 80;
/// The servers' port where it need not be the service's.
pub const MAPPED_PORT: u16 = 8080;

/// FullNAT's local address in the servers' network, as a host's number.
const LOCAL_HOST: u8 = 200;

/// What a method is called here.
pub const fn name(method: Method) -> &'static str {
    match method {
        Method::DirectRoute => "DR",
        Method::Tunnel => "TUN",
        Method::FullNat => "FullNAT",
        _ => "NAT",
    }
}

/// The virtual address of a method.
pub fn vip(method: Method, family: Family) -> Ip {
    let index = METHODS.iter().position(|m| *m == method).unwrap_or(0);
    Side::Clients.ip(family, 101 + index as u8)
}

/// The virtual addresses that the real servers must hold, since packets arrive with them.
pub fn vips_on_servers() -> Vec<Ip> {
    let methods = METHODS.into_iter().filter(|m| !m.translates());
    methods
        .flat_map(|m| FAMILIES.map(|family| vip(m, family)))
        .collect()
}

/// What a client connects to.
pub fn targets(method: Method) -> [SocketAddr; 2] {
    FAMILIES.map(|family| SocketAddr::new(vip(method, family).into(), PORT))
}

/// The rule file. With `dead`, the victim is no longer among that method's servers.
pub fn rules(dead: Option<Method>) -> String {
    let mut text = String::new();
    for method in METHODS {
        for family in FAMILIES {
            let service = Endpoint::new(vip(method, family), PORT);
            let local = match method {
                Method::FullNat => {
                    format!(" --local-address {}", Side::Servers.ip(family, LOCAL_HOST))
                }
                _ => String::new(),
            };
            let _ = writeln!(text, "-A -t {service} -s wrr{local}");
            let (side, port, flag) = match method {
                Method::DirectRoute => (Side::Clients, PORT, "-g"),
                Method::Tunnel => (Side::Servers, PORT, "-i"),
                Method::FullNat => (Side::Servers, MAPPED_PORT, "--fullnat"),
                _ => (Side::Servers, MAPPED_PORT, "-m"),
            };
            for (i, weight) in WEIGHTS.iter().enumerate() {
                if dead == Some(method) && i == VICTIM {
                    continue;
                }
                let server = Endpoint::new(side.ip(family, Lan::server(i)), port);
                let _ = writeln!(text, "-a -t {service} -r {server} {flag} -w {weight}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{SystemNames, parse};

    #[test]
    fn the_rule_file_says_what_is_meant() {
        let names = SystemNames::default();
        let rules = parse(&rules(Some(Method::Tunnel)), &names).unwrap();
        assert_eq!(rules.services.len(), 8);
        for service in &rules.services {
            let method = service.servers[0].options.method;
            assert_eq!(
                service.key.addr().unwrap().ip,
                vip(method, service.key.family())
            );
            let servers = if method == Method::Tunnel { 2 } else { 3 };
            assert_eq!(service.servers.len(), servers, "{}", service.key);
            assert_eq!(
                service.options.local_addrs.is_empty(),
                method != Method::FullNat
            );
        }
    }

    #[test]
    fn addresses_are_written_as_they_are_spoken() {
        for (family, want) in [(Family::V4, "10.9.0.103"), (Family::V6, "fd00:9::103")] {
            assert_eq!(vip(Method::Tunnel, family).to_string(), want);
        }
        assert_eq!(vips_on_servers().len(), 4);
    }
}
