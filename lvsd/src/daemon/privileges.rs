//! What lvsd may do, found out before it tries.

use std::fs;

use super::Error;

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// Refuses to start without what nothing works without. `CAP_BPF` is not among it (see [`super::guard`]).
pub(super) fn check() -> Result<(), Error> {
    let status = fs::read_to_string("/proc/thread-self/status")
        .map_err(|e| Error::System("/proc/thread-self/status", e))?;
    match missing(&status) {
        Some(what) => Err(Error::Privilege(what)),
        None => Ok(()),
    }
}

fn missing(status: &str) -> Option<String> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"))?;
    let effective = u64::from_str_radix(line.trim(), 16).ok()?;
    let wanted = [
        (CAP_NET_RAW, "CAP_NET_RAW (to receive and send packets)"),
        (
            CAP_NET_ADMIN,
            "CAP_NET_ADMIN (for large buffers, next hops and the guard)",
        ),
    ];
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "missing {}; run as root, or give the capabilities to lvsd",
            missing.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing() {
        let with = |caps: u64| missing(&format!("Name:\tlvsd\nCapEff:\t{caps:016x}\n"));
        assert_eq!(with(1 << CAP_NET_ADMIN | 1 << CAP_NET_RAW), None);
        let both = with(0).unwrap();
        assert!(both.contains("CAP_NET_RAW") && both.contains("CAP_NET_ADMIN"));
        let one = with(1 << CAP_NET_RAW).unwrap();
        assert!(!one.contains("CAP_NET_RAW") && one.contains("CAP_NET_ADMIN"));
    }
}
