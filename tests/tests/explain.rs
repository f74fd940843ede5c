//! What lvsd says of connections, asked while it works: what it foretells happens, and lists show what is there.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use serde_json::Value;
use tests::command::{eventually, lvsd, output, text};
use tests::process::PATIENCE;
use tests::traffic::{noise, url};
use tests::{Family, Lan, Lvsd, Method, Plan, Process, Rules, UdpAsk, daemon};

/// What a command of lvsd's answers.
#[track_caller]
fn ask(lan: &Lan, command: &str, args: &[&str]) -> String {
    let (lvsd, socket) = (lvsd(), daemon::socket(lan));
    let socket = socket.to_str().expect("a path in UTF-8");
    let argv = [&[&lvsd, command, "--socket", socket], args].concat();
    let out = output(&argv, "");
    assert!(
        out.status.success() && out.stderr.is_empty(),
        "{args:?}: {} {}",
        out.status,
        text(&out.stderr)
    );
    text(&out.stdout)
}

/// An address and port, as one writes it.
fn at(ip: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(ip, port).to_string()
}

#[track_caller]
fn explain(lan: &Lan, family: Family, from: u16, to: u16) -> Value {
    let (client, virt) = (at(family.client(), from), at(family.vip(), to));
    let said = ask(lan, "explain", &["--json", &client, &virt]);
    serde_json::from_str(&said).expect("JSON")
}

/// The name of the server with this address.
#[track_caller]
fn name_of(lan: &Lan, family: Family, server: &Value) -> String {
    let server: std::net::SocketAddr = server.as_str().expect("a server").parse().unwrap();
    let place = lan
        .server_addresses(family)
        .iter()
        .position(|ip| *ip == server.ip());
    lan.servers[place.expect("one of ours")].title().to_owned()
}

