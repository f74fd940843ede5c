//! What must be hidden from the host's own stack, worked out from configuration and addresses.

use std::collections::HashSet;

use lvs_core::{Config, Endpoint, Method, ServiceKey};
use lvs_fwd::io::bpf::Entry;
use lvs_fwd::route::Topology;

/// Everything the guard must know.
pub(super) fn of(config: &Config, topology: &Topology) -> Vec<Entry> {
    let mut entries: HashSet<Entry> = topology.local_addrs().map(Entry::Own).collect();
    for service in config.services() {
        let local_addrs = &service.options().local_addrs;
        entries.extend(local_addrs.iter().copied().map(Entry::Local));
        let ServiceKey::Addr {
            protocol,
            addr: virt,
        } = service.key()
        else {
            continue;
        };
        entries.insert(Entry::Virtual {
            protocol,
            addr: virt,
        });
        for dest in service.dests().iter().filter(|d| d.method() == Method::Nat) {
            let port = match dest.addr().port {
                0 => virt.port,
                p => p,
            };
            let addr = Endpoint::new(dest.addr().ip, port);
            entries.insert(Entry::Reply { protocol, addr });
        }
    }
    entries.into_iter().collect()
}

/// The servers of `before` that are not in `now`: their last replies, to connections that have just lost
/// them, must not be forwarded by the host untranslated.
pub(super) fn lingering(before: &[Entry], now: &[Entry]) -> Vec<Entry> {
    let now: HashSet<&Entry> = now.iter().collect();
    let gone = |e: &&Entry| matches!(e, Entry::Reply { .. }) && !now.contains(e);
    before.iter().filter(gone).copied().collect()
}
