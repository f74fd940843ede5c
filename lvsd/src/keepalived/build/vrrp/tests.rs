//! What comes of blocks of VRRP: defaults, corrections, and what is said about them.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use lvs_core::Family;

use crate::keepalived::host::FakeHost;
use crate::keepalived::model::*;
use crate::keepalived::{Loaded, Options, load};

const FILE: &str = "/etc/keepalived/keepalived.conf";

/// The VRRP half of a file, and the codes of what is wrong with it.
fn built(text: &str) -> (Vrrp, Vec<&'static str>) {
    let host = FakeHost::default()
        .with_file(FILE, text)
        .with_mode("/bin/ok", 0o755, 0, 0);
    let Loaded {
        config,
        diagnostics,
        ..
    } = load(Path::new(FILE), &Options::default(), &host);
    let codes = diagnostics.iter().map(|d| d.code);
    // These files do not care about security, and there is no BFD yet.
    let codes = codes.filter(|c| !["no-effect", "script-security-off"].contains(c));
    (config.vrrp, codes.collect())
}

/// One instance with this in its block, after what stands before it.
fn instance(before: &str, inside: &str) -> (Instance, Vec<&'static str>) {
    let vip = match inside.contains("virtual_ipaddress") {
        true => "",
        false => "virtual_ipaddress { 192.0.2.51/24 }",
    };
    let (mut vrrp, codes) = built(&format!(
        "{before}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 51\n {vip}\n {inside}\n}}\n"
    ));
    assert_eq!(vrrp.instances.len(), 1, "{inside}: {codes:?}");
    (vrrp.instances.remove(0), codes)
}

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_instance_that_says_little_has_keepalived_s_defaults() {
    let (a, codes) = instance("", "");
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!((a.name.value.as_str(), a.vrid.value), ("A", 51));
    assert_eq!((a.version, a.family), (Version::V2, Family::V4));
    assert_eq!(
        (a.priority.value, a.wants_master, a.missing),
        (100, false, 3)
    );
    assert_eq!(a.interval.value, seconds(1.0));
    assert_eq!(a.preempt, Preempt::Always);
    let group = ip("224.0.0.18");
    assert_eq!(a.transport, Transport::Multicast { group });
    assert_eq!(a.garp, Garp::default());
    assert!(a.accept && a.track_primary && !a.mails && !a.strict);
    assert_eq!(a.device, Device::Plain);
    let [vip] = &a.vips[..] else { panic!() };
    assert_eq!(vip.addr.to_string(), "192.0.2.51/24");
    assert_eq!(a.interface_of(vip), Some("eth0"));
}

#[test]
fn global_defaults_hold_for_instances_that_say_nothing() {
    let global = "global_defs {\n vrrp_version 3\n vrrp_mcast_group4 224.0.0.99\n vrrp_garp_master_repeat 2\n \
                  vrrp_garp_lower_prio_delay 9\n vrrp_down_timer_adverts 5\n smtp_alert\n vrrp_notify_priority_changes\n \
                  vrrp_skip_check_adv_addr\n smtp_server 192.0.2.1\n notification_email { a@b }\n}";
    let (a, codes) = instance(global, "");
    assert!(codes.is_empty(), "{codes:?}");
    let group = ip("224.0.0.99");
    assert_eq!((a.version, a.missing), (Version::V3, 5));
    assert_eq!(a.transport, Transport::Multicast { group });
    assert_eq!((a.garp.repeat, a.garp.lower_repeat), (2, 2));
    assert_eq!(a.garp.lower_delay, seconds(9.0));
    assert!(a.mails && a.notify_priority);
    assert_eq!(a.check_addresses, CheckAddresses::NewMaster);
    let own = "version 2\nsmtp_alert off\ngarp_master_repeat 7\nskip_check_adv_addr off\nmcast_dst_ip 224.0.0.98";
    let (a, _) = instance(global, own);
    let group = ip("224.0.0.98");
    assert_eq!((a.version, a.mails, a.garp.repeat), (Version::V2, false, 7));
    assert_eq!(a.garp.lower_repeat, 7);
    assert_eq!(a.check_addresses, CheckAddresses::Each);
    assert_eq!(a.transport, Transport::Multicast { group });
}

