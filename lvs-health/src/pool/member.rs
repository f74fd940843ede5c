//! A server in its pool, and what there is to tell of it.

use super::{Cause, Event, Server};

/// A server in its pool.
#[derive(Clone, Debug)]
pub(super) struct Member<K> {
    pub(super) key: K,
    pub(super) server: Server,
    /// What it adds to the live weight.
    pub(super) share: u32,
    /// How often it has gone up or down.
    pub(super) changes: u64,
    /// Somebody was told that it is down.
    told_down: bool,
}

impl<K: Clone> Member<K> {
    /// Of a server that is new.
    pub(super) fn new(key: K, server: Server, events: &mut Vec<Event<K>>) -> Self {
        let mut member = Self {
            key,
            share: server.share(),
            server,
            changes: 0,
            told_down: false,
        };
        if member.server.alive() {
            member.tell(true, &Cause::Start, events);
        } else if member.server.found_down() {
            member.tell(false, &Cause::Start, events);
        }
        member
    }

    /// The server, or how its checks stand, is another.
    pub(super) fn update(&mut self, new: Server, cause: &Cause, events: &mut Vec<Event<K>>) {
        let was = self.server.alive();
        let (from, to) = (self.server.effective_weight(), new.effective_weight());
        if from != to {
            events.push(Event::WeightChanged {
                server: self.key.clone(),
                from,
                to,
                alive: was,
                cause: cause.clone(),
            });
        }
        self.share = new.share();
        self.server = new;
        let is = self.server.alive();
        self.changes += u64::from(is != was);
        // The first failure of a server that was never up is news too, once.
        if is != was || (!is && !self.told_down && self.server.found_down()) {
            self.tell(is, cause, events);
        }
    }

    fn tell(&mut self, up: bool, cause: &Cause, events: &mut Vec<Event<K>>) {
        self.told_down = !up;
        let (server, cause) = (self.key.clone(), cause.clone());
        events.push(match up {
            true => Event::ServerUp { server, cause },
            false => Event::ServerDown { server, cause },
        });
    }
}
