//! lvs-sched
#![warn(missing_docs)]
