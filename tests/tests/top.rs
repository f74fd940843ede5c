//! `lvsd top`: rates of real traffic, on a terminal that is left as it was.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use tests::command::{eventually, lvsd, output, run, text};
use tests::process::PATIENCE;
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
    assert!(eventually(PATIENCE, has_rates), "{}", once(&[]));
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

/// A terminal of 20 rows and 100 columns on the director, in which a shell carries out some lines.
///
/// Keys are pressed when what they answer has been seen, however long that takes.
struct Terminal {
    script: Process,
    keys: File,
    log: PathBuf,
}

impl Terminal {
    /// In `lines`, `TOP` is the command and `DIR` a folder for what [`Shown::file`] reads.
    fn open(lan: &Lan, lines: &str) -> Self {
        let file = |name| lan.director.file(name);
        let (inner, log, keys) = (file("inner"), file("typescript"), file("keys"));
        for old in [&log, &keys] {
            let _ = fs::remove_file(old); // there is none the first time
        }
        let top = format!("{} top --socket {} --interval 200ms", lvsd(), socket(lan));
        let dir = inner.parent().expect("it is in a folder").display();
        let lines = lines.replace("TOP", &top).replace("DIR", &dir.to_string());
        let size = "stty rows 20 cols 100; tty >";
        fs::write(&inner, format!("{size}{dir}/tty\n{lines}")).expect("it can be written");
        run(&["mkfifo", keys.to_str().expect("a path in UTF-8")]);
        // Open for both, it neither waits for a reader nor ever ends for one.
        let both = File::options().read(true).write(true).open(&keys);
        let line = format!(
            "exec script -qfc 'sh {}' {} <{}",
            inner.display(),
            log.display(),
            keys.display()
        );
        Self {
            script: lan.director.start("script", &["sh", "-c", &line]),
            keys: both.expect("the keys can be opened"),
            log,
        }
    }

    fn press(&mut self, keys: &str) {
        let pressed = self.keys.write_all(keys.as_bytes());
        pressed.expect("the terminal takes keys");
    }

    fn shown(&self) -> Shown {
        let raw = fs::read(&self.log).unwrap_or_default(); // not there at first
        Shown {
            raw: String::from_utf8_lossy(&raw).into_owned(),
            lan_file: self.log.clone(),
        }
    }

    #[track_caller]
    fn await_shown(&self, what: &str, seen: impl Fn(&Shown) -> bool) {
        let came = eventually(PATIENCE, || seen(&self.shown()));
        assert!(came, "no {what} in {:?}", self.shown().raw);
    }

    #[track_caller]
    fn await_frame(&self, what: &str, seen: impl Fn(&str) -> bool) {
        self.await_shown(what, |shown| shown.has(&seen));
    }

    /// Until the terminal is the command's, and it has shown its table.
    #[track_caller]
    fn await_table(&self) {
        self.await_frame("table", |frame| frame.contains("TCP "));
    }

    /// All there was when the lines have come to their end. (How `script` ends tells nothing of them.)
    fn close(mut self) -> Shown {
        self.script.await_end();
        self.shown()
    }
}

/// What a terminal was shown.
struct Shown {
    raw: String,
    lan_file: PathBuf,
}

impl Shown {
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

