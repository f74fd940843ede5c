//! Deadlines, at most one for each key: a binary heap that knows where each key stands.
//!
//! Most probes end long before their deadline. In a heap that only forgets entries when they come up, those would pile
//! up; here they are taken out at once, and the heap is never larger than the number of checks.

use std::time::Duration;

use super::Key;

const ABSENT: u32 = u32::MAX;

/// Deadlines by key.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// A binary heap, the earliest at the root; of equal ones the lowest key.
    heap: Vec<(Duration, Key)>,
    /// Where in the heap each key stands.
    places: Vec<u32>,
}

impl Deadlines {
    /// Sets or moves the key's deadline.
    pub(super) fn set(&mut self, key: Key, at: Duration) {
        let index = key as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, ABSENT);
        }
        let place = match self.place(key) {
            Some(place) => {
                self.heap[place].0 = at;
                place
            }
            None => {
                self.heap.push((at, key));
                self.heap.len() - 1
            }
        };
        self.settle(place);
    }

    /// Forgets the key's deadline, and says whether it had one.
    pub(super) fn unset(&mut self, key: Key) -> bool {
        let Some(place) = self.place(key) else {
            return false;
        };
        self.places[key as usize] = ABSENT;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
        }
        true
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<(Duration, Key)> {
        self.heap.first().copied()
    }

    /// The key's deadline.
    pub(super) fn get(&self, key: Key) -> Option<Duration> {
        self.place(key).map(|place| self.heap[place].0)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    fn place(&self, key: Key) -> Option<usize> {
        let place = self.places.get(key as usize).copied();
        place.filter(|&p| p != ABSENT).map(|p| p as usize)
    }

    /// Moves the entry at `place` up or down to where it belongs, and notes where those end that it passes.
    fn settle(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent] <= self.heap[place] {
                break;
            }
            self.swap(place, parent);
            place = parent;
        }
        loop {
            let [left, right] = [2 * place + 1, 2 * place + 2];
            let mut least = place;
            for child in [left, right] {
                if child < self.heap.len() && self.heap[child] < self.heap[least] {
                    least = child;
                }
            }
            if least == place {
                break;
            }
            self.swap(place, least);
            place = least;
        }
        self.note(place);
    }

    fn swap(&mut self, from: usize, to: usize) {
        self.heap.swap(from, to);
        self.note(from);
    }

    fn note(&mut self, place: usize) {
        self.places[self.heap[place].1 as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map that is searched.
        #[test]
        fn the_first_is_the_earliest(steps in prop::collection::vec((0..20_u32, prop::option::of(0..50_u64)), 0..200)) {
            let mut heap = Deadlines::default();
            let mut model = BTreeMap::new();
            for (key, at) in steps {
                match at.map(Duration::from_millis) {
                    Some(at) => {
                        heap.set(key, at);
                        model.insert(key, at);
                    }
                    None => {
                        prop_assert_eq!(heap.unset(key), model.remove(&key).is_some());
                    }
                }
                prop_assert_eq!(heap.first(), model.iter().map(|(&k, &at)| (at, k)).min());
                prop_assert_eq!(heap.len(), model.len());
                prop_assert_eq!(heap.get(key), model.get(&key).copied());
            }
        }
    }
}
