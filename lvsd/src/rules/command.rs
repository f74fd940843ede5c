//! ipvsadm's commands, one at a time, as a program that is told them by ipvsadm's users must take them.
//!
//! Unlike a rule file, which counts as a whole and is explained when it is wrong, a command is read as ipvsadm itself
//! reads it, down to its defaults, its messages and its exit status.

use std::fmt;

use lvs_core::{Endpoint, ServiceKey};

use super::{Names, ServerRule, ServiceRule};

/// A command of ipvsadm that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `-A`: the service has no servers yet.
    AddService(ServiceRule),
    /// `-E`: everything about the service is replaced, by defaults where nothing is said. Its servers stay.
    EditService(ServiceRule),
    /// `-D`
    DeleteService(ServiceKey),
    /// `-a`
    AddServer(ServiceKey, ServerRule),
    /// `-e`: everything about the server is replaced, by defaults where nothing is said.
    EditServer(ServiceKey, ServerRule),
    /// `-d`
    DeleteServer(ServiceKey, Endpoint),
    /// `-C`: everything is deleted.
    Flush,
    /// `-Z`: the statistics of one service, or all, begin anew.
    Zero(Option<ServiceKey>),
    /// `--set`
    SetTimeouts(SetTimeouts),
}

/// Timeouts in seconds, at most 31 days; 0 leaves what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "ipvsadm's three")]
pub struct SetTimeouts {
    /// Of established TCP connections.
    pub tcp: u32,
    /// Of TCP connections that a FIN was seen of.
    pub tcp_fin: u32,
    /// Of UDP.
    pub udp: u32,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandError {
    /// ipvsadm's exit status: 2 for a wrong value or combination, 255 for a line that is no command or that the kernel
    /// would refuse.
    pub exit: u8,
    /// What ipvsadm says, without its name before it.
    pub message: String,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

/// Reads ipvsadm's arguments, without the program's name.
///
/// # Errors
///
/// What ipvsadm would say, and its exit status. Commands that change nothing (listings) are refused too.
pub fn parse_command(words: &[&str], _names: &dyn Names) -> Result<Command, CommandError> {
    let message = format!("not read yet: {}", words.join(" "));
    Err(CommandError { exit: 255, message })
}
