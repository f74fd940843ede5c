//! lvsd as a program: idle, asked, stopped, fed with rubbish, short of privileges.

use std::thread;
use std::time::Duration;

use etherparse::PacketBuilder;
use tests::command::{eventually, text};
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan, Rules, UdpAsk};

fn nat() -> Lan {
    Plan::of(Method::Nat, 2).build()
}

fn nat_rules(lan: &Lan) -> Rules {
    Rules::of(lan, Method::Nat, Family::V4)
}

#[test]
fn idle_it_uses_no_processor() {
    const WATCHED: Duration = Duration::from_secs(10);
    for workers in [1, 2] {
        let lan = nat();
        let _servers = lan.backends(Method::Nat);
        let lvsd = Lvsd::with(&lan, nat_rules(&lan)).workers(workers).start();
        lan.client.fetch(&url(Family::V4.vip(), "/"), 10);
        thread::sleep(Duration::from_secs(3));
        let before = lvsd.cpu_time();
        thread::sleep(WATCHED);
        let used = lvsd.cpu_time() - before;
        assert!(
            used < WATCHED / 1000,
            "{workers} workers: {used:?} in {WATCHED:?}"
        );
    }
}

#[test]
fn asked_it_sums_up() {
    let lan = nat();
    let _servers = lan.backends(Method::Nat);
    let mut lvsd = Lvsd::start(&lan, nat_rules(&lan));
    lan.client.fetch(&url(Family::V4.vip(), "/"), 23);
    let summary = lvsd.summary("10.9.0.100:7000");
    for known in ["10.9.0.100:80", "10.10.0.11:80", "10.10.0.12:80", " 23 "] {
        assert!(summary.contains(known), "no {known} in: {summary}");
    }
    assert_eq!(lan.client.fetch(&url(Family::V4.vip(), "/"), 2).len(), 2);
}

fn stops_by(signal: &str) {
    let lan = nat();
    let _servers = lan.backends(Method::Nat);
    let lvsd = Lvsd::start(&lan, nat_rules(&lan));
    lan.client.fetch(&url(Family::V4.vip(), "/"), 3);
    let (status, said) = lvsd.stop(signal);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("10.9.0.100:80"), "no summary: {said}");
}

#[test]
fn sigterm_stops_it_with_a_summary() {
    stops_by("TERM");
}

#[test]
fn sigint_stops_it_with_a_summary() {
    stops_by("INT");
}

/// Ethernet, from the client to the director, of this type, with this payload.
fn frame(lan: &Lan, kind: u16, payload: &[u8]) -> Vec<u8> {
    let (to, from) = (lan.director.mac_bytes("eth0"), lan.client.mac_bytes("eth0"));
    [to.as_slice(), &from, &kind.to_be_bytes(), payload].concat()
}

/// A SYN from the client to port 80 of the VIP, but for what `spoil` does to its 20 + 20 bytes.
fn syn(lan: &Lan, spoil: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 9, 0, 2], [10, 9, 0, 100], 64)
        .tcp(40_000, 80, 1, 65_535)
        .syn()
        .write(&mut packet, &[])
        .expect("a vector takes everything");
    spoil(&mut packet);
    frame(lan, 0x0800, &packet)
}

