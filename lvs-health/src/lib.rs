//! lvs-health
#![warn(missing_docs)]
