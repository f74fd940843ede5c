//! What another director does at present, and frames to a virtual router's own Ethernet address (VRRP).

use std::sync::Arc;

use lvs_core::{ConfigError, Family, Ip, Method, PassReason, Protocol, Standby};
use lvs_fwd::frame::PortId;
use lvs_fwd::route::{Mac, Macvlan};

use crate::answers::{ask_arp, ask_ndp};
use crate::fragments::{FROM_CLIENT, fragments};
use crate::lab::{
    FAMILIES, GATEWAY_MAC, LAN, LAN_MAC, Lab, Packet, SERVER_MAC, WAN, WAN_MAC, client, ends,
    links, server, vip, with_servers,
};

impl Lab {
    fn stand_by(&self, addresses: &[Ip], unanswered: &[Ip]) {
        let [addresses, unanswered] = [addresses, unanswered].map(|ips| ips.iter().copied());
        let standby = Arc::new(Standby::new(addresses, [], unanswered));
        let edited: Result<(), ConfigError> = self.director.edit(|draft| {
            draft.set_standby(standby);
            Ok(())
        });
        edited.unwrap();
    }
}

#[test]
fn a_service_that_stands_by_neither_takes_nor_answers() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        let opening = Packet::opening(family, Protocol::TCP);
        assert_eq!(lab.send(WAN, &opening.sent_by_client()).len(), 1);
        let reply = Packet {
            src: server(family),
            ..opening.reply()
        };
        let vip = vip(family).ip;
        lab.stand_by(&[vip], &[vip]);
        let unknown = Packet {
            src: lvs_core::Endpoint::new(client(family).ip, 7),
            syn: false,
            ..opening.clone()
        };
        for frame in [
            opening.sent_by_client(),
            unknown.sent_by_client(),
            ask_for(vip),
        ] {
            assert_eq!(lab.send(WAN, &frame), [], "{family:?}");
        }
        assert_eq!(lab.send(LAN, &reply.sent_by_server()), []);
        assert_eq!(lab.passed(PassReason::Standby), 3);
        assert_eq!(lab.passed(PassReason::LinkLayer), 1);
        lab.stand_by(&[], &[]);
        assert_eq!(lab.send(LAN, &reply.sent_by_server()).len(), 1);
        assert_eq!(lab.send(WAN, &ask_for(vip)).len(), 1);
        assert_eq!(ends(&lab.counts()), 7);
    }
}

fn ask_for(ip: Ip) -> Vec<u8> {
    match ip.family() {
        Family::V4 => ask_arp(ip),
        Family::V6 => ask_ndp(ip),
    }
}

/// While its services work, a virtual address may be the kernel's to answer for.
#[test]
fn others_may_answer_for_an_address_that_is_served() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        let vip = vip(family).ip;
        lab.stand_by(&[], &[vip]);
        assert_eq!(lab.send(WAN, &ask_for(vip)), []);
        let opening = Packet::opening(family, Protocol::TCP);
        assert_eq!(lab.send(WAN, &opening.sent_by_client()).len(), 1);
    }
}

/// Nobody waits for the first of fragments that are the host's.
#[test]
fn fragments_are_the_hosts_at_once() {
    for family in FAMILIES {
        let packet = |id| Packet {
            dont_fragment: false,
            id,
            payload: vec![7; 1000],
            ..Packet::new(Protocol::UDP, client(family), vip(family))
        };
        let mut lab = Lab::new(Method::Nat);
        lab.stand_by(&[vip(family).ip], &[]);
        for frame in fragments(&packet(1), FROM_CLIENT, &[400, 800]).iter().rev() {
            assert_eq!(lab.send(WAN, frame), []);
        }
        assert_eq!(lab.counts().held, 0);
        assert_eq!(ends(&lab.counts()), 3);
        let own = Packet {
            src: server(family),
            dst: client(family),
            ..packet(2)
        };
        let pieces = fragments(&own, (SERVER_MAC, LAN_MAC), &[800]);
        assert_eq!(lab.send(LAN, &pieces[1]), []);
        assert_eq!((lab.counts().held, ends(&lab.counts())), (0, 4));
    }
}

const ROUTER: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);

#[test]
fn frames_to_a_macvlan_above_a_port_are_ours() {
    for family in FAMILIES {
        let mut topology = links(1500);
        topology.macvlan(Macvlan {
            port: PortId(WAN as u16),
            below: WAN as u32 + 2,
            ifindex: 9,
            mac: ROUTER,
        });
        let mut lab = Lab::with_topology(Method::Nat, with_servers(topology));
        let opening = Packet::opening(family, Protocol::TCP);
        let to_router = opening.frame(GATEWAY_MAC, ROUTER);
        let sent = Packet {
            dst: server(family),
            ..opening.forwarded()
        };
        let sent = [(LAN, sent.to_server())];
        assert_eq!(lab.send(WAN, &to_router), sent);
        assert_eq!(lab.send(WAN, &opening.sent_by_client()), sent, "its own");
        assert_eq!(lab.send(LAN, &opening.frame(SERVER_MAC, ROUTER)), []);
        let other = Mac([0, 0, 0x5e, 0, 1, 52]);
        assert_eq!(lab.send(WAN, &opening.frame(GATEWAY_MAC, other)), []);
        assert_eq!(lab.passed(PassReason::OtherHost), 2);
        // What the present master sends from the address that is ours too is not our own.
        assert_eq!(lab.send(WAN, &opening.frame(ROUTER, WAN_MAC)), sent);
        let stray = Packet::new(Protocol::TCP, client(family), vip(family));
        let stray = Packet {
            src: lvs_core::Endpoint::new(client(family).ip, 7),
            ..stray
        };
        let reset = lab.send(WAN, &stray.frame(GATEWAY_MAC, ROUTER));
        let (port, frame) = &reset[0];
        assert_eq!((*port, &frame[6..12]), (WAN, &ROUTER.0[..]));
    }
}
