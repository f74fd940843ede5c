//! For each lint, files that it finds and near twins that it does not.

use super::*;

/// A code, a file that gives it, and one that does not.
pub(super) fn cases() -> Vec<(&'static str, String, String)> {
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
