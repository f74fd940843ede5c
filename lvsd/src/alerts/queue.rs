//! Which script is run next.
//!
//! Problem: keepalived starts every script at once and waits for none, so that two quick events may reach their script the
//! wrong way round, and a rack that fails starts thousands of processes.
//!
//! Rule: scripts about the same thing run one after the other, in the order of events; those about different things side
//! by side, the longest waiting first, and only so many at once. What waits is limited too, for each thing and in all: then
//! the oldest falls out, first of what a later event has outdated, so that the state a script was told last is the true
//! one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// How much is kept and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// At once.
    pub(super) running: usize,
    /// Waiting about one thing.
    pub(super) about_one: usize,
    /// Waiting in all.
    pub(super) waiting: usize,
}

/// Jobs that wait, and what those that run are about.
#[derive(Debug)]
pub(super) struct Queue<T> {
    limits: Limits,
    /// By number, which is the order they came in.
    waiting: BTreeMap<u64, (String, T)>,
    lines: HashMap<String, Line>,
    /// The first of each line that has nothing running.
    ready: BTreeSet<u64>,
    /// The first of each line in which more wait.
    outdated: BTreeSet<u64>,
    next: u64,
    running: usize,
}

/// The jobs about one thing.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<u64>,
    busy: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            lines: HashMap::new(),
            ready: BTreeSet::new(),
            outdated: BTreeSet::new(),
            next: 0,
            running: 0,
        }
    }

    /// Another job, which goes to the end of its line. What falls out for it is returned.
    pub(super) fn push(&mut self, about: String, job: T) -> Option<(String, T)> {
        let in_line = self.lines.get(&about).map_or(0, |l| l.waiting.len());
        let number = self.next;
        self.next += 1;
        self.change(&about, |line| line.waiting.push_back(number));
        self.waiting.insert(number, (about.clone(), job));
        if in_line >= self.limits.about_one {
            return self.drop_first_of(&about);
        }
        if self.waiting.len() <= self.limits.waiting {
            return None;
        }
        let oldest = self.outdated.first();
        let oldest = oldest.or_else(|| self.waiting.keys().next())?;
        let of = self.waiting.get(oldest)?.0.clone();
        self.drop_first_of(&of)
    }

    /// The job that is to be run now, if any. [`Queue::done`] must be told when it is over.
    pub(super) fn start(&mut self) -> Option<(String, T)> {
        if self.running >= self.limits.running {
            return None;
        }
        let number = *self.ready.first()?;
        let (about, job) = self.waiting.remove(&number)?;
        self.change(&about, |line| {
            line.waiting.pop_front();
            line.busy = true;
        });
        self.running += 1;
        Some((about, job))
    }

    /// The job about this is over.
    pub(super) fn done(&mut self, about: &str) {
        self.running = self.running.saturating_sub(1);
        self.change(about, |line| line.busy = false);
    }

    /// Nothing more is run; how many waited.
    pub(super) fn clear(&mut self) -> usize {
        self.ready.clear();
        self.outdated.clear();
        self.lines.retain(|_, line| {
            line.waiting.clear();
            line.busy
        });
        std::mem::take(&mut self.waiting).len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The first job of a line is always its oldest.
    fn drop_first_of(&mut self, about: &str) -> Option<(String, T)> {
        let mut number = None;
        self.change(about, |line| number = line.waiting.pop_front());
        self.waiting.remove(&number?)
    }

    /// Changes a line, and notes what follows from that.
    fn change(&mut self, about: &str, how: impl FnOnce(&mut Line)) {
        let mut line = self.lines.remove(about).unwrap_or_default();
        if let Some(first) = line.waiting.front() {
            self.ready.remove(first);
            self.outdated.remove(first);
        }
        how(&mut line);
        if let Some(first) = line.waiting.front() {
            if !line.busy {
                self.ready.insert(*first);
            }
            if line.waiting.len() > 1 {
                self.outdated.insert(*first);
            }
        }
        if line.busy || !line.waiting.is_empty() {
            self.lines.insert(about.to_owned(), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        running: 2,
        about_one: 3,
        waiting: 6,
    };

    fn push(queue: &mut Queue<u32>, about: &str, job: u32) -> Option<u32> {
        queue.push(about.to_owned(), job).map(|(_, job)| job)
    }

    #[test]
    fn one_thing_in_order_others_beside_it() {
        let mut queue = Queue::new(LIMITS);
        for (about, job) in [("a", 1), ("a", 2), ("b", 3), ("c", 4)] {
            assert_eq!(push(&mut queue, about, job), None);
        }
        assert_eq!(queue.start(), Some(("a".to_owned(), 1)));
        assert_eq!(queue.start(), Some(("b".to_owned(), 3)));
        assert_eq!(queue.start(), None, "two run");
        queue.done("b");
        assert_eq!(queue.start(), Some(("c".to_owned(), 4)), "2 waits for 1");
        queue.done("c");
        assert_eq!(queue.start(), None);
        queue.done("a");
        assert_eq!(queue.start(), Some(("a".to_owned(), 2)));
        queue.done("a");
        assert!(queue.is_empty() && queue.lines.is_empty() && queue.running == 0);
    }

    #[test]
    fn what_is_outdated_falls_out_first() {
        let mut queue = Queue::new(LIMITS);
        for (about, job) in [("a", 1), ("b", 2), ("b", 3), ("b", 4)] {
            assert_eq!(push(&mut queue, about, job), None);
        }
        assert_eq!(push(&mut queue, "b", 5), Some(2), "three wait about b");
        assert_eq!(push(&mut queue, "c", 6), None);
        assert_eq!(push(&mut queue, "d", 7), None);
        assert_eq!(push(&mut queue, "e", 8), Some(3), "six wait");
        assert_eq!(push(&mut queue, "f", 9), Some(4));
        assert_eq!(push(&mut queue, "g", 10), Some(1), "nothing is outdated");
        assert_eq!(queue.start(), Some(("b".to_owned(), 5)));
        assert_eq!(queue.clear(), 5);
        assert!(queue.is_empty() && queue.start().is_none());
        queue.done("b");
        assert!(queue.lines.is_empty());
    }

    proptest! {
        /// Whatever happens: the newest about a thing is told, in order, and no two about it at once.
        #[test]
        fn the_newest_is_told(steps in prop::collection::vec((0..3_u8, 0..5_usize), 1..200)) {
            let names = ["a", "b", "c", "d", "e"];
            let mut queue = Queue::new(LIMITS);
            let mut newest = [None; 5];
            let mut told = [None; 5];
            let mut running: Vec<usize> = Vec::new();
            let mut accepted = 0;
            let mut given = 0;
            for (job, (step, which)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let fell = queue.push(names[which].to_owned(), job);
                        accepted += 1 - usize::from(fell.is_some());
                        newest[which] = Some(job);
                        prop_assert!(queue.waiting.len() <= LIMITS.waiting);
                    }
                    _ => {
                        if let Some(which) = (!running.is_empty()).then(|| running.remove(0)) {
                            queue.done(names[which]);
                        }
                    }
                }
                while let Some((about, job)) = queue.start() {
                    let which = names.iter().position(|n| *n == about).unwrap();
                    prop_assert!(!running.contains(&which));
                    prop_assert!(told[which] < Some(job));
                    told[which] = Some(job);
                    running.push(which);
                    given += 1;
                }
                prop_assert!(running.len() <= LIMITS.running);
            }
            while let Some(which) = running.pop() {
                queue.done(names[which]);
                while let Some((about, job)) = queue.start() {
                    let which = names.iter().position(|n| *n == about).unwrap();
                    prop_assert!(told[which] < Some(job));
                    told[which] = Some(job);
                    running.push(which);
                    given += 1;
                }
            }
            prop_assert_eq!(given, accepted);
            // With five things and room for six, only what is outdated ever falls out.
            prop_assert_eq!(told, newest);
            prop_assert!(queue.lines.is_empty());
        }
    }
}
