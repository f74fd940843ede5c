//! Each lint with a file that it finds, and a near twin that it does not.

use std::collections::BTreeSet;
use std::path::Path;

use super::{codes, lints};
use crate::keepalived::host::FakeHost;
use crate::keepalived::{Loaded, Options, load};

const FILE: &str = "/etc/keepalived/keepalived.conf";

/// A host with two interfaces, some programs, a pipe's path that is a file, and a user.
fn host() -> FakeHost {
    FakeHost::default()
        .with_interface("lo", &["127.0.0.1/8", "::1/128"])
        .with_interface("eth0", &["192.0.2.2/24", "2001:db8::2/64"])
        .with_interface("eth1", &["10.0.0.1/24"])
        .with_user("nobody", 65_534, 65_534)
        .with_user("root", 0, 0)
        .with_group("nogroup", 65_534)
        .with_mode("/bin/ok", 0o755, 0, 0)
        .with_mode("/bin/sh", 0o755, 0, 0)
        .with_mode("/bin/plain", 0o644, 0, 0)
        .with_mode("/bin/private", 0o700, 0, 0)
        .with_mode("/opt/theirs/tool", 0o755, 65_534, 65_534)
        .with_file("/run/file", "")
}

fn loaded(text: &str) -> Loaded {
    let host = host().with_file(FILE, text);
    load(Path::new(FILE), &Options::default(), &host)
}

/// The codes that a file gives, and all of it in words.
fn found(text: &str) -> (Vec<&'static str>, String) {
    let loaded = loaded(text);
    let codes = loaded.diagnostics.iter().map(|d| d.code).collect();
    let words = loaded
        .diagnostics
        .iter()
        .map(|d| format!("{}: {} [{}] {:?}\n", d.span.line, d.message, d.code, d.help));
    (codes, words.collect())
}

/// A service with this in its block, and this in its first server's block.
fn service(inside: &str, server: &str) -> String {
    format!(
        "virtual_server 192.0.2.10 80 {{
    delay_loop 10
    lvs_sched wlc
    lvs_method NAT
    protocol TCP
    {inside}
    real_server 10.0.0.11 80 {{
        {server}
    }}
    real_server 10.0.0.12 80 {{
        TCP_CHECK {{ }}
    }}
}}
"
    )
}

/// A service with one server at this address, by this method.
fn one(vip: &str, method: &str, server: &str) -> String {
    format!(
        "virtual_server {vip} {{
    lvs_sched wlc
    lvs_method {method}
    protocol TCP
    real_server {server} {{ TCP_CHECK {{ connect_port 80 }} }}
}}
"
    )
}

const SECURE: &str = "global_defs {\n enable_script_security\n script_user root\n}\n";

const CHECKED: &str = "TCP_CHECK { }";

/// An instance with this in its block.
fn instance(name: &str, vrid: u8, inside: &str) -> String {
    format!(
        "vrrp_instance {name} {{
    interface eth0
    virtual_router_id {vrid}
    virtual_ipaddress {{ 192.0.2.{vrid}/24 }}
    {inside}
}}
"
    )
}

/// A script with this in its block, and an instance that tracks it so, with this in its own block.
fn tracked(script: &str, line: &str, inside: &str) -> String {
    let instance = instance("A", 51, &format!("track_script {{ {line} }}\n{inside}"));
    format!("vrrp_script s {{\n script /bin/ok\n {script}\n}}\n{instance}")
}

