//! Stories: command lines that follow each other, from an empty table on, and what surrounds them.

use std::fmt;

use serde_json::{Value, json};

use crate::known::Known;
use crate::line;
use crate::random::Random;

/// A command line and its surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// How the program is called.
    pub(crate) program: &'static str,
    pub(crate) words: Vec<String>,
    /// For `-R`. `--compat` is only for ours, and only said to it.
    pub(crate) input: String,
    /// What all services and servers have counted.
    pub(crate) counters: Option<Counters>,
    /// The director's connections.
    pub(crate) connections: Vec<Connection>,
}

/// Connections, packets and bytes in and out, their rates; active, inactive and persistent connections.
pub(crate) type Counters = [u64; 13];

/// A connection as `/proc/net/ip_vs_conn` and as lvsd tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) proc: String,
    pub(crate) told: Value,
}

/// The story of this number.
pub(crate) fn story(seed: u64) -> Vec<Line> {
    let random = &mut Random::new(seed);
    let known = &mut Known::default();
    let mut lines = vec![Line::of(&["-C"])];
    for _ in 0..random.below(20) {
        lines.push(Line::new(line::setting_up(random, known)));
    }
    for _ in 0..random.below(16) + 4 {
        lines.push(surrounded(random, known));
    }
    lines.push(listing_counts(random));
    for end in [
        "-Ln",
        "-Ln --thresholds",
        "-Ln --tun-info",
        "-Sn",
        "-Ln --timeout",
    ] {
        lines.push(Line::of(&end.split(' ').collect::<Vec<_>>()));
    }
    lines
}

/// Lines that add services and servers.
pub(crate) fn setup(seed: u64) -> Vec<Line> {
    let random = &mut Random::new(seed);
    let known = &mut Known::default();
    (0..30)
        .map(|_| Line::new(line::setting_up(random, known)))
        .collect()
}

fn surrounded(random: &mut Random, known: &mut Known) -> Line {
    let mut line = match random.below(100) {
        0..=7 => restoring(random, known),
        8..=13 => listing_counts(random),
        14..=16 => listing_connections(random),
        17 => Line::of(random.pick(&[
            &["-h"][..],
            &["--help", "x"],
            &["-v"],
            &["--version", "-q"],
            &[],
        ])),
        _ => Line::new(line::any(random, known)),
    };
    if random.percent(5) {
        line.program = "/sbin/ipvsadm";
    }
    line
}

fn restoring(random: &mut Random, known: &mut Known) -> Line {
    let mut input = String::new();
    let count = random.below(7);
    for n in 0..count {
        let mut words = match random.percent(60) {
            true => line::setting_up(random, known),
            false => line::any(random, known),
        };
        // Each of these differs; one by one they are compared elsewhere.
        while words.iter().any(|word| word.contains("-daemon")) {
            words = line::any(random, known);
        }
        if random.percent(15) {
            input.push_str(random.pick(&[
                "\n",
                "  \t \n",
                "# comment\n",
                "ipvsadm\n",
                "-R\n",
                "ipvsadm ",
                "/sbin/ipvsadm ",
                "\t",
                "'",
                "-C\n",
            ]));
        }
        let blank = random.pick(&[" ", " ", " ", "  ", "\t", " \t "]);
        input.push_str(&words.join(blank));
        if random.percent(4) {
            input.push_str(random.pick(&[" # comment", " ", "\r", " ipvsadm", " x"]));
        }
        if n + 1 < count || random.percent(80) {
            input.push('\n');
        }
    }
    Line::restoring(&["-R", "--compat"], input)
}

fn listing_counts(random: &mut Random) -> Line {
    let format = random.pick(&[
        "--stats",
        "--rate",
        "--persistent-conn",
        "--thresholds",
        "-n",
    ]);
    let mut words = vec!["-L", "-n", format];
    if random.percent(40) {
        words.push("--exact");
    }
    let mut counters = Counters::default();
    for (place, counter) in counters.iter_mut().enumerate() {
        *counter = match place {
            // IPVS's rates and connection counts have 32 bits.
            0..5 if random.percent(30) => random.wide(64),
            0..5 => random.pick(&[
                0,
                99_999_999,
                100_000_000,
                999_999_999,
                1_000_000_000,
                99_999_999_999,
                100_000_000_000,
            ]),
            5..10 => random.wide(40),
            _ => random.wide(32),
        };
    }
    Line {
        counters: Some(counters),
        ..Line::of(&words)
    }
}

