use std::fs;
use std::path::Path;

use super::*;
use crate::replay::play;
use crate::replay::testing::NoNames;

fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn differs(source: &str) -> Difference {
    match check(source.as_bytes(), &NoNames) {
        Err(Failure::Differs(d)) => *d,
        other => panic!("{other:?}"),
    }
}

/// The first line that contains `what`, changed.
fn with_line_changed(source: &str, what: &str, change: impl Fn(&str) -> String) -> (usize, String) {
    let at = source.lines().position(|l| l.contains(what)).unwrap();
    let lines = source.lines().enumerate();
    let changed = lines.map(|(i, l)| if i == at { change(l) } else { l.to_owned() });
    (at + 1, changed.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_recorded_trace_passes_and_says_how_long_it_is() {
    let source = recorded("tcp-rr-nat.jsonl");
    assert_eq!(
        check(source.as_bytes(), &NoNames),
        Ok(source.lines().count() - 1)
    );
}

#[test]
fn what_is_printed_passes_its_own_check() {
    for name in [
        "tcp-rr-nat",
        "fragments",
        "nat-flow-0",
        "timeouts",
        "refused",
        "icmp-errors",
    ] {
        let mut printed = Vec::new();
        play(
            recorded(&format!("{name}.jsonl")).as_bytes(),
            &NoNames,
            &mut printed,
        )
        .unwrap();
        assert!(check(&printed, &NoNames).is_ok(), "{name}");
    }
}

#[test]
fn every_field_is_compared() {
    let source = recorded("tcp-rr-nat.jsonl");
    for (what, from, to, field) in [
        ("\"adm\": \"-a", "\"rc\": 0", "\"rc\": 2", "rc"),
        (
            "\"out\": [{",
            "\"side\": \"r\", \"via\"",
            "\"side\": \"c\", \"via\"",
            "out",
        ),
        (
            "\"out\": [{",
            "\"via\": \"10.10.0.14\"",
            "\"via\": \"10.10.0.13\"",
            "out",
        ),
        // The first of the answer's checksum's digits.
        ("\"out\": [{", "bc540000\"}]", "ac540000\"}]", "out"),
        ("\"conns\": [[", "SYN_RECV", "ESTABLISHED", "conns"),
        ("\"services\": [", "Masq", "Route", "services"),
    ] {
        let (line, changed) = with_line_changed(&source, what, |l| {
            assert!(l.contains(from), "{l}");
            l.replacen(from, to, 1)
        });
        let difference = differs(&changed);
        assert_eq!((difference.line, difference.field), (line, field), "{from}");
        assert_eq!(difference.step, line - 1);
    }
}

#[test]
fn packets_that_were_not_recorded_differ_and_so_do_those_that_were_not_sent() {
    let source = recorded("tcp-rr-nat.jsonl");
    let (_, none) = with_line_changed(&source, "\"out\": [{", |l| {
        format!("{}\"out\": []}}", l.split("\"out\"").next().unwrap())
    });
    let difference = differs(&none);
    assert!(difference.expected.is_empty() && difference.got.len() == 1);
    let (_, two) = with_line_changed(&source, "\"out\": [{", |l| {
        let packet = l
            .split("\"out\": [")
            .nth(1)
            .unwrap()
            .trim_end_matches("]}")
            .to_owned();
        l.replace(&packet, &format!("{packet}, {packet}"))
    });
    let difference = differs(&two);
    assert_eq!((difference.expected.len(), difference.got.len()), (2, 1));
}

#[test]
fn a_trace_without_outcomes_is_no_recording() {
    for line in [
        r#"{"adm": "-C"}"#,
        r#"{"show": "conns"}"#,
        r#"{"show": "conns", "conns": [["TCP"]]}"#,
        r#"{"show": "services"}"#,
        r#"{"in": {"side": "c", "ip": "45"}}"#,
        r#"{"in": {"side": "c", "ip": "45"}, "out": [{"side": "x"}]}"#,
        r#"{"sysctl": "no_such_thing=1"}"#,
        r#"{"sysctl": "conntrack=x"}"#,
    ] {
        let failure = check(line.as_bytes(), &NoNames);
        assert!(
            matches!(failure, Err(Failure::Malformed { line: 1, .. })),
            "{line}: {failure:?}"
        );
    }
}

fn rows(lefts: &[(&str, u64)]) -> Vec<Row> {
    let row = |&(client, left): &(&str, u64)| Row {
        texts: ["TCP", client, "v", "d", "ESTABLISHED"].map(str::to_owned),
        left,
    };
    lefts.iter().map(row).collect()
}

#[test]
fn connections_may_be_two_seconds_off_and_come_and_go_in_the_last_two() {
    let differ = |a: &[(&str, u64)], b: &[(&str, u64)]| {
        let (missing, extra) = compare_rows(rows(a), rows(b));
        (missing.len(), extra.len())
    };
    assert_eq!(
        differ(&[("a", 10), ("b", 60)], &[("a", 12), ("b", 58)]),
        (0, 0)
    );
    assert_eq!(differ(&[("a", 10)], &[("a", 13)]), (1, 1));
    assert_eq!(differ(&[("a", 2)], &[]), (0, 0));
    assert_eq!(differ(&[], &[("a", 2)]), (0, 0));
    assert_eq!(differ(&[("a", 3)], &[]), (1, 0));
    assert_eq!(differ(&[], &[("a", 3)]), (0, 1));
    assert_eq!(differ(&[("a", 10), ("a", 10)], &[("a", 10)]), (1, 0));
}

#[test]
fn fragments_are_compared_together_but_not_with_others() {
    let source = recorded("fragments.jsonl");
    // The kernel's answers all came with a datagram's last fragment; move one's to the first.
    let lines: Vec<&str> = source.lines().collect();
    let first = lines
        .iter()
        .position(|l| l.contains("\"out\": []"))
        .unwrap();
    let out = lines[first + 1].split("\"out\": ").nth(1).unwrap();
    let swap = |to: usize| {
        let mut lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        lines[first + 1] = lines[first + 1].replace(out, "[]}");
        let other = lines[to].split("\"out\": ").nth(1).unwrap().to_owned();
        lines[to] = lines[to].replace(&other, out);
        lines.join("\n")
    };
    assert!(check(swap(first).as_bytes(), &NoNames).is_ok());
    assert_eq!(differs(&swap(first + 2)).field, "out");
}

#[test]
fn what_is_left_to_the_host_may_have_the_hosts_answers_only() {
    let source = recorded("nat-flow-0.jsonl");
    // A segment without a connection: the host's reset was recorded.
    let lines = || {
        source
            .lines()
            .filter(|l| l.contains("\"verdict\"") || l.contains("\"out\": [{"))
    };
    let last = lines()
        .rev()
        .find(|l| l.contains("\"side\": \"c\", \"via\": \"10.9.1.9\""))
        .unwrap();
    let (line, none) = with_line_changed(&source, last, |l| {
        format!("{}\"out\": []}}", l.split("\"out\"").next().unwrap())
    });
    assert!(
        check(none.as_bytes(), &NoNames).is_ok(),
        "the host may stay silent"
    );
    let (_, foreign) = with_line_changed(&source, last, |l| {
        let (step, _) = l.split_once("\"out\"").unwrap();
        let other = lines().next().unwrap().split("\"out\"").nth(1).unwrap();
        format!("{step}\"out\"{other}")
    });
    let difference = differs(&foreign);
    assert_eq!((difference.line, difference.field), (line, "out"));
    assert!(
        difference.because.contains("left to the host"),
        "{difference}"
    );
}
