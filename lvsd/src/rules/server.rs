//! What an `-a` line says about a real server.

use lvs_core::dest::GueChecksum;
use lvs_core::{DestOptions, Encapsulation, Ip, Method, Protocol};

use super::address::{self, HostPort, check_server, decimal};
use super::command_line::CommandLine;
use super::names::Names;
use super::options::{Checksum, Meaning};
use super::problem::{Problem, quoted};
use super::words::Word;

/// The greatest weight and threshold, as in IPVS.
const MAX: u32 = i32::MAX as u32;

/// The address of the server that a line names, and the word that names it. `None` if that has been refused already.
pub(super) fn address<'a>(
    line: &CommandLine<'a>,
    protocol: Option<Protocol>,
    names: &dyn Names,
) -> Result<Option<(HostPort, Word<'a>)>, Problem> {
    let Some(option) = line.find(|m| m == Meaning::RealServer) else {
        let message = format!("{} needs a real server", quoted(line.at.text));
        let help = "name it with `-r ADDRESS` or `-r ADDRESS:PORT`";
        return Err(Problem::at(line.at, message, help));
    };
    if option.is_refused {
        return Ok(None);
    }
    let word = option.value;
    let server = address::host_port(word, protocol.unwrap_or(Protocol::TCP), names)?;
    check_server(server.ip, word)?;
    if server.ip.is_link_local_v6() {
        let message = format!("{} is a link-local address", server.ip);
        let help = "which link it is on can't be said: write a global or unique local one";
        return Err(Problem::at(word, message, help));
    }
    Ok(Some((server, word)))
}

/// Everything but the address; and where the forwarding method stands.
pub(super) fn options<'a>(
    line: &CommandLine<'a>,
    problems: &mut Vec<Problem>,
) -> (DestOptions, Word<'a>) {
    let (method, at) = method(line);
    let mut options = DestOptions::new(method, 1);
    let mut note = |result: Result<(), Problem>| problems.extend(result.err());
    note(number(line, Meaning::Weight, &mut options.weight, "weight"));
    let upper = number(line, Meaning::Upper, &mut options.upper, "threshold");
    let lower = number(line, Meaning::Lower, &mut options.lower, "threshold");
    let are_read = upper.is_ok() && lower.is_ok();
    note(upper);
    note(lower);
    if let Some(word) = line.value(Meaning::Lower).filter(|_| are_read)
        && options.lower > options.upper
    {
        let (lower, upper) = (options.lower, options.upper);
        let message = format!("the lower threshold {lower} is above the upper one, {upper}");
        note(Err(Problem::at(
            word,
            message,
            "write `-x` and `-y` with `-y` the smaller",
        )));
    }
    let encapsulation = encapsulation(line, method);
    note(encapsulation.map(|found| options.encapsulation = found));
    (options, at)
}

/// The forwarding method and its place.
fn method<'a>(line: &CommandLine<'a>) -> (Method, Word<'a>) {
    let option = line.find(|m| matches!(m, Meaning::Method(_)));
    match option.map(|o| (o.meaning, o.at)) {
        Some((Meaning::Method(method), at)) => (method, at),
        _ => (Method::DirectRoute, line.at),
    }
}

/// Reads a number into `place` if the line has one.
fn number(
    line: &CommandLine<'_>,
    meaning: Meaning,
    place: &mut u32,
    what: &str,
) -> Result<(), Problem> {
    let Some(word) = line.value(meaning) else {
        return Ok(());
    };
    let number = decimal(word.text).and_then(|n| u32::try_from(n).ok());
    let Some(number) = number.filter(|n| *n <= MAX) else {
        let message = format!("{} is not a {what}", quoted(word.text));
        let none = match meaning {
            Meaning::Weight => "no new connections",
            _ => "none",
        };
        let help = format!("{what}s are 0 ({none}) to {MAX}");
        return Err(Problem::at(word, message, help));
    };
    *place = number;
    Ok(())
}

