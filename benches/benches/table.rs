//! The connection table at ten thousand, a million and ten million connections: what a look-up, a new connection and
//! an expiry cost, how long the longest pause is, and how much memory a connection takes, all in (record, index, timer).
//!
//! Each size is filled, used and emptied once, in bursts and in random order, and the medians over the bursts are
//! printed beside their budgets. `cargo bench -p benches --bench table -- 10000000` does one size only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use benches::bed::{self, NOW, VIP, segment};
use benches::{Shuffled, timed};
use lvs_core::{Method, Segment, TcpFlags, Verdict, Worker};

const BURST: usize = 32;
const SIZES: [usize; 3] = [10_000, 1_000_000, 10_000_000];
const LOOK_UPS: usize = 20_000;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How long bursts took.
#[derive(Default)]
struct Bursts(Vec<Duration>);

impl Bursts {
    fn run(&mut self, burst: impl FnOnce()) {
        self.0.push(timed(burst));
    }

    /// The median in nanoseconds a connection.
    fn median(&mut self) -> f64 {
        self.0.sort_unstable();
        let middle = self.0.get(self.0.len() / 2).copied().unwrap_or_default();
        middle.as_nanos() as f64 / BURST as f64
    }

    /// The 99.9th percentile of a whole burst in microseconds; the very longest would show the scheduler's doing.
    fn long(&mut self) -> f64 {
        self.0.sort_unstable();
        let i = self.0.len() * 999 / 1000;
        self.0.get(i).copied().unwrap_or_default().as_nanos() as f64 / 1000.0
    }
}

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if asked.is_empty() {
        SIZES.to_vec()
    } else {
        asked
    };
    println!(
        "{:>12}  {:<22} {:>9}  {:<12} burst of {BURST}, 99.9 %",
        "connections", "", "median", "budget"
    );
    sizes.into_iter().for_each(measure);
}

fn measure(count: usize) {
    let director = bed::director(Method::Nat, 10);
    let mut worker = director.worker().expect("the first worker");
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let row = |what: &str, bursts: &mut Bursts, budget: &str| {
        let (median, long) = (bursts.median(), bursts.long());
        println!("{count:>12}  {what:<22} {median:>6.0} ns  {budget:<12} {long:>8.1} us");
    };
    let mut opened = fill(&mut worker, count);
    row("open, wlc, 10 servers", &mut opened, "400 ns");
    let held = HELD.load(Relaxed) - before;
    let peak = PEAK.load(Relaxed) - before;
    let mut followed = follow(&mut worker, count);
    // The whole pipeline's budget, of which this is a part.
    let budget = if count <= 10_000 { "60 ns" } else { "150 ns" };
    row("look up and follow", &mut followed, budget);
    let mut expired = empty(&worker, count);
    row("expire", &mut expired, "50 ns");
    assert_eq!(director.connection_count(), 0, "everything has expired");
    let each = |bytes: usize| bytes as f64 / count as f64;
    println!(
        "{count:>12}  {:<22} {:>6.1} B   {:<12} {:>8.1} B while growing",
        "memory a connection",
        each(held),
        "160 B",
        each(peak)
    );
}

/// Opens connections whose deadlines are spread over fifty seconds, so that what expires together does not lie
/// together.
fn fill(worker: &mut Worker, count: usize) -> Bursts {
    let mut order = Shuffled(1);
    let (mut bursts, mut verdicts) = (Bursts::default(), Vec::with_capacity(BURST));
    for first in (0..count).step_by(BURST) {
        let segments: Vec<Segment> = (first..count.min(first + BURST))
            .map(|i| segment(bed::client(i), VIP, TcpFlags::SYN))
            .collect();
        let when = NOW + Duration::from_millis(order.below(50_000) as u64);
        let mut open = || worker.decide(when, &segments, &mut verdicts);
        // The first part meets an empty table.
        if first < count / 2 {
            open();
        } else {
            bursts.run(open);
        }
        assert!(
            matches!(verdicts.first(), Some(Verdict::Forward(_))),
            "{verdicts:?}"
        );
    }
    bursts
}

fn follow(worker: &mut Worker, count: usize) -> Bursts {
    let (mut order, now) = (Shuffled(2), NOW + Duration::from_secs(50));
    let (mut bursts, mut verdicts) = (Bursts::default(), Vec::with_capacity(BURST));
    for _ in 0..LOOK_UPS {
        let segments: Vec<Segment> = (0..BURST)
            .map(|_| segment(bed::client(order.below(count)), VIP, TcpFlags::SYN))
            .collect();
        bursts.run(|| worker.decide(now, &segments, &mut verdicts));
    }
    bursts
}

fn empty(worker: &Worker, count: usize) -> Bursts {
    let mut bursts = Bursts::default();
    let end = NOW + Duration::from_secs(200);
    // What was followed is moved to its new slot first; so there are more steps than connections.
    for _ in 0..2 * count.div_ceil(BURST) {
        let mut done = false;
        bursts.run(|| done = worker.expire(end, BURST));
        if done {
            break;
        }
    }
    bursts
}
