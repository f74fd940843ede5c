//! Virtual routers of every kind, side by side on one pair of directors: each lives through what the pair lives through, and
//! the slow ones wait together.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::lan::Family;
use crate::vrrp::Place;

/// What its adverts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Version 2 without authentication.
    V2,
    /// Version 2 with a password in clear.
    V2Pass,
    /// Version 2 with an authentication header.
    V2Ah,
    /// Version 3 over IPv4.
    V3,
    /// Version 3 over IPv6.
    V3Ipv6,
}

/// Who they are sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// The group.
    Multicast,
    /// The other director.
    Unicast,
}

/// Who shall be master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The first director, whenever it is there.
    Preempt,
    /// The first director, but it takes nothing from a master that lives.
    NoPreempt,
    /// The first director, so long after it has found the other one.
    Delayed(Duration),
    /// Both alike: who is master remains so, and of two the one with the higher address.
    Even,
    /// The first director owns the address.
    Owner,
}

/// A virtual router. Its VRID tells it from the others of its fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// VRID.
    pub vrid: u8,
    /// Its adverts.
    pub flavour: Flavour,
    /// Their way.
    pub cast: Cast,
    /// Its election.
    pub rule: Rule,
    /// Time between adverts.
    pub interval: Duration,
    /// It has a virtual MAC.
    pub vmac: bool,
}

/// The virtual routers of all these flavours, sent both ways, with all these rules.
pub fn fleet(flavours: &[Flavour], rules: &[Rule], interval: Duration) -> Vec<Router> {
    let mut vrids = 1..=255;
    let mut routers = Vec::new();
    for &flavour in flavours {
        for cast in [Cast::Multicast, Cast::Unicast] {
            for &rule in rules {
                routers.push(Router {
                    vrid: vrids.next().expect("fewer than 255"),
                    flavour,
                    cast,
                    rule,
                    interval,
                    vmac: false,
                });
            }
        }
    }
    routers
}

impl Router {
    /// IPv4 or IPv6.
    pub fn family(&self) -> Family {
        match self.flavour {
            Flavour::V3Ipv6 => Family::V6,
            _ => Family::V4,
        }
    }

    /// The name of its `vrrp_instance`.
    pub fn name(&self) -> String {
        format!("V{}", self.vrid)
    }

    /// Its virtual address.
    pub fn vip(&self) -> IpAddr {
        match self.family() {
            Family::V4 => Ipv4Addr::new(10, 9, 0, 100 + self.vrid).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 1, self.vrid.into()).into(),
        }
    }

    /// 2 or 3.
    pub fn version(&self) -> u8 {
        match self.flavour {
            Flavour::V3 | Flavour::V3Ipv6 => 3,
            _ => 2,
        }
    }

    /// Its priority on one of the directors.
    pub fn priority(&self, place: Place) -> u8 {
        match (self.rule, place) {
            (Rule::Owner, Place::First) => 255,
            (Rule::Even, _) | (_, Place::Second) => 100,
            (_, Place::First) => 150,
        }
    }

    /// Its virtual MAC.
    pub fn mac(&self) -> [u8; 6] {
        let family = match self.family() {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        [0, 0, 0x5e, 0, family, self.vrid]
    }

    /// The `vrrp_instance` of one director; `lines` go into it.
    pub fn block(&self, place: Place, lines: &str) -> String {
        let Self { vrid, interval, .. } = self;
        let owner = self.rule == Rule::Owner && place == Place::First;
        let mut text = format!(
            "vrrp_instance V{vrid} {{\n state {}\n interface eth0\n version {}\n virtual_router_id {vrid}\n \
             priority {}\n advert_int {}\n",
            if owner { "MASTER" } else { "BACKUP" },
            self.version(),
            self.priority(place),
            interval.as_secs_f64(),
        );
        text += match self.flavour {
            Flavour::V2Pass => " authentication {\n  auth_type PASS\n  auth_pass s3cret\n }\n",
            Flavour::V2Ah => " authentication {\n  auth_type AH\n  auth_pass s3cret\n }\n",
            Flavour::V2 | Flavour::V3 | Flavour::V3Ipv6 => "",
        };
        // Writing to a string cannot fail.
        if self.cast == Cast::Unicast {
            let [own, peer] = [place, place.other()].map(|p| director(p, self.family()));
            let _ = write!(
                text,
                " unicast_src_ip {own}\n unicast_peer {{\n  {peer}\n }}\n"
            );
        }
        if self.vmac {
            text += " use_vmac\n";
        }
        match self.rule {
            Rule::NoPreempt => text += " nopreempt\n",
            Rule::Delayed(delay) => {
                let _ = writeln!(text, " preempt_delay {}", delay.as_secs_f64());
            }
            Rule::Preempt | Rule::Even | Rule::Owner => {}
        }
        text + &format!(" virtual_ipaddress {{\n  {}\n }}\n{lines}}}\n", self.vip())
    }
}

/// A director's own address.
pub fn director(place: Place, family: Family) -> IpAddr {
    let n = match place {
        Place::First => 1,
        Place::Second => 3,
    };
    match family {
        Family::V4 => Ipv4Addr::new(10, 9, 0, n).into(),
        Family::V6 => Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, n.into()).into(),
    }
}

impl fmt::Display for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vrid,
            flavour,
            cast,
            rule,
            ..
        } = self;
        write!(f, "VRID {vrid} ({flavour:?}, {cast:?}, {rule:?})")
    }
}
