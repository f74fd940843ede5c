//! What stands for TLS in a build without it: no session can be had.

use std::net::IpAddr;

use super::{Failure, Probe, Reason};
use crate::check;

/// Has nothing to share.
#[derive(Debug, Default)]
pub(super) struct Library;

impl Library {
    pub(super) fn session(&mut self, _: &check::Tls, _: IpAddr) -> Result<Session, Failure> {
        let detail = "this build has no TLS (feature `tls`)";
        Err(Failure::new(Reason::Local, detail))
    }
}

/// There is none.
#[derive(Clone, Debug)]
pub(super) enum Session {}

impl Session {
    pub(super) fn wrap<P: Probe>(&self, _: P) -> P {
        match *self {}
    }
}
