//! The routers that a virtual router has heard, and what has been said of them.
//!
//! Everybody on the link can send anything, so what is remembered is bounded, and those that were heard rightly are forgotten last.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::Time;
use crate::event::Trouble;
use crate::packet::Advertisement;
use crate::status::{PeerStatus, RouterStatus};

#[derive(Clone, Debug, Default)]
pub(super) struct Neighbours {
    peers: Vec<PeerStatus>,
    /// Whose trouble of which kind has been told.
    told: HashSet<(IpAddr, Kind)>,
    /// What has been told of the advertisement that is being looked at.
    just_told: Vec<(IpAddr, Kind)>,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Rejected(usize),
    Noted(usize),
    OurAddress,
    TwoOwners,
    Lower,
}

impl Neighbours {
    /// Troubles that are told until all are told anew.
    const MAX_TOLD: usize = 64;

    pub(super) fn heard(&mut self, advert: &Advertisement, now: Time) {
        let peer = self.peer(advert.from, now);
        peer.priority = advert.priority;
        peer.interval = advert.interval;
        peer.heard = now;
        peer.count += 1;
    }

    /// There is trouble with one of them. True: it is to be told.
    pub(super) fn troubled(&mut self, from: IpAddr, trouble: &Trouble, now: Time) -> bool {
        self.peer(from, now).trouble = Some((trouble.clone(), now));
        let key = (from, Kind::of(trouble));
        let tell = self.told.len() < Self::MAX_TOLD && self.told.insert(key);
        if tell {
            self.just_told.push(key);
        }
        tell
    }

    /// Everything may be told once more, except what the same advertisement has just been told of.
    pub(super) fn tell_anew(&mut self) {
        self.told.clear();
        self.told.extend(&self.just_told);
    }

    /// The advertisement has been looked at.
    pub(super) fn done(&mut self) {
        self.just_told.clear();
    }

    pub(super) fn list(&self) -> Vec<PeerStatus> {
        self.peers.clone()
    }

    fn peer(&mut self, addr: IpAddr, now: Time) -> &mut PeerStatus {
        let known = self.peers.iter().position(|p| p.addr == addr);
        let place = known.unwrap_or_else(|| {
            if self.peers.len() >= RouterStatus::MAX_PEERS {
                self.forget_one();
            }
            self.peers.push(PeerStatus {
                addr,
                priority: 0,
                interval: Duration::ZERO,
                heard: now,
                count: 0,
                trouble: None,
            });
            self.peers.len() - 1
        });
        &mut self.peers[place]
    }

    fn forget_one(&mut self) {
        let worst = self.peers.iter().enumerate();
        let worst = worst.min_by_key(|(_, peer)| (peer.count > 0, peer.heard));
        if let Some((place, _)) = worst {
            self.peers.remove(place);
        }
    }
}

impl Kind {
    const fn of(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Rejected(reject) => Self::Rejected(reject.kind()),
            Trouble::Noted(note) => Self::Noted(note.kind()),
            Trouble::OurAddress { .. } => Self::OurAddress,
            Trouble::TwoOwners => Self::TwoOwners,
            Trouble::Lower { .. } => Self::Lower,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
    }

    fn advert(from: u8) -> Advertisement {
        Advertisement {
            from: address(from),
            vrid: 1,
            priority: from,
            interval: Duration::from_secs(1),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn strangers_do_not_drive_out_who_was_heard_rightly() {
        let mut all = Neighbours::default();
        let now = Duration::from_secs;
        all.heard(&advert(1), now(1));
        all.heard(&advert(2), now(2));
        for n in 3..200 {
            all.troubled(address(n), &Trouble::TwoOwners, now(n.into()));
        }
        let list = all.list();
        assert_eq!(list.len(), RouterStatus::MAX_PEERS);
        assert_eq!((list[0].addr, list[0].count), (address(1), 1));
        assert_eq!(list[1].priority, 2);
        assert_eq!(list.last().map(|p| p.addr), Some(address(199)));
        // Among those, whoever has been silent for longest goes.
        for n in 3..=33 {
            all.heard(&advert(n), now(300 + u64::from(n)));
        }
        assert!(all.list().iter().all(|p| p.addr != address(1)));
        assert_eq!(all.list()[0].addr, address(2));
    }

    #[test]
    fn trouble_is_told_once_each_kind_and_neighbour() {
        let mut all = Neighbours::default();
        let lower = |priority| Trouble::Lower { priority, ours: 9 };
        let now = Time::ZERO;
        assert!(all.troubled(address(1), &lower(1), now));
        assert!(!all.troubled(address(1), &lower(2), now));
        assert!(all.troubled(address(1), &Trouble::TwoOwners, now));
        assert!(all.troubled(address(2), &lower(1), now));
        assert_eq!(all.list()[0].trouble, Some((Trouble::TwoOwners, now)));
        all.tell_anew();
        assert!(!all.troubled(address(1), &lower(1), now));
        all.done();
        all.tell_anew();
        assert!(all.troubled(address(1), &lower(1), now));
        for n in 0..=255 {
            all.troubled(address(n), &Trouble::TwoOwners, now);
        }
        assert!(all.told.len() <= Neighbours::MAX_TOLD);
    }
}
