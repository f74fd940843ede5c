//! Scripts written for ipvsadm do with lvsd what they did, while traffic flows; restoring a table disturbs nobody; and
//! whoever writes at the same time as others writes whole or not at all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use lvsd::control::client::Client;
use lvsd::control::table::Table;
use tests::command::{lvsd, text};
use tests::traffic::{noise, sha256, url};
use tests::{Family, Lan, Lvsd, Method, Plan, daemon, spread};

/// `ipvsadm` and what comes with it, all of them lvsd, and the daemon they ask.
struct Tools {
    bin: PathBuf,
    socket: PathBuf,
}

impl Tools {
    fn on(lan: &Lan) -> Self {
        let bin = lan.director.file("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"] {
            symlink(lvsd(), bin.join(name)).unwrap();
        }
        let socket = daemon::socket(lan);
        Self { bin, socket }
    }

    /// A shell that finds these tools first.
    fn sh(&self) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut sh = Command::new("/bin/sh");
        sh.env("PATH", format!("{}:{path}", self.bin.display()))
            .env("LVSD_SOCKET", &self.socket)
            .stdin(Stdio::null());
        sh
    }

    /// Runs a script that must succeed; returns what it prints on both outputs.
    fn run(&self, script: &str) -> String {
        let done = self.output(script);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert!(done.status.success(), "{script}\n{said}");
        said
    }

    fn output(&self, script: &str) -> Output {
        self.sh().args(["-c", script]).output().unwrap()
    }

    fn table(&self) -> Table {
        Client::connect(&self.socket).unwrap().table().unwrap()
    }
}

/// A listing without the numbers that traffic makes: how many columns that are, its headings say.
fn still(listing: &str) -> String {
    let (mut columns, mut of_services) = (0, false);
    let mut lines = String::new();
    for line in listing.lines() {
        let heads = [
            ("Conns   InPkts", 5, true),
            ("CPS    InPPS", 5, true),
            ("PersistConn ActiveConn", 3, false),
            ("ActiveConn InActConn", 2, false),
        ];
        if let Some((_, n, all)) = heads.into_iter().find(|(head, ..)| line.contains(head)) {
            (columns, of_services) = (n, all);
        }
        let is_server = line.starts_with("  -> ") && !line.contains("RemoteAddress");
        let is_service = ["TCP ", "UDP ", "SCTP ", "FWM "]
            .iter()
            .any(|p| line.starts_with(p));
        if is_server || is_service && of_services {
            let words: Vec<&str> = line.split_whitespace().collect();
            let kept = words.len().saturating_sub(columns);
            lines += &words[..kept].join(" ");
        } else {
            lines += line;
        }
        lines.push('\n');
    }
    lines
}

/// Runs the script that follows with both outputs in one.
const BOTH_OUTPUTS: &str = "exec /bin/sh \"$0\" 2>&1";

const TUTORIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/adm_scripts/tutorial.sh");

/// What ipvsadm 1.31 says to that script, with nobody about.
const SAID: &str = include_str!("adm_scripts/tutorial.out");

