//! A real server that is the director itself (IPVS: local node): a sorry server, or one of several in rotation.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tests::capture::Capture;
use tests::command::{eventually, lvsd, text};
use tests::daemon::socket;
use tests::process::PATIENCE;
use tests::traffic::{sha256, spread, url};
use tests::{Family, Lan, Lvsd, Method, Plan, Process, UdpAsk};

/// A web service whose servers fail and recover quickly, with a block's further lines.
fn service(lan: &Lan, kind: &str, family: Family, more: &str) -> String {
    let mut text = format!(
        "virtual_server {} 80 {{\n    delay_loop 0.5\n    protocol TCP\n    lb_algo rr\n    lb_kind {kind}\n    connect_timeout 0.5\n    warmup 0\n    {more}\n",
        family.vip()
    );
    for server in lan.server_addresses(family) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    real_server {server} 80 {{\n        TCP_CHECK {{ }}\n    }}"
        );
    }
    text + "}\n"
}

#[track_caller]
fn await_who(lan: &Lan, family: Family, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
    let page = url(family.vip(), "/");
    let mut last = BTreeSet::new();
    let came = eventually(PATIENCE, || {
        let each = (0..6).map(|_| lan.client.output(&["curl", "-gs", "-m", "5", &page]));
        last = each
            .map(|out| text(&out.stdout).trim().to_owned())
            .collect();
        last == wanted
    });
    assert!(came, "{last:?} instead of {wanted:?}");
}

/// What most files say: if nobody else is left, this host's own page.
fn says_sorry(method: Method, kind: &str, family: Family) {
    let lan = Plan::of(method, 2).vip_on_director(true).build();
    // As VRRP does it: the servers, which hold the VIP too, are not to be asked from there.
    lan.director
        .ip("addr change fd00:9::100/128 dev eth0 preferred_lft 0\n");
    let _own = lan.director.web(&[80]);
    let mut servers: Vec<Process> = lan.web();
    let _decap = (method == Method::Tun).then(|| lan.decap());
    let loopback = match family {
        Family::V4 => "127.0.0.1",
        Family::V6 => "::1",
    };
    let conf = service(&lan, kind, family, &format!("sorry_server {loopback} 80"));
    let daemon = Lvsd::configured(&lan, conf).start();
    assert!(!daemon.said().contains("warning["), "{}", daemon.said());
    await_who(&lan, family, &["r1", "r2"]);

    servers.iter_mut().for_each(Process::kill);
    await_who(&lan, family, &["director"]);
    let capture = Capture::start(&lan.client, "eth0", "ip or ip6");
    assert_eq!(
        spread(&lan.client.fetch(&url(family.vip(), "/"), 50))["director"],
        50
    );
    // The program knows the client, and that it was asked for the virtual address.
    let who = format!("{} {}", family.client(), family.vip());
    assert_eq!(lan.client.fetch(&url(family.vip(), "/who"), 1), [who]);
    let seen = capture.stop();
    assert!(!seen.is_empty() && !seen.iter().any(|p| p.is_rst()));

    servers.iter_mut().for_each(Process::restart);
    await_who(&lan, family, &["r1", "r2"]);
}

#[test]
fn sorry_by_direct_routing() {
    for family in Family::BOTH {
        says_sorry(Method::Dr, "DR", family);
    }
}

#[test]
fn sorry_by_nat() {
    for family in Family::BOTH {
        says_sorry(Method::Nat, "NAT", family);
    }
}

#[test]
fn sorry_by_tunnels() {
    says_sorry(Method::Tun, "TUN", Family::V4);
}

