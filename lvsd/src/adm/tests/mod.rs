//! Command lines from end to end, against what ipvsadm was seen to say.

mod staged;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use lvs_core::{Ip, Protocol};
use serde_json::{Value, json};

use super::front::Front;
use super::names::Shown;
use crate::control::testing::Desk;
use crate::rules::Names;
use staged::Stage;

/// The world's names: of hosts those that are given, of ports a few that are the same everywhere.
#[derive(Debug, Default)]
struct World {
    hosts: RefCell<HashMap<Ip, String>>,
}

const PORTS: [(u16, Protocol, &str); 6] = [
    (53, Protocol::TCP, "domain"),
    (53, Protocol::UDP, "domain"),
    (80, Protocol::TCP, "http"),
    (443, Protocol::TCP, "https"),
    (5060, Protocol::UDP, "sip"),
    (8080, Protocol::TCP, "http-alt"),
];

impl Shown for World {
    fn host(&self, ip: Ip) -> Option<String> {
        self.hosts.borrow().get(&ip).cloned()
    }

    fn port(&self, port: u16, protocol: Protocol) -> Option<String> {
        let known = PORTS.iter().find(|(n, p, _)| (*n, *p) == (port, protocol));
        known.map(|(.., name)| (*name).to_owned())
    }
}

impl Names for World {
    fn has_scheduler(&self, name: &str) -> bool {
        lvs_sched::build(name).is_some()
    }

    fn host(&self, name: &str) -> Result<Ipv4Addr, String> {
        let hosts = self.hosts.borrow();
        let host = hosts.iter().find(|(_, known)| *known == name);
        let ip = host.and_then(|(ip, _)| ip.as_v4());
        ip.map(Ipv4Addr::from)
            .ok_or_else(|| "no such host".to_owned())
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        let known = PORTS
            .iter()
            .find(|(_, p, name)| (*p, *name) == (protocol, service));
        known.map(|(port, ..)| *port)
    }
}

/// What came of a command line.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    exit: u8,
    out: String,
    err: String,
}

impl Said {
    fn out(text: impl Into<String>) -> Self {
        Self {
            exit: 0,
            out: text.into(),
            err: String::new(),
        }
    }

    fn err(exit: u8, text: impl Into<String>) -> Self {
        Self {
            exit,
            out: String::new(),
            err: text.into(),
        }
    }
}

