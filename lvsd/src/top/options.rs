//! `lvsd top`'s command line.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::order::Sort;
use crate::arguments::Arguments;
use crate::span;

const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) interval: Duration,
    pub(super) once: bool,
    pub(super) sort: Sort,
    pub(super) socket: Option<String>,
}

impl Options {
    /// `None` if only help is wanted.
    pub(super) fn parse(args: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self {
            interval: Duration::from_secs(1),
            once: false,
            sort: Sort::Cps,
            socket: None,
        };
        let mut args = Arguments::new(args);
        while let Some(name) = args.next_name() {
            match name {
                "--interval" => options.interval = interval(args.value()?)?,
                "--sort" => options.sort = sort(args.value()?)?,
                "--socket" => options.socket = Some(args.value()?.to_owned()),
                "-h" | "--help" => return Ok(None),
                "--once" => options.once = args.flag()?,
                _ => return Err(args.unknown()),
            }
        }
        Ok(Some(options))
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let read = span::parse(text).filter(|read| INTERVALS.contains(read));
    let form = span::FORM;
    read.ok_or_else(|| format!("--interval wants {form}, from 100ms to 1h: {text:?} is none"))
}

fn sort(text: &str) -> Result<Sort, String> {
    let found = Sort::ALL.into_iter().find(|sort| sort.name() == text);
    found.ok_or_else(|| {
        let names = Sort::ALL.map(Sort::name).join(", ");
        format!("--sort wants one of {names}: {text:?} is none")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn arguments_are_read_in_both_forms() {
        let options = parsed("--interval=500ms --once --sort conns --socket /a")
            .unwrap()
            .unwrap();
        assert_eq!(options.interval, Duration::from_millis(500));
        assert_eq!((options.once, options.sort), (true, Sort::Conns));
        assert_eq!(options.socket.as_deref(), Some("/a"));
        let usual = parsed("").unwrap().unwrap();
        assert_eq!(
            (usual.interval, usual.once, usual.sort),
            (Duration::from_secs(1), false, Sort::Cps)
        );
        assert!(parsed("--once -h").unwrap().is_none());
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("--interval", "value"),
            ("--interval 0", "100ms"),
            ("--interval 99ms", "\"99ms\""),
            ("--interval 2h", "1h"),
            ("--sort size", "cps, pps, bps, conns, name"),
            ("--once=1", "no value"),
            ("--frob", "--frob"),
            ("x", "\"x\""),
        ] {
            let e = parsed(line).unwrap_err();
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }
}