/// The real one, with a stand-in for the kernel preloaded.
#[test]
fn ipvsadm_itself_says_that_to_the_tutorials_script() {
    // ipvsadm has libnl loaded; the shell, and what else the script runs, need it for the stand-in's sake.
    let standin = std::env::current_exe()
        .unwrap()
        .with_file_name("libstandin.so");
    let dir = std::env::temp_dir().join(format!("lvs-adm-scripts-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let connections = dir.join("connections");
    let heading = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData";
    fs::write(&connections, format!("{heading}\n")).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let done = Command::new("/bin/sh")
        .args(["-c", BOTH_OUTPUTS, TUTORIAL])
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .env("LC_ALL", "C")
        .env("RULES", dir.join("rules"))
        .env(
            "LD_PRELOAD",
            format!("{}:libnl-3.so.200", standin.display()),
        )
        .env("STANDIN_STATE", dir.join("table"))
        .env("STANDIN_CONNECTIONS", &connections)
        .output()
        .unwrap();
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(text(&done.stdout), SAID);
    assert!(done.status.success());
}

#[test]
fn a_tutorials_script_runs_unchanged_while_traffic_flows() {
    let vip = Family::V4.vip();
    let lan = Plan::of(Method::Nat, 2).build();
    let _servers = lan.backends(Method::Nat);
    let _lvsd = Lvsd::start(&lan, "");
    let tools = Tools::on(&lan);
    let large = lan.servers[0].stored("large");
    noise(&large, 12);
    fs::copy(&large, lan.servers[1].stored("large")).unwrap();
    let rules = lan.director.file("saved.rules");
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (said, fetched) = thread::scope(|scope| {
        scope.spawn(|| {
            let page = url(vip, "/");
            while !stop.load(Relaxed) {
                let options = ["--connect-timeout", "0.2", "-H", "Connection: close"];
                let asked = lan
                    .client
                    .curl(&[&options[..], &[page.as_str(); 5]].concat());
                served.fetch_add(text(&asked.stdout).lines().count(), Relaxed);
            }
        });
        // One connection that lives through all of it.
        let fetched = scope.spawn(|| {
            let to = lan.client.file("large");
            let to = to.to_str().unwrap();
            while served.load(Relaxed) == 0 && !stop.load(Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
            let slowly = ["--limit-rate", "4M", "-o", to, &url(vip, "/files/large")];
            lan.client.curl(&slowly)
        });
        let said = tools
            .sh()
            .args(["-c", BOTH_OUTPUTS, TUTORIAL])
            .env("RULES", &rules)
            .output();
        stop.store(true, Relaxed);
        (said.unwrap(), fetched.join().unwrap())
    });
    let out = text(&said.stdout);
    assert_eq!(still(&out), still(SAID));
    assert!(said.status.success());
    let served = served.into_inner();
    assert!(served > 10, "{served} requests are no traffic");
    let (_, stats) = out.split_once("OutBytes\n").unwrap();
    let service = stats.lines().find(|l| l.starts_with("TCP  10.9.0.100:80 "));
    let conns = service.unwrap().split_whitespace().nth(2).unwrap();
    assert_ne!(conns, "0", "{stats}");
    assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    assert_eq!(sha256(&large), sha256(&lan.client.file("large")));
    // Weight 1 and 5.
    let answers = lan.client.fetch(&url(vip, "/"), 12);
    assert_eq!(spread(&answers), [("r1", 2), ("r2", 10)].into());
}

/// A table is saved and restored again and again, also with other services in it, others gone and others changed.
fn restoring_disturbs_nobody(method: Method, option: &str) {
    let vip = Family::V4.vip();
    let lan = Plan::of(method, 2).build();
    let _servers = lan.backends(method);
    let _iperf3: Vec<_> = lan.servers.iter().map(|s| s.iperf3_server()).collect();
    let _lvsd = Lvsd::start(&lan, "");
    let tools = Tools::on(&lan);
    for (port, options) in [(80, "-s rr"), (5201, "-s wlc -p 600")] {
        tools.run(&format!("ipvsadm -A -t {vip}:{port} {options}"));
        for server in lan.server_addresses(Family::V4) {
            tools.run(&format!("ipvsadm -a -t {vip}:{port} -r {server} {option}"));
        }
    }
    let file = |name: &str| lan.director.file(name).display().to_string();
    let (one, other) = (file("one"), file("other"));
    tools.run(&format!("ipvsadm-save -n >{one}"));
    let mut more = fs::read_to_string(&one).unwrap().replace("-w 1", "-w 4");
    for n in 1..50 {
        more += &format!("-A -t {vip}:{} -s sh\n", 9000 + n);
        more += &format!("-a -t {vip}:{} -r 10.77.0.{n} {option}\n", 9000 + n);
    }
    fs::write(&other, more).unwrap();
    let wrong = file("wrong");
    fs::write(
        &wrong,
        format!("-A -t {vip}:80\n-a -t {vip}:80 -r nonsense\n"),
    )
    .unwrap();
    let round = format!(
        "ipvsadm-save -n >{one}.again && cmp {one} {one}.again && ipvsadm-restore <{other} && \
         ! ipvsadm-restore <{wrong} 2>/dev/null && \
         test $(ipvsadm -Sn | wc -l) = 104 && ipvsadm-restore <{one}"
    );
    let rounds = lan.client.loses_nothing_while(vip, 4, |stop| {
        let mut rounds = 0;
        while !stop.load(Relaxed) {
            tools.run(&round);
            rounds += 1;
        }
        rounds
    });
    assert!(rounds > 4, "{rounds} rounds are few");
    // Counted since the beginning: wrk's connections, and a hundred.
    let table = tools.table();
    let counted: Vec<u64> = table.services.iter().map(|s| s.totals.conns).collect();
    assert!(counted.iter().any(|n| *n >= 108), "{counted:?}");
}

#[test]
fn restoring_disturbs_nobody_nat() {
    restoring_disturbs_nobody(Method::Nat, "-m");
}

#[test]
fn restoring_disturbs_nobody_dr() {
    restoring_disturbs_nobody(Method::Dr, "-g");
}

/// Every state that is seen is one that somebody has written whole.
#[test]
fn two_writers_are_one_after_the_other() {
    const ROUNDS: usize = 30;
    let lan = Plan::of(Method::Nat, 1).build();
    let _lvsd = Lvsd::start(&lan, "");
    let tools = Tools::on(&lan);
    let vip = Family::V4.vip();
    let server = |n: usize| format!("-t {vip}:80 -r 10.77.0.{n} -m");
    let mut first = format!("-A -t {vip}:80 -s rr\n");
    for n in 1..=20 {
        first += &format!("-a {}\n", server(n));
    }
    let file = lan.director.file("first").display().to_string();
    fs::write(&file, first).unwrap();
    tools.run(&format!("ipvsadm -R <{file}"));
    let (stop, added, deleted) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    // Gives all servers one weight, each time another; half of the files end with a mistake.
    let weigh = |writer: usize| {
        for round in 0..ROUNDS {
            let weight = 1000 * writer + round;
            let mut lines = String::new();
            for n in 1..=20 {
                lines += &format!("-e {} -w {weight}\n", server(n));
            }
            let is_wrong = round % 2 == 1;
            if is_wrong {
                lines += &format!("-e {} -w {weight}\n", server(99));
            }
            let file = lan.director.file(&format!("weights-{writer}"));
            fs::write(&file, lines).unwrap();
            let done = tools.output(&format!("ipvsadm -R <{}", file.display()));
            assert_eq!(done.status.code(), Some(if is_wrong { 255 } else { 0 }));
        }
    };
    // Adds and deletes one service; who is second is refused.
    let toggle = || {
        for _ in 0..ROUNDS {
            for (command, done) in [("-A", &added), ("-D", &deleted)] {
                let options = if command == "-A" { "-s rr" } else { "" };
                let line = format!("ipvsadm {command} -t {vip}:81 {options}");
                match tools.output(&line).status.code() {
                    Some(0) => drop(done.fetch_add(1, Relaxed)),
                    code => assert_eq!(code, Some(255), "{line}"),
                }
            }
        }
    };
    let seen = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut client = Client::connect(&tools.socket).unwrap();
            let mut seen = Vec::new();
            while !stop.load(Relaxed) {
                let table = client.table().unwrap();
                let service = table.services.iter().find(|s| !s.servers.is_empty());
                let mut weights: Vec<_> =
                    service.unwrap().servers.iter().map(|s| s.weight).collect();
                assert_eq!(weights.len(), 20);
                weights.dedup();
                assert_eq!(weights.len(), 1, "half a file: {weights:?}");
                if seen.last() != weights.first() {
                    seen.extend(weights);
                }
            }
            seen
        });
        let weigh = &weigh;
        let writers = [1, 2].map(|writer| scope.spawn(move || weigh(writer)));
        let togglers = [scope.spawn(toggle), scope.spawn(toggle)];
        let ended: Vec<_> = writers
            .into_iter()
            .chain(togglers)
            .map(|t| t.join())
            .collect();
        stop.store(true, Relaxed);
        let seen = watcher.join().unwrap();
        for writer in ended {
            writer.unwrap();
        }
        seen
    });
    for writer in 1..=2 {
        let of = |w: &&u32| **w as usize / 1000 == writer;
        let order: Vec<u32> = seen.iter().filter(of).copied().collect();
        assert!(order.len() > 1, "{seen:?}");
        assert!(
            order.is_sorted(),
            "each writer's files in their order: {seen:?}"
        );
        assert!(order.iter().all(|w| w % 2 == 0), "a wrong file: {seen:?}");
    }
    let is_there = tools.table().services.len() == 2;
    let (added, deleted) = (added.into_inner(), deleted.into_inner());
    assert_eq!(
        added - deleted,
        usize::from(is_there),
        "each addition was undone at most once"
    );
    assert!(added > 0);
    let last = *seen.last().unwrap();
    let end = u32::try_from(ROUNDS).unwrap() - 2;
    assert!([1000 + end, 2000 + end].contains(&last), "{seen:?}");
}