fn say(socket: PathBuf, world: &World, line: &str) -> Said {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut front = Front {
        program: "./ipvsadm",
        socket,
        names: world,
        shown: world,
        input: &mut io::empty(),
        out: &mut out,
        err: &mut err,
    };
    let exit = front.command(&words);
    Said {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

fn at(desk: &Desk, line: &str) -> Said {
    say(desk.path().to_owned(), &World::default(), line)
}

#[test]
fn everything_is_said_as_ipvsadm_says_it() {
    let (stage, world) = (Stage::new(), World::default());
    let mut lines = include_str!("seen.txt").lines().peekable();
    let mut commands = 0;
    while let Some(line) = lines.next() {
        let Some((kind, rest)) = line.split_at_checked(1) else {
            panic!("an empty line");
        };
        if kind == "%" {
            stage.set(rest, &world);
            continue;
        }
        assert_eq!(kind, "$", "{line}");
        let mut seen = Said::out("");
        while let Some(line) = lines.next_if(|l| !l.starts_with(['$', '%'])) {
            match line.split_at_checked(2) {
                Some(("! ", message)) => seen.err += &format!("{message}\n"),
                Some(("= ", exit)) => seen.exit = exit.parse().unwrap(),
                _ => seen.out += &format!("{line}\n"),
            }
        }
        let said = say(stage.path(), &world, rest);
        assert_eq!(said.out, seen.out, "{line}");
        assert_eq!(said, seen, "{line}");
        commands += 1;
    }
    assert_eq!(commands, 78);
}

#[test]
fn marks_are_listed_signed_and_fullnat_by_its_name() {
    let desk = Desk::open();
    desk.apply(
        "-A -f 4294967295 -s rr\n\
         -A -t 10.0.0.1:80 -s rr --local-address 10.9.0.1\n\
         -a -t 10.0.0.1:80 -r 10.1.0.1:8080 --fullnat",
    );
    let listed = at(&desk, "-Ln").out;
    let seen = "\
FWM  -1 rr
TCP  10.0.0.1:80 rr
  -> 10.1.0.1:8080                FullNAT 1      0          0         
";
    assert!(listed.ends_with(seen), "{listed}");
}

/// Everything that can be configured, in the form and order in which it is saved.
const EVERYTHING: &str = "\
--clear-marks
--mark 1 --destination 10.0.0.1 --protocol tcp
--mark 2 --source 10.2.0.0/16
-A -t 10.0.0.1:80 -s sh -p 60 -M 255.255.255.0 -b sh-fallback,sh-port
-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3 -x 9 -y 5
-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 0
-A -t 10.0.0.2:80 -s wlc --local-address 10.9.0.1:1024-65535 --local-address 10.9.0.2:2000-3000 --tcp-timeout 5 --tcpfin-timeout 6
-a -t 10.0.0.2:80 -r 10.1.0.1:80 --fullnat -w 1
-A -u 10.0.0.1:5060 -s rr -p 60 --pe sip -o --udp-timeout 2678400
-a -u 10.0.0.1:5060 -r 10.1.0.1:5060 -i -w 1 -x 7 --tun-type gue --tun-port 6080 --tun-remcsum
-a -u 10.0.0.1:5060 -r 10.1.0.2:5060 -i -w 1 --tun-type gre --tun-csum
-a -u 10.0.0.1:5060 -r 10.1.0.3:5060 -i -w 1 --tun-type ipip
-A --sctp-service [2001:db8::1]:9 -s mh -p 5 -M 64
-A -f 1 -s lc
-A -f 3000000000 -6 -s lc
";

#[test]
fn what_is_saved_makes_the_same_again() {
    let desk = Desk::open();
    desk.apply(EVERYTHING);
    let services = |desk: &Desk| {
        let mut services = desk.client().table().unwrap().services;
        super::listing::sort(&mut services);
        services
    };
    let before = services(&desk);
    let saved = at(&desk, "-Sn").out;
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&saved), sorted(EVERYTHING));
    assert!(saved.starts_with("--clear-marks\n--mark 1 "), "{saved}");
    assert_eq!(at(&desk, "-C"), Said::out(""));
    assert_eq!(services(&desk), []);
    desk.apply(&saved);
    assert_eq!(services(&desk), before);
    assert_eq!(at(&desk, "-Sn").out, saved);
}

#[test]
fn what_is_saved_by_name_can_be_read_again() {
    let (desk, world) = (Desk::open(), World::default());
    let long = "a-very-long-name-of-a-host-indeed.subdomain.example.com";
    let names = [
        ("10.0.0.1", long),
        ("2001:db8::1", "six"),
        ("10.1.0.1", "one"),
    ];
    let names = names.map(|(ip, name)| (ip.parse().unwrap(), name.to_owned()));
    world.hosts.replace(names.into());
    desk.apply(
        "-A -t 10.0.0.1:80 -s rr\n\
         -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m\n\
         -A -t [2001:db8::1]:443 -s rr",
    );
    let saved = say(desk.path().to_owned(), &world, "-S").out;
    let lines = [
        &*format!("-A -t {long}:http -s rr"),
        &*format!("-a -t {long}:http -r one:http-alt -m -w 1"),
        "-A -t [2001:db8::1]:https -s rr",
    ];
    assert_eq!(saved.lines().collect::<Vec<_>>(), lines);
    let numeric = at(&desk, "-Sn").out;
    at(&desk, "-C");
    for line in saved.lines() {
        assert_eq!(say(desk.path().to_owned(), &world, line), Said::out(""));
    }
    assert_eq!(at(&desk, "-Sn").out, numeric);
}

