//! How late runs began.

use std::time::Duration;

/// Powers of two of a microsecond: the last ends after more than half an hour.
const BUCKETS: usize = 32;

/// How late runs began, compared with their plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    runs: u64,
    worst: Duration,
    /// In bucket i are those below 2^i µs that are in no bucket before.
    buckets: [u64; BUCKETS],
}

impl Lateness {
    /// Counts a run that began so late.
    pub fn record(&mut self, late: Duration) {
        self.runs += 1;
        self.worst = self.worst.max(late);
        let bits = u128::BITS - late.as_micros().leading_zeros();
        self.buckets[(bits as usize).min(BUCKETS - 1)] += 1;
    }

    /// How many runs began.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The worst of them.
    pub fn worst(&self) -> Duration {
        self.worst
    }

    /// How late at most this part (0.0 to 1.0) of the runs began, up to a factor of two; never more than the worst.
    pub fn quantile(&self, part: f64) -> Duration {
        let wanted = (self.runs as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (bound, count) in self.buckets() {
            seen += count;
            if seen >= wanted {
                return bound.min(self.worst);
            }
        }
        self.worst
    }

    /// For a histogram: what each bucket's runs were less late than, and how many they are. The last has also what is above.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let bounds = (0..BUCKETS).map(|i| Duration::from_micros(1 << i));
        bounds.zip(self.buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.quantile(0.99), Duration::ZERO);
        for us in 0..1000 {
            lateness.record(Duration::from_micros(us));
        }
        assert_eq!(lateness.runs(), 1000);
        assert_eq!(lateness.worst(), Duration::from_micros(999));
        assert_eq!(lateness.quantile(0.5), Duration::from_micros(512));
        assert_eq!(lateness.quantile(0.25), Duration::from_micros(256));
        assert_eq!(lateness.quantile(0.001), Duration::from_micros(1));
        assert_eq!(lateness.quantile(1.0), Duration::from_micros(999));
        lateness.record(Duration::MAX);
        assert_eq!(lateness.quantile(1.0), Duration::from_micros(1 << 31));
        assert_eq!(lateness.worst(), Duration::MAX);
    }
}