/// What `lvsd adm diff` says goes away goes away, and not before.
#[test]
fn a_difference_is_told_before_it_is_made() {
    let vip = Family::V4.vip();
    let lan = Plan::of(Method::Nat, 2).build();
    let _servers = lan.backends(Method::Nat);
    let _lvsd = Lvsd::start(&lan, tests::Rules::of(&lan, Method::Nat, Family::V4));
    let tools = Tools::on(&lan);
    let (old, new) = (lan.director.file("old"), lan.director.file("new"));
    let (old, new) = (old.display().to_string(), new.display().to_string());
    tools.run(&format!(
        "ipvsadm-save -n >{old}; grep -v 10.10.0.12:80 {old} >{new}"
    ));
    lan.client.fetch(&url(vip, "/"), 10);
    let lvsd = lvsd();
    let diff = |file: &str| tools.output(&format!("{lvsd} adm diff {file}"));
    assert_eq!(diff(&old).status.code(), Some(0));
    let done = diff(&new);
    let said = text(&done.stdout);
    assert_eq!(done.status.code(), Some(1), "{said}");
    let line = format!(
        "- -a -t {vip}:80 -r 10.10.0.12:80 -m -w 1\n    # cuts off 5 inactive connections\n"
    );
    assert!(said.starts_with(&line), "{said}");
    assert_eq!(spread(&lan.client.fetch(&url(vip, "/"), 4)).len(), 2);
    tools.run(&format!("ipvsadm-restore <{new}"));
    assert_eq!(
        spread(&lan.client.fetch(&url(vip, "/"), 4)),
        [("r1", 4)].into()
    );
    assert_eq!(diff(&new).status.code(), Some(0));
    assert_eq!(diff("/no/such/file").status.code(), Some(2));
}

