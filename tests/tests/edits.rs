//! A thousand edits a second while traffic flows: no connection to a server that stays is lost.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use lvsd::control::client::Client;
use lvsd::control::conns::Filter;
use tests::command::eventually;
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan, Rules, daemon};

/// How long traffic and edits go on.
const SPAN: Duration = Duration::from_secs(5);
/// As many edits a second as the editor tries.
const RATE: u32 = 1000;

/// Numbers that are different each time and the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Edits services beside those that traffic goes to, and those servers' weights.
struct Editor {
    client: Client,
    dice: Dice,
    vip: IpAddr,
    servers: Vec<IpAddr>,
    method: &'static str,
    /// The ports of the other services, and the last byte of their servers' addresses.
    others: Vec<(u16, BTreeSet<u64>)>,
    made: u32,
}

impl Editor {
    fn new(lan: &Lan, method: &'static str) -> Self {
        Self {
            client: Client::connect(&daemon::socket(lan)).unwrap(),
            dice: Dice(7),
            vip: Family::V4.vip(),
            servers: lan.server_addresses(Family::V4),
            method,
            others: Vec::new(),
            made: 0,
        }
    }

    fn apply(&mut self, line: &str) {
        let words = line.split_whitespace().map(str::to_owned).collect();
        let applied = self.client.apply(vec![words], false).unwrap();
        assert_eq!(applied, Ok(()), "{line}");
        self.made += 1;
    }

    /// One edit, whatever comes up.
    fn edit(&mut self) {
        let (vip, method) = (self.vip, self.method);
        let weight = 1 + self.dice.below(9);
        let dice = self.dice.below(10);
        if dice < 4 {
            let server = self.servers[self.dice.below(self.servers.len() as u64) as usize];
            let port = [80, 5201][self.dice.below(2) as usize];
            return self.apply(&format!(
                "-e -t {vip}:{port} -r {server} {method} -w {weight}"
            ));
        }
        let place = self.dice.below(50) as usize;
        let Some((port, servers)) = self.others.get(place).cloned() else {
            let port = (9000..)
                .find(|p| self.others.iter().all(|(o, _)| o != p))
                .unwrap();
            self.others.push((port, BTreeSet::new()));
            return self.apply(&format!("-A -t {vip}:{port} -s wlc"));
        };
        let server = 1 + self.dice.below(5);
        let address = format!("10.77.0.{server}");
        if dice == 4 {
            self.others.remove(place);
            self.apply(&format!("-D -t {vip}:{port}"));
        } else if !servers.contains(&server) {
            self.others[place].1.insert(server);
            self.apply(&format!("-a -t {vip}:{port} -r {address} {method}"));
        } else if dice == 5 {
            self.others[place].1.remove(&server);
            self.apply(&format!("-d -t {vip}:{port} -r {address}"));
        } else if dice == 6 {
            let scheduler = ["rr", "wrr", "wlc", "sh", "mh", "lblcr"][self.dice.below(6) as usize];
            self.apply(&format!("-E -t {vip}:{port} -s {scheduler}"));
        } else {
            self.apply(&format!(
                "-e -t {vip}:{port} -r {address} {method} -w {weight}"
            ));
        }
    }

    /// Edits at [`RATE`] until told to stop, and never in arrears.
    fn go_on(mut self, stop: &AtomicBool) -> u32 {
        let mut next = Instant::now();
        while !stop.load(Relaxed) {
            self.edit();
            next = (next + Duration::from_secs(1) / RATE)
                .max(Instant::now() - Duration::from_millis(50));
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        self.made
    }
}

fn edits_lose_nothing(method: Method, option: &'static str) {
    let vip = Family::V4.vip();
    let lan = Plan::of(method, 2).build();
    let _servers = lan.backends(method);
    let _iperf3: Vec<_> = lan.servers.iter().map(|s| s.iperf3_server()).collect();
    let servers = lan.server_addresses(Family::V4);
    let rules = Rules::new()
        .tcp(vip, 80)
        .servers(&servers, 80, method)
        .tcp(vip, 5201)
        .servers(&servers, 5201, method);
    // iperf3 has two connections, which must meet.
    let rules = rules
        .to_string()
        .replace(":5201 -s rr", ":5201 -s rr -p 600");
    let _lvsd = Lvsd::start(&lan, rules);
    let editor = Editor::new(&lan, option);
    let edits = lan
        .client
        .loses_nothing_while(vip, SPAN.as_secs(), |stop| editor.go_on(stop));
    println!("{edits} edits in {SPAN:?}");
    let paced = RATE * SPAN.as_secs() as u32;
    assert!(edits > paced / 2, "{edits} edits are too few for {paced}");
}

#[test]
fn edits_lose_nothing_nat() {
    edits_lose_nothing(Method::Nat, "-m");
}

#[test]
fn edits_lose_nothing_dr() {
    edits_lose_nothing(Method::Dr, "-g");
}

/// Whoever asks for connections and then does not listen does not hold up the traffic, nor edits.
#[test]
fn a_deaf_client_holds_up_nobody() {
    let vip = Family::V4.vip();
    let lan = Plan::of(Method::Nat, 2).build();
    let _servers = lan.backends(Method::Nat);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, Family::V4));
    lan.client.fetch(&url(vip, "/"), 50);
    let socket: PathBuf = daemon::socket(&lan);
    let mut deaf = Client::connect(&socket).unwrap();
    let mut seen = 0;
    deaf.connections(Filter::default(), |some| {
        seen += some.len();
        // Here the deaf one stays for the rest of the test.
        lan.client.fetch(&url(vip, "/"), 20);
        let mut other = Client::connect(&socket).unwrap();
        let words = "-A -t 10.9.0.100:9 -s rr".split(' ').map(str::to_owned);
        assert_eq!(other.apply(vec![words.collect()], false).unwrap(), Ok(()));
        ControlFlow::Break(())
    })
    .unwrap();
    assert!(seen > 0);
    drop(deaf);
    let mut other = Client::connect(&socket).unwrap();
    assert!(eventually(PATIENCE, || other.table().is_ok()));
}
