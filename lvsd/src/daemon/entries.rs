//! What must be hidden from the host's own stack, worked out from configuration, rules for marks and addresses.
//!
//! Beside the services themselves these are hidden:
//!
//! - A service of **port 0** takes connections to all ports of its address, the host's own as well (as in IPVS).
//! - An **FTP** service (TCP port 21) takes data connections to port 20 and to unprivileged ports, where also
//!   the host may have servers of its own: what is of no FTP session goes back to it.
//! - Clients of an **ISAKMP** service (UDP port 500) send it AH and ESP too.
//! - **Real servers behind NAT** answer from the port that they are asked at. If that may be any port, all they send
//!   is hidden, and what is no answer goes back to the host.
//!
//! Marked packets are known by the rules themselves ([`Hidden::new`]).
//!
//! Of services that [stand by](Standby) nothing is hidden.

use std::collections::HashSet;

use lvs_core::segment::port::{FTP, FTP_DATA, ISAKMP};
use lvs_core::{Config, Endpoint, Method, Protocol, Service, ServiceKey, Standby};
use lvs_fwd::classify::{Classifier, Prefix, Rule};
use lvs_fwd::hidden::{Entry, Hidden};
use lvs_fwd::route::Topology;

const FIRST_UNPRIVILEGED: u16 = 1024;
/// A rule with more ports than this counts as one for any port.
const FEW_PORTS: usize = 16;

const WITH_PORTS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];
const IPSEC: [Protocol; 2] = [Protocol::AH, Protocol::ESP];

/// A snapshot's services.
pub(super) fn services(config: &Config) -> impl Iterator<Item = &Service> {
    config.services().into_iter().map(|s| &**s)
}

/// Those of a snapshot's services that do not stand by.
pub(super) fn working(config: &Config) -> impl Iterator<Item = &Service> {
    let standby = config.standby();
    services(config).filter(|s| !standby.includes(&s.key()))
}

/// Everything that the host must be spared, but for marked packets.
pub(super) fn of<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    classifier: &Classifier,
    topology: &Topology,
) -> Vec<Entry> {
    let own = topology.local_addrs().map(Entry::Own);
    let stations = topology.macvlans().iter().map(|m| Entry::Station {
        ifindex: m.below,
        mac: m.mac,
    });
    let services = services.into_iter().flat_map(|s| of_service(s, classifier));
    let entries: HashSet<Entry> = own.chain(stations).chain(services).collect();
    entries.into_iter().collect()
}

/// What the host must be spared because of one service.
pub(super) fn of_service(service: &Service, classifier: &Classifier) -> Vec<Entry> {
    let local_addrs = &service.options().local_addrs;
    let mut entries: Vec<Entry> = local_addrs.iter().copied().map(Entry::Local).collect();
    let ends = match service.key() {
        ServiceKey::Addr { protocol, addr } => {
            entries.extend(virtual_entries(protocol, addr));
            asked_at(protocol, addr.port)
        }
        ServiceKey::Mark { mark, .. } => marked_ends(classifier, mark),
    };
    entries.extend(replies(service, &ends));
    entries
}

/// The entries, and what is known by its mark, but not to addresses whose services stand by.
pub(super) fn hidden(
    entries: &[Entry],
    classifier: &Classifier,
    standby: &Standby,
    is_served: impl Fn(&ServiceKey) -> bool,
) -> Hidden {
    let taken_out = standby.addresses().map(|ip| Rule {
        destination: Some(Prefix::single(ip)),
        ..Rule::default()
    });
    let rules = classifier.rules();
    let rules: Vec<Rule> = taken_out.chain(rules.iter().cloned()).collect();
    Hidden::new(entries, &rules, |family, mark| {
        let key = ServiceKey::Mark { family, mark };
        !standby.includes(&key) && is_served(&key)
    })
}

/// Whether these services have the addresses of the present ones, and the same ones stand by, so that nothing else need be
/// hidden, resolved or announced: most changes are of weights.
pub(super) fn is_same(old: &Config, new: &Config) -> bool {
    new.services().len() == old.services().len()
        && changed(old, services(new)).next().is_none()
        && new.standby() == old.standby()
}

/// Those of the new services whose addresses are not those of the present ones.
pub(super) fn changed<'a>(
    old: &Config,
    new: impl IntoIterator<Item = &'a Service>,
) -> impl Iterator<Item = &'a Service> {
    new.into_iter().filter(|new| {
        let old = old.service(&new.key());
        old.is_none_or(|old| !std::ptr::eq(&**old, *new) && !has_same_addresses(old, new))
    })
}

