use super::Action::{Kill, Start, Terminate};
use super::*;
use ObjectState::{Bad, Good, Unknown};

const S: Duration = Duration::from_secs(1);

fn rules(rise: u32, fall: u32) -> ScriptRules {
    ScriptRules {
        rise,
        fall,
        ..ScriptRules::default()
    }
}

/// States after each of these results.
fn states(rules: ScriptRules, results: &str) -> Vec<ObjectState> {
    let mut script = Script::new(rules, Time::ZERO);
    let mut now = Time::ZERO;
    let mut states = vec![script.state()];
    for result in results.chars() {
        assert_eq!(script.tick(now), Some(Start));
        script.ended(result == 'S');
        states.push(script.state());
        now += rules.interval;
    }
    states
}

fn last(rules: ScriptRules, results: &str) -> ObjectState {
    states(rules, results).pop().unwrap()
}

#[test]
fn the_first_run_decides() {
    for (rise, fall) in [(1, 1), (2, 3), (5, 5)] {
        let rules = rules(rise, fall);
        assert_eq!(states(rules, "S"), [Unknown, Good]);
        assert_eq!(states(rules, "F"), [Unknown, Bad]);
    }
}

#[test]
fn unless_it_is_bad_until_it_is_good() {
    let rules = ScriptRules {
        init_fail: true,
        ..rules(3, 2)
    };
    assert_eq!(states(rules, "SSS"), [Bad, Bad, Bad, Good]);
    assert_eq!(
        states(rules, "SSFSSS"),
        [Bad, Bad, Bad, Bad, Bad, Bad, Good]
    );
}

#[test]
fn so_many_in_a_row() {
    let rules = rules(2, 3);
    let expected = [Unknown, Good, Good, Good, Bad, Bad, Good];
    assert_eq!(states(rules, "SFFFSS"), expected);
    assert_eq!(last(rules, "SFFSFF"), Good, "a success begins it anew");
    assert_eq!(last(rules, "SFFSFFF"), Bad);
    assert_eq!(last(rules, "FSF"), Bad);
    assert_eq!(last(rules, "FSFS"), Bad, "a failure begins it anew");
}

/// Every course of ten results, against runs of equal results counted from the end.
#[test]
fn every_course() {
    for (rise, fall) in [(1, 1), (1, 3), (2, 1), (2, 3), (3, 2)] {
        for course in 0..1_u32 << 10 {
            let results: Vec<bool> = (0..10).map(|bit| course >> bit & 1 == 1).collect();
            let mut good = results[0];
            let mut row = (results[0], 0);
            for (n, result) in results.iter().enumerate() {
                row = if *result == row.0 {
                    (*result, row.1 + 1)
                } else {
                    (*result, 1)
                };
                let needed = if *result { rise } else { fall };
                if row.1 >= needed || n == 0 {
                    good = *result;
                }
            }
            let text: String = results.iter().map(|r| if *r { 'S' } else { 'F' }).collect();
            let expected = if good { Good } else { Bad };
            assert_eq!(
                last(rules(rise, fall), &text),
                expected,
                "{rise} {fall} {text}"
            );
        }
    }
}

#[test]
fn runs_begin_at_fixed_times() {
    let mut script = Script::new(rules(1, 1), 10 * S);
    assert_eq!(script.deadline(), 10 * S);
    assert_eq!(script.tick(9 * S), None);
    assert_eq!(script.tick(10 * S + S / 4), Some(Start), "we are late");
    assert_eq!(script.tick(10 * S + S / 4), None);
    script.ended(true);
    assert_eq!(script.deadline(), 11 * S);
    assert_eq!(script.tick(11 * S), Some(Start));
    script.ended(true);
    assert_eq!(script.tick(15 * S + S / 2), Some(Start), "very late");
    script.ended(true);
    assert_eq!(script.deadline(), 16 * S, "what was missed is left out");
    assert_eq!(script.skipped(), 0);
}

