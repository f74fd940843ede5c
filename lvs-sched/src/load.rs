//! How busy a destination is, and which one is the least busy.

use lvs_core::dest::Dest;

/// What an active connection costs compared with an inactive one, in `lc` and `wlc`.
///
/// Kernels up to early 2026 count 256; later ones add the active connections a second time, 257 in
/// all, which tells apart only what is nearly equal.
const ACTIVE_COST: u64 = 256;

/// The overhead of `lc` and `wlc`: 256 × active + inactive connections.
pub(crate) fn overhead(dest: &Dest) -> u64 {
    let active = dest.active().saturating_mul(ACTIVE_COST);
    active.saturating_add(dest.inactive())
}

/// The delay `sed` and `nq` expect, before it is divided by the weight: active connections, the new one
/// included.
pub(crate) fn expected_delay(dest: &Dest) -> u64 {
    dest.active().saturating_add(1)
}

/// The position of the eligible destination with the smallest cost / weight; the first wins a tie.
/// Fractions are compared by cross-multiplication, so nothing is rounded.
pub(crate) fn least_by_weight(dests: &[Dest], cost: impl Fn(&Dest) -> u64) -> Option<usize> {
    let mut eligible = dests.iter().enumerate().filter(|(_, d)| d.is_eligible());
    let (mut least, first) = eligible.next()?;
    let (mut least_cost, mut least_weight) = (cost(first), u64::from(first.weight()));
    for (position, dest) in eligible {
        let (cost, weight) = (cost(dest), u64::from(dest.weight()));
        if product(least_cost, weight) > product(cost, least_weight) {
            (least, least_cost, least_weight) = (position, cost, weight);
        }
    }
    Some(least)
}

fn product(cost: u64, weight: u64) -> u128 {
    u128::from(cost) * u128::from(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::dest;

    #[test]
    fn an_active_connection_costs_256_inactive_ones() {
        assert_eq!(overhead(&dest(1, 2, 10)), 522);
        assert_eq!(overhead(&dest(1, 0, 0)), 0);
    }

    #[test]
    fn extreme_counts_and_weights_compare_exactly() {
        let heavy = i32::MAX as u32;
        let dests = [dest(heavy - 1, 1 << 40, 0), dest(heavy, 1 << 40, 0)];
        assert_eq!(least_by_weight(&dests, overhead), Some(1));
        let endless = [dest(1, u64::MAX, u64::MAX), dest(1, 1 << 62, 0)];
        assert_eq!(least_by_weight(&endless, overhead), Some(0));
    }
}