/// Makes the IPv4 header's checksum right again.
fn mend(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let words = packet[..20].chunks(2);
    let sum: u32 = words.map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn rubbish_is_counted_and_survived() {
    let lan = nat();
    let _servers = lan.backends(Method::Nat);
    let mut lvsd = Lvsd::start(&lan, nat_rules(&lan));
    let frames = [
        // Too short to tell whose they are: left to the host.
        syn(&lan, |f| f.truncate(12)),
        frame(&lan, 0x86dd, &[0x60]),
        // Ours, and counted.
        syn(&lan, |f| f.truncate(30)), // shorter than it says
        syn(&lan, |f| {
            f.truncate(30); // and says so
            f[3] = 30;
            mend(f);
        }),
        syn(&lan, |f| f[0] = 0x65),   // version 6 in an IPv4 frame
        syn(&lan, |f| f[10] ^= 0xff), // header checksum
        syn(&lan, |f| f[32] = 0x10),  // TCP header of 4 bytes
        syn(&lan, |f| {
            f[12..16].copy_from_slice(&[127, 0, 0, 1]);
            mend(f);
        }),
        syn(&lan, |f| {
            f[12..16].copy_from_slice(&[10, 9, 0, 100]); // from the VIP to the VIP
            mend(f);
        }),
        frame(&lan, 0x86dd, &[0xff; 60]),
        frame(&lan, 0x0806, &[0, 1]),
        frame(&lan, 0xffff, &[0; 1400]),
    ];
    lan.client.inject(frames.iter().map(Vec::as_slice));
    let reasons = [
        "truncated",
        "bad version",
        "bad header length",
        "bad length",
        "bad checksum",
        "martian",
        "looped",
    ];
    let mut summary = String::new();
    let counted = || {
        summary = lvsd.summary("dropped");
        let has = |reason| summary.contains(&format!("1 {reason}"));
        reasons.into_iter().all(has)
    };
    assert!(
        eventually(PATIENCE, counted),
        "not all {reasons:?} in: {summary}"
    );
    assert_eq!(lan.client.fetch(&url(Family::V4.vip(), "/"), 10).len(), 10);
}

#[test]
fn without_raw_sockets_it_says_so() {
    let lan = nat();
    let out = Lvsd::with(&lan, nat_rules(&lan))
        .without(&["net_raw"])
        .refused();
    let said = text(&out.stderr);
    assert!(!out.status.success(), "{said}");
    assert!(said.contains("CAP_NET_RAW"), "{said}");
}

#[test]
fn without_network_administration_it_says_so() {
    let lan = nat();
    let out = Lvsd::with(&lan, nat_rules(&lan))
        .without(&["net_admin"])
        .refused();
    let said = text(&out.stderr);
    assert!(!out.status.success(), "{said}");
    assert!(said.contains("CAP_NET_ADMIN"), "{said}");
}

#[test]
fn a_second_one_is_refused() {
    let lan = nat();
    let _servers = lan.backends(Method::Nat);
    let first = Lvsd::start(&lan, nat_rules(&lan));
    let out = Lvsd::with(&lan, nat_rules(&lan)).refused();
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("another lvsd"), "{said}");
    assert_eq!(lan.client.fetch(&url(Family::V4.vip(), "/"), 5).len(), 5);

    first.kill();
    let _again = Lvsd::start(&lan, nat_rules(&lan));
    assert_eq!(lan.client.fetch(&url(Family::V4.vip(), "/"), 5).len(), 5);
}

/// The guard falls back, and says so; everything else works, on a host that would get in the way too.
#[test]
fn without_bpf_it_falls_back() {
    for method in Method::ALL {
        let plan = Plan::of(method, 2).vip_on_director(true).ip_forward(true);
        let lan = plan.build();
        let _servers = lan.backends(method);
        for family in Family::BOTH {
            let rules = Rules::of(&lan, method, family);
            let lvsd = Lvsd::with(&lan, rules)
                .without(&["bpf", "sys_admin"])
                .start();
            assert!(lvsd.said().contains("CAP_BPF"), "{}", lvsd.said());
            assert_eq!(lan.client.fetch(&url(family.vip(), "/"), 10).len(), 10);
            let served = UdpAsk::new(family.vip(), 7000).flows(10).from(&lan.client);
            assert!(!served.contains(&"lost".to_owned()), "{served:?}");
        }
    }
}

/// Services of both families, both protocols and all methods of a network side by side.
#[test]
fn many_services_side_by_side() {
    let lan = Plan::two_arms(3).build();
    let _servers = lan.backends(Method::Nat);
    let mut rules = Rules::new();
    for family in Family::BOTH {
        let servers = lan.server_addresses(family);
        rules = rules
            .tcp(family.vip(), 80)
            .servers(&servers, 80, Method::Nat)
            .tcp(family.vip(), 8080)
            .servers(&servers, 8080, Method::FullNat)
            .udp(family.vip(), 7000)
            .servers(&servers, 7000, Method::Nat)
            .udp(family.vip(), 7001)
            .servers(&servers, 7000, Method::FullNat);
    }
    let _lvsd = Lvsd::start(&lan, rules);
    for family in Family::BOTH {
        for port in [":80/", ":8080/"] {
            assert_eq!(lan.client.fetch(&url(family.vip(), port), 9).len(), 9);
        }
        for port in [7000, 7001] {
            let served = UdpAsk::new(family.vip(), port).flows(9).from(&lan.client);
            assert_eq!(tests::spread(&served).len(), 3, "{served:?}");
        }
    }
}

/// Six flows do not fit five local ports. (Fewer than five may, as every shard of the connection table has
/// ports of its own.) What does not fit is dropped, and the summary says how much and why.
#[test]
fn local_ports_that_run_out_are_counted() {
    let lan = Plan::of(Method::FullNat, 1).build();
    let _servers = lan.backends(Method::FullNat);
    let rules = "-A -u 10.9.0.100:7000 -s rr --local-address 10.10.0.250:5000-5004\n\
                 -a -u 10.9.0.100:7000 -r 10.10.0.11:7000 --fullnat -w 1\n";
    let mut lvsd = Lvsd::start(&lan, rules);
    let served = UdpAsk::new(Family::V4.vip(), 7000)
        .flows(6)
        .from(&lan.client);
    let lost = served.iter().filter(|answer| *answer == "lost").count();
    assert!((1..6).contains(&lost), "{served:?}");
    lvsd.summary(&format!("{lost} no local port"));
}
