//! What a master has to announce.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Announcement, Held, Settings};
use crate::Time;

/// Occasions on which addresses get in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Round {
    /// The router has just got some.
    New,
    /// It has had them for a while.
    NewAgain,
    /// It has had all for long.
    Refresh,
    /// It has heard a rival,
    Rival,
    /// a while ago.
    RivalAgain,
    /// Switches might forget where it is.
    Extra,
}

impl Round {
    const ALL: [Self; 6] = [
        Self::New,
        Self::NewAgain,
        Self::Refresh,
        Self::Rival,
        Self::RivalAgain,
        Self::Extra,
    ];
}

/// How often an address has been announced as a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    New,
    Once,
    Twice,
}

/// An address of a master.
#[derive(Debug)]
pub(super) struct Slot {
    address: Held,
    pub(super) age: Age,
    /// How many announcements it waits for. It is in line as long as this is not 0.
    pub(super) waiting: u32,
}

impl Slot {
    pub(super) const fn announcement(&self) -> Announcement {
        Announcement {
            interface: self.address.interface,
            addr: self.address.addr,
        }
    }
}

/// A master.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) settings: Settings,
    /// Its addresses, in order.
    pub(super) held: Vec<Slot>,
    /// When each round begins.
    due: [Option<Time>; Round::ALL.len()],
}

impl Router {
    pub(super) fn new(settings: Settings, addresses: impl IntoIterator<Item = Held>) -> Self {
        let slot = |address| Slot {
            address,
            age: Age::New,
            waiting: 0,
        };
        Self {
            settings,
            held: addresses.into_iter().map(slot).collect(),
            due: [None; Round::ALL.len()],
        }
    }

    /// Other settings and addresses; none is in line after that. Returns which of them are to get in line again, and for how
    /// many announcements.
    pub(super) fn replace(
        &mut self,
        settings: Settings,
        addresses: impl IntoIterator<Item = Held>,
    ) -> Vec<(usize, u32)> {
        let old: BTreeMap<Announcement, (Age, u32)> = self
            .held
            .iter()
            .map(|slot| (slot.announcement(), (slot.age, slot.waiting)))
            .collect();
        let new = Self::new(settings, addresses);
        self.settings = settings;
        self.held = new.held;
        let mut waiting = Vec::new();
        for (number, slot) in self.held.iter_mut().enumerate() {
            if let Some((age, count)) = old.get(&slot.announcement()) {
                slot.age = *age;
                waiting.push((number, *count));
            }
        }
        waiting
    }

    /// A round begins: which addresses get in line, and for how many announcements.
    pub(super) fn begin(&mut self, round: Round) -> (Vec<usize>, u32) {
        let settings = self.settings;
        let all = 0..self.held.len();
        match round {
            Round::New => (self.grow(Age::New, Age::Once), settings.repeat),
            Round::NewAgain => (self.grow(Age::Once, Age::Twice), settings.repeat),
            Round::Refresh => (all.collect(), settings.refresh_repeat),
            Round::Rival | Round::RivalAgain => (all.collect(), settings.lower_repeat),
            Round::Extra => (self.one_of_each_extra(), 1),
        }
    }

    /// After what time a round begins again, if it does.
    pub(super) fn period(&self, round: Round) -> Option<Duration> {
        let period = match round {
            Round::Refresh => self.settings.refresh,
            Round::Extra => self.settings.extra,
            Round::New | Round::NewAgain | Round::Rival | Round::RivalAgain => return None,
        };
        (!period.is_zero()).then_some(period)
    }

    pub(super) const fn deadline(&self, round: Round) -> Option<Time> {
        self.due[round as usize]
    }

    /// Returns what it was.
    pub(super) const fn set_deadline(&mut self, round: Round, when: Option<Time>) -> Option<Time> {
        std::mem::replace(&mut self.due[round as usize], when)
    }

    pub(super) fn deadlines(&self) -> impl Iterator<Item = (Round, Time)> {
        let due = |round| Some((round, self.deadline(round)?));
        Round::ALL.into_iter().filter_map(due)
    }

    fn grow(&mut self, from: Age, to: Age) -> Vec<usize> {
        let mut grown = Vec::new();
        for (number, slot) in self.held.iter_mut().enumerate() {
            if slot.age == from {
                slot.age = to;
                grown.push(number);
            }
        }
        grown
    }

    fn one_of_each_extra(&self) -> Vec<usize> {
        let mut interfaces = BTreeSet::new();
        let extra = |slot: &Slot| {
            slot.address.is_extra(&self.settings) && interfaces.insert(slot.address.interface)
        };
        self.held
            .iter()
            .map(extra)
            .enumerate()
            .filter_map(|(number, is)| is.then_some(number))
            .collect()
    }
}
