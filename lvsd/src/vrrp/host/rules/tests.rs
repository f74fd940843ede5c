//! Rules against what `ip rule` makes of the same words.

use super::*;
use crate::vrrp::host::testing::{configured, in_new_network, run_in_words};

fn ip(words: &str) -> Result<String, String> {
    run_in_words("ip", words)
}

fn rule(line: &str) -> Rule {
    let mut rules = configured("static_rules", line).rules;
    assert_eq!(rules.len(), 1, "{line}");
    rules.remove(0)
}

/// All rules of both families.
fn shown_by_ip() -> String {
    let [v4, v6] = ["-4", "-6"].map(|family| ip(&format!("-d {family} rule show")).unwrap());
    format!("{v4}\n{v6}")
}

/// Words of `ip rule` that are keepalived's as well.
const LINES: &[&str] = &[
    "from 10.0.0.0/8 table 100 preference 500",
    "from 10.0.0.0/8 table 100",
    "from 10.1.2.3 to 10.0.0.0/8 table 100000 preference 500",
    "to 10.0.0.0/8 lookup main fwmark 3/7 preference 500",
    "fwmark 9 table 100 preference 500",
    "iif v0 goto 600 preference 500",
    "oif nosuch nop preference 500",
    "tunnel-id 5 blackhole preference 500",
    "tos 0x10 prohibit preference 500",
    "uidrange 5-10 unreachable preference 500",
    "ipproto tcp sport 5-9 dport 80-80 table 255 preference 500",
    "ipproto udp l3mdev preference 500",
    "table 100 suppress_prefixlength 5 suppress_ifgroup 3 preference 500 realms 4/5",
    "table 100 suppress_prefixlength 0 preference 500",
    "from all to all table 100 preference 500",
    "from 2001:db8::/32 table 100 preference 500",
    "to 2001:db8::1 table 1000 preference 500 oif v0",
    "from 10.0.0.0/8 table 100 preference 0",
];

#[test]
fn rules_are_as_ip_rule_makes_them_and_go_as_they_came() {
    in_new_network(|| {
        let mut rules = Rules::new(Names::read()).unwrap();
        let before = shown_by_ip();
        for line in LINES {
            let wanted = [rule(line)];
            let family = match line.contains("2001") {
                true => "-6",
                false => "-4",
            };
            // Without a place, it has keepalived's.
            let mut theirs = line.replace("tunnel-id", "tun_id");
            if !theirs.contains("preference") {
                theirs.push_str(" preference 16384");
            }
            ip(&format!("{family} rule add {theirs} protocol 18")).unwrap();
            let expected = shown_by_ip();
            assert_eq!(rules.present(&wanted).unwrap(), [true], "{line}");
            ip(&format!("{family} rule del {theirs} protocol 18")).unwrap();
            assert_eq!(shown_by_ip(), before, "{line}");

            assert_eq!(rules.present(&wanted).unwrap(), [false], "{line}");
            assert_eq!(
                rules.add(&wanted).remove(0).unwrap(),
                Change::Made,
                "{line}"
            );
            assert_eq!(shown_by_ip(), expected, "{line}");
            assert_eq!(
                rules.add(&wanted).remove(0).unwrap(),
                Change::Already,
                "{line}"
            );
            assert_eq!(shown_by_ip(), expected, "{line}: again");
            assert_eq!(
                rules.remove(&wanted).remove(0).unwrap(),
                Change::Made,
                "{line}"
            );
            assert_eq!(shown_by_ip(), before, "{line}");
            assert_eq!(
                rules.remove(&wanted).remove(0).unwrap(),
                Change::Already,
                "{line}"
            );
        }
    });
}

#[test]
fn a_rule_that_says_more_stays() {
    in_new_network(|| {
        let mut rules = Rules::new(Names::read()).unwrap();
        let wanted = [rule("from 10.0.0.0/8 table 100 preference 500")];
        for other in [
            "from 10.0.0.0/8 iif v0 table 100 preference 500 protocol 18",
            "from 10.0.0.0/8 table 100 preference 500 protocol 17",
            "from 10.0.0.0/8 tos 8 table 100 preference 500 protocol 18",
            "from 10.0.0.0/8 table 100 suppress_prefixlength 3 preference 500 protocol 18",
            "from 10.0.0.0/8 fwmark 1 table 100 preference 500 protocol 18",
            "not from 10.0.0.0/8 table 100 preference 500 protocol 18",
        ] {
            ip(&format!("rule add {other}")).unwrap();
            let before = shown_by_ip();
            assert_eq!(
                rules.remove(&wanted).remove(0).unwrap(),
                Change::Already,
                "{other}"
            );
            assert_eq!(shown_by_ip(), before, "{other}");
            ip(&format!("rule del {other}")).unwrap();
        }
    });
}

#[test]
fn a_refusal_names_the_rule() {
    in_new_network(|| {
        let mut rules = Rules::new(Names::read()).unwrap();
        let wanted = [
            "from 10.0.0.0/8 table nosuch preference 5",
            "iif v0 table 7 preference 6",
        ];
        let outcomes = rules.add(&wanted.map(rule));
        let [refused, made] = &outcomes[..] else {
            panic!()
        };
        assert_eq!(
            refused.as_ref().unwrap_err().to_string(),
            "rule preference 5 from 10.0.0.0/8 table nosuch: no table is called \"nosuch\" (in /etc/iproute2/rt_tables and the like)"
        );
        assert_eq!(*made.as_ref().unwrap(), Change::Made);
        let kept = rules.removals(&wanted.map(rule));
        let [kept] = &kept[..] else { panic!() };
        Connection::route().unwrap().request(kept).unwrap();
        assert_eq!(rules.present(&[rule(wanted[1])]).unwrap(), [false]);
    });
}