#[test]
fn preemption_gives_way_to_the_state() {
    // state, priority and flags; what comes of it; the codes
    let cases: &[(&str, Preempt, &[&str])] = &[
        ("", Preempt::Always, &[]),
        ("nopreempt", Preempt::Never, &[]),
        ("nopreempt\npreempt", Preempt::Always, &[]),
        (
            "preempt_delay 5",
            Preempt::After(Duration::from_secs(5)),
            &[],
        ),
        ("preempt_delay 0", Preempt::Always, &[]),
        (
            "state MASTER\npriority 100\nnopreempt",
            Preempt::Always,
            &["nopreempt-ignored"],
        ),
        (
            "state MASTER\npriority 100\npreempt_delay 5",
            Preempt::Always,
            &["preempt-delay-ignored"],
        ),
        (
            "priority 255\nnopreempt",
            Preempt::Always,
            &["nopreempt-ignored"],
        ),
        (
            "state BACKUP\nnopreempt\npreempt_delay 5",
            Preempt::Never,
            &["preempt-delay-ignored"],
        ),
        (
            "state BACKUP\nnopreempt\npreempt_delay 0",
            Preempt::Never,
            &[],
        ),
    ];
    for (inside, preempt, expected) in cases {
        let (a, codes) = instance("", inside);
        assert_eq!((a.preempt, &codes[..]), (*preempt, *expected), "{inside}");
    }
}

#[test]
fn the_state_sets_the_priority_and_the_priority_the_state() {
    for (inside, priority, master) in [
        ("state MASTER", 255, true),
        ("state MASTER\npriority 100", 100, true),
        ("priority 255", 255, true),
        ("priority 255\nstate BACKUP", 255, false),
        ("state BACKUP", 100, false),
    ] {
        let (a, _) = instance("", inside);
        assert_eq!(
            (a.priority.value, a.wants_master),
            (priority, master),
            "{inside}"
        );
    }
}

/// As keepalived 2.2.7 rounds.
#[test]
fn intervals_are_rounded_as_the_version_has_them() {
    for (inside, taken, rounded) in [
        ("advert_int 1", 1.0, false),
        ("advert_int 1.4", 1.0, true),
        ("advert_int 1.5", 2.0, true),
        ("advert_int 0.2", 1.0, true),
        ("advert_int 255", 255.0, false),
        ("version 3\nadvert_int 0.256", 0.26, true),
        ("version 3\nadvert_int 0.25", 0.25, false),
        ("version 3\nadvert_int 60", 40.95, true),
    ] {
        let (a, codes) = instance("", inside);
        assert_eq!(a.interval.value, seconds(taken), "{inside}");
        assert_eq!(codes.contains(&"interval-rounded"), rounded, "{inside}");
    }
}

#[test]
fn families_follow_from_the_first_vip() {
    let (a, codes) = instance("", "virtual_ipaddress {\n fe80::1\n 2001:db8::1/64\n}");
    assert_eq!((a.family, a.version), (Family::V6, Version::V3));
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!(a.vips[0].preferred, Some(0));
    assert_eq!(a.vips[1].preferred, None);
    let (a, codes) = instance("", "virtual_ipaddress {\n 192.0.2.1\n 2001:db8::1/64\n}");
    assert_eq!((a.family, a.vips.len()), (Family::V4, 1));
    assert_eq!(codes, ["family-mismatch"]);
    let (a, codes) = instance("", "virtual_ipaddress { 2001:db8::1/64 }\nversion 2");
    assert_eq!(
        (a.version, &codes[..]),
        (Version::V2, &["version-2-over-ipv6"][..])
    );
    let both = "virtual_ipaddress { 192.0.2.1 }\nvirtual_ipaddress_excluded {\n 2001:db8::1\n 192.0.2.1\n}";
    let (a, codes) = instance("", both);
    assert_eq!((a.excluded.len(), &codes[..]), (1, &["address-twice"][..]));
}

