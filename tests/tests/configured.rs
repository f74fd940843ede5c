//! A keepalived.conf given as it is to `lvsd run -f`: real traffic by every forwarding method, servers that fail and recover,
//! reloads under load.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tests::command::{eventually, lvsd, text};
use tests::daemon::{configuration, socket};
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan, UdpAsk};

/// What the language calls a method, and what a service needs besides.
fn method(method: Method, family: Family) -> String {
    match method {
        Method::Nat => "lb_kind NAT".to_owned(),
        Method::Dr => "lb_kind DR".to_owned(),
        Method::Tun => "lb_kind TUN".to_owned(),
        Method::FullNat => format!("lb_kind FNAT\n    lvsd_local_address {}", family.lip()),
    }
}

/// A service at a port of the virtual address whose servers all have this check, with a block's further lines.
fn service(
    lan: &Lan,
    by: Method,
    family: Family,
    (protocol, port): (&str, u16),
    check: &str,
    more: &str,
) -> String {
    let mut text = format!(
        "virtual_server {} {port} {{\n    delay_loop 0.2\n    lb_algo rr\n    {}\n    protocol {protocol}\n    \
         connect_timeout 1\n    retry 1\n    delay_before_retry 0.1\n    warmup 0\n    {more}\n",
        family.vip(),
        method(by, family)
    );
    for server in lan.server_addresses(family) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    real_server {server} {port} {{\n        weight 1\n        {check}\n    }}"
        );
    }
    text + "}\n"
}

const PAGE: &str = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n }";
const PORT: &str = "TCP_CHECK {\n }";
const ECHO: &str = "UDP_CHECK {\n payload 68656c6c6f\n require_reply\n }";

/// The web, iperf3 and UDP services of a LAN.
fn configuration_of(lan: &Lan, by: Method, family: Family, more: &str) -> String {
    [
        "global_defs {\n    router_id LVS_TEST\n}\n",
        &service(lan, by, family, ("TCP", 80), PAGE, more),
        &service(
            lan,
            by,
            family,
            ("TCP", 5201),
            PORT,
            "persistence_timeout 60",
        ),
        &service(lan, by, family, ("UDP", 7000), ECHO, ""),
    ]
    .concat()
}

/// Who serves over some new connections.
fn who(lan: &Lan, family: Family) -> BTreeSet<String> {
    let page = url(family.vip(), "/");
    let each = (0..4).map(|_| lan.client.output(&["curl", "-gs", "-m", "5", &page]));
    each.map(|out| text(&out.stdout).trim().to_owned())
        .collect()
}

#[track_caller]
fn await_who(lan: &Lan, family: Family, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
    let mut last = BTreeSet::new();
    let came = eventually(PATIENCE, || {
        last = who(lan, family);
        last == wanted
    });
    assert!(came, "{last:?} instead of {wanted:?}");
}

fn reload(lan: &Lan, options: &[&str]) -> Output {
    let (lvsd, socket) = (lvsd(), socket(lan));
    let socket = socket.to_str().unwrap();
    let argv = [&[&*lvsd, "reload", "--socket", socket], options].concat();
    lan.director.output(&argv)
}

fn serves_fails_and_recovers(by: Method, family: Family) {
    let lan = Plan::of(by, 2).build();
    let mut backends = lan.backends(by);
    let _iperf3: Vec<_> = lan.servers.iter().map(|s| s.iperf3_server()).collect();
    let text = configuration_of(&lan, by, family, "");
    let daemon = Lvsd::configured(&lan, &text).start();
    await_who(&lan, family, &["r1", "r2"]);
    let asked = UdpAsk::new(family.vip(), 7000).from(&lan.client);
    assert!(["r1", "r2"].contains(&&*asked[0]), "{asked:?}");

    backends[0].kill();
    await_who(&lan, family, &["r2"]);
    backends[0].restart();
    await_who(&lan, family, &["r1", "r2"]);
    // A server that hangs is as bad as one that is gone.
    backends[1].freeze();
    await_who(&lan, family, &["r1"]);
    backends[1].thaw();
    await_who(&lan, family, &["r1", "r2"]);

    let said = daemon.said();
    let first = lan.server(family, 0);
    for line in ["Removing service", "Adding service"] {
        let is_it = |l: &str| l.contains(line) && l.contains(&format!("[{first}]:tcp:80"));
        assert!(said.lines().any(is_it), "{line} {first}: {said}");
    }
}

#[test]
fn nat() {
    for family in Family::BOTH {
        serves_fails_and_recovers(Method::Nat, family);
    }
}

#[test]
fn direct_routing() {
    for family in Family::BOTH {
        serves_fails_and_recovers(Method::Dr, family);
    }
}

#[test]
fn tunnels() {
    serves_fails_and_recovers(Method::Tun, Family::V4);
}

