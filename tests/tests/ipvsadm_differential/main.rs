//! The real ipvsadm 1.31 and ours, side by side, over a few thousand command lines.
//!
//! Lines are made up from ipvsadm's grammar (right, borderline and wrong) and follow each other in stories, each from an empty
//! table on. After each line both must have printed the same, complained of the same and ended with
//! the same status, but for the [`differences`] that are deliberate. What differs otherwise is reported with the
//! shortest story that shows it.
//!
//! `DIFFERENTIAL_STORIES` says how many stories, `DIFFERENTIAL_SEED` which is the first.

mod differences;
mod grammar;
mod known;
mod line;
mod proxy;
mod random;
mod shown;
mod sides;
mod story;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use differences::{DIFFERENCES, Difference, Then};
use shown::Shown;
use sides::{Outcome, Sides};
use story::{Line, setup, story};

/// So many stories are to show whatever there is.
const ENOUGH: u64 = 200;

/// Where both went apart.
#[derive(Debug)]
struct Parting {
    /// The line's place.
    at: usize,
    theirs: Outcome,
    ours: Outcome,
}

/// What came of all stories.
#[derive(Debug, Default)]
struct Tally {
    lines: usize,
    shown: Shown,
    /// What differed without a rule: a kind of parting, and a story that shows it.
    partings: BTreeMap<String, String>,
}

#[test]
fn command_lines_do_what_they_do_in_ipvsadm() {
    let stories = number("DIFFERENTIAL_STORIES", 240);
    let first = number("DIFFERENTIAL_SEED", 1);
    let next = AtomicU64::new(first);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let sides = Sides::new();
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= first + stories {
                        break;
                    }
                    compare(&sides, seed, &tally);
                }
            });
        }
    });

    let tally = tally.into_inner().expect("nobody panicked");
    println!("{} lines; {:#?}", tally.lines, tally.shown);
    let count = tally.partings.len();
    let report: Vec<_> = tally.partings.into_values().collect();
    assert!(
        count == 0,
        "{count} differences that are in no table:\n\n{}",
        report.join("\n")
    );
    if stories >= ENOUGH {
        let missing = tally.shown.missing(5);
        assert!(missing.is_empty(), "hardly compared: {missing:#?}");
    }
}

/// Each difference that the test allows is there, and users are told of it.
#[test]
fn every_difference_occurs_and_is_documented() {
    let documentation = include_str!("../../../docs/ipvsadm.md");
    let sides = Sides::new();
    for difference in &DIFFERENCES {
        let Difference {
            documented, reason, ..
        } = difference;
        assert!(
            documentation.contains(documented),
            "docs/ipvsadm.md does not tell of {documented} ({reason})"
        );
        let mut lines = vec![Line::of(&["-C"])];
        for line in difference.example {
            let words: Vec<_> = line.split(' ').collect();
            let counters = Some([5_000_000_000; 13]);
            lines.push(Line {
                counters,
                ..Line::of(&words)
            });
        }
        let mut seen = Shown::default();
        let parting = play(&sides, &lines, &mut seen);
        assert!(
            parting.is_none(),
            "{}",
            report(0, &lines, &parting.expect("there is"))
        );
        assert!(
            seen.differences.contains_key(documented),
            "{documented} does not occur: {seen:?}"
        );
    }
}

/// What ipvsadm saves, lvsd restores, and the other way round.
#[test]
fn what_one_saves_the_other_restores() {
    let sides = Sides::new();
    let listing = Line::of(&["-Ln"]);
    let tun = Line::of(&["-Ln", "--tun-info"]);
    let mut services = 0;
    for seed in 0..40 {
        sides.reset();
        for line in setup(seed) {
            // Some of these are refused, by both.
            sides.theirs(&line);
            sides.ours(&line);
        }
        let before = [sides.theirs(&listing).stdout, sides.theirs(&tun).stdout];
        if before != [sides.ours(&listing).stdout, sides.ours(&tun).stdout] {
            // A deliberate difference, which the other test knows.
            continue;
        }
        services += before[0].lines().count() - 3;
        let saving = Line::of(&["-Sn"]);
        let (theirs, ours) = (sides.theirs(&saving).stdout, sides.ours(&saving).stdout);
        // It writes great marks as negative numbers, which are no marks.
        let theirs = theirs.replace("-f -1 ", "-f 4294967295 ");
        let theirs = theirs.replace("-f -6 ", "-f 4294967290 ");

        sides.reset();
        let restored = sides.ours(&Line::restoring(&["-R"], theirs.clone()));
        assert_eq!(restored.status, Some(0), "{theirs}{}", restored.stderr);
        let restored = sides.theirs(&Line::restoring(&["-R"], ours.clone()));
        assert_eq!(restored.status, Some(0), "{ours}{}", restored.stderr);
        assert_eq!(
            [sides.ours(&listing).stdout, sides.ours(&tun).stdout],
            before,
            "{theirs}"
        );
        assert_eq!(
            [sides.theirs(&listing).stdout, sides.theirs(&tun).stdout],
            before,
            "{ours}"
        );
    }
    assert!(services > 100, "too little was saved: {services} lines");
}

