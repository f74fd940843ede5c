//! A server taken out of service while it is in use: nothing is lost that need not be.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use lvsd::control::client::Client;
use lvsd::control::table::{Server, Table};
use tests::command::{eventually, lvsd, output, peer, text};
use tests::process::PATIENCE;
use tests::traffic::{noise, sha256, url};
use tests::{Family, Lan, Lvsd, Method, Plan, Process, Rules, daemon, spread};

fn table(lan: &Lan) -> Table {
    let mut client = Client::connect(&daemon::socket(lan)).expect("lvsd listens");
    client.table().expect("lvsd answers")
}

/// A server, by its place in the LAN, of the service at this port of the VIP.
fn server(lan: &Lan, family: Family, index: usize, port: u16) -> Option<Server> {
    let address = lan.server(family, index).into();
    let mut servers = table(lan).services.into_iter().flat_map(|s| s.servers);
    servers.find(|s| s.address == address && s.port == port)
}

/// The words for a server of the service at this port of the VIP.
fn target(lan: &Lan, family: Family, service: &str, index: usize, port: u16) -> Vec<String> {
    let virt = SocketAddr::new(family.vip(), port).to_string();
    let server = SocketAddr::new(lan.server(family, index), port).to_string();
    [service, &virt, "-r", &server].map(str::to_owned).into()
}

fn argv(lan: &Lan, target: &[String], options: &str) -> Vec<String> {
    let socket = daemon::socket(lan).display().to_string();
    let mut argv: Vec<String> = [&lvsd(), "drain", "--socket", &socket]
        .map(str::to_owned)
        .into();
    argv.extend_from_slice(target);
    argv.extend(options.split_whitespace().map(str::to_owned));
    argv
}

fn drain(lan: &Lan, target: &[String], options: &str) -> (Option<i32>, String) {
    let argv = argv(lan, target, options);
    let argv: Vec<_> = argv.iter().map(String::as_str).collect();
    let Output {
        status,
        stdout,
        stderr,
    } = output(&argv, "");
    (status.code(), text(&stdout) + &text(&stderr))
}

/// Runs a line of the shell on the client beside the test.
fn load(lan: &Lan, line: &str) -> Process {
    lan.client.start("load", &["sh", "-c", line])
}

/// Fetches the page all the time, over connections of their own; a line for each answer, or for what went wrong.
fn fetching(lan: &Lan, family: Family) -> Process {
    let page = url(family.vip(), "/");
    let urls = vec![format!("'{page}'"); 20].join(" ");
    let curl = "curl -sS -g --fail --max-time 10 -H 'Connection: close'";
    load(
        lan,
        &format!("while :; do {curl} {urls} || echo FAILED; done"),
    )
}

/// On a busy machine ends take their time, but less than that of a connection that is thought to have closed just now, 120 s.
const SHORT_OF_TIME_WAIT: &str = "--deadline 110s";

/// Under load and with downloads that take their time: no request is lost, and the server goes when it has nothing left.
fn nothing_is_lost(method: Method, family: Family) {
    let lan = Plan::of(method, 2).build();
    let _servers = lan.backends(method);
    // Where the director does not see the servers' side, it takes a closed connection for half-closed: for 3 s here.
    let rules = format!("--set 0 3 0\n{}", Rules::of(&lan, method, family));
    let _lvsd = Lvsd::start(&lan, rules);
    for server in &lan.servers {
        noise(&server.stored("file"), 4);
    }
    let busy = fetching(&lan, family);
    let both = || spread(&busy.said().lines().collect::<Vec<_>>()).len() == 2;
    assert!(eventually(PATIENCE, both), "{}", busy.said());
    // Four downloads, of which both servers get some.
    let file = url(family.vip(), "/files/file");
    let copy = |i: usize| lan.client.file(&format!("copy{i}"));
    let mut downloads: Vec<_> = (0..4)
        .map(|i| {
            let to = copy(i);
            let to = to.display();
            let line = format!("exec curl -sS -g --fail --limit-rate 1M -o {to} '{file}'");
            load(&lan, &line)
        })
        .collect();
    let has_begun = |i| fs::metadata(copy(i)).is_ok_and(|file| file.len() > 0);
    assert!(eventually(PATIENCE, || (0..4).all(has_begun)));
    let (status, said) = drain(&lan, &target(&lan, family, "-t", 0, 80), SHORT_OF_TIME_WAIT);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("no connection was left"), "{said}");
    assert!(server(&lan, family, 0, 80).is_none());
    // Both files are whole, wherever they came from.
    let sums: BTreeSet<_> = lan
        .servers
        .iter()
        .map(|s| sha256(&s.stored("file")))
        .collect();
    for (i, download) in downloads.iter_mut().enumerate() {
        assert!(download.await_end().success(), "{}", download.said());
        let sum = sha256(&copy(i));
        assert!(sums.contains(&sum), "copy {i} is damaged");
    }
    let before = busy.said().len();
    let goes_on = || busy.said().len() > before + 30;
    assert!(eventually(PATIENCE, goes_on), "the load goes on");
    let said = busy.said();
    let last = said.rfind('\n').unwrap_or(0);
    let names: Vec<_> = said[..last].lines().collect();
    let counts = spread(&names);
    assert_eq!(
        counts.keys().copied().collect::<Vec<_>>(),
        ["r1", "r2"],
        "{counts:?}"
    );
    assert!(
        !said[before..].contains("r1"),
        "the removed server gets nothing"
    );
}

