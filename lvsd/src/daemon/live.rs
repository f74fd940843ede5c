//! Changing the configuration while traffic flows.
//!
//! Problem: services, rules for marks and what is hidden from the host belong together, and a change may fail in any of them.
//!
//! Rule: changes wait for each other. What a change needs hidden is hidden before it is published, since until then the
//! host would answer; if it is refused after all, what was hidden before is hidden again. What need not be hidden any more goes
//! by and by (see `control`). A change costs what it changes: only a new mark has everything looked at. It is the same with
//! virtual addresses that come and go ([`follow`](super::follow)).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use lvs_core::{ConfigError, Director, Draft, Endpoint, Method, Service, ServiceKey, Time};
use lvs_fwd::classify::Classifier;
use lvs_fwd::route::Topology;

use super::apply::Host;
use super::follow::VirtualAddresses;
use super::guard::{self, Guard};
use super::mailbox::Mailbox;
use super::{Clock, Error, apply, entries, marks};
use crate::control::about::About;
use crate::control::desk::{Change, Plane, Stop};
use crate::health::Keeper;
use crate::rules::MarkRule;

/// The running director with everything that must be in step with it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) director: Arc<Director>,
    pub(super) topology: Arc<ArcSwap<Topology>>,
    pub(super) classifier: Arc<ArcSwap<Classifier>>,
    pub(super) guard: Arc<Mutex<Guard>>,
    /// In the order of their ports.
    pub(super) interfaces: Vec<String>,
    /// What the classifier was made from.
    pub(super) marks: Mutex<Vec<MarkRule>>,
    /// Of the thread that follows changes.
    pub(super) control: Arc<Mailbox>,
    pub(super) clock: Clock,
    /// Which services [stand by](super::follow) follows from them.
    pub(super) addresses: ArcSwap<VirtualAddresses>,
    /// Who keeps the configuration, if there is one; the daemon owns it.
    pub(super) keeper: OnceLock<Weak<Keeper>>,
}

