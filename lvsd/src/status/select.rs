//! Which services and servers are shown.

use lvs_core::Endpoint;

use crate::control::conns::ServerAddress;
use crate::health::status::{Server, Service, Status};

/// How many there are of what, and how many of them are in trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) services: usize,
    pub(super) without_quorum: usize,
    pub(super) servers: usize,
    pub(super) down: usize,
    pub(super) checks: usize,
    /// Whose last run failed, forgiven or not.
    pub(super) failing: usize,
}

impl Tally {
    /// Of all services and servers there.
    pub(super) fn of(status: &Status) -> Self {
        let services = &status.services;
        let servers = || services.iter().flat_map(|s| &s.servers);
        let checks = || servers().flat_map(|s| &s.checks);
        let fails = |run: &crate::health::status::Run| !run.passed;
        Self {
            services: services.len(),
            without_quorum: services.iter().filter(|s| !s.quorum.up).count(),
            servers: servers().count(),
            down: servers().filter(|s| !s.up).count(),
            checks: checks().count(),
            failing: checks()
                .filter(|c| c.last.as_ref().is_some_and(fails))
                .count(),
        }
    }
}

/// Leaves out the services and servers that are not asked for.
///
/// # Errors
///
/// Something is asked for that does not exist.
pub(super) fn keep(
    status: &mut Status,
    services: &[String],
    servers: &[ServerAddress],
) -> Result<(), String> {
    for word in services {
        if !status.services.iter().any(|s| is_named(s, word)) {
            return Err(format!("no service is called {word:?}"));
        }
    }
    if !services.is_empty() {
        let is_wanted = |s: &Service| services.iter().any(|word| is_named(s, word));
        status.services.retain(is_wanted);
    }
    for wanted in servers {
        let mut all = status.services.iter().flat_map(|s| &s.servers);
        if !all.any(|server| is_at(&server.server, *wanted)) {
            return Err(format!("there is no server {wanted}"));
        }
    }
    if !servers.is_empty() {
        let is_wanted = |s: &Server| servers.iter().any(|wanted| is_at(&s.server, *wanted));
        for service in &mut status.services {
            service.servers.retain(is_wanted);
        }
        status.services.retain(|s| !s.servers.is_empty());
    }
    Ok(())
}

/// Leaves out what is well.
pub(super) fn keep_down(status: &mut Status) {
    for service in &mut status.services {
        service.servers.retain(|s| !s.up);
    }
    let is_in_trouble = |s: &Service| !s.quorum.up || !s.servers.is_empty();
    status.services.retain(is_in_trouble);
}

/// Whether a word is one of a service's names. The service's own texts are those of [`Service::name`] and
/// [`Service::services`].
fn is_named(service: &Service, word: &str) -> bool {
    let mut texts = service.services.iter();
    if let Ok(wanted) = word.parse::<ServerAddress>() {
        return texts.any(|text| {
            let address = text.split_once(' ').map_or("", |(_, address)| address);
            is_at(address, wanted)
        });
    }
    let is_group = || service.name == format!("[{word}]:0");
    service.name.eq_ignore_ascii_case(word)
        || is_group()
        || texts.any(|text| {
            let mark = text.strip_prefix("FWM ").and_then(|m| m.split(' ').next());
            text.eq_ignore_ascii_case(word) || mark == Some(word)
        })
}

fn is_at(text: &str, wanted: ServerAddress) -> bool {
    let at: Option<Endpoint> = text.parse().ok();
    at.is_some_and(|at| at.ip == wanted.ip && wanted.port.is_none_or(|port| port == at.port))
}

#[cfg(test)]
mod tests {
    use super::super::testing::status;
    use super::*;

    /// What is left, as `SERVICE: SERVER SERVER`.
    fn left(status: &Status) -> Vec<String> {
        let servers = |s: &Service| {
            let servers: Vec<&str> = s.servers.iter().map(|s| &*s.server).collect();
            servers.join(" ")
        };
        let services = status.services.iter();
        services
            .map(|s| format!("{}: {}", s.name, servers(s)))
            .collect()
    }

    fn kept(services: &[&str], servers: &[&str]) -> Result<Vec<String>, String> {
        let mut status = status();
        let services: Vec<String> = services.iter().map(|&s| s.to_owned()).collect();
        let servers: Vec<ServerAddress> = servers.iter().map(|s| s.parse().unwrap()).collect();
        keep(&mut status, &services, &servers).map(|()| left(&status))
    }

    const WEB: &str = "[192.0.2.10]:tcp:80: 10.0.0.11:8080 10.0.0.12:8080 10.0.0.13:8080";
    const GROUP: &str = "[dns]:0: [fd00::1]:53";
    const MARK: &str = "FWM 7: 10.0.0.11:0";

    #[test]
    fn services_have_many_names() {
        assert_eq!(kept(&[], &[]).unwrap(), [WEB, GROUP, MARK]);
        for (words, wanted) in [
            (&["192.0.2.10"][..], &[WEB][..]),
            (&["192.0.2.10:80"], &[WEB]),
            (&["tcp 192.0.2.10:80"], &[WEB]),
            (&["[192.0.2.10]:tcp:80"], &[WEB]),
            (&["2001:DB8:0::53"], &[GROUP]),
            (&["[2001:db8::53]:53"], &[GROUP]),
            (&["dns", "7"], &[GROUP, MARK]),
            (&["fwm 7"], &[MARK]),
        ] {
            assert_eq!(kept(words, &[]).unwrap(), wanted, "{words:?}");
        }
        for word in ["192.0.2.1", "192.0.2.10:81", "web", "", "6", "10.0.0.11"] {
            assert!(kept(&[word], &[]).unwrap_err().contains(word), "{word:?}");
        }
    }

    #[test]
    fn servers_are_asked_for_by_address() {
        let web = "[192.0.2.10]:tcp:80: 10.0.0.11:8080";
        assert_eq!(kept(&[], &["10.0.0.11"]).unwrap(), [web, MARK]);
        assert_eq!(kept(&[], &["10.0.0.11:8080"]).unwrap(), [web]);
        assert_eq!(kept(&["7"], &["10.0.0.11"]).unwrap(), [MARK]);
        assert!(
            kept(&["7"], &["10.0.0.12"])
                .unwrap_err()
                .contains("10.0.0.12")
        );
    }

    #[test]
    fn what_is_well_may_be_left_out() {
        let mut status = status();
        keep_down(&mut status);
        let web = "[192.0.2.10]:tcp:80: 10.0.0.12:8080";
        assert_eq!(left(&status), [web, "[dns]:0: "]);
    }

    #[test]
    fn trouble_is_counted() {
        let wanted = Tally {
            services: 3,
            without_quorum: 1,
            servers: 5,
            down: 1,
            checks: 5,
            failing: 2,
        };
        assert_eq!(Tally::of(&status()), wanted);
    }
}
