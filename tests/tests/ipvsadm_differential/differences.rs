//! The table of what lvsd deliberately does in another way than ipvsadm 1.31.

use crate::sides::Outcome;
use crate::story::Line;

/// A deliberate difference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference {
    /// How docs/ipvsadm.md tells of it.
    pub(crate) documented: &'static str,
    /// Why it is right.
    pub(crate) reason: &'static str,
    /// A story in which it occurs.
    pub(crate) example: &'static [&'static str],
    /// Takes just that difference out of what ipvsadm and lvsd did. Where it is there at all, it says what becomes of the story.
    pub(crate) take_out: fn(&Line, &mut Outcome, &mut Outcome) -> Option<Then>,
}

/// What becomes of a story after a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Both tables are still the same.
    Goes,
    /// They are not, so that there is nothing more to compare.
    Ends,
}

/// All of them.
pub(crate) const DIFFERENCES: [Difference; 17] = [
    Difference {
        documented: "Nothing else differs but the help text",
        reason: "it is our own, and tells of our options",
        example: &["-h"],
        take_out: help,
    },
    Difference {
        documented: "| `-v` | ends in",
        reason: "it says whose program this is",
        example: &["-v"],
        take_out: version,
    },
    Difference {
        documented: "| `--start-daemon`, `--stop-daemon` |",
        reason: "there is no connection synchronisation yet",
        example: &["--start-daemon master"],
        take_out: synchronisation,
    },
    Difference {
        documented: "| `-M` with `-p`, for IPv4: a mask with gaps",
        reason: "clients are grouped by leading bits",
        example: &["-A -t 10.0.0.1:80 -p -M 255.0.255.0"],
        take_out: odd_mask,
    },
    Difference {
        documented: "IPv4 in brackets |",
        reason: "ipvsadm forgets the port",
        example: &["-A -t [10.0.0.1]:80 -p"],
        take_out: bracketed,
    },
    Difference {
        documented: "| IPv4 addresses mapped into IPv6",
        reason: "no packet bears them",
        example: &["-A -t [::ffff:10.0.0.1]:80"],
        take_out: mapped,
    },
    Difference {
        documented: "| `-r 0.1.2.3`: servers in 0.0.0.0/8 |",
        reason: "no host has such an address",
        example: &["-A -t 10.0.0.1:80", "-a -t 10.0.0.1:80 -r 0.1.2.3"],
        take_out: nobody,
    },
    Difference {
        documented: "| `-m -r` with an address of this host |",
        reason: "nobody would translate the replies of the host's own programs",
        example: &[
            "-A -t 10.0.0.1:80",
            "-a -t 10.0.0.1:80 -r 127.0.0.2:8080 -m",
        ],
        take_out: this_host,
    },
    Difference {
        documented: "| `-s none` |",
        reason: "a service without a scheduler takes no connections",
        example: &["-A -t 10.0.0.1:80 -s none"],
        take_out: no_scheduler,
    },
    Difference {
        documented: "| `-Z` with an address and port of zero |",
        reason: "one service is asked for, not all",
        example: &["-Z -t 0.0.0.0"],
        take_out: zeroed_all,
    },
    Difference {
        documented: "| `-b flag-3` with `-s sh` or `-s mh` |",
        reason: "-R does not read what -S writes of it",
        example: &["-A -t 10.0.0.1:80 -s sh -b flag-3", "-Ln"],
        take_out: nameless_flag,
    },
    Difference {
        documented: "| `-b ,`: nothing but commas | crashes |",
        reason: "there are no flags in it",
        example: &["-A -t 10.0.0.1:80 -b ,"],
        take_out: crash,
    },
    Difference {
        documented: "| `--pe` without `-p` |",
        reason: "an engine without persistence does nothing",
        example: &["-A -t 10.0.0.1:80 --pe sip", "-Sn"],
        take_out: idle_engine,
    },
    Difference {
        documented: "| `-S`: thresholds |",
        reason: "a saved table should be the table",
        example: &[
            "-A -t 10.0.0.1:80",
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -i -x 9",
            "-Sn",
        ],
        take_out: saved_thresholds,
    },
    Difference {
        documented: "| `-S`: marks from 2³¹ on |",
        reason: "-R refuses negative ones",
        example: &["-A -f 4294967295", "-Sn"],
        take_out: saved_marks,
    },
    Difference {
        documented: "| counters of servers |",
        reason: "they are to be compared with those of services",
        example: &[
            "-A -t 10.0.0.1:80",
            "-a -t 10.0.0.1:80 -r 10.0.0.2 -m",
            "-Ln --stats",
        ],
        take_out: server_counters,
    },
    Difference {
        documented: "| `--nosort` |",
        reason: "the kernel's order is that of its hash table",
        example: &[
            "-A -t 10.0.0.3:80",
            "-A -t 10.0.0.2:80",
            "-A -t 10.0.0.1:80",
            "-Ln --nosort",
        ],
        take_out: unsorted,
    },
];

