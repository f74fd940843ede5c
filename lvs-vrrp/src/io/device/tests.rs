use super::*;
use crate::io::link::interfaces;
use crate::io::testing::{in_new_network, ip, pair};

fn found(c: &mut Connection, name: &str) -> Option<Link> {
    let all = interfaces(c).unwrap();
    all.into_iter().find(|l| l.name == name)
}

fn macvlan(parent: u32) -> Device {
    Device {
        name: "vrrp.51".into(),
        parent,
        kind: DeviceKind::Macvlan {
            mac: [0, 0, 0x5e, 0, 1, 51],
        },
        group: Some(7),
    }
}

#[test]
fn a_macvlan_comes_and_goes() {
    in_new_network(|| {
        let [a, b] = pair();
        let mut c = Connection::route().unwrap();
        let device = macvlan(a);
        c.request(&device.creation()).unwrap();
        let e = c.request(&device.creation()).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::EEXIST));

        let link = found(&mut c, "vrrp.51").unwrap();
        assert!(!link.enabled && !link.up);
        let number = number_of(&mut c, "vrrp.51").unwrap();
        assert_eq!(number, Some(link.ifindex));
        assert!(device.is_like(&link));
        assert!(!macvlan(b).is_like(&link));
        let other = DeviceKind::Macvlan { mac: [2; 6] };
        assert!(
            !Device {
                kind: other,
                ..device.clone()
            }
            .is_like(&link)
        );

        without_own_addresses(&mut c, link.ifindex).unwrap();
        switch_on(&mut c, link.ifindex).unwrap();
        assert!(found(&mut c, "vrrp.51").unwrap().up);
        let shown = ip("-d link show vrrp.51");
        for part in [
            "vrrp.51@va",
            "macvlan mode private",
            "00:00:5e:00:01:33",
            "group 7",
            "addrgenmode none",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(ip("-o addr show dev vrrp.51"), "");

        remove(&mut c, link.ifindex).unwrap();
        assert_eq!(found(&mut c, "vrrp.51"), None);
        assert_eq!(number_of(&mut c, "vrrp.51").unwrap(), None);
        let e = remove(&mut c, link.ifindex).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::ENODEV));
    });
}

#[test]
fn ipvlans_of_three_kinds() {
    in_new_network(|| {
        let [a, _] = pair();
        let mut c = Connection::route().unwrap();
        for (n, (kind, shown)) in [
            (Ipvlan::Bridge, "mode l2 bridge"),
            (Ipvlan::Private, "mode l2 private"),
            (Ipvlan::Vepa, "mode l2 vepa"),
        ]
        .into_iter()
        .enumerate()
        {
            let device = Device {
                name: format!("vrrp.{n}"),
                parent: a,
                kind: DeviceKind::Ipvlan(kind),
                group: None,
            };
            match c.request(&device.creation()) {
                // This kernel has none; their bytes are looked at below.
                Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => return,
                made => made.unwrap(),
            }
            let link = found(&mut c, &device.name).unwrap();
            assert!(device.is_like(&link));
            let text = ip(&format!("-d link show {}", device.name));
            assert!(text.contains(shown), "{shown}: {text}");
            // All ipvlans of an interface are connected in one way.
            remove(&mut c, link.ifindex).unwrap();
        }
    });
}

#[test]
fn an_ipvlan_as_bytes() {
    let device = Device {
        name: "i".into(),
        parent: 3,
        kind: DeviceKind::Ipvlan(Ipvlan::Vepa),
        group: None,
    };
    // Behind the headers: IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO { IFLA_INFO_KIND, IFLA_INFO_DATA { IFLA_IPVLAN_MODE,
    // IFLA_IPVLAN_FLAGS } }, each a length, a type and a value.
    let mut want = Vec::new();
    for words in [
        &[6u16, 3, u16::from_ne_bytes(*b"i\0"), 0][..],
        &[8, 5, 3, 0],
        &[36, 18],
        &[
            11,
            1,
            u16::from_ne_bytes(*b"ip"),
            u16::from_ne_bytes(*b"vl"),
            u16::from_ne_bytes(*b"an"),
            0,
        ],
        &[20, 2],
        &[6, 1, 0, 0],
        &[6, 2, 2, 0],
    ] {
        want.extend(words.iter().flat_map(|w| w.to_ne_bytes()));
    }
    let request = device.creation();
    let mut got = request.as_bytes()[32..].to_vec();
    // NLA_F_NESTED may be set or not.
    for at in (3..got.len()).step_by(4) {
        got[at] &= 0x7f;
    }
    assert_eq!(got, want);
}

#[test]
fn names_are_made_of_prefix_and_vrid() {
    let name = |v6, taken: &[&str]| name_of("vrrp", 51, v6, |n| taken.contains(&n));
    assert_eq!(name(false, &[]).unwrap(), "vrrp.51");
    assert_eq!(name(true, &[]).unwrap(), "vrrp.51");
    assert_eq!(name(false, &["vrrp.51"]).unwrap(), "vrrp1.51");
    assert_eq!(name(true, &["vrrp.51"]).unwrap(), "vrrp6.51");
    assert_eq!(name(true, &["vrrp.51", "vrrp6.51"]).unwrap(), "vrrp1.51");
    assert_eq!(name(false, &["vrrp.51", "vrrp1.51"]).unwrap(), "vrrp2.51");
    assert_eq!(name_of("vrrp", 51, true, |_| true), None);
    assert_eq!(
        name_of("elevenbytes", 255, true, |_| false).unwrap(),
        "elevenbytes.255"
    );
    assert_eq!(name_of("twelve_bytes", 255, true, |_| false), None);
}