#[test]
fn what_would_begin_before_the_last_has_ended_is_left_out() {
    let rules = ScriptRules {
        timeout: 10 * S,
        ..rules(1, 1)
    };
    let mut script = Script::new(rules, Time::ZERO);
    assert_eq!(script.tick(Time::ZERO), Some(Start));
    for n in 1..=3 {
        assert_eq!(script.tick(n * S), None);
    }
    assert_eq!(script.skipped(), 3);
    script.ended(true);
    assert_eq!(script.tick(7 * S / 2), None);
    assert_eq!(script.tick(4 * S), Some(Start));
}

#[test]
fn who_hangs_has_failed_is_asked_to_end_and_killed() {
    let rules = ScriptRules {
        timeout: S / 2,
        ..rules(1, 1)
    };
    let mut script = Script::new(rules, Time::ZERO);
    script.tick(Time::ZERO);
    assert_eq!(script.deadline(), S / 2);
    assert_eq!(script.tick(S / 2), Some(Terminate));
    assert_eq!(script.state(), Bad);
    assert_eq!(script.tick(S), None);
    assert_eq!(script.tick(2 * S), None);
    assert_eq!(script.skipped(), 2);
    assert_eq!(script.deadline(), 5 * S / 2);
    assert_eq!(script.tick(5 * S / 2), Some(Kill));
    assert_eq!(script.tick(3 * S), None, "it has not gone yet");
    assert_eq!(script.row(), Some((false, 1)));
    script.ended(true);
    assert_eq!(script.row(), Some((false, 1)), "that does not count again");
    assert_eq!(script.tick(4 * S), Some(Start));
    script.ended(true);
    assert_eq!(script.state(), Good);
}

#[test]
fn a_run_that_did_not_come_about_says_nothing() {
    let mut script = Script::new(rules(1, 1), Time::ZERO);
    assert_eq!(script.tick(Time::ZERO), Some(Start));
    script.given_up();
    assert_eq!((script.state(), script.row()), (Unknown, None));
    assert_eq!(script.tick(S), Some(Start));
}

#[test]
fn other_rules_change_no_state() {
    let mut script = Script::new(rules(1, 1), Time::ZERO);
    script.tick(Time::ZERO);
    script.set_rules(rules(3, 3), Time::ZERO);
    assert_eq!(script.state(), Unknown);
    script.ended(true);
    assert_eq!(script.state(), Good, "the first still decides");
    for (at, expected) in [(1, Good), (2, Good), (3, Bad)] {
        assert_eq!(script.tick(at * S), Some(Start));
        script.ended(false);
        assert_eq!(script.state(), expected, "{at}");
    }
    let slower = ScriptRules {
        interval: 60 * S,
        ..rules(1, 1)
    };
    script.set_rules(slower, 3 * S);
    assert_eq!((script.state(), script.deadline()), (Bad, 4 * S));
    script.tick(4 * S);
    script.ended(true);
    assert_eq!((script.state(), script.deadline()), (Good, 64 * S));
    script.set_rules(rules(1, 1), 5 * S);
    assert_eq!((script.state(), script.deadline()), (Good, 6 * S));
    let init_fail = ScriptRules {
        init_fail: true,
        ..rules(1, 1)
    };
    script.set_rules(init_fail, 5 * S);
    assert_eq!(script.state(), Good);
}

#[test]
fn other_rules_take_what_is_known_as_settled() {
    let mut script = Script::new(rules(1, 1), Time::ZERO);
    script.tick(Time::ZERO);
    script.ended(true);
    script.set_rules(rules(1, 3), Time::ZERO);
    for (at, expected) in [(1, Good), (2, Good), (3, Bad)] {
        script.tick(at * S);
        script.ended(false);
        assert_eq!(script.state(), expected, "{at}");
    }
    let mut script = Script::new(rules(2, 1), Time::ZERO);
    let init_fail = ScriptRules {
        init_fail: true,
        ..rules(2, 1)
    };
    script.set_rules(init_fail, Time::ZERO);
    for (at, expected) in [(0, Bad), (1, Good)] {
        assert_eq!(script.state(), Bad);
        script.tick(at * S);
        script.ended(true);
        assert_eq!(script.state(), expected, "{at}");
    }
}
