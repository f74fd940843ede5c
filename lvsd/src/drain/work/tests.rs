//! Against a real control socket in front of a director without a network.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use lvs_core::{Endpoint, Protocol, Segment, TcpFlags, Time, Verdict, Worker};

use super::*;
use crate::control::table::Table;
use crate::control::testing::Desk;
use crate::drain::screen::Kind;
use crate::rules::SystemNames;

/// An output that is looked at later.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A drain that goes on beside the test.
struct Drain {
    interrupt: mpsc::Sender<i32>,
    out: Paper,
    err: Paper,
    thread: thread::JoinHandle<u8>,
}

impl Drain {
    fn start(desk: &Desk, line: &str) -> Self {
        Self::with(desk, line, Kind::Lines)
    }

    fn with(desk: &Desk, line: &str, kind: Kind) -> Self {
        let mut args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        args.extend(["--socket".to_owned(), desk.path().display().to_string()]);
        let options = Options::parse(&args, &SystemNames::default())
            .unwrap()
            .unwrap();
        let (interrupt, interrupts) = mpsc::channel();
        let (out, err) = (Paper::default(), Paper::default());
        let papers = (out.clone(), err.clone());
        let body = move || {
            let mut screen = Screen::new(kind, Box::new(papers.0), Box::new(papers.1));
            work(&options, &args, &interrupts, &mut screen)
        };
        Self {
            interrupt,
            out,
            err,
            thread: thread::spawn(body),
        }
    }

    /// Exit status and what it said, on standard output and standard error.
    fn end(self) -> (u8, String, String) {
        let status = self.thread.join().unwrap();
        (status, self.out.text(), self.err.text())
    }
}

