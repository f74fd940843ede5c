//! `lvsd top`: rates of real traffic, on a terminal that is left as it was.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tests::command::{eventually, lvsd, output, text};
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan, Process, Rules, daemon};

fn socket(lan: &Lan) -> String {
    daemon::socket(lan).display().to_string()
}

fn two_servers() -> (Lan, Vec<Process>, Lvsd) {
    let lan = Plan::two_arms(2).build();
    let servers = lan.web();
    let lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, Family::V4));
    (lan, servers, lvsd)
}

/// The page fetched again and again, each time over a connection of its own.
fn load(lan: &Lan) -> Process {
    let page = url(Family::V4.vip(), "/");
    let line = format!("while :; do curl -sS -H 'Connection: close' {page} {page} {page}; done");
    lan.client.start("load", &["sh", "-c", &line])
}

/// The cells of the line that begins so.
fn cells(text: &str, begin: &str) -> Vec<String> {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(begin));
    let line = line.unwrap_or_else(|| panic!("no {begin} in: {text}"));
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn without_a_terminal_it_is_text() {
    let (lan, _servers, _lvsd) = two_servers();
    let _load = load(&lan);
    let once = |args: &[&str]| {
        let (lvsd, socket) = (lvsd(), socket(&lan));
        let argv = [&[&*lvsd, "top", "--socket", &socket], args].concat();
        let out = output(&argv, "");
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    // TCP 10.9.0.100:80 rr | Active InAct CPS InPPS OutPPS InBit/s OutBit/s
    let has_rates = || {
        let cells = cells(&once(&["--once"]), "TCP 10.9.0.100:80");
        cells.len() == 10 && cells[5..].iter().all(|cell| cell != "0")
    };
    assert!(
        eventually(Duration::from_secs(15), has_rates),
        "{}",
        once(&[])
    );
    let said = once(&["--sort", "name"]);
    // 10.10.0.11:80 Masq 1 | …
    for server in ["10.10.0.11:80", "10.10.0.12:80"] {
        let cells = cells(&said, server);
        assert_eq!(cells[1..3], ["Masq", "1"], "{said}");
        assert!(cells[5..].iter().all(|cell| cell != "0"), "{said}");
    }
    assert_eq!(cells(&said, "UDP 10.9.0.100:7000")[3..], ["0"; 7], "{said}");
}

#[test]
fn without_a_daemon_it_says_so() {
    for args in [&["top"][..], &["top", "--once"]] {
        let lvsd = lvsd();
        let argv = [&[&*lvsd], args, &["--socket", "/nonexistent/socket"]].concat();
        let out = output(&argv, "");
        assert_eq!(out.status.code(), Some(1));
        assert!(
            text(&out.stderr).contains("no such socket"),
            "{}",
            text(&out.stderr)
        );
    }
}

/// What a terminal was shown by a shell's lines on the director, while these keys were pressed.
struct Shown {
    raw: String,
    lan_file: PathBuf,
}

impl Shown {
    /// `keys` and `lines` are shell scripts; `TOP` in the latter is the command. The terminal has 20 rows of 100 columns.
    fn by(lan: &Lan, keys: &str, lines: &str) -> Self {
        let (script, log) = (lan.director.file("inner"), lan.director.file("typescript"));
        let top = format!("{} top --socket {} --interval 200ms", lvsd(), socket(lan));
        let dir = script.parent().expect("it is in a folder").display();
        let lines = lines.replace("TOP", &top).replace("DIR", &dir.to_string());
        fs::write(&script, format!("stty rows 20 cols 100\n{lines}")).expect("it can be written");
        let (script, log) = (script.display(), log.display());
        let line = format!("{{ {keys}; }} | script -qefc 'sh {script}' {log}");
        let out = lan.director.output(&["timeout", "60", "sh", "-c", &line]);
        assert!(
            out.status.success(),
            "{} {}",
            text(&out.stdout),
            text(&out.stderr)
        );
        let log = lan.director.file("typescript");
        let raw = fs::read(&log).expect("script has written it");
        Self {
            raw: String::from_utf8_lossy(&raw).into_owned(),
            lan_file: log,
        }
    }

    /// What a file says that the lines have written to `DIR`.
    fn file(&self, name: &str) -> String {
        let path = self.lan_file.with_file_name(name);
        fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("{}: {e}\n{:?}", path.display(), self.raw))
    }

    /// The frames, as text.
    fn frames(&self) -> Vec<String> {
        let frames = self.raw.split("\x1b[?2026h").skip(1);
        let whole = frames.filter_map(|frame| Some(frame.split_once("\x1b[?2026l")?.0));
        whole.map(lines).collect()
    }

    fn has(&self, what: impl Fn(&str) -> bool) -> bool {
        self.frames().iter().any(|frame| what(frame))
    }

    #[track_caller]
    fn left_the_terminal(&self) {
        for (what, count) in [("\x1b[?1049h", 1), ("\x1b[?1049l", 1), ("\x1b[?25h", 1)] {
            assert_eq!(
                self.raw.matches(what).count(),
                count,
                "{what:?} in {:?}",
                self.raw
            );
        }
        assert_eq!(self.file("after"), self.file("before"));
    }
}

