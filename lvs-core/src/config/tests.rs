//! Changes: refused whole or made whole, and unnoticed by whatever stays.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::*;
use crate::dest::{DestLive, DestOptions, Method};
use crate::director::tests::{Least, ep};
use crate::sched::{Arrival, Edit, Scheduler};
use crate::segment::Protocol;
use crate::service::{Engine, LocalAddr, Persistence, ServiceOptions, ServiceTimeouts};
use crate::{Director, Settings};

const VIP: &str = "10.9.0.100:80";
const R1: &str = "10.10.0.11:8080";
const R2: &str = "10.10.0.12:8080";

fn key() -> ServiceKey {
    ServiceKey::tcp(ep(VIP))
}

fn least() -> Box<dyn Scheduler> {
    Box::new(Least::default())
}

fn local(s: &str) -> LocalAddr {
    LocalAddr::new(s.parse().unwrap())
}

/// A service with one server.
fn director() -> Arc<Director> {
    let director = Director::new(&Settings::default());
    let made: Result<_, ConfigError> = director.edit(|d| {
        d.add_service(key(), least(), ServiceOptions::default())?;
        d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 1))
    });
    made.unwrap();
    director
}

/// Makes a change on top of good ones, and expects all of them to be refused for this reason.
#[track_caller]
fn refused(
    why: ConfigError,
    change: impl FnOnce(&mut Draft<'_>) -> Result<(), ConfigError>,
) -> String {
    let director = director();
    let before = director.config();
    let live = before.service(&key()).unwrap().dests()[0].live().clone();
    let result = director.edit(|d| {
        let other = ServiceKey::tcp(ep("10.9.0.200:80"));
        d.add_service(other, least(), ServiceOptions::default())?;
        d.remove_dest(key(), ep(R1))?;
        d.add_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 7))?;
        change(d)
    });
    assert_eq!(result, Err(why));
    assert!(Arc::ptr_eq(&before, &director.config()));
    assert!(live.is_available(), "its removal did not take place");
    why.to_string()
}

fn timeouts(tcp_fin: Option<Duration>, udp: Option<Duration>) -> ServiceOptions {
    ServiceOptions {
        timeouts: ServiceTimeouts {
            tcp: Some(Duration::from_secs(1)),
            tcp_fin,
            udp,
        },
        ..ServiceOptions::default()
    }
}

#[test]
fn what_cannot_be_is_refused_and_nothing_of_it_done() {
    let missing = ServiceKey::udp(ep(VIP));
    let six = ep("[fd00::11]:80");
    let sctp = ServiceKey::new(Protocol::AH, ep(VIP));
    let vip = ep(VIP).ip;
    let backwards = LocalAddr {
        last_port: 1000,
        ..local("10.10.0.2")
    };
    let from_zero = LocalAddr {
        first_port: 0,
        ..local("10.10.0.2")
    };
    use ConfigError as E;
    let texts = [
        refused(E::ServiceExists(key()), |d| {
            d.add_service(key(), least(), ServiceOptions::default())
        }),
        refused(E::NoSuchService(missing), |d| d.remove_service(missing)),
        refused(E::NoSuchService(missing), |d| {
            d.set_scheduler(missing, least())
        }),
        refused(E::NoSuchService(missing), |d| {
            d.set_options(missing, ServiceOptions::with_local_addrs(&[]))
        }),
        refused(E::BadTimeout(key()), |d| {
            d.set_options(key(), timeouts(Some(Duration::from_millis(999)), None))
        }),
        refused(E::BadTimeout(key()), |d| {
            let beyond = Timeouts::MAX + Duration::from_millis(1);
            d.set_options(key(), timeouts(None, Some(beyond)))
        }),
        refused(E::NoSuchService(missing), |d| {
            d.add_dest(missing, ep(R1), &DestOptions::new(Method::Nat, 1))
        }),
        refused(E::DestinationExists(key(), ep(R2)), |d| {
            d.add_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 1))
        }),
        refused(E::NoSuchDestination(key(), ep(R1)), |d| {
            d.edit_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 1))
        }),
        refused(E::NoSuchDestination(key(), ep(R1)), |d| {
            d.remove_dest(key(), ep(R1))
        }),
        refused(E::FamilyMismatch(key(), six), |d| {
            d.add_dest(key(), six, &DestOptions::new(Method::DirectRoute, 1))
        }),
        refused(E::WeightTooLarge(1 << 31), |d| {
            d.edit_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 1 << 31))
        }),
        refused(E::ProtocolNotBalanced(sctp), |d| {
            d.add_service(sctp, least(), ServiceOptions::default())
        }),
        refused(E::LocalIsVirtual(vip), |d| {
            d.set_options(
                key(),
                ServiceOptions::with_local_addrs(&[local("10.9.0.100")]),
            )
        }),
        refused(E::BadPortRange(backwards), |d| {
            d.set_options(key(), ServiceOptions::with_local_addrs(&[backwards]))
        }),
        refused(E::BadPortRange(from_zero), |d| {
            d.set_options(key(), ServiceOptions::with_local_addrs(&[from_zero]))
        }),
        refused(E::NoLocalAddress(key(), ep(R2)), |d| {
            d.set_options(key(), ServiceOptions::with_local_addrs(&[local("fd00::2")]))?;
            d.edit_dest(key(), ep(R2), &DestOptions::new(Method::FullNat, 1))
        }),
    ];
    assert!(
        texts
            .iter()
            .all(|t| t.contains("10.") || t.contains("2147483647"))
    );
}

