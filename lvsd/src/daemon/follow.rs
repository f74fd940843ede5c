//! The director follows VRRP: which services work on this host at present.
//!
//! Problem: directors that back each other up have the same services, but each virtual address is on one host at a time. Another
//! director that answered for it, or balanced what the master sends it as to a real server, would do harm.
//!
//! Rule: an address is *governed* if it is one of a virtual router's, and *held* while that router is master here.
//!
//! | a service | works |
//! |---|---|
//! | of an address that is not governed | always |
//! | of a governed address | while it is held; else it [stands by](Standby) |
//! | of a mark whose rules cover no governed address | always |
//! | of any other mark | while one of the governed addresses is held that its rules cover; and even then not for one that is not |
//!
//! A rule covers the addresses that its destination includes, or all of the service's family if it names none.
//!
//! What stands by is not hidden from the host, so that its packets are the host's as if lvsd were not there. A governed
//! address is answered for and announced by nobody here, be it held or not: on a master it is on an interface, where the
//! kernel answers, and who put it there announces it. What only services that stand by need (local addresses of FullNAT,
//! other addresses of their marks' rules) is not answered for meanwhile either, since both directors may have been given it.

use std::collections::{HashMap, HashSet};

use lvs_core::{Ip, Service, ServiceKey, Standby};
use lvs_fwd::classify::{Classifier, Rule};

use crate::keepalived::model::Config;

/// The addresses of virtual routers (VRRP), those left out of advertisements included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct VirtualAddresses {
    /// All of them.
    pub governed: HashSet<Ip>,
    /// Those of which this host is master now.
    pub held: HashSet<Ip>,
}

impl VirtualAddresses {
    /// Those of a configuration, none of them held yet.
    pub fn of(config: &Config) -> Self {
        let addresses = config.vrrp.instances.iter().flat_map(|i| i.addresses());
        Self {
            governed: addresses.map(|a| a.addr.ip.into()).collect(),
            held: HashSet::new(),
        }
    }

    /// What stands by of these services.
    pub(super) fn standby<'a>(
        &self,
        services: impl Iterator<Item = &'a Service>,
        classifier: &Classifier,
    ) -> Standby {
        if self.governed.is_empty() {
            return Standby::default();
        }
        let services: Vec<&Service> = services.collect();
        let rests = |ip: &Ip| !self.held.contains(ip);
        let addresses = || self.governed.iter().copied().filter(rests);
        let marks = services.iter().map(|s| s.key());
        let marks = marks.filter(|key| key.addr().is_none());
        let marks = self.resting(marks, classifier);
        let standby = Standby::new(addresses(), marks.iter().copied(), []);
        let unanswered = unanswered(&services, classifier, &standby);
        Standby::new(
            addresses(),
            marks,
            unanswered.chain(self.governed.iter().copied()),
        )
    }

    /// Those of the services of marks that stand by.
    fn resting(
        &self,
        marks: impl Iterator<Item = ServiceKey>,
        classifier: &Classifier,
    ) -> Vec<ServiceKey> {
        let mut rules: HashMap<u32, Vec<&Rule>> = HashMap::new();
        for rule in classifier.rules() {
            rules.entry(rule.mark).or_default().push(rule);
        }
        let rests = |key: &ServiceKey| {
            let ServiceKey::Mark { family, mark } = *key else {
                return false;
            };
            let covers = |rule: &Rule, ip: &Ip| {
                ip.family() == family
                    && rule.source.is_none_or(|p| p.family() == family)
                    && rule.destination.is_none_or(|p| p.contains(*ip))
            };
            let rules = rules.get(&mark).map_or(&[][..], Vec::as_slice);
            let covered = |ip: &&Ip| rules.iter().any(|rule| covers(rule, ip));
            let mut governed = self.governed.iter().filter(covered).peekable();
            governed.peek().is_some() && !governed.any(|ip| self.held.contains(ip))
        };
        marks.filter(rests).collect()
    }
}