/// The director is one of three, is sent large files by aggregates, and is counted like the others.
#[test]
fn the_director_in_rotation() {
    let lan = Plan::of(Method::Dr, 2).vip_on_director(true).build();
    let _own = [lan.director.web(&[80]), lan.director.echo(7000)];
    let (_servers, _echo) = (lan.web(), lan.echo(&[7000]));
    let vip = Family::V4.vip();
    let mut rules = String::new();
    for (service, options) in [("-t", "80"), ("-u", "7000")] {
        let _ = writeln!(rules, "-A {service} {vip}:{options} -s rr");
        let servers = lan.server_addresses(Family::V4);
        for server in servers.into_iter().chain([Family::V4.director()]) {
            let _ = writeln!(
                rules,
                "-a {service} {vip}:{options} -r {server}:{options} -g"
            );
        }
    }
    let _lvsd = Lvsd::start(&lan, rules);
    let served = lan.client.fetch(&url(vip, "/"), 30);
    let by_server = spread(&served);
    assert_eq!(
        (by_server["r1"], by_server["r2"], by_server["director"]),
        (10, 10, 10)
    );
    let asked = UdpAsk::new(vip, 7000)
        .flows(30)
        .size(4000)
        .may_be_fragmented();
    let answers = asked.from(&lan.client);
    assert_eq!(spread(&answers)["director"], 10, "{answers:?}");

    let (lvsd, socket) = (lvsd(), socket(&lan));
    let adm = |args: &[&str]| {
        let socket = socket.to_str().unwrap();
        let out = lan
            .director
            .output(&[&[&*lvsd, "adm", "--socket", socket], args].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    let own = Family::V4.director().to_string();
    let listing = adm(&["-Ln", "--stats"]);
    let line = listing
        .lines()
        .find(|l| l.contains(&format!("{own}:80")))
        .unwrap();
    let counts: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(counts[2], "10", "{listing}");
    assert!(
        counts[3].parse::<u32>().unwrap() > 30 && counts[4] == "0",
        "{listing}"
    );
    assert!(
        adm(&["-Ln"])
            .lines()
            .any(|l| l.contains(&own) && l.contains("Route"))
    );

    // Alone, and with uploads whose segments arrive as aggregates.
    for server in lan.server_addresses(Family::V4) {
        adm(&[
            "-d",
            "-t",
            &format!("{vip}:80"),
            "-r",
            &format!("{server}:80"),
        ]);
    }
    let noise = lan.client.file("noise");
    tests::traffic::noise(&noise, 20);
    let to = url(vip, "/files/noise");
    let sent = lan
        .client
        .curl(&["--fail", "-T", noise.to_str().unwrap(), &to]);
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    assert_eq!(sha256(&lan.director.stored("noise")), sha256(&noise));
    let got = lan.client.file("got");
    let fetched = lan
        .client
        .curl(&["--fail", "-o", got.to_str().unwrap(), &to]);
    assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    assert_eq!(sha256(&got), sha256(&noise));
}

/// What cannot be delivered is refused with what to write instead.
#[test]
fn what_would_have_to_be_rewritten_is_refused() {
    let lan = Plan::of(Method::Nat, 2).vip_on_director(true).build();
    let own = Family::V4.director();
    for (sorry, code) in [
        ("127.0.0.1 8080".to_owned(), "warning[server-is-local]"),
        (format!("{own} 80"), "warning[server-is-local]"),
    ] {
        let conf = service(&lan, "NAT", Family::V4, &format!("sorry_server {sorry}"));
        let out = Lvsd::configured(&lan, conf).refused();
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(
            said.contains("whose own programs get packets only as they come: use"),
            "{said}"
        );
        assert!(
            said.contains(code) && said.contains("lvs_method DR"),
            "{said}"
        );
        assert!(said.contains(&format!("sorry_server {sorry}")), "{said}");
    }
}

/// The nftables guard hides for good. Also a sorry server that nobody wants yet is refused, before it is needed.
#[test]
fn without_a_way_back_it_is_refused() {
    let lan = Plan::of(Method::Dr, 2).vip_on_director(true).build();
    let conf = service(&lan, "DR", Family::V4, "sorry_server 127.0.0.1 80");
    let out = Lvsd::configured(&lan, conf)
        .without(&["bpf", "sys_admin"])
        .refused();
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("127.0.0.1:80") && said.contains("BPF guard"),
        "{said}"
    );
}