fn listing_connections(random: &mut Random) -> Line {
    let mut words = vec!["-L", "-n", "-c"];
    for option in [
        "--persistent-conn",
        "--nosort",
        "--sort",
        "--exact",
        "--stats",
    ] {
        if random.percent(15) {
            words.push(option);
        }
    }
    let count = random.below(6);
    Line {
        connections: (0..count).map(|_| connection(random)).collect(),
        ..Line::of(&words)
    }
}

fn connection(random: &mut Random) -> Connection {
    const STATES: [&str; 11] = [
        "NONE",
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "SYNACK",
    ];
    let ipv6 = random.percent(30);
    let mut end = |port: u64| -> (String, String, String) {
        let port = port & 0xffff;
        let groups: [u64; 8] = std::array::from_fn(|_| random.wide(16));
        if ipv6 {
            let full: Vec<_> = groups.iter().map(|g| format!("{g:04x}")).collect();
            let full = full.join(":");
            let ip: std::net::Ipv6Addr = full.parse().expect("it is one");
            (full, format!("{port:04X}"), format!("[{ip}]:{port}"))
        } else {
            let [a, b, c, d, ..] = groups.map(|g| g & 0xff);
            (
                format!("{a:02X}{b:02X}{c:02X}{d:02X}"),
                format!("{port:04X}"),
                format!("{a}.{b}.{c}.{d}:{port}"),
            )
        }
    };
    let (client, virt, server) = (end(50_000), end(80), end(8080));
    let template = random.percent(15);
    let protocol = random.pick(&[
        "TCP",
        "TCP",
        "UDP",
        "SCTP",
        if template { "IP" } else { "TCP" },
    ]);
    let state = match (template, protocol) {
        (true, _) => random.pick(&["NONE", "ASSURED"]),
        (_, "UDP") => "UDP",
        _ => random.pick(&STATES),
    };
    let expires = random.wide(16);
    Connection {
        proc: format!(
            "{protocol:<3} {} {} {} {} {} {} {state:<11} {expires:>7}\n",
            client.0, client.1, virt.0, virt.1, server.0, server.1
        ),
        told: json!({
            "protocol": protocol, "client": client.2, "virtual_address": virt.2, "server": server.2,
            "method": "nat", "state": state, "expires": expires, "template": template, "packets": 1,
            "service": {"protocol": "fwm", "mark": 1, "ipv6": false},
        }),
    }
}

impl Line {
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self {
            program: "ipvsadm",
            words,
            input: String::new(),
            counters: None,
            connections: Vec::new(),
        }
    }

    pub(crate) fn of(words: &[&str]) -> Self {
        Self::new(words.iter().map(|&word| word.to_owned()).collect())
    }

    /// A line that reads `input`.
    pub(crate) fn restoring(words: &[&str], input: String) -> Self {
        Self {
            input,
            ..Self::of(words)
        }
    }

    /// Whether one of its words is this.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|w| w == word)
    }
}

/// As one would type it.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.input.is_empty() {
            write!(f, "printf %b {:?} | ", self.input)?;
        }
        if let Some(counters) = self.counters {
            write!(f, "COUNTERS={} ", counters.map(|n| n.to_string()).join(","))?;
        }
        f.write_str(self.program)?;
        for word in &self.words {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:[]/".contains(c);
            match !word.is_empty() && word.chars().all(plain) {
                true => write!(f, " {word}")?,
                false => write!(f, " '{}'", word.replace('\'', r"'\''"))?,
            }
        }
        for connection in &self.connections {
            write!(
                f,
                "\n    # with the connection {}",
                connection.proc.trim_end()
            )?;
        }
        Ok(())
    }
}
