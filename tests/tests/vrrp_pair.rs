//! The director pair of the tutorials: two directors, three real servers, a keepalived.conf each, and a client that never
//! ceases. The master is killed, stopped, unplugged, and a server fails.
//!
//! Where lvsd is, it does everything. Where keepalived is, it does its VRRP half, and starts and stops an lvsd beside it by its
//! notify script, as docs/migrate.md has it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use tests::command::{eventually, lvsd};
use tests::for_each_pair;
use tests::health::{QUICK, real_server};
use tests::process::PATIENCE;
use tests::vrrp::Place::{First, Second};
use tests::vrrp::clients::{Download, Requests, serve_without_end};
use tests::vrrp::{Place, Side, Speaker};
use tests::{Family, Lan, Lvsd, Method, Node, Plan, Process};

const V4: Family = Family::V4;

/// The second director takes connections up in their middle, as the first one's table is not known there; a hash brings them
/// to the same server.
const RULES: &str = "net.ipv4.vs.sloppy_tcp = 1\n";

/// Where servers serve without end.
const STREAM: u16 = 8081;

struct Tutorial {
    method: Method,
    sides: [Side; 2],
    speakers: [Option<Speaker>; 2],
    servers: Vec<Process>,
    requests: Requests,
    download: Option<Download>,
    // Last, as the logs of the others are there.
    lan: Lan,
}

impl Tutorial {
    /// All runs, and the first director is master.
    fn begin(sides: [Side; 2], method: Method) -> Self {
        let lan = Plan::of(method, 3).two_directors().build();
        if method == Method::Nat {
            for server in &lan.servers {
                server.ip("route replace default via 10.10.0.254\n");
            }
        }
        for server in &lan.servers {
            serve_without_end(server, STREAM);
        }
        let mut tutorial = Self {
            method,
            sides,
            speakers: [None, None],
            servers: lan.web(),
            requests: Requests::start(&lan.client, V4.vip()),
            download: None,
            lan,
        };
        tutorial.start(First);
        tutorial.start(Second);
        tutorial.await_served("at first", First, &["r1", "r2", "r3"]);
        tutorial
    }

    fn node(&self, place: Place) -> &Node {
        match place {
            First => &self.lan.director,
            Second => self.lan.second(),
        }
    }

    fn start(&mut self, place: Place) {
        let node = self.node(place);
        let speaker = match self.sides[place as usize] {
            Side::Lvsd => {
                let conf = self.vrrp(place, "") + &self.services();
                let start = Lvsd::configured(&self.lan, conf).rules(RULES).on(node);
                Speaker::Lvsd(start.start())
            }
            Side::Keepalived => {
                let notify = format!(" notify {}\n", self.notify(node));
                Side::Keepalived.start(&self.lan, node, &self.vrrp(place, &notify))
            }
        };
        self.speakers[place as usize] = Some(speaker);
    }

    /// The VRRP half of a director's file.
    fn vrrp(&self, place: Place, lines: &str) -> String {
        let priority = match place {
            First => 150,
            Second => 100,
        };
        let inside = match self.method {
            Method::Nat => "  10.10.0.254/24 dev eth1\n",
            _ => "",
        };
        format!(
            "global_defs {{\n router_id pair\n script_user root\n}}\n\
             vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n \
             priority {priority}\n advert_int 0.1\n virtual_ipaddress {{\n  {}\n{inside} }}\n{lines}}}\n",
            V4.vip()
        )
    }

    /// The other half.
    fn services(&self) -> String {
        let kind = match self.method {
            Method::Nat => "NAT",
            _ => "DR",
        };
        let page = "HTTP_GET {\n   url {\n    path /\n    status_code 200\n   }\n  }";
        let service = |port: u16, check: &str| {
            let servers = self.lan.server_addresses(V4).into_iter();
            let servers = servers.map(|ip| real_server(ip, port, check));
            format!(
                "virtual_server {} {port} {{\n lb_algo mh\n mh-port\n lb_kind {kind}\n protocol TCP\n {QUICK}{}}}\n",
                V4.vip(),
                servers.collect::<String>()
            )
        };
        service(80, page) + &service(STREAM, "TCP_CHECK {\n }")
    }

    /// A script that runs lvsd while keepalived is master.
    fn notify(&self, node: &Node) -> String {
        let file = |name: &str, text: &str| {
            let file = node.file(name);
            if !text.is_empty() {
                fs::write(&file, text).unwrap();
            }
            file.to_str().unwrap().to_owned()
        };
        let conf = file("services.conf", &self.services());
        let rules = file("rules", RULES);
        let [socket, log, pid] = ["lvsd.sock", "beside.log", "beside.pid"].map(|n| file(n, ""));
        let script = format!(
            "#!/bin/sh\n[ -e {pid} ] && kill $(cat {pid}) && rm {pid}\n[ $3 = MASTER ] || exit 0\n\
             setsid {} run -f {conf} --rules {rules} --socket {socket} >>{log} 2>&1 &\necho $! >{pid}\n",
            lvsd()
        );
        let script = file("notify", &script);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        script
    }

    fn download(&self) -> Download {
        let download = Download::start(&self.lan.client, V4.vip(), STREAM);
        let comes = eventually(PATIENCE, || download.read() > 50_000);
        assert!(comes, "no download");
        download
    }