fn has_same_addresses(a: &Service, b: &Service) -> bool {
    let servers = |s: &Service| {
        let one = |d: &lvs_core::Dest| (d.addr(), d.method() == Method::Nat);
        s.dests().iter().map(one).collect::<Vec<_>>()
    };
    a.options().local_addrs == b.options().local_addrs && servers(a) == servers(b)
}

fn virtual_entries(protocol: Protocol, addr: Endpoint) -> Vec<Entry> {
    let at = |protocol, port| Entry::Virtual {
        protocol,
        addr: Endpoint::new(addr.ip, port),
    };
    let mut entries = vec![at(protocol, addr.port)];
    if (protocol, addr.port) == (Protocol::TCP, FTP) {
        entries.push(at(protocol, FTP_DATA));
        entries.push(Entry::Data {
            protocol,
            ip: addr.ip,
            first: FIRST_UNPRIVILEGED,
            last: u16::MAX,
        });
    }
    if is_isakmp(protocol, addr.port) {
        entries.extend(IPSEC.map(|p| at(p, 0)));
    }
    entries
}

const fn is_isakmp(protocol: Protocol, port: u16) -> bool {
    matches!((protocol, port), (Protocol::UDP, ISAKMP | 0))
}

/// A protocol, and the port at which servers are asked; 0 is any.
type End = (Protocol, u16);

/// The ends at which the servers of a service of this address are asked, if they have no ports of their own.
fn asked_at(protocol: Protocol, port: u16) -> Vec<End> {
    let mut ends = vec![match (protocol, port) {
        (Protocol::TCP, FTP) => (protocol, 0), // and for data at any other
        end => end,
    }];
    if is_isakmp(protocol, port) {
        ends.extend(IPSEC.map(|p| (p, 0)));
    }
    ends
}

/// The ends at which servers are asked by packets of this mark.
fn marked_ends(classifier: &Classifier, mark: u32) -> Vec<End> {
    let rules = classifier.rules().iter().filter(|r| r.mark == mark);
    rules.flat_map(ends_of).collect()
}

fn ends_of(rule: &Rule) -> Vec<End> {
    let ports: Vec<u16> = match &rule.destination_ports {
        Some(range) if range.len() <= FEW_PORTS => range.clone().collect(),
        _ => vec![0],
    };
    let protocols = match &rule.protocol {
        Some(p) => std::slice::from_ref(p),
        None => &WITH_PORTS[..],
    };
    let ends = protocols
        .iter()
        .flat_map(|p| ports.iter().map(|port| (*p, *port)));
    ends.flat_map(|(p, port)| asked_at(p, port)).collect()
}

/// The packets of a service's NAT servers. A server's own port is what it is asked at only where the service has a
/// port.
fn replies(service: &Service, ends: &[End]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for dest in service.dests().iter().filter(|d| d.method() == Method::Nat) {
        let Endpoint { ip, port: own } = dest.addr();
        for &(protocol, asked) in ends {
            let mut ports = vec![asked];
            if own != 0 && asked != 0 && protocol.is_balanced() {
                ports = match service.key() {
                    ServiceKey::Addr { .. } => vec![own],
                    ServiceKey::Mark { .. } => vec![asked, own],
                };
            }
            entries.extend(ports.into_iter().map(|port| Entry::Reply {
                protocol,
                addr: Endpoint::new(ip, port),
            }));
        }
    }
    entries
}

/// What of a snapshot is not hidden, since it belongs to services that stand by.
pub(super) fn resting(config: &Config, classifier: &Classifier) -> HashSet<Entry> {
    let standby = config.standby();
    let rest = services(config).filter(|s| standby.includes(&s.key()));
    rest.flat_map(|s| of_service(s, classifier)).collect()
}