fn help(_: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let is_help = |o: &Outcome| o.status == Some(0) && o.stdout.contains("Usage:");
    take_over(theirs, ours, is_help(theirs) && is_help(ours), Then::Goes)
}

/// The version that is stood in for, and that of IPVS, are the same; between them stands who made it.
fn version(_: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let (start, end) = ("ipvsadm v1.31 2019/12/24 (", "IPVS v1.2.1)\n");
    let is_version = |o: &Outcome| o.stdout.starts_with(start) && o.stdout.ends_with(end);
    let both = is_version(theirs) && is_version(ours);
    take_over(theirs, ours, both, Then::Goes)
}

fn synchronisation(_: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    const REFUSAL: &str = "connection synchronisation is not supported yet\n";
    let refused = ours.status == Some(255) && ours.stderr == REFUSAL;
    // What is wrong with the command line is found by both; what else there may be, by the kernel.
    let then = match theirs.status {
        Some(0) => Then::Ends,
        Some(255) => Then::Goes,
        _ => return None,
    };
    take_over(theirs, ours, refused, then)
}

fn odd_mask(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let refused = ours.refused("a persistent mask must be that of a prefix of 1 to 32 bits\n");
    let given = line.mentions("M") || line.mentions("--netmask");
    take_over(theirs, ours, refused && given, Then::Ends)
}

fn bracketed(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let there = ours.refused(ILLEGAL_ADDRESS) && line.mentions("[10.");
    take_over(theirs, ours, there, Then::Ends)
}

fn mapped(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let there = ours.refused(ILLEGAL_ADDRESS) && line.mentions("::ffff:");
    take_over(theirs, ours, there, Then::Ends)
}

fn nobody(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let refused = ours.stderr.contains("Invalid operation.  ");
    take_over(
        theirs,
        ours,
        refused && line.mentions("0.1.2.3"),
        Then::Ends,
    )
}

fn this_host(_: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let refused = ours.stderr.contains(" is this host itself");
    take_over(theirs, ours, refused, Then::Ends)
}

fn no_scheduler(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let refused = ours
        .stderr
        .contains("Scheduler or persistence engine not found\n");
    take_over(theirs, ours, refused && line.mentions("none"), Then::Ends)
}

fn zeroed_all(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let there = ours.status == Some(255) && ours.stderr == "No such service\n";
    let zero = line.mentions("::") || line.mentions("0.0.0.0");
    let there = there && zero && theirs.status == Some(0) && theirs.stderr.is_empty();
    take_over(theirs, ours, there, Then::Goes)
}

fn nameless_flag(_: &Line, theirs: &mut Outcome, _: &mut Outcome) -> Option<Then> {
    theirs.amend(|line| {
        let listed = line.replace(" ()", "");
        Some(listed.trim_end_matches(" -b ").to_owned())
    })
}

const ILLEGAL_ADDRESS: &str = "server address[:port] specified\n";