/// Fetches a page from this port of the client's: who served it.
#[track_caller]
fn fetch(lan: &Lan, family: Family, from: u16, to: u16) -> String {
    let (from, page) = (from.to_string(), url(family.vip(), &format!(":{to}/")));
    let out = lan.client.curl(&["--local-port", &from, "--fail", &page]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    text(&out.stdout).trim().to_owned()
}

/// For some connections: the server foretold serves, and then is the one the connection is said to have.
fn what_is_foretold_happens(method: Method, family: Family) {
    let lan = Plan::of(method, 3).build();
    let _servers = lan.backends(method);
    let rules = Rules::of(&lan, method, family).to_string();
    let _lvsd = Lvsd::start(&lan, rules.replace("-s rr", "-s wrr"));
    let mut names = BTreeSet::new();
    for from in 41000..41006 {
        let said = explain(&lan, family, from, 80);
        assert_eq!(said["outcome"]["becomes"], "opens", "{said}");
        assert_eq!(said["connection"], Value::Null);
        assert_eq!(said["servers"].as_array().map(Vec::len), Some(3));
        assert_eq!(said["way"]["kind"], "link", "{said}");
        let again = explain(&lan, family, from, 80);
        assert_eq!(again["outcome"], said["outcome"], "asked again");
        let foretold = name_of(&lan, family, &said["outcome"]["server"]);
        assert_eq!(fetch(&lan, family, from, 80), foretold, "{said}");
        let after = explain(&lan, family, from, 80);
        let known = &after["connection"];
        assert_eq!(name_of(&lan, family, &known["server"]), foretold);
        assert_eq!(known["method"], said["outcome"]["method"]);
        assert!(known["packets"].as_u64() > Some(3), "{after}");
        assert_eq!(known["local"].is_string(), method == Method::FullNat);
        names.insert(foretold);
    }
    assert_eq!(names.len(), 3, "{names:?}");
}

tests::for_each_method!(what_is_foretold_happens);

/// A LAN with three web servers behind NAT.
fn web() -> (Lan, Vec<Process>) {
    let lan = Plan::of(Method::Nat, 3).build();
    let servers = lan.backends(Method::Nat);
    (lan, servers)
}

/// `-a` lines of all servers for a service.
fn servers(lan: &Lan, service: &str, port: u16, options: &str) -> String {
    let line = |ip: IpAddr| format!("-a {service} -r {} -m {options}\n", at(ip, port));
    let all = lan.server_addresses(Family::V4);
    all.into_iter().map(line).collect()
}

/// A download that goes on until this is dropped.
fn held(lan: &Lan, from: u16) -> Process {
    for server in &lan.servers {
        let file = server.stored("noise");
        if !file.exists() {
            noise(&file, 20);
        }
    }
    let (from, page) = (from.to_string(), url(Family::V4.vip(), "/files/noise"));
    let slow = ["curl", "-sS", "--limit-rate", "10k", "-o", "/dev/null"];
    let argv = [&slow[..], &["--local-port", &from, &page]].concat();
    lan.client.start("download", &argv)
}

#[test]
fn what_stands_in_the_way_is_said() {
    let (lan, _servers) = web();
    let vip = Family::V4.vip();
    let rules = [
        format!("-A -t {vip}:80 -s wlc -p 300\n"),
        servers(&lan, &format!("-t {vip}:80"), 80, ""),
        format!("-A -t {vip}:81 -s wlc\n"),
        servers(&lan, &format!("-t {vip}:81"), 80, "-w 0"),
        format!("--mark 7 --destination {vip} --destination-port 82 --protocol tcp\n"),
        "-A -f 7 -s sed\n".to_owned(),
        servers(&lan, "-f 7", 80, ""),
    ];
    let _lvsd = Lvsd::start(&lan, rules.concat());
    let said = |from: u16, to: u16| {
        let client = at(Family::V4.client(), from);
        ask(&lan, "explain", &[&client, &at(vip, to)])
    };

    // A template leads further connections to the first one's server.
    let first = fetch(&lan, Family::V4, 42000, 80);
    let second = explain(&lan, Family::V4, 42001, 80);
    assert_eq!(second["outcome"]["chosen_by"], "template", "{second}");
    assert_eq!(
        name_of(&lan, Family::V4, &second["outcome"]["server"]),
        first
    );
    assert!(said(42001, 80).contains("by the client's template for 10.9.0.2 to"));

    // A connection in use.
    let _held = held(&lan, 42002);
    let established = || said(42002, 80).contains("connection  ESTABLISHED to ");
    assert!(eventually(PATIENCE, established), "{}", said(42002, 80));
    let text = said(42002, 80);
    for part in [
        "packet      TCP 10.9.0.2:42002 to 10.9.0.100:80",
        "service     -t 10.9.0.100:80 (wlc, persistent 300 s): it has the packet's destination",
        "(ASSURED, expires in 0",
        "outcome     goes its connection's way",
        "way         by eth1 to 10.10.0.1",
        "cost: (256 x active + inactive) / weight",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }

    let quiesced = said(42000, 81);
    assert!(
        quiesced.contains("dropped: all servers have weight 0 (no destination)"),
        "{quiesced}"
    );
    let refused = lan.client.curl(&["--fail", &url(vip, ":81/")]);
    assert!(!refused.status.success());

    let marked = said(42000, 82);
    for part in [
        "mark        7, by rule 1: --mark 7 --destination 10.9.0.100 --protocol tcp --destination-port 82",
        "service     -f 7 (sed): it has the packet's mark",
    ] {
        assert!(marked.contains(part), "no {part:?} in\n{marked}");
    }
    let nobody = said(42000, 83);
    assert!(
        nobody.contains("left to the host: no service is there (not ours)"),
        "{nobody}"
    );
}

#[test]
fn connections_are_listed_and_counted() {
    let (lan, _servers) = web();
    let vip = Family::V4.vip();
    let rules = [
        format!("-A -t {vip}:80 -s rr -p 300\n"),
        servers(&lan, &format!("-t {vip}:80"), 80, ""),
        format!("-A -u {vip}:7000 -s rr\n"),
        servers(&lan, &format!("-u {vip}:7000"), 7000, ""),
    ];
    let _lvsd = Lvsd::start(&lan, rules.concat());
    let web = format!("{vip}:80");
    let dns = format!("{vip}:7000");
    for from in 43000..43004 {
        fetch(&lan, Family::V4, from, 80);
    }
    let answers = UdpAsk::new(vip, 7000).flows(6).from(&lan.client);
    assert!(answers.iter().all(|a| a.starts_with('r')), "{answers:?}");
    let _held = held(&lan, 43010);
    let list = |args: &[&str]| {
        let said = ask(&lan, "conns", args);
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let established = [
        "-t",
        &web,
        "--state",
        "ESTABLISHED",
        "--client",
        "10.9.0.0/24",
    ];
    assert!(eventually(PATIENCE, || list(&established).len() == 2));
    let [header, line] = &list(&established)[..] else {
        panic!()
    };
    assert!(
        header.starts_with("pro expire state       source "),
        "{header}"
    );
    let fields: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        (fields[0], fields[2], fields[3]),
        ("TCP", "ESTABLISHED", "10.9.0.2:43010")
    );
    assert_eq!((fields[4], fields[7]), (&*web, "nat"));
    assert_eq!(&fields[9..], ["-t", &web]);

    let json = |args: &[&str]| -> Vec<Value> {
        let lines = list(&[&["--json"], args].concat());
        lines
            .iter()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    assert_eq!(json(&["-t", &web, "--no-templates"]).len(), 5);
    assert_eq!(json(&["-u", &dns]).len(), 6);
    let templates = json(&["--templates"]);
    assert_eq!(templates.len(), 1, "{templates:?}");
    assert_eq!(json(&["--limit", "3"]).len(), 3);
    assert_eq!(json(&["--client", "10.9.0.3"]).len(), 0);
    let all = json(&["--protocol", "udp"]);
    let server = all[0]["server"].as_str().unwrap();
    let of_one = json(&["-u", &dns, "-r", server]);
    assert_eq!(of_one.len(), 2, "{of_one:?}");
    let ip = server.split(':').next().unwrap();
    let elsewhere = json(&["-u", &dns, "-r", ip]);
    assert_eq!(elsewhere.len(), of_one.len());

    let counts = list(&["--count"]);
    let last: Vec<_> = counts.last().unwrap().split_whitespace().collect();
    assert_eq!(
        (last[0], last[last.len() - 2], last[last.len() - 1]),
        ("11", "1", "all")
    );
}

/// Who reads no further gets no complaints, and who asks wrongly or nobody gets them.
#[test]
fn commands_end_as_they_should() {
    let (lan, _servers) = web();
    let vip = Family::V4.vip();
    let rules = Rules::of(&lan, Method::Nat, Family::V4);
    let lvsd_running = Lvsd::start(&lan, rules);
    lan.client.fetch(&url(vip, "/"), 30);
    let (lvsd, socket) = (lvsd(), daemon::socket(&lan));
    let socket = socket.display();
    let shell = |line: &str| output(&["sh", "-c", line], "");
    for command in ["conns", "conns --json", "conns --count"] {
        // By then nobody reads.
        let line = format!("{{ sleep 0.2; {lvsd} {command} --socket {socket}; echo $? >&2; }} | :");
        assert_eq!(text(&shell(&line).stderr), "0\n", "{command}");
    }
    for (line, status) in [
        ("conns --frob", 2),
        ("conns --state OPEN", 2),
        ("explain 10.9.0.2:1", 2),
        ("conns --socket /nowhere", 1),
        ("explain --socket /nowhere 10.9.0.2:1 10.9.0.100:80", 1),
        ("conns --help", 0),
        ("explain -h", 0),
    ] {
        let out = shell(&format!("{lvsd} {line}"));
        assert_eq!(out.status.code(), Some(status), "{line}");
        assert_eq!(
            out.stderr.is_empty(),
            status == 0,
            "{line}: {}",
            text(&out.stderr)
        );
    }
    lvsd_running.kill();
    let out = shell(&format!("{lvsd} conns --socket {socket}"));
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("it has ended"),
        "{}",
        text(&out.stderr)
    );
    assert!(fs::metadata(daemon::socket(&lan)).is_ok());
}
