//! `entry-size [CONNECTIONS]`: how many bytes of memory a connection costs, all in (record, index, timer),
//! and how many were taken at the worst moment, while the table grew.
//!
//! Budget: 160 bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use benches::bed;
use lvs_core::Method;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let wanted = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let count = wanted.unwrap_or(1_000_000);
    let director = bed::director(Method::Nat, 10);
    let mut worker = director.worker().expect("the first worker");
    let before = NOW.load(Relaxed);
    bed::open(&mut worker, count, || bed::NOW);
    let per_connection = |bytes: usize| (bytes - before) as f64 / count as f64;
    println!(
        "{count} connections: {:.1} bytes each, {:.1} at the worst moment (budget 160)",
        per_connection(NOW.load(Relaxed)),
        per_connection(PEAK.load(Relaxed)),
    );
}
