//! Routes and rules that somebody takes away.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

use lvs_vrrp::io::netlink::{Connection, Message};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::host::routes::PROTOCOL;

/// RTNLGRP_IPV4_ROUTE, IPV4_RULE, IPV6_ROUTE, IPV6_RULE.
const GROUPS: [u32; 4] = [7, 8, 11, 19];

/// Tells of them.
#[derive(Debug)]
pub(super) struct Routing(Connection);

impl Routing {
    /// Tells of those of the calling thread's network namespace; the registry says when to look.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let events = Connection::subscribe(&GROUPS)?;
        let fd = events.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        Ok(Self(events))
    }

    /// Whether something has gone since it was asked last that may be ours.
    pub(super) fn has_lost(&mut self) -> bool {
        let mut lost = false;
        loop {
            match self.0.notifications(|m| lost |= is_loss(m)) {
                Ok(true) => {}
                Ok(false) => return lost,
                // Too much has changed to be told.
                Err(_) => lost = true,
            }
        }
    }
}

fn is_loss(message: Message<'_>) -> bool {
    /// Where a route's message says who made it (`struct rtmsg`).
    const MAKER: usize = 5;
    match message.kind() {
        libc::RTM_DELROUTE => message.payload().get(MAKER) == Some(&PROTOCOL),
        libc::RTM_DELRULE => true, // who made it is deeper inside, and rules are few
        _ => false,
    }
}
