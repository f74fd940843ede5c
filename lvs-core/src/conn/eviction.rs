//! What makes room in a full table.
//!
//! Problem: a table has a limit, and whoever opens connections fastest, an attacker above all, would fill it and keep
//! everybody else out.
//!
//! Rule, the order in which a full shard gives up connections for a new one:
//! 1. what has expired and was not yet removed,
//! 2. what has ended and is only remembered (TIME_WAIT, CLOSE, SCTP's CLOSED), longest ago first,
//! 3. what has not come about: half-open TCP and SCTP, UDP flows of a single packet; oldest first.
//!
//! Never anything else: not an established connection, nor one that controls others. If there is nothing to give up,
//! the new connection is refused. So a flood of SYNs drives out its own.
//!
//! Two queues remember the candidates in order, as record numbers. They may be wrong by the time they are needed (the
//! connection was established, or the number reused), so each is looked at again; and the oldest are forgotten when
//! a queue has grown to a quarter of the shard's limit, which costs a byte a connection at most.

use std::collections::VecDeque;

use super::Conn;
use super::slab::{Id, Slab};
use crate::segment::Protocol;

/// Fewest candidates remembered.
const FEW: usize = 1024;
/// Candidates looked at for one new connection.
const TRIES: usize = 256;

#[derive(Debug)]
pub(super) struct Candidates {
    most: usize,
    ended: VecDeque<u32>,
    opening: VecDeque<u32>,
}

impl Candidates {
    /// For a shard of `limit` connections.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            most: (limit / 4).max(FEW),
            ended: VecDeque::new(),
            opening: VecDeque::new(),
        }
    }

    /// A connection has been opened.
    #[inline]
    pub(super) fn opened(&mut self, id: Id) {
        push(&mut self.opening, id, self.most);
    }

    /// A connection has ended.
    #[inline]
    pub(super) fn ended(&mut self, id: Id) {
        push(&mut self.ended, id, self.most);
    }

    /// The next to be given up, which must then be removed.
    pub(super) fn next(&mut self, slab: &Slab) -> Option<Id> {
        let has_ended = |c: &Conn| c.state.is_ended();
        pop(&mut self.ended, slab, has_ended)
            .or_else(|| pop(&mut self.opening, slab, |c| has_ended(c) || is_tentative(c)))
    }
}

/// Whether a connection has not come about.
fn is_tentative(c: &Conn) -> bool {
    match c.protocol {
        Protocol::UDP => c.in_packets <= 1,
        _ => c.state.is_half_open(),
    }
}

fn push(queue: &mut VecDeque<u32>, id: Id, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(id.0);
}

fn pop(queue: &mut VecDeque<u32>, slab: &Slab, fits: impl Fn(&Conn) -> bool) -> Option<Id> {
    let next = || queue.pop_front().map(Id);
    let fits = |id: &Id| slab.get(*id).is_some_and(|c| fits(c) && !c.is_needed());
    std::iter::from_fn(next).take(TRIES).find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::tests::conn;
    use crate::state::State;
    use crate::time::Time;

    fn slab(states: &[State]) -> (Slab, Candidates) {
        let (mut slab, mut candidates) = (Slab::default(), Candidates::new(100));
        for state in states {
            let mut c = conn(Time::from_secs(70));
            c.state = *state;
            let id = slab.insert(c).unwrap();
            candidates.opened(id);
            if state.is_ended() {
                candidates.ended(id);
            }
        }
        (slab, candidates)
    }

    fn order(slab: &mut Slab, candidates: &mut Candidates) -> Vec<u32> {
        std::iter::from_fn(|| {
            let id = candidates.next(slab)?;
            slab.remove(id);
            Some(id.0)
        })
        .collect()
    }

    #[test]
    fn the_ended_go_first_and_the_established_never() {
        use State::{Close, CloseWait, Established, FinWait, SynRecv, TimeWait};
        let states = [
            SynRecv,
            Established,
            TimeWait,
            FinWait,
            SynRecv,
            Close,
            CloseWait,
        ];
        let (mut slab, mut candidates) = slab(&states);
        assert_eq!(order(&mut slab, &mut candidates), [2, 5, 0, 4]);
        assert_eq!(slab.len(), 3);
    }

    #[test]
    fn a_udp_flow_is_safe_from_its_second_packet() {
        let (mut slab, mut candidates) = slab(&[State::Udp, State::Udp]);
        for (id, in_packets) in [(0, 2), (1, 1)] {
            let c = slab.get_mut(Id(id)).unwrap();
            (c.protocol, c.in_packets) = (Protocol::UDP, in_packets);
        }
        assert_eq!(order(&mut slab, &mut candidates), [1]);
    }

    #[test]
    fn what_controls_others_is_safe() {
        let (mut slab, mut candidates) = slab(&[State::TimeWait]);
        let extra = Box::new(crate::conn::Extra::default());
        let _lease = extra.control.lease();
        slab.get_mut(Id(0)).unwrap().extra = Some(extra);
        assert_eq!(order(&mut slab, &mut candidates), []);
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let mut candidates = Candidates::new(8 * FEW);
        for i in 0..3 * FEW as u32 {
            candidates.opened(Id(i));
        }
        assert_eq!(candidates.opening.len(), 2 * FEW);
        assert_eq!(candidates.opening.front(), Some(&(FEW as u32)));
    }
}
