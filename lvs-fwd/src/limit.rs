//! A limit on answers, so that nobody can make the director flood a third party.

use lvs_core::Time;

/// A token bucket: `rate` answers a second, `burst` at once.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    rate: u64,
    burst: u64,
    /// Thousandths of an answer that may be sent.
    credit: u64,
    last: Time,
}

impl Limit {
    pub(crate) const fn new(rate: u64, burst: u64) -> Self {
        Self {
            rate,
            burst,
            credit: burst * 1000,
            last: Time::from_millis(0),
        }
    }

    /// Whether one more may be sent now.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let elapsed = u64::try_from(now.since(self.last).as_millis()).unwrap_or(u64::MAX);
        self.last = self.last.max(now);
        let earned = elapsed.saturating_mul(self.rate);
        self.credit = self.credit.saturating_add(earned).min(self.burst * 1000);
        match self.credit.checked_sub(1000) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut limit = Limit::new(10, 3);
        let mut take = |ms, n| (0..n).filter(|_| limit.take(Time::from_millis(ms))).count();
        assert_eq!(take(0, 9), 3);
        assert_eq!(take(99, 9), 0);
        assert_eq!(take(100, 9), 1);
        assert_eq!(take(60_000, 9), 3, "credit does not grow without end");
    }
}
