use super::super::journal::tests::Folder;
use super::super::testing::{in_new_network, run_in_words};
use super::*;

fn journal(folder: &Folder) -> Journal {
    Journal::open(&folder.0, |why| panic!("{why}"))
}

fn get(interface: &str, name: &str) -> String {
    read(&v4(interface, name)).unwrap()
}

#[test]
fn what_was_set_is_put_back() {
    in_new_network(|| {
        let folder = Folder::new();
        let journal = journal(&folder);
        let mut sysctls = Sysctls::new(journal.clone());
        write(&v4("v0", "arp_ignore"), "0").unwrap();
        let path = v4("v0", "arp_ignore");
        sysctls.set(&path, "0").unwrap();
        assert_eq!(journal.left(), [], "it was so before");
        sysctls.set(&path, "1").unwrap();
        sysctls.set(&path, "2").unwrap();
        let noted = Item::Sysctl {
            path: path.clone(),
            was: "0".into(),
            set: "2".into(),
        };
        assert_eq!(journal.left(), [noted]);
        sysctls.promote_secondaries("v0").unwrap();
        sysctls.disable_local_igmp().unwrap();
        assert_eq!(get("v0", "promote_secondaries"), "1");
        assert_eq!(read("net/ipv4/igmp_link_local_mcast_reports").unwrap(), "0");

        assert_eq!(sysctls.restore(), [""; 0]);
        assert_eq!(get("v0", "arp_ignore"), "0");
        assert_eq!(get("v0", "promote_secondaries"), "0");
        assert_eq!(read("net/ipv4/igmp_link_local_mcast_reports").unwrap(), "1");
        assert_eq!(journal.left(), []);
    });
}

#[test]
fn what_somebody_else_set_or_what_is_gone_is_left() {
    in_new_network(|| {
        let folder = Folder::new();
        let journal = journal(&folder);
        let mut sysctls = Sysctls::new(journal.clone());
        sysctls.set(&v4("v0", "arp_ignore"), "1").unwrap();
        sysctls.set(&v4("v1", "arp_ignore"), "1").unwrap();
        write(&v4("v0", "arp_ignore"), "8").unwrap();
        sysctls.set(&v4("nowhere", "arp_ignore"), "1").unwrap_err();
        run_in_words("ip", "link set v1 name w1").unwrap();
        assert_eq!(sysctls.restore(), [""; 0]);
        assert_eq!(get("v0", "arp_ignore"), "8");
        assert_eq!(journal.left(), []);
    });
}

#[test]
fn no_path_leads_elsewhere() {
    for path in [
        "../../etc/passwd",
        "/etc/passwd",
        "net/../../../etc/passwd",
        "net//ipv4",
        "",
    ] {
        assert_eq!(
            read(path).unwrap_err().kind(),
            ErrorKind::NotFound,
            "{path}"
        );
        assert_eq!(
            write(path, "1").unwrap_err().kind(),
            ErrorKind::NotFound,
            "{path}"
        );
    }
}

#[test]
fn what_a_vmac_needs() {
    in_new_network(|| {
        let folder = Folder::new();
        let journal = journal(&folder);
        write(&v4("all", "rp_filter"), "1").unwrap();
        write(&v4("v0", "rp_filter"), "0").unwrap();
        write(&v4("v1", "rp_filter"), "2").unwrap();
        run_in_words(
            "ip",
            "link add link v0 name vrrp.51 type macvlan mode private",
        )
        .unwrap();
        let mut sysctls = Sysctls::new(journal.clone());
        sysctls.below_vmac("v0").unwrap();
        prepare_vmac("vrrp.51", Family::V4, false).unwrap();
        let all = |of: &str| {
            [
                "arp_ignore",
                "arp_filter",
                "accept_local",
                "rp_filter",
                "promote_secondaries",
            ]
            .map(|n| get(of, n))
        };
        assert_eq!(all("vrrp.51"), ["1", "0", "1", "0", "1"]);
        assert_eq!(all("v0"), ["1", "1", "0", "1", "0"]);
        assert_eq!(
            (get("all", "rp_filter"), get("v1", "rp_filter")),
            ("0".into(), "2".into())
        );
        assert_eq!(read("net/ipv6/conf/vrrp.51/disable_ipv6").unwrap(), "1");

        assert_eq!(sysctls.restore(), [""; 0]);
        assert_eq!(all("v0"), ["0", "0", "0", "0", "0"]);
        assert_eq!(
            (get("all", "rp_filter"), get("v1", "rp_filter")),
            ("1".into(), "2".into())
        );
        assert_eq!(journal.left(), []);

        prepare_vmac("v1", Family::V6, true).unwrap();
        assert_eq!(get("v1", "accept_local"), "0");
        assert_eq!(read("net/ipv6/conf/v1/disable_ipv6").unwrap(), "0");
    });
}
