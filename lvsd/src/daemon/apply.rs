//! From a rule set to the director's configuration, as a difference.

use std::collections::HashSet;
use std::time::Duration;

use lvs_core::state::Timeouts;
use lvs_core::{Config, Director, Draft, Endpoint, LocalAddr, Method, Service, ServiceKey};
use lvs_fwd::route::Topology;

use super::Error;
use crate::rules::{RuleSet, ServiceRule, SetTimeouts};

/// What of this host matters to real servers that are the host itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    pub(super) topology: &'a Topology,
    /// Whether what has been hidden from the host can be given back to it.
    pub(super) gives_back: bool,
}

impl Host<'_> {
    /// Refuses a real server that is the host itself but does not get its packets: it gets them as they come, or not at all.
    pub(super) fn refuse_server(
        self,
        key: ServiceKey,
        addr: Endpoint,
        method: Method,
    ) -> Result<(), Error> {
        if !self.topology.is_local(addr.ip) {
            Ok(())
        } else if method.rewrites(key, addr) {
            Err(Error::LocalServer(key, addr))
        } else if !self.gives_back {
            Err(Error::NoWayBack(key, addr))
        } else {
            Ok(())
        }
    }

    /// Refuses a service with such a server.
    pub(super) fn refuse_servers(self, service: &Service) -> Result<(), Error> {
        let mut servers = service.dests().iter();
        servers.try_for_each(|d| self.refuse_server(service.key(), d.addr(), d.method()))
    }
}

/// Refuses what would collide with the host's own use of its addresses: a real server on the director itself that does
/// not get its packets; a local address of FullNAT, which would take the host's connections unless it has one range of ports
/// to itself. Services that the draft leaves as they are in `config` have been looked at before.
pub(super) fn refuse_host_addresses(
    config: &Config,
    draft: &Draft<'_>,
    host: Host<'_>,
) -> Result<(), Error> {
    let topology = host.topology;
    let is_new = |s: &&Service| {
        config
            .service(&s.key())
            .is_none_or(|old| !std::ptr::eq(&**old, *s))
    };
    let new: Vec<&Service> = draft.services().filter(is_new).collect();
    new.iter().try_for_each(|s| host.refuse_servers(s))?;
    let all = || draft.services().flat_map(|s| &*s.options().local_addrs);
    let collides = |l: &&LocalAddr| {
        let whole = **l == LocalAddr::new(l.ip);
        topology.is_local(l.ip) && (whole || all().any(|o| o.ip == l.ip && o != *l))
    };
    let mut addrs = new.iter().flat_map(|s| &*s.options().local_addrs);
    match addrs.find(collides) {
        Some(l) => Err(Error::HostLocalAddr(*l)),
        None => Ok(()),
    }
}

/// Makes the director's services, timeouts and settings those of `rules`; all or nothing. What is the same already is
/// not touched.
pub(crate) fn apply(director: &Director, rules: &RuleSet) -> Result<(), Error> {
    director.edit(|draft| replace(draft, rules))
}

/// The same in a draft.
pub(super) fn replace(draft: &mut Draft<'_>, rules: &RuleSet) -> Result<(), Error> {
    draft.set_timeouts(timeouts(rules.timeouts));
    draft.set_sysctls(rules.sysctls.clone());
    let wanted: HashSet<ServiceKey> = rules.services.iter().map(|s| s.key).collect();
    for key in draft.keys() {
        if !wanted.contains(&key) {
            draft.remove_service(key)?;
        }
    }
    let mut services = rules.services.iter();
    services.try_for_each(|rule| service(draft, rule))
}

/// The timeouts of a director whose rules say so.
fn timeouts(set: SetTimeouts) -> Timeouts {
    let seconds = |n: u32| Duration::from_secs(n.into());
    let mut timeouts = Timeouts::default();
    timeouts.set(seconds(set.tcp), seconds(set.tcp_fin), seconds(set.udp));
    timeouts
}

fn service(draft: &mut Draft<'_>, rule: &ServiceRule) -> Result<(), Error> {
    let scheduler = || {
        let flags = lvs_sched::Flags::from_bits(rule.flags.bits());
        let built = lvs_sched::build_with(&rule.scheduler, flags);
        built.ok_or_else(|| Error::Scheduler(rule.scheduler.clone()))
    };
    match draft.service(&rule.key) {
        None => draft.add_service(rule.key, scheduler()?, rule.options.clone())?,
        Some(old) => {
            let same_scheduler = old.scheduler().name() == rule.scheduler
                && *old.scheduler().flags() == rule.flags.names(&rule.scheduler)[..];
            let same_options = *old.options() == rule.options;
            if !same_scheduler {
                draft.set_scheduler(rule.key, scheduler()?)?;
            }
            if !same_options {
                draft.set_options(rule.key, rule.options.clone())?;
            }
        }
    }
    servers(draft, rule.key, rule)
}