impl Live {
    /// Changes services and rules for marks, all that `change` does or nothing.
    pub(super) fn edit<E: From<Error> + From<ConfigError>>(
        &self,
        change: impl FnOnce(&mut Draft<'_>, &mut Vec<MarkRule>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut marks = self.lock_marks();
        let mut wanted = marks.clone();
        let mut guard = guard::lock(&self.guard);
        let before = guard.hidden().clone();
        let (topology, config) = (self.topology.load(), self.director.config());
        let old = self.classifier.load_full();
        let edited = self.director.edit(|draft| {
            change(draft, &mut wanted)?;
            let host = Host {
                topology: &topology,
                gives_back: guard.gives_back(),
            };
            apply::refuse_host_addresses(&config, draft, host)?;
            let classifier = match wanted == *marks {
                true => old.clone(),
                false => Arc::new(marks::classifier(&wanted, &self.interfaces)?),
            };
            let is_new_rule = !Arc::ptr_eq(&classifier, &old);
            let changed: Vec<&Service> = entries::changed(&config, draft.services()).collect();
            let mut standby = draft.standby().clone();
            if is_new_rule || !changed.is_empty() {
                let addresses = self.addresses.load();
                standby = Arc::new(addresses.standby(draft.services(), &classifier));
            }
            let works = |s: &&Service| !standby.includes(&s.key());
            let is_new_mark =
                |s: &&Service| s.key().addr().is_none() && config.service(&s.key()).is_none();
            if is_new_rule || changed.iter().any(is_new_mark) {
                let working = draft.services().filter(works);
                let mut entries = entries::of(working, &classifier, &topology);
                entries.extend(entries::lingering(before.entries(), &entries));
                let is_served = |key: &ServiceKey| draft.service(key).is_some();
                let hidden = entries::hidden(&entries, &classifier, &standby, is_served);
                guard.replace(hidden).map_err(Error::Guard)?;
            } else if !changed.is_empty() {
                let new = changed.into_iter().filter(works);
                let new = new.flat_map(|s| entries::of_service(s, &classifier));
                guard.add(&new.collect::<Vec<_>>()).map_err(Error::Guard)?;
            }
            draft.set_standby(standby);
            Ok::<_, E>(classifier)
        });
        let classifier = edited.inspect_err(|_| {
            if !Arc::ptr_eq(guard.hidden(), &before) {
                guard.set((*before).clone());
            }
        })?;
        if !Arc::ptr_eq(&classifier, &old) {
            self.classifier.store(classifier);
        }
        *marks = wanted;
        drop(guard);
        self.control.wake();
        Ok(())
    }

    /// Makes services work, and others stand by, as these addresses have it.
    fn follow(&self, addresses: Arc<VirtualAddresses>) {
        let mut guard = guard::lock(&self.guard);
        let (config, classifier) = (self.director.config(), self.classifier.load());
        let standby = addresses.standby(entries::services(&config), &classifier);
        self.addresses.store(addresses);
        let before = config.standby();
        if standby == **before {
            return;
        }
        // Until the workers know, those stay hidden that no longer work, and what comes to them meanwhile is given back.
        let meanwhile = before.both(&standby);
        let works = |s: &&Service| !meanwhile.includes(&s.key());
        let working = entries::services(&config).filter(works);
        if classifier.rules().is_empty() {
            let woken = working.filter(|s| before.includes(&s.key()));
            let new = woken.flat_map(|s| entries::of_service(s, &classifier));
            guard.add_all(&new.collect::<Vec<_>>());
        } else {
            let mut entries = entries::of(working, &classifier, &self.topology.load());
            entries.extend(entries::lingering(guard.hidden().entries(), &entries));
            let is_served = |key: &ServiceKey| config.service(key).is_some();
            let hidden = entries::hidden(&entries, &classifier, &meanwhile, is_served);
            guard.set(hidden);
        }
        let edited = self.director.edit(|draft| {
            draft.set_standby(Arc::new(standby));
            Ok::<_, ConfigError>(())
        });
        debug_assert!(edited.is_ok(), "services are as they were");
        drop(guard);
        self.control.wake();
    }

    fn lock_marks(&self) -> MutexGuard<'_, Vec<MarkRule>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plane for Live {
    fn director(&self) -> &Director {
        &self.director
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn marks(&self) -> Vec<MarkRule> {
        self.lock_marks().clone()
    }

    fn topology(&self) -> Option<Arc<Topology>> {
        Some(self.topology.load_full())
    }

    fn keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper.get()?.upgrade()
    }

    fn accepts(&self, key: ServiceKey, addr: Endpoint, method: Method) -> Result<(), Stop> {
        let host = Host {
            topology: &self.topology.load(),
            gives_back: guard::lock(&self.guard).gives_back(),
        };
        Ok(host.refuse_server(key, addr, method)?)
    }

    fn change(&self, change: Change<'_>) -> Result<(), Stop> {
        self.edit(|draft, marks| change(draft, marks))
    }

    fn virtual_addresses(&self, addresses: Arc<VirtualAddresses>) {
        self.follow(addresses);
    }

    /// Everything but whether the guard has room.
    fn rehearse(&self, change: Change<'_>) -> Result<(), Stop> {
        let mut wanted = self.lock_marks().clone();
        let (topology, config) = (self.topology.load(), self.director.config());
        let host = Host {
            topology: &topology,
            gives_back: guard::lock(&self.guard).gives_back(),
        };
        self.director.rehearse(|draft| {
            change(draft, &mut wanted)?;
            apply::refuse_host_addresses(&config, draft, host)?;
            marks::classifier(&wanted, &self.interfaces)?;
            Ok(())
        })
    }
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        let about = match &e {
            Error::Config(e) => return (*e).into(),
            Error::LocalServer(key, addr) | Error::NoWayBack(key, addr) => {
                Some(About::Server(*key, *addr))
            }
            Error::HostLocalAddr(local) => Some(About::Address(local.ip)),
            Error::MarkInterface(name) => Some(About::Interface(name.clone())),
            _ => None,
        };
        let message = e.to_string();
        Self::Whole { message, about }
    }
}