#[test]
fn unicast_needs_peers() {
    let (a, codes) = instance(
        "",
        "unicast_src_ip 192.0.2.2\nunicast_peer {\n 192.0.2.3\n 192.0.2.4 min_ttl 250\n 192.0.2.3\n}",
    );
    assert_eq!(codes, ["peer-twice"]);
    let Transport::Unicast {
        peers,
        ttl,
        check_source,
    } = &a.transport
    else {
        panic!()
    };
    assert_eq!((*ttl, *check_source), (Some(255), true));
    let peers: Vec<_> = peers.iter().map(|p| (p.addr.value, p.ttl)).collect();
    assert_eq!(
        peers,
        [(ip("192.0.2.3"), (0, 255)), (ip("192.0.2.4"), (250, 255))]
    );
    for nobody in ["unicast_src_ip 192.0.2.2", "unicast_peer { }"] {
        let (a, codes) = instance("", nobody);
        assert!(matches!(a.transport, Transport::Multicast { .. }));
        assert!(codes.contains(&"unicast-without-peers"), "{codes:?}");
    }
    let (a, codes) = instance("", "unicast_src_ip 192.0.2.2\nunicast_fault_no_peer");
    assert!(matches!(&a.transport, Transport::Unicast { peers, .. } if peers.is_empty()));
    assert!(codes.is_empty(), "{codes:?}");
}

#[test]
fn authentication_is_for_version_2() {
    let auth = |kind: &str, password: &str| {
        format!("authentication {{\n auth_type {kind}\n auth_pass {password}\n}}")
    };
    let (a, codes) = instance("", &auth("PASS", "1111"));
    let password = Authentication::Password(*b"1111\0\0\0\0");
    assert_eq!(a.authentication.map(|a| a.value), Some(password));
    assert!(codes.is_empty());
    let (a, codes) = instance("", &auth("PASS", "123456789"));
    assert_eq!(
        a.authentication.map(|a| a.value),
        Some(Authentication::Password(*b"12345678"))
    );
    assert_eq!(codes, ["password-cut"]);
    for no in ["version 3\n", "strict_mode\n"] {
        let (a, codes) = instance("", &(no.to_owned() + &auth("PASS", "1")));
        assert_eq!(a.authentication, None);
        assert!(codes.contains(&"authentication-ignored"), "{codes:?}");
    }
    let (a, codes) = instance(
        "",
        &("state MASTER\npriority 100\n".to_owned() + &auth("AH", "1")),
    );
    assert_eq!(
        (a.wants_master, &codes[..]),
        (false, &["master-with-ah"][..])
    );
}

#[test]
fn auth_hmac_is_kept() {
    let inside = "advert_int 30\nauth_hmac {\n key 1 first secret\n key 2 other\n active_key 2\n anti_replay monotonic\n mode permissive\n}";
    let (a, codes) = instance("", inside);
    assert!(codes.is_empty(), "{codes:?}");
    let hmac = a.hmac.unwrap();
    assert_eq!(
        (hmac.keys[0].id, hmac.keys[0].secret.as_str()),
        (1, "first secret")
    );
    assert_eq!(
        (hmac.active, hmac.replay, hmac.mode),
        (2, Replay::Monotonic, HmacMode::Permissive)
    );
    assert_eq!(hmac.window, seconds(90.0));
}