/// A code, a file that gives it, and one that does not.
fn cases() -> Vec<(&'static str, String, String)> {
    let good = || service("", CHECKED);
    let misc = |path: &str| service("", &format!("MISC_CHECK {{\n misc_path {path}\n}}"));
    let group = |members: &str, inside: &str| {
        let (a, b) = (instance("A", 51, ""), instance("B", 52, ""));
        format!("vrrp_sync_group G {{\n group {{\n {members}\n }}\n {inside}\n}}\n{a}{b}")
    };
    vec![
        (
            "service-address",
            one("224.0.0.1 80", "NAT", "10.0.0.11 80"),
            good(),
        ),
        (
            "service-on-loopback",
            one("127.0.0.1 80", "NAT", "10.0.0.11 80"),
            good(),
        ),
        (
            "server-address",
            one("192.0.2.10 80", "NAT", "10.0.0.255 80"),
            one("192.0.2.10 80", "NAT", "10.0.0.254 80"),
        ),
        (
            "server-address",
            one("192.0.2.10 80", "NAT", "0.0.0.0 80"),
            one("192.0.2.10 80", "NAT", "0.0.0.1 80"),
        ),
        (
            "server-is-vip",
            one("192.0.2.10 80", "NAT", "192.0.2.10 80"),
            one("192.0.2.10 80", "NAT", "192.0.2.11 80"),
        ),
        (
            "server-is-vip",
            one("192.0.2.10 80", "DR", "192.0.2.10 80"),
            one("192.0.2.10 80", "DR", "192.0.2.11 80"),
        ),
        (
            "server-is-local",
            one("192.0.2.10 80", "NAT", "192.0.2.10 8080"),
            one("192.0.2.10 80", "NAT", "10.0.0.10 8080"),
        ),
        (
            "server-is-local",
            one("192.0.2.2 80", "NAT", "127.0.0.1 8080"),
            one("192.0.2.2 80", "NAT", "127.0.0.1 80"),
        ),
        (
            "server-is-local",
            one("fwmark 1", "NAT", "127.0.0.1 80"),
            one("fwmark 1", "DR", "127.0.0.1 80"),
        ),
        (
            "server-is-local",
            one("192.0.2.2 80", "NAT", "10.0.0.1 80"),
            one("192.0.2.2 80", "DR", "10.0.0.1 80"),
        ),
        (
            "server-is-local",
            one("192.0.2.10 80", "NAT", "127.0.0.1 80"),
            one("192.0.2.2 80", "NAT", "127.0.0.1 80"),
        ),
        (
            "server-is-local",
            one("192.0.2.10 80", "DR", "127.0.0.1 80"),
            one("192.0.2.10 80", "DR", "127.0.0.1 80")
                + "static_ipaddress {\n    192.0.2.10 dev eth0\n}\n",
        ),
        (
            "server-is-virtual",
            one("192.0.2.10 80", "NAT", "192.0.2.20 80")
                + &one("192.0.2.20 80", "NAT", "10.0.0.11 80"),
            one("192.0.2.10 80", "NAT", "192.0.2.20 81")
                + &one("192.0.2.20 80", "NAT", "10.0.0.11 80"),
        ),
        (
            "server-off-link",
            one("192.0.2.10 80", "DR", "203.0.113.9 80"),
            one("192.0.2.10 80", "NAT", "203.0.113.9 80"),
        ),
        (
            "server-off-link",
            one("192.0.2.10 80", "DR", "10.0.1.9 80"),
            one("192.0.2.10 80", "DR", "10.0.0.9 80"),
        ),
        (
            "server-family",
            format!(
                "virtual_server_group g {{\n 192.0.2.10 80\n 2001:db8::10 80\n}}\n{}",
                one("group g", "NAT", "10.0.0.11 80")
            ),
            format!(
                "virtual_server_group g {{\n 192.0.2.10 80\n 2001:db8::10 80\n}}\n{}",
                one("group g", "TUN", "10.0.0.11 80")
            ),
        ),
        (
            "service-twice",
            format!(
                "virtual_server_group g {{\n 192.0.2.10-12 80\n}}\n{}{}",
                one("group g", "NAT", "10.0.0.11 80"),
                one("192.0.2.11 80", "NAT", "10.0.0.11 80")
            ),
            format!(
                "virtual_server_group g {{\n 192.0.2.10-12 80\n}}\n{}{}",
                one("group g", "NAT", "10.0.0.11 80"),
                one("192.0.2.13 80", "NAT", "10.0.0.11 80")
            ),
        ),
        (
            "service-twice",
            good() + &good(),
            good() + &good().replace("protocol TCP", "protocol UDP"),
        ),
        (
            "vip-without-interface",
            one("198.51.100.1 80", "NAT", "10.0.0.11 80"),
            one("192.0.2.10 80", "NAT", "10.0.0.11 80"),
        ),
        (
            "vip-without-interface",
            one("192.0.2.10 80", "NAT", "10.0.0.11 80") + &instance("A", 51, ""),
            one("192.0.2.51 80", "NAT", "10.0.0.11 80") + &instance("A", 51, ""),
        ),
        (
            "vip-without-interface",
            one("198.51.100.1 80", "NAT", "10.0.0.11 80"),
            one("198.51.100.1 80", "NAT", "10.0.0.11 80")
                + "static_ipaddress { 198.51.100.1/24 dev eth0\n }\n",
        ),
        (
            "vip-in-two-instances",
            instance("A", 51, "") + &instance("B", 52, "virtual_ipaddress { 192.0.2.51/24\n }"),
            instance("A", 51, "") + &instance("B", 52, "virtual_ipaddress { 192.0.2.53/24\n }"),
        ),
        (
            "vip-in-two-instances",
            instance("A", 51, "virtual_ipaddress_excluded { fe80::1 }")
                + &instance("B", 52, "virtual_ipaddress_excluded { fe80::1 }"),
            instance("A", 51, "virtual_ipaddress_excluded { fe80::1 }")
                + &instance("B", 52, "virtual_ipaddress_excluded { fe80::1 dev eth1\n }"),
        ),
        (
            "vip-static-too",
            instance("A", 51, "") + "static_ipaddress { 192.0.2.51/24 dev eth0\n }\n",
            instance("A", 51, "") + "static_ipaddress { 192.0.2.50/24 dev eth0\n }\n",
        ),
        (
            "weights-ignored",
            service("", "weight 2\nTCP_CHECK { }").replace("wlc", "rr"),
            service("", "weight 2\nTCP_CHECK { }").replace("wlc", "wrr"),
        ),
        (
            "weights-ignored",
            service("weight 3", "weight 2\nTCP_CHECK { }").replace("wlc", "lc"),
            service("weight 2", "weight 0\nTCP_CHECK { }").replace("wlc", "lc"),
        ),
        (
            "persistence-with-hashing",
            service("persistence_timeout 300", CHECKED).replace("wlc", "sh"),
            service("persistence_timeout 300", CHECKED),
        ),
        (
            "persistence-with-ops",
            service("persistence_timeout 300\nops", CHECKED).replace("TCP\n", "UDP\n"),
            service("ops", CHECKED).replace("TCP\n", "UDP\n"),
        ),
        (
            "failed-server-keeps-clients",
            service(
                "persistence_timeout 300\nlvsd_keep_flows",
                "inhibit_on_failure\nTCP_CHECK { }",
            ),
            service(
                "persistence_timeout 300",
                "inhibit_on_failure\nTCP_CHECK { }",
            ),
        ),
        (
            "quorum-unreachable",
            service("quorum 3\nquorum_up /bin/ok", CHECKED),
            service("quorum 2\nquorum_up /bin/ok", CHECKED),
        ),
        (
            "quorum-unreachable",
            service("quorum 2\nhysteresis 1\nquorum_up /bin/ok", CHECKED),
            service(
                "quorum 2\nhysteresis 1\nquorum_up /bin/ok",
                "weight 2\nTCP_CHECK { }",
            ),
        ),
        (
            "quorum-unreachable",
            service("quorum 9\nquorum_up /bin/ok", CHECKED),
            service(
                "quorum 9\nquorum_up /bin/ok",
                "MISC_CHECK {\n misc_path /bin/ok\n misc_dynamic\n}",
            ),
        ),
        (
            "hysteresis-too-large",
            service("quorum 1\nhysteresis 1\nquorum_up /bin/ok", CHECKED),
            service(
                "quorum 2\nhysteresis 1\nquorum_up /bin/ok",
                "weight 2\nTCP_CHECK { }",
            ),
        ),
        (
            "weights-too-large",
            service("weight 2147483647", CHECKED),
            service("weight 1073741823", CHECKED),
        ),
        (
            "quorum-without-effect",
            service("quorum 2", CHECKED),
            service("quorum 2\nsorry_server 10.0.0.99 80", CHECKED),
        ),
        (
            "no-weight",
            service("", "weight 0\nTCP_CHECK { }")
                .replace("10.0.0.12 80 {", "10.0.0.12 80 {\nweight 0"),
            service("", "weight 0\nTCP_CHECK { }"),
        ),
        (
            "sorry-is-server",
            service("sorry_server 10.0.0.12 80", CHECKED),
            service("sorry_server 10.0.0.12 81", CHECKED),
        ),
        (
            "omega-without-effect",
            service("omega", CHECKED),
            service("omega\nquorum_down /bin/ok", CHECKED),
        ),
        (
            "suspend-without-address",
            one("fwmark 7", "NAT", "10.0.0.11 80").replace("protocol TCP", "ha_suspend"),
            one("fwmark 7", "NAT", "10.0.0.11 80"),
        ),
        (
            "suspend-without-address",
            service("ha_suspend", CHECKED),
            service("ha_suspend", CHECKED) + "static_ipaddress { 192.0.2.10/24 dev eth0\n }\n",
        ),
        ("server-unchecked", service("", ""), service("", CHECKED)),
        (
            "server-unchecked",
            service("sorry_server 10.0.0.99 80", "").replace("TCP_CHECK { }", ""),
            service("", "").replace("TCP_CHECK { }", ""),
        ),
        (
            "check-outlasts-interval",
            service("connect_timeout 11", CHECKED),
            service("connect_timeout 10", CHECKED),
        ),
        (
            "check-outlasts-interval",
            service("", "MISC_CHECK {\n misc_path /bin/ok\n misc_timeout 11\n}"),
            service("", "MISC_CHECK {\n misc_path /bin/ok\n}"),
        ),
        (
            "failure-noticed-late",
            service("retry 100\ndelay_before_retry 60", CHECKED),
            service("retry 10\ndelay_before_retry 60", CHECKED),
        ),
        (
            "check-without-port",
            one("fwmark 7", "DR", "192.0.2.11")
                .replace("protocol TCP", "")
                .replace("connect_port 80", ""),
            one("fwmark 7", "DR", "192.0.2.11").replace("protocol TCP", ""),
        ),
        (
            "check-other-server",
            service("", "TCP_CHECK { connect_ip 10.0.0.12 }"),
            service("", "TCP_CHECK { connect_ip 192.0.2.10 }"),
        ),
        (
            "check-other-port",
            service("", "TCP_CHECK { connect_port 81 }"),
            service("", "TCP_CHECK { connect_port 80 }"),
        ),
        (
            "check-other-port",
            service("", "TCP_CHECK { connect_port 81 }"),
            service("", "HTTP_GET {\n url { path / }\n connect_port 81\n}"),
        ),
        (
            "check-wrong-protocol",
            service("", "SSL_GET {\n url { path / }\n}"),
            service("", "HTTP_GET {\n url { path / }\n}"),
        ),
        (
            "check-other-protocol",
            service("", "UDP_CHECK { }"),
            service("", "UDP_CHECK { connect_port 81 }"),
        ),
        (
            "page-twice",
            service("", "HTTP_GET {\n url { path / }\n url { path / }\n}"),
            service("", "HTTP_GET {\n url { path / }\n url { path /a }\n}"),
        ),
        (
            "dynamic-weight-ignored",
            service("", "MISC_CHECK {\n misc_path /bin/ok\n misc_dynamic\n}").replace("wlc", "rr"),
            service("", "MISC_CHECK {\n misc_path /bin/ok\n}").replace("wlc", "rr"),
        ),
        (
            "dynamic-weight-limit",
            service(
                "",
                "weight 254\nMISC_CHECK {\n misc_path /bin/ok\n misc_dynamic\n}",
            ),
            service(
                "",
                "weight 253\nMISC_CHECK {\n misc_path /bin/ok\n misc_dynamic\n}",
            ),
        ),
        (
            "dynamic-weights-add-up",
            service(
                "",
                &"MISC_CHECK {\n misc_path /bin/ok\n misc_dynamic\n}\n".repeat(2),
            ),
            service(
                "",
                "MISC_CHECK {\n misc_path /bin/ok\n misc_dynamic\n}\nMISC_CHECK {\n misc_path /bin/ok\n}\n",
            ),
        ),
        ("script-missing", misc("/bin/gone"), misc("/bin/ok")),
        (
            "script-missing",
            service("quorum_up gone", CHECKED),
            service("quorum_up ok", CHECKED),
        ),
        ("script-not-executable", misc("/bin/plain"), misc("/bin/ok")),
        ("script-not-executable", misc("/bin"), misc("/bin/ok")),
        (
            "script-not-executable",
            service("quorum_up /bin/private nobody", CHECKED),
            service("quorum_up /bin/private root", CHECKED),
        ),
        (
            "script-user-unknown",
            service("quorum_up /bin/ok someone", CHECKED),
            service("quorum_up /bin/ok nobody", CHECKED),
        ),
        ("script-insecure", misc("/opt/theirs/tool"), misc("/bin/ok")),
        (
            "script-insecure",
            service("quorum_up /opt/theirs/tool", CHECKED),
            service("quorum_up /opt/theirs/tool nobody", CHECKED),
        ),
        (
            "script-security-off",
            misc("/bin/ok"),
            "global_defs {\n script_user nobody nogroup\n}\n".to_owned() + &misc("/bin/ok"),
        ),
        (
            "script-refused",
            "global_defs {\n enable_script_security\n script_user root\n}\n".to_owned()
                + &misc("/opt/theirs/tool"),
            "global_defs {\n enable_script_security\n script_user root\n}\n".to_owned()
                + &misc("/bin/ok"),
        ),
        (
            "script-shell-words",
            service("quorum_up \"/bin/ok up > /tmp/log\"", CHECKED),
            service("quorum_up \"/bin/sh -c 'echo up > /tmp/log'\"", CHECKED),
        ),
        (
            "script-shell-words",
            service("quorum_up \"/bin/ok ~/log\"", CHECKED),
            service("quorum_up \"/bin/ok a~/log 5>=3 $\"", CHECKED),
        ),
        (
            "script-outlasts-interval",
            tracked("interval 2\ntimeout 3", "s", ""),
            tracked("interval 2\ntimeout 2", "s", ""),
        ),
        (
            "mail-without-server",
            "global_defs {\n notification_email { a@b }\n}\n".to_owned() + &good(),
            good(),
        ),
        (
            "mail-without-recipients",
            "global_defs {\n smtp_server 192.0.2.25\n}\n".to_owned() + &good(),
            "global_defs {\n smtp_server 192.0.2.25\n notification_email { a@b }\n}\n".to_owned()
                + &good(),
        ),
        (
            "mail-address",
            "global_defs {\n smtp_server 192.0.2.25\n notification_email { Ops <ops@b> }\n}\n"
                .to_owned()
                + &good(),
            "global_defs {\n smtp_server 192.0.2.25\n notification_email { \"Ops <ops@b>\" }\n}\n"
                .to_owned()
                + &good(),
        ),
        (
            "alert-without-mail",
            service("smtp_alert", CHECKED),
            service("smtp_alert off", CHECKED),
        ),
        (
            "fifo-is-file",
            "global_defs {\n notify_fifo /run/file\n}\n".to_owned() + &good(),
            "global_defs {\n notify_fifo /run/fifo\n}\n".to_owned() + &good(),
        ),
        (
            "fifo-twice",
            "global_defs {\n notify_fifo /run/fifo\n lvs_notify_fifo /run/fifo\n}\n".to_owned()
                + &good(),
            "global_defs {\n notify_fifo /run/fifo\n lvs_notify_fifo /run/other\n}\n".to_owned()
                + &good(),
        ),
        (
            "vrid-twice",
            instance("A", 51, "") + &instance("B", 51, ""),
            instance("A", 51, "") + &instance("B", 51, "").replace("eth0", "eth1"),
        ),
        (
            "vrid-twice",
            instance("A", 51, "unicast_peer { 192.0.2.3 }")
                + &instance("B", 51, "unicast_peer { 192.0.2.3 }"),
            instance("A", 51, "unicast_peer { 192.0.2.3 }")
                + &instance("B", 51, "unicast_peer { 192.0.2.4 }"),
        ),
        (
            "interface-unknown",
            instance("A", 51, "").replace("eth0", "eth7"),
            "global_defs {\n dynamic_interfaces\n}\n".to_owned()
                + &instance("A", 51, "").replace("eth0", "eth7"),
        ),
        (
            "interface-unknown",
            instance("A", 51, "track_interface { vrrp.51 }"),
            instance("A", 51, "track_interface { vrrp.51 }\nuse_vmac"),
        ),
        (
            "interface-is-loopback",
            instance("A", 51, "").replace("eth0", "lo"),
            instance("A", 51, ""),
        ),
        (
            "source-not-here",
            instance("A", 51, "mcast_src_ip 192.0.2.3"),
            instance("A", 51, "mcast_src_ip 192.0.2.2"),
        ),
        (
            "peer-is-self",
            instance("A", 51, "unicast_peer { 192.0.2.2 }"),
            instance("A", 51, "unicast_peer { 192.0.2.3 }"),
        ),
        ("sync-group-of-one", group("A", ""), group("A B", "")),
        (
            "sync-group-mixed-preemption",
            group("A B", "").replace("virtual_router_id 52", "virtual_router_id 52\nnopreempt"),
            group("A B", ""),
        ),
        (
            "strict-not-pingable",
            instance("A", 51, "strict_mode"),
            instance("A", 51, "strict_mode\npriority 255\nstate MASTER"),
        ),
        (
            "too-many-vips",
            instance("A", 51, &format!("virtual_ipaddress {{\n{}}}", many(255))),
            instance("A", 51, &format!("virtual_ipaddress {{\n{}}}", many(254))),
        ),
        (
            "weight-without-effect",
            tracked("", "s weight 10", "priority 254"),
            tracked("", "s weight 10", "priority 244"),
        ),
        (
            "weight-without-effect",
            tracked("weight -5", "s", "priority 1"),
            tracked("weight -5", "s", "priority 2"),
        ),
        (
            "weight-with-nopreempt",
            tracked("weight -20", "s", "nopreempt"),
            tracked("", "s", "nopreempt"),
        ),
        ("tracker-unused", tracked("", "", ""), tracked("", "s", "")),
        (
            "tracker-unused",
            "track_file f { file /run/file }\n".to_owned() + &good(),
            "track_file f { file /run/file }\n".to_owned()
                + &service("", "FILE_CHECK { track_file f }"),
        ),
        (
            "bfd-twice",
            "bfd_instance a { neighbor_ip 192.0.2.3 }\nbfd_instance b { neighbor_ip 192.0.2.3 }\n"
                .to_owned()
                + &good(),
            "bfd_instance a { neighbor_ip 192.0.2.3 }\nbfd_instance b { neighbor_ip 192.0.2.4 }\n"
                .to_owned()
                + &good(),
        ),
        (
            "link-delay-too-long",
            "interface_up_down_delays {\n eth0 2\n}\n".to_owned() + &instance("A", 51, ""),
            "interface_up_down_delays {\n eth0 1.9\n}\n".to_owned() + &instance("A", 51, ""),
        ),
    ]
}

