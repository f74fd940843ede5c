//! What a virtual router watches, and what that does to it.
//!
//! Problem: whether a router takes part, and with which priority, depends on things that change at any time and in any order:
//! scripts, files, processes, links. Sums that are added to and taken from drift from the truth with the first event that is
//! counted twice, most of all over reloads.
//!
//! Rule: nothing is summed up over time. From how everything is now, [`assess`] says what the priority is, and why.
//!
//! How a thing is follows from what is seen of it by a machine of its own kind, which keeps a single failure, or a moment's
//! absence, from counting where it should not:
//!
//! | module | from | to |
//! |---|---|---|
//! | `priority` | how all that it watches is | the priority and its parts, the faults |
//! | `script` | how its runs end | whether it is good; when it is started, ended, killed |
//! | `file` | its content | a number |
//! | `process` | how many there are | whether that is good |
//! | `link` | whether it is up and running | whether it is good |
//! | `debounce` | what is seen now | what counts |

mod debounce;
mod file;
mod link;
mod priority;
mod process;
mod script;

pub use file::Reading;
pub use link::{Link, LinkDelays};
pub use priority::{Assessment, assess};
pub use process::{ProcessRules, Processes};
pub use script::{Action, Script, ScriptRules};

use crate::status::ObjectState;

/// How something is that is good or bad, if that is known.
fn state(good: Option<bool>) -> ObjectState {
    match good {
        None => ObjectState::Unknown,
        Some(true) => ObjectState::Good,
        Some(false) => ObjectState::Bad,
    }
}
