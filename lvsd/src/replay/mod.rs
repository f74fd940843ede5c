//! `lvsd replay`: what the director does with recorded traffic, without a network.
//!
//! Two kinds of recordings can be played. A *trace* is a director's whole life as JSON lines: commands, packets, the
//! passing of time, and what came of each; our director lives through the same, and what comes of it is
//! printed, or compared. A *capture* is only packets; rules are given with it, and each packet's fate is told with its
//! reason. `docs/replay.md` has the formats.
//!
//! | module | holds |
//! |---|---|
//! | `engine` | a director with a network in memory and a clock set by hand |
//! | `host` | the host that traces are recorded on |
//! | `trace`, `play` | reading a trace, living through it |
//! | `check`, `same` | comparing with what was recorded |
//! | `capture` | replaying a capture |

mod capture;
mod check;
mod engine;
mod host;
mod play;
mod same;
#[cfg(test)]
mod testing;
mod trace;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

pub use capture::{CaptureError, CaptureOptions, replay_capture};
pub use check::{Difference, Failure, check};

use crate::arguments::{Arguments, once};
use crate::exit;
use crate::rules::{self, Names, RuleSet, SystemNames};
use play::Player;
use trace::Trace;

const USAGE: &str = "\
Usage: lvsd replay TRACE...
       lvsd replay --check [--keep-going] TRACE...
       lvsd replay --rules FILE CAPTURE [-o CAPTURE] [--json] [--mtu N]

Shows what the director does with recorded traffic, and why. Nothing is sent, and no privileges are needed.

A TRACE is a recorded life of a director: commands, packets, the passing of time. This director lives through it on
a virtual clock and network, and each step is printed again with what came of it here.

A CAPTURE is a pcap file (Ethernet, raw IP or Linux cooked): packets that arrive at a director with the rules of FILE.
One line for each tells what becomes of it, and a table closes. Every next hop is taken as known.

Options:
  --check        print nothing but differences from what was recorded, stop at the first file that has one, and
                 close with the line \"N passed, N failed\"
  --keep-going   with --check: go on with the next file
  --rules FILE   services and servers, as for `lvsd run`
  -o, --output CAPTURE
                 write what would have been sent
  --json         one JSON object for each packet, and one for the totals
  --mtu N        the longest IP packet the network carries, 1280 to 65535 (default 1500); longer TCP segments in
                 the capture are taken for aggregates that a network card has put together
  -h, --help     this text

docs/replay.md has the formats, and what is compared.

Exit status: 0 done, and with --check nothing differs; 1 something differs; 2 wrong usage, or a file that
cannot be read.
";

/// Runs `lvsd replay` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            complain(&format!("lvsd replay: {message}\n\n{USAGE}"));
            return ExitCode::from(exit::WRONG);
        }
    };
    let names = SystemNames::default();
    match &options.rules {
        Some(rules) => rules_and_capture(rules, &options, &names),
        None if options.check => check_files(&options, &names),
        None => play_files(&options.files, &names),
    }
}

#[derive(Debug, Default)]
struct Options {
    check: bool,
    keep_going: bool,
    rules: Option<String>,
    output: Option<String>,
    json: bool,
    mtu: Option<u32>,
    files: Vec<String>,
}

impl Options {
    /// `None` if only help is wanted.
    fn parse(args: &[String]) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut args = Arguments::new(args);
        while let Some(name) = args.next_name() {
            match name {
                "-h" | "--help" => return Ok(None),
                "--rules" => once(&mut options.rules, name, args.value()?.to_owned())?,
                "-o" | "--output" => {
                    once(&mut options.output, "--output", args.value()?.to_owned())?;
                }
                "--mtu" => once(&mut options.mtu, name, args.number(1280..=65_535)?)?,
                "--check" => options.check = args.flag()?,
                "--keep-going" => options.keep_going = args.flag()?,
                "--json" => options.json = args.flag()?,
                _ if name.starts_with('-') => return Err(args.unknown()),
                file => options.files.push(file.to_owned()),
            }
        }
        options.are_together()?;
        Ok(Some(options))
    }

    /// Whether each goes with the others.
    fn are_together(&self) -> Result<(), String> {
        let of_captures = [
            ("--output", self.output.is_some()),
            ("--json", self.json),
            ("--mtu", self.mtu.is_some()),
        ];
        let wrong = match (&self.rules, &self.files[..]) {
            (_, []) => "a file is missing".to_owned(),
            (Some(_), [_, ..]) if self.check => {
                "--check is for traces, --rules for captures".to_owned()
            }
            (Some(_), [_, second, ..]) => format!("{second:?} is one capture too many"),
            _ if self.keep_going && !self.check => "--keep-going goes with --check".to_owned(),
            (None, _) => match of_captures.iter().find(|(_, given)| *given) {
                Some((name, _)) => format!("{name} is for captures and goes with --rules"),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        Err(wrong)
    }
}

fn rules_and_capture(rules: &str, options: &Options, names: &dyn Names) -> ExitCode {
    let [capture] = &options.files[..] else {
        return ExitCode::from(exit::WRONG);
    };
    let failed = |message: String| {
        complain(&message);
        ExitCode::from(exit::WRONG)
    };
    let name = rules.escape_debug().to_string();
    let bytes = match fs::read(rules) {
        Ok(bytes) => bytes,
        Err(e) => return failed(format!("lvsd replay: {name}: {e}\n")),
    };
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}'); // as some editors begin a file
    let rules = match rules::parse(text, names) {
        Ok(rules) => rules,
        Err(problems) => return failed(rules::render(&problems, &name, text)),
    };
    let told = capture_files(&rules, capture, options);
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(format!("lvsd replay: {e}\n")),
    }
}

