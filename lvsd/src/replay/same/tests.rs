use super::*;
use crate::replay::trace::unhex;

fn packet(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    unhex(&digits).unwrap()
}

fn same(arrived: &str, a: &str, b: &str) -> bool {
    let arrived = packet(arrived);
    normal(&[&arrived], &packet(a)) == normal(&[&arrived], &packet(b))
}

const SYN: &str =
    "450000280f844000 400615ce 0a090108 0a090065 dae50050 000003e8 00000000 5002ffff 00000000";

/// Port unreachable about [`SYN`], with other identification, TOS and TTL, and another TTL in the quotation.
const ERROR: [&str; 2] = [
    "45c000444bb30000 400118c8 0a090065 0a090108 0303cddc 00000000
     450000280f844000 400615ce 0a090108 0a090065 dae50050 000003e8 00000000 5002ffff 00000000",
    "4500004400000000 2001853b 0a090065 0a090108 0303cddc 00000000
     450000280f844000 3f0616ce 0a090108 0a090065 dae50050 000003e8 00000000 5002ffff 00000000",
];

#[test]
fn icmp_errors_of_the_directors_own_may_differ_in_little() {
    let [a, b] = ERROR;
    assert!(same(SYN, a, b));
    // Not in the flags, the code, or the quoted ports.
    for (from, to) in [
        ("4bb30000", "4bb34000"),
        ("0303cddc", "0301cdde"),
        ("dae50050", "dae60050"),
    ] {
        assert!(
            a.contains(from) && !same(SYN, &a.replacen(from, to, 1), b),
            "{to}"
        );
    }
    // Nor in a checksum that is wrong.
    assert!(!same(SYN, &a.replacen("cddc", "cddd", 1), b));
    assert!(!same(SYN, &a.replacen("400118c8", "400118c9", 1), b));
}

#[test]
fn a_translated_icmp_error_is_compared_whole() {
    let [a, b] = ERROR;
    assert!(!same(a, a, b));
}

#[test]
fn tunnel_packets_differ_in_what_the_director_makes_up() {
    let ipip = |id: &str, sum: &str| format!("4500003c{id}0000 4004{sum} 0a0a0001 0a0a000d {SYN}");
    assert!(same(SYN, &ipip("0001", "669c"), &ipip("1234", "5469")));
    assert!(!same(SYN, &ipip("0001", "669c"), &ipip("1234", "546a")));
    // A packet that is no tunnel's is compared whole.
    let other = |id: &str| ipip(id, "0000").replace("0a0a0001", "0a0a0002");
    assert!(!same(SYN, &other("0001"), &other("0002")));
    let gue = |port: &str, rest: &str| {
        format!(
            "4500004800010000 4011 2683 0a0a0001 0a0a000d {port}17c0 0034 0000 0004{rest} {SYN}"
        )
    };
    assert!(same(SYN, &gue("5417", "0000"), &gue("8001", "0000")));
    assert!(!same(SYN, &gue("5417", "0000"), &gue("8001", "0001")));
}

#[test]
fn checksums_left_to_a_card_are_completed_in_recordings() {
    let whole =
        "6000000000080640 fd000009000000000000000000000001 fd000009000000000000000000000002";
    // An ICMPv6 error whose checksum field holds the sum of the pseudo header.
    let v6 = "6000000000103a40 fd000009000000000000000000000001 fd000009000000000000000000000002";
    let pseudo = "fa60";
    let partial = packet(&format!("{v6} 0104{pseudo} 00000000 0102030405060708"));
    let done = completed(&partial);
    assert_ne!(done, partial);
    let (header, body) = done.split_at(40);
    let start = u32::from(sum(16 + 58, &header[8..40]));
    assert_eq!(sum(start, body), 0xffff);
    assert_eq!(completed(&done), done, "once");
    let other = packet(&format!("{whole} 0102030405060708"));
    assert_eq!(completed(&other), other);
}

#[test]
fn the_hosts_answers_are_told_from_the_directors() {
    let syn = packet(SYN);
    let is = |answer: &str| is_the_hosts(&[&syn], &packet(answer));
    let reset =
        "45000028000040004006 0000 0a090065 0a090108 0050dae5 00000000 000003e9 50140000 00000000";
    assert!(is(reset));
    assert!(is(&SYN.replacen("400615ce", "3f0616ce", 1)), "routed on");
    assert!(!is(&SYN.replacen("dae50050", "dae50051", 1)));
    assert!(!is(&reset.replacen("0a090065", "0a090066", 1)));
    assert!(!is("45"));
}

#[test]
fn fragments_of_one_datagram_have_its_identification() {
    let of = |offset: &str, id: &str| {
        Datagram::of(&packet(&format!(
            "4500001c{id}{offset}40110000 0a090108 0a090065 0102030405060708"
        )))
    };
    let first = of("2000", "0001");
    assert!(first.is_some());
    assert_eq!(of("00af", "0001"), first);
    assert_ne!(of("00af", "0002"), first);
    assert_eq!(of("4000", "0001"), None);
    assert_eq!(Datagram::of(&[0x45]), None);
    let v6 = |id: &str| {
        Datagram::of(&packet(&format!(
            "6000000000102c40 fd000009000000000000000000000001 fd000009000000000000000000000002
             11000001 {id} 0102030405060708"
        )))
    };
    assert!(v6("00000001").is_some() && v6("00000001") != v6("00000002"));
}