    /// SIGKILL to all that runs on a director.
    fn kill(&mut self, place: Place) {
        let speaker = self.speakers[place as usize].take();
        speaker.expect("it runs").kill();
        if let Ok(pid) = fs::read_to_string(self.node(place).file("beside.pid")) {
            self.node(place).output(&["kill", "-s", "KILL", pid.trim()]);
        }
    }

    fn stop(&mut self, place: Place) {
        let speaker = self.speakers[place as usize].take();
        speaker.expect("it runs").stop();
    }

    /// Waits until just this director holds the address, and just these servers answer. Says how long the client has been
    /// kept waiting since `since`.
    #[track_caller]
    fn await_served(&self, step: &str, by: Place, servers: &[&str]) {
        let holds = |place: Place| self.node(place).addresses().contains(&V4.vip().to_string());
        // One that was killed could not let go.
        let right =
            |place| self.speakers[place as usize].is_none() || holds(place) == (place == by);
        let mut who = Vec::new();
        let came = eventually(PATIENCE, || {
            std::thread::sleep(Duration::from_millis(300));
            who = self
                .requests
                .since(Instant::now() - Duration::from_millis(300))
                .1;
            Place::BOTH.into_iter().all(right) && who == servers
        });
        let held = Place::BOTH.map(holds);
        assert!(
            came,
            "{step}: held {held:?}, answered by {who:?}, not {servers:?} by {by:?}"
        );
    }

    /// Does something, waits until all is served again and says how long the client was kept waiting.
    #[track_caller]
    fn gap(
        &mut self,
        step: &str,
        work: impl FnOnce(&mut Self),
        by: Place,
        servers: &[&str],
    ) -> Duration {
        let since = Instant::now();
        work(self);
        self.await_served(step, by, servers);
        let (gap, _) = self.requests.since(since);
        let ms = gap.as_millis();
        let (method, sides) = (self.method, self.sides);
        println!("{method:?} {sides:?}, {step}: {ms} ms without an answer");
        if let Some(download) = &self.download {
            let before = download.read();
            let goes_on = || download.read() > before + 50_000;
            let is = match eventually(Duration::from_secs(2), goes_on) {
                true => format!("waited {} ms", download.stall(since).as_millis()),
                false => "does not go on".to_owned(),
            };
            println!("  a download {is}");
        }
        // The measure of a busy machine; what is usual is printed.
        assert!(gap < Duration::from_secs(10), "{step}: {gap:?}");
        gap
    }
}

const ALL: [&str; 3] = ["r1", "r2", "r3"];

fn tutorial(sides: [Side; 2]) {
    let mut pair = Tutorial::begin(sides, Method::Dr);
    pair.gap("the master is killed", |p| p.kill(First), Second, &ALL);
    pair.gap("it is back", |p| p.start(First), First, &ALL);

    // Where a keepalived starts lvsd the host itself answers for a moment, and breaks connections.
    let goes_on = sides == [Side::Lvsd; 2];
    pair.download = goes_on.then(|| pair.download());
    pair.gap("the master is stopped", |p| p.stop(First), Second, &ALL);
    pair.gap("it is back too", |p| p.start(First), First, &ALL);
    let unplug = |p: &mut Tutorial| p.lan.unplug(&p.lan.director, "eth0");
    pair.gap("the master is unplugged", unplug, Second, &ALL);
    let plug = |p: &mut Tutorial| p.lan.plug(&p.lan.director, "eth0");
    pair.gap("it is plugged in", plug, First, &ALL);
    if let Some(download) = pair.download.take() {
        let before = download.read();
        let comes = eventually(PATIENCE, || download.read() > before + 50_000);
        assert!(comes, "the download stalls");
        download.assert_intact();
    }

    let dies = |p: &mut Tutorial| p.servers[0].kill();
    pair.gap("a server fails", dies, First, &["r2", "r3"]);
    let back = |p: &mut Tutorial| p.servers[0].restart();
    pair.gap("it is well again", back, First, &ALL);
    pair.gap(
        "the master is stopped again",
        |p| p.stop(First),
        Second,
        &ALL,
    );
}

for_each_pair!(tutorial);

/// How long a client waits when the master dies:
/// `cargo test --release -p tests --test vrrp_pair figures -- --nocapture`.
fn figures(method: Method) {
    let mut pair = Tutorial::begin([Side::Lvsd; 2], method);
    let mut gaps = Vec::new();
    for round in 1..=5 {
        // By NAT, servers' packets are nobody's business for a director that does not know their connection.
        pair.download = (method == Method::Dr).then(|| pair.download());
        // As if its host died: it answers nobody.
        let step = format!("round {round}, the master's host dies");
        let dies = |p: &mut Tutorial| {
            p.lan.unplug(&p.lan.director, "eth0");
            p.kill(First);
        };
        gaps.push(pair.gap(&step, dies, Second, &ALL));
        let back = |p: &mut Tutorial| {
            p.lan.plug(&p.lan.director, "eth0");
            p.start(First);
        };
        pair.gap("it is back", back, First, &ALL);
    }
    gaps.sort();
    println!("{method:?}, the master's host dies: without an answer for {gaps:?}");
}

#[test]
fn figures_of_dr() {
    figures(Method::Dr);
}

#[test]
fn figures_of_nat() {
    figures(Method::Nat);
}