fn number(variable: &str, usual: u64) -> u64 {
    env::var(variable).map_or(usual, |n| n.parse().expect("it is a number"))
}

fn compare(sides: &Sides, seed: u64, tally: &Mutex<Tally>) {
    let mut lines = story(seed);
    let mut seen = Shown::default();
    let parting = play(sides, &lines, &mut seen);
    let mut told = tally.lock().expect("nobody panics");
    told.lines += parting.as_ref().map_or(lines.len(), |p| p.at + 1);
    told.shown.add(&seen);
    let Some(mut parting) = parting else { return };
    let kind = kind(&lines, &parting);
    if told.partings.contains_key(&kind) {
        return;
    }
    told.partings.insert(kind.clone(), String::new());
    drop(told);
    shorten(sides, &mut lines, &mut parting);
    let report = report(seed, &lines, &parting);
    tally
        .lock()
        .expect("nobody panics")
        .partings
        .insert(kind, report);
}

/// Plays a story on both sides until they part.
fn play(sides: &Sides, lines: &[Line], seen: &mut Shown) -> Option<Parting> {
    sides.reset();
    for (at, line) in lines.iter().enumerate() {
        let (theirs, ours) = (sides.theirs(line), sides.ours(line));
        let (mut left, mut right) = (theirs.clone(), ours.clone());
        let mut then = Then::Goes;
        for difference in &DIFFERENCES {
            if left == right {
                break;
            }
            if let Some(next) = (difference.take_out)(line, &mut left, &mut right) {
                *seen.differences.entry(difference.documented).or_default() += 1;
                if next == Then::Ends {
                    then = next;
                }
            }
        }
        if left != right {
            return Some(Parting { at, theirs, ours });
        }
        seen.take(&theirs);
        if then == Then::Ends {
            return None;
        }
    }
    None
}

/// Leaves out what the parting does not need, many lines at a time at first.
fn shorten(sides: &Sides, lines: &mut Vec<Line>, parting: &mut Parting) {
    lines.truncate(parting.at + 1);
    let mut many = lines.len();
    while many > 0 {
        // The first line empties the tables, the last one shows it.
        let mut end = lines.len() - 1;
        while end > 1 {
            let start = end.saturating_sub(many).max(1);
            let mut fewer = lines.clone();
            fewer.drain(start..end);
            if let Some(p) = play(sides, &fewer, &mut Shown::default())
                && p.at + 1 == fewer.len()
            {
                *lines = fewer;
                *parting = p;
            }
            end = start;
        }
        many /= 2;
    }
}

/// Partings of one kind have most likely one cause.
fn kind(lines: &[Line], parting: &Parting) -> String {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let command = lines[parting.at].words.first();
    let command: String = command.map_or_else(String::new, |word| word.chars().take(5).collect());
    let Parting { theirs, ours, .. } = parting;
    format!(
        "{command} {:?} {} {:?} {}",
        theirs.status,
        first(&theirs.stderr),
        ours.status,
        first(&ours.stderr)
    )
}

fn report(seed: u64, lines: &[Line], parting: &Parting) -> String {
    let mut report = format!("story {seed}:\n");
    for line in lines {
        let _ = writeln!(report, "  {line}");
    }
    for (who, outcome) in [("ipvsadm", &parting.theirs), ("lvsd", &parting.ours)] {
        let status = outcome
            .status
            .map_or_else(|| "a signal".to_owned(), |s| s.to_string());
        let _ = writeln!(report, "{who}: {status}");
        for (mark, text) in [(" |", &outcome.stdout), (" !", &outcome.stderr)] {
            for line in text.lines() {
                let _ = writeln!(report, " {mark}{line}");
            }
        }
    }
    report
}