/// The addresses that only services need which stand by.
fn unanswered(
    services: &[&Service],
    classifier: &Classifier,
    standby: &Standby,
) -> impl Iterator<Item = Ip> {
    let mut of_mark: HashMap<ServiceKey, Vec<Ip>> = HashMap::new();
    for (ip, marks) in classifier.virtual_addresses() {
        let family = ip.family();
        for &mark in marks {
            let key = ServiceKey::Mark { family, mark };
            of_mark.entry(key).or_default().push(ip);
        }
    }
    let (mut answered, mut others) = (HashSet::new(), HashSet::new());
    for service in services {
        let key = service.key();
        let needed = match standby.includes(&key) {
            true => &mut others,
            false => &mut answered,
        };
        needed.extend(key.addr().map(|addr| addr.ip));
        needed.extend(of_mark.get(&key).into_iter().flatten());
        needed.extend(service.options().local_addrs.iter().map(|l| l.ip));
    }
    others.into_iter().filter(move |ip| !answered.contains(ip))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lvs_core::{
        ConfigError, DestOptions, Director, Family, LocalAddr, Method, ServiceOptions, Settings,
    };

    use super::*;
    use crate::daemon::entries;
    use crate::keepalived;
    use crate::keepalived::host::FakeHost;

    fn ip(s: &str) -> Ip {
        s.parse().unwrap()
    }

    fn ips(all: &[&str]) -> HashSet<Ip> {
        all.iter().map(|s| ip(s)).collect()
    }

    fn tcp(addr: &str) -> ServiceKey {
        ServiceKey::tcp(addr.parse().unwrap())
    }

    fn mark(family: Family, mark: u32) -> ServiceKey {
        ServiceKey::Mark { family, mark }
    }

    fn to(mark: u32, destination: Option<&str>) -> Rule {
        Rule {
            mark,
            destination: destination.map(|d| d.parse().unwrap()),
            ..Rule::default()
        }
    }

    /// Services, each with the local addresses of FullNAT that stand behind it.
    fn standby(
        services: &[(ServiceKey, &[&str])],
        rules: Vec<Rule>,
        governed: &[&str],
        held: &[&str],
    ) -> Standby {
        let director = Director::new(&Settings::default());
        let made: Result<(), ConfigError> = director.edit(|draft| {
            for (key, locals) in services {
                let locals: Vec<_> = locals.iter().map(|l| LocalAddr::new(ip(l))).collect();
                let options = ServiceOptions::with_local_addrs(&locals);
                draft.add_service(*key, lvs_sched::build("rr").unwrap(), options)?;
                if !locals.is_empty() {
                    let server = "10.10.0.1:80".parse().unwrap();
                    draft.add_dest(*key, server, &DestOptions::new(Method::FullNat, 1))?;
                }
            }
            Ok(())
        });
        made.unwrap();
        let addresses = VirtualAddresses {
            governed: ips(governed),
            held: ips(held),
        };
        let config = director.config();
        addresses.standby(entries::services(&config), &Classifier::new(rules))
    }

    #[test]
    fn all_addresses_of_a_configuration_are_governed() {
        const FILE: &str = "/etc/keepalived/keepalived.conf";
        let instance = "vrrp_instance A {\n interface eth0\n virtual_router_id 51\n \
                        virtual_ipaddress {\n 10.9.0.100/24 dev eth0\n }\n \
                        virtual_ipaddress_excluded {\n fd00:9::100\n 10.9.0.101\n }\n}\n";
        let host = FakeHost::default().with_file(FILE, instance);
        let loaded = keepalived::load(Path::new(FILE), &keepalived::Options::default(), &host);
        let addresses = VirtualAddresses::of(&loaded.config);
        let all = ips(&["10.9.0.100", "10.9.0.101", "fd00:9::100"]);
        assert_eq!((addresses.governed, addresses.held), (all, HashSet::new()));
    }

    #[test]
    fn services_follow_their_addresses() {
        let (a, b, c) = ("10.9.0.1", "10.9.0.2", "10.9.0.3");
        let services = [a, b, c].map(|ip| (tcp(&format!("{ip}:80")), &[][..]));
        let [at_a, at_b, at_c] = services.map(|(key, _)| key);
        let none = standby(&services, Vec::new(), &[], &[]);
        assert_eq!(none, Standby::default());
        let one = standby(&services, Vec::new(), &[a, b], &[b]);
        assert!(one.includes(&at_a) && !one.includes(&at_b) && !one.includes(&at_c));
        assert!(!one.answers_for(&ip(a)) && !one.answers_for(&ip(b)) && one.answers_for(&ip(c)));
        let all = standby(&services, Vec::new(), &[a, b], &[a, b, c]);
        assert!(all.is_empty());
        assert!(!all.answers_for(&ip(a)) && !all.answers_for(&ip(b)) && all.answers_for(&ip(c)));
    }

    #[test]
    fn a_mark_works_while_one_of_its_governed_addresses_is_held() {
        let governed = ["10.9.0.1", "10.9.0.2", "fd00:9::1"];
        let v4 = |m| mark(Family::V4, m);
        let keys = [v4(1), v4(2), v4(3), v4(4), v4(5), mark(Family::V6, 4)];
        let services = keys.map(|key| (key, &[][..]));
        let mut from_v6 = to(1, None);
        from_v6.source = Some("fd00::/8".parse().unwrap());
        let rules = vec![
            to(1, Some("10.9.0.1/32")),
            to(1, Some("10.9.0.2/32")),
            from_v6,
            to(2, Some("10.9.0.0/24")),
            to(3, Some("10.8.0.0/24")),
            to(4, None),
        ];
        let resting = |held: &[&str]| {
            let standby = standby(&services, rules.clone(), &governed, held);
            keys.map(|key| standby.includes(&key))
        };
        assert_eq!(resting(&[]), [true, true, false, true, false, true]);
        assert_eq!(
            resting(&["10.9.0.2"]),
            [false, false, false, false, false, true]
        );
        assert_eq!(
            resting(&["fd00:9::1"]),
            [true, true, false, true, false, false]
        );
    }

    #[test]
    fn nobody_is_told_of_addresses_that_only_a_resting_service_needs() {
        let services: [(ServiceKey, &[&str]); 4] = [
            (tcp("10.9.0.1:80"), &["10.10.0.101", "10.10.0.100"]),
            (tcp("10.9.0.5:80"), &["10.10.0.100"]),
            (mark(Family::V4, 1), &[]),
            (mark(Family::V4, 2), &[]),
        ];
        let rules = vec![
            to(1, Some("10.9.0.1/32")),
            to(1, Some("10.9.0.6/32")),
            to(1, Some("10.9.0.7/32")),
            to(2, Some("10.9.0.7/32")),
        ];
        let answers = |held: &[&str]| {
            let standby = standby(&services, rules.clone(), &["10.9.0.1"], held);
            let asked = [
                "10.9.0.1",
                "10.9.0.5",
                "10.9.0.6",
                "10.9.0.7",
                "10.10.0.100",
                "10.10.0.101",
            ];
            asked.map(|a| standby.answers_for(&ip(a)))
        };
        assert_eq!(answers(&[]), [false, true, false, true, true, false]);
        assert_eq!(
            answers(&["10.9.0.1"]),
            [false, true, true, true, true, true]
        );
    }
}
