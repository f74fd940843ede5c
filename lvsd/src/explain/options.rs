//! `lvsd explain`'s command line.

use lvs_core::{Endpoint, Protocol};

use crate::arguments::{Arguments, once};
use crate::control::explained::Packet;
use crate::rules::{Command, Names, parse_command};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) packet: Packet,
    pub(super) json: bool,
    pub(super) socket: Option<String>,
}

impl Options {
    /// `None` if only help is wanted.
    pub(super) fn parse(args: &[String], names: &dyn Names) -> Result<Option<Self>, String> {
        let (mut protocol, mut interface, mut socket) = (None, None, None);
        let (mut ends, mut json) = (Vec::new(), false);
        let mut args = Arguments::new(args);
        while let Some(name) = args.next_name() {
            let asked = match name {
                "-h" | "--help" => return Ok(None),
                "-t" | "--tcp" => Protocol::TCP,
                "-u" | "--udp" => Protocol::UDP,
                "--sctp" => Protocol::SCTP,
                _ => {
                    match name {
                        "--interface" => once(&mut interface, name, args.value()?.to_owned())?,
                        "--socket" => once(&mut socket, name, args.value()?.to_owned())?,
                        "--json" => json = args.flag()?,
                        _ if name.starts_with('-') => return Err(args.unknown()),
                        _ => ends.push(name),
                    }
                    continue;
                }
            };
            args.flag()?;
            if protocol.replace(asked).is_some_and(|other| other != asked) {
                return Err("a packet has one protocol only".to_owned());
            }
        }
        let &[client, virt] = &ends[..] else {
            return Err("say which packet: CLIENT:PORT VIP:PORT".to_owned());
        };
        let protocol = protocol.unwrap_or(Protocol::TCP);
        let client = endpoint(client, protocol, names)?;
        let virt = endpoint(virt, protocol, names)?;
        if client.ip.family() != virt.ip.family() {
            return Err(format!("no packet goes from {} to {}", client.ip, virt.ip));
        }
        Ok(Some(Self {
            packet: Packet {
                protocol: protocol.0,
                client,
                virtual_address: virt,
                interface,
            },
            json,
            socket,
        }))
    }
}

/// An address and port, as ipvsadm's rules of writing them have it.
fn endpoint(text: &str, protocol: Protocol, names: &dyn Names) -> Result<Endpoint, String> {
    let option = match protocol {
        Protocol::UDP => "-u",
        Protocol::SCTP => "--sctp-service",
        _ => "-t",
    };
    let read = match parse_command(&["-D", option, text], names) {
        Ok(Command::DeleteService(key)) => key.addr(),
        _ => None,
    };
    match read {
        Some(Endpoint { ip, port: 0 }) => Err(format!("{ip} needs a port behind it")),
        Some(endpoint) => Ok(endpoint),
        None => Err(format!("{text:?} is no address and port (of {protocol})")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    struct Known;

    impl Names for Known {
        fn has_scheduler(&self, _: &str) -> bool {
            false
        }

        fn host(&self, name: &str) -> Result<Ipv4Addr, String> {
            match name {
                "web.example" => Ok(Ipv4Addr::new(10, 0, 0, 1)),
                _ => Err("unknown".to_owned()),
            }
        }

        fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
            (service == "domain" && protocol == Protocol::UDP).then_some(53)
        }
    }

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args, &Known)
    }

    #[test]
    fn packets_are_written_in_many_ways() {
        for (line, protocol, client, virt, interface) in [
            (
                "10.9.1.2:4000 10.0.0.1:80",
                6,
                "10.9.1.2:4000",
                "10.0.0.1:80",
                None,
            ),
            (
                "-u 10.9.1.2:4000 web.example:domain",
                17,
                "10.9.1.2:4000",
                "10.0.0.1:53",
                None,
            ),
            (
                "[fd00::9]:1 [fd00::1]:80 --sctp",
                132,
                "[fd00::9]:1",
                "[fd00::1]:80",
                None,
            ),
            (
                "10.9.1.2:1 --interface=eth0 10.0.0.1:2",
                6,
                "10.9.1.2:1",
                "10.0.0.1:2",
                Some("eth0"),
            ),
        ] {
            let wanted = Packet {
                protocol,
                client: client.parse().unwrap(),
                virtual_address: virt.parse().unwrap(),
                interface: interface.map(str::to_owned),
            };
            assert_eq!(parsed(line).unwrap().unwrap().packet, wanted, "{line}");
        }
        let options = parsed("10.9.1.2:1 10.0.0.1:2 --json --socket /s")
            .unwrap()
            .unwrap();
        assert!(options.json && options.socket.as_deref() == Some("/s"));
        assert!(parsed("-h").unwrap().is_none());
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("", "CLIENT"),
            ("10.9.1.2:4000", "VIP"),
            ("10.9.1.2:1 10.0.0.1:2 10.0.0.1:3", "VIP"),
            ("10.9.1.2 10.0.0.1:80", "needs a port"),
            ("10.9.1.2:1 10.0.0.1:domain", "TCP"),
            ("10.9.1.2:1 nowhere:80", "nowhere"),
            ("10.9.1.2:1 [fd00::1]:80", "fd00::1"),
            ("-u --sctp 10.9.1.2:1 10.0.0.1:2", "protocol"),
            ("--json=1 10.9.1.2:1 10.0.0.1:2", "no value"),
            ("--interface", "value"),
            ("--frob", "--frob"),
        ] {
            let e = parsed(line).unwrap_err();
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }
}