#[test]
fn full_nat() {
    for family in Family::BOTH {
        serves_fails_and_recovers(Method::FullNat, family);
    }
}

/// Reloads that change nothing, weights, and other services, one after the other, while connections come and go.
fn reloads_lose_nothing(by: Method) {
    let lan = Plan::of(by, 2).build();
    let _backends = lan.backends(by);
    let _iperf3: Vec<_> = lan.servers.iter().map(|s| s.iperf3_server()).collect();
    let base = configuration_of(&lan, by, Family::V4, "");
    let _daemon = Lvsd::configured(&lan, &base).start();
    await_who(&lan, Family::V4, &["r1", "r2"]);
    let other = service(&lan, by, Family::V4, ("TCP", 9999), "", "");
    let variants = [
        base.clone(),
        base.replace("weight 1", "weight 3"),
        base.replace("lb_algo rr", "lb_algo wlc"),
        base.clone() + &other,
        "virtual_server broken {\n".to_owned() + &base,
    ];
    let edit = |stop: &AtomicBool| {
        let mut made = 0;
        while !stop.load(Relaxed) {
            let next = &variants[made % variants.len()];
            fs::write(configuration(&lan), next).unwrap();
            let out = reload(&lan, &[]);
            let broken = next.starts_with("virtual_server broken");
            assert_eq!(
                out.status.code(),
                Some(if broken { 2 } else { 0 }),
                "{}",
                text(&out.stdout)
            );
            made += 1;
            thread::sleep(Duration::from_millis(50));
        }
        made
    };
    let made = lan.client.loses_nothing_while(Family::V4.vip(), 6, edit);
    assert!(made >= variants.len(), "only {made} reloads");
}

#[test]
fn reloads_lose_nothing_by_nat() {
    reloads_lose_nothing(Method::Nat);
}

#[test]
fn reloads_lose_nothing_by_direct_routing() {
    reloads_lose_nothing(Method::Dr);
}

#[test]
fn reloads_lose_nothing_by_tunnels() {
    reloads_lose_nothing(Method::Tun);
}

#[test]
fn reloads_lose_nothing_by_full_nat() {
    reloads_lose_nothing(Method::FullNat);
}

#[test]
fn the_same_file_again_changes_nothing_and_a_broken_one_neither() {
    let lan = Plan::two_arms(2).build();
    let _backends = lan.backends(Method::Nat);
    let good = configuration_of(&lan, Method::Nat, Family::V4, "");
    let daemon = Lvsd::configured(&lan, &good).start();
    await_who(&lan, Family::V4, &["r1", "r2"]);
    let out = reload(&lan, &[]);
    assert_eq!(out.status.code(), Some(0));
    assert!(
        text(&out.stdout).ends_with("nothing changes\n"),
        "{}",
        text(&out.stdout)
    );

    let less = good.replacen("weight 1", "weight 2", 1);
    fs::write(configuration(&lan), &less).unwrap();
    let out = reload(&lan, &["--dry-run"]);
    let said = text(&out.stdout);
    assert!(
        said.contains("weight from 1 to 2") && said.ends_with("would be taken\n"),
        "{said}"
    );
    let out = reload(&lan, &[]);
    assert!(
        text(&out.stdout).ends_with("taken\n"),
        "{}",
        text(&out.stdout)
    );

    let broken = less.replacen("lb_algo rr", "lb_algo rrr", 1);
    fs::write(configuration(&lan), &broken).unwrap();
    let out = reload(&lan, &[]);
    let said = text(&out.stdout);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("lb_algo rrr") && said.contains("the old configuration stays"),
        "{said}"
    );
    await_who(&lan, Family::V4, &["r1", "r2"]);
    // The same by a signal.
    fs::remove_file(configuration(&lan)).unwrap();
    daemon.signal("HUP");
    let refused = || daemon.said().contains("the old one stays");
    assert!(eventually(PATIENCE, refused), "{}", daemon.said());
    fs::write(configuration(&lan), &good).unwrap();
    daemon.signal("HUP");
    let taken = || daemon.said().contains("the configuration is taken");
    assert!(eventually(PATIENCE, taken), "{}", daemon.said());
    await_who(&lan, Family::V4, &["r1", "r2"]);
}

#[test]
fn a_broken_file_does_not_start() {
    let lan = Plan::two_arms(1).build();
    for (text_of, code) in [
        (
            "virtual_server 10.9.0.100 80 {\n    lb_algo rrr\n}\n",
            "error[bad-value]",
        ),
        ("", "error[empty-file]"),
    ] {
        let out = Lvsd::configured(&lan, text_of).refused();
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(
            said.contains(code) && said.contains("not started"),
            "{said}"
        );
    }
}
