//! When the next run is due.

use proptest::prelude::*;

use super::*;

#[test]
fn pages_are_asked_in_order_one_an_interval() {
    let mut bench = Bench::new(http(3, 0, true));
    let mut asked = Vec::new();
    for _ in 0..7 {
        asked.push((bench.now.as_secs(), bench.checker.page()));
        bench.run(Ok(Passed::Plainly));
    }
    assert_eq!(
        asked,
        [(0, 0), (10, 1), (20, 2), (30, 0), (40, 1), (50, 2), (60, 0)]
    );
}

#[test]
fn fast_recovery_waits_for_nothing_while_coming_up() {
    let mut bench = Bench::new(http(3, 0, true));
    bench.runs("SF");
    let down_at = bench.now;
    assert_eq!(bench.runs("SSSS"), "...+");
    // The pages followed at once, then an interval passes.
    assert_eq!(bench.now, down_at + INTERVAL);
}

#[test]
fn a_page_that_is_down_is_not_asked_more_often_than_a_retry() {
    let mut slow = http(1, 0, false);
    slow.timing.retry_delay = 3 * INTERVAL;
    let mut bench = Bench::new(slow);
    bench.run(refused());
    assert_eq!(bench.now, 3 * INTERVAL);
    bench.run(Ok(Passed::Plainly));
    assert_eq!(bench.now, 4 * INTERVAL);
}

#[test]
fn intervals_are_counted_from_when_a_run_was_due() {
    let mut checker = Checker::new(&tcp(1));
    let mut due = Duration::ZERO;
    for n in 1..1000_u32 {
        // Late by up to nine tenths of an interval, and not quick.
        let late = INTERVAL * ((n - 1) % 10) / 10;
        let took = Duration::from_millis(50);
        due = checker
            .report(&tcp(1), due + late + took, took, Ok(Passed::Plainly))
            .next_at;
        assert_eq!(due, INTERVAL * n);
    }
}

#[test]
fn runs_longer_than_the_interval_leave_intervals_out() {
    let run = |took: Duration| {
        let mut bench = Bench::new(tcp(0));
        bench.run(Ok(Passed::Plainly));
        bench.run_for(took, Ok(Passed::Plainly)).next_at
    };
    assert_eq!(run(INTERVAL - Duration::from_nanos(1)), 2 * INTERVAL);
    assert_eq!(run(INTERVAL), 2 * INTERVAL);
    assert_eq!(run(INTERVAL + Duration::from_nanos(1)), 3 * INTERVAL);
    assert_eq!(run(2 * INTERVAL), 3 * INTERVAL);
    assert_eq!(run(5 * INTERVAL / 2), 4 * INTERVAL);
}

#[test]
fn a_run_that_is_late_keeps_its_series_and_an_early_one_begins_another() {
    let mut bench = Bench::new(tcp(0));
    bench.run(Ok(Passed::Plainly));
    bench.now += 7 * INTERVAL / 2;
    assert_eq!(bench.run(Ok(Passed::Plainly)).next_at, 5 * INTERVAL);
    bench.now -= SECOND;
    assert_eq!(
        bench.run(Ok(Passed::Plainly)).next_at,
        6 * INTERVAL - SECOND
    );
}

#[test]
fn retries_are_counted_from_the_end_of_a_run_and_of_scripts_from_its_start() {
    let took = 2 * SECOND;
    let mut bench = Bench::new(tcp(1));
    bench.run(Ok(Passed::Plainly));
    assert_eq!(
        bench.run_for(took, refused()).next_at,
        INTERVAL + took + RETRY
    );
    assert_eq!(
        bench.run_for(took, refused()).next_at,
        2 * INTERVAL + took + RETRY
    );

    let mut script = script();
    script.timing.retries = 2;
    let mut bench = Bench::new(script);
    bench.run(Ok(Passed::Plainly));
    assert_eq!(bench.run_for(took, refused()).next_at, INTERVAL + RETRY);
    assert_eq!(
        bench.run_for(2 * RETRY, refused()).next_at,
        INTERVAL + 3 * RETRY
    );
}

#[test]
fn a_skipped_run_changes_nothing_but_the_time() {
    let mut bench = Bench::new(tcp(2));
    bench.runs("SF");
    let before = bench.checker.clone();
    let next = bench.checker.skip(&bench.check, bench.now);
    assert_eq!(next, bench.now + INTERVAL);
    assert_eq!(bench.checker.due(), Some(next));
    assert_eq!(bench.checker.retries(), 1);
    assert_eq!(bench.checker.standing(), before.standing());
    assert_eq!(bench.checker.history().runs(), 2);
}

proptest! {
    /// Whatever the times, runs are never planned for the past, nor further off than an interval, a retry or both.
    #[test]
    fn the_next_run_is_within_reach(
        runs in prop::collection::vec((any::<bool>(), 0_u64..40_000, 0_u64..30_000), 1..30),
        interval in 1_u64..20_000,
        delay in 0_u64..20_000,
    ) {
        let mut check = http(2, 1, false);
        check.timing.interval = Duration::from_millis(interval);
        check.timing.retry_delay = Duration::from_millis(delay);
        let mut checker = Checker::new(&check);
        let mut due = Duration::ZERO;
        for (ok, took, late) in runs {
            let took = Duration::from_millis(took);
            let now = due + Duration::from_millis(late) + took;
            let report = checker.report(&check, now, took, verdict(ok));
            prop_assert!(report.next_at >= now);
            prop_assert!(report.next_at <= now + Duration::from_millis(interval.max(delay)));
            prop_assert_eq!(checker.due(), Some(report.next_at));
            due = report.next_at;
        }
    }
}
