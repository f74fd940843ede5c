//! Addresses, ports and pools of local addresses, as words of a rule file.
//!
//! | text | meaning |
//! |---|---|
//! | `10.0.0.1:80`, `10.0.0.1:http`, `web.example:80` | IPv4 address and port |
//! | `10.0.0.1`, `2001:db8::1` | address alone |
//! | `[2001:db8::1]:80` | IPv6 address and port |
//! | `10.0.0.1:5000-5999`, `[2001:db8::1]:5000-5999` | a local address and the ports to use there |
//!
//! ipvsadm also reads IPv4 addresses in the manner of `inet_aton` (`10.1`, and `010.0.0.1` in octal). It never
//! writes them so, and in a file they are more likely slips: they are refused.

use std::net::{Ipv4Addr, Ipv6Addr};

use lvs_core::service::LocalAddr;
use lvs_core::{Ip, Protocol};

use super::names::Names;
use super::problem::{Problem, escaped, quoted};
use super::words::Word;

/// An address, perhaps with a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostPort {
    pub(super) ip: Ip,
    /// The port, if one is written.
    pub(super) port: Option<u16>,
}

/// Reads `HOST` or `HOST:PORT`.
pub(super) fn host_port(
    word: Word<'_>,
    protocol: Protocol,
    names: &dyn Names,
) -> Result<HostPort, Problem> {
    let (host, port) = split_port(word)?;
    let ip = match host {
        Host::V6(ip) => ipv6(ip)?,
        Host::Name(host) => match ipv4(host)? {
            Some(ip) => ip,
            None => resolve(host, names)?,
        },
    };
    let port = match port {
        Some(port) => Some(named_port(port, protocol, names)?),
        None => None,
    };
    Ok(HostPort { ip, port })
}

/// Reads a local address, perhaps with a range of ports.
pub(super) fn local_address(word: Word<'_>) -> Result<LocalAddr, Problem> {
    let (host, ports) = split_port(word)?;
    let ip = match host {
        Host::V6(ip) => ipv6(ip)?,
        Host::Name(host) => ipv4(host)?.ok_or_else(|| {
            let message = format!("{} is not an address", quoted(host.text));
            Problem::at(host, message, "write a local address in numbers")
        })?,
    };
    let Some(ports) = ports else {
        return Ok(LocalAddr::new(ip));
    };
    let range = ports.split_once('-').and_then(|(first, last)| {
        let (first, last) = (decimal(first.text)?, decimal(last.text)?);
        Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?))
    });
    match range {
        Some((first_port, last_port)) if 0 < first_port && first_port <= last_port => {
            Ok(LocalAddr {
                ip,
                first_port,
                last_port,
            })
        }
        _ => Err(Problem::at(
            ports,
            format!("{} is not a range of ports", quoted(ports.text)),
            "write the lowest and the highest port, 1 to 65535: `1024-65535`",
        )),
    }
}

/// Refuses addresses that no server can have. One of a loopback address is this host itself.
pub(super) fn check_server(ip: Ip, word: Word<'_>) -> Result<(), Problem> {
    match ip.is_loopback() {
        true => Ok(()),
        false => check_unicast(ip, word),
    }
}

/// Refuses addresses that no packet can come from or go to.
pub(super) fn check_unicast(ip: Ip, word: Word<'_>) -> Result<(), Problem> {
    let kind = if ip.is_multicast() {
        "a multicast or broadcast"
    } else if ip.is_unspecified() {
        "an unspecified"
    } else if ip.is_loopback() {
        "a loopback"
    } else {
        return Ok(());
    };
    let message = format!("{ip} is {kind} address");
    let help = "write a unicast address that packets on the network bear";
    Err(Problem::at(word, message, help))
}

/// The number that a word of digits is, or `None`. No sign; a number too large for any use is `u64::MAX`.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

enum Host<'a> {
    V6(Word<'a>),
    Name(Word<'a>),
}

/// Tells the host from what follows its colon.
fn split_port(word: Word<'_>) -> Result<(Host<'_>, Option<Word<'_>>), Problem> {
    if let Some(inner) = word.strip_prefix("[") {
        let closed = inner.split_once(']');
        let parts = closed.and_then(|(ip, rest)| Some((ip, rest.strip_prefix(":")?)));
        let (ip, port) = parts.ok_or_else(|| {
            let message = format!("{} is not `[ADDRESS]:PORT`", quoted(word.text));
            let help = "brackets need a port behind them; an IPv6 address alone has none";
            Problem::at(word, message, help)
        })?;
        return Ok((Host::V6(ip), Some(port)));
    }
    match word.split_once(':') {
        None => Ok((Host::Name(word), None)),
        Some((_, rest)) if rest.text.contains(':') => Ok((Host::V6(word), None)),
        Some((host, port)) => Ok((Host::Name(host), Some(port))),
    }
}

fn ipv6(word: Word<'_>) -> Result<Ip, Problem> {
    let refuse = |message: &str, help: &str| {
        let message = format!("{} {message}", quoted(word.text));
        Err(Problem::at(word, message, help))
    };
    let Ok(ip) = word.text.parse::<Ipv6Addr>() else {
        if word.text.contains('%') {
            return refuse("has a zone", "addresses with a zone can't be balanced");
        }
        return refuse(
            "is not an IPv6 address",
            "an IPv6 address with a port is written `[2001:db8::1]:80`",
        );
    };
    if ip.to_ipv4_mapped().is_some() {
        return refuse("is an IPv4 address", "write it as IPv4: `10.0.0.1:80`");
    }
    Ok(ip.into())
}

/// The IPv4 address that a word is, `None` if it is rather a name.
fn ipv4(word: Word<'_>) -> Result<Option<Ip>, Problem> {
    if let Ok(ip) = word.text.parse::<Ipv4Addr>() {
        return Ok(Some(ip.into()));
    }
    let is_numeric = word.text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_numeric {
        return Err(Problem::at(
            word,
            format!("{} is not an IPv4 address", quoted(word.text)),
            "write four numbers of 0 to 255 without leading zeros: `10.0.0.1`",
        ));
    }
    Ok(None)
}

fn resolve(word: Word<'_>, names: &dyn Names) -> Result<Ip, Problem> {
    let help = "write the address in numbers, as `ipvsadm -Sn` does";
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !word.text.bytes().all(is_name) {
        let message = format!(
            "{} is neither an address nor a host name",
            quoted(word.text)
        );
        return Err(Problem::at(word, message, help));
    }
    let found = names.host(word.text).map_err(|reason| {
        let (name, reason) = (quoted(word.text), escaped(&reason, 200));
        let message = format!("the host {name} is not known: {reason}");
        Problem::at(word, message, help)
    })?;
    Ok(found.into())
}

fn named_port(word: Word<'_>, protocol: Protocol, names: &dyn Names) -> Result<u16, Problem> {
    if let Some(number) = decimal(word.text) {
        return u16::try_from(number).map_err(|_| {
            let message = format!("{} is not a port", quoted(word.text));
            Problem::at(word, message, "ports are 1 to 65535")
        });
    }
    names.port(word.text, protocol).ok_or_else(|| {
        let message = match word.text {
            "" => "the port is missing".to_owned(),
            name => format!(
                "there is no {protocol} service {} in /etc/services",
                quoted(name)
            ),
        };
        Problem::at(word, message, "write the port as a number, 1 to 65535")
    })
}
