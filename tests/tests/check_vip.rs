//! `lvsd_check_vip`: servers of direct routing and behind tunnels are asked at the virtual address, by the way that real traffic takes.

use std::fmt::Write as _;
use std::net::IpAddr;

use tests::command::{eventually, lvsd, text};
use tests::daemon::socket;
use tests::process::PATIENCE;
use tests::{Family, Lan, Lvsd, Method, Plan};

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