fn servers(draft: &mut Draft<'_>, key: ServiceKey, rule: &ServiceRule) -> Result<(), Error> {
    let current: Vec<_> = draft.service(&key).map_or(Vec::new(), |s| {
        s.dests().iter().map(|d| (d.addr(), *d.options())).collect()
    });
    for (addr, _) in &current {
        if !rule.servers.iter().any(|s| s.addr == *addr) {
            draft.remove_dest(key, *addr)?;
        }
    }
    for s in &rule.servers {
        match current.iter().find(|(addr, _)| *addr == s.addr) {
            None => draft.add_dest(key, s.addr, &s.options)?,
            Some((_, options)) if *options != s.options => {
                draft.edit_dest(key, s.addr, &s.options)?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lvs_core::state::State;
    use lvs_core::{Endpoint, Ip, Settings, Sysctls};
    use proptest::prelude::*;

    use super::*;
    use crate::rules::testing::rule_set;
    use crate::rules::{self, SchedulerFlags, SystemNames};

    fn read(text: &str) -> RuleSet {
        rules::parse(text, &SystemNames::default()).unwrap()
    }

    const TWO: &str = "-A -t 10.0.0.1:80 -s wrr\n\
                       -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 2\n\
                       -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m\n";

    fn shape(d: &Director) -> Vec<(String, Vec<(Endpoint, u32)>)> {
        let config = d.config();
        let dests = |s: &Service| s.dests().iter().map(|d| (d.addr(), d.weight())).collect();
        config
            .services()
            .iter()
            .map(|s| (s.key().to_string(), dests(s)))
            .collect()
    }

    #[test]
    fn servers_stand_newest_first() {
        let d = Director::new(&Settings::default());
        apply(&d, &read(TWO)).unwrap();
        let e = |s: &str| s.parse::<Endpoint>().unwrap();
        let want = vec![(e("10.1.0.2:80"), 1), (e("10.1.0.1:80"), 2)];
        assert_eq!(shape(&d), [("TCP 10.0.0.1:80".to_owned(), want)]);
    }

    /// The director's configuration as a rule set, in the order of keys and addresses.
    fn rules_of(d: &Director) -> RuleSet {
        let config = d.config();
        let mut text = String::new();
        for known in Sysctls::NAMES {
            let value = config.sysctls().get(known.name).unwrap();
            text += &format!("net.ipv4.vs.{} = {value}\n", known.name);
        }
        let t = |state| config.timeouts().of(state).as_secs();
        let (tcp, tcp_fin, udp) = (t(State::Established), t(State::FinWait), t(State::Udp));
        text += &format!("--set {tcp} {tcp_fin} {udp}\n");
        let mut rules = read(&text);
        rules.services = config.services().iter().map(|s| rule_of(s)).collect();
        ordered(rules)
    }

    fn rule_of(service: &Service) -> ServiceRule {
        let scheduler = service.scheduler();
        let mut rule = read("-A -f 1").services.remove(0);
        rule.key = service.key();
        rule.scheduler = scheduler.name().to_owned();
        for flag in scheduler.flags() {
            rule.flags = rule.flags.with(flag, scheduler.name()).unwrap();
        }
        rule.options = service.options().clone();
        let mut server = read("-A -f 1\n-a -f 1 -r 10.0.0.1").services[0].servers[0];
        for dest in service.dests() {
            (server.addr, server.options) = (dest.addr(), *dest.options());
            rule.servers.push(server);
        }
        rule
    }

    fn ordered(mut rules: RuleSet) -> RuleSet {
        rules.services.sort_by_key(|s| s.key);
        for service in &mut rules.services {
            service.servers.sort_by_key(|s| s.addr);
            // A flag that means nothing to the scheduler does not get there.
            let (flags, scheduler) = (service.flags, service.scheduler.as_str());
            let names = flags.names(scheduler).into_iter();
            let known = |f: SchedulerFlags, name| f.with(name, scheduler).unwrap();
            service.flags = names.fold(SchedulerFlags::NONE, known);
        }
        rules.marks.clear();
        let usual = [900, 120, 300];
        let t = &mut rules.timeouts;
        for (place, usual) in [&mut t.tcp, &mut t.tcp_fin, &mut t.udp]
            .into_iter()
            .zip(usual)
        {
            if *place == 0 {
                *place = usual;
            }
        }
        rules
    }

    proptest! {
        #[test]
        fn rules_follow_rules_and_the_same_again_change_nothing(
            first in rule_set(),
            second in rule_set(),
        ) {
            let d = Director::new(&Settings::default());
            for rules in [first, second] {
                apply(&d, &rules).unwrap();
                prop_assert_eq!(rules_of(&d), ordered(rules.clone()));
                let before = d.config();
                apply(&d, &rules).unwrap();
                let after = d.config();
                prop_assert_eq!(before.timeouts(), after.timeouts());
                prop_assert_eq!(before.sysctls(), after.sysctls());
                prop_assert_eq!(before.services().len(), after.services().len());
                for (a, b) in before.services().iter().zip(after.services()) {
                    prop_assert!(Arc::ptr_eq(a, b), "not even a copy is made");
                }
            }
        }
    }

    #[test]
    fn a_difference_keeps_what_stays() {
        let d = Director::new(&Settings::default());
        apply(&d, &read(TWO)).unwrap();
        let live = |d: &Director, i: usize| d.config().services()[0].dests()[i].live().clone();
        let kept = live(&d, 0);
        apply(
            &d,
            &read("-A -t 10.0.0.1:80 -s wrr\n-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 7\n"),
        )
        .unwrap();
        assert!(Arc::ptr_eq(&kept, &live(&d, 0)));
        assert_eq!(d.config().services()[0].dests()[0].weight(), 7);
        apply(&d, &read("")).unwrap();
        assert!(d.config().services().is_empty() && !kept.is_available());
    }

    fn refused(rules: &RuleSet, topology: &Topology) -> Result<(), Error> {
        by(true, rules, topology)
    }

    fn by(gives_back: bool, rules: &RuleSet, topology: &Topology) -> Result<(), Error> {
        let director = Director::new(&Settings::default());
        let config = director.config();
        let host = Host {
            topology,
            gives_back,
        };
        director.edit(|draft| {
            replace(draft, rules)?;
            refuse_host_addresses(&config, draft, host)
        })
    }

    #[test]
    fn a_server_on_the_director_gets_packets_only_as_they_are() {
        let mut b = Topology::builder();
        for ip in ["10.1.0.2", "10.0.0.1"] {
            b.local(ip.parse::<Ip>().unwrap());
        }
        let topology = b.build();
        let rules = |service: &str, server: &str| {
            let key = service.trim_end_matches(" -p");
            read(&format!("-A {service}\n-a {key} -r {server}\n"))
        };
        let tcp = "-t 10.0.0.1:80";
        for (service, server) in [
            (tcp, "10.1.0.2:80 -g"),
            (tcp, "127.0.0.1:80 -g"),
            (tcp, "127.0.0.1:80 -i"),
            (tcp, "127.0.0.1:80 -m"),
            (tcp, "10.0.0.1:80 -m"),
            ("-t 10.0.0.1:0 -p", "127.0.0.1:0 -m"),
            ("-f 1", "127.0.0.1:0 -m"),
            ("-f 1", "10.1.0.2:0 -g"),
        ] {
            let rules = rules(service, server);
            assert!(refused(&rules, &topology).is_ok(), "{service} {server}");
            let error = by(false, &rules, &topology).unwrap_err();
            assert!(matches!(error, Error::NoWayBack(..)), "{service} {server}");
        }
        for (service, server) in [
            (tcp, "10.1.0.2:80 -m"),
            (tcp, "127.0.0.1:8080 -m"),
            (tcp, "10.0.0.1:8080 -m"),
            ("-t 10.0.0.1:0 -p", "127.0.0.1:80 -m"),
            ("-f 1", "127.0.0.1:80 -m"),
            ("-f 1", "10.1.0.2:0 -m"),
        ] {
            let error = refused(&rules(service, server), &topology).unwrap_err();
            assert!(
                matches!(error, Error::LocalServer(..)),
                "{service} {server}"
            );
        }
        assert!(by(false, &rules(tcp, "10.1.0.3:80 -g"), &topology).is_ok());
    }

    #[test]
    fn a_local_address_of_the_host_needs_a_range_to_itself() {
        let mut b = Topology::builder();
        b.local("10.1.0.200".parse::<Ip>().unwrap());
        let check = |options: &str| {
            let rules = format!(
                "-A -t 10.0.0.1:80 {options}\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 --fullnat\n"
            );
            refused(&read(&rules), &b.build())
        };
        assert!(check("--local-address 10.1.0.201").is_ok());
        assert!(check("--local-address 10.1.0.200:2000-2999").is_ok());
        let two = "--local-address 10.1.0.200:2000-2999 --local-address 10.1.0.200:4000-4999";
        for options in ["--local-address 10.1.0.200", two] {
            assert!(
                check(options)
                    .unwrap_err()
                    .to_string()
                    .contains("10.1.0.200"),
                "{options}"
            );
        }
    }
}
