//! `lvsd_check_vip`: servers of direct routing and behind tunnels are asked at the virtual address, by the way that real traffic takes.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;

use tests::command::{eventually, lvsd, text};
use tests::daemon::{configuration, socket};
use tests::process::PATIENCE;
use tests::{Authority, Family, Lan, Lvsd, Method, Plan};

const PAGE: &str = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n }";
const ECHO: &str = "UDP_CHECK {\n payload 68656c6c6f\n require_reply\n }";

/// A service at a port of the virtual address, with these servers.
fn service(
    by: &str,
    family: Family,
    (protocol, port): (&str, u16),
    servers: &[IpAddr],
    check: &str,
    more: &str,
) -> String {
    let vip = family.vip();
    let mut text = format!(
        "virtual_server {vip} {port} {{\n    delay_loop 0.2\n    lb_algo rr\n    lvs_method {by}\n    protocol {protocol}\n    \
         connect_timeout 1\n    retry 1\n    delay_before_retry 0.1\n    warmup 0\n    {more}\n"
    );
    for server in servers {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    real_server {server} {port} {{\n        {check}\n    }}"
        );
    }
    text + "}\n"
}

/// What `lvsd status` says of every check: the server, whom it asks, and whether that is up and was ever found out.
fn checks(lan: &Lan) -> Vec<(String, String, bool)> {
    let (lvsd, socket) = (lvsd(), socket(lan));
    let argv = [
        &*lvsd,
        "status",
        "--json",
        "--socket",
        socket.to_str().unwrap(),
    ];
    let out = lan.director.output(&argv);
    let status: serde_json::Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}{}", text(&out.stdout), text(&out.stderr)));
    let mut all = Vec::new();
    for service in status["services"].as_array().unwrap() {
        for server in service["servers"].as_array().unwrap() {
            for check in server["checks"].as_array().unwrap() {
                let word = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
                let up = check["up"].as_bool().unwrap() && !check["last"].is_null();
                all.push((word(&server["server"]), word(&check["target"]), up));
            }
        }
    }
    all
}

/// Waits until the checks are up and down like this, in the order of the configuration.
#[track_caller]
fn await_checks(lan: &Lan, daemon: &Lvsd, wanted: &[bool]) {
    let mut last = Vec::new();
    let came = eventually(PATIENCE, || {
        last = checks(lan);
        last.iter().map(|(.., up)| *up).eq(wanted.iter().copied())
    });
    assert!(came, "{last:?} instead of {wanted:?}\n{}", daemon.said());
}

fn vip_line(family: Family) -> String {
    match family {
        Family::V4 => format!("addr del {}/32 dev lo\n", family.vip()),
        Family::V6 => format!("addr del {}/128 dev lo\n", family.vip()),
    }
}

fn finds_a_missing_address(by: Method, word: &str, family: Family, here: bool) {
    let lan = Plan::of(by, 2).vip_on_director(here).build();
    let mut backends = lan.backends(by);
    let servers = lan.server_addresses(family);
    // Over IPv6 the kernel might have it come from the virtual address.
    let plain = format!("TCP_CHECK {{\n bindto {}\n }}", family.director());
    let text = [
        service(word, family, ("TCP", 80), &servers, PAGE, "lvsd_check_vip"),
        service(word, family, ("TCP", 8080), &servers, &plain, ""),
        service(
            word,
            family,
            ("UDP", 7000),
            &servers,
            ECHO,
            "lvsd_check_vip",
        ),
    ];
    let daemon = Lvsd::configured(&lan, text.concat()).start();
    await_checks(&lan, &daemon, &[true; 6]);
    let targets: Vec<String> = checks(&lan).into_iter().map(|(_, t, _)| t).collect();
    let vip = match family {
        Family::V4 => format!("{}:80", family.vip()),
        Family::V6 => format!("[{}]:80", family.vip()),
    };
    assert_eq!(targets[0], format!("{vip} via {}", servers[0]));

    // The plain check finds nothing wrong with a server that does not hold the address.
    lan.servers[0].ip(&vip_line(family));
    await_checks(&lan, &daemon, &[false, true, true, true, false, true]);
    lan.servers[0].ip(&vip_line(family).replace("del", "add"));
    await_checks(&lan, &daemon, &[true; 6]);

    // A server that is gone is gone at its own address, too.
    backends[1].kill();
    await_checks(&lan, &daemon, &[true, false, true, false, true, true]);
    backends[1].restart();
    await_checks(&lan, &daemon, &[true; 6]);
    let said = daemon.said();
    assert!(!said.contains("could not be run"), "{said}");
    // The server's word, not just silence.
    let refused = |l: &&str| l.contains("HTTP_GET") && l.contains(&format!("[{}]", servers[1]));
    let mut lines = said.lines().filter(refused);
    assert!(lines.any(|l| l.contains("refused")), "{said}");
}