/// Whether the snapshot's digest is what gathering it anew gives.
fn has_right_digest(config: &Config) -> bool {
    let seed = config.services.hasher();
    Digest::new(&config.services, &config.globals, seed).unwrap() == config.digest
}

/// Changes one by one, and whether the digest is the same afterwards.
#[test]
fn the_digest_is_gathered_again_when_it_must_be() {
    type Change<'a> = &'a dyn Fn(&mut Draft<'_>) -> Result<(), ConfigError>;
    const NAT: DestOptions = DestOptions::new(Method::Nat, 1);
    const SIP: &str = "10.9.0.100:5060";
    let sip = |draft: &mut Draft<'_>, engine| {
        let persistence = Some(Persistence {
            timeout: Duration::from_secs(60),
            prefix: 32,
            engine,
        });
        let options = ServiceOptions {
            persistence,
            ..ServiceOptions::default()
        };
        draft.set_options(ServiceKey::udp(ep(SIP)), options)
    };
    let nat_icmp_send = |draft: &mut Draft<'_>, yes| {
        let mut sysctls = draft.sysctls().clone();
        sysctls.nat_icmp_send = yes;
        draft.set_sysctls(sysctls);
        Ok(())
    };
    let changes: [(bool, Change<'_>); 13] = [
        (true, &|_| Ok(())),
        (true, &|d| {
            d.edit_dest(
                key(),
                ep(R1),
                &DestOptions {
                    weight: 5,
                    upper: 9,
                    ..NAT
                },
            )
        }),
        (true, &|d| d.set_scheduler(key(), least())),
        (false, &|d| nat_icmp_send(d, true)),
        (false, &|d| {
            d.edit_dest(key(), ep(R1), &DestOptions::new(Method::Tunnel, 5))
        }),
        (false, &|d| d.add_dest(key(), ep(R2), &NAT)),
        (true, &|d| d.remove_dest(key(), ep(R1))),
        (false, &|d| d.set_options(key(), timeouts(None, None))),
        (false, &|d| {
            d.add_service(ServiceKey::udp(ep(SIP)), least(), ServiceOptions::default())?;
            d.add_dest(ServiceKey::udp(ep(SIP)), ep("10.10.0.11:5060"), &NAT)
        }),
        (false, &|d| sip(d, Some(Engine::Sip))),
        (false, &|d| sip(d, None)),
        (false, &|d| nat_icmp_send(d, false)),
        (false, &|d| d.remove_service(key())),
    ];
    let director = director();
    for (n, (stays, change)) in changes.into_iter().enumerate() {
        let before = director.config();
        director.edit(|d| change(d)).unwrap();
        let after = director.config();
        assert_eq!(before.digest == after.digest, stays, "change {n}");
        assert!(has_right_digest(&after), "change {n}");
    }
}

#[test]
fn a_change_may_go_on_after_a_refusal_it_expected() {
    let director = director();
    let made: Result<_, ConfigError> = director.edit(|d| {
        let twice = d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 9));
        assert_eq!(twice, Err(ConfigError::DestinationExists(key(), ep(R1))));
        d.add_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 2))
    });
    made.unwrap();
    let config = director.config();
    let dests = config.service(&key()).unwrap().dests();
    let seen: Vec<_> = dests.iter().map(|d| (d.addr(), d.weight())).collect();
    assert_eq!(seen, [(ep(R2), 2), (ep(R1), 1)], "the newest first");
}

