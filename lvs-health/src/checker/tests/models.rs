//! Checkers against simple models that look at all results at once.

use proptest::prelude::*;

use super::*;

/// Up or down after `results`, by looking back at all of them: down if the first or the last `retries`+1 since the last success
/// failed, up again if the last `rise` passed.
fn by_looking_back(results: &[bool], retries: usize, rise: usize) -> bool {
    let mut up = true;
    let mut since = 0;
    for end in 1..=results.len() {
        let series = &results[since..end];
        let tail =
            |n: usize, ok| series.len() >= n && series[series.len() - n..].iter().all(|&r| r == ok);
        let turns = match up {
            true => tail(retries + 1, false) || (end == 1 && !results[0]),
            false => tail(rise, true),
        };
        if turns {
            up = !up;
            since = end;
        }
    }
    up
}

/// Every sequence of results up to this length.
fn all_sequences(length: u32) -> impl Iterator<Item = Vec<bool>> {
    (0..=length)
        .flat_map(|n| (0..1_u32 << n).map(move |bits| (0..n).map(|i| bits >> i & 1 == 1).collect()))
}

#[test]
fn every_short_sequence_is_as_by_looking_back() {
    for results in all_sequences(9) {
        for (retries, rise) in [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (1, 2), (2, 3)] {
            let mut bench = Bench::new(check(Kind::Tcp, retries, rise));
            for &ok in &results {
                bench.run(verdict(ok));
            }
            let expected = by_looking_back(&results, retries as usize, rise as usize);
            assert_eq!(
                bench.up(),
                expected,
                "{results:?} retries {retries} rise {rise}"
            );
        }
    }
}

/// Up or down of an SMTP check, cycle by cycle: a cycle ends with a success, or with its last retry.
fn by_cycles(results: &[bool], retries: usize) -> bool {
    let mut up = true;
    let mut failures = 0;
    for &ok in results {
        failures = if ok { 0 } else { failures + 1 };
        if ok || failures > retries {
            up = ok;
            failures = 0;
        }
    }
    up
}

#[test]
fn every_short_smtp_sequence_is_as_by_cycles() {
    for results in all_sequences(9) {
        for retries in 0..4 {
            let mut bench = Bench::new(smtp(retries));
            for &ok in &results {
                bench.run(verdict(ok));
            }
            let expected = by_cycles(&results, retries as usize);
            assert_eq!(bench.up(), expected, "{results:?} retries {retries}");
        }
    }
}

proptest! {
    /// Local failures anywhere change nothing that the others lead to.
    #[test]
    fn local_failures_are_as_if_they_had_not_been(
        results in prop::collection::vec(prop::option::weighted(0.7, any::<bool>()), 0..40),
        retries in 0_u32..4,
        rise in 1_u32..4,
        kind in 0..3,
    ) {
        let mut check = match kind {
            0 => tcp(retries),
            1 => smtp(retries),
            _ => http(3, retries, false),
        };
        check.timing.rise = rise;
        let (mut with, mut without) = (Bench::new(check.clone()), Bench::new(check));
        for result in results {
            match result {
                Some(ok) => {
                    let one = with.run(verdict(ok));
                    let other = without.run(verdict(ok));
                    prop_assert_eq!(one.changed, other.changed);
                    prop_assert_eq!(one.forgiven, other.forgiven);
                    prop_assert_eq!(one.first, other.first);
                }
                None => {
                    let report = with.run(Err(Reason::Local.into()));
                    prop_assert_eq!(report.changed, None);
                    prop_assert_eq!(report.standing, None);
                    prop_assert!(!report.first && !report.forgiven);
                }
            }
            prop_assert_eq!(with.checker.page(), without.checker.page());
        }
    }

    /// A server of which every page is as it should be comes up within one pass and a failed page; one whose page is not goes down
    /// within a pass and its retries.
    #[test]
    fn pages_find_out_in_time(
        pages in 1_usize..6,
        retries in 0_u32..3,
        fast in any::<bool>(),
        before in prop::collection::vec(any::<bool>(), 0..20),
        broken in 0_usize..6,
    ) {
        let broken = broken % pages;
        let mut bench = Bench::new(http(pages, retries, fast));
        for ok in before {
            bench.run(verdict(ok));
        }
        for _ in 0..=pages {
            bench.run(Ok(Passed::Plainly));
        }
        prop_assert!(bench.up());
        for _ in 0..pages + retries as usize {
            let ok = bench.checker.page() != broken;
            bench.run(verdict(ok));
        }
        prop_assert!(!bench.up());
        prop_assert_eq!(bench.checker.page(), broken);
    }
}
