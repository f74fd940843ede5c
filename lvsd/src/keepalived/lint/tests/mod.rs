//! Each lint with a file that it finds, and a near twin that it does not.

mod cases;

use std::collections::BTreeSet;
use std::path::Path;

use super::{codes, lints};
use crate::keepalived::host::FakeHost;
use crate::keepalived::{Loaded, Options, load};
use cases::cases;

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
        assert!(codes.is_empty(), "{file}\n{words}");
    }
}

#[test]
fn nothing_is_said_about_interfaces_that_are_not_known() {
    let text = one("198.51.100.1 80", "DR", "203.0.113.1 80")
        + &instance("A", 51, "mcast_src_ip 192.0.2.9\ntrack_interface { eth7 }");
    let host = FakeHost::default().with_file(FILE, &text);
    let loaded = load(Path::new(FILE), &Options::default(), &host);
    let codes: Vec<_> = loaded.diagnostics.iter().map(|d| d.code).collect();
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