fn capture_files(rules: &RuleSet, capture: &str, options: &Options) -> Result<(), String> {
    let at = |file: &str, e: &dyn fmt::Display| format!("{}: {e}", file.escape_debug());
    let input = File::open(capture).map_err(|e| at(capture, &e))?;
    let output = options.output.as_deref().unwrap_or_default();
    let sent = match &options.output {
        Some(output) => Some(Destination::open(output, &input).map_err(|e| at(output, &e))?),
        None => None,
    };
    let usual = CaptureOptions::default();
    let how = CaptureOptions {
        json: options.json,
        mtu: options.mtu.unwrap_or(usual.mtu),
    };
    let mut told = BufWriter::new(io::stdout().lock());
    let done = replay_capture(
        rules,
        how,
        BufReader::new(input),
        sent.as_ref().map(|d| BufWriter::new(&d.file)),
        &mut told,
    );
    let flushed = told.flush();
    match done {
        Ok(()) => {
            if let Some(e) = lost(flushed) {
                return Err(at("standard output", &e));
            }
            let kept = sent.map_or(Ok(()), Destination::keep);
            kept.map_err(|e| at(output, &e))
        }
        Err(CaptureError::Told(e)) => match lost(Err(e)) {
            Some(e) => Err(at("standard output", &e)),
            None => Ok(()),
        },
        Err(e @ CaptureError::Sent(_)) => Err(at(output, &e)),
        Err(e @ CaptureError::Capture(_)) => {
            // What came before the damage was replayed.
            if let Some(before) = sent.filter(Destination::has_packets) {
                before.keep().map_err(|e| at(output, &e))?;
            }
            Err(at(capture, &e))
        }
        Err(e) => Err(e.to_string()),
    }
}

/// Where the packets sent are written: a file beside the one asked for, which takes its place when all is done, so that a
/// capture that cannot be read costs nobody an older file.
struct Destination {
    file: File,
    /// The file's present name and its last; `None` if it is no regular file and was opened as it is.
    names: Option<(PathBuf, PathBuf)>,
}

impl Destination {
    fn open(output: &str, input: &File) -> io::Result<Self> {
        // Through a link, what it leads to is written.
        let asked = PathBuf::from(output);
        let last = fs::canonicalize(&asked).unwrap_or(asked);
        if let Ok(there) = fs::metadata(&last) {
            let input = input.metadata()?;
            if (there.dev(), there.ino()) == (input.dev(), input.ino()) {
                return Err(io::Error::other(
                    "it is the capture itself: name another file",
                ));
            }
            if !there.is_file() {
                let file = File::create(&last)?;
                return Ok(Self { file, names: None });
            }
        }
        let mut present = last.clone().into_os_string();
        present.push(format!(".{}.part", std::process::id()));
        let present = PathBuf::from(present);
        let file = File::create_new(&present)?;
        let names = Some((present, last));
        Ok(Self { file, names })
    }

    /// Whether a packet has been written, behind the file's header.
    fn has_packets(&self) -> bool {
        const HEADER_LEN: u64 = 24;
        self.file.metadata().is_ok_and(|m| m.len() > HEADER_LEN)
    }

    fn keep(mut self) -> io::Result<()> {
        match self.names.take() {
            Some((present, last)) => fs::rename(present, last),
            None => Ok(()),
        }
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some((present, _)) = self.names.take() {
            let _ = fs::remove_file(present); // what is not complete is of no use
        }
    }
}

fn check_files(options: &Options, names: &dyn Names) -> ExitCode {
    let (mut passed, mut failed, mut unreadable) = (0, 0, false);
    for file in &options.files {
        let name = file.escape_debug();
        let source = fs::read(file);
        let verdict = source.map(|source| check(&source, names));
        match verdict {
            Ok(Ok(_)) => {
                passed += 1;
                continue;
            }
            Ok(Err(failure)) => {
                unreadable |= matches!(failure, Failure::Malformed { .. });
                print(format!("{name}: {failure}\n"));
            }
            Err(e) => {
                unreadable = true;
                complain(&format!("lvsd replay: {name}: {e}\n"));
            }
        }
        failed += 1;
        if !options.keep_going {
            break;
        }
    }
    print(format!("{passed} passed, {failed} failed\n"));
    match (failed, unreadable) {
        (0, _) => ExitCode::SUCCESS,
        (_, true) => ExitCode::from(exit::WRONG),
        _ => ExitCode::FAILURE,
    }
}

