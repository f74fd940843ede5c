//! What is said about virtual routers: in the log, to scripts, into pipes, by mail.

use lvs_vrrp::event::{Output, RouterId};

use crate::health::Said;
use crate::keepalived::model::{Global, Instance, Vrrp};

/// What is said about something that has happened.
pub(super) fn of<'a>(
    _vrrp: &Vrrp,
    _global: &Global,
    instance: &impl Fn(RouterId) -> Option<&'a Instance>,
    output: &Output,
) -> Said {
    let mut said = Said::default();
    if let Output::Entered {
        router, to, why, ..
    } = output
        && let Some(instance) = instance(*router)
    {
        let name = instance.name.value.escape_debug();
        said.log
            .push(format!("({name}) Entering {to} STATE: {why}"));
    }
    said
}
