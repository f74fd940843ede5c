//! `lvsd conns`'s command line: services in ipvsadm's words, and options of its own.

use lvs_core::{Endpoint, Protocol};
use lvs_fwd::classify::Prefix;

use crate::arguments::{Arguments, once};
use crate::control::conns::{Filter, ServerAddress, StateName};
use crate::rules::{Command, Listing, Names, parse_command};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) filter: Filter,
    pub(super) count: bool,
    pub(super) json: bool,
    pub(super) socket: Option<String>,
}

impl Options {
    /// `None` if only help is wanted.
    pub(super) fn parse(args: &[String], names: &dyn Names) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let filter = &mut options.filter;
        // What is not ours is ipvsadm's; to it this looks like the listing of a service.
        let mut words = vec!["-L"];
        let mut args = Arguments::new(args);
        while let Some(name) = args.next_name() {
            match name {
                "-h" | "--help" => return Ok(None),
                "-r" | "--server" | "--real-server" => {
                    once(&mut filter.server, name, server(args.value()?, names)?)?;
                }
                "--client" => once(&mut filter.client, name, client(args.value()?, names)?)?,
                "--state" => {
                    for state in args.value()?.split(',') {
                        filter.states.push(read_state(state)?);
                    }
                }
                "--protocol" => {
                    let protocol = args.value()?.parse().map_err(|e| format!("{name}: {e}"))?;
                    once(&mut filter.protocol, name, protocol)?;
                }
                "--limit" => {
                    let text = args.value()?;
                    let limit = text.parse().ok().filter(|_| !text.starts_with('+'));
                    let limit = limit.ok_or_else(|| format!("{text:?} is no number"))?;
                    once(&mut filter.limit, name, limit)?;
                }
                "--socket" => once(&mut options.socket, name, args.value()?.to_owned())?,
                "--templates" | "--no-templates" => {
                    args.flag()?;
                    let only = name == "--templates";
                    if filter.templates.replace(only) == Some(!only) {
                        return Err("nothing is both a template and none".to_owned());
                    }
                }
                "--count" => options.count = args.flag()?,
                "--json" => options.json = args.flag()?,
                // Addresses and ports are always numbers.
                "-n" | "--numeric" => drop(args.flag()?),
                _ => match name.strip_prefix("-r") {
                    Some(glued) => once(&mut filter.server, "-r", server(glued, names)?)?,
                    None => words.push(args.whole()),
                },
            }
        }
        if words.len() > 1 {
            match parse_command(&words, names) {
                Ok(Command::List(listing)) if is_of_service(&listing) => {
                    options.filter.service = listing.service.map(Into::into);
                }
                Ok(_) => return Err(format!("{:?} makes no sense here", words[1..].join(" "))),
                Err(e) => return Err(e.message),
            }
        }
        Ok(Some(options))
    }
}

/// Whether nothing but a service has been said.
fn is_of_service(listing: &Listing) -> bool {
    let plain = Listing {
        service: listing.service,
        ..Listing::default()
    };
    listing.service.is_some() && *listing == plain
}

fn read_state(text: &str) -> Result<StateName, String> {
    let all = || StateName::all().join(", ");
    text.parse()
        .map_err(|e| format!("{e}; there are {}", all()))
}

fn server(text: &str, names: &dyn Names) -> Result<ServerAddress, String> {
    if let Ok(server) = text.parse() {
        return Ok(server);
    }
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    let ip = host_address(host, names).map_err(|e| format!("{text:?} is no server: {e}"))?;
    let port = match port {
        "" => None,
        port => Some(port_number(port, names).ok_or_else(|| format!("{port:?} is no port"))?),
    };
    Ok(match port {
        Some(port) => Endpoint::new(ip, port).into(),
        None => ServerAddress { ip, port },
    })
}

fn client(text: &str, names: &dyn Names) -> Result<Prefix, String> {
    text.parse().or_else(|e| {
        let host = host_address(text, names).map(Prefix::single);
        host.map_err(|_| format!("{text:?} is no client: {e}"))
    })
}

fn host_address(name: &str, names: &dyn Names) -> Result<lvs_core::Ip, String> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_number = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match name.bytes().all(is_name) && !is_number {
        true => names.host(name).map(Into::into),
        false => Err("not an address".to_owned()),
    }
}