#[test]
fn strict_mode_overrules() {
    let inside = "strict_mode\nstate MASTER\npriority 100\npreempt_delay 5\ndown_timer_adverts 7\naccept\ngarp_lower_prio_repeat 3\n\
                  higher_prio_send_advert";
    let (a, codes) = instance("", inside);
    assert!(!a.wants_master && !a.accept);
    assert_eq!(
        (a.preempt, a.missing, a.garp.lower_repeat),
        (Preempt::Always, 3, 0)
    );
    let rivals = Rivals {
        silent: true,
        last_word: false,
        owner_deaf: true,
    };
    assert_eq!(a.rivals, rivals);
    assert_eq!(
        codes.iter().filter(|c| **c == "strict-corrects").count(),
        6,
        "{codes:?}"
    );
    let (a, _) = instance("", "strict_mode\nversion 3\naccept");
    assert!(a.accept);
    let (a, _) = instance("", "strict_mode\npriority 255\nstate MASTER");
    assert!(a.accept && a.wants_master);
    let (vrrp, codes) = built(
        "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n strict_mode\n unicast_peer { 192.0.2.3 }\n virtual_ipaddress { 192.0.2.9 }\n}",
    );
    assert_eq!(
        (vrrp.instances.len(), &codes[..]),
        (0, &["strict-unicast"][..])
    );
}

#[test]
fn a_vmac_has_the_virtual_router_s_address() {
    let vmac = |inside: &str| match instance("", inside).0.device {
        Device::Vmac(vmac) => vmac,
        other => panic!("{other:?}"),
    };
    assert_eq!(vmac("use_vmac").mac, [0, 0, 0x5e, 0, 1, 51]);
    assert_eq!(
        vmac("use_vmac\nvirtual_ipaddress { fe80::1 }").mac,
        [0, 0, 0x5e, 0, 2, 51]
    );
    let named = vmac("use_vmac vip0\nvmac_xmit_base");
    assert_eq!(
        (named.name.as_deref(), named.send_below),
        (Some("vip0"), true)
    );
    assert!(vmac("use_vmac\nunicast_peer { 192.0.2.3 }").send_below);
    assert_eq!(instance("", "vmac_xmit_base").1, ["vmac-missing"]);
}

#[test]
fn what_is_missing_is_said_once() {
    for (text, expected) in [
        (
            "vrrp_instance A {\n interface eth0\n virtual_ipaddress { 192.0.2.9 }\n}",
            "missing-keyword",
        ),
        (
            "vrrp_instance A {\n virtual_router_id 5\n virtual_ipaddress { 192.0.2.9 }\n}",
            "missing-keyword",
        ),
        (
            "vrrp_instance A {\n interface eth0\n virtual_router_id 0\n virtual_ipaddress { 192.0.2.9 }\n}",
            "out-of-range",
        ),
        (
            "vrrp_instance A {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress { 192.0.2.999 }\n}",
            "bad-value",
        ),
        (
            "vrrp_instance A {\n interface eth0\n virtual_router_id 5\n}",
            "no-vip",
        ),
        ("vrrp_script s { interval 1 }", "missing-keyword"),
    ] {
        assert_eq!(built(text).1, [expected], "{text}");
    }
    assert!(
        built("vrrp_instance A {\n interface eth0\n virtual_router_id 5\n no_virtual_ipaddress\n}")
            .1
            .is_empty()
    );
}

const OBJECTS: &str =
    "vrrp_script s {\n script \"/bin/ok a 'b c'\"\n interval 2\n weight -20\n fall 3\n}
track_file f {\n file /run/f\n weight 2 reverse\n init_file 7 overwrite\n}
vrrp_track_process p {\n process nginx\n delay 2\n quorum 2\n}
bfd_instance b {\n neighbor_ip 192.0.2.3\n min_tx 50\n}
";