/// That many addresses, one a line.
fn many(n: u16) -> String {
    (0..n)
        .map(|i| format!("10.1.{}.{}\n", i / 250, i % 250 + 1))
        .collect()
}

#[test]
fn each_lint_finds_its_mistake_and_not_its_twin() {
    let mut wrong = String::new();
    for (code, bad, good) in cases() {
        let (codes, words) = found(&bad);
        if !codes.contains(&code) {
            wrong += &format!("{code} is not found in\n{bad}\nbut:\n{words}\n");
        }
        if loaded(&good).is_refused() {
            wrong += &format!(
                "the twin of {code} is broken:\n{good}\n{}\n",
                found(&good).1
            );
        }
        let (codes, words) = found(&good);
        if codes.contains(&code) {
            wrong += &format!("{code} is found in\n{good}\n{words}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_lint_has_a_case() {
    let cases: BTreeSet<&str> = cases().iter().map(|(code, _, _)| *code).collect();
    let lints: BTreeSet<&str> = lints().map(|l| l.code).collect();
    assert_eq!(cases, lints);
}

#[test]
fn good_files_are_left_alone() {
    let files = [
        service("", CHECKED),
        instance("A", 51, "") + &one("192.0.2.51 80", "DR", "192.0.2.11 80"),
        SECURE.to_owned() + &tracked("weight -20", "s", "priority 100"),
        SECURE.to_owned() + &tracked("", "s", "nopreempt\nstate BACKUP"),
    ];
    for file in files {
        let (codes, words) = found(&file);
        // Until VRRP runs, its blocks give one warning each.
        let codes: Vec<_> = codes.into_iter().filter(|c| *c != "no-effect").collect();
        assert!(codes.is_empty(), "{file}\n{words}");
    }
}

#[test]
fn nothing_is_said_about_interfaces_that_are_not_known() {
    let text = one("198.51.100.1 80", "DR", "203.0.113.1 80")
        + &instance("A", 51, "mcast_src_ip 192.0.2.9\ntrack_interface { eth7 }");
    let host = FakeHost::default().with_file(FILE, &text);
    let loaded = load(Path::new(FILE), &Options::default(), &host);
    let codes: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|d| d.code)
        .filter(|c| *c != "no-effect")
        .collect();
    assert!(codes.is_empty(), "{codes:?}");
}

#[test]
fn a_program_in_several_lines_is_reported_once() {
    let text = service(
        "quorum_up /bin/gone\nquorum_down /bin/gone",
        "notify_up /bin/gone\nTCP_CHECK { }",
    );
    let loaded = loaded(&text);
    let missing: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.code == "script-missing")
        .collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].also.len(), 2);
}

