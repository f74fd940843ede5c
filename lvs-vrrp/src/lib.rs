//! lvs-vrrp
#![warn(missing_docs)]
