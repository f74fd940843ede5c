//! Has the kernel find the Ethernet addresses of next hops.
//!
//! Frames sent on a packet socket neither make the kernel look for a neighbour nor tell it that one is in
//! use. So the next hops that are always needed (real servers, gateways) are *managed*: the kernel
//! (5.16 and later) finds them at once and keeps them fresh by itself. Others (clients on the link) are
//! asked for when a packet needs them. On older kernels managed ones are asked for again and again.
//!
//! Entries that an administrator has made permanent or managed are left alone. Those made managed here
//! become ordinary ones again when the [`Resolver`] is dropped; after a crash they stay managed, which
//! costs the kernel a probe every few seconds, until someone deletes them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use lvs_core::{Ip, Time};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage, NeighbourState,
};

use super::connection::Connection;
use super::message;

/// An address is asked for at most so often.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// So many addresses are remembered as asked for; the kernel's own table holds 1024 by default.
const MAX_ASKED: usize = 4096;
/// How often [`Resolver::refresh`] asks for managed addresses where the kernel does not; well below the
/// minute after which it forgets unused ones.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// A next hop: an interface's number and an address on its link.
type Hop = (u32, Ip);

/// Asks the kernel to resolve next hops.
#[derive(Debug)]
pub struct Resolver {
    connection: Connection,
    /// What should be managed, and by whom it is.
    managed: HashMap<Hop, Keeper>,
    asked: HashMap<Hop, Time>,
    refreshed: Time,
}

/// Who keeps a managed next hop fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// The kernel, because we told it so.
    Kernel,
    /// An administrator, who made the entry permanent or managed.
    Administrator,
    /// We do: the kernel is too old, or refused.
    Ourselves,
}

