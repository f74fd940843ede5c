//! The connection table.
//!
//! Problem: millions of connections, found by either direction's packets, each with a timer, without a lock
//! that two workers would fight for and without a pause when the table grows.
//!
//! Rule: the table is split into shards ([`crate::steer`] says which), each behind one lock with a slab of
//! records, an index, a timer wheel and FullNAT's port pools. A packet is looked up once, by its own source
//! and destination as they stand: every connection is indexed under the tuple of each direction. The index
//! of a shard is itself cut into small tables, so that growing one never takes long.
//!
//! Persistence templates have tables of their own: a client's connections are in many shards, its template is one.

mod control;
mod eviction;
mod index;
mod pool;
mod shard;
mod slab;
mod template;
mod wheel;

use std::sync::Arc;
use std::time::Duration;

use crate::addr::Endpoint;
use crate::dest::{DestLive, Method};
use crate::segment::Protocol;
use crate::service::ServiceKey;
use crate::state::State;
use crate::time::Time;
use crate::verdict::Direction;

pub(crate) use control::{Control, Lease};
pub(crate) use index::{Guess, Tuple};
pub(crate) use shard::{Candidate, Found, Shard};
pub(crate) use template::{Fresh, TemplateKey, Templates, covers_one_port};

/// One tracked connection: two cache lines.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) client: Endpoint,
    pub(crate) virt: Endpoint,
    pub(crate) dest_addr: Endpoint,
    /// FullNAT's local address and port; otherwise the client's endpoint, which the real server then sees.
    pub(crate) local: Endpoint,
    pub(crate) deadline: Time,
    pub(crate) dest: Arc<DestLive>,
    /// The template or control connection this one follows.
    pub(crate) lease: Option<Lease>,
    /// What few connections have.
    pub(crate) extra: Option<Box<Extra>>,
    /// Packets from the client, as IPVS counts them for its defences and synchronisation.
    pub(crate) in_packets: u32,
    pub(crate) method: Method,
    pub(crate) protocol: Protocol,
    pub(crate) state: State,
    /// Whether only the client's packets have been seen: true for methods that do not translate, until a
    /// packet of the other direction comes by.
    pub(crate) in_only: bool,
}

impl Conn {
    /// The tuple that packets of this direction carry.
    pub(crate) fn tuple(&self, direction: Direction) -> Tuple {
        let (src, dst) = match direction {
            Direction::In => (self.client, self.virt),
            // Untranslated replies come from the virtual address itself.
            Direction::Out if self.method.translates() => (self.dest_addr, self.local),
            Direction::Out => (self.virt, self.client),
        };
        Tuple {
            protocol: self.protocol,
            src,
            dst,
        }
    }

    /// Whether it controls others, and so must stay.
    pub(crate) fn is_needed(&self) -> bool {
        self.extra.as_ref().is_some_and(|e| e.control.is_needed())
    }

    /// Moves to a state, keeping the destination's counts right, and starts its timeout anew. Returns
    /// whether the deadline now lies earlier than before.
    pub(crate) fn enter(&mut self, state: State, timeout: Duration, now: Time) -> bool {
        if state != self.state {
            if state.is_active() != self.state.is_active() {
                self.dest.set_active(state.is_active());
            }
            if let Some(lease) = self.lease.as_ref().filter(|_| state.is_established()) {
                lease.assure();
            }
        }
        self.state = state;
        let before = self.deadline;
        self.deadline = now + timeout;
        self.deadline < before
    }

    /// Confirms the template, if the connection has come about.
    pub(crate) fn assure(&self) {
        if let Some(lease) = self.lease.as_ref().filter(|_| self.state.is_established()) {
            lease.assure();
        }
    }
}

/// What only a connection with a protocol helper has.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// The helper, as a place in [`crate::Settings::helpers`].
    pub(crate) helper: u8,
    /// What the helper remembers.
    pub(crate) notes: u32,
    pub(crate) shift_in: Shift,
    pub(crate) shift_out: Shift,
    /// Holds this connection while the ones that the helper announced exist.
    pub(crate) control: Arc<Control>,
}

/// How far the sequence numbers of one direction have moved because a helper changed the length of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the record IPVS keeps and synchronises"
)]
pub struct Shift {
    /// The sequence number of the last segment whose length was changed, as its sender counts (IPVS: `init_seq`).
    pub since: u32,
    /// What is added to sequence numbers after it.
    pub delta: i32,
    /// What is added to sequence numbers up to it (IPVS: `previous_delta`).
    pub before: i32,
    /// How many bytes from `since` on, as their sender sent them, were replaced by others. IPVS does not keep it; 0 is
    /// not known.
    pub len: u16,
}

/// A connection as listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnInfo {
    /// The service that opened it, be it still there or not.
    pub service: ServiceKey,
    /// TCP, UDP or SCTP; 0 for a template of a firewall mark, which serves all of them.
    pub protocol: Protocol,
    /// The client; of a template, its masked address and port 0.
    pub client: Endpoint,
    /// The virtual service's address as the client used it; of a template for a firewall mark, the mark.
    pub virt: Endpoint,
    /// The real server, with the port that its packets go to.
    pub dest: Endpoint,
    /// The real server as it is configured.
    pub server: Endpoint,
    /// FullNAT's local endpoint.
    pub local: Option<Endpoint>,
    /// How it is forwarded.
    pub method: Method,
    /// Its state.
    pub state: State,
    /// How long it is kept if no packet comes.
    pub expires_in: Duration,
    /// Packets from the client, at most 2³²−1; 0 for templates.
    pub in_packets: u32,
}

impl ConnInfo {
    /// Whether it is a persistence template, and no connection.
    pub const fn is_template(&self) -> bool {
        matches!(self.state, State::Template | State::Assured)
    }
}

impl Conn {
    pub(crate) fn info(&self, now: Time) -> ConnInfo {
        ConnInfo {
            service: self.dest.service().key(),
            protocol: self.protocol,
            client: self.client,
            virt: self.virt,
            dest: self.dest_addr,
            server: self.dest.addr(),
            local: (self.method == Method::FullNat).then_some(self.local),
            method: self.method,
            state: self.state,
            expires_in: self.deadline.since(now),
            in_packets: self.in_packets,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::service::ServiceLive;

    /// A NAT connection with a deadline, for tests of the table's parts.
    pub(crate) fn conn(deadline: Time) -> Conn {
        let e = |s: &str| s.parse::<Endpoint>().unwrap();
        let service = Arc::new(ServiceLive::new(ServiceKey::tcp(e("10.9.0.100:80")), 1));
        Conn {
            client: e("10.9.1.2:40000"),
            virt: e("10.9.0.100:80"),
            dest_addr: e("10.10.0.11:8080"),
            local: e("10.9.1.2:40000"),
            deadline,
            dest: Arc::new(DestLive::new(e("10.10.0.11:8080"), service, 1)),
            lease: None,
            extra: None,
            in_packets: 1,
            method: Method::Nat,
            protocol: Protocol::TCP,
            state: State::None,
            in_only: false,
        }
    }

    #[test]
    fn a_record_and_its_links_are_small() {
        assert!(
            size_of::<slab::Node>() <= 128,
            "{}",
            size_of::<slab::Node>()
        );
    }
}
