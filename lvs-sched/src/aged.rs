//! What `lblc` and `lblcr` remember of each destination address, and when they forget it.
//!
//! Problem: a service of a firewall mark may see any number of destination addresses.
//!
//! Rule (IPVS): addresses are spread over 1024 buckets. Every minute is a check: each thirtieth forgets all that have not
//! been asked for as long as the configured expiration (a day); the others, if there are more than 16,384 addresses, go
//! through the buckets from where the last one ended and forget what has not been asked for six minutes, until
//! they have made room. From 24,576 addresses on no new ones are remembered.
//!
//! Nothing is asked between two choices, so the checks that are due are made up for at the next. The first is due a
//! minute after the first choice (in IPVS, after the service was made).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lvs_core::{Ip, Time};

use crate::hash;

const BUCKETS: usize = 1 << hash::AGED_BITS;
const ROOM: usize = 16 * BUCKETS;
const MOST: usize = ROOM + ROOM / 2;

const CHECK: Duration = Duration::from_secs(60);
/// Every how many checks all that has expired goes.
const FULL: u32 = 30;
/// Unused for this long, an address may go when room is needed.
const UNUSED: Duration = Duration::from_secs(6 * 60);

/// Something remembered of each of many addresses.
#[derive(Clone, Debug)]
pub(crate) struct Aged<T> {
    /// Ordered by address, so that many in one bucket do not make it slow.
    buckets: Vec<BTreeMap<Ip, Entry<T>>>,
    entries: usize,
    /// The bucket where the last check ended.
    rover: usize,
    /// Counts checks since the last full one, from 1.
    counter: u32,
    next_check: Option<Time>,
}