#[test]
fn tracked_objects_are_built() {
    let track = "track_script {\n s\n}\ntrack_file {\n f weight 5\n}\ntrack_process {\n p weight 10 reverse\n}\ntrack_bfd {\n b\n}\n\
                 track_interface {\n eth1 weight -254\n eth2\n eth1\n}";
    let (vrrp, codes) = built(&format!(
        "{OBJECTS}vrrp_instance A {{\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {{ 192.0.2.9 }}\n {track}\n}}"
    ));
    assert_eq!(codes, ["weight-cut", "tracked-twice"]);
    let script = &vrrp.scripts[0];
    assert_eq!(script.command.argv, ["/bin/ok", "a", "b c"]);
    assert_eq!(
        (script.interval, script.timeout),
        (seconds(2.0), seconds(2.0))
    );
    assert_eq!((script.rise, script.fall), (1, 3));
    let init = InitFile {
        value: 7,
        overwrite: true,
    };
    assert_eq!(vrrp.files[0].init, Some(init));
    assert_eq!(vrrp.processes[0].fork_delay, seconds(2.0));
    assert_eq!(vrrp.bfd[0].min_tx, Duration::from_millis(50));
    assert!(vrrp.bfd[0].vrrp && vrrp.bfd[0].checker);
    let weights: Vec<_> = vrrp.instances[0]
        .tracking
        .all()
        .map(|(kind, t)| {
            (
                kind,
                t.name.value.as_str(),
                t.weight.value,
                t.weight.reverse,
            )
        })
        .collect();
    let expected = [
        ("interface", "eth1", -253, false),
        ("interface", "eth2", 0, false),
        ("script", "s", -20, false),
        ("file", "f", 5, true),
        ("process", "p", 10, true),
        ("bfd", "b", 0, false),
    ];
    assert_eq!(weights, expected);
}

#[test]
fn a_redirection_is_a_shell_s() {
    let (vrrp, _) = built("vrrp_script s { script \"</dev/tcp/127.0.0.1/80\" }");
    assert!(vrrp.scripts[0].shell);
    assert_eq!(
        vrrp.scripts[0].command.argv,
        ["/bin/sh", "-c", "</dev/tcp/127.0.0.1/80"]
    );
}

#[test]
fn weights_count_neither_for_owners_nor_in_plain_groups() {
    let a = |inside: &str| {
        format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {{ 192.0.2.9 }}\n track_script {{ s }}\n {inside}\n}}\n"
        )
    };
    let b = "vrrp_instance B {\n interface eth0\n virtual_router_id 6\n virtual_ipaddress { 192.0.2.8 }\n}\n";
    let group =
        |inside: &str| format!("vrrp_sync_group G {{\n group {{\n A\n B\n }}\n {inside}\n}}\n");
    let script = "vrrp_script s {\n script /bin/ok\n weight -20\n}\n";
    for (text, counts) in [
        (format!("{script}{}{b}", a("")), true),
        (
            format!("{script}{}{b}", a("priority 255\nstate MASTER")),
            false,
        ),
        (format!("{script}{}{b}{}", a(""), group("")), false),
        (
            format!(
                "{script}{}{b}{}",
                a(""),
                group("sync_group_tracking_weight")
            ),
            true,
        ),
        (
            format!(
                "{script}{}{b}{}",
                a("").replace("{ s }", "{ s weight 0\n }"),
                group("")
            ),
            true,
        ),
    ] {
        let (vrrp, codes) = built(&text);
        let tracking = &vrrp.instance("A").unwrap().tracking;
        assert_eq!(tracking.scripts.len(), usize::from(counts), "{text}");
        assert_eq!(tracking.ignored.len(), usize::from(!counts), "{text}");
        let expected: &[&str] = if counts { &[] } else { &["weight-ignored"] };
        assert_eq!(codes, expected, "{text}");
    }
}