#[test]
fn codes_are_unique_and_explained() {
    let all = codes();
    let names: BTreeSet<&str> = all.iter().map(|c| c.name).collect();
    assert_eq!(names.len(), all.len());
    for code in &all {
        let kebab = code
            .name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit());
        assert!(kebab && code.about.ends_with('.'), "{code:?}");
    }
}

/// Reads the stages' source for the codes that they give.
#[test]
fn each_code_of_each_stage_is_explained() {
    let known: BTreeSet<&str> = codes().iter().map(|c| c.name).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/keepalived");
    let mut folders = vec![root];
    let mut given: BTreeSet<String> = BTreeSet::new();
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" && name != "diagnostic" {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                let text = std::fs::read_to_string(path).unwrap();
                given.extend(given_in(&text));
                if name != "codes.rs" {
                    all += &text;
                }
            }
        }
    }
    let unexplained: Vec<&String> = given
        .iter()
        .filter(|c| !known.contains(c.as_str()))
        .collect();
    assert!(unexplained.is_empty(), "add to codes.rs: {unexplained:?}");
    let is_given = |code: &&&str| all.contains(&format!("\"{code}\""));
    let forgotten: Vec<&&str> = known.iter().filter(|c| !is_given(c)).collect();
    assert!(
        forgotten.is_empty(),
        "nothing gives these any more: {forgotten:?}"
    );
}

