//! What the tests here share.

use std::net::Ipv4Addr;

use lvs_core::Protocol;

use crate::rules::Names;

/// Only schedulers have names.
#[derive(Debug)]
pub(super) struct NoNames;

impl Names for NoNames {
    fn has_scheduler(&self, name: &str) -> bool {
        lvs_sched::build(name).is_some()
    }

    fn host(&self, _: &str) -> Result<Ipv4Addr, String> {
        Err("no names here".to_owned())
    }

    fn port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }
}
