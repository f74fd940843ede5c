//! What becomes of clients whose server fails, while it is still there and could go on: that is for the director to decide, and for
//! the configuration to say.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use tests::command::eventually;
use tests::health::{Switch, real_server, virtual_server};
use tests::process::PATIENCE;
use tests::{Family, Lan, Lvsd, Plan, Process, UdpAsk};

const V4: Family = Family::V4;

/// Two servers of a service that fail when the test says so, and only then.
struct Story {
    lan: Lan,
    daemon: Lvsd,
    _servers: Vec<Process>,
    protocol: &'static str,
    port: u16,
    inhibits: bool,
    switches: [Switch; 2],
}

impl Story {
    fn begin((protocol, port): (&'static str, u16), lines: &str) -> Self {
        let lan = Plan::two_arms(2).build();
        let mut servers = lan.web();
        servers.extend(lan.echo(&[7000]));
        let switches = ["r1", "r2"].map(|name| Switch::new(&lan, name));
        let mut conf: String = switches.iter().map(Switch::block).collect();
        let blocks = [0, 1].map(|i| real_server(lan.server(V4, i), port, switches[i].check()));
        conf += &virtual_server(format!("{} {port}", V4.vip()), protocol, lines, &blocks);
        Self {
            daemon: Lvsd::configured(&lan, conf).start(),
            lan,
            _servers: servers,
            protocol,
            port,
            inhibits: lines.contains("inhibit_on_failure"),
            switches,
        }
    }

    /// This server fails; the other one does not.
    #[track_caller]
    fn fails(&self, name: &str) {
        self.switch(name).fail();
        let failed = format!("{name}:{}", self.port);
        let other = format!("{}:{}", other(name), self.port);
        let mut wanted = vec![(&*other, 1)];
        if self.inhibits {
            wanted.push((&*failed, 0));
        }
        self.lan.await_listed(self.protocol, &wanted);
    }

    /// It is well again.
    #[track_caller]
    fn recovers(&self, name: &str) {
        self.switch(name).recover();
        let [r1, r2] = ["r1", "r2"].map(|name| format!("{name}:{}", self.port));
        self.lan
            .await_listed(self.protocol, &[(&*r1, 1), (&*r2, 1)]);
    }

    fn switch(&self, name: &str) -> &Switch {
        &self.switches[usize::from(name == "r2")]
    }

    /// Who serves over some new connections.
    fn who(&self) -> BTreeSet<String> {
        (0..6).map(|_| self.lan.page(V4)).collect()
    }
}

fn other(name: &str) -> &'static str {
    if name == "r1" { "r2" } else { "r1" }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Asks for a page again and again, ten times a second, over one connection; says each time who has answered.
fn session(lan: &Lan) -> Process {
    let script = format!(
        "exec 3<>/dev/tcp/{}/80\n\
         while printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; do\n\
         while read -r line <&3; do case $line in r[12]) echo \"$line\"; break;; esac; done\n\
         sleep 0.1\ndone\n",
        V4.vip()
    );
    let mut session = lan.client.start("session", &["bash", "-c", &script]);
    session.await_saying("r");
    session
}

/// The last who has answered, and how often anybody has.
fn answers(asking: &Process) -> (String, usize) {
    let said = asking.said();
    let last = said.lines().next_back().unwrap_or_default().to_owned();
    (last, said.lines().count())
}

fn goes_on(asking: &Process) -> bool {
    let before = answers(asking).1;
    eventually(PATIENCE, || answers(asking).1 > before + 3)
}

#[test]
fn connections_go_on_where_failure_inhibits() {
    let story = Story::begin(("TCP", 80), "inhibit_on_failure");
    let session = session(&story.lan);
    let server = answers(&session).0;
    story.fails(&server);
    assert_eq!(story.who(), set(&[other(&server)]));
    assert!(goes_on(&session), "{}", session.said());
    assert_eq!(answers(&session).0, server);
    story.recovers(&server);
    assert_eq!(story.who(), set(&["r1", "r2"]));
    assert!(goes_on(&session), "{}", session.said());
    assert!(
        story.daemon.said().contains("Disabling service"),
        "{}",
        story.daemon.said()
    );
}

/// As in IPVS: their packets are dropped, and the connection goes on if the server is back in time.
#[test]
fn connections_stall_where_servers_are_taken_out() {
    let story = Story::begin(("TCP", 80), "");
    let session = session(&story.lan);
    let server = answers(&session).0;
    story.fails(&server);
    assert_eq!(story.who(), set(&[other(&server)]));
    // What was under way has arrived by now.
    thread::sleep(Duration::from_millis(500));
    let before = answers(&session).1;
    thread::sleep(Duration::from_secs(1));
    assert_eq!(answers(&session).1, before, "{}", session.said());
    story.recovers(&server);
    assert!(goes_on(&session), "{}", session.said());
    assert_eq!(answers(&session).0, server);
}

#[test]
fn templates_of_a_failed_server_move_at_once() {
    for lines in ["", "inhibit_on_failure"] {
        let story = Story::begin(("TCP", 80), &format!("persistence_timeout 300\n {lines}"));
        let first = story.who();
        let server = first.first().unwrap();
        assert_eq!(first.len(), 1, "{first:?}");
        story.fails(server);
        let moved = || story.who() == set(&[other(server)]);
        assert!(eventually(PATIENCE, moved), "{:?}", story.who());
        // And stays there.
        story.recovers(server);
        assert_eq!(story.who(), set(&[other(server)]));
    }
}

#[test]
fn templates_stay_where_flows_are_kept() {
    let lines = "persistence_timeout 300\n inhibit_on_failure\n lvsd_keep_flows";
    let story = Story::begin(("TCP", 80), lines);
    let first = story.who();
    let server = first.first().unwrap();
    story.fails(server);
    for _ in 0..3 {
        assert_eq!(story.who(), first);
        thread::sleep(Duration::from_millis(300));
    }
}

/// A client that asks by UDP, from one port all the time.
fn flow(story: &Story) -> Process {
    let asks = UdpAsk::new(V4.vip(), 7000).rounds(100_000).pause(100);
    let mut flow = asks.start(&story.lan.client);
    flow.await_saying("r");
    flow
}

#[test]
fn udp_flows_of_a_failed_server_move_at_once() {
    for lines in ["", "inhibit_on_failure"] {
        let story = Story::begin(("UDP", 7000), lines);
        let flow = flow(&story);
        let server = answers(&flow).0;
        story.fails(&server);
        let moved = || answers(&flow).0 == other(&server);
        assert!(eventually(PATIENCE, moved), "{}", flow.said());
        story.recovers(&server);
        assert!(goes_on(&flow), "{}", flow.said());
        assert_eq!(answers(&flow).0, other(&server));
        assert!(
            story.daemon.said().contains("moved 1 flows"),
            "{}",
            story.daemon.said()
        );
    }
}

#[test]
fn udp_flows_stay_where_they_are_kept() {
    let story = Story::begin(("UDP", 7000), "inhibit_on_failure\n lvsd_keep_flows");
    let flow = flow(&story);
    let server = answers(&flow).0;
    story.fails(&server);
    assert!(goes_on(&flow), "{}", flow.said());
    let said = flow.said();
    assert!(
        !said.contains(other(&server)) && !said.contains("lost"),
        "{said}"
    );
    // Others do not go there.
    let asked = UdpAsk::new(V4.vip(), 7000).flows(4).from(&story.lan.client);
    assert_eq!(asked, [other(&server); 4]);
}
