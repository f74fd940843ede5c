//! Changing the configuration while traffic flows.
//!
//! Problem: services, rules for marks and what is hidden from the host belong together, and a change may fail in any of them.
//!
//! Rule: changes wait for each other. What a change needs hidden is hidden before it is published, since until then the
//! host would answer; if it is refused after all, what was hidden before is hidden again. What need not be hidden any more goes
//! by and by (see `control`). A change costs what it changes: only a new mark has everything looked at.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use lvs_core::{ConfigError, Director, Draft, Endpoint, Method, Service, ServiceKey, Time};
use lvs_fwd::classify::Classifier;
use lvs_fwd::route::Topology;

use super::apply::Host;
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
            let changed: Vec<&Service> = entries::changed(&config, draft.services()).collect();
            let is_new_mark =
                |s: &&Service| s.key().addr().is_none() && config.service(&s.key()).is_none();
            if !Arc::ptr_eq(&classifier, &old) || changed.iter().any(is_new_mark) {
                let mut entries = entries::of(draft.services(), &classifier, &topology);
                entries.extend(entries::lingering(before.entries(), &entries));
                let is_served = |key: &ServiceKey| draft.service(key).is_some();
                let hidden = entries::hidden(&entries, &classifier, is_served);
                guard.replace(hidden).map_err(Error::Guard)?;
            } else if !changed.is_empty() {
                let new = changed
                    .iter()
                    .flat_map(|s| entries::of_service(s, &classifier));
                guard.add(&new.collect::<Vec<_>>()).map_err(Error::Guard)?;
            }
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