fn port_number(text: &str, names: &dyn Names) -> Option<u16> {
    let by_name = |protocol| names.port(text, protocol);
    let number = text.parse().ok().filter(|_| !text.starts_with('+'));
    number
        .or_else(|| by_name(Protocol::TCP))
        .or_else(|| by_name(Protocol::UDP))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use lvs_core::{Family, ServiceKey};

    use super::*;

    struct Known;

    impl Names for Known {
        fn has_scheduler(&self, _: &str) -> bool {
            false
        }

        fn host(&self, name: &str) -> Result<Ipv4Addr, String> {
            match name {
                "web.example" => Ok(Ipv4Addr::new(10, 1, 0, 7)),
                _ => Err("unknown".to_owned()),
            }
        }

        fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
            (service == "http" && protocol == Protocol::TCP).then_some(80)
        }
    }

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args, &Known)
    }

    fn filter(line: &str) -> Filter {
        parsed(line).unwrap().unwrap().filter
    }

    #[test]
    fn services_are_written_as_for_ipvsadm() {
        let tcp = ServiceKey::tcp("10.0.0.1:80".parse().unwrap());
        let udp = ServiceKey::udp("[fd00::1]:53".parse().unwrap());
        let mark = |family| ServiceKey::Mark { family, mark: 7 };
        for (line, key) in [
            ("-t 10.0.0.1:80", tcp),
            ("-t10.0.0.1:http", tcp),
            ("--tcp-service=10.1:80 -n", tcp),
            ("--numeric -u [fd00::1]:53", udp),
            ("-f 7", mark(Family::V4)),
            ("-f 7 --count -6", mark(Family::V6)),
        ] {
            assert_eq!(filter(line).service, Some(key.into()), "{line}");
        }
        assert_eq!(filter("").service, None);
    }

    #[test]
    fn every_option_is_taken() {
        let line = "-u [fd00::1]:53 -r 10.1.0.1 --client 10.9.0.0/16 --state established,FIN_WAIT \
                    --state NONE --protocol tcp --no-templates --limit 5 --json --count -n --socket=/s";
        let options = parsed(line).unwrap().unwrap();
        let wanted = Filter {
            service: Some(ServiceKey::udp("[fd00::1]:53".parse().unwrap()).into()),
            server: Some("10.1.0.1".parse().unwrap()),
            client: Some("10.9.0.0/16".parse().unwrap()),
            states: ["ESTABLISHED", "FIN_WAIT", "NONE"]
                .map(|s| s.parse().unwrap())
                .into(),
            protocol: Some("TCP".parse().unwrap()),
            templates: Some(false),
            limit: Some(5),
        };
        assert_eq!(options.filter, wanted);
        assert!(options.json && options.count);
        assert_eq!(options.socket.as_deref(), Some("/s"));
        assert_eq!(
            parsed("--templates").unwrap().unwrap().filter.templates,
            Some(true)
        );
        assert!(parsed("-t 10.0.0.1:80 -h").unwrap().is_none());
    }

    #[test]
    fn servers_and_clients_may_have_names() {
        let server = |text: &str| {
            filter(&format!("--server {text}"))
                .server
                .unwrap()
                .to_string()
        };
        assert_eq!(server("web.example"), "10.1.0.7");
        assert_eq!(server("web.example:http"), "10.1.0.7:80");
        assert_eq!(server("[fd00::2]:80"), "[fd00::2]:80");
        assert_eq!(filter("-r10.0.0.1").server.unwrap().to_string(), "10.0.0.1");
        assert_eq!(
            filter("--client web.example").client.unwrap().to_string(),
            "10.1.0.7"
        );
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("-t", "-t"),
            ("-t 10.0.0.1:x", "address"),
            ("-t 10.0.0.1:80 --stats", "--stats"),
            ("-6", "-6"),
            ("--server", "value"),
            ("--server 10.0.0.256", "10.0.0.256"),
            ("--server nowhere.example", "unknown"),
            ("-r 10.0.0.1 -r 10.0.0.2", "twice"),
            ("--client 10.0.0.0/33", "32"),
            ("--state OPEN", "TIME_WAIT"),
            ("--state ESTABLISHED,", "\"\""),
            ("--protocol icmp", "icmp"),
            ("--templates --no-templates", "both"),
            ("--limit -1", "-1"),
            ("--count=5", "no value"),
            ("--frob", "frob"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            let e = parsed(line).unwrap_err();
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }
}
