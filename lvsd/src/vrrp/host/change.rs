//! What comes of asking the kernel to add or to remove something.
//!
//! Problem: a virtual router takes over and gives up in whatever state the host is, after a crash or an administrator's
//! intervention as well.
//!
//! Rule: what is there already, or is gone already, is no failure, but is told apart from what was just done.

use std::fmt;
use std::io;

use super::names::UnknownName;

/// What came of a request that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was added, or removed.
    Made,
    /// It was there, or not there, before.
    Already,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What it was about, in the words of the configuration.
    pub(crate) what: String,
    /// Why it failed.
    pub(crate) why: Why,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Why {
    /// There is no interface of this name.
    NoInterface(String),
    /// The interface of this name is no VRF.
    NoVrf(String),
    /// A name in it stands for nothing.
    Name(UnknownName),
    /// A word in it means nothing here; in plain words.
    Word(String),
    /// Another one, which excludes it, is in its place.
    Taken,
    /// The kernel refused it.
    Kernel(io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface(name) => write!(f, "there is no interface {name:?}"),
            Self::NoVrf(name) => write!(f, "{name:?} is no VRF"),
            Self::Name(unknown) => unknown.fmt(f),
            Self::Word(text) => f.write_str(text),
            Self::Taken => f.write_str("another one is in its place already"),
            Self::Kernel(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::Kernel(error) => Some(error),
            Why::Name(unknown) => Some(unknown),
            _ => None,
        }
    }
}

impl From<UnknownName> for Why {
    fn from(unknown: UnknownName) -> Self {
        Self::Name(unknown)
    }
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}