/// Whichever name it is called by, it is told which daemon to ask, and asks that one only.
#[test]
fn every_name_takes_a_socket_first() {
    let lan = Plan::of(Method::Nat, 1).build();
    let _lvsd = Lvsd::start(&lan, "-A -t 10.9.0.100:80 -s rr\n");
    let tools = Tools::on(&lan);
    let socket = tools.socket.display();
    let script = format!(
        "unset LVSD_SOCKET
         ipvsadm --socket {socket} -Ln | grep TCP
         ipvsadm-save --socket={socket} -n
         echo '-A -t 10.9.0.100:81 -s rr' | ipvsadm-restore --socket {socket}
         ipvsadm --socket {socket} -Sn"
    );
    let said = "TCP  10.9.0.100:80 rr\n-A -t 10.9.0.100:80 -s rr\n-A -t 10.9.0.100:81 -s rr\n";
    assert_eq!(tools.run(&script), said);
}

#[test]
fn who_may_not_ask_is_told_so() {
    let lan = Plan::of(Method::Nat, 1).build();
    let _lvsd = Lvsd::start(&lan, "-A -t 10.9.0.100:80 -s rr\n");
    let tools = Tools::on(&lan);
    // Where anybody may look, so that it is the socket which refuses.
    let copy = lan.director.file("lvsd");
    fs::copy(lvsd(), &copy).unwrap();
    for line in ["-Ln", "-C", "-Sn"] {
        let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        let out = tools.output(&format!("{user} {} adm {line}", copy.display()));
        assert_eq!(out.status.code(), Some(2), "{line}: {}", text(&out.stderr));
        let said = text(&out.stderr);
        assert!(
            said.starts_with("Can't initialize ipvs: Permission denied (you must be root"),
            "{said}"
        );
        assert!(out.stdout.is_empty());
    }
    assert_eq!(tools.table().services.len(), 1);
}
