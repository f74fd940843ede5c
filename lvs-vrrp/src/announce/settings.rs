//! How often, and how closely, addresses are announced.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::lane::{Kind, LaneKey, Path};

/// How a master announces its addresses (keepalived's `garp_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Settings {
    /// From the first burst to the second (`garp_master_delay`); zero: there is none.
    pub delay: Duration,
    /// Announcements of each address a burst (`garp_master_repeat`).
    pub repeat: u32,
    /// From one repetition to the next while master (`garp_master_refresh`); zero: none.
    pub refresh: Duration,
    /// Announcements of each address then (`garp_master_refresh_repeat`).
    pub refresh_repeat: u32,
    /// From the burst after a rival to the one after that (`garp_lower_prio_delay`); zero: there is none.
    pub lower_delay: Duration,
    /// Announcements of each address in both (`garp_lower_prio_repeat`); 0: none.
    pub lower_repeat: u32,
    /// From one announcement to the next on the other interfaces that have addresses (`garp_extra_if`); zero: none.
    pub extra: Duration,
    /// On all of these, not only the virtual ones (`garp_extra_if all`).
    pub extra_all: bool,
}

impl Default for Settings {
    /// keepalived's.
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            repeat: 5,
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            lower_delay: Duration::from_secs(5),
            lower_repeat: 5,
            extra: Duration::ZERO,
            extra_all: false,
        }
    }
}

/// An address that a master holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Held {
    /// The interface that it is on: its index.
    pub interface: u32,
    /// The address.
    pub addr: IpAddr,
    /// What that interface is to the virtual router.
    pub place: Place,
}

/// What the interface of an address is to its virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are these three")]
pub enum Place {
    /// The one that advertisements go out on: they keep switches' memory of its MAC address fresh.
    Own,
    /// Another one, with a MAC address of its own.
    Other,
    /// Another one, virtual, with the virtual router's MAC address: without announcements switches forget where that is.
    OtherVirtual,
}

impl Held {
    /// Whether it counts for [`Settings::extra`].
    pub(super) const fn is_extra(&self, settings: &Settings) -> bool {
        match self.place {
            Place::Own => false,
            Place::Other => settings.extra_all,
            Place::OtherVirtual => true,
        }
    }
}

/// The least time between two announcements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Pace {
    /// Gratuitous ARPs (`vrrp_garp_interval`); zero: any.
    pub garp: Duration,
    /// Unsolicited neighbour advertisements (`vrrp_gna_interval`); zero: any.
    pub na: Duration,
}

/// The least time between announcements on interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct Spacing {
    /// On each interface that is in no group.
    pub each: Pace,
    /// On all interfaces of a group together (`garp_group`). If several have an interface, the last one counts.
    pub groups: Vec<PaceGroup>,
}

/// Interfaces that announcements go out on one after the other. To have a virtual interface take turns with the one below,
/// put both in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, made by drivers")]
pub struct PaceGroup {
    /// Their indices.
    pub interfaces: Vec<u32>,
    /// How closely.
    pub pace: Pace,
}

/// [`Spacing`], to be asked by interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    spacing: Spacing,
    group_of: BTreeMap<u32, usize>,
}

impl Lanes {
    pub(super) fn new(spacing: Spacing) -> Self {
        let mut group_of = BTreeMap::new();
        for (number, group) in spacing.groups.iter().enumerate() {
            group_of.extend(group.interfaces.iter().map(|i| (*i, number)));
        }
        Self { spacing, group_of }
    }

    /// The lane of announcements of a kind on an interface.
    pub(super) fn lane(&self, interface: u32, kind: Kind) -> LaneKey {
        let group = self.group_of.get(&interface);
        let path = group.map_or(Path::Interface(interface), |g| Path::Group(*g));
        LaneKey { path, kind }
    }

    /// The least time between two announcements of a lane.
    pub(super) fn interval(&self, lane: LaneKey) -> Duration {
        let pace = match lane.path {
            Path::Interface(_) => self.spacing.each,
            Path::Group(number) => {
                let group = self.spacing.groups.get(number);
                group.map_or(self.spacing.each, |g| g.pace)
            }
        };
        match lane.kind {
            Kind::Garp => pace.garp,
            Kind::Na => pace.na,
        }
    }

    /// The interfaces of a lane.
    pub(super) fn interfaces(&self, lane: LaneKey) -> Vec<u32> {
        match lane.path {
            Path::Interface(interface) => vec![interface],
            Path::Group(number) => {
                let group = self.spacing.groups.get(number);
                group.map(|g| g.interfaces.clone()).unwrap_or_default()
            }
        }
    }
}
