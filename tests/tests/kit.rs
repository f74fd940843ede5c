//! The kit itself, with plain routing and nft DNAT in lvsd's place: what the other suites rely on.

use tests::capture::{Capture, duplicates};
use tests::command::{eventually, peer, run};
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Family, Lan, Plan, UdpAsk, spread};

/// The director's own kernel balances: the VIP's TCP port 80 and UDP port 7000, over two servers.
fn dnat(lan: &Lan) {
    let rules = "table inet nat { chain pre { type nat hook prerouting priority dstnat;\n\
         ip daddr 10.9.0.100 dnat ip to numgen inc mod 2 map { 0 : 10.10.0.11, 1 : 10.10.0.12 }\n\
         ip6 daddr fd00:9::100 dnat ip6 to numgen inc mod 2 map { 0 : fd00:10::11, 1 : fd00:10::12 }\n\
         }\n}\n";
    lan.director.run_with(&["nft", "-f", "-"], rules);
}

fn balanced_by_nft() -> Lan {
    let lan = Plan::two_arms(2)
        .vip_on_director(true)
        .ip_forward(true)
        .build();
    dnat(&lan);
    lan
}

#[test]
fn servers_answer_with_their_names() {
    let lan = balanced_by_nft();
    let _servers = (lan.web(), lan.echo(&[7000]));
    for family in Family::BOTH {
        let served = lan.client.fetch(&url(family.vip(), "/"), 10);
        assert_eq!(spread(&served), [("r1", 5), ("r2", 5)].into());

        let served = UdpAsk::new(family.vip(), 7000)
            .flows(10)
            .rounds(2)
            .from(&lan.client);
        assert_eq!(spread(&served), [("r1", 10), ("r2", 10)].into());
    }
}

#[test]
fn fragments_errors_and_limits_are_reported() {
    let lan = balanced_by_nft();
    let _servers = lan.echo(&[7000]);
    for family in Family::BOTH {
        let ask = |port| UdpAsk::new(family.vip(), port);
        assert_eq!(
            spread(&ask(7000).size(4000).from(&lan.client))
                .values()
                .sum::<usize>(),
            1
        );
        assert_eq!(ask(7001).from(&lan.client), ["ECONNREFUSED"]);
        assert_eq!(ask(7000).ttl(1).from(&lan.client), ["EHOSTUNREACH"]);
        assert_eq!(
            ask(7000).size(1473).dont_fragment().from(&lan.client),
            ["EMSGSIZE"]
        );
    }
}

#[test]
fn captures_show_resets_and_twins() {
    let lan = balanced_by_nft();
    let _servers = lan.web();
    let capture = Capture::start(&lan.client, "eth0", "tcp");
    lan.client.fetch(&url(Family::V4.vip(), "/"), 5);
    let seen = capture.stop();
    assert!(seen.len() >= 5 * 8, "{} packets", seen.len());
    assert!(!seen.iter().any(|p| p.is_rst()));
    assert_eq!(duplicates(&seen).len(), 0);

    let capture = Capture::start(&lan.client, "eth0", "tcp");
    lan.client.curl(&[&url(Family::V4.vip(), ":81/")]);
    let three = || seen[..3].iter().map(|p| p.frame.as_slice());
    lan.client.inject(three().chain(three()));
    let seen = capture.stop();
    assert!(seen.iter().any(|p| p.is_rst()));
    assert_eq!(duplicates(&seen).len(), 3);
}

#[test]
fn receivers_count_wrong_checksums() {
    let lan = Plan::two_arms(1)
        .ip_forward(true)
        .without_offloads()
        .build();
    let _servers = lan.echo(&[7000]);
    let client = &lan.client;
    let capture = Capture::start(client, "eth0", "udp");
    let server = lan.server(Family::V4, 0);
    assert_eq!(UdpAsk::new(server, 7000).from(client), ["r1"]);
    let mut frame = capture.stop()[0].frame.clone();
    assert_eq!(lan.servers[0].counter("UdpInCsumErrors"), 0);

    *frame.last_mut().unwrap() ^= 1;
    client.inject([frame.as_slice()]);
    assert_eq!(lan.servers[0].counter("UdpInCsumErrors"), 1);
}

#[test]
fn tshark_finds_wrong_sums_in_captures() {
    // An advert of VRRP version 2: Ethernet, IPv4, the message.
    let advert = [
        "01005e000012 020000000001 0800",
        "45c0002800010000ff70d0870a090002e0000012",
        "2101c80101016357 0ad2d6fd 3132333435363738",
    ];
    let advert: String = advert.concat().split(' ').collect();
    let bytes = (0..advert.len()).step_by(2);
    let good: Vec<_> = bytes
        .map(|i| u8::from_str_radix(&advert[i..i + 2], 16).unwrap())
        .collect();
    let lan = Plan::one_arm(0).build();
    for (place, wrong) in [
        (None, ""),
        (Some(24), "Header Checksum"),
        (Some(36), "Checksum: "),
    ] {
        let mut frame = good.clone();
        if let Some(place) = place {
            frame[place] ^= 1;
        }
        let capture = Capture::start(&lan.director, "eth0", "ip proto 112");
        lan.client.inject([frame.as_slice()]);
        assert!(eventually(PATIENCE, || capture.so_far().len() == 1));
        let faults = capture.faults();
        assert!(
            faults.is_empty() == wrong.is_empty() && faults.contains(wrong),
            "{faults}"
        );
    }
}

#[test]
fn nothing_is_left_behind() {
    let lan = balanced_by_nft();
    let _web = lan.web();
    let (ns, dir) = (lan.client.ns().to_owned(), lan.client.file("x"));
    assert_eq!(lan.director.run(&[&peer(), "tcx", "eth0"]), "0\n");
    assert!(run(&["ip", "netns", "list"]).contains(&ns));

    drop(lan);
    assert!(!run(&["ip", "netns", "list"]).contains(&ns));
    assert!(!dir.parent().unwrap().exists());
}
