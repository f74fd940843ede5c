//! Nothing that else happens on a director costs an advert: packets, checks, scripts that hang, reloads, a log that nobody reads.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tests::command::{eventually, lvsd, run};
use tests::daemon::{CONFIGURATION, SOCKET};
use tests::health::real_server;
use tests::process::PATIENCE;
use tests::vrrp::clients::Requests;
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Side, Speaker};
use tests::{Family, Lan, Node, Plan, Process};

const V4: Family = Family::V4;

/// The peer takes a master for dead after so many adverts: who keeps two processors busy on purpose, and has no others, is not to
/// take it amiss if a peer is late that has nothing to do with lvsd.
const MISSED: u32 = 20;

/// Checks of the server, each of them every second.
const CHECKS: usize = 400;

/// How long the load lasts before and after the log hangs.
const LOAD: usize = 6;

const SERVICES: [u16; 2] = [80, 5201];

/// A master with a log that can be made to hang.
struct Director {
    lvsd: Process,
    log: Process,
    pipe: String,
}

impl Director {
    fn start(node: &Node, conf: &str) -> Self {
        fs::write(node.file(CONFIGURATION), conf).unwrap();
        let path = |name: &str| node.file(name).to_str().unwrap().to_owned();
        let pipe = path("log");
        run(&["mkfifo", &pipe]);
        // Whoever reads it does so until it is told to stop, and then keeps it open.
        let script = "trap 'kill $!; exec sleep 1000' USR1; exec 3<>\"$0\"; cat <&3 & while :; do wait; done";
        let log = node.start("log", &["sh", "-c", script, &pipe]);
        let script = "exec \"$1\" run -f \"$2\" --socket \"$3\" >\"$0\" 2>&1";
        let (conf, socket) = (path(CONFIGURATION), path(SOCKET));
        let argv = ["sh", "-c", script, &pipe, &lvsd(), &conf, &socket];
        let lvsd = node.start("lvsd", &argv);
        let mut director = Self { lvsd, log, pipe };
        director.log.await_saying("ready");
        director
    }

    /// From now on nobody reads the log, and there is no room in the pipe.
    fn hang_log(&self) {
        self.log.signal("USR1");
        let mut pipe = OpenOptions::new();
        let pipe = pipe.write(true).custom_flags(libc::O_NONBLOCK);
        let mut pipe = pipe.open(&self.pipe).unwrap();
        // Whoever read it may still do so.
        let full = || {
            thread::sleep(Duration::from_millis(20));
            let mut wrote = false;
            loop {
                match pipe.write(b".") {
                    Ok(_) => wrote = true,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return !wrote,
                    Err(e) => panic!("{e}"),
                }
            }
        };
        assert!(eventually(PATIENCE, full), "the log is read");
    }
}

/// A script that does not end, and does not heed what it is told.
fn hanging(node: &Node) -> String {
    let file = node.file("hang");
    fs::write(&file, "#!/bin/sh\ntrap '' TERM\nexec sleep 1000\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The master's file: services and checks, scripts that hang, a file that says who shall be master. `odd`: every second one
/// differs.
fn master(lan: &Lan, odd: bool) -> String {
    let hang = hanging(&lan.director);
    let file = lan.director.file("fine");
    let addresses = (1..=if odd { 60 } else { 120 }).map(|n| format!("  10.9.7.{n}/32\n"));
    let tracking = format!(
        "vrrp_script hang {{\n script {hang}\n interval 1\n timeout 1\n weight 2\n }}\n\
         track_file fine {{\n file {}\n weight 1\n }}\n",
        file.display()
    );
    let router = format!(
        "vrrp_instance V {{\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n priority 150\n advert_int 0.1\n \
         virtual_ipaddress {{\n  {}\n }}\n virtual_ipaddress_excluded {{\n{} }}\n \
         track_script {{\n hang\n }}\n track_file {{\n fine\n }}\n notify {hang}\n notify_master {hang}\n}}\n",
        V4.vip(),
        addresses.collect::<String>(),
    );
    let check = "TCP_CHECK {\n connect_port 80\n connect_timeout 1\n delay_loop 1\n }\n";
    let services = SERVICES.map(|port| {
        let count = if port == 80 { CHECKS } else { 1 };
        let server = real_server(lan.server(V4, 0), port, check.repeat(count));
        format!(
            "virtual_server {} {port} {{\n lb_algo rr\n lb_kind DR\n protocol TCP\n{server}}}\n",
            V4.vip()
        )
    });
    GLOBAL.to_owned() + &tracking + &router + &services.concat()
}

fn peer() -> String {
    let vip = V4.vip();
    format!(
        "{GLOBAL}vrrp_instance V {{\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n priority 100\n \
         advert_int 0.1\n down_timer_adverts {MISSED}\n virtual_ipaddress {{\n  {vip}\n }}\n}}\n"
    )
}

fn holds(node: &Node) -> bool {
    node.addresses().contains(&V4.vip().to_string())
}

/// How often the peer has become master.
fn took_over(peer: &Speaker) -> usize {
    peer.said().matches("Entering MASTER STATE").count()
}

fn say(file: &Path, number: i32) {
    // Renamed: it is never empty.
    let new = file.with_extension("new");
    fs::write(&new, format!("{number}\n")).unwrap();
    fs::rename(&new, file).unwrap();
}

#[test]
fn nothing_costs_an_advert() {
    let lan = Plan::one_arm(1).two_directors().build();
    let _web = lan.web();
    let _bulk = lan.servers[0].iperf3_server();
    let fine = lan.director.file("fine");
    say(&fine, 0);
    let (first, second) = (&lan.director, lan.second());
    let mut director = Director::start(first, &master(&lan, false));
    assert!(eventually(PATIENCE, || holds(first)), "nobody is master");
    let peer = Side::Keepalived.start(&lan, second, &peer());

    let requests = Requests::start(&lan.client, V4.vip());
    let (vip, seconds) = (V4.vip().to_string(), (3 * LOAD).to_string());
    let argv = ["iperf3", "-c", &vip, "-P", "4", "-t", &seconds];
    let _bulk = lan.client.start("bulk", &argv);
    for round in 0..2 * LOAD {
        if round == LOAD {
            director.hang_log();
        }
        fs::write(first.file(CONFIGURATION), master(&lan, round % 2 == 0)).unwrap();
        director.lvsd.signal("HUP");
        thread::sleep(Duration::from_secs(1));
        assert_eq!(took_over(&peer), 0, "after {round} rounds: {}", peer.said());
    }
    assert!(holds(first) && !holds(second));
    let (_, by) = requests.since(Instant::now() - Duration::from_secs(2));
    assert_eq!(by, ["r1"], "the service");
    let reloaded = || first.addresses().contains(&"10.9.7.120".to_owned());
    assert!(eventually(PATIENCE, reloaded), "the last reload");

    // What must follow still follows.
    say(&fine, -100);
    let given = || !holds(first) && holds(second);
    assert!(eventually(PATIENCE, given), "it is not given up");
    say(&fine, 0);
    let taken = || holds(first) && !holds(second);
    assert!(eventually(PATIENCE, taken), "it is not taken back");
    assert_eq!(took_over(&peer), 1, "{}", peer.said());
    director.lvsd.signal("TERM");
    let gone = || !holds(first) && holds(second);
    assert!(eventually(PATIENCE, gone), "nobody steps down");
    assert!(director.lvsd.await_end().success());
}