#[test]
fn a_panic_in_a_change_leaves_everything_as_it_was() {
    let director = director();
    let before = director.config();
    let result = catch_unwind(AssertUnwindSafe(|| {
        director.edit::<(), ConfigError>(|d| {
            d.remove_service(key())?;
            panic!("on purpose")
        })
    }));
    assert!(result.is_err());
    assert!(Arc::ptr_eq(&before, &director.config()));
    let again: Result<_, ConfigError> = director.edit(|d| d.remove_dest(key(), ep(R1)));
    again.unwrap();
}

#[test]
fn a_scheduler_hears_every_edit_in_order() {
    let director = director();
    let made: Result<_, ConfigError> = director.edit(|d| {
        d.add_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 1))?;
        d.edit_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 4))?;
        d.edit_dest(key(), ep(R2), &DestOptions::new(Method::Nat, 5))?;
        d.remove_dest(key(), ep(R1))?;
        let heard = format!("{:?}", d.service(&key()).unwrap().scheduler());
        assert_eq!(
            heard,
            "Least { heard: [Added(0), Changed(1), Changed(0), Removed(1)], settled: 0 }"
        );
        Ok(())
    });
    made.unwrap();
    let config = director.config();
    let heard = format!("{:?}", config.service(&key()).unwrap().scheduler());
    assert!(heard.ends_with("settled: 1 }"), "{heard}");
}

#[test]
fn the_scheduler_of_a_service_that_comes_back_goes_on_unless_it_is_another() {
    #[derive(Debug)]
    struct Another(Box<dyn Scheduler>);

    impl Scheduler for Another {
        fn name(&self) -> &'static str {
            "another"
        }
        fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
            self.0.pick(dests, arrival)
        }
        fn fork(&self) -> Box<dyn Scheduler> {
            Box::new(Self(self.0.fork()))
        }
        fn edited(&mut self, dests: &[Dest], edit: Edit) {
            self.0.edited(dests, edit);
        }
    }

    let director = director();
    let another: Box<dyn Scheduler> = Box::new(Another(least()));
    let goes_on = "heard: [Removed(0), Added(0)]";
    let is_new = "heard: [Added(0)]";
    for (scheduler, heard) in [(least(), goes_on), (another, is_new)] {
        let made: Result<_, ConfigError> = director.edit(|d| {
            d.remove_service(key())?;
            d.add_service(key(), scheduler, ServiceOptions::default())?;
            d.add_dest(key(), ep(R1), &DestOptions::new(Method::Nat, 9))
        });
        made.unwrap();
        let config = director.config();
        let seen = format!("{:?}", config.service(&key()).unwrap().scheduler());
        assert!(seen.contains(heard), "{seen}");
    }
}

/// One edit of a random change; services and servers by number.
#[derive(Clone, Debug)]
enum Op {
    AddService(usize, usize),
    RemoveService(usize),
    SetLocals(usize, usize),
    SetScheduler(usize),
    AddDest(usize, usize, usize, u32),
    EditDest(usize, usize, usize, u32),
    RemoveDest(usize, usize),
}

const SERVICES: [&str; 3] = ["10.9.0.100:80", "10.9.0.100:81", "10.9.0.101:80"];
const SERVERS: [&str; 4] = [R1, R2, "10.9.0.13:80", "[fd00::14]:80"];
/// Sets of local addresses; the last is also a virtual address.
const LOCALS: [&[&str]; 4] = [
    &[],
    &["10.10.0.2"],
    &["10.10.0.2", "fd00::2"],
    &["10.9.0.101"],
];
const METHODS: [Method; 4] = [
    Method::Nat,
    Method::DirectRoute,
    Method::Tunnel,
    Method::FullNat,
];

fn service(i: usize) -> ServiceKey {
    ServiceKey::tcp(ep(SERVICES[i]))
}

fn locals(i: usize) -> Vec<LocalAddr> {
    LOCALS[i].iter().map(|s| local(s)).collect()
}

fn op() -> impl Strategy<Value = Op> {
    let (s, d, m) = (0..SERVICES.len(), 0..SERVERS.len(), 0..METHODS.len());
    let (l, w) = (0..LOCALS.len(), 0..3u32);
    let dest = (s.clone(), d.clone(), m, w);
    prop_oneof![
        3 => (s.clone(), l.clone()).prop_map(|(s, l)| Op::AddService(s, l)),
        1 => s.clone().prop_map(Op::RemoveService),
        1 => (s.clone(), l).prop_map(|(s, l)| Op::SetLocals(s, l)),
        1 => s.clone().prop_map(Op::SetScheduler),
        6 => dest.clone().prop_map(|(s, d, m, w)| Op::AddDest(s, d, m, w)),
        2 => dest.prop_map(|(s, d, m, w)| Op::EditDest(s, d, m, w)),
        3 => (s, d).prop_map(|(s, d)| Op::RemoveDest(s, d)),
    ]
}

