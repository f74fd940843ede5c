use super::super::journal::tests::Folder;
use super::super::sysctl::Sysctls;
use super::super::testing::{in_new_network, run_in_words};
use super::*;

fn ip(words: &str) -> String {
    run_in_words("ip", words).unwrap()
}

fn number(name: &str) -> u32 {
    let mut c = Connection::route().unwrap();
    device::number_of(&mut c, name).unwrap().unwrap()
}

fn all_there_is() -> String {
    let mut all = String::new();
    // Without times and numbers that change by themselves.
    all += &ip("-4 -o address");
    all += &ip("-o link").replace("state UNKNOWN", "state UP");
    all += &ip("route show table all proto 18");
    all += &ip("rule");
    all
}

fn address(interface: &str, text: &str) -> Item {
    let (ip, len) = text.split_once('/').unwrap();
    Item::Address {
        interface: interface.to_owned(),
        ifindex: number("v0"),
        ip: ip.parse().unwrap(),
        len: len.parse().unwrap(),
        peer: None,
    }
}

#[test]
fn what_a_predecessor_left_is_undone() {
    in_new_network(|| {
        let folder = Folder::new();
        let journal = Journal::open(&folder.0, |why| panic!("{why}"));
        let before = all_there_is();
        let mut c = Connection::route().unwrap();

        let mut sysctls = Sysctls::new(journal.clone());
        sysctls.set("net/ipv4/conf/v0/arp_ignore", "1").unwrap();
        let mac = [0, 0, 0x5e, 0, 1, 51];
        let name = "vrrp.51".to_owned();
        journal.note([Item::Interface {
            name,
            mac: Some(mac),
        }]);
        ip("link add link v0 name vrrp.51 address 00:00:5e:00:01:33 type macvlan mode private");
        let twin = Item::Interface {
            name: "vrrp.52".into(),
            mac: Some(mac),
        };
        journal.note([
            address("v0", "10.9.0.50/24"),
            address("v0", "10.9.0.51/32"),
            twin.clone(),
        ]);
        ip("address add 10.9.0.50/24 dev v0");

        // Noted, and never made; and one of the name that somebody else made.
        ip("link add link v0 name vrrp.52 address 02:00:00:00:00:01 type macvlan mode private");
        // On an interface that has got the number of another.
        journal.note([address("v9", "10.9.0.1/24")]);
        assert_eq!(journal.left().len(), 6);

        let said = undo(&journal, &mut c).unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(journal.left(), []);
        assert!(ip("link").contains("vrrp.52"), "it was not ours");
        ip("link del vrrp.52");
        assert_eq!(all_there_is(), before);
        let arp = std::fs::read_to_string("/proc/sys/net/ipv4/conf/v0/arp_ignore").unwrap();
        assert_eq!(arp.trim(), "0");
        assert!(undo(&journal, &mut c).unwrap().is_empty());
    });
}

#[test]
fn virtual_addresses_that_are_there_are_taken_away() {
    in_new_network(|| {
        let mut c = Connection::route().unwrap();
        let of = |text: &str| {
            let (ip, len) = text.split_once('/').unwrap();
            Prefix {
                ip: ip.parse().unwrap(),
                len: len.parse().unwrap(),
            }
        };
        for words in [
            "10.9.0.50/24 dev v0",
            "10.9.0.51/24 dev v0",
            "10.9.0.52/32 dev v1",
            "fd00::50/64 dev v0 nodad",
        ] {
            ip(&format!("address add {words}"));
        }
        let gone = take_away(
            [
                (of("10.9.0.50/24"), "v0"),
                // There with another length, on another interface, not there, nowhere.
                (of("10.9.0.51/32"), "v0"),
                (of("10.9.0.52/32"), "v0"),
                (of("10.9.0.53/32"), "v0"),
                (of("10.9.0.1/24"), "v7"),
                (of("fd00::50/64"), "v0"),
            ],
            &mut c,
        );
        let mut gone = gone.unwrap();
        gone.sort();
        assert_eq!(gone, [of("10.9.0.50/24"), of("fd00::50/64")]);
        let left = ip("-o address");
        for (address, there) in [
            ("10.9.0.50", false),
            ("10.9.0.51", true),
            ("10.9.0.52", true),
            ("10.9.0.1/", true),
            ("fd00::50", false),
        ] {
            assert_eq!(left.contains(address), there, "{address}: {left}");
        }
    });
}
