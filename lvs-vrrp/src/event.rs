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

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("it has been started"),
            Self::Owner => f.write_str("it owns the addresses (priority 255)"),
            Self::Alone { waited } => {
                write!(f, "no advertisement from anybody for {}", Seconds(*waited))
            }
            Self::Silence {
                master,
                priority,
                waited,
            } => write!(
                f,
                "no advertisement from {master} (priority {priority}) for {}",
                Seconds(*waited)
            ),
            Self::Released { master } => write!(f, "{master} has stepped down (priority 0)"),
            Self::Preempted {
                master,
                priority,
                ours,
            } => write!(
                f,
                "the master {master} has priority {priority}, below our {ours}"
            ),
            Self::Outranked { by, priority, ours } if priority == ours => write!(
                f,
                "{by} is master with our priority {ours} and a higher address"
            ),
            Self::Outranked { by, priority, ours } => {
                write!(
                    f,
                    "{by} is master with priority {priority}, above our {ours}"
                )
            }
            Self::Group { group, member } => {
                write!(f, "it follows ")?;
                if let Some(member) = member {
                    write!(f, "{} in ", member.escape_debug())?;
                }
                write!(f, "its sync group {}", group.escape_debug())
            }
            Self::Faults(causes) => {
                for (i, cause) in causes.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{cause}")?;
                }
                Ok(())
            }
            Self::Recovered => f.write_str("all that must be good is so again"),
            Self::Late { by } => write!(
                f,
                "this process was kept from advertising for {}: another may have taken over",
                Seconds(*by)
            ),
            Self::Reloaded => f.write_str("a reload has changed what it is: it begins anew"),
            Self::Stopped => f.write_str("it has been stopped"),
            Self::Deleted => f.write_str("a reload has removed it"),
        }
    }
}

/// A time as people read it.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0 < Duration::from_secs(1) {
            3
        } else {
            2
        };
        write!(f, "{:.digits$} s", self.0.as_secs_f64())
    }
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

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(Object::Interface(name)) => {
                write!(f, "interface {} is down", name.escape_debug())
            }
            Self::Object(Object::Director(name)) => {
                let name = name.escape_debug();
                write!(
                    f,
                    "the director does not work on interface {name}, which was not there, or not up, when it started: restart it"
                )
            }
            Self::Object(object) => write!(f, "{object} is bad"),
            Self::Reversed(object) => write!(f, "{object} is good, and counts in reverse"),
            Self::FileTooLow(object) => write!(f, "{object} leaves nothing of the priority"),
            Self::NoSource => f.write_str("there is no address to send from"),
        }
    }
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

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(reject) => write!(f, "dropped: {reject}"),
            Self::Noted(note) => write!(f, "{note}"),
            Self::OurAddress { priority } => write!(
                f,
                "an advertisement with our own address and priority {priority} that is not ours: two hosts have this address"
            ),
            Self::TwoOwners => f.write_str("it owns the addresses (priority 255), and so do we"),
            Self::Lower { priority, ours } => write!(
                f,
                "it is master with priority {priority}, below our {ours}: not followed, we take over when its time is up"
            ),
        }
    }
}

impl Trouble {
    /// What to do about it, in one sentence.
    pub const fn cure(&self) -> Option<&'static str> {
        match self {
            Self::Rejected(reject) => Some(reject.cure()),
            Self::Noted(note) => Some(note.cure()),
            Self::OurAddress { .. } => Some("Give each host an address of its own."),
            Self::TwoOwners => Some("Give one router only the priority 255."),
            Self::Lower { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn reasons_are_one_clear_line() {
        let master = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
        let script = |name: &str| Object::Script(name.to_owned());
        let rows = [
            (
                Why::Silence {
                    master,
                    priority: 150,
                    waited: Duration::from_micros(3_609_375),
                },
                "no advertisement from 10.0.0.2 (priority 150) for 3.61 s",
            ),
            (
                Why::Alone {
                    waited: Duration::from_micros(36_093),
                },
                "no advertisement from anybody for 0.036 s",
            ),
            (
                Why::Outranked {
                    by: master,
                    priority: 150,
                    ours: 100,
                },
                "10.0.0.2 is master with priority 150, above our 100",
            ),
            (
                Why::Outranked {
                    by: master,
                    priority: 100,
                    ours: 100,
                },
                "10.0.0.2 is master with our priority 100 and a higher address",
            ),
            (
                Why::Faults(vec![
                    Cause::Object(Object::Interface("eth0".to_owned())),
                    Cause::Object(script("a\nb")),
                    Cause::Reversed(script("spare")),
                    Cause::NoSource,
                ]),
                "interface eth0 is down, script a\\nb is bad, script spare is good, and counts in reverse, \
                 there is no address to send from",
            ),
            (
                Why::Group {
                    group: "G".to_owned(),
                    member: Some("inside".to_owned()),
                },
                "it follows inside in its sync group G",
            ),
            (
                Why::Group {
                    group: "G".to_owned(),
                    member: None,
                },
                "it follows its sync group G",
            ),
        ];
        for (why, line) in rows {
            assert_eq!(why.to_string(), line);
        }
    }
}