fn apply(d: &mut Draft<'_>, op: &Op) -> Result<(), ConfigError> {
    match *op {
        Op::AddService(s, l) => d.add_service(
            service(s),
            least(),
            ServiceOptions::with_local_addrs(&locals(l)),
        ),
        Op::RemoveService(s) => d.remove_service(service(s)),
        Op::SetLocals(s, l) => {
            d.set_options(service(s), ServiceOptions::with_local_addrs(&locals(l)))
        }
        Op::SetScheduler(s) => d.set_scheduler(service(s), least()),
        Op::AddDest(s, r, m, w) => {
            d.add_dest(service(s), ep(SERVERS[r]), &DestOptions::new(METHODS[m], w))
        }
        Op::EditDest(s, r, m, w) => {
            d.edit_dest(service(s), ep(SERVERS[r]), &DestOptions::new(METHODS[m], w))
        }
        Op::RemoveDest(s, r) => d.remove_dest(service(s), ep(SERVERS[r])),
    }
}

type ModelDest = (usize, usize, u32);

/// What is configured, as plainly as it can be said: local addresses and servers of each service.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(BTreeMap<usize, (usize, Vec<ModelDest>)>);

impl Model {
    /// Does an edit; whether it is allowed.
    fn apply(&mut self, op: &Op) -> bool {
        match *op {
            Op::AddService(s, l) => {
                let free = !self.0.contains_key(&s);
                self.0.entry(s).or_insert((l, Vec::new()));
                free
            }
            Op::RemoveService(s) => self.0.remove(&s).is_some(),
            Op::SetLocals(s, l) => self.0.get_mut(&s).map(|x| x.0 = l).is_some(),
            Op::SetScheduler(s) => self.0.contains_key(&s),
            Op::AddDest(s, r, m, w) => {
                let fits = SERVERS[r].starts_with("10.") || METHODS[m] == Method::Tunnel;
                let Some((_, dests)) = self.0.get_mut(&s).filter(|_| fits) else {
                    return false;
                };
                let free = dests.iter().all(|d| d.0 != r);
                dests.insert(0, (r, m, w));
                free
            }
            Op::EditDest(s, r, m, w) => {
                let fits = SERVERS[r].starts_with("10.") || METHODS[m] == Method::Tunnel;
                let dest = self.0.get_mut(&s).filter(|_| fits);
                let dest = dest.and_then(|x| x.1.iter_mut().find(|d| d.0 == r));
                dest.map(|d| *d = (r, m, w)).is_some()
            }
            Op::RemoveDest(s, r) => {
                let dests = self.0.get_mut(&s).map(|x| &mut x.1);
                let found = dests.and_then(|d| d.iter().position(|d| d.0 == r).map(|i| (d, i)));
                found.map(|(d, i)| d.remove(i)).is_some()
            }
        }
    }

    fn virtuals(&self) -> BTreeSet<String> {
        let all = self.0.keys();
        all.map(|&s| service(s).addr().unwrap().ip.to_string())
            .collect()
    }

    fn locals(&self) -> BTreeSet<String> {
        let all = self.0.values().flat_map(|(l, _)| LOCALS[*l]);
        all.map(ToString::to_string).collect()
    }

    /// Whether the whole may be published.
    fn is_sound(&self) -> bool {
        let full_nat = |d: &ModelDest| METHODS[d.1] == Method::FullNat;
        let fed = |(l, dests): &(usize, Vec<ModelDest>)| !dests.iter().any(full_nat) || *l > 0;
        self.virtuals().is_disjoint(&self.locals()) && self.0.values().all(fed)
    }
}

fn observed(config: &Config) -> Model {
    let mut model = Model::default();
    for s in config.services() {
        let i = (0..SERVICES.len())
            .find(|&i| service(i) == s.key())
            .unwrap();
        let l = (0..LOCALS.len()).find(|&l| locals(l) == *s.options().local_addrs);
        let dest = |d: &Dest| {
            let r = SERVERS.iter().position(|r| ep(r) == d.addr()).unwrap();
            let m = METHODS.iter().position(|m| *m == d.method()).unwrap();
            assert!(d.live().is_available());
            assert!(Arc::ptr_eq(d.live().service(), s.live()));
            (r, m, d.weight())
        };
        model
            .0
            .insert(i, (l.unwrap(), s.dests().iter().map(dest).collect()));
    }
    model
}

