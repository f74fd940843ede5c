//! The processes that there are, and which of them are meant.

use std::fs::{self, File};
use std::io::{self, Read as _};

use crate::keepalived::model::{ProcessMatch, TrackProcess};

/// As much of a command line as is looked at.
const LONGEST: u64 = 64 << 10;

/// What a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// The name that the kernel keeps, at most 15 bytes.
    name: Vec<u8>,
    /// Its arguments as it shows them, the program first; empty for the kernel's own.
    argv: Vec<Vec<u8>>,
}

impl Identity {
    /// That of a process, if there is one and it has not ended. Its arguments are only looked at if they are needed.
    pub(super) fn of(process: u32, with_arguments: bool) -> Option<Self> {
        let stat = read(&format!("/proc/{process}/stat")).ok()?;
        let name = running(&stat)?.to_owned();
        let argv = match with_arguments {
            true => arguments(&read(&format!("/proc/{process}/cmdline")).ok()?),
            false => Vec::new(),
        };
        Some(Self { name, argv })
    }

    /// Whether such processes are meant.
    pub(super) fn is(&self, wanted: &TrackProcess) -> bool {
        let same = |mine: &Vec<u8>, its: &String| mine == its.as_bytes();
        let begins = |count: usize| {
            let mine = self.argv.get(..count);
            let its = wanted.argv.get(..count);
            mine.zip(its)
                .is_some_and(|(mine, its)| mine.iter().zip(its).all(|(m, i)| same(m, i)))
        };
        let count = wanted.argv.len();
        match wanted.matching {
            ProcessMatch::Name => wanted.argv.first().is_some_and(|its| same(&self.name, its)),
            ProcessMatch::Exact => self.argv.len() == count && begins(count),
            ProcessMatch::Partial => begins(count),
            ProcessMatch::Initial if count < 2 => begins(count),
            ProcessMatch::Initial => {
                let last = count - 1;
                let (mine, its) = (self.argv.get(last), wanted.argv.get(last));
                let starts = mine
                    .zip(its)
                    .is_some_and(|(m, i)| m.starts_with(i.as_bytes()));
                starts && begins(last)
            }
        }
    }
}

/// The numbers of all processes.
pub(super) fn all() -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.collect())
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The name in a line of proc(5)'s `stat`, unless the process has ended. A name may hold parentheses and spaces.
fn running(stat: &[u8]) -> Option<&[u8]> {
    let begin = stat.iter().position(|b| *b == b'(')? + 1;
    let end = stat.iter().rposition(|b| *b == b')')?;
    let state = stat.get(end + 2)?;
    let name = stat.get(begin..end)?;
    (!matches!(state, b'Z' | b'X' | b'x')).then_some(name)
}

/// The arguments in a `cmdline`, each of which ends with a zero byte.
fn arguments(line: &[u8]) -> Vec<Vec<u8>> {
    let line = line.strip_suffix(&[0]).unwrap_or(line);
    if line.is_empty() {
        return Vec::new();
    }
    line.split(|b| *b == 0).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::keepalived::model::{At, Weight};
    use crate::keepalived::place::Span;

    fn wanted(matching: ProcessMatch, line: &str) -> TrackProcess {
        TrackProcess {
            name: At::new("p".to_owned(), Span::default()),
            argv: line.split(' ').map(str::to_owned).collect(),
            matching,
            weight: Weight::default(),
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
            span: At::new((), Span::default()),
        }
    }

    fn process(name: &str, line: &str) -> Identity {
        Identity {
            name: name.as_bytes().to_vec(),
            argv: arguments(line.replace(' ', "\0").as_bytes()),
        }
    }

    /// keepalived 2.2.7 was asked about each of these.
    #[test]
    fn who_is_meant() {
        use ProcessMatch::{Exact, Initial, Name, Partial};
        let lines = ["tws 70", "tws 700", "tws 70 71", "tws 700 71", "tws 71 70"];
        for (matching, line, expected) in [
            (Name, "tws", "yyyyy"),
            (Name, "/usr/bin/tws", "nnnnn"),
            (Exact, "tws", "nnnnn"),
            (Exact, "tws 70", "ynnnn"),
            (Initial, "tws", "yyyyy"),
            (Initial, "tws 70", "yyyyn"),
            (Partial, "tws", "yyyyy"),
            (Partial, "tws 70", "ynynn"),
            (Partial, "tw", "nnnnn"),
            (Partial, "tws 70 71", "nnynn"),
        ] {
            let wanted = wanted(matching, line);
            let found = lines.map(|line| match process("tws", line).is(&wanted) {
                true => 'y',
                false => 'n',
            });
            assert_eq!(String::from_iter(found), expected, "{matching:?} {line}");
        }
        let elsewhere = process("tws", "/opt/tws 70");
        assert!(elsewhere.is(&wanted(Name, "tws")));
        assert!(!elsewhere.is(&wanted(Exact, "tws 70")));
        let long = process("a_very_long_pro", "a_very_long_process_name");
        assert!(long.is(&wanted(Name, "a_very_long_pro")));
        assert!(!long.is(&wanted(Name, "a_very_long_process_name")));
        assert!(!process("kworker/0:1", "").is(&wanted(Partial, "kworker/0:1")));
    }

    #[test]
    fn names_may_be_strange() {
        let name =
            |stat: &str| running(stat.as_bytes()).map(|n| String::from_utf8_lossy(n).into_owned());
        assert_eq!(name("7 (sh) S 1 7").as_deref(), Some("sh"));
        assert_eq!(name("7 (a) Z b) R 1 7").as_deref(), Some("a) Z b"));
        assert_eq!(name("7 (sh) Z 1 7"), None, "has ended");
        for cut in ["", "7", "7 (sh", "7 (sh)", "7 (sh) ", "7 )sh( S"] {
            assert_eq!(name(cut), None, "{cut}");
        }
    }

    #[test]
    fn ourselves() {
        let us = Identity::of(std::process::id(), true).unwrap();
        assert!(!us.name.is_empty() && !us.argv.is_empty());
        assert!(all().unwrap().contains(&std::process::id()));
        assert_eq!(Identity::of(u32::MAX, true), None);
    }
}
