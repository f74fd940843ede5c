//! How busy a destination is.

use lvs_core::dest::DestLive;

/// What an active connection costs compared with an inactive one, in `lc`, `wlc`, `lblc`, `lblcr` and `twos`.
///
/// Kernels up to early 2026 count 256; later ones add the active connections a second time, 257 in
/// all, which tells apart only what is nearly equal.
const ACTIVE_COST: u64 = 256;

/// The overhead of all that count connections: 256 × active + inactive connections.
pub(crate) fn overhead(dest: &DestLive) -> u64 {
    overhead_of(dest.active(), dest.inactive())
}

pub(crate) const fn overhead_of(active: u64, inactive: u64) -> u64 {
    active.saturating_mul(ACTIVE_COST).saturating_add(inactive)
}

/// The delay `sed` and `nq` expect, before it is divided by the weight: active connections, the new one
/// included.
pub(crate) fn expected_delay(dest: &DestLive) -> u64 {
    expected_delay_of(dest.active())
}

pub(crate) const fn expected_delay_of(active: u64) -> u64 {
    active.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::dest;

    #[test]
    fn an_active_connection_costs_256_inactive_ones() {
        assert_eq!(overhead(dest(1, 2, 10).live()), 522);
        assert_eq!(overhead(dest(1, 0, 0).live()), 0);
    }

    #[test]
    fn extreme_counts_do_not_wrap() {
        assert_eq!(overhead(dest(1, u64::MAX, u64::MAX).live()), u64::MAX);
        assert_eq!(expected_delay(dest(1, u64::MAX, 0).live()), 1 << 63);
    }
}
