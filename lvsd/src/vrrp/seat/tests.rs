//! What virtual interfaces are called, and which addresses are on them.

use super::super::testing;
use super::*;

/// The seats of these virtual routers, as `SPEAKS_ON OWN@BELOW OTHER@BELOW ADDRESS>INTERFACE…`, by the order of the file.
fn seated(text: &str, taken: &[&str]) -> Vec<String> {
    let vrrp = testing::vrrp(text);
    let seats = seats(&vrrp, |name| taken.contains(&name));
    let shown = vrrp.instances.iter().map(|instance| {
        let seat = &seats[&instance.name.value];
        let mut words = vec![seat.speaks_on.clone().unwrap_or_else(|| "-".to_owned())];
        words.extend(seat.virtuals().map(|v| format!("{}@{}", v.name, v.on)));
        words.extend(instance.addresses().map(|address| {
            let host = address.addr.ip.to_string();
            let last = host.rsplit(['.', ':']).next().unwrap_or_default();
            match seat.of(address) {
                None => format!("{last}>nowhere"),
                Some((name, Place::Own)) => format!("{last}>{name}"),
                Some((name, Place::Other)) => format!("{last}>{name}(other)"),
                Some((name, Place::OtherVirtual)) => format!("{last}>{name}(virtual)"),
            }
        }));
        words.join(" ")
    });
    shown.collect()
}

fn one(lines: &str, taken: &[&str]) -> String {
    let text = format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n 192.0.2.1\n 192.0.2.2 dev eth0\n \
         192.0.2.3 dev eth1\n }}\n {lines}\n}}\n"
    );
    seated(&text, taken).remove(0)
}

#[test]
fn interfaces_and_addresses_by_the_kind_of_device() {
    for (lines, taken, wanted) in [
        ("", &[][..], "eth0 1>eth0 2>eth0 3>eth1(other)"),
        (
            "use_vmac",
            &[],
            "vrrp.51 vrrp.51@eth0 1>vrrp.51 2>vrrp.51 3>eth1(other)",
        ),
        (
            "use_vmac",
            &["vrrp.51"],
            "vrrp1.51 vrrp1.51@eth0 1>vrrp1.51 2>vrrp1.51 3>eth1(other)",
        ),
        (
            "use_vmac",
            &["vrrp.51", "vrrp1.51"],
            "vrrp2.51 vrrp2.51@eth0 1>vrrp2.51 2>vrrp2.51 3>eth1(other)",
        ),
        (
            "use_vmac mine\n vmac_xmit_base",
            &["mine"],
            "eth0 mine@eth0 1>mine 2>mine 3>eth1(other)",
        ),
        (
            "use_vmac\n use_vmac_addr",
            &[],
            "vrrp.51 vrrp.51@eth0 vrrp1.51@eth1 1>vrrp.51 2>vrrp.51 3>vrrp1.51(virtual)",
        ),
        (
            "use_ipvlan",
            &[],
            "vrrp.51 vrrp.51@eth0 1>vrrp.51 2>vrrp.51 3>eth1(other)",
        ),
    ] {
        assert_eq!(one(lines, taken), wanted, "{lines} {taken:?}");
    }
}

#[test]
fn an_address_may_ask_for_an_interface_of_its_own() {
    let text = "vrrp_instance V {\n interface eth0\n virtual_router_id 51\n use_vmac\n virtual_ipaddress {\n 192.0.2.1\n \
                192.0.2.2 dev eth1 use_vmac\n 192.0.2.3 dev eth1 use_vmac\n 192.0.2.4 dev eth2\n }\n \
                virtual_ipaddress_excluded {\n 192.0.2.5 dev eth3 use_vmac\n }\n}\n";
    assert_eq!(
        seated(text, &[]),
        [
            "vrrp.51 vrrp.51@eth0 vrrp1.51@eth1 vrrp2.51@eth3 1>vrrp.51 2>vrrp1.51(virtual) 3>vrrp1.51(virtual) 4>eth2(other) \
          5>vrrp2.51(virtual)"
        ]
    );
}

#[test]
fn no_two_have_the_same_name() {
    let block = |name: &str, lines: &str, address: &str| {
        format!(
            "vrrp_instance {name} {{\n virtual_router_id 51\n virtual_ipaddress {{\n {address}\n }}\n {lines}\n}}\n"
        )
    };
    let text = block("A", "interface eth0\n use_vmac", "192.0.2.1")
        + &block("B", "interface eth0\n use_vmac", "fe80::1")
        + &block("C", "interface eth1\n use_vmac", "198.51.100.1")
        + &block("D", "interface eth2\n use_vmac vrrp1.51", "203.0.113.1");
    assert_eq!(
        seated(&text, &[]),
        [
            "vrrp.51 vrrp.51@eth0 1>vrrp.51",
            "vrrp6.51 vrrp6.51@eth0 1>vrrp6.51",
            "vrrp2.51 vrrp2.51@eth1 1>vrrp2.51",
            "vrrp1.51 vrrp1.51@eth2 1>vrrp1.51",
        ],
        "a name that is written down is nobody else's"
    );
}

#[test]
fn prefixes_are_the_configuration_s() {
    let text = format!(
        "global_defs {{\n vmac_prefix own\n vmac_addr_prefix far\n}}\n{}",
        "vrrp_instance V {\n interface eth0\n virtual_router_id 5\n use_vmac\n use_vmac_addr\n virtual_ipaddress {\n 192.0.2.1 dev eth1\n }\n}\n"
    );
    assert_eq!(
        seated(&text, &[]),
        ["own.5 own.5@eth0 far.5@eth1 1>far.5(virtual)"]
    );
}

#[test]
fn without_an_interface_addresses_say_where_they_are() {
    let text = "vrrp_instance V {\n virtual_router_id 51\n unicast_src_ip 192.0.2.11\n unicast_peer {\n 192.0.2.12\n }\n \
                virtual_ipaddress {\n 192.0.2.1 dev eth1\n }\n}\n";
    assert_eq!(seated(text, &[]), ["- 1>eth1(other)"]);
}
