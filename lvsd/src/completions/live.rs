//! Services, servers and virtual routers of the running daemon.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lvs_core::{Endpoint, Ip, Protocol};

use super::candidates::Candidate;
use crate::control::client::{Client, ClientError};
use crate::control::socket_path;
use crate::control::table::{Key, Service, Table};
use crate::vrrp::status::{Group, Router};

/// How long somebody who has pressed Tab is kept waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the daemon has; nothing if there is none, or none that we may ask.
#[derive(Debug)]
pub(super) struct Live {
    services: Vec<Service>,
}

impl Live {
    pub(super) fn new(socket: Option<&str>) -> Self {
        let table: Option<Table> = ask(socket, Client::table);
        let services = table.map(|t| t.services).unwrap_or_default();
        Self { services }
    }

    /// The services of a protocol.
    pub(super) fn services(&self, protocol: Protocol) -> Vec<Candidate> {
        let of = |s: &Service| match (protocol, s.key) {
            (Protocol::TCP, Key::Tcp(at))
            | (Protocol::UDP, Key::Udp(at))
            | (Protocol::SCTP, Key::Sctp(at)) => {
                let at = Endpoint::new(at.address, at.port);
                Some(Candidate::new(at.to_string(), about(s)))
            }
            _ => None,
        };
        sorted(self.services.iter().filter_map(of).collect())
    }

    /// The marks that have a service.
    pub(super) fn marks(&self) -> Vec<Candidate> {
        let of = |s: &Service| match s.key {
            Key::Fwm(mark) => Some(Candidate::new(mark.mark.to_string(), about(s))),
            _ => None,
        };
        sorted(self.services.iter().filter_map(of).collect())
    }

    /// The servers of a service, by the long name and value of the option that names it; of all services if there is none.
    pub(super) fn servers(&self, service: Option<(&str, &str)>) -> Vec<Candidate> {
        let of = self
            .services
            .iter()
            .filter(|s| is(s, service) != Some(false));
        let servers = of.flat_map(|s| &s.servers);
        let shown = servers.map(|s| {
            let about = format!("weight {}, {} connections", s.weight, s.active + s.inactive);
            Candidate::new(s.endpoint().to_string(), about)
        });
        sorted(shown.collect())
    }

    /// The servers of other services that this one does not have.
    pub(super) fn servers_elsewhere(&self, service: Option<(&str, &str)>) -> Vec<Candidate> {
        let own = match service {
            Some(_) => self.servers(service),
            None => Vec::new(),
        };
        let mut others = self.servers(None);
        others.retain(|c| own.iter().all(|o| o.word != c.word));
        for other in &mut others {
            other.about = "a server of another service".to_owned();
        }
        others
    }
}

/// The virtual routers and sync groups of the running daemon.
pub(super) fn routers(socket: Option<&str>) -> Vec<Candidate> {
    let status = ask(socket, Client::vrrp).unwrap_or_default();
    let of_router = |r: &Router| Candidate::new(&*r.name, format!("{}, VRID {}", r.state, r.vrid));
    let of_group = |g: &Group| Candidate::new(&*g.name, format!("sync group, {}", g.state));
    let routers = status.routers.iter().map(of_router);
    sorted(routers.chain(status.groups.iter().map(of_group)).collect())
}

/// The daemon's answer, if there is one before who waits loses patience.
fn ask<T: Send + 'static>(
    socket: Option<&str>,
    question: fn(&mut Client) -> Result<T, ClientError>,
) -> Option<T> {
    let path = socket_path(socket);
    let (answer, answered) = mpsc::channel();
    let ask = move || {
        let told = Client::connect(&path).and_then(|mut client| question(&mut client));
        let _ = answer.send(told);
    };
    thread::Builder::new().spawn(ask).ok()?;
    answered.recv_timeout(PATIENCE).ok()?.ok()
}

/// Whether this is the service asked for; `None` if none is, or one by name: only ipvsadm's resolver knows which that is.
fn is(service: &Service, asked: Option<(&str, &str)>) -> Option<bool> {
    let (option, value) = asked?;
    let wanted = || match value.parse::<Ip>() {
        Ok(ip) => Some(Endpoint::new(ip, 0)),
        Err(_) => value.parse::<Endpoint>().ok(),
    };
    Some(match (option, service.key) {
        ("tcp-service", Key::Tcp(at))
        | ("udp-service", Key::Udp(at))
        | ("sctp-service", Key::Sctp(at)) => wanted()? == Endpoint::new(at.address, at.port),
        ("fwmark-service", Key::Fwm(mark)) => value.parse() == Ok(mark.mark),
        _ => false,
    })
}

fn about(service: &Service) -> String {
    match service.servers.len() {
        1 => format!("{}, 1 server", service.scheduler),
        n => format!("{}, {n} servers", service.scheduler),
    }
}

fn sorted(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by(|a, b| a.word.cmp(&b.word));
    candidates.dedup_by(|a, b| a.word == b.word);
    candidates
}
