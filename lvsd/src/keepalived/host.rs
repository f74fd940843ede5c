//! What a configuration is checked against: the host it is for.
//!
//! Problem: whether a script can be run or an interface exists depends on the host, and tests, fuzzers and people who check a file
//! for another host must not depend on theirs.
//!
//! Rule: whatever is asked of the host is asked here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

mod fake;
mod system;

pub use fake::FakeHost;
pub use system::SystemHost;

/// A host's answers.
pub trait Host {
    /// The content of a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no regular file (a pipe or a device would make us wait, or never end), or has more than `most` bytes.
    fn read(&self, path: &Path, most: usize) -> io::Result<Vec<u8>>;

    /// What is known about a path, symbolic links followed.
    ///
    /// # Errors
    ///
    /// There is nothing, or it cannot be looked at.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// The path without symbolic links.
    ///
    /// # Errors
    ///
    /// There is nothing, or it cannot be looked at.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    ///
    /// It is none, or cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// A user's number and group's number, by name or number.
    fn user(&self, name: &str) -> Option<(u32, u32)>;

    /// A group's number, by name or number.
    fn group(&self, name: &str) -> Option<u32>;

    /// An address of a host name.
    fn resolve(&self, name: &str, port: u16) -> Option<SocketAddr>;

    /// The interfaces with their addresses; `None` if they are not known, so that nothing is said about them.
    fn interfaces(&self) -> Option<Vec<Interface>>;

    /// A variable of the environment.
    fn environment(&self, name: &str) -> Option<String>;

    /// The host's name.
    fn name(&self) -> String;

    /// A random number, for `${_RANDOM}` without a seed.
    fn random(&self) -> u64;
}

/// What is known about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// A folder.
    pub folder: bool,
    /// A regular file.
    pub file: bool,
    /// Mode bits, 12 of them.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// An interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The addresses on it, with their prefixes' lengths.
    pub addrs: Vec<(IpAddr, u8)>,
    /// Whether it is a loopback interface.
    pub loopback: bool,
}
