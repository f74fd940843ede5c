//! Director pairs, with lvsd or the real keepalived on either side.
//!
//! Both sides are given keepalived.conf files made by the same rules, and are judged by what can be seen from outside: which host
//! holds a virtual address, who answers for it, and what is on the wire. What two keepalived do is asked with the same tests:
//! that is the measure, and it shows that the tests are right.
//!
//! | module | holds |
//! |---|---|
//! | [`speaker`] | the program that speaks VRRP |
//! | [`fleet`] | virtual routers of every kind, and their configuration |
//! | [`pair`] | two directors that have them, and a client |
//! | [`clients`] | clients that note every gap |
//! | [`wire`] | adverts and announcements in a capture |
//! | [`remains`] | all that a namespace's kernel has been told |

pub mod clients;
pub mod fleet;
pub mod pair;
pub mod remains;
pub mod speaker;
pub mod wire;

pub use fleet::{Cast, Flavour, Router, Rule};
pub use pair::Pair;
pub use remains::Remains;
pub use speaker::{Side, Speaker};

/// Which of the two directors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// [`crate::Lan::director`], which has the lower addresses and, mostly, the higher priority.
    First,
    /// [`crate::Lan::second`].
    Second,
}

impl Place {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// The one opposite.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Every pair of programs, the first director's first.
pub const PAIRS: [[Side; 2]; 4] = [
    [Side::Keepalived, Side::Keepalived],
    [Side::Lvsd, Side::Keepalived],
    [Side::Keepalived, Side::Lvsd],
    [Side::Lvsd, Side::Lvsd],
];

/// Makes of `fn story([Side; 2])` four tests, one for each pair of programs.
#[macro_export]
macro_rules! for_each_pair {
    ($($story:ident)+) => {$(
        mod $story {
            use $crate::vrrp::PAIRS;
            $crate::for_each_pair!(@ $story
                keepalived_and_keepalived 0, lvsd_and_keepalived 1, keepalived_and_lvsd 2, lvsd_and_lvsd 3);
        }
    )+};
    (@ $story:ident $($name:ident $pair:literal),+) => {$(
        #[test]
        fn $name() {
            super::$story(PAIRS[$pair]);
        }
    )+};
}
