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

mod priority;

pub use priority::{Assessment, assess};