/// A frame without what moves the cursor and what styles.
fn lines(frame: &str) -> String {
    let mut text = String::new();
    for part in frame.split("\x1b[").skip(1) {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
        let (code, rest) = part.split_at(end);
        if rest.starts_with('H') && code != "1;1" {
            text.push('\n');
        }
        text += rest.get(1..).unwrap_or_default();
    }
    text
}

const AROUND: &str = "stty -a >DIR/before; TOP; echo $? >DIR/status; stty -a >DIR/after";

#[test]
fn rates_of_real_traffic_are_shown_live() {
    let (lan, _servers, _lvsd) = two_servers();
    let _load = load(&lan);
    let keys = "sleep 5; printf s; sleep 1; printf '/10.10.0.12:80'; sleep 1; printf '\\rh'; sleep 1; printf qq; sleep 1";
    let shown = Shown::by(&lan, keys, AROUND);
    shown.left_the_terminal();
    assert_eq!(shown.file("status"), "0\n");
    let frames = shown.frames();
    assert!(frames.len() > 15, "{}", frames.len());
    assert!(frames.iter().all(|f| f.lines().count() == 20), "{frames:?}");
    // Active, InAct, CPS, InBit/s and OutBit/s; 100 columns have no room for more.
    let busy = |frame: &str| {
        let cells = cells(frame, "TCP 10.9.0.100:80");
        cells[5..].iter().all(|cell| cell != "0")
    };
    let of_table = |f: &str| f.contains("by cps") && f.contains("TCP ");
    assert!(shown.has(|f| of_table(f) && busy(f)), "{frames:?}");
    assert!(shown.has(|f| f.contains("by pps")));
    let filtered = |f: &str| f.contains("10.10.0.12:80\"") && !f.contains("10.10.0.11:80");
    assert!(shown.has(filtered), "{frames:?}");
    assert!(shown.has(|f| f.contains("new connections a second; InPPS")));
}

#[test]
fn ctrl_c_and_signals_leave_the_terminal_as_it_was() {
    let (lan, _servers, _lvsd) = two_servers();
    let shown = Shown::by(
        &lan,
        "sleep 1; printf '\\003'; sleep 1",
        &AROUND.replace("TOP", "trap : INT; TOP"),
    );
    shown.left_the_terminal();
    assert_eq!(shown.file("status"), "0\n");
    for (signal, status) in [("TERM", "143\n"), ("HUP", "129\n")] {
        let kill = format!("{{ sleep 1; kill -s {signal} $(cat DIR/pid); }} &");
        let top = "sh -c 'echo $$ >DIR/pid; exec TOP'";
        let shown = Shown::by(
            &lan,
            "sleep 3",
            &format!("{kill}\n{}", AROUND.replace("TOP", top)),
        );
        shown.left_the_terminal();
        assert_eq!(shown.file("status"), status);
    }
}