/// Something remembered that all copies share.
#[derive(Debug)]
pub(crate) struct Shared<T>(Arc<Mutex<Aged<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Shared<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Aged<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Aged::excerpt`], shared with nobody.
    pub(crate) fn excerpt(&self, addr: Ip, now: Time) -> Self
    where
        T: Clone,
    {
        let excerpt = self.lock().excerpt(addr, now);
        Self(Arc::new(Mutex::new(excerpt)))
    }
}

#[derive(Clone, Debug)]
struct Entry<T> {
    last_use: Time,
    what: T,
}

impl<T> Default for Aged<T> {
    fn default() -> Self {
        Self {
            buckets: std::iter::repeat_with(BTreeMap::new)
                .take(BUCKETS)
                .collect(),
            entries: 0,
            rover: 0,
            counter: 1,
            next_check: None,
        }
    }
}

impl<T> Aged<T> {
    /// What is remembered of this address, which thereby has been asked for.
    pub(crate) fn get(&mut self, addr: Ip, now: Time) -> Option<&mut T> {
        let entry = self.buckets[bucket(addr)].get_mut(&addr)?;
        entry.last_use = now;
        Some(&mut entry.what)
    }

    /// A copy that answers for this address as this one would: only of what is needed, unless a check is due.
    pub(crate) fn excerpt(&self, addr: Ip, now: Time) -> Self
    where
        T: Clone,
    {
        if self.next_check.is_some_and(|next| next <= now) {
            return self.clone();
        }
        let mut excerpt = Self {
            next_check: self.next_check,
            ..Self::default()
        };
        let bucket = bucket(addr);
        if let Some((addr, entry)) = self.buckets[bucket].get_key_value(&addr) {
            excerpt.buckets[bucket].insert(*addr, entry.clone());
            excerpt.entries = 1;
        }
        excerpt
    }

    /// Remembers this of the address, if there is room.
    pub(crate) fn insert(&mut self, addr: Ip, now: Time, what: T) {
        if self.entries >= MOST {
            return;
        }
        let last_use = now;
        let entry = Entry { last_use, what };
        if { &mut self.buckets[bucket(addr)] }
            .insert(addr, entry)
            .is_none()
        {
            self.entries += 1;
        }
    }

    /// Makes the checks that are due.
    pub(crate) fn check(&mut self, now: Time, expiration: Duration) {
        let mut next = *self.next_check.get_or_insert(now + CHECK);
        while next <= now {
            if self.entries == 0 {
                let passed = now.since(next).as_secs() / CHECK.as_secs();
                self.counter = ((u64::from(self.counter) + passed) % u64::from(FULL)) as u32 + 1;
                next = next + CHECK * u32::try_from(passed).unwrap_or(u32::MAX) + CHECK;
                continue;
            }
            if self.counter.is_multiple_of(FULL) {
                self.forget(next, expiration, usize::MAX);
                self.counter = 1;
            } else if self.entries <= ROOM {
                self.counter += 1;
            } else {
                let goal = ((self.entries - ROOM) * 4 / 3).min(ROOM / 2);
                self.forget(next, UNUSED, goal);
            }
            next = next + CHECK;
        }
        self.next_check = Some(next);
    }

    /// Goes round the buckets and forgets what has not been asked for so long, until at least `goal` are gone.
    fn forget(&mut self, now: Time, unused: Duration, goal: usize) {
        let mut gone = 0;
        for _ in 0..BUCKETS {
            self.rover = (self.rover + 1) % BUCKETS;
            let bucket = &mut self.buckets[self.rover];
            let before = bucket.len();
            bucket.retain(|_, entry| now.since(entry.last_use) < unused);
            gone += before - bucket.len();
            if gone >= goal {
                break;
            }
        }
        self.entries -= gone;
    }
}

fn bucket(addr: Ip) -> usize {
    hash::aged(addr.fold()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn addr(i: usize) -> Ip {
        Ip::v4((i as u32).to_be_bytes())
    }

    fn filled(count: usize, at: Time) -> Aged<usize> {
        let mut aged = Aged::default();
        aged.check(at, DAY);
        (0..count).for_each(|i| aged.insert(addr(i), at, i));
        aged
    }

    fn minutes(n: u64) -> Time {
        Time::from_secs(60 * n)
    }

    #[test]
    fn an_address_is_remembered_until_a_full_check_finds_it_expired() {
        let mut aged = filled(2, minutes(0));
        let expiration = Duration::from_secs(600);
        assert_eq!(aged.get(addr(1), minutes(25)), Some(&mut 1));
        aged.check(minutes(29), expiration);
        assert_eq!(aged.entries, 2, "the thirtieth check is the first full one");
        aged.check(minutes(30), expiration);
        assert_eq!(aged.entries, 1);
        assert_eq!(aged.get(addr(0), minutes(30)), None);
        // The next is 30 checks later, and counts what was not asked for since.
        aged.check(minutes(59), expiration);
        assert_eq!(aged.entries, 1);
        aged.check(minutes(60), expiration);
        assert_eq!(aged.entries, 0);
    }

    #[test]
    fn an_excerpt_answers_as_the_whole_would() {
        let whole = || {
            let mut aged = filled(ROOM + 300, minutes(0));
            aged.check(minutes(5), DAY);
            (0..8000).for_each(|i| _ = aged.get(addr(i), minutes(5)));
            aged
        };
        let now = minutes(6);
        let mut checked = whole();
        checked.check(now, DAY);
        let mut is_known = |i: &usize| checked.get(addr(*i), now).is_some();
        let (kept, gone): (Vec<_>, Vec<_>) = (0..ROOM + 310).partition(|i| is_known(i));
        assert!(gone.len() > 400);
        for i in [
            kept[0],
            kept[9000],
            gone[0],
            gone[200],
            gone[gone.len() - 1],
        ] {
            let mut excerpt = whole().excerpt(addr(i), now);
            excerpt.check(now, DAY);
            let found = excerpt.get(addr(i), now).copied();
            assert_eq!(found, kept.contains(&i).then_some(i));
        }
        let excerpt = whole().excerpt(addr(7), minutes(5));
        assert_eq!(excerpt.entries, 1, "no check is due");
    }

    #[test]
    fn too_many_addresses_lose_the_unused_a_third_more_than_needed() {
        let mut aged = filled(ROOM + 300, minutes(0));
        aged.check(minutes(5), DAY);
        assert_eq!(aged.entries, ROOM + 300, "all were used within six minutes");
        for i in 0..8000 {
            aged.get(addr(i), minutes(5));
        }
        aged.check(minutes(6), DAY);
        let gone = ROOM + 300 - aged.entries;
        assert!((400..400 + 17).contains(&gone), "{gone}: whole buckets");
        assert!((0..8000).all(|i| aged.get(addr(i), minutes(6)).is_some()));
        aged.check(minutes(12), DAY);
        assert_eq!(aged.entries, ROOM + 300 - gone, "there is room now");
    }

    #[test]
    fn no_check_takes_more_than_half_the_room() {
        let mut aged = filled(MOST, minutes(0));
        aged.check(minutes(6), DAY);
        let gone = MOST - aged.entries;
        assert!((ROOM / 2..ROOM / 2 + 25).contains(&gone), "{gone}");
    }

    #[test]
    fn a_full_memory_takes_nothing_new_and_replaces_nothing() {
        let mut aged = filled(MOST + 5, minutes(0));
        assert_eq!(aged.entries, MOST);
        aged.insert(addr(3), minutes(1), 77);
        assert_eq!(aged.get(addr(3), minutes(1)), Some(&mut 3));
        assert_eq!(aged.get(addr(MOST), minutes(1)), None);
    }

    #[test]
    fn checks_that_were_missed_are_made_up_for() {
        for gap in [0, 1, 29, 30, 31, 61, 100, 1_000_000] {
            let mut one = filled(0, minutes(0));
            let mut by_one = filled(0, minutes(0));
            one.check(minutes(gap), DAY);
            (0..=gap.min(1000)).for_each(|m| by_one.check(minutes(m), DAY));
            assert_eq!(one.next_check, Some(minutes(gap + 1)));
            assert_eq!(u64::from(one.counter), gap % 30 + 1);
            if gap <= 1000 {
                assert_eq!(one.counter, by_one.counter);
            }
        }
    }
}