/// The kind of tunnel.
fn encapsulation(line: &CommandLine<'_>, method: Method) -> Result<Encapsulation, Problem> {
    let is_tunnel = |m| {
        matches!(
            m,
            Meaning::TunnelType | Meaning::TunnelPort | Meaning::TunnelChecksum(_)
        )
    };
    let kind = line.value(Meaning::TunnelType);
    if method != Method::Tunnel
        && let Some(option) = line.find(is_tunnel)
    {
        let message = format!("{} is only for tunnels", option.name());
        return Err(Problem::at(option.at, message, "add `-i`, or take it out"));
    }
    let port = line.option(Meaning::TunnelPort);
    let checksum = line.find(|m| matches!(m, Meaning::TunnelChecksum(_)));
    let how = match checksum.map(|o| o.meaning) {
        Some(Meaning::TunnelChecksum(how)) => how,
        _ => Checksum::None,
    };
    let name = kind.map_or("ipip", |k| k.text);
    let alien = match (name, how) {
        ("gue", _) => None,
        ("gre", Checksum::Remote) => checksum,
        ("gre", _) => port,
        _ => port.or(checksum),
    };
    match (name, alien) {
        ("ipip" | "gue" | "gre", None) => {}
        ("ipip" | "gue" | "gre", Some(option)) => {
            let message = format!("{} does not go with the tunnel type {name}", option.name());
            let help = match option.meaning {
                Meaning::TunnelPort => "only `--tun-type gue` has a port",
                Meaning::TunnelChecksum(Checksum::Remote) => "only `--tun-type gue` has that",
                _ => "only `--tun-type gre` and `--tun-type gue` have checksums",
            };
            return Err(Problem::at(option.at, message, help));
        }
        _ => {
            let at = kind.unwrap_or(line.at);
            let message = format!("unknown tunnel type {}", quoted(name));
            return Err(Problem::at(at, message, "there are: ipip, gue, gre"));
        }
    }
    Ok(match name {
        "gre" => Encapsulation::Gre {
            checksum: how == Checksum::Full,
        },
        "gue" => Encapsulation::Gue {
            port: tunnel_port(line, kind.unwrap_or(line.at))?,
            checksum: match how {
                Checksum::None => GueChecksum::None,
                Checksum::Full => GueChecksum::Full,
                Checksum::Remote => GueChecksum::Remote,
            },
        },
        _ => Encapsulation::Ipip,
    })
}

fn tunnel_port(line: &CommandLine<'_>, kind: Word<'_>) -> Result<u16, Problem> {
    let Some(option) = line.find(|m| m == Meaning::TunnelPort) else {
        let help = "add `--tun-port PORT`, the UDP port on which the server takes packets off";
        return Err(Problem::at(kind, "a tunnel of type gue needs a port", help));
    };
    if option.is_refused {
        // Something that will not be used: the line is refused.
        return Ok(1);
    }
    let word = option.value;
    match decimal(word.text).and_then(|n| u16::try_from(n).ok()) {
        Some(port @ 1..) => Ok(port),
        _ => {
            let message = format!("{} is not a port", quoted(word.text));
            Err(Problem::at(word, message, "ports are 1 to 65535"))
        }
    }
}

/// Refuses a server that its service's packets can't get to.
pub(super) fn check_family(
    server: Ip,
    service: lvs_core::ServiceKey,
    method: Method,
    word: Word<'_>,
) -> Result<(), Problem> {
    if server.family() == service.family() || method == Method::Tunnel {
        return Ok(());
    }
    let of_service = match service.addr() {
        Some(addr) => addr.ip.to_string(),
        None => service.to_string(),
    };
    let message = format!("{server} and {of_service} are of different families");
    let help = "only a tunnel (`-i`) leads from IPv4 to IPv6 or back";
    Err(Problem::at(word, message, help))
}
