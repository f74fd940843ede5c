//! What a listing costs the packets: one thread follows a million connections in random order while another lists all of
//! them again and again, or counts to itself, or sleeps. The three take turns, so that whatever else the machine does
//! strikes all alike; turns that follow each other are compared, and the medians of that are printed beside the budget.
//! What a listing costs is seen against counting: a second core that does anything at all costs the first some per cent on
//! many machines.
//!
//! A burst that took longer than half a millisecond was interrupted by the system, and is left out.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use benches::bed::{self, NOW, VIP, segment};
use benches::{Shuffled, timed};
use lvs_core::{Director, Method, Segment, TcpFlags, Worker};

const BURST: usize = 32;
const COUNT: usize = 1_000_000;
const TURN: Duration = Duration::from_millis(50);
const INTERRUPTED: Duration = Duration::from_micros(500);

/// What the other thread does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    Sleeps,
    Counts,
    Lists,
}

const ALL: [Other; 3] = [Other::Sleeps, Other::Counts, Other::Lists];

fn main() {
    let asked = std::env::args().find_map(|a| a.parse().ok());
    let turns: usize = asked.unwrap_or(120);
    let director = bed::director(Method::Nat, 10);
    let mut worker = director.worker().expect("the first worker");
    bed::establish(&mut worker, 0..COUNT);
    let (whole, first) = alone(&director);
    println!("listing a million connections, nothing else going on: {whole:.0} ms");
    println!("  the first part after {first:.3} ms (budget 10 ms)");
    let (doing, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    let listed = AtomicU64::new(0);
    let mut bursts: [Vec<f64>; 3] = Default::default();
    let mut listing = Duration::ZERO;
    thread::scope(|s| {
        s.spawn(|| other(&director, &doing, &ends, &listed));
        let mut order = Shuffled(1);
        for turn in 0..turns * ALL.len() {
            let what = turn % ALL.len();
            doing.store(what, Relaxed);
            thread::sleep(Duration::from_millis(2));
            bursts[what].push(follow(&mut worker, &mut order));
            if ALL[what] == Other::Lists {
                listing += TURN;
            }
        }
        ends.store(true, Relaxed);
    });
    println!("nanoseconds a packet followed while another thread");
    for (other, ns) in ALL.iter().zip(&bursts) {
        let name = format!("{other:?}").to_lowercase();
        println!("  {name:<8} {:>7.1}", median(ns.iter().copied()));
    }
    let [sleeps, counts, lists] = &bursts;
    let more = |a: &[f64], b: &[f64]| {
        let ratios = a.iter().zip(b).map(|(a, b)| (a / b - 1.0) * 100.0);
        median(ratios)
    };
    println!(
        "  counts instead of sleeps {:>+5.1} %",
        more(counts, sleeps)
    );
    println!(
        "  lists instead of counts  {:>+5.1} %, budget 5 %",
        more(lists, counts)
    );
    let rounds = listed.load(Relaxed) as f64 / COUNT as f64;
    let each = listing.as_secs_f64() * 1000.0 / rounds;
    println!("  each listing took {each:.0} ms meanwhile");
}

/// Milliseconds for the whole and for the first part.
fn alone(director: &Director) -> (f64, f64) {
    let (start, mut first, mut out) = (Instant::now(), None, Vec::new());
    let mut listing = director.listing();
    while listing.next(NOW, &|_| true, &mut out) {
        first.get_or_insert_with(|| start.elapsed());
        black_box(&out);
        out.clear();
    }
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    (ms(start.elapsed()), first.map_or(0.0, ms))
}

fn other(director: &Director, doing: &AtomicUsize, ends: &AtomicBool, listed: &AtomicU64) {
    let mut out = Vec::new();
    while !ends.load(Relaxed) {
        match ALL[doing.load(Relaxed)] {
            Other::Sleeps => thread::sleep(Duration::from_micros(500)),
            Other::Counts => (0..10_000u64).for_each(|n| {
                black_box(n);
            }),
            Other::Lists => {
                let mut listing = director.listing();
                let mut more = true;
                while more && ALL[doing.load(Relaxed)] == Other::Lists {
                    more = listing.next(NOW, &|_| true, &mut out);
                    listed.fetch_add(black_box(&out).len() as u64, Relaxed);
                    out.clear();
                }
            }
        }
    }
}

/// The mean of a turn's bursts, in nanoseconds a packet.
fn follow(worker: &mut Worker, order: &mut Shuffled) -> f64 {
    let (mut total, mut count) = (Duration::ZERO, 0u32);
    let mut verdicts = Vec::with_capacity(BURST);
    let start = Instant::now();
    while start.elapsed() < TURN {
        let segments: Vec<Segment> = (0..BURST)
            .map(|_| segment(bed::client(order.below(COUNT)), VIP, TcpFlags::ACK))
            .collect();
        let took = timed(|| worker.decide(NOW, &segments, &mut verdicts));
        if took < INTERRUPTED {
            total += took;
            count += 1;
        }
    }
    total.as_nanos() as f64 / f64::from(count.max(1)) / BURST as f64
}

fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<_> = all.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
