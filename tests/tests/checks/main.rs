//! Each kind of check against real servers, and against what can be wrong with them: traffic goes elsewhere, the log says why, and
//! it comes back.

mod pages;
mod programs;
mod protocols;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tests::command::eventually;
use tests::health::{real_server, virtual_server};
use tests::process::PATIENCE;
use tests::{Conduct, Family, Lan, Lvsd, Plan, Process, http};

const V4: Family = Family::V4;

/// r1, to which things happen, and r2 beside it, as servers of one service.
struct Pair<A> {
    lan: Lan,
    daemon: Lvsd,
    /// How the table calls it.
    service: &'static str,
    port: u16,
    /// Asks it over a new connection who serves.
    ask: A,
    /// So much of the log has been looked at.
    read: Cell<usize>,
}

impl<A: Fn(&Lan) -> String> Pair<A> {
    /// Starts lvsd with such a check for both.
    fn start(lan: Lan, (protocol, port): (&'static str, u16), check: &str, ask: A) -> Self {
        let servers = lan.server_addresses(V4);
        let servers: Vec<_> = servers
            .iter()
            .map(|ip| real_server(*ip, port, check))
            .collect();
        let head = format!("{} {port}", V4.vip());
        let conf = virtual_server(head, protocol, "", &servers);
        let pair = Self {
            daemon: Lvsd::configured(&lan, conf).start(),
            service: protocol,
            port,
            lan,
            ask,
            read: Cell::new(0),
        };
        pair.lan.await_checked();
        pair.await_both();
        pair
    }

    #[track_caller]
    fn await_both(&self) {
        self.await_serving(&["r1", "r2"]);
        self.read.set(self.daemon.said().len());
    }

    /// Waits until only r2 serves, for this reason.
    #[track_caller]
    fn await_failure(&self, why: &str) {
        self.await_serving(&["r2"]);
        let said = &self.daemon.said()[self.read.get()..];
        let removed = format!("Removing service [{}]:", self.lan.server(V4, 0));
        let is_it = |line: &str| line.contains(&removed) && line.contains(why);
        assert!(said.lines().any(is_it), "not for {why:?}: {said}");
    }

    #[track_caller]
    fn await_serving(&self, who: &[&str]) {
        let servers: Vec<_> = who
            .iter()
            .map(|who| format!("{who}:{}", self.port))
            .collect();
        let servers: Vec<_> = servers.iter().map(|server| (&**server, 1)).collect();
        self.lan.await_listed(self.service, &servers);
        self.lan.await_answers(who, || (self.ask)(&self.lan));
    }

    /// The process is killed, and started again.
    fn kill_and_restart(&self, server: &mut Process, why: &str) {
        server.kill();
        self.await_failure(why);
        server.restart();
        self.await_both();
    }

    /// The process stands still, and goes on.
    fn freeze_and_thaw(&self, server: &Process, why: &str) {
        server.freeze();
        self.await_failure(why);
        server.thaw();
        self.await_both();
    }

    /// The host is cut off, and comes back.
    fn unplug_and_plug(&self, why: &str) {
        self.lan.unplug(&self.lan.servers[0], "eth0");
        self.await_failure(why);
        self.lan.plug(&self.lan.servers[0], "eth0");
        self.await_both();
    }
}

fn page(lan: &Lan) -> String {
    lan.page(V4)
}

fn fine(page: &str) -> Conduct {
    Conduct::Answers(http(200, page))
}

#[test]
fn connections_are_refused_lost_or_forbidden() {
    let lan = Plan::two_arms(2).build();
    let mut web = lan.web();
    let pair = Pair::start(lan, ("TCP", 80), "TCP_CHECK {\n }", page);
    pair.kill_and_restart(&mut web[0], "TCP_CHECK failed: connection refused");
    pair.unplug_and_plug("TCP_CHECK failed: ");
    let firewall = |verdict: &str| {
        let rules = format!(
            "table inet t {{ chain c {{ type filter hook input priority 0; tcp dport 80 {verdict}; }}; }}"
        );
        pair.lan.servers[0].run_with(&["nft", "-f", "-"], &rules);
    };
    for (verdict, why) in [
        ("drop", "no connection in time"),
        ("reject with icmpx type admin-prohibited", "unreachable"),
    ] {
        firewall(verdict);
        pair.await_failure(why);
        pair.lan.servers[0].run(&["nft", "flush", "ruleset"]);
        pair.await_both();
    }
}

/// A server that says nothing is found after connect_timeout × (retries + 1) and what lies between: here some 2.5 seconds.
#[test]
fn traffic_moves_in_time_and_not_too_early() {
    let lan = Plan::two_arms(2).build();
    let mut r1 = lan.servers[0].faulty(80, fine("r1"));
    let _r2 = lan.servers[1].web(&[80]);
    let check = "HTTP_GET {\n url {\n path /\n }\n }";
    let pair = Pair::start(lan, ("TCP", 80), check, page);
    let began = Instant::now();
    r1.turn(Conduct::Hangs);
    let listed =
        |table: Option<BTreeMap<String, u32>>| table.is_some_and(|t| t.contains_key("r1:80"));
    assert!(eventually(PATIENCE, || !listed(pair.lan.listed("TCP"))));
    let took = began.elapsed();
    let [least, most] = [2, 20].map(Duration::from_secs);
    assert!((least..most).contains(&took), "{took:?}");
    pair.await_failure("HTTP_GET failed: no complete answer in time");
}

/// A server is up while all of its checks are.
#[test]
fn several_checks_of_one_server() {
    let lan = Plan::two_arms(2).build();
    let mut r1 = [
        lan.servers[0].faulty(80, fine("r1")),
        lan.servers[0].faulty(81, fine("health")),
    ];
    let _r2 = [80, 81].map(|port| lan.servers[1].faulty(port, fine("r2")));
    let check = "TCP_CHECK {\n }\n HTTP_GET {\n connect_port 81\n url {\n path /\n }\n }\n PING_CHECK {\n }";
    let pair = Pair::start(lan, ("TCP", 80), check, page);
    r1[1].turn(Conduct::Answers(http(500, "")));
    pair.await_failure("HTTP_GET failed: unwanted status: 500");
    r1[0].turn(Conduct::Refuses);
    let refused = || {
        pair.daemon
            .said()
            .contains("TCP_CHECK on service [10.10.0.11]:tcp:80 failed")
    };
    assert!(eventually(PATIENCE, refused), "{}", pair.daemon.said());
    // One of two is not enough.
    r1[1].turn(fine("health"));
    let fine_again = || {
        pair.daemon
            .said()
            .matches("HTTP_GET on service [10.10.0.11]:tcp:80 success")
            .count()
            == 2
    };
    assert!(eventually(PATIENCE, fine_again), "{}", pair.daemon.said());
    pair.await_serving(&["r2"]);
    r1[0].turn(fine("r1"));
    pair.await_both();
}

/// With `lvsd_rise`, a server that flaps does not come back.
#[test]
fn a_flapping_server_stays_out() {
    const RISE: usize = 5;
    let lan = Plan::two_arms(2).build();
    let mut r1 = lan.servers[0].faulty(81, fine("up"));
    let _web = lan.web();
    let _r2 = lan.servers[1].faulty(81, fine("up"));
    let check = format!(
        "HTTP_GET {{\n connect_port 81\n delay_loop 0.5\n lvsd_rise {RISE}\n url {{\n path /\n }}\n }}"
    );
    let pair = Pair::start(lan, ("TCP", 80), &check, page);
    r1.turn(Conduct::Refuses);
    pair.await_failure("connection refused");
    let read = pair.daemon.said().len();
    let mut flaps = 0;
    for _ in 0..4 {
        let before = r1.asked().len();
        r1.turn(fine("up"));
        assert!(eventually(PATIENCE, || r1.asked().len() >= before + 2));
        r1.turn(Conduct::Refuses);
        // On a machine that is too busy for this, it was up for longer.
        flaps += usize::from(r1.asked().len() - before < RISE);
        std::thread::sleep(Duration::from_secs(1));
    }
    if flaps == 4 {
        assert!(
            !pair.daemon.said()[read..].contains("Adding service"),
            "{}",
            pair.daemon.said()
        );
        pair.await_serving(&["r2"]);
    }
    let before = r1.asked().len();
    r1.turn(fine("up"));
    pair.await_both();
    assert!(r1.asked().len() - before >= RISE, "{:?}", r1.asked());
}
