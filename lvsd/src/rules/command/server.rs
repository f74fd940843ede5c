//! The real server that an `-a` or `-e` is about.

use lvs_core::dest::GueChecksum;
use lvs_core::{DestOptions, Encapsulation, Method, ServiceKey};

use super::super::ServerRule;
use super::super::options::Checksum;
use super::CommandError;
use super::line::{Line, Tunnel};

/// The server with everything that is said about it.
pub(super) fn rule(line: &Line<'_>, key: ServiceKey) -> Result<ServerRule, CommandError> {
    let mut addr = line.server;
    if addr.ip.family() != key.family() && line.method != Method::Tunnel {
        let message = "Different address family is allowed only for tunneling servers";
        return Err(CommandError::usage(message).at(line.place("real-server")));
    }
    if key.addr().is_some() && !line.method.translates() {
        addr.port = key.port();
    }
    let options = DestOptions {
        method: line.method,
        weight: line.weight,
        encapsulation: encapsulation(line)?,
        upper: line.upper,
        lower: line.lower,
    };
    Ok(ServerRule { addr, options })
}

const TUNNEL_OPTIONS: [&str; 5] = [
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
];

fn encapsulation(line: &Line<'_>) -> Result<Encapsulation, CommandError> {
    if line.method != Method::Tunnel {
        let mut given = TUNNEL_OPTIONS.iter().filter_map(|name| line.given(name));
        return match given.next() {
            Some(given) => {
                let message = "Tunnel options conflict with forward method";
                Err(CommandError::usage(message).at(given.at))
            }
            None => Ok(Encapsulation::Ipip),
        };
    }
    let (kind, legal): (_, &[&str]) = match line.tunnel {
        Tunnel::Ipip => ("ipip", &["tun-type"]),
        Tunnel::Gue => ("gue", &TUNNEL_OPTIONS),
        Tunnel::Gre => ("gre", &["tun-type", "tun-nocsum", "tun-csum"]),
    };
    let mut checksum = None;
    for name in TUNNEL_OPTIONS {
        let Some(given) = line.given(name) else {
            if name == "tun-port" && line.tunnel == Tunnel::Gue {
                let message = "You need to supply the 'tun-port' option for the 'gue' tunnel type";
                return Err(CommandError::usage(message));
            }
            continue;
        };
        let refused = |message: String| Err(CommandError::usage(message).at(given.at));
        if !legal.contains(&name) {
            return refused(format!(
                "Illegal '{name}' option with the '{kind}' tunnel type"
            ));
        }
        if name.ends_with("csum")
            && let Some(other) = checksum.replace(name)
        {
            return refused(format!(
                "The option '{name}' conflicts with the '{other}' option in the '{kind}' tunnel type"
            ));
        }
    }
    Ok(match line.tunnel {
        Tunnel::Ipip => Encapsulation::Ipip,
        Tunnel::Gre => Encapsulation::Gre {
            checksum: line.checksum == Checksum::Full,
        },
        Tunnel::Gue => Encapsulation::Gue {
            port: line.tunnel_port,
            checksum: match line.checksum {
                Checksum::None => GueChecksum::None,
                Checksum::Full => GueChecksum::Full,
                Checksum::Remote => GueChecksum::Remote,
            },
        },
    })
}