#[test]
fn marks_are_listed_in_their_order() {
    let desk = Desk::open();
    assert_eq!(at(&desk, "-L --marks"), Said::out(""));
    assert_eq!(at(&desk, "-L --marks --json"), Said::out("[]\n"));
    let (one, two) = ("--mark 2 --source 10.2.0.0/16", "--mark 1 --protocol tcp");
    for line in [one, two] {
        assert_eq!(at(&desk, line), Said::out(""), "{line}");
    }
    assert_eq!(
        at(&desk, "-L --marks"),
        Said::out(format!("{one}\n{two}\n"))
    );
    let json = format!("[\"{one}\",\"{two}\"]\n");
    assert_eq!(at(&desk, "-L --marks --json"), Said::out(json));
    assert_eq!(at(&desk, "--unmark 2 --source 10.2.0.0/16"), Said::out(""));
    assert_eq!(at(&desk, "-L --marks"), Said::out(format!("{two}\n")));
}

#[test]
fn refusals_have_ipvsadms_words_and_status() {
    const HINT: &str = "Try `./ipvsadm -h' or './ipvsadm --help' for more information.";
    const NO_SYNC: &str = "connection synchronisation is not supported yet";
    const NOT_HERE: &str = "Illegal 'forwarding-method' option with the 'delete-server' command";
    let desk = Desk::open();
    desk.apply("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m");
    for (line, exit, said) in [
        ("-A -t 10.0.0.1:80 -s rr", 255, "Service already exists"),
        (
            "-A -t 10.0.0.1:81 -s nosuch",
            255,
            "Scheduler or persistence engine not found",
        ),
        ("-E -t 10.0.0.1:81", 255, "No such service"),
        ("-D -t 10.0.0.1:81", 255, "No such service"),
        ("-Z -t 10.0.0.1:81", 255, "No such service"),
        (
            "-a -t 10.0.0.1:80 -r 10.1.0.1 -m",
            255,
            "Destination already exists",
        ),
        ("-d -t 10.0.0.1:80 -r 10.1.0.2 -m", 2, NOT_HERE),
        ("-d -t 10.0.0.1:80 -r 10.1.0.2", 255, "No such destination"),
        ("-e -t 10.0.0.1:81 -r 10.1.0.2", 255, "Service not defined"),
        ("--start-daemon master", 255, NO_SYNC),
        ("-L -t 10.0.0.1:81", 1, "No such service"),
        ("-L -t 10.0.0.1:81 --json", 1, "No such service"),
        (
            "-A -t 10.0.0.1",
            2,
            "Zero port specified for non-persistent service",
        ),
        ("-n -L", 255, HINT),
        ("net.ipv4.vs.conntrack = 1", 255, HINT),
        ("--frob", 255, HINT),
        ("-L --frob", 255, "--frob: unknown option"),
    ] {
        assert_eq!(
            at(&desk, line),
            Said::err(exit, format!("{said}\n")),
            "{line}"
        );
    }
    for line in ["-Z", "-Z -t 10.0.0.1:80", "-d -t 10.0.0.1:80 -r 10.1.0.1"] {
        assert_eq!(at(&desk, line), Said::out(""), "{line}");
    }
    assert_eq!(at(&desk, "-L --daemon --json"), Said::out("[]\n"));
}

#[test]
fn without_a_daemon_it_is_said_what_to_do() {
    let nowhere = std::env::temp_dir().join("lvsd-test-no-such.sock");
    let say = |line: &str| say(nowhere.clone(), &World::default(), line);
    for line in [
        "",
        "-Ln",
        "-Lnc",
        "-C",
        "-Sn",
        "-L --daemon",
        "-D -t 10.0.0.1:80",
    ] {
        let said = say(line);
        assert_eq!((said.exit, &*said.out), (2, ""), "{line}");
        let lines: Vec<&str> = said.err.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with("Can't initialize ipvs: no lvsd listens at /"),
            "{lines:?}"
        );
        assert!(lines[1].contains("LVSD_SOCKET"), "{lines:?}");
    }
    // These need none.
    assert_eq!(say("-L --frob").exit, 255);
    assert_eq!(say("-A").exit, 2);
    let help = say("-h");
    assert!(
        help.exit == 0 && help.out.starts_with("Usage: ./ipvsadm "),
        "{help:?}"
    );
    let version = say("--version");
    assert_eq!(
        (version.exit, &version.out[..24]),
        (0, "ipvsadm v1.31 2019/12/24")
    );
}

