//! What the demonstration tells people: how far it is, and a table at the end.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::plan::{self, WEIGHTS};
use super::trial::Outcome;

/// Says on standard error what goes on: on a terminal in one line that changes, else in a line for each
/// new thing.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    live: bool,
    last: Mutex<String>,
}

impl Progress {
    /// The clock starts now.
    pub fn start() -> Self {
        Self {
            begun: Instant::now(),
            live: io::stderr().is_terminal(),
            last: Mutex::default(),
        }
    }

    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What is being done. Text behind the first comma may change without being a new thing.
    pub fn now(&self, what: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        if self.live {
            write_err(format_args!("\r\x1b[K{seconds:5.1} s  {what}"));
            return;
        }
        let thing = what.split(',').next().unwrap_or(what);
        if let Ok(mut last) = self.last.lock()
            && *last != thing
        {
            write_err(format_args!("{seconds:5.1} s  {thing}\n"));
            *last = thing.to_owned();
        }
    }

    /// Something to remember, in a line of its own.
    pub fn note(&self, what: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let start = if self.live { "\r\x1b[K" } else { "" };
        write_err(format_args!("{start}{seconds:5.1} s  {what}\n"));
    }

    /// Wipes the line that changes.
    pub fn clear(&self) {
        if self.live {
            write_err(format_args!("\r\x1b[K"));
        }
    }
}

/// Nobody listening is no reason to fail.
fn write_err(what: std::fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(what);
}

/// The table, and what was not as it should be.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec![
        "             requests          spread (%)         latency (ms)     bulk     failed requests"
            .to_owned(),
        "method     served   per s   rs1   rs2   rs3     median    99 %   Gbit/s   rs3 dead   rs3 out"
            .to_owned(),
    ];
    for o in outcomes {
        let share = |n: usize| n as f64 * 100.0 / o.served.max(1) as f64;
        let [a, b, c] = o.by_server.map(share);
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let of = |(failed, all): (usize, usize)| format!("{failed}/{all}");
        lines.push(format!(
            "{:<8} {:>8} {:>7.0} {a:>5.1} {b:>5.1} {c:>5.1}   {:>8.2} {:>7.2} {:>8.2} {:>10} {:>9}",
            plan::name(o.method),
            o.served,
            o.rate,
            ms(o.p50),
            ms(o.p99),
            o.bulk / 1e9,
            of(o.dying),
            of(o.after),
        ));
    }
    let all: u32 = WEIGHTS.iter().sum();
    let [a, b, c] = WEIGHTS.map(|w| f64::from(w) * 100.0 / f64::from(all));
    lines.push(format!(
        "{:<8} {:>8} {:>7} {a:>5.1} {b:>5.1} {c:>5.1}   {:>8} {:>7} {:>8} {:>10} {:>9}",
        "wanted", "", "", "", "", "", "some", "none"
    ));
    for o in outcomes {
        let name = plan::name(o.method);
        lines.extend(o.problems.iter().map(|p| format!("WRONG: {name}: {p}")));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use lvs_core::dest::Method;

    use super::*;

    #[test]
    fn the_table_is_straight_and_names_every_problem() {
        let outcome = Outcome {
            method: Method::FullNat,
            served: 12_000,
            rate: 10_000.0,
            by_server: [6000, 4000, 2000],
            p50: Duration::from_micros(1234),
            p99: Duration::from_millis(123),
            bulk: 12.34e9,
            dying: (16, 1234),
            after: (0, 12_345),
            problems: vec!["it is raining".into()],
        };
        let text = table(&[outcome]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(
            lines[2].ends_with("50.0  33.3  16.7       1.23  123.00    12.34    16/1234   0/12345")
        );
        assert_eq!(lines[4], "WRONG: FullNAT: it is raining");
        // Right edges of columns agree.
        for end in [
            "served", "per s", "rs3", "99 %", "Gbit/s", "rs3 dead", "rs3 out",
        ] {
            let at = lines[1].find(end).unwrap() + end.len();
            let edge = |line: &str| {
                line.get(at..)
                    .is_none_or(|rest| rest.is_empty() || rest.starts_with(' '))
            };
            assert!(lines[2..4].iter().all(|l| edge(l)), "{end}:\n{text}");
        }
    }
}