/// Under a shell with job control, Ctrl-Z gives the terminal to the shell, and `fg` takes it again.
#[test]
fn it_can_be_suspended() {
    let (lan, _servers, _lvsd) = two_servers();
    let lines = "set -m; stty -a >DIR/before; TOP; stty -a >DIR/suspended; fg; echo $? >DIR/status; stty -a >DIR/after";
    let shown = Shown::by(
        &lan,
        "sleep 1; printf '\\032'; sleep 2; printf s; sleep 1; printf q; sleep 1",
        lines,
    );
    assert_eq!(shown.file("suspended"), shown.file("before"));
    assert_eq!(shown.file("after"), shown.file("before"));
    assert_eq!(shown.file("status"), "0\n");
    assert_eq!(shown.raw.matches("\x1b[?1049h").count(), 2);
    assert_eq!(shown.raw.matches("\x1b[?1049l").count(), 2);
    assert!(shown.has(|f| f.contains("by pps")), "it goes on");
}

/// Without one, nobody could continue it.
#[test]
fn without_job_control_it_does_not_stop() {
    let (lan, _servers, _lvsd) = two_servers();
    let shown = Shown::by(
        &lan,
        "sleep 1; printf '\\032'; sleep 1; printf s; sleep 1; printf q; sleep 1",
        AROUND,
    );
    assert!(shown.has(|f| f.contains("by pps")), "it goes on");
    assert_eq!(shown.file("after"), shown.file("before"));
    assert_eq!(shown.file("status"), "0\n");
}

#[test]
fn it_follows_the_terminals_size() {
    let (lan, _servers, _lvsd) = two_servers();
    let resize = "{ sleep 1; stty rows 9 cols 47 </dev/tty; } &\n";
    let shown = Shown::by(
        &lan,
        "sleep 3; printf q; sleep 1",
        &format!("{resize}{}", AROUND.replace("stty -a", "stty -g")),
    );
    shown.left_the_terminal();
    let frames = shown.frames();
    let is_of = |f: &String, rows: usize, columns: usize| {
        f.lines().count() == rows && f.lines().all(|l| l.len() <= columns)
    };
    let small = frames.iter().position(|f| is_of(f, 9, 47));
    let small = small.unwrap_or_else(|| panic!("{frames:?}"));
    assert!(
        small > 0 && is_of(&frames[small - 1], 20, 100),
        "{frames:?}"
    );
    assert!(
        frames[small..].iter().all(|f| is_of(f, 9, 47)),
        "{frames:?}"
    );
}

/// A daemon that ends and comes back.
#[test]
fn it_waits_for_a_daemon_that_restarts() {
    let (lan, _servers, lvsd) = two_servers();
    lan.client.fetch(&url(Family::V4.vip(), "/"), 5);
    thread::scope(|scope| {
        let shown = scope.spawn(|| Shown::by(&lan, "sleep 6; printf q; sleep 1", AROUND));
        thread::sleep(Duration::from_secs(2));
        lvsd.kill();
        thread::sleep(Duration::from_secs(1));
        let _again = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, Family::V4));
        let shown = shown.join().expect("it has been shown");
        shown.left_the_terminal();
        let frames = shown.frames();
        let trouble = frames.iter().position(|f| f.contains("trying again"));
        let trouble = trouble.unwrap_or_else(|| panic!("{frames:?}"));
        assert!(
            frames[trouble].contains("TCP 10.9.0.100:80"),
            "what was is still shown"
        );
        let came_back = "lvsd answers again; its counters have begun anew";
        assert!(
            frames[trouble..].iter().any(|f| f.contains(came_back)),
            "{frames:?}"
        );
    });
}