#[test]
fn names_are_looked_up() {
    let instance = "vrrp_instance A {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress { 192.0.2.9 }\n track_script { x }\n}\n";
    assert_eq!(built(instance).1, ["unknown-name"]);
    let a = instance.replace("track_script { x }", "");
    let group = |name: &str| format!("vrrp_sync_group {name} {{\n group {{\n A\n Z\n }}\n}}\n");
    let (vrrp, codes) = built(&format!("{a}{}", group("G")));
    assert_eq!(codes, ["sync-group-of-one", "unknown-member"]);
    assert_eq!(vrrp.group_of("A").unwrap().name.value, "G");
    let (vrrp, codes) = built(&format!("{a}{}{}", group("G"), group("G")));
    assert_eq!(
        (vrrp.groups.len(), codes.last()),
        (1, Some(&"defined-twice"))
    );
    let (vrrp, codes) = built(&format!("{a}{}{}", group("G"), group("H")));
    assert_eq!(vrrp.groups.len(), 1);
    assert!(codes.contains(&"instance-in-two-groups"));
    assert_eq!(built(&format!("{a}{a}")).1, ["defined-twice"]);
    let fixed = "static_ipaddress { 10.9.9.9/24 track_group T\n }\n";
    assert_eq!(built(&format!("{a}{fixed}")).1, ["unknown-name"]);
    assert!(
        built(&format!("{a}{fixed}track_group T {{\n group {{ A }}\n}}\n"))
            .1
            .is_empty()
    );
}

#[test]
fn addresses_have_their_options() {
    let (vrrp, codes) = built(
        "static_ipaddress {\n 192.0.2.1/24 brd + dev eth1 scope link label eth1:x no_track\n 10.0.0.1/32\n 10.0.0.2 peer 10.0.0.3/30\n \
         2001:db8::1/64 preferred_lft 100 home -nodad\n}",
    );
    assert!(codes.is_empty(), "{codes:?}");
    let [a, b, c, d] = &vrrp.addresses[..] else {
        panic!()
    };
    assert_eq!(a.broadcast, Some("192.0.2.255".parse().unwrap()));
    assert_eq!(
        (a.scope, a.label.as_deref(), a.tracked),
        (Scope::Link, Some("eth1:x"), false)
    );
    assert_eq!(a.interface.as_ref().unwrap().value, "eth1");
    assert_eq!(b.interface.as_ref().unwrap().value, "eth0");
    assert_eq!(c.peer.unwrap().to_string(), "10.0.0.3/30");
    assert_eq!(
        (d.preferred, d.flags.home, d.flags.dad),
        (Some(100), true, true)
    );
    let odd = |line: &str| built(&format!("static_ipaddress {{\n {line}\n}}")).1;
    assert_eq!(odd("192.0.2.1 brd +"), ["no-broadcast"]);
    assert_eq!(odd("2001:db8::1 label x"), ["ipv4-only"]);
    assert_eq!(odd("192.0.2.1 peer 2001:db8::1"), ["family-mismatch"]);
    assert_eq!(odd("192.0.2.1\n192.0.2.1"), ["address-twice"]);
}

fn route(line: &str) -> (Option<Route>, Vec<&'static str>) {
    let (mut vrrp, codes) = built(&format!("static_routes {{\n {line}\n}}"));
    (vrrp.routes.pop(), codes)
}