fn lives(config: &Config) -> BTreeMap<(ServiceKey, Endpoint), Arc<DestLive>> {
    let services = config.services().into_iter();
    let dests = services.flat_map(|s| s.dests().iter().map(|d| ((s.key(), d.addr()), d)));
    dests.map(|(k, d)| (k, d.live().clone())).collect()
}

proptest! {
    /// Random changes of several edits: refused or made as the model says, whole; what stays is not touched.
    #[test]
    fn changes_are_whole_and_spare_what_stays(
        changes in prop::collection::vec(prop::collection::vec(op(), 0..6), 1..40),
    ) {
        let director = Director::new(&Settings::default());
        let mut model = Model::default();
        let mut ever = BTreeMap::new();
        for change in changes {
            let mut next = model.clone();
            let allowed = change.iter().all(|op| next.apply(op)) && next.is_sound();
            let before = director.config();
            let result: Result<(), ConfigError> =
                director.edit(|d| change.iter().try_for_each(|op| apply(d, op)));
            prop_assert_eq!(result.is_ok(), allowed, "{:?}: {:?}", change, result);
            let after = director.config();
            if allowed {
                model = next;
            } else {
                prop_assert!(Arc::ptr_eq(&before, &after));
            }
            prop_assert_eq!(observed(&after), model.clone());
            prop_assert!(has_right_digest(&after));
            let owned: BTreeSet<_> = after.owned().map(|ip| ip.to_string()).collect();
            let expected = &model.virtuals() | &model.locals();
            prop_assert_eq!(owned, expected);
            let (old, new) = (lives(&before), lives(&after));
            for (k, live) in &new {
                if let Some(old) = old.get(k) {
                    prop_assert!(Arc::ptr_eq(old, live), "{:?} lost its live half", k);
                }
            }
            for (k, live) in &old {
                prop_assert_eq!(live.is_available(), new.contains_key(k));
            }
            ever.extend(new);
            // As long as somebody holds a removed server (its connections do), it can come back: so there
            // is only ever one live half for a server.
            for (k, live) in &lives(&after) {
                prop_assert!(Arc::ptr_eq(live, &ever[k]));
            }
        }
        for live in ever.values() {
            prop_assert_eq!(live.active() + live.inactive(), 0);
        }
    }

    /// Clearing a table and filling it changes nothing, if it is filled with what was there.
    #[test]
    fn a_table_cleared_and_filled_again_is_the_same(ops in prop::collection::vec(op(), 0..30)) {
        let director = Director::new(&Settings::default());
        for op in &ops {
            let _: Result<(), ConfigError> = director.edit(|d| apply(d, op));
        }
        let before = director.config();
        let refilled: Result<(), ConfigError> = director.edit(|d| {
            before.services().iter().try_for_each(|s| d.remove_service(s.key()))?;
            for s in before.services() {
                d.add_service(s.key(), least(), s.options().clone())?;
                let oldest_first = s.dests().iter().rev();
                for dest in oldest_first {
                    d.add_dest(s.key(), dest.addr(), dest.options())?;
                }
            }
            Ok(())
        });
        refilled.unwrap();
        let after = director.config();
        prop_assert_eq!(before.services().len(), after.services().len());
        for (a, b) in before.services().into_iter().zip(after.services()) {
            prop_assert!(Arc::ptr_eq(a, b));
            prop_assert!(b.dests().iter().all(|d| d.live().is_available()));
        }
    }

    /// Publishing what is there already changes nothing at all.
    #[test]
    fn the_same_again_changes_nothing(ops in prop::collection::vec(op(), 0..30)) {
        let director = Director::new(&Settings::default());
        for op in &ops {
            let _: Result<(), ConfigError> = director.edit(|d| apply(d, op));
        }
        let before = director.config();
        director.edit::<_, ConfigError>(|_| Ok(())).unwrap();
        let after = director.config();
        prop_assert_eq!(before.services().len(), after.services().len());
        for (a, b) in before.services().into_iter().zip(after.services()) {
            prop_assert!(Arc::ptr_eq(a, b), "services that nobody edits are the same objects");
        }
        prop_assert_eq!(observed(&before), observed(&after));
    }
}
