//! What the virtual routers of a host put out, for the driver to carry out in order.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::Object;

/// A virtual router's number in its [`Speaker`](crate::speaker::Speaker), which it keeps as long as it exists, over reloads
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouterId(pub u32);

/// The states of a virtual router: RFC 9568 section 6.4's, and keepalived's FAULT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are these four")]
pub enum State {
    /// Not started, or what it watches has not all been looked at.
    #[default]
    Init,
    /// Another router is master.
    Backup,
    /// This router holds the addresses.
    Master,
    /// Something keeps this router from taking part.
    Fault,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
        })
    }
}

/// Something to be done, or to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send an advertisement.
    Send {
        /// Whose it is.
        router: RouterId,
        /// Whom it goes to: the group or a peer.
        to: IpAddr,
        /// IPv4: the packet from its IP header on; IPv6: the message from its VRRP header on.
        bytes: Vec<u8>,
    },
    /// A virtual router has changed its state. A master takes the addresses and announces them; who was master gives them up.
    Entered {
        /// Which.
        router: RouterId,
        /// What it was,
        from: State,
        /// and is.
        to: State,
        /// Why.
        why: Why,
        /// Its effective priority.
        priority: u8,
        /// Nobody need be told: it only follows its group, which is told of.
        quiet: bool,
    },
    /// A group has changed its state. It follows what its members are told to do.
    GroupEntered {
        /// Its name.
        group: String,
        /// What it was,
        from: State,
        /// and is.
        to: State,
    },
    /// A master is to announce its addresses once more, since another has been heard that might have misled hosts
    /// (keepalived's `garp_lower_prio_*`).
    Reannounce {
        /// Which.
        router: RouterId,
    },
    /// The effective priority has changed.
    Priority {
        /// Whose.
        router: RouterId,
        /// What it was,
        from: u8,
        /// and is.
        to: u8,
        /// The object that changed it.
        because: Option<Object>,
    },
    /// A master has heard another one of lower priority (keepalived's `MASTER_RX_LOWER_PRI`).
    Rival {
        /// Who heard it.
        router: RouterId,
        /// The other one.
        from: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Something is wrong with what comes from a neighbour. Each kind is told once until the state or the master
    /// changes.
    Trouble {
        /// Who heard it.
        router: RouterId,
        /// The neighbour.
        from: IpAddr,
        /// What.
        trouble: Trouble,
    },
}

/// Why a virtual router is in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It has begun.
    Started,
    /// It owns the addresses (priority 255).
    Owner,
    /// No master has been heard since the start.
    Alone {
        /// For how long it was listened.
        waited: Duration,
    },
    /// The master has not been heard for too long.
    Silence {
        /// The master.
        master: IpAddr,
        /// Its priority.
        priority: u8,
        /// For how long it was listened.
        waited: Duration,
    },
    /// The master has stepped down (an advertisement of priority 0).
    Released {
        /// The master.
        master: IpAddr,
    },
    /// The master has a lower priority than we.
    Preempted {
        /// The master.
        master: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: u8,
    },
    /// Another one has a higher priority, or the same and a higher address.
    Outranked {
        /// The other one.
        by: IpAddr,
        /// Its priority.
        priority: u8,
        /// Ours.
        ours: u8,
    },
    /// It follows its group.
    Group {
        /// The group's name,
        group: String,
        /// and the member that the group follows, unless it is the whole.
        member: Option<String>,
    },
    /// Something that must be good is not.
    Faults(Vec<Cause>),
    /// All that must be good is so again.
    Recovered,
    /// The process was kept from running for so long that another one may have taken over.
    Late {
        /// For how long after it should have sent.
        by: Duration,
    },
    /// A reload has changed it so that it begins anew.
    Reloaded,
    /// It has been stopped.
    Stopped,
    /// A reload has removed it.
    Deleted,
}

/// What puts a virtual router in fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// A watched object without weight is bad.
    Object(Object),
    /// A watched object without weight, reversed, is good.
    Reversed(Object),
    /// A file's number is so low that the priority would be below all others (-254 or less).
    FileTooLow(Object),
    /// The host has no address that advertisements could be sent from.
    NoSource,
}

/// What is wrong with an advertisement that came. The first ones keep it from counting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// It is dropped.
    Rejected(crate::packet::Reject),
    /// It counts all the same.
    Noted(crate::packet::Note),
    /// It comes from our own address, and is not ours: two hosts have the same address.
    OurAddress {
        /// The priority in it, which is ours.
        priority: u8,
    },
    /// Two routers own the addresses (priority 255).
    TwoOwners,
    /// A backup does not take over from this master of lower priority yet, but will when it has been silent: it is
    /// ignored.
    Lower {
        /// The priority in it.
        priority: u8,
        /// Ours.
        ours: u8,
    },
}