#[test]
fn routes_are_iproute2_s() {
    let (r, codes) = route(
        "10.0.0.0/8 via 10.210.214.1 dev eth0 metric 7 table main mtu lock 1400 rtt 2s onlink append no_track",
    );
    let r = r.unwrap();
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!(
        (r.to.to_string().as_str(), r.family, r.kind),
        ("10.0.0.0/8", Family::V4, RouteKind::Unicast)
    );
    assert_eq!(r.via.unwrap().value, ip("10.210.214.1"));
    assert_eq!(
        (r.metric, r.table),
        (Some(7), Some(Named::Name("main".to_owned())))
    );
    assert!(r.onlink && !r.tracked && r.placing == Placing::Append);
    let metrics: Vec<_> = r
        .metrics
        .iter()
        .map(|m| (m.kind, m.value.clone(), m.lock))
        .collect();
    let expected = [
        (MetricKind::Mtu, MetricValue::Number(1400), true),
        (MetricKind::Rtt, MetricValue::Number(2000), false),
    ];
    assert_eq!(metrics, expected);

    let (r, _) = route("default via 2001:db8::1");
    assert_eq!(r.unwrap().to.to_string(), "::/0");
    let (r, _) = route("blackhole 10.9.0.0/16");
    assert_eq!(r.unwrap().kind, RouteKind::Blackhole);
    let (r, codes) =
        route("to 10.9.0.0/16 nexthop via 10.0.0.1 weight 3 nexthop via 10.0.0.2 dev eth1");
    assert!(codes.is_empty(), "{codes:?}");
    let hops: Vec<_> = r
        .unwrap()
        .hops
        .into_iter()
        .map(|h| (h.via, h.weight, h.interface.map(|i| i.value)))
        .collect();
    assert_eq!(
        hops,
        [
            (Some(ip("10.0.0.1")), 3, None),
            (Some(ip("10.0.0.2")), 1, Some("eth1".to_owned()))
        ]
    );

    // What follows `encap` at once is its own, whatever else has such words.
    let (r, codes) = route(
        "10.9.0.0/16 src 192.0.2.1 encap ip id 5 dst 10.0.0.1 src 10.0.0.2 tos 4 via 10.0.0.9 tos 8",
    );
    assert!(codes.is_empty(), "{codes:?}");
    let r = r.unwrap();
    let encapsulation = r.encapsulation.unwrap();
    let options = encapsulation.options.iter();
    let options: Vec<_> = options.map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let expected = [
        ("id", "5"),
        ("dst", "10.0.0.1"),
        ("src", "10.0.0.2"),
        ("tos", "4"),
    ];
    assert_eq!(options, expected);
    assert_eq!(r.source, Some(ip("192.0.2.1")));
    assert_eq!(r.tos, Some(Named::Number(8)));
    assert_eq!(r.via.unwrap().value, ip("10.0.0.9"));
    let (r, _) = route("10.9.0.0/16 nexthop encap mpls 100/200 via 10.0.0.9 nexthop via 10.0.0.8");
    let hops = r.unwrap().hops;
    let labels = hops[0].encapsulation.as_ref().unwrap().options.clone();
    assert_eq!(labels, [("mpls".to_owned(), "100/200".to_owned())]);
    assert_eq!(hops[0].via, Some(ip("10.0.0.9")));
    assert!(hops[1].encapsulation.is_none());

    assert_eq!(route("dev eth0").1, ["no-destination"]);
    assert_eq!(route("10.0.0.0/8").1, ["no-next-hop"]);
    assert_eq!(
        route("10.0.0.0/8 via 10.0.0.1 src 2001:db8::1").1,
        ["family-mismatch"]
    );
    assert_eq!(
        route("blackhole 10.0.0.0/8 via 10.0.0.1").1,
        ["next-hop-in-vain"]
    );
    assert_eq!(route("10.0.0.0/8 via 10.0.0.1 rtt soon").1, ["bad-value"]);
}

#[test]
fn rules_are_iproute2_s() {
    let rule = |line: &str| {
        let (mut vrrp, codes) = built(&format!("static_rules {{\n {line}\n}}"));
        (vrrp.rules.pop(), codes)
    };
    let (r, codes) = rule(
        "from 10.0.0.0/8 to 192.0.2.1 table 100 preference 500 fwmark 0x10/0xff iif eth0 dport 80-90",
    );
    assert!(codes.is_empty(), "{codes:?}");
    let r = r.unwrap();
    assert_eq!(
        (r.action, r.preference, r.family),
        (
            RuleAction::Table(Named::Number(100)),
            Some(500),
            Some(Family::V4)
        )
    );
    assert_eq!(r.matches.len(), 5);
    assert!(r.matches.contains(&RuleMatch::Mark {
        value: 16,
        mask: 255
    }));
    assert!(r.matches.contains(&RuleMatch::DestPorts(80, 90)));
    assert_eq!(rule("from 10.0.0.0/8 preference 5").1, ["no-action"]);
    assert_eq!(rule("from 10.0.0.0/8 table 5").1, ["no-preference"]);
    assert_eq!(
        rule("from 10.0.0.0/8 to 2001:db8::/32 table 5 preference 5").1,
        ["family-mismatch"]
    );
    let (r, _) = rule("to 10.0.0.0/8 blackhole preference 1");
    assert_eq!(r.unwrap().action, RuleAction::Blackhole);
}

