//! AH and ESP, which follow their endpoints' ISAKMP exchange wherever that went.

use lvs_core::{
    DestOptions, DropReason, Endpoint, Family, Method, PassReason, Protocol, ServiceKey,
    ServiceOptions,
};

use crate::lab::{FAMILIES, LAN, Lab, Packet, WAN, client, ends, server, vip};

const ISAKMP: u16 = 500;

fn at_isakmp(e: Endpoint) -> Endpoint {
    Endpoint::new(e.ip, ISAKMP)
}

/// A lab with an ISAKMP service.
fn lab(method: Method) -> Lab {
    let lab = Lab::new(method);
    let added = lab.director.edit(|draft| {
        for family in FAMILIES {
            let key = ServiceKey::new(Protocol::UDP, at_isakmp(vip(family)));
            let options = ServiceOptions::default();
            draft.add_service(key, lvs_sched::build("rr").unwrap(), options)?;
            let server = at_isakmp(server(family));
            draft.add_dest(key, server, &DestOptions::new(method, 1))?;
        }
        Ok::<(), lvs_core::ConfigError>(())
    });
    assert_eq!(added, Ok(()));
    lab
}

fn isakmp(family: Family) -> Packet {
    let (src, dst) = (at_isakmp(client(family)), at_isakmp(vip(family)));
    Packet::new(Protocol::UDP, src, dst)
}

/// In IPv6 AH is an extension header, and what counts is behind it.
fn protocols(family: Family) -> &'static [Protocol] {
    match family {
        Family::V4 => &[Protocol::AH, Protocol::ESP],
        Family::V6 => &[Protocol::ESP],
    }
}

fn ipsec(family: Family, protocol: Protocol) -> Packet {
    Packet {
        payload: (0..44).collect(),
        ..Packet::new(protocol, isakmp(family).src, isakmp(family).dst)
    }
}

#[test]
fn nothing_goes_without_an_exchange_and_both_ways_after_one() {
    for family in FAMILIES {
        for &protocol in protocols(family) {
            let mut lab = lab(Method::Nat);
            let question = ipsec(family, protocol);
            assert_eq!(lab.send(WAN, &question.sent_by_client()), []);
            let left = lab.passed(PassReason::NotOurs) + lab.passed(PassReason::OtherProtocol);
            assert_eq!(left, 1, "the host's");
            assert_eq!(lab.send(WAN, &isakmp(family).sent_by_client()).len(), 1);

            let asked = Packet {
                dst: server(family),
                ..question.forwarded()
            };
            let sent = lab.send(WAN, &question.sent_by_client());
            assert_eq!(sent, [(LAN, asked.to_server())], "{family:?} {protocol}");
            let answered = Packet {
                src: vip(family),
                ..asked.reply().forwarded()
            };
            let sent = lab.send(LAN, &asked.reply().sent_by_server());
            assert_eq!(sent, [(WAN, answered.to_client())], "{family:?} {protocol}");
            assert_eq!(
                lab.director.connection_count(),
                1,
                "no connection of its own"
            );
            assert_eq!(ends(&lab.counts()), 4);

            // From another client it is another's.
            let stranger = Packet {
                src: server(family),
                ..question
            };
            assert_eq!(lab.send(WAN, &stranger.sent_by_client()), []);
            assert_eq!(ends(&lab.counts()), 5);
        }
    }
}

#[test]
fn it_takes_the_way_of_the_exchange_by_every_method() {
    for family in FAMILIES {
        // FullNAT could tell replies apart by port only, which IPsec has not.
        for method in [Method::Nat, Method::DirectRoute, Method::Tunnel] {
            for &protocol in protocols(family) {
                let mut lab = lab(method);
                lab.send(WAN, &isakmp(family).sent_by_client());
                let sent = lab.send(WAN, &ipsec(family, protocol).sent_by_client());
                assert_eq!(sent.len(), 1, "{family:?} {method:?} {protocol}");
                assert_eq!(sent[0].0, LAN);
                let inside = &sent[0].1[sent[0].1.len() - 44..];
                assert_eq!(inside, ipsec(family, protocol).payload);
            }
        }
    }
}

/// They need no first fragment to be recognised.
#[test]
fn fragments_go_as_they_come() {
    for family in FAMILIES {
        let mut lab = lab(Method::Nat);
        lab.send(WAN, &isakmp(family).sent_by_client());
        let packet = Packet {
            dont_fragment: false,
            ..ipsec(family, Protocol::ESP)
        };
        let asked = Packet {
            dst: server(family),
            ..packet.forwarded()
        };
        let arriving = crate::fragments::fragments(&packet, crate::fragments::FROM_CLIENT, &[16]);
        let leaving = crate::fragments::fragments(&asked, crate::fragments::TO_SERVER, &[16]);
        for i in [1, 0] {
            let sent = lab.send(WAN, &arriving[i]);
            assert_eq!(sent, [(LAN, leaving[i].clone())], "{family:?}");
        }
        assert_eq!(lab.dropped(DropReason::FragmentUnknown), 0);
    }
}
