//! How long a backup waits.
//!
//! Problem: several backups wait for the same master, and the best of them must find out first that it has gone.
//!
//! Rule: each waits for so many advertisements, and then for its *skew time* more, which is the shorter the higher its priority
//! is (RFC 3768 section 6.1, RFC 9568 section 6.1). The arithmetic is keepalived's, in whole microseconds, so that two programs with
//! the same priority agree.

use std::time::Duration;

use crate::config::Version;

/// The skew time: in version 2 up to a second, in version 3 up to `interval`, the time between the master's
/// advertisements.
pub fn skew(version: Version, priority: u8, interval: Duration) -> Duration {
    let below = 256 - u64::from(priority);
    let micros = match version {
        Version::V2 => below * 1_000_000 / 256,
        Version::V3 => {
            let centis = (interval.as_micros() / 10_000).min(4095) as u64;
            below * centis * 625 / 16
        }
    };
    Duration::from_micros(micros)
}

/// The master down time: how long a backup waits for the next advertisement before it takes over. `missing`: so many intervals
/// (3 by the RFCs).
pub fn master_down(version: Version, priority: u8, interval: Duration, missing: u32) -> Duration {
    interval.saturating_mul(missing) + skew(version, priority, interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Version::{V2, V3};

    #[test]
    fn keepaliveds_own_figures() {
        // version, priority, interval in ms, skew and master down time in µs
        let rows = [
            (V2, 1, 1000, 996_093, 3_996_093),
            (V2, 100, 1000, 609_375, 3_609_375),
            (V2, 200, 1000, 218_750, 3_218_750),
            (V2, 254, 1000, 7_812, 3_007_812),
            (V2, 255, 1000, 3_906, 3_003_906),
            (V2, 100, 5000, 609_375, 15_609_375),
            (V3, 100, 1000, 609_375, 3_609_375),
            (V3, 254, 250, 1_953, 751_953),
            (V3, 100, 10, 6_093, 36_093),
            (V3, 1, 40_950, 40_790_039, 163_640_039),
        ];
        for (version, priority, interval, short, long) in rows {
            let row = (version, priority, interval);
            let interval = Duration::from_millis(interval);
            let of_skew = skew(version, priority, interval).as_micros();
            assert_eq!(of_skew, short, "{row:?}");
            let down = master_down(version, priority, interval, 3).as_micros();
            assert_eq!(down, long, "{row:?}");
            let longer = master_down(version, priority, interval, 4).as_micros();
            assert_eq!(longer, long + interval.as_micros(), "{row:?}");
        }
    }

    #[test]
    fn the_better_is_always_first() {
        for version in [V2, V3] {
            for interval in [10, 100, 1000, 40_950].map(Duration::from_millis) {
                for priority in 1..=254 {
                    let worse = master_down(version, priority, interval, 3);
                    let better = master_down(version, priority + 1, interval, 3);
                    assert!(better < worse, "{version:?} {priority} {interval:?}");
                }
            }
        }
    }
}
