//! Names of hosts and ports in listings, where `-n` is not given.
//!
//! Problem: a listing asks for the same addresses again and again, and a resolver that does not answer costs seconds each time.
//!
//! Rule: what has been asked once is remembered for the whole listing, that there is no name included.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use libc::{NI_MAXHOST, NI_NAMEREQD, c_char, socklen_t};
use lvs_core::{Endpoint, Family, Ip, Protocol};
use socket2::SockAddr;

use crate::rules::SystemNames;

/// How hosts and ports are shown.
pub trait Shown: fmt::Debug {
    /// A host's name, if it has one and names are wanted.
    fn host(&self, ip: Ip) -> Option<String>;

    /// A port's name, likewise.
    fn port(&self, port: u16, protocol: Protocol) -> Option<String>;
}

/// Numbers for everything.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "nothing can be added")]
pub struct Numbers;

impl Shown for Numbers {
    fn host(&self, _: Ip) -> Option<String> {
        None
    }

    fn port(&self, _: u16, _: Protocol) -> Option<String> {
        None
    }
}

/// The names this machine knows: hosts by the system's resolver, ports by `/etc/services`.
#[derive(Debug, Default)]
pub struct SystemShown {
    hosts: RefCell<HashMap<Ip, Option<String>>>,
    ports: SystemNames,
}

impl Shown for SystemShown {
    fn host(&self, ip: Ip) -> Option<String> {
        let mut hosts = self.hosts.borrow_mut();
        let name = hosts.entry(ip).or_insert_with(|| host_name(ip));
        name.clone()
    }

    fn port(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.ports.port_name(port, protocol)
    }
}

/// The longest text for an address with its port: ipvsadm has room for no more.
const LONGEST: usize = 59;

/// An address with its port, each by name if it has one, as ipvsadm shows it in listings.
pub(super) fn endpoint(names: &dyn Shown, at: Endpoint, protocol: Protocol) -> String {
    let mut text = written(at, names.host(at.ip), names.port(at.port, protocol));
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
    }
    text
}

/// The same as `-R` reads it again: that wants IPv6 addresses as numbers, and nothing cut off.
pub(super) fn readable_endpoint(names: &dyn Shown, at: Endpoint, protocol: Protocol) -> String {
    let host = match at.ip.family() {
        Family::V4 => names.host(at.ip),
        Family::V6 => None,
    };
    written(at, host, names.port(at.port, protocol))
}

fn written(at: Endpoint, host: Option<String>, port: Option<String>) -> String {
    let host = host.unwrap_or_else(|| number(at.ip));
    let port = port.unwrap_or_else(|| at.port.to_string());
    match at.ip.family() {
        Family::V4 => format!("{host}:{port}"),
        Family::V6 => format!("[{host}]:{port}"),
    }
}

/// An address as the C library writes it: what was once IPv4 in IPv6 (`::0.1.0.128`) in the way it was written then.
fn number(ip: Ip) -> String {
    match IpAddr::from(ip) {
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0, 1..=0xffff, _] => {
                let [.., a, b, c, d] = v6.octets();
                format!("::{}", Ipv4Addr::new(a, b, c, d))
            }
            _ => v6.to_string(),
        },
        IpAddr::V4(v4) => v4.to_string(),
    }
}

#[expect(
    unsafe_code,
    reason = "the standard library looks up no names of addresses"
)]
fn host_name(ip: Ip) -> Option<String> {
    let at = SockAddr::from(SocketAddr::new(IpAddr::from(ip), 0));
    let mut name = [0_u8; NI_MAXHOST as usize];
    // SAFETY: the address is as long as is said, and so is the buffer.
    let failed = unsafe {
        libc::getnameinfo(
            at.as_ptr().cast(),
            at.len(),
            name.as_mut_ptr().cast::<c_char>(),
            name.len() as socklen_t,
            std::ptr::null_mut(),
            0,
            NI_NAMEREQD,
        )
    };
    let name = CStr::from_bytes_until_nul(&name).ok();
    let name = name.filter(|_| failed == 0)?;
    let name = name.to_string_lossy();
    is_name(&name).then(|| name.into_owned())
}

/// Whoever answers for an address may answer anything. A name has letters, and nothing that could be mistaken for something else.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().all(fits) && name.contains(char::is_alphabetic) && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_c_library_does() {
        for text in [
            "::",
            "::1",
            "::ffff",
            "::0.1.0.128",
            "::1.2.3.0",
            "::1:0:0",
            "10.0.0.1",
        ] {
            let ip = Ip::from(text.parse::<IpAddr>().unwrap());
            assert_eq!(number(ip), text);
        }
    }

    #[test]
    fn what_a_resolver_says_need_not_be_a_name() {
        for name in [
            "localhost",
            "web-1.example.com",
            "odd_name",
            "b\u{fc}cher.example",
            "3com",
        ] {
            assert!(is_name(name), "{name}");
        }
        for other in [
            "",
            "10.0.0.1",
            "a b",
            "a:80",
            "[a]",
            "a\n-C",
            "\u{1b}[2J",
            "-C",
            "a\u{fffd}",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn what_was_asked_once_is_remembered() {
        let names = SystemShown::default();
        let nobody: Ip = "192.0.2.255".parse().unwrap();
        assert_eq!(names.port(0, Protocol::TCP), None);
        names
            .hosts
            .borrow_mut()
            .insert(nobody, Some("nobody".to_owned()));
        assert_eq!(names.host(nobody).as_deref(), Some("nobody"));
    }

    #[test]
    fn a_machine_has_a_name_for_itself_or_none() {
        let local = host_name("127.0.0.1".parse().unwrap());
        assert!(local.is_none_or(|name| is_name(&name)));
    }
}
