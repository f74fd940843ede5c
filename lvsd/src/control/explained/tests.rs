use std::sync::Arc;

use lvs_core::{Director, Time, Verdict};
use lvs_fwd::route::{Interface, Mac, Route};

use super::*;
use crate::control::desk::{Change, Stop};
use crate::control::testing::{Bare, Desk};

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

fn packet(client: &str, virt: &str) -> Packet {
    Packet {
        protocol: 6,
        client: endpoint(client),
        virtual_address: endpoint(virt),
        interface: None,
    }
}

/// A plane with interfaces and routes.
struct Routed(Arc<Bare>, Arc<Topology>);

impl Plane for Routed {
    fn director(&self) -> &Director {
        self.0.director()
    }

    fn now(&self) -> Time {
        self.0.now()
    }

    fn marks(&self) -> Vec<MarkRule> {
        self.0.marks()
    }

    fn topology(&self) -> Option<Arc<Topology>> {
        Some(self.1.clone())
    }

    fn change(&self, change: Change<'_>) -> Result<(), Stop> {
        self.0.change(change)
    }
}

fn topology() -> Arc<Topology> {
    let ip = |text: &str| -> Ip { text.parse().unwrap() };
    let mut t = Topology::builder();
    t.interface(Interface {
        port: PortId(0),
        ifindex: 2,
        name: "eth7".to_owned(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        addrs: vec![ip("10.1.0.254")],
    });
    for (dst, prefix_len, gateway) in [("10.1.0.0", 24, None), ("10.2.0.0", 24, Some("10.1.0.9"))] {
        t.route(Route {
            dst: ip(dst),
            prefix_len,
            metric: 0,
            ifindex: 2,
            gateway: gateway.map(ip),
            prefsrc: None,
            mtu: None,
        });
    }
    t.neighbour(2, ip("10.1.0.9"), Mac([2, 0, 0, 0, 0, 9]));
    Arc::new(t.build())
}

#[test]
fn the_way_to_the_server_is_told() {
    let desk = Desk::open();
    let plane = Routed(desk.plane.clone(), topology());
    let way = |server: &str, method: &str| {
        desk.apply(&format!(
            "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r {server} {method}"
        ));
        let told = Explained::of(&plane, &packet("10.9.1.2:4000", "10.0.0.1:80"));
        desk.apply("-D -t 10.0.0.1:80");
        told.way.unwrap()
    };
    let link = |next_hop: &str, mac: Option<&str>| Way::Link {
        interface: "eth7".to_owned(),
        next_hop: next_hop.parse().unwrap(),
        mac: mac.map(str::to_owned),
    };
    assert_eq!(way("10.1.0.1", "-m"), link("10.1.0.1", None));
    let by_gateway = link("10.1.0.9", Some("02:00:00:00:00:09"));
    assert_eq!(way("10.1.0.9", "-g"), by_gateway);
    assert_eq!(way("10.2.0.1", "-i"), by_gateway);
    assert_eq!(way("10.3.0.1", "-m"), Way::NoRoute);
    assert_eq!(way("10.1.0.254", "-m"), Way::Local);
    let nowhere = Explained::of(&plane, &packet("10.9.1.2:4000", "10.0.0.1:80"));
    assert_eq!(nowhere.way, None);
    let bare = Explained::of(&*desk.plane, &packet("10.9.1.2:4000", "10.0.0.1:80"));
    assert_eq!(bare.way, None);
}

/// The first rule decides as it does for packets; one that asks for an interface is passed over as long as none is named.
#[test]
fn marks_are_those_that_packets_get() {
    let desk = Desk::open();
    desk.apply(
        "--mark 1 --destination 10.0.0.1 --protocol udp\n\
         --mark 2 --destination 10.0.0.1 --interface eth0\n\
         --mark 3 --source 10.9.0.0/16\n\
         --mark 4 --destination 10.0.0.2 --interface eth1",
    );
    let mark = |client: &str, virt: &str, interface: Option<&str>| {
        let packet = Packet {
            interface: interface.map(str::to_owned),
            ..packet(client, virt)
        };
        let told = desk.client().explain(packet).unwrap();
        (
            told.mark.map(|m| (m.mark, m.number)),
            told.interface_matters,
        )
    };
    let ours = "10.9.1.2:4000";
    assert_eq!(mark(ours, "10.0.0.1:80", None), (Some((3, 3)), true));
    assert_eq!(
        mark(ours, "10.0.0.1:80", Some("eth0")),
        (Some((2, 2)), false)
    );
    assert_eq!(
        mark(ours, "10.0.0.1:80", Some("eth1")),
        (Some((3, 3)), false)
    );
    // The rule behind the one that decides does not matter.
    assert_eq!(mark(ours, "10.0.0.2:80", None), (Some((3, 3)), false));
    assert_eq!(mark("10.8.1.2:1", "10.0.0.2:80", None), (None, true));
    assert_eq!(mark("10.8.1.2:1", "10.0.0.3:80", None), (None, false));
}

/// What is said of a connection that is not there yet is what then happens; and asking changes nothing.
#[test]
fn what_is_said_happens() {
    for scheduler in [
        "rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh", "lblc", "lblcr",
    ] {
        let desk = Desk::open();
        desk.apply(&format!(
            "-A -t 10.0.0.1:80 -s {scheduler}\n\
             -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1\n\
             -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 2\n\
             -a -t 10.0.0.1:80 -r 10.1.0.3:8080 -m -w 3"
        ));
        let mut worker = desk.plane.director.worker().unwrap();
        let mut client = desk.client();
        for port in 1..60 {
            let asked = packet(&format!("10.9.1.{}:{port}", port % 7), "10.0.0.1:80");
            let first = client.explain(asked.clone()).unwrap();
            assert_eq!(
                client.explain(asked.clone()).unwrap(),
                first,
                "asking changes it"
            );
            let Outcome::Opens { server, .. } = first.outcome else {
                // Hashes may lead nowhere.
                continue;
            };
            let opening = Segment::opening(Protocol::TCP, asked.client, asked.virtual_address);
            let mut verdicts = Vec::new();
            worker.decide(Time::default(), &[opening], &mut verdicts);
            let Verdict::Forward(_) = verdicts[0] else {
                panic!("{scheduler}: {verdicts:?}")
            };
            let after = client.explain(asked).unwrap();
            assert_eq!(after.outcome, Outcome::Follows);
            assert_eq!(after.connection.unwrap().conn.server, server, "{scheduler}");
        }
    }
}

#[test]
fn an_explanation_survives_the_way() {
    let desk = Desk::open();
    desk.apply("-A -t 10.0.0.1:80 -s wlc -p 60\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m -x 5 -y 2");
    let mut worker = desk.plane.director.worker().unwrap();
    let asked = packet("10.9.1.2:4000", "10.0.0.1:80");
    for _ in 0..2 {
        let here = Explained::of(&*desk.plane, &asked);
        assert_eq!(desk.client().explain(asked.clone()).unwrap(), here);
        let opening = Segment::opening(Protocol::TCP, asked.client, asked.virtual_address);
        worker.decide(Time::default(), &[opening], &mut Vec::new());
    }
}

#[test]
fn what_no_packet_may_bear_is_dropped() {
    let desk = Desk::open();
    desk.apply("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m");
    for (client, reason) in [
        ("127.0.0.1:5", "martian"),
        ("224.0.0.9:5", "martian"),
        ("255.255.255.255:5", "martian"),
        ("0.0.0.0:5", "martian"),
        ("10.0.0.1:80", "looped"),
    ] {
        let told = Explained::of(&*desk.plane, &packet(client, "10.0.0.1:80"));
        let reason = reason.to_owned();
        assert_eq!(told.outcome, Outcome::Dropped { reason }, "{client}");
    }
    let told = Explained::of(&*desk.plane, &packet("10.2.0.1:5", "10.0.0.1:80"));
    assert!(matches!(told.outcome, Outcome::Opens { .. }));
}