#[test]
fn direct_routing() {
    for family in Family::BOTH {
        for here in [false, true] {
            finds_a_missing_address(Method::Dr, "DR", family, here);
        }
    }
}

#[test]
fn tunnels() {
    for here in [false, true] {
        finds_a_missing_address(Method::Tun, "TUN", Family::V4, here);
    }
}

/// Tunnels of every kind, also of one IP version in the other.
#[test]
fn every_tunnel() {
    let lan = Plan::of(Method::Tun, 2).build();
    let _backends = lan.backends(Method::Tun);
    let servers = Family::BOTH.map(|family| lan.server_addresses(family));
    let both = servers.concat();
    for (tunnel, servers) in [
        ("TUN", &both),
        ("TUN type gre", &both),
        ("TUN type gre csum", &both),
        ("TUN type gue port 6080", &servers[0]), // without a checksum it is not for IPv6
        ("TUN type gue port 6080 csum", &both),
        ("TUN type gue port 6080 remcsum", &both),
    ] {
        let each = Family::BOTH.map(|family| {
            let web = service(tunnel, family, ("TCP", 80), servers, PAGE, "lvsd_check_vip");
            let echo = service(
                tunnel,
                family,
                ("UDP", 7000),
                servers,
                ECHO,
                "lvsd_check_vip",
            );
            web + &echo
        });
        let daemon = Lvsd::configured(&lan, each.concat()).start();
        await_checks(&lan, &daemon, &vec![true; 4 * servers.len()]);
    }
}

/// All checks that speak TCP or UDP, with every guard there is.
#[test]
fn every_check() {
    let lan = Plan::of(Method::Dr, 1).vip_on_director(true).build();
    let server = &lan.servers[0];
    let family = Family::V4;
    let certificate = Authority::of(&lan).certificate(&["www.example.test"]);
    let _tls = server.web_tls(&[443], &certificate);
    let _mail = server.mail(25);
    let _dns = server.dns(&["www.example.test. A 10.0.0.1"]);
    let _echo = server.echo(7000);
    let servers = lan.server_addresses(family);
    let tls = PAGE.replace("HTTP_GET", "SSL_GET");
    let smtp = "SMTP_CHECK {\n }";
    let dns = "DNS_CHECK {\n type A\n name www.example.test\n }";
    let checks = [
        ("TCP", 443, &*tls),
        ("TCP", 25, smtp),
        ("UDP", 53, dns),
        ("UDP", 7000, ECHO),
    ];
    let text = checks.map(|(protocol, port, check)| {
        service(
            "DR",
            family,
            (protocol, port),
            &servers,
            check,
            "lvsd_check_vip",
        )
    });
    for without in [&[][..], &["bpf"]] {
        let daemon = Lvsd::configured(&lan, text.concat())
            .without(without)
            .start();
        await_checks(&lan, &daemon, &[true; 4]);
        server.ip(&vip_line(family));
        await_checks(&lan, &daemon, &[false; 4]);
        server.ip(&vip_line(family).replace("del", "add"));
        await_checks(&lan, &daemon, &[true; 4]);
    }
}

