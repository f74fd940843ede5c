//! Flags of schedulers (ipvsadm: `-b`).
//!
//! IPVS knows three bits, and names two of them after the scheduler where they mean something to it.

use std::fmt;

/// The flags of one service's scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SchedulerFlags(u8);

/// Why a flag is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "ipvsadm has these two messages")]
pub enum BadFlag {
    /// There is no such flag.
    Unknown,
    /// It belongs to another scheduler.
    Incompatible,
}

/// Names that mean the same to every scheduler.
const GENERIC: [&str; 3] = ["flag-1", "flag-2", "flag-3"];

/// The first two bits' names for the schedulers they mean something to.
const SPECIFIC: [(&str, [&str; 2]); 2] = [
    ("sh", ["sh-fallback", "sh-port"]),
    ("mh", ["mh-fallback", "mh-port"]),
];

impl SchedulerFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// These flags and the one of this name, for this scheduler.
    ///
    /// # Errors
    ///
    /// There is no such flag, or not for this scheduler.
    pub fn with(self, name: &str, scheduler: &str) -> Result<Self, BadFlag> {
        if let Some(bit) = GENERIC.iter().position(|n| *n == name) {
            return Ok(Self(self.0 | 1 << bit));
        }
        for (owner, names) in SPECIFIC {
            if let Some(bit) = names.iter().position(|n| *n == name) {
                return match owner == scheduler {
                    true => Ok(Self(self.0 | 1 << bit)),
                    false => Err(BadFlag::Incompatible),
                };
            }
        }
        Err(BadFlag::Unknown)
    }

    /// The names of the flags that are set, as ipvsadm lists them for this scheduler: the third bit has no name where
    /// the others have one of their own.
    pub fn names(self, scheduler: &str) -> Vec<&'static str> {
        let own = SPECIFIC.iter().find(|(owner, _)| *owner == scheduler);
        let names: &[&'static str] = match own {
            Some((_, names)) => names,
            None => &GENERIC,
        };
        let is_set = |bit: usize| self.0 & 1 << bit != 0;
        (0..)
            .zip(names)
            .filter(|(bit, _)| is_set(*bit))
            .map(|(_, n)| *n)
            .collect()
    }

    /// The names of all flags that are set, such that [`with`](Self::with) makes the same of them.
    pub(super) fn all_names(self, scheduler: &str) -> Vec<&'static str> {
        let mut names = self.names(scheduler);
        if self.with("flag-3", scheduler) == Ok(self) && !names.contains(&"flag-3") {
            names.push("flag-3");
        }
        names
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags as bits: 1, 2 and 4.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for BadFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "invalid scheduler flag",
            Self::Incompatible => "incompatible scheduler flag",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_has_the_schedulers_own_name() {
        let none = SchedulerFlags::NONE;
        let both = none
            .with("sh-port", "sh")
            .unwrap()
            .with("sh-fallback", "sh")
            .unwrap();
        assert_eq!(both.names("sh"), ["sh-fallback", "sh-port"]);
        assert_eq!(both.names("wrr"), ["flag-1", "flag-2"]);
        let third = none.with("flag-3", "mh").unwrap();
        assert!(third.names("mh").is_empty() && !third.is_empty());
        assert_eq!(third.all_names("mh"), ["flag-3"]);
        assert_eq!(third.all_names("wlc"), ["flag-3"]);
        assert_eq!(both.all_names("sh"), ["sh-fallback", "sh-port"]);
        assert_eq!(third.names("wlc"), ["flag-3"]);
        assert_eq!(none.with("sh-port", "mh"), Err(BadFlag::Incompatible));
        assert_eq!(none.with("mh-port", "wlc"), Err(BadFlag::Incompatible));
        assert_eq!(none.with("sh-", "sh"), Err(BadFlag::Unknown));
    }
}