/// The servers of `before` that are not in `now`: their last replies, to connections that have just lost
/// them, must not be forwarded by the host untranslated.
pub(super) fn lingering<'a>(
    before: impl IntoIterator<Item = &'a Entry>,
    now: &[Entry],
) -> Vec<Entry> {
    let now: HashSet<&Entry> = now.iter().collect();
    let gone = |e: &&Entry| matches!(e, Entry::Reply { .. }) && !now.contains(e);
    before.into_iter().filter(gone).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lvs_core::{
        ConfigError, DestOptions, Director, Family, Ip, Persistence, ServiceOptions, Settings,
    };

    use super::*;

    fn ip(s: &str) -> Ip {
        s.parse().unwrap()
    }

    fn config(services: &[(ServiceKey, &[&str])]) -> Arc<Config> {
        let director = Director::new(&Settings::default());
        let persistence = Persistence {
            timeout: std::time::Duration::from_secs(300),
            prefix: 32,
            engine: None,
        };
        let options = ServiceOptions {
            persistence: Some(persistence),
            ..ServiceOptions::default()
        };
        director
            .edit(|draft| {
                for (key, dests) in services {
                    let scheduler = lvs_sched::build("rr").unwrap();
                    draft.add_service(*key, scheduler, options.clone())?;
                    for dest in *dests {
                        let addr = dest.parse().unwrap();
                        draft.add_dest(*key, addr, &DestOptions::new(Method::Nat, 1))?;
                    }
                }
                Ok::<_, ConfigError>(())
            })
            .unwrap();
        director.config()
    }

    fn service(protocol: Protocol, addr: &str) -> ServiceKey {
        ServiceKey::new(protocol, addr.parse().unwrap())
    }

    fn entries(services: &[(ServiceKey, &[&str])], rules: Vec<Rule>) -> HashSet<Entry> {
        let classifier = Classifier::new(rules);
        let topology = Topology::builder().build();
        of(super::services(&config(services)), &classifier, &topology)
            .into_iter()
            .collect()
    }

    fn virt(protocol: Protocol, addr: &str) -> Entry {
        let addr = addr.parse().unwrap();
        Entry::Virtual { protocol, addr }
    }

    fn reply(protocol: Protocol, addr: &str) -> Entry {
        let addr = addr.parse().unwrap();
        Entry::Reply { protocol, addr }
    }

    const TCP: Protocol = Protocol::TCP;
    const UDP: Protocol = Protocol::UDP;

    #[test]
    fn a_service_and_the_ports_its_servers_answer_from() {
        let got = entries(
            &[(
                service(TCP, "10.9.0.1:80"),
                &["10.10.0.1:8080", "10.10.0.2:80"],
            )],
            Vec::new(),
        );
        let want = [
            virt(TCP, "10.9.0.1:80"),
            reply(TCP, "10.10.0.1:8080"),
            reply(TCP, "10.10.0.2:80"),
        ];
        assert_eq!(got, want.into());
    }

    #[test]
    fn a_service_of_all_ports_has_servers_that_answer_from_any() {
        let got = entries(
            &[(service(Protocol::SCTP, "10.9.0.1:0"), &["10.10.0.1:0"])],
            Vec::new(),
        );
        let want = [
            virt(Protocol::SCTP, "10.9.0.1:0"),
            reply(Protocol::SCTP, "10.10.0.1:0"),
        ];
        assert_eq!(got, want.into());
    }

    #[test]
    fn ftp_has_data_connections() {
        let got = entries(
            &[(service(TCP, "10.9.0.1:21"), &["10.10.0.1:21"])],
            Vec::new(),
        );
        let data = Entry::Data {
            protocol: TCP,
            ip: ip("10.9.0.1"),
            first: 1024,
            last: 65535,
        };
        let want = [
            virt(TCP, "10.9.0.1:21"),
            virt(TCP, "10.9.0.1:20"),
            data,
            reply(TCP, "10.10.0.1:0"),
        ];
        assert_eq!(got, want.into());
    }

    #[test]
    fn isakmp_brings_ah_and_esp() {
        let services = [(service(UDP, "10.9.0.1:500"), &["10.10.0.1:500"][..])];
        let got = entries(&services, Vec::new());
        for p in IPSEC {
            assert!(got.contains(&virt(p, "10.9.0.1:0")) && got.contains(&reply(p, "10.10.0.1:0")));
        }
        assert!(got.contains(&virt(UDP, "10.9.0.1:500")));
        assert!(got.contains(&reply(UDP, "10.10.0.1:500")));
        assert_eq!(got.len(), 6);
    }

    fn mark(family: Family, mark: u32) -> ServiceKey {
        ServiceKey::Mark { family, mark }
    }

    #[test]
    fn servers_of_a_mark_answer_from_where_its_rules_lead() {
        let rule = |mark, protocol, ports| Rule {
            mark,
            protocol,
            destination_ports: ports,
            ..Rule::default()
        };
        let rules = vec![
            rule(7, Some(TCP), Some(80..=81)),
            rule(7, Some(TCP), Some(443..=443)),
            rule(8, Some(TCP), Some(1..=1000)),
            rule(9, None, Some(53..=53)),
            rule(7, Some(UDP), Some(500..=500)),
        ];
        let of = |m, dest: &str| entries(&[(mark(Family::V4, m), &[dest])], rules.clone());
        let want = [80, 81, 443].map(|port| reply(TCP, &format!("10.10.0.1:{port}")));
        let ipsec = IPSEC.map(|p| reply(p, "10.10.0.1:0"));
        let isakmp = [reply(UDP, "10.10.0.1:500")];
        let want: HashSet<Entry> = want.into_iter().chain(ipsec).chain(isakmp).collect();
        assert_eq!(of(7, "10.10.0.1:0"), want);
        assert_eq!(of(8, "10.10.0.1:0"), [reply(TCP, "10.10.0.1:0")].into());
        let dns = WITH_PORTS.map(|p| reply(p, "10.10.0.1:53"));
        assert_eq!(of(9, "10.10.0.1:0"), dns.into());
        assert!(of(7, "10.10.0.1:8080").contains(&reply(TCP, "10.10.0.1:8080")));
        assert!(of(6, "10.10.0.1:0").is_empty(), "nothing is marked so");
    }

    #[test]
    fn marks_without_a_service_hide_nothing() {
        let rule = Rule {
            mark: 7,
            destination: Some("10.9.0.0/24".parse().unwrap()),
            ..Rule::default()
        };
        let classifier = Classifier::new(vec![rule]);
        let packet = lvs_core::Segment::new(
            TCP,
            "192.0.2.1:7".parse().unwrap(),
            "10.9.0.9:80".parse().unwrap(),
        );
        let hides = |services: &[(ServiceKey, &[&str])]| {
            let hidden = hidden(&[], &classifier, &Standby::default(), |key| {
                config(services).service(key).is_some()
            });
            hidden.hides(&packet, false, lvs_fwd::frame::PortId(0))
        };
        assert!(hides(&[(mark(Family::V4, 7), &[])]));
        assert!(!hides(&[
            (mark(Family::V6, 7), &[]),
            (mark(Family::V4, 8), &[])
        ]));
    }

    #[test]
    fn packets_to_addresses_that_stand_by_are_not_hidden_by_their_mark() {
        let rule = Rule {
            mark: 7,
            destination: Some("10.9.0.0/24".parse().unwrap()),
            ..Rule::default()
        };
        let classifier = Classifier::new(vec![rule]);
        let hides = |standby: &Standby, to: &str| {
            let hidden = hidden(&[], &classifier, standby, |_| true);
            let packet =
                lvs_core::Segment::new(TCP, "192.0.2.1:7".parse().unwrap(), to.parse().unwrap());
            hidden.hides(&packet, false, lvs_fwd::frame::PortId(0))
        };
        let one = Standby::new([ip("10.9.0.9")], [], []);
        assert!(!hides(&one, "10.9.0.9:80") && hides(&one, "10.9.0.8:80"));
        let mark = Standby::new([], [mark(Family::V4, 7)], []);
        assert!(!hides(&mark, "10.9.0.8:80"));
    }

    #[test]
    fn nothing_is_hidden_of_what_stands_by() {
        let (a, b) = (service(TCP, "10.9.0.1:80"), service(TCP, "10.9.0.2:80"));
        let servers: &[&str] = &["10.10.0.1:8080", "10.10.0.2:80"];
        let director = Director::new(&Settings::default());
        let made: Result<(), ConfigError> = director.edit(|draft| {
            for (key, server) in [(a, servers[0]), (b, servers[0]), (b, servers[1])] {
                if draft.service(&key).is_none() {
                    let scheduler = lvs_sched::build("rr").unwrap();
                    draft.add_service(key, scheduler, ServiceOptions::default())?;
                }
                let server = server.parse().unwrap();
                draft.add_dest(key, server, &DestOptions::new(Method::Nat, 1))?;
            }
            draft.set_standby(Arc::new(Standby::new([ip("10.9.0.2")], [], [])));
            Ok(())
        });
        made.unwrap();
        let (config, none) = (director.config(), Classifier::default());
        let topology = Topology::builder().build();
        let hidden: HashSet<Entry> = of(working(&config), &none, &topology).into_iter().collect();
        let first = [virt(TCP, "10.9.0.1:80"), reply(TCP, servers[0])];
        assert_eq!(hidden, first.into());
        let second = [
            virt(TCP, "10.9.0.2:80"),
            reply(TCP, servers[0]),
            reply(TCP, servers[1]),
        ];
        assert_eq!(resting(&config, &none), second.into());
        let made: Result<(), ConfigError> = director.edit(|draft| {
            draft.set_standby(Arc::default());
            Ok(())
        });
        made.unwrap();
        assert!(!is_same(&config, &director.config()));
    }

    #[test]
    fn macvlans_are_stations_of_the_host() {
        let mac = lvs_fwd::route::Mac([0, 0, 0x5e, 0, 1, 51]);
        let mut topology = Topology::builder();
        topology.macvlan(lvs_fwd::route::Macvlan {
            port: lvs_fwd::frame::PortId(0),
            below: 2,
            ifindex: 9,
            mac,
        });
        let entries = of([], &Classifier::default(), &topology.build());
        assert_eq!(entries, [Entry::Station { ifindex: 2, mac }]);
    }
}
