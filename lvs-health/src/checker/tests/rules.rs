//! What results lead to, as tables.

use super::*;

#[test]
fn down_needs_all_retries_and_up_one_success() {
    table(
        &tcp(2),
        &[
            ("SFFF", ".rr-"),
            ("SFFSFFF", ".rr.rr-"),
            ("SFFFS", ".rr-+"),
            ("F", "-"),
            ("FFFF", "-..."),
            ("FSFFF", "-+rr-"),
            ("SSSS", "...."),
        ],
    );
    table(&tcp(0), &[("SF", ".-"), ("F", "-"), ("FFS", "-.+")]);
    table(&tcp(1), &[("SFSFSFF", ".r.r.r-")]);
}

#[test]
fn alpha_is_down_until_the_first_success() {
    let check = alpha(tcp(2));
    assert!(!Bench::new(check.clone()).up());
    table(
        &check,
        &[("S", "+"), ("F", "."), ("FFS", "..+"), ("SFFF", "+rr-")],
    );
}

#[test]
fn rise_counts_successes_in_a_row() {
    table(
        &check(Kind::Tcp, 0, 3),
        &[("FSSS", "-..+"), ("FSSFSSS", "-.....+"), ("SSSF", "...-")],
    );
    table(
        &alpha(check(Kind::Tcp, 0, 2)),
        &[("SS", ".+"), ("SFSS", "...+")],
    );
}

#[test]
fn local_failures_never_count() {
    table(
        &tcp(1),
        &[
            ("LLLL", "...."),
            ("LF", ".-"),
            ("SFLF", ".r.-"),
            ("SLLLF", "....r"),
            ("FLS", "-.+"),
        ],
    );
    table(&check(Kind::Tcp, 0, 2), &[("FSLS", "-..+")]);
}

#[test]
fn smtp_retries_from_the_first_run_and_while_down() {
    table(
        &smtp(2),
        &[
            ("FFF", "rr-"),
            ("FFFFFFFFF", "rr-rr.rr."),
            ("FFFS", "rr-+"),
            ("FFFFS", "rr-r+"),
        ],
    );
    table(&alpha(smtp(1)), &[("FFFF", "r.r.")]);
}

#[test]
fn files_are_never_forgiven() {
    let file = FileCheck {
        path: "/x".into(),
        weight: 1,
    };
    table(
        &check(Kind::File(file), 5, 1),
        &[("SF", ".-"), ("F", "-"), ("SFS", ".-+")],
    );
}

#[test]
fn the_first_result_is_told_once() {
    let firsts = |check: Check, results: &[bool]| -> Vec<bool> {
        let mut bench = Bench::new(check);
        let run = |&ok: &bool| bench.run(verdict(ok)).first;
        results.iter().map(run).collect()
    };
    assert_eq!(firsts(tcp(1), &[true, true, false]), [true, false, false]);
    assert_eq!(firsts(tcp(1), &[false, false, true]), [true, false, false]);
    assert_eq!(firsts(alpha(tcp(1)), &[false, true]), [true, false]);
    assert_eq!(firsts(smtp(1), &[false, false, true]), [false, true, false]);
    assert_eq!(
        firsts(http(2, 0, false), &[true, true, true]),
        [false, true, false]
    );
}

#[test]
fn the_number_of_retries_is_told() {
    let mut bench = Bench::new(tcp(2));
    let retries = [true, false, false, false, false, true].map(|ok| bench.run(verdict(ok)).retries);
    assert_eq!(retries, [0, 0, 1, 2, 0, 0]);
    assert_eq!(Bench::new(tcp(2)).run(refused()).retries, 0);
}

#[test]
fn a_failed_page_is_asked_until_it_passes_and_then_all() {
    let mut bench = Bench::new(http(3, 1, false));
    bench.runs("SSSS");
    // Page 1 fails, and is retried.
    let mut asked = Vec::new();
    for ok in [
        false, false, false, true, true, false, true, true, true, true,
    ] {
        let (at, page) = (bench.now.as_secs() - 40, bench.checker.page());
        let report = bench.run(verdict(ok));
        asked.push((at, page, report.changed));
    }
    let expected = [
        (0, 1, None),
        (3, 1, Some(false)),
        (13, 1, None),
        (23, 1, None),
        (33, 0, None),
        (43, 1, None),
        (53, 1, None),
        (63, 0, None),
        (73, 1, None),
        (83, 2, Some(true)),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn a_forgiven_page_does_not_start_the_pass_anew() {
    let mut bench = Bench::new(http(3, 1, false));
    bench.runs("SFSS");
    assert_eq!(bench.checker.page(), 0);
}

#[test]
fn the_first_page_that_passes_again_is_not_asked_twice() {
    let mut bench = Bench::new(http(2, 0, false));
    assert_eq!(bench.runs("FSS"), "-.+");
    assert_eq!(Bench::new(http(1, 0, false)).runs("FS"), "-+");
}

#[test]
fn dynamic_weight_is_what_the_last_success_said() {
    let mut bench = Bench::new(script());
    let mut influence = |verdict| {
        let report = bench.run(verdict);
        report
            .standing
            .map(|standing| (standing.up, standing.influence))
    };
    assert_eq!(
        influence(Ok(Passed::Weighing(8))),
        Some((true, Influence::Replaces(8)))
    );
    assert_eq!(influence(Ok(Passed::Weighing(8))), None);
    assert_eq!(
        influence(Err(Reason::Exit.into())),
        Some((false, Influence::Replaces(8)))
    );
    assert_eq!(influence(Err(Reason::AnswerTimeout.into())), None);
    assert_eq!(
        influence(Ok(Passed::Plainly)),
        Some((true, Influence::None))
    );
    assert_eq!(
        influence(Ok(Passed::Adding(-3))),
        Some((true, Influence::Adds(-3)))
    );
}

#[test]
fn the_past_is_counted() {
    let mut bench = Bench::new(tcp(0));
    bench.runs("SFFSL");
    let history = bench.checker.history();
    assert_eq!(history.runs(), 5);
    assert_eq!(history.failures(Reason::Refused), 2);
    assert_eq!(history.failures(Reason::Local), 1);
    assert_eq!(history.failures(Reason::Status), 0);
    assert_eq!(history.changes(), 2);
    assert_eq!(history.changed_at(), Some(3 * INTERVAL));
    let last = history.last().unwrap();
    assert_eq!(
        (last.at, &last.verdict),
        (4 * INTERVAL, &Err(Failure::from(Reason::Local)))
    );
}

#[test]
fn each_reason_has_its_own_counter() {
    for (n, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, n);
        let mut bench = Bench::new(tcp(0));
        bench.run(Err(reason.into()));
        let counted: Vec<_> = Reason::ALL
            .map(|reason| bench.checker.history().failures(reason))
            .to_vec();
        assert_eq!(counted.iter().sum::<u64>(), 1);
        assert_eq!(counted[n], 1);
    }
}

#[test]
fn down_is_only_assumed_until_a_failure_or_enough_successes() {
    let mut bench = Bench::new(alpha(check(Kind::Tcp, 0, 2)));
    bench.runs("S");
    assert_eq!(bench.checker.standing(), Standing::assumed(false));
    bench.runs("S");
    assert!(bench.up() && bench.checker.standing().found);

    let mut bench = Bench::new(alpha(tcp(0)));
    let report = bench.run(refused());
    assert_eq!(report.changed, None);
    assert!(
        report
            .standing
            .is_some_and(|standing| standing.found && !standing.up)
    );
}
