//! What is said about a change of virtual routers.

use std::path::Path;

use super::*;
use crate::keepalived::host::FakeHost;
use crate::keepalived::{Options, load};

const FILE: &str = "\
global_defs {
  vrrp_startup_delay 1
}
vrrp_script chk {
  script /bin/true
  interval 2
}
track_file load {
  file /run/load
}
vrrp_track_process web {
  process nginx
}
static_ipaddress {
  192.0.2.200 dev eth0
}
static_routes {
  198.51.100.0/24 via 192.0.2.254
}
track_group T {
  group { V }
}
vrrp_sync_group G {
  group {
    V
    W
  }
  sync_group_tracking_weight
  notify /etc/notify
}
vrrp_instance V {
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 1
  authentication {
    auth_type PASS
    auth_pass geheim
  }
  virtual_ipaddress {
    192.0.2.1/24
    192.0.2.2/24
  }
  virtual_routes {
    203.0.113.0/24 via 192.0.2.254
  }
  track_script {
    chk
  }
}
vrrp_instance W {
  interface eth1
  virtual_router_id 52
  virtual_ipaddress {
    198.51.100.1
  }
}
";

fn config(text: &str) -> Config {
    let path = "/etc/keepalived/keepalived.conf";
    let host = FakeHost::default().with_file(path, text);
    let loaded = load(Path::new(path), &Options::default(), &host);
    assert!(!loaded.is_refused(), "{text}\n{:#?}", loaded.diagnostics);
    loaded.config
}

/// The lines about a file in which one text stands instead of another.
fn changes(was: &str, is: &str) -> Vec<String> {
    assert!(FILE.contains(was), "{was}");
    let changes = between(&config(FILE), &config(&FILE.replacen(was, is, 1)));
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_stands_elsewhere_is_the_same() {
    let moved = "# one\n\n#two\n".to_owned() + &FILE.replace("\n}\n", "\n\n\n}\n\n");
    let moved = moved.replace(" {\n", " {\n # a comment\n\n");
    assert_eq!(between(&config(FILE), &config(&moved)), []);
}

#[test]
fn each_part_is_named_by_its_keyword() {
    for (was, is, line) in [
        (
            "startup_delay 1",
            "startup_delay 2",
            "~ global_defs: vrrp_startup_delay",
        ),
        (
            "interval 2",
            "interval 3",
            "~ vrrp_script chk: interval; timeout",
        ),
        ("/bin/true", "/bin/false", "~ vrrp_script chk: script"),
        ("/run/load", "/run/other", "~ track_file load: file"),
        (
            "process nginx",
            "process httpd",
            "~ vrrp_track_process web: process",
        ),
        (
            "192.0.2.200 dev eth0",
            "192.0.2.201 dev eth0",
            "~ static_ipaddress: +192.0.2.201/32 -192.0.2.200/32",
        ),
        (
            "192.0.2.200 dev eth0",
            "192.0.2.200 dev eth1",
            "~ static_ipaddress: ~192.0.2.200/32",
        ),
        (
            "198.51.100.0/24 via",
            "198.51.100.0/25 via",
            "~ static_routes: 0 stay, 1 new or changed, 1 gone or changed",
        ),
        (
            "group { V }",
            "group {\n V\n W\n }",
            "~ track_group T: members +W",
        ),
        (
            "V\n    W",
            "W\n    V",
            "~ vrrp_sync_group G: members in another order",
        ),
        (
            "notify /etc",
            "notify_master /etc",
            "~ vrrp_sync_group G: scripts +notify_master -notify",
        ),
        (
            "/etc/notify",
            "/etc/other",
            "~ vrrp_sync_group G: scripts ~notify",
        ),
        (
            "_id 51",
            "_id 53",
            "~ vrrp_instance V: virtual_router_id from 51 to 53",
        ),
        (
            "priority 100",
            "priority 150\n nopreempt",
            "~ vrrp_instance V: priority from 100 to 150; nopreempt or preempt_delay",
        ),
        (
            "advert_int 1",
            "advert_int 5",
            "~ vrrp_instance V: advert_int from 1 s to 5 s",
        ),
        (
            "interface eth1",
            "interface eth2",
            "~ vrrp_instance W: interface from eth1 to eth2",
        ),
        (
            "auth_pass geheim",
            "auth_pass secret",
            "~ vrrp_instance V: authentication",
        ),
        (
            "192.0.2.1/24\n",
            "192.0.2.3/24\n",
            "~ vrrp_instance V: virtual_ipaddress +192.0.2.3/24 -192.0.2.1/24",
        ),
        (
            "192.0.2.1/24\n    192.0.2.2/24",
            "192.0.2.2/24\n    192.0.2.1/24",
            "~ vrrp_instance V: virtual_ipaddress in another order",
        ),
        (
            "192.0.2.1/24\n",
            "192.0.2.1/24 label eth0:1\n",
            "~ vrrp_instance V: virtual_ipaddress ~192.0.2.1/24",
        ),
        (
            "203.0.113.0/24 via 192.0.2.254",
            "203.0.113.0/24 via 192.0.2.253",
            "~ vrrp_instance V: virtual_routes 0 stay, 1 new or changed, 1 gone or changed",
        ),
        (
            "    chk\n",
            "    chk weight 10\n",
            "~ vrrp_instance V: tracks ~script chk",
        ),
        (
            "track_script {\n    chk",
            "track_file {\n    load",
            "~ vrrp_instance V: tracks +file load -script chk",
        ),
        (
            "priority 100",
            "priority 100\n use_vmac",
            "~ vrrp_instance V: use_vmac or use_ipvlan",
        ),
    ] {
        assert_eq!(changes(was, is), [line], "{is}");
    }
}

#[test]
fn blocks_come_and_go() {
    let without = FILE
        .split("vrrp_instance W")
        .next()
        .unwrap()
        .replace("    W\n", "");
    let (all, less) = (config(FILE), config(&without));
    let lines =
        |old, new| -> Vec<String> { between(old, new).iter().map(ToString::to_string).collect() };
    assert_eq!(
        lines(&all, &less),
        ["~ vrrp_sync_group G: members -W", "- vrrp_instance W"]
    );
    assert_eq!(
        lines(&less, &all),
        ["~ vrrp_sync_group G: members +W", "+ vrrp_instance W"]
    );
}

#[test]
fn many_are_not_all_named() {
    let addresses: String = (10..40).map(|n| format!("    192.0.2.{n}/24\n")).collect();
    let lines = changes("    192.0.2.2/24\n", &addresses);
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert!(line.ends_with(" +192.0.2.21/24 and 19 more"), "{line}");
}

#[test]
fn secrets_are_not_told() {
    let lines = changes("auth_pass geheim", "auth_pass secret").concat();
    assert!(
        !lines.contains("geheim") && !lines.contains("secret"),
        "{lines}"
    );
}