fn crash(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    let there = theirs.status.is_none() && line.mentions(",");
    take_over(theirs, ours, there, Then::Ends)
}

fn idle_engine(_: &Line, theirs: &mut Outcome, _: &mut Outcome) -> Option<Then> {
    theirs.amend(|line| {
        let idle = line.starts_with("-A ") && !line.contains(" -p ");
        idle.then(|| line.replace(" --pe sip", ""))
    })
}

fn saved_thresholds(_: &Line, _: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    ours.amend(|line| {
        let mut words: Vec<_> = line.strip_prefix("-a ")?.split(' ').collect();
        while let Some(at) = words.iter().position(|word| ["-x", "-y"].contains(word)) {
            words.drain(at..words.len().min(at + 2));
        }
        Some(format!("-a {}", words.join(" ")))
    })
}

fn saved_marks(_: &Line, theirs: &mut Outcome, _: &mut Outcome) -> Option<Then> {
    theirs.amend(|line| {
        let (before, after) = line.split_once(" -f -")?;
        let end = after.find(' ').unwrap_or(after.len());
        let mark = after[..end].parse::<u32>().ok()?.wrapping_neg();
        Some(format!("{before} -f {mark}{}", &after[end..]))
    })
}

/// Here all have counted the same, so that a server's columns are those of its service.
fn server_counters(line: &Line, theirs: &mut Outcome, _: &mut Outcome) -> Option<Then> {
    const BEFORE_NAME: usize = 5;
    const NAME_WIDTH: usize = 33;
    if line.counters.is_none() || !(line.has("--stats") || line.has("--rate")) {
        return None;
    }
    // Wide numbers run together, so that names are told by where they begin.
    let name = |line: &str| -> String {
        let blank = line.get(BEFORE_NAME..).and_then(|rest| rest.find(' '));
        let (name, rest) = line.split_at(blank.map_or(line.len(), |at| BEFORE_NAME + at));
        let family = if rest.starts_with(" IPv6") {
            " IPv6"
        } else {
            ""
        };
        format!("{name}{family}")
    };
    let mut of_service = String::new();
    theirs.amend(|line| {
        if line.starts_with("  -> RemoteAddress") {
            return None;
        }
        let name = name(line);
        if line.starts_with("  -> ") {
            return Some(format!("{name:<NAME_WIDTH$}{of_service}"));
        }
        of_service = line.get(name.len().max(NAME_WIDTH)..)?.to_owned();
        None
    })
}

fn unsorted(line: &Line, theirs: &mut Outcome, ours: &mut Outcome) -> Option<Then> {
    if !line.mentions("--nosort") {
        return None;
    }
    for outcome in [theirs, ours] {
        let mut lines: Vec<_> = outcome.stdout.lines().collect();
        lines.sort_unstable();
        outcome.stdout = lines.join("\n");
    }
    Some(Then::Goes)
}

/// Where the difference is `there`, takes ours for theirs.
fn take_over(theirs: &mut Outcome, ours: &Outcome, there: bool, then: Then) -> Option<Then> {
    there.then(|| {
        theirs.clone_from(ours);
        then
    })
}

impl Outcome {
    /// Whether the command line was wrong, and the last complaint ends so.
    fn refused(&self, complaint: &str) -> bool {
        self.status == Some(2) && self.stderr.ends_with(complaint)
    }

    /// Replaces lines of the output by what `amended` makes of them, if anything. Tells whether any was another then.
    fn amend(&mut self, mut amended: impl FnMut(&str) -> Option<String>) -> Option<Then> {
        let lines = self.stdout.lines();
        let lines = lines.map(|line| amended(line).unwrap_or_else(|| line.to_owned()) + "\n");
        let stdout: String = lines.collect();
        let there = stdout != self.stdout;
        self.stdout = stdout;
        there.then_some(Then::Goes)
    }
}

impl Line {
    /// Whether it says this anywhere.
    fn mentions(&self, what: &str) -> bool {
        self.words.iter().any(|word| word.contains(what)) || self.input.contains(what)
    }
}
