//! The typed configuration: what a file says once every word has been understood.
//!
//! Values are resolved as far as keepalived resolves them: a server has its service's defaults, a checker its server's.
//! Names of interfaces, users and scripts are as written, since they are looked up where they are used.

mod addresses;
mod instance;
mod routing;
mod service;
mod tracking;
mod vrrp;

pub use addresses::*;
pub use instance::*;
pub use routing::*;
pub use service::*;
pub use tracking::*;
pub use vrrp::*;

use super::place::Span;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `global_defs`.
    pub global: Global,
    /// `virtual_server` blocks, as the file has them: no two share a service.
    pub services: Vec<VirtualServer>,
    /// VRRP, and what it tracks.
    pub vrrp: Vrrp,
}

/// A value with the place that it comes from; compared without.
#[derive(Clone, Copy, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The place.
    pub span: Span,
}

impl<T> At<T> {
    /// A value from a place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for At<T> {}

impl<T: std::hash::Hash> std::hash::Hash for At<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A program that is run on an event or as a check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Command {
    /// The program and its arguments, at least the program.
    pub argv: Vec<String>,
    /// The user and group named for it; `None`: `script_user`.
    pub user: Option<User>,
    /// Where it is written.
    pub span: At<()>,
}

/// Whom a script runs as, by names or numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// The user.
    pub user: String,
    /// The group; `None`: the user's.
    pub group: Option<String>,
    /// Also set the user's supplementary groups (a leading `:` of the group).
    pub supplementary: bool,
}
