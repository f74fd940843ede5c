//! How urgent the speaker's thread is to the kernel.
//!
//! Beside it run threads that forward packets, and may use all there is. So it is put before them: by the highest of ordinary
//! priorities unless the configuration says otherwise, and by a real-time priority if that is asked for.

use std::io;

use super::sys;
use crate::keepalived::model::Urgency;

/// Makes the calling thread as urgent as it is to be. Returns what the system does not allow; it works all the same.
pub(super) fn claim(urgency: &Urgency) -> Vec<String> {
    let mut refused = Vec::new();
    let mut note = |what: &str, done: io::Result<()>| {
        if let Err(e) = done {
            refused.push(format!("virtual routers: {what} is not allowed: {e}"));
        }
    };
    match urgency.realtime {
        0 => note("their priority", sys::set_nice(urgency.nice)),
        priority => note("their real-time priority", sys::set_realtime(priority)),
    }
    if !urgency.processors.is_empty() {
        let done = sys::set_processors(&urgency.processors);
        note("their choice of processors (`vrrp_cpu_affinity`)", done);
    }
    if urgency.locked {
        note("to keep memory from being swapped out", sys::lock_memory());
    }
    refused
}