fn await_that(desk: &Desk, what: impl Fn(&Table) -> bool) {
    let mut client = desk.client();
    let end = Instant::now() + Duration::from_secs(10);
    while !what(&client.table().unwrap()) {
        assert!(Instant::now() < end, "it does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

fn weight(table: &Table) -> Option<u32> {
    let mut servers = table.services.iter().flat_map(|s| &s.servers);
    let address = "10.1.0.1".parse().unwrap();
    servers.find(|s| s.address == address).map(|s| s.weight)
}

fn is_quiesced(table: &Table) -> bool {
    weight(table) == Some(0)
}

fn desk(lines: &str) -> (Desk, Worker) {
    let desk = Desk::open();
    desk.apply(lines);
    let worker = desk.plane.director.worker().unwrap();
    (desk, worker)
}

/// Opens a connection of this client's.
fn open(worker: &mut Worker, protocol: Protocol, client: &str) {
    let (client, virt) = (client.parse().unwrap(), "10.0.0.1:80".parse().unwrap());
    pass(worker, Segment::opening(protocol, client, virt));
}

/// Ends a connection of this client's by a reset.
fn close(worker: &mut Worker, client: &str) {
    send(worker, client, TcpFlags::RST);
}

/// A packet of this client's with these flags, after its handshake.
fn send(worker: &mut Worker, client: &str, flags: TcpFlags) {
    let (client, virt): (Endpoint, _) = (client.parse().unwrap(), "10.0.0.1:80".parse().unwrap());
    // A reset before the handshake is over would change nothing, as in IPVS.
    for flags in [TcpFlags::ACK, flags] {
        let packet = Segment::new(Protocol::TCP, client, virt);
        pass(worker, Segment { flags, ..packet });
    }
}

fn pass(worker: &mut Worker, segment: Segment) {
    let mut verdicts = Vec::new();
    worker.decide(Time::default(), &[segment], &mut verdicts);
    assert!(
        matches!(verdicts[..], [Verdict::Forward(_)]),
        "{verdicts:?}"
    );
}

const TCP: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 3 -x 7";
const LINE: &str = "-t 10.0.0.1:80 -r 10.1.0.1";

#[test]
fn a_server_is_removed_when_its_last_connection_has_been_closed() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    let began = Instant::now();
    let drain = Drain::start(&desk, LINE);
    await_that(&desk, is_quiesced);
    let quiesced = began.elapsed();
    assert!(quiesced < Duration::from_secs(1), "{quiesced:?}");
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(weight(&desk.client().table().unwrap()), Some(0), "it waits");
    close(&mut worker, "10.2.0.1:1024");
    let (status, out, err) = drain.end();
    assert_eq!(status, 0, "{out}{err}");
    assert_eq!(weight(&desk.client().table().unwrap()), None);
    assert!(
        out.starts_with("10.1.0.1:80 is removed from TCP 10.0.0.1:80 after "),
        "{out}"
    );
    for said in [
        "10.1.0.1:80: 1 active, 0 inactive, 0 persistent; 14m59s left",
        "no other server",
        "adm --socket ",
        " -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3 -x 7",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    assert_eq!(err.matches("left\n").count(), 1, "said every 5 s: {err}");
    // What is told to be typed can be: behind the socket's path.
    let (_, undo) = err.trim().split_once(".sock ").unwrap();
    desk.apply(undo);
    assert_eq!(weight(&desk.client().table().unwrap()), Some(3));
}

#[test]
fn at_the_deadline_it_is_removed_with_what_is_left() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    open(&mut worker, Protocol::TCP, "10.2.0.1:1025");
    open(&mut worker, Protocol::TCP, "10.2.0.1:1026");
    close(&mut worker, "10.2.0.1:1026");
    let drain = Drain::start(&desk, &format!("{LINE} --deadline 300ms"));
    let (status, out, err) = drain.end();
    assert_eq!(status, 3, "{out}{err}");
    assert!(
        out.contains("2 connections (2 active, 1 inactive (1 closed), 0 persistent) cut"),
        "{out}"
    );
    assert_eq!(weight(&desk.client().table().unwrap()), None);
}

/// A server without a port of its own is used at the other's.
#[test]
fn only_its_own_closed_connections_count() {
    let (desk, mut worker) = desk("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m");
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    send(&mut worker, "10.2.0.1:1024", TcpFlags::FIN);
    desk.apply("-e -t 10.0.0.1:80 -r 10.1.0.1 -m -w 0\n-a -t 10.0.0.1:80 -r 10.1.0.1:0 -m");
    open(&mut worker, Protocol::TCP, "10.2.0.2:1024");
    close(&mut worker, "10.2.0.2:1024");
    let (status, out, err) = Drain::start(&desk, &format!("{LINE} --deadline 300ms")).end();
    assert_eq!(status, 3, "{out}{err}");
    assert!(
        out.contains("1 connection (0 active, 1 inactive, 0 persistent) cut"),
        "{out}"
    );
}

#[test]
fn kept_it_stays() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    let line = format!("{LINE} --deadline 300ms --keep");
    let (status, out, err) = Drain::start(&desk, &line).end();
    assert_eq!(status, 3, "{out}{err}");
    assert!(is_quiesced(&desk.client().table().unwrap()));
    assert_eq!(desk.plane.director.connection_count(), 1);
    close(&mut worker, "10.2.0.1:1024");
    let (status, out, err) = Drain::start(&desk, &line.replace("300ms", "1m")).end();
    assert_eq!(status, 0, "{out}{err}");
    assert!(err.contains("weight 0 already"), "{err}");
    assert!(is_quiesced(&desk.client().table().unwrap()));
}

const UDP: &str = "-A -u 10.0.0.1:80 -s rr -p 300\n-a -u 10.0.0.1:80 -r 10.1.0.1 -m";

#[test]
fn udp_clients_and_templates_are_moved_at_once() {
    let (desk, mut worker) = desk(UDP);
    open(&mut worker, Protocol::UDP, "10.2.0.1:1024");
    open(&mut worker, Protocol::UDP, "10.2.0.2:1024");
    desk.apply("-a -u 10.0.0.1:80 -r 10.1.0.2 -m");
    let count = || {
        let director = &desk.plane.director;
        (director.connection_count(), director.template_count())
    };
    assert_eq!(count(), (2, 2));
    let drain = Drain::start(
        &desk,
        "-u 10.0.0.1:80 -r 10.1.0.1 --move-udp --move-templates",
    );
    await_that(&desk, |table| {
        table.connections == 0 && table.templates == 0
    });
    // They come again, and are the other's.
    open(&mut worker, Protocol::UDP, "10.2.0.1:1024");
    let (status, out, err) = drain.end();
    assert_eq!(status, 0, "{out}{err}");
    assert!(err.contains("4 UDP clients and templates moved"), "{err}");
    let table = desk.client().table().unwrap();
    let servers = &table.services[0].servers;
    assert_eq!(
        (servers.len(), servers[0].inactive, servers[0].persistent),
        (1, 1, 1)
    );
}

/// A removed server's UDP clients would be dropped until they fall silent.
#[test]
fn at_the_deadline_udp_clients_are_moved_unasked() {
    let (desk, mut worker) = desk(UDP);
    open(&mut worker, Protocol::UDP, "10.2.0.1:1024");
    let line = "-u 10.0.0.1:80 -r 10.1.0.1 --deadline 300ms";
    let (status, out, err) = Drain::start(&desk, line).end();
    assert_eq!(status, 0, "{out}{err}");
    let director = &desk.plane.director;
    assert_eq!(
        (director.connection_count(), director.template_count()),
        (0, 0)
    );
}

#[test]
fn stopped_it_says_how_to_go_on_and_how_to_undo() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    let drain = Drain::start(&desk, LINE);
    await_that(&desk, is_quiesced);
    drain.interrupt.send(2).unwrap();
    let (status, out, err) = drain.end();
    assert_eq!((status, &*out), (130, ""), "{err}");
    assert!(is_quiesced(&desk.client().table().unwrap()));
    let socket = desk.path().display();
    let again = format!("lvsd drain {LINE} --socket {socket}\n");
    let undo =
        format!("lvsd adm --socket {socket} -e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3 -x 7\n");
    for said in ["stays at weight 0 with 1 active, 0 inactive", &again, &undo] {
        assert!(err.contains(said), "{said}: {err}");
    }
}