impl Resolver {
    /// A resolver for the calling thread's network namespace.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            connection: Connection::open()?,
            managed: HashMap::new(),
            asked: HashMap::new(),
            refreshed: Time::default(),
        })
    }

    /// Makes exactly these next hops managed: ones not yet managed become so, others no longer are.
    ///
    /// # Errors
    ///
    /// The last refusal of the kernel, after everything has been tried; for example when an interface has
    /// just disappeared. Next hops that were refused count as not managed and are tried anew the next time.
    pub fn manage(&mut self, hops: impl IntoIterator<Item = (u32, Ip)>) -> io::Result<()> {
        let wanted: HashSet<Hop> = hops.into_iter().collect();
        let mut result = Ok(());
        let gone: Vec<Hop> = self
            .managed
            .keys()
            .filter(|h| !wanted.contains(h))
            .copied()
            .collect();
        for hop in gone {
            if let Err(e) = self.unmanage(hop) {
                result = Err(e);
            }
        }
        for hop in wanted {
            if !self.managed.contains_key(&hop) {
                match self.start_managing(hop) {
                    Ok(keeper) => {
                        self.managed.insert(hop, keeper);
                    }
                    Err(e) => result = Err(e),
                }
            }
        }
        result
    }

    /// Has an address looked for once, unless it was asked for less than a second ago. Returns whether
    /// the kernel was asked. At most a few thousand addresses are asked for in a second; more wait.
    pub fn resolve(&mut self, ifindex: u32, ip: Ip, now: Time) -> io::Result<bool> {
        let hop = (ifindex, ip);
        let recent = |asked: Time| now.since(asked) < ASK_INTERVAL;
        if self.asked.get(&hop).is_some_and(|&t| recent(t)) {
            return Ok(false);
        }
        if self.asked.len() >= MAX_ASKED {
            self.asked.retain(|_, &mut t| recent(t));
            if self.asked.len() >= MAX_ASKED {
                return Ok(false);
            }
        }
        self.asked.insert(hop, now);
        // The kernel takes a request without the flag as an order to manage the entry no longer.
        let keep = self.managed.get(&hop) == Some(&Keeper::Kernel)
            || self.entry(hop)?.is_some_and(|m| managed(&m));
        let ext = match keep {
            true => NeighbourExtFlags::Managed,
            false => NeighbourExtFlags::empty(),
        };
        self.ask(hop, ext)?;
        Ok(true)
    }

    /// Does by hand what an older kernel does not do by itself. To be called now and then; costs nothing
    /// where the kernel manages.
    pub fn refresh(&mut self, now: Time) -> io::Result<()> {
        if now.since(self.refreshed) < REFRESH_INTERVAL {
            return Ok(());
        }
        self.refreshed = now;
        let ours = |(&hop, &keeper)| (keeper == Keeper::Ourselves).then_some(hop);
        let hops: Vec<Hop> = self.managed.iter().filter_map(ours).collect();
        let mut result = Ok(());
        for hop in hops {
            if let Err(e) = self.ask(hop, NeighbourExtFlags::empty()) {
                result = Err(e);
            }
        }
        result
    }

    /// Whether the kernel keeps the entry of a next hop fresh, on whoever's order.
    pub fn is_managed(&mut self, ifindex: u32, ip: Ip) -> io::Result<bool> {
        let entry = self.entry((ifindex, ip))?;
        Ok(entry.is_some_and(|m| managed(&m)))
    }

    fn start_managing(&mut self, hop: Hop) -> io::Result<Keeper> {
        // Managing would take the permanence from a permanent entry.
        if self.entry(hop)?.is_some_and(|m| fixed(&m) || managed(&m)) {
            return Ok(Keeper::Administrator);
        }
        self.ask(hop, NeighbourExtFlags::Managed)?;
        Ok(match self.entry(hop)? {
            Some(m) if managed(&m) => Keeper::Kernel,
            _ => Keeper::Ourselves,
        })
    }

    fn unmanage(&mut self, hop: Hop) -> io::Result<()> {
        if self.managed.remove(&hop) != Some(Keeper::Kernel) {
            return Ok(());
        }
        // Gone already, or made permanent meanwhile: there is nothing to take back.
        match self.entry(hop)? {
            Some(m) if managed(&m) => self.ask(hop, NeighbourExtFlags::empty()),
            _ => Ok(()),
        }
    }

    /// Tells the kernel that the next hop is in use, and whether to manage it.
    fn ask(&mut self, hop: Hop, ext: NeighbourExtFlags) -> io::Result<()> {
        let mut m = about(hop);
        m.header.flags = NeighbourFlags::Use;
        if !ext.is_empty() {
            m.attributes.push(NeighbourAttribute::ExtFlags(ext));
        }
        let m = RouteNetlinkMessage::NewNeighbour(m);
        self.connection.request(m, NLM_F_CREATE | NLM_F_REPLACE)
    }

    fn entry(&mut self, hop: Hop) -> io::Result<Option<NeighbourMessage>> {
        let answer = self
            .connection
            .get(RouteNetlinkMessage::GetNeighbour(about(hop)))?;
        Ok(match answer {
            Some(RouteNetlinkMessage::NewNeighbour(m)) => Some(m),
            _ => None,
        })
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        // An interface that is gone has taken its neighbours with it.
        let _ = self.manage([]);
    }
}

fn about((ifindex, ip): Hop) -> NeighbourMessage {
    let mut m = NeighbourMessage::default();
    m.header.family = message::family(ip);
    m.header.ifindex = ifindex;
    m.attributes
        .push(NeighbourAttribute::Destination(message::std_ip(ip).into()));
    m
}

fn fixed(m: &NeighbourMessage) -> bool {
    matches!(
        m.header.state,
        NeighbourState::Permanent | NeighbourState::Noarp
    )
}

fn managed(m: &NeighbourMessage) -> bool {
    m.attributes.iter().any(|a| match a {
        NeighbourAttribute::ExtFlags(f) => f.contains(NeighbourExtFlags::Managed),
        _ => false,
    })
}