#[test]
fn rules_without_a_place_are_put_where_keepalived_puts_them() {
    let (vrrp, _) = built(
        "vrrp_instance A {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress { 192.0.2.9 }\n virtual_rules {\n\
         from 10.1.0.0/16 table 1\n from 10.2.0.0/16 table 1 preference 9\n}\n}\n\
         static_rules {\n iif eth0 table 1\n from 2001:db8::/32 table 1\n}\n",
    );
    let places = |rules: &[Rule]| rules.iter().map(|r| r.preference).collect::<Vec<_>>();
    assert_eq!(places(&vrrp.instances[0].rules), [Some(16384), Some(9)]);
    assert_eq!(places(&vrrp.rules), [Some(16383), Some(16384)]);
}

#[test]
fn the_sync_daemon_follows_its_instance() {
    let a = "vrrp_instance A {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress { 192.0.2.9 }\n}\n";
    let daemon = |words: &str| {
        let (vrrp, codes) = built(&format!(
            "global_defs {{\n lvs_sync_daemon {words}\n}}\n{a}"
        ));
        (vrrp.common.sync_daemon.map(|d| d.value), codes)
    };
    let (d, codes) = daemon("eth1 inst A port 9000");
    let d = d.unwrap();
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!(
        (d.interface.value.as_str(), d.id, d.port),
        ("eth1", 5, 9000)
    );
    assert_eq!(d.instance.unwrap().value, "A");
    assert_eq!(daemon("eth1 A id 9").0.unwrap().id, 9);
    assert_eq!(daemon("eth1").0.unwrap().instance, None);
    assert_eq!(daemon("eth1 inst B").1, ["unknown-name"]);
}

#[test]
fn interfaces_have_their_blocks() {
    let (vrrp, codes) = built(
        "interface_up_down_delays {\n eth0 0.5 2\n eth1 1\n}\nlinkbeat_interfaces {\n eth0 MII\n eth1\n}\n\
         garp_group {\n garp_interval 0.1\n interfaces {\n eth0 eth1\n }\n}\nlinkbeat_use_polling",
    );
    assert!(codes.is_empty(), "{codes:?}");
    let delays: Vec<_> = vrrp
        .link_delays
        .iter()
        .map(|d| (d.down.value, d.up))
        .collect();
    assert_eq!(
        delays,
        [(seconds(0.5), seconds(2.0)), (seconds(1.0), seconds(0.0))]
    );
    assert_eq!(vrrp.linkbeat[0].method, Some(LinkMethod::Mii));
    assert_eq!(vrrp.garp_groups[0].interfaces.len(), 2);
    assert!(vrrp.common.poll_links);
}

#[test]
fn a_group_says_for_its_instances_whether_priorities_are_told() {
    let one = |name: &str, id: u8, inside: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {id}\n virtual_ipaddress {{ 192.0.2.{id} }}\n {inside}\n}}\n"
        )
    };
    let (vrrp, codes) = built(&format!(
        "vrrp_sync_group G {{\n group {{\n A\n B\n }}\n notify_priority_changes\n}}\n{}{}{}",
        one("A", 1, ""),
        one("B", 2, "notify_priority_changes off"),
        one("C", 3, ""),
    ));
    assert!(codes.is_empty(), "{codes:?}");
    let told: Vec<bool> = vrrp.instances.iter().map(|i| i.notify_priority).collect();
    assert_eq!(told, [true, false, false]);
}