/// The codes in a file's text: literals that begin an argument list, or stand behind `code`.
fn given_in(text: &str) -> Vec<String> {
    let begins = [
        "Diagnostic::error(",
        "Diagnostic::warning(",
        "in_vain(",
        "wrong(",
        "Refused::new(",
        "code:",
        "code =",
        ": &str =",
    ];
    let mut codes = Vec::new();
    for begin in begins {
        for part in text.split(begin).skip(1) {
            let part = part.trim_start();
            // Of a choice between codes, all.
            let end = part.find([',', ';']).unwrap_or(part.len());
            let literals = part[..end].split('"').skip(1).step_by(2);
            let kebab = |c: &&str| {
                c.contains('-')
                    && c.chars()
                        .all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit())
            };
            codes.extend(literals.filter(kebab).map(str::to_owned));
        }
    }
    codes
}

/// The checks of a file's servers: whom they ask, and through whom.
fn asked(text: &str) -> Vec<(String, Option<String>)> {
    let services = loaded(text).config.services;
    let servers = services.iter().flat_map(|s| &s.servers);
    let checks = servers.flat_map(|s| &s.checks);
    let each = checks.map(|c| {
        let target = &c.check.target;
        (
            target.addr.to_string(),
            target.via.map(|v| v.server.to_string()),
        )
    });
    each.collect()
}