    /// How often the terminal was taken.
    fn taken(&self) -> usize {
        self.raw.matches("\x1b[?1049h").count()
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
    let mut terminal = Terminal::open(&lan, AROUND);
    // Active, InAct, CPS, InBit/s and OutBit/s; 100 columns have no room for more.
    let busy = |frame: &str| {
        let cells = cells(frame, "TCP 10.9.0.100:80");
        cells[5..].iter().all(|cell| cell != "0")
    };
    let of_table = |f: &str| f.contains("by cps") && f.contains("TCP ");
    terminal.await_frame("rates", |f| of_table(f) && busy(f));
    terminal.await_shown("life", |shown| shown.frames().len() > 15);
    terminal.press("s");
    terminal.await_frame("order by packets", |f| f.contains("by pps"));
    terminal.press("/10.10.0.12:80");
    let filtered = |f: &str| f.contains("10.10.0.12:80\"") && !f.contains("10.10.0.11:80");
    terminal.await_frame("filtered table", filtered);
    terminal.press("\rh");
    let help = "new connections a second; InPPS";
    terminal.await_frame("help", |f| f.contains(help));
    terminal.press("qq");
    let shown = terminal.close();
    shown.left_the_terminal();
    assert_eq!(shown.file("status"), "0\n");
    let frames = shown.frames();
    assert!(frames.iter().all(|f| f.lines().count() == 20), "{frames:?}");
}

#[test]
fn ctrl_c_and_signals_leave_the_terminal_as_it_was() {
    let (lan, _servers, _lvsd) = two_servers();
    let mut terminal = Terminal::open(&lan, &AROUND.replace("TOP", "trap : INT; TOP"));
    terminal.await_table();
    terminal.press("\x03");
    let shown = terminal.close();
    shown.left_the_terminal();
    assert_eq!(shown.file("status"), "0\n");
    for (signal, status) in [("TERM", "143\n"), ("HUP", "129\n")] {
        let top = "sh -c 'echo $$ >DIR/pid; exec TOP'";
        let terminal = Terminal::open(&lan, &AROUND.replace("TOP", top));
        terminal.await_table();
        let pid = terminal.shown().file("pid");
        run(&["kill", "-s", signal, pid.trim()]);
        let shown = terminal.close();
        shown.left_the_terminal();
        assert_eq!(shown.file("status"), status);
    }
}

/// Under a shell with job control, Ctrl-Z gives the terminal to the shell, and `fg` takes it again.
#[test]
fn it_can_be_suspended() {
    let (lan, _servers, _lvsd) = two_servers();
    let lines = "set -m; stty -a >DIR/before; TOP; stty -a >DIR/suspended; fg; echo $? >DIR/status; stty -a >DIR/after";
    let mut terminal = Terminal::open(&lan, lines);
    terminal.await_table();
    terminal.press("\x1a");
    terminal.await_shown("second time", |shown| shown.taken() == 2);
    terminal.press("s");
    terminal.await_frame("order by packets: it goes on", |f| f.contains("by pps"));
    terminal.press("q");
    let shown = terminal.close();
    assert_eq!(shown.file("suspended"), shown.file("before"));
    assert_eq!(shown.file("after"), shown.file("before"));
    assert_eq!(shown.file("status"), "0\n");
    assert_eq!(shown.taken(), 2);
    assert_eq!(shown.raw.matches("\x1b[?1049l").count(), 2);
}

/// Without one, nobody could continue it.
#[test]
fn without_job_control_it_does_not_stop() {
    let (lan, _servers, _lvsd) = two_servers();
    let mut terminal = Terminal::open(&lan, AROUND);
    terminal.await_table();
    terminal.press("\x1a");
    terminal.press("s");
    terminal.await_frame("order by packets: it goes on", |f| f.contains("by pps"));
    terminal.press("q");
    let shown = terminal.close();
    assert_eq!(shown.file("after"), shown.file("before"));
    assert_eq!(shown.file("status"), "0\n");
}

#[test]
fn it_follows_the_terminals_size() {
    let (lan, _servers, _lvsd) = two_servers();
    let mut terminal = Terminal::open(&lan, &AROUND.replace("stty -a", "stty -g"));
    terminal.await_table();
    let tty = terminal.shown().file("tty");
    run(&["stty", "-F", tty.trim(), "rows", "9", "cols", "47"]);
    let is_of = |f: &str, rows: usize, columns: usize| {
        f.lines().count() == rows && f.lines().all(|l| l.len() <= columns)
    };
    terminal.await_frame("small frame", |f| is_of(f, 9, 47));
    terminal.press("q");
    let shown = terminal.close();
    shown.left_the_terminal();
    let frames = shown.frames();
    let small = frames.iter().position(|f| is_of(f, 9, 47));
    let small = small.expect("it has been seen");
    // In between, rows may have been set and columns not yet.
    assert!(small > 0 && is_of(&frames[0], 20, 100), "{frames:?}");
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
    let mut terminal = Terminal::open(&lan, AROUND);
    terminal.await_table();
    lvsd.kill();
    // What was is still shown.
    terminal.await_frame("trouble", |f| {
        f.contains("trying again") && f.contains("TCP 10.9.0.100:80")
    });
    let _again = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, Family::V4));
    let came_back = "lvsd answers again; its counters have begun anew";
    terminal.await_frame("good news", |f| f.contains(came_back));
    terminal.press("q");
    terminal.close().left_the_terminal();
}
