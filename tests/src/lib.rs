//! Kit of the end-to-end tests: a virtual LAN in network namespaces, and real programs on it.
//!
//! A test builds a [`Lan`] from a [`Plan`], starts servers on it ([`Lan::web`], [`Lan::echo`]), puts
//! [`Lvsd`] on the director with [`Rules`], and then asks as a client would. Everything is undone when
//! its guard is dropped, also after a panic, and each test has namespaces of its own, so that tests may
//! run side by side.
//!
//! The tests need root and the tools that `scripts/test` installs. Without them they fail and say what
//! is missing; none is ever skipped.
//!
//! | module | holds |
//! |---|---|
//! | [`command`] | running programs to their end |
//! | [`process`] | programs that run beside the test |
//! | [`node`] | one host: a network namespace |
//! | [`lan`] | hosts, switches and addresses |
//! | [`rules`] | rule files for lvsd |
//! | [`daemon`] | lvsd itself |
//! | [`health`] | services in keepalived's language, and who is in their lists |
//! | [`certificate`] | certificates, good and expired |
//! | [`mail`], [`names`] | SMTP and DNS servers |
//! | [`faulty`] | servers that misbehave |
//! | [`traffic`] | web and echo servers, and their clients |
//! | [`capture`] | what was seen on the wire |
//! | [`vrrp`] | director pairs: lvsd or keepalived on either side |

pub mod capture;
pub mod certificate;
pub mod command;
pub mod daemon;
pub mod faulty;
pub mod health;
pub mod lan;
pub mod mail;
pub mod names;
pub mod node;
pub mod process;
pub mod rules;
pub mod traffic;
pub mod vrrp;

pub use capture::Capture;
pub use certificate::Authority;
pub use daemon::Lvsd;
pub use faulty::{Conduct, Faulty, http};
pub use lan::{Family, Lan, Plan};
pub use node::Node;
pub use process::Process;
pub use rules::{Method, Rules};
pub use traffic::{UdpAsk, spread};

/// Makes of `fn story(Method, Family)` eight tests, one for each method and IP version.
#[macro_export]
macro_rules! for_each_method {
    ($($story:ident)+) => {$(
        mod $story {
            use $crate::{Family, Method};
            $crate::for_each_method!(@ $story
                nat_ipv4 Nat V4, nat_ipv6 Nat V6, dr_ipv4 Dr V4, dr_ipv6 Dr V6,
                tun_ipv4 Tun V4, tun_ipv6 Tun V6, fullnat_ipv4 FullNat V4, fullnat_ipv6 FullNat V6);
        }
    )+};
    (@ $story:ident $($name:ident $method:ident $family:ident),+) => {$(
        #[test]
        fn $name() {
            super::$story(Method::$method, Family::$family);
        }
    )+};
}