#[test]
fn a_virtual_address_is_asked_on_the_server() {
    let file = |head: &str, method: &str, inside: &str, check: &str| {
        format!(
            "virtual_server_group g {{\n 192.0.2.10 80\n 192.0.2.11 80\n}}
             virtual_server {head} {{\n lvs_sched wlc\n lvs_method {method}\n protocol TCP\n {inside}
             real_server 10.0.0.11 80 {{\n {check}\n }}\n }}\n"
        )
    };
    let there = |vip: &str| vec![(vip.to_owned(), Some("10.0.0.11".to_owned()))];
    let plain = vec![("10.0.0.11:80".to_owned(), None)];
    let vip = "192.0.2.10 80";
    let on = "lvsd_check_vip";
    let has = |text: &str, code: &str| found(text).0.contains(&code);
    let wrong = |text: &str| {
        let codes = found(text).0;
        codes.iter().any(|code| code.starts_with("check-vip"))
    };

    for method in ["DR", "TUN"] {
        for text in [
            file(vip, method, on, "TCP_CHECK { }"),
            file(vip, method, "", "lvsd_check_vip\n TCP_CHECK { }"),
            file(vip, method, "", "TCP_CHECK {\n lvsd_check_vip on\n }"),
            file(
                "group g",
                method,
                on,
                "TCP_CHECK {\n connect_ip 192.0.2.10\n }",
            ),
            file(
                "fwmark 1",
                method,
                on,
                "TCP_CHECK {\n connect_ip 192.0.2.10\n }",
            ),
        ] {
            assert_eq!(asked(&text), there("192.0.2.10:80"), "{text}");
            assert!(!wrong(&text), "{}", found(&text).1);
        }
    }
    let text = file(
        vip,
        "DR",
        on,
        "TCP_CHECK {\n connect_port 81\n bindto 192.0.2.2\n }",
    );
    assert_eq!(asked(&text), there("192.0.2.10:81"));

    let off = file(vip, "DR", on, "TCP_CHECK {\n lvsd_check_vip off\n }");
    assert_eq!(asked(&off), plain);
    let ping = file(vip, "DR", on, "PING_CHECK { }");
    assert_eq!(asked(&ping)[0].1, None);
    assert!(!has(&ping, "no-effect"), "{}", found(&ping).1);
    let ping = file(vip, "DR", "", "PING_CHECK {\n lvsd_check_vip\n }");
    assert!(has(&ping, "no-effect"), "{}", found(&ping).1);
    let port = file(vip, "DR", on, "TCP_CHECK {\n bind_port 1000\n }");
    assert!(has(&port, "no-effect"), "{}", found(&port).1);

    for text in [
        file("group g", "DR", on, "TCP_CHECK { }"),
        file("fwmark 1", "DR", on, "TCP_CHECK { }"),
        file(vip, "DR", on, "TCP_CHECK {\n connect_ip 192.0.2.99\n }"),
    ] {
        assert!(has(&text, "check-vip-address"), "{}", found(&text).1);
    }
    let nat = file(vip, "NAT", on, "TCP_CHECK { }");
    assert!(has(&nat, "check-vip-method"), "{}", found(&nat).1);
}