#[test]
fn somebody_elses_weight_is_not_undone() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    let drain = Drain::start(&desk, LINE);
    await_that(&desk, is_quiesced);
    desk.apply("-e -t 10.0.0.1:80 -r 10.1.0.1 -m -w 9");
    let (status, out, err) = drain.end();
    assert_eq!((status, &*out), (1, ""), "{err}");
    assert!(err.contains("weight 9"), "{err}");
    assert_eq!(weight(&desk.client().table().unwrap()), Some(9));
}

#[test]
fn troubles_have_words() {
    let (desk, _worker) = desk(TCP);
    for (line, exit, words) in [
        (
            "-t 10.0.0.1:81 -r 10.1.0.1",
            1,
            "there is no service TCP 10.0.0.1:81",
        ),
        (
            "-t 10.0.0.1:80 -r 10.1.0.3",
            1,
            "has no server 10.1.0.3:80; it has 10.1.0.1:80",
        ),
        (
            "-t 10.0.0.1:80 -r 10.1.0.1 --socket /nonexistent/socket",
            1,
            "no such socket",
        ),
    ] {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut options = Options::parse(&args, &SystemNames::default())
            .unwrap()
            .unwrap();
        let own = || desk.path().display().to_string();
        options.socket = Some(options.socket.unwrap_or_else(own));
        let (err, (_sender, interrupts)) = (Paper::default(), mpsc::channel());
        let mut screen = Screen::new(Kind::Lines, Box::new(io::sink()), Box::new(err.clone()));
        assert_eq!(
            work(&options, &args, &interrupts, &mut screen),
            exit,
            "{line}"
        );
        let said = err.text();
        assert!(
            said.contains(words) && said.starts_with("lvsd drain: "),
            "{line}: {said}"
        );
    }
    assert_eq!(weight(&desk.client().table().unwrap()), Some(3));
}

/// The daemon ends while we wait.
#[test]
fn a_daemon_that_ends_is_reported() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    let drain = Drain::start(&desk, LINE);
    await_that(&desk, is_quiesced);
    drop(desk);
    let (status, out, err) = drain.end();
    assert_eq!((status, &*out), (1, ""), "{err}");
    assert!(
        err.contains("does not answer") && err.contains("-w 3"),
        "{err}"
    );
}

#[test]
fn programs_read_json() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    let line = format!("{LINE} --deadline 300ms --json");
    let (status, out, err) = Drain::with(&desk, &line, Kind::Json).end();
    assert_eq!((status, &*err), (3, ""), "{out}");
    let events: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["note", "progress", "end"], "{out}");
    let end = &events[2];
    assert_eq!(
        (end["outcome"].as_str(), end["exit"].as_u64()),
        (Some("removed"), Some(3))
    );
    assert_eq!(end["active"].as_u64(), Some(1));
}

#[test]
fn on_a_terminal_one_line_is_written_anew() {
    let (desk, mut worker) = desk(TCP);
    open(&mut worker, Protocol::TCP, "10.2.0.1:1024");
    let line = format!("{LINE} --deadline 700ms");
    let (_, _, err) = Drain::with(&desk, &line, Kind::Terminal).end();
    let lines: Vec<_> = err.split('\r').filter(|l| l.contains("1 active")).collect();
    assert!(lines.len() > 1, "{err:?}");
    let clean = |l: &&&str| l.starts_with("10.1.0.1:80: 1 active") && l.ends_with("\x1b[K");
    assert_eq!(lines.iter().filter(clean).count(), lines.len(), "{err:?}");
}