fn play_files(files: &[String], names: &dyn Names) -> ExitCode {
    for file in files {
        let mut played = Vec::new();
        let source = fs::read(file).map_err(|e| e.to_string());
        let done = source.and_then(|source| play(&source, names, &mut played));
        print(&played);
        if let Err(message) = done {
            complain(&format!(
                "lvsd replay: {}: {message}\n",
                file.escape_debug()
            ));
            return ExitCode::from(exit::WRONG);
        }
    }
    ExitCode::SUCCESS
}

/// Plays a trace, and writes its lines with our own outcomes.
///
/// # Errors
///
/// What is wrong with the trace, or that writing failed.
pub fn play(source: &[u8], names: &dyn Names, output: &mut dyn io::Write) -> Result<(), String> {
    let trace = Trace::parse(source).map_err(|e| e.to_string())?;
    let mut write = |line: String| writeln!(output, "{line}").map_err(|e| e.to_string());
    if let Some(header) = trace.header {
        write(play::spaced(&header.into()))?;
    }
    let mut player = Player::new(names);
    for step in &trace.steps {
        let outcome = player
            .play(step)
            .map_err(|e| format!("line {}: {e}", step.line))?;
        write(outcome.line(step))?;
    }
    Ok(())
}

fn print(text: impl AsRef<[u8]>) {
    let mut out = io::stdout();
    let done = out.write_all(text.as_ref()).and_then(|()| out.flush());
    if let Some(e) = lost(done) {
        complain(&format!("lvsd replay: standard output: {e}\n"));
        std::process::exit(exit::WRONG.into());
    }
}

/// Why output was lost, unless because its reader went away and does not want to know.
fn lost(written: io::Result<()>) -> Option<io::Error> {
    written
        .err()
        .filter(|e| e.kind() != io::ErrorKind::BrokenPipe)
}

fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn arguments_are_read_in_any_order() {
        let o = parsed("in.pcap -o out.pcap --rules=r --mtu 9000 --json")
            .unwrap()
            .unwrap();
        assert_eq!(
            (o.files, o.output, o.rules),
            (
                vec!["in.pcap".to_owned()],
                Some("out.pcap".to_owned()),
                Some("r".to_owned())
            )
        );
        assert_eq!((o.mtu, o.json), (Some(9000), true));
        let o = parsed("a --check b --keep-going").unwrap().unwrap();
        assert!(o.check && o.keep_going && o.files == ["a", "b"]);
        assert!(parsed("a -h").unwrap().is_none());
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("", "file"),
            ("--check", "file"),
            ("a --frob", "--frob"),
            ("a --check=1", "no value"),
            ("a --keep-going", "--keep-going"),
            ("a -o b", "--output"),
            ("a --json", "--json"),
            ("a --mtu 1500", "--mtu"),
            ("a --rules r --mtu 1279", "1280"),
            ("a --rules r --mtu x", "1280"),
            ("a --rules r --rules r", "twice"),
            ("a --rules r --check", "--check"),
            ("a b --rules r", "\"b\""),
            ("a --rules", "value"),
        ] {
            let e = parsed(line).unwrap_err();
            assert!(e.contains(word), "{line:?}: {e}");
        }
    }

    #[test]
    fn what_was_there_stays_until_all_is_done() {
        let folder = std::env::temp_dir().join(format!("lvsd-replay-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let name = |n: &str| folder.join(n).to_str().unwrap().to_owned();
        let (capture, output) = (name("a.pcap"), name("b.pcap"));
        fs::write(&capture, "not a capture").unwrap();
        fs::write(&output, "older").unwrap();
        fs::hard_link(&capture, name("c.pcap")).unwrap();
        let run = |output: &str| {
            let options = Options {
                output: Some(output.to_owned()),
                ..Options::default()
            };
            capture_files(&RuleSet::default(), &capture, &options).unwrap_err()
        };
        assert!(run(&output).contains("a.pcap"));
        assert!(run(&name("c.pcap")).contains("the capture itself"));
        assert!(run(&capture).contains("the capture itself"));
        let read = |n: &str| fs::read_to_string(n).unwrap();
        assert_eq!(
            (read(&capture), read(&output)),
            ("not a capture".into(), "older".into())
        );
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            3,
            "nothing is left over"
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_trace_without_a_step_proves_nothing() {
        for empty in ["", "\n\n", "{\"name\": \"x\"}\n"] {
            assert!(matches!(
                check(empty.as_bytes(), &SystemNames::default()),
                Err(Failure::Malformed { .. })
            ));
        }
    }
}
