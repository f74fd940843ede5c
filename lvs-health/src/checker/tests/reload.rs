//! What stays when a check is another.

use super::*;

#[test]
fn the_same_check_keeps_everything() {
    for results in ["", "S", "F", "SF", "SFF", "FS", "SSF"] {
        for check in [tcp(2), smtp(2), http(3, 1, false), alpha(tcp(1))] {
            let mut bench = Bench::new(check);
            bench.runs(results);
            let carried = bench.checker.carried(&bench.check, &bench.check.clone());
            assert_eq!(format!("{carried:?}"), format!("{:?}", bench.checker));
        }
    }
}

#[test]
fn a_check_that_asks_the_same_at_other_times_keeps_its_state() {
    let mut bench = Bench::new(tcp(2));
    bench.runs("SFF");
    let mut other = tcp(2);
    other.timing.interval = SECOND;
    let mut carried = bench.checker.carried(&bench.check, &other);
    assert_eq!(carried.due(), None);
    assert_eq!(carried.retries(), 2);
    let now = bench.now;
    let report = carried.report(&other, now, Duration::ZERO, refused());
    assert_eq!(report.changed, Some(false));
    assert_eq!(report.next_at, now + SECOND);
}

#[test]
fn a_changed_check_keeps_its_verdict_until_its_first_result() {
    // Up stays up, and failures are forgiven.
    let (old, new) = (tcp(1), alpha(http(2, 1, false)));
    let mut bench = Bench::new(old.clone());
    bench.runs("SF");
    let mut changed = Bench {
        checker: bench.checker.carried(&old, &new),
        check: new.clone(),
        now: bench.now,
    };
    assert!(changed.up());
    assert_eq!(changed.checker.history().runs(), 2);
    assert_eq!(changed.runs("FF"), "r-");

    // Down stays down, even if changed twice before a result.
    let mut bench = Bench::new(old.clone());
    bench.runs("F");
    let carried = bench.checker.carried(&old, &new).carried(&new, &old);
    assert!(!carried.standing().up && carried.standing().found);
    assert_eq!(carried.history().changes(), 1);

    // What never ran and was just assumed down is up unless alpha.
    let never = Checker::new(&alpha(tcp(1)));
    assert!(never.carried(&alpha(tcp(1)), &smtp(1)).standing().up);
    assert!(!never.carried(&alpha(tcp(1)), &alpha(smtp(1))).standing().up);
    assert!(
        Checker::new(&tcp(1))
            .carried(&tcp(1), &alpha(smtp(1)))
            .standing()
            .up
    );
}

#[test]
fn weight_is_carried_only_to_checks_that_can_give_it() {
    let mut bench = Bench::new(script());
    bench.run(Ok(Passed::Weighing(3)));
    let influence = |new: &Check| {
        bench
            .checker
            .carried(&bench.check, new)
            .standing()
            .influence
    };
    let mut other = script();
    let Kind::Script(script) = &mut other.kind else {
        unreachable!()
    };
    script.timeout = 5 * SECOND;
    assert_eq!(influence(&other), Influence::Replaces(3));
    assert_eq!(influence(&tcp(1)), Influence::None);
}

#[test]
fn a_check_added_to_a_server_that_serves_lets_it_serve() {
    assert!(Checker::added(&alpha(tcp(1)), true).standing().up);
    assert!(!Checker::added(&alpha(tcp(1)), false).standing().up);
    assert!(Checker::added(&tcp(1), false).standing().up);
}

#[test]
fn a_check_of_somebody_else_is_another() {
    let mut bench = Bench::new(tcp(2));
    bench.runs("SFF");
    let mut other = tcp(2);
    other.target.addr.set_port(81);
    let mut carried = bench.checker.carried(&bench.check, &other);
    assert_eq!(carried.retries(), 0);
    // It keeps its place among the others.
    assert_eq!(carried.due(), Some(bench.now));
    let report = carried.report(&other, bench.now, Duration::ZERO, refused());
    assert_eq!((report.changed, report.first), (None, false));
    assert!(report.forgiven);
    other.timing.interval = SECOND;
    assert_eq!(bench.checker.carried(&bench.check, &other).due(), None);
}
