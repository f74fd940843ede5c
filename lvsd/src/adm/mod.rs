//! ipvsadm: its commands carried out, and everything that it prints.
//!
//! | module | holds |
//! |---|---|
//! | [`front`] | command lines: read, carried out by asking the daemon, answered as ipvsadm answers |
//! | [`execute`] | in the daemon: a command becomes a change of the configuration, or is refused as the kernel refuses it |
//! | [`listing`] | services, servers and their counts as ipvsadm lists them |
//! | `connections` | connections as ipvsadm lists them |
//! | [`names`] | hosts and ports by name where they have one |
//! | [`save`] | the table as commands that make it again |
//! | `restore` | such commands from a file, all at once |
//! | `wrappers` | the scripts that come with ipvsadm |
//! | [`diff`] | what a file would change if it were restored |
//! | `json` | all of it for programs |
//! | `help` | what can be said |

mod connections;
pub mod diff;
pub mod execute;
pub mod front;
mod help;
mod json;
pub mod listing;
pub mod names;
mod restore;
pub mod save;
mod wrappers;

#[cfg(test)]
mod tests;

pub use front::{run, run_ours, run_restore, run_save};