#[test]
fn nothing_is_lost_by_nat() {
    nothing_is_lost(Method::Nat, Family::V4);
}

#[test]
fn nothing_is_lost_by_nat_ipv6() {
    nothing_is_lost(Method::Nat, Family::V6);
}

#[test]
fn nothing_is_lost_by_direct_routing() {
    nothing_is_lost(Method::Dr, Family::V4);
}

#[test]
fn nothing_is_lost_by_fullnat() {
    nothing_is_lost(Method::FullNat, Family::V4);
}

/// A bulk transfer runs to its end.
#[test]
fn iperf3_ends_first() {
    let family = Family::V4;
    let lan = Plan::two_arms(1).build();
    let _server = lan.servers[0].iperf3_server();
    let rules = Rules::new().tcp(family.vip(), 5201);
    let rules = rules.server(lan.server(family, 0), 5201, Method::Nat);
    let _lvsd = Lvsd::start(&lan, rules);
    let vip = family.vip().to_string();
    let began = Instant::now();
    let mut transfer = lan
        .client
        .start("iperf3", &["iperf3", "-c", &vip, "-t", "4", "-f", "m"]);
    let is_busy = || server(&lan, family, 0, 5201).is_some_and(|s| s.active == 2);
    assert!(eventually(PATIENCE, is_busy), "{}", transfer.said());
    let (status, said) = drain(
        &lan,
        &target(&lan, family, "-t", 0, 5201),
        SHORT_OF_TIME_WAIT,
    );
    let took = began.elapsed();
    assert_eq!(status, Some(0), "{said}");
    assert!(took >= Duration::from_secs(4), "it is waited for: {took:?}");
    assert!(transfer.await_end().success(), "{}", transfer.said());
    assert!(transfer.said().contains("receiver"), "{}", transfer.said());
}

/// What does not end in time is cut, and counted.
#[test]
fn at_the_deadline_what_is_left_is_cut() {
    let family = Family::V4;
    let lan = Plan::two_arms(2).build();
    let _servers = lan.web();
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, family));
    for server in &lan.servers {
        noise(&server.stored("file"), 300);
    }
    // What has come and was not yet read is no progress of the connection: there shall be little.
    lan.client
        .sysctl(&[("net.ipv4.tcp_rmem", "4096 65536 262144")]);
    // One for each server. They take 150 s. A stalled one gives up after 4 s.
    let file = url(family.vip(), "/files/file");
    let line = format!(
        "exec curl -sS --limit-rate 2M --speed-limit 1000 --speed-time 4 -o /dev/null '{file}'"
    );
    let mut downloads = [load(&lan, &line), load(&lan, &line)];
    let busy = |index| server(&lan, family, index, 80).is_some_and(|s| s.active == 1);
    assert!(eventually(PATIENCE, || busy(0) && busy(1)));
    let began = Instant::now();
    let (status, said) = drain(&lan, &target(&lan, family, "-t", 0, 80), "--deadline 2s");
    let took = began.elapsed();
    assert_eq!(status, Some(3), "{said}");
    assert!(
        said.contains("1 connection (1 active, 0 inactive, 0 persistent) cut"),
        "{said}"
    );
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(60),
        "{took:?}"
    );
    assert!(server(&lan, family, 0, 80).is_none());
    let mut running = || {
        let running = downloads.iter_mut().map(|d| !d.has_ended());
        running.filter(|is_running| *is_running).count()
    };
    let is_cut = eventually(PATIENCE, || running() == 1);
    assert!(is_cut, "it stalls, once all that had come is taken");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(running(), 1, "the other server's goes on");
}

