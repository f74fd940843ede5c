//! What the benches share: frames, a director in a small network, and a stopwatch.
//!
//! Each bench defends a budget (nanoseconds on one core of a common server); where there is one, the bench's
//! name says it, so that the report shows both side by side.

pub mod bed;
pub mod frames;

use std::time::{Duration, Instant};

/// How long `run` takes. Reading the clock costs some 25 ns, so `run` should treat a whole burst.
pub fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// Numbers in an order without pattern (SplitMix64).
#[derive(Clone, Copy, Debug)]
pub struct Shuffled(pub u64);

impl Shuffled {
    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
