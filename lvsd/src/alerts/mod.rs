//! What tells people and scripts that something happened.

use crate::keepalived::model::Command;

/// Something that happened, in all the forms in which it is told. Told in the order in which it is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Alert {
    /// What it is about, such as a server of a service: scripts about the same thing run one after the other, never side by side.
    pub about: String,
    /// The script to run.
    pub script: Option<Script>,
    /// A line for the pipes of services and servers, without its end.
    pub line: Option<String>,
    /// A mail to everybody who gets mails.
    pub mail: Option<Mail>,
}

/// A script to run, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Script {
    /// Which.
    pub command: Command,
    /// Variables for its environment, besides the daemon's own.
    pub environment: Vec<(&'static str, String)>,
}

/// A mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Mail {
    /// Without our name, which is put before it in brackets.
    pub subject: String,
    /// The text.
    pub body: String,
}