/// A socket that talks all the time never gets a new connection by itself; it goes to another server at once.
#[test]
fn udp_clients_are_moved_at_once() {
    for family in Family::BOTH {
        let lan = Plan::two_arms(2).build();
        let _servers = lan.echo(&[7000]);
        let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, family));
        let (peer, vip) = (peer(), family.vip().to_string());
        let ask = [&*peer, "udp-ask", &vip, "7000", "rounds=10000000"];
        let talk = lan.client.start("talk", &ask);
        let spoke = || talk.said().lines().count() > 100;
        assert!(eventually(PATIENCE, spoke), "{}", talk.said());
        let first = talk.said().lines().next().unwrap_or_default().to_owned();
        let index = usize::from(first == "r2");
        let began = Instant::now();
        let target = target(&lan, family, "-u", index, 7000);
        let (status, said) = drain(&lan, &target, "--move-udp");
        let took = began.elapsed();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("1 UDP clients and templates moved"), "{said}");
        assert!(
            took < PATIENCE,
            "it needs no silence, which would be 300 s: {took:?}"
        );
        assert!(server(&lan, family, index, 7000).is_none());
        let before = talk.said().len();
        let goes_on = || talk.said().len() > before + 100;
        assert!(eventually(PATIENCE, goes_on), "{}", talk.said());
        let said = talk.said();
        let all: Vec<_> = said[..said.rfind('\n').unwrap_or(0)].lines().collect();
        let counts = spread(&all);
        let lost = counts.get("lost").copied().unwrap_or(0);
        assert!(lost <= 1, "at most the one that was under way: {counts:?}");
        assert!(
            counts
                .keys()
                .all(|name| ["r1", "r2", "lost"].contains(name)),
            "{counts:?}"
        );
        assert!(!said[before..].contains(&first), "{counts:?}");
    }
}

/// A client that persistence keeps on the server goes elsewhere, or comes back, as is asked for.
#[test]
fn templates_are_moved_if_asked() {
    let family = Family::V4;
    let lan = Plan::two_arms(2).build();
    let _servers = lan.web();
    let vip = SocketAddr::new(family.vip(), 80);
    let mut rules = format!("-A -t {vip} -s rr -p 300\n");
    for server in lan.server_addresses(family) {
        let _ = writeln!(rules, "-a -t {vip} -r {server} -m");
    }
    let _lvsd = Lvsd::start(&lan, rules);
    let who = || lan.client.fetch(&url(family.vip(), "/"), 1).remove(0);
    let first = who();
    let index = usize::from(first == "r2");
    let target = target(&lan, family, "-t", index, 80);
    // At weight 0 its clients come back, and it is not drained.
    let (status, said) = drain(&lan, &target, "--deadline 1s --keep");
    assert_eq!(status, Some(3), "{said}");
    assert!(
        said.contains("1 persistent") && said.contains("--move-templates"),
        "{said}"
    );
    assert_eq!([who(), who()], [&*first, &*first]);
    let (status, said) = drain(&lan, &target, "--move-templates --deadline 60s");
    assert_eq!(status, Some(0), "{said}");
    assert_ne!(who(), first);
}

/// Ctrl-C leaves weight 0, and what is then told can be typed.
#[test]
fn stopped_it_can_be_resumed_or_undone() {
    let family = Family::V4;
    let lan = Plan::two_arms(1).build();
    let _servers = lan.web();
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, family));
    noise(&lan.servers[0].stored("file"), 50);
    let file = url(family.vip(), "/files/file");
    let _download = load(
        &lan,
        &format!("exec curl -sS --limit-rate 1M -o /dev/null '{file}'"),
    );
    let weight = || server(&lan, family, 0, 80).map(|s| s.weight);
    let is_busy = || server(&lan, family, 0, 80).is_some_and(|s| s.active == 1);
    assert!(eventually(PATIENCE, is_busy));
    let argv = argv(&lan, &target(&lan, family, "-t", 0, 80), "");
    let argv: Vec<_> = argv.iter().map(String::as_str).collect();
    let mut drain = lan.director.start("drain", &argv);
    drain.await_saying("1 active");
    assert_eq!(weight(), Some(0));
    drain.signal("INT");
    assert_eq!(drain.await_end().code(), Some(130), "{}", drain.said());
    assert_eq!(weight(), Some(0));
    let said = drain.said();
    let told = |what: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(what));
        let line = line.unwrap_or_else(|| panic!("no {what}: {said}"));
        line.trim().replacen("lvsd", &lvsd(), 1)
    };
    let (resume, undo) = (told("to go on:"), told("to give it its weight back:"));
    let mut again = lan
        .director
        .start("drain", &["sh", "-c", &format!("exec {resume}")]);
    again.await_saying("1 active");
    again.signal("HUP");
    assert_eq!(again.await_end().code(), Some(129), "{}", again.said());
    lan.director.run(&["sh", "-c", &undo]);
    assert_eq!(weight(), Some(1));
}