#[test]
fn a_daemon_that_ends_half_way_is_a_failure() {
    let path = std::env::temp_dir().join(format!("lvsd-test-dying-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let dying = std::thread::spawn(move || {
        let hello = b"{\"reply\":\"hello\",\"protocol\":1,\"lvsd\":\"0\"}\n";
        for stream in listener.incoming().take(3) {
            let mut stream = stream.unwrap();
            stream.write_all(hello).unwrap();
            BufReader::new(stream).lines().nth(1);
        }
    });
    for (line, exit, out) in [
        ("-Ln", 1, "IP Virtual Server version 1.2.1 (size=4096)\n"),
        ("-L --timeout", 1, ""),
        ("-C", 255, ""),
    ] {
        let said = say(path.clone(), &World::default(), line);
        assert_eq!((said.exit, &*said.out), (exit, out), "{line}");
        assert!(said.err.contains("does not answer"), "{}", said.err);
    }
    dying.join().unwrap();
    std::fs::remove_file(path).unwrap();
}

/// Output that fails.
#[derive(Debug)]
struct Failing(ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

#[test]
fn output_that_nobody_wants_ends_quietly_and_a_full_disk_does_not() {
    let (desk, world) = (Desk::open(), World::default());
    for line in ["-Ln", "-Lnc", "-Sn", "-Lnc --json", "-h"] {
        for (kind, exit, said) in [
            (ErrorKind::BrokenPipe, 0, ""),
            (
                ErrorKind::StorageFull,
                1,
                "cannot write: no storage space\n",
            ),
        ] {
            let mut err = Vec::new();
            let mut front = Front {
                program: "./ipvsadm",
                socket: desk.path().to_owned(),
                names: &world,
                shown: &world,
                input: &mut io::empty(),
                out: &mut Failing(kind),
                err: &mut err,
            };
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(front.command(&words), exit, "{line}");
            assert_eq!(String::from_utf8(err).unwrap(), said, "{line}");
        }
    }
}

#[test]
fn listings_for_programs_hold_everything() {
    let (stage, world) = (Stage::new(), World::default());
    let say = |line: &str| {
        let said = say(stage.path(), &world, line);
        assert_eq!((said.exit, &*said.err), (0, ""), "{line}");
        said.out
    };
    let json = |line: &str| -> Value { serde_json::from_str(&say(line)).unwrap() };
    assert_eq!(say("-Lc --json"), "[]\n");
    for line in EVERYTHING.lines() {
        say(line);
    }
    for direction in [
        "connection TCP ESTABLISHED 899 203.0.113.5:50000 10.0.0.1:80 192.168.1.2:8080",
        "connection UDP UDP 300 [2001:db8::9]:50000 [2001:db8::1]:80 [2001:db8::2]:80",
        "counters 1,2,3,4,18446744073709551615,6,7,8,9,10,11,12,13",
    ] {
        stage.set(direction, &world);
    }
    let table = json("-L --json");
    assert_eq!(json("-Ln --stats --exact --json"), table);
    assert_eq!(table["services"].as_array().unwrap().len(), 6);
    assert_eq!(table["marks"].as_array().unwrap().len(), 2);
    let only = json("-L -t 10.0.0.1:80 --json");
    assert_eq!(only, table["services"][1]);
    assert_eq!(only["servers"][0]["totals"]["out_bytes"], u64::MAX);
    let persistence = json!({"timeout": 60, "prefix": 24, "engine": null});
    assert_eq!(only["persistence"], persistence);
    let timeouts = json!({"tcp": 900, "tcp_fin": 120, "udp": 300});
    assert_eq!(json("-L --timeout --json"), timeouts);
    let connections = say("-Lc --json");
    assert_eq!(connections.lines().count(), 4, "an element a line");
    let connections: Value = serde_json::from_str(&connections).unwrap();
    assert_eq!(connections[1]["client"], "[2001:db8::9]:50000");
    assert_eq!(connections.as_array().unwrap().len(), 2);
}