/// A server that does not unwrap is found, and so is one that nobody listens at; a reload changes which address is asked.
#[test]
fn tunnels_that_are_not_unwrapped() {
    let lan = Plan::of(Method::Tun, 2).build();
    let _web = lan.web();
    let mut decap = lan.decap();
    let servers = lan.server_addresses(Family::V4);
    let text = |more| service("TUN", Family::V4, ("TCP", 80), &servers, PAGE, more);
    let daemon = Lvsd::configured(&lan, text("lvsd_check_vip")).start();
    await_checks(&lan, &daemon, &[true; 2]);
    decap[0].kill();
    await_checks(&lan, &daemon, &[false, true]);

    fs::write(configuration(&lan), text("lvsd_check_vip off")).unwrap();
    reload(&lan);
    await_checks(&lan, &daemon, &[true; 2]);
    assert_eq!(checks(&lan)[0].1, format!("{}:80", servers[0]));
    fs::write(configuration(&lan), text("lvsd_check_vip")).unwrap();
    reload(&lan);
    await_checks(&lan, &daemon, &[false, true]);
    decap[0].restart();
    await_checks(&lan, &daemon, &[true; 2]);
}

/// A hundred checks of one address at once find their servers; and the host, which knows nothing of them, resets none.
#[test]
fn a_hundred_servers_with_one_address() {
    const SERVERS: usize = 100;
    for here in [false, true] {
        let lan = Plan::of(Method::Dr, 2)
            .aliases(SERVERS)
            .vip_on_director(here)
            .build();
        lan.director.ip("route add 10.10.0.0/24 dev eth0\n");
        let _web = lan.web();
        let servers: Vec<IpAddr> = (0..SERVERS).map(|n| lan.alias(Family::V4, n)).collect();
        let text = service(
            "DR",
            Family::V4,
            ("TCP", 80),
            &servers,
            PAGE,
            "lvsd_check_vip",
        );
        let daemon = Lvsd::configured(&lan, text).start();
        await_checks(&lan, &daemon, &[true; SERVERS]);
        lan.servers[0].ip(&vip_line(Family::V4));
        let half: Vec<bool> = (0..SERVERS).map(|n| n % 2 == 1).collect();
        await_checks(&lan, &daemon, &half);
        lan.servers[0].ip(&vip_line(Family::V4).replace("del", "add"));
        await_checks(&lan, &daemon, &[true; SERVERS]);
        assert_eq!(resets(&lan), 0);
    }
}

/// Without the privilege such checks cannot run, which is said; the others do.
#[test]
fn without_the_privilege() {
    let lan = Plan::of(Method::Dr, 1).build();
    let _web = lan.web();
    let servers = lan.server_addresses(Family::V4);
    let text = [
        service(
            "DR",
            Family::V4,
            ("TCP", 80),
            &servers,
            PAGE,
            "lvsd_check_vip",
        ),
        service("DR", Family::V4, ("TCP", 8080), &servers, PAGE, ""),
    ];
    let start = Lvsd::configured(&lan, text.concat());
    let daemon = start.without(&["sys_admin"]).start();
    let said = daemon.said();
    let why = "warning: virtual addresses on servers cannot be checked: a network namespace (needs CAP_SYS_ADMIN)";
    assert!(said.contains(why), "{said}");
    let works = eventually(PATIENCE, || checks(&lan)[1].2);
    assert!(works, "{}", daemon.said());
    let said = daemon.said();
    assert!(said.contains("could not be run"), "{said}");
}

/// How many connections the director's kernel has reset.
fn resets(lan: &Lan) -> u64 {
    let text = lan.director.run(&["cat", "/proc/net/snmp"]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|l| l.starts_with("Tcp:"))
        .map(|l| l.split(' ').collect())
        .collect();
    let column = rows[0].iter().position(|name| *name == "OutRsts").unwrap();
    rows[1][column].parse().unwrap()
}

fn reload(lan: &Lan) {
    let (lvsd, socket) = (lvsd(), socket(lan));
    let argv = [&*lvsd, "reload", "--socket", socket.to_str().unwrap()];
    let out = lan.director.output(&argv);
    assert!(
        out.status.success() || out.status.code() == Some(1),
        "{}",
        text(&out.stderr)
    );
}
