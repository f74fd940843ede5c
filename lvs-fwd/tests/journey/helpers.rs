//! Protocol helpers on the packet path: FTP at the lab's port, and SIP's Call-IDs.

use std::sync::Arc;
use std::time::Duration;

use etherparse::{SlicedPacket, TransportSlice};
use lvs_core::service::Engine;
use lvs_core::{
    ConfigError, DestOptions, DropReason, Endpoint, Family, Ip, Method, Persistence, Protocol,
    ServiceKey, ServiceOptions,
};
use lvs_fwd::helper::{Ftp, Helper, Helpers};
use lvs_fwd::route::Topology;

use crate::icmp::{error, quoted};
use crate::lab::{
    FAMILIES, GATEWAY_MAC, LAN, Lab, Packet, WAN, WAN_MAC, client, links, server, silent_links,
    vip, with_servers,
};

const ANSWER: &[u8] = b"227 Entering Passive Mode (10,0,0,11,131,53).\r\n";
const TRANSLATED: &[u8] = b"227 Entering Passive Mode (198,51,100,80,131,53).\r\n";

fn lab(topology: Topology) -> Lab {
    let ftp = Arc::new(Ftp::new(&[vip(Family::V4).port])) as Arc<dyn Helper>;
    Lab::with_helpers(topology, Helpers::new([ftp]), |f| (server(f), Method::Nat))
}

/// Opens the control connection.
fn open(lab: &mut Lab, family: Family) {
    let opening = Packet::opening(family, Protocol::TCP);
    lab.send(WAN, &opening.sent_by_client());
    let answer = Packet {
        src: server(family),
        ..opening.reply()
    };
    lab.send(LAN, &answer.sent_by_server());
    say(lab, family, b"");
}

/// The client says something.
fn say(lab: &mut Lab, family: Family, line: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let packet = Packet {
        payload: line.to_vec(),
        ..Packet::new(Protocol::TCP, client(family), vip(family))
    };
    lab.send(WAN, &packet.sent_by_client())
}

/// What the server says at byte `at` of its stream.
fn answer(family: Family, at: u32, line: &[u8]) -> Packet {
    Packet {
        numbers: [1000 + at, 2000],
        payload: line.to_vec(),
        ..Packet::new(Protocol::TCP, server(family), client(family))
    }
}

/// That on its way to the client, as it arrives there.
fn arriving(packet: &Packet, at: u32, line: &[u8]) -> Packet {
    Packet {
        src: vip(packet.src.ip.family()),
        numbers: [1000 + at, 2000],
        payload: line.to_vec(),
        ..packet.forwarded()
    }
}

#[test]
fn a_passive_data_connection_is_led_to_the_server() {
    for family in FAMILIES {
        let mut lab = lab(with_servers(links(1500)));
        open(&mut lab, family);
        let (command, said, heard) = match family {
            Family::V4 => (&b"PASV\r\n"[..], ANSWER, TRANSLATED),
            Family::V6 => (
                &b"EPSV\r\n"[..],
                &b"229 Ok (|2|fd00::11|33589|)\r\n"[..],
                &b"229 Ok (|||33589|)\r\n"[..],
            ),
        };
        assert_eq!(say(&mut lab, family, command).len(), 1);
        let told = answer(family, 0, said);
        let sent = lab.send(LAN, &told.sent_by_server());
        assert_eq!(sent, [(WAN, arriving(&told, 0, heard).to_client())]);

        let next = answer(family, said.len() as u32, b"150 go\r\n");
        let expected = arriving(&next, heard.len() as u32, b"150 go\r\n");
        let sent = lab.send(LAN, &next.sent_by_server());
        assert_eq!(sent, [(WAN, expected.to_client())]);

        let at = |e: Endpoint| Endpoint::new(e.ip, 33589);
        let data = Packet {
            src: Endpoint::new(client(family).ip, 45000),
            dst: at(vip(family)),
            ..Packet::opening(family, Protocol::TCP)
        };
        let reached = Packet {
            dst: at(server(family)),
            ..data.forwarded()
        };
        let sent = lab.send(WAN, &data.sent_by_client());
        assert_eq!(sent, [(LAN, reached.to_server())]);
        let back = Packet {
            src: at(vip(family)),
            ..reached.reply().forwarded()
        };
        let sent = lab.send(LAN, &reached.reply().sent_by_server());
        assert_eq!(sent, [(WAN, back.to_client())]);
    }
}

#[test]
fn an_active_data_connection_comes_from_the_vip() {
    let family = Family::V4;
    let mut lab = lab(with_servers(links(1500)));
    open(&mut lab, family);
    say(&mut lab, family, b"PORT 203,0,113,7,53,11\r\n");
    let before = |e: Endpoint| Endpoint::new(e.ip, e.port - 1);
    let opening = Packet {
        src: before(server(family)),
        dst: Endpoint::new(client(family).ip, 53 * 256 + 11),
        ..Packet::opening(family, Protocol::TCP)
    };
    let expected = Packet {
        src: before(vip(family)),
        ..opening.forwarded()
    };
    let sent = lab.send(LAN, &opening.sent_by_server());
    assert_eq!(sent, [(WAN, expected.to_client())]);
}

#[test]
fn what_goes_no_further_has_not_been_heard() {
    let family = Family::V4;
    let mut lab = lab(with_servers(links(1500)));
    open(&mut lab, family);
    let dying = Packet {
        ttl: 1,
        payload: b"PORT 203,0,113,7,53,11\r\n".to_vec(),
        ..Packet::new(Protocol::TCP, client(family), vip(family))
    };
    lab.send(WAN, &dying.sent_by_client());
    assert_eq!(lab.dropped(DropReason::TtlExceeded), 1);
    let mut damaged = Packet { ttl: 64, ..dying }.sent_by_client();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(lab.send(WAN, &damaged), []);
    assert_eq!(lab.dropped(DropReason::BadChecksum), 1);
    assert_eq!(lab.director.connection_count(), 1);
}

/// Moves the server's sequence numbers by three.
fn shifted(lab: &mut Lab) {
    open(lab, Family::V4);
    say(lab, Family::V4, b"PASV\r\n");
    let told = answer(Family::V4, 0, ANSWER);
    lab.send(LAN, &told.sent_by_server());
}

#[test]
fn a_server_recognises_what_is_too_big() {
    let mut lab = lab(with_servers(links(9000)));
    shifted(&mut lab);
    let big = answer(Family::V4, ANSWER.len() as u32, &[b'x'; 1600]);
    let sent = lab.send(LAN, &big.sent_by_server());
    let [(LAN, frame)] = &sent[..] else {
        panic!("{sent:?}");
    };
    // Behind the error's own headers the packet is quoted as it was sent.
    let quote = &frame[14 + 20 + 8..];
    assert_eq!(quote[..40], big.ip_packet()[..40]);
    assert_eq!(lab.dropped(DropReason::TooBig), 1);
}

#[test]
fn a_packet_that_grows_too_big_is_refused() {
    let mut lab = lab(with_servers(links(1500)));
    open(&mut lab, Family::V4);
    say(&mut lab, Family::V4, b"PASV\r\n");
    let mut line = ANSWER.to_vec();
    line.resize(1500 - 40, b'.');
    let told = answer(Family::V4, 0, &line);
    let sent = lab.send(LAN, &told.sent_by_server());
    let [(LAN, frame)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(frame[14 + 20..][..2], [3, 4], "fragmentation needed");
    assert_eq!(frame[14 + 20 + 8..][..40], told.ip_packet()[..40]);
    // Without DF it goes in two.
    let told = Packet {
        dont_fragment: false,
        ..told
    };
    let sent = lab.send(LAN, &told.sent_by_server());
    assert!(matches!(sent[..], [(WAN, _), (WAN, _)]), "{sent:?}");
}

#[test]
fn an_error_quotes_what_the_server_has_sent() {
    let mut lab = lab(with_servers(links(1500)));
    shifted(&mut lab);
    let next = answer(Family::V4, ANSWER.len() as u32, b"150 go\r\n");
    let arrived = arriving(&next, TRANSLATED.len() as u32, b"150 go\r\n");
    let own = vip(Family::V4).ip;
    let told = error(
        (GATEWAY_MAC, WAN_MAC),
        client(Family::V4).ip,
        own,
        64,
        &arrived.ip_packet(),
    );
    let sent = lab.send(WAN, &told);
    let [(LAN, frame)] = &sent[..] else {
        panic!("{sent:?}");
    };
    let untouched = Packet {
        ttl: arrived.ttl,
        ..next
    };
    let quote = &frame[14 + 20 + 8..];
    assert_eq!(quote[..36], quoted(&untouched, &arrived)[..36]);
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(TransportSlice::Icmpv4(icmp)) = sliced.transport else {
        panic!("no ICMP");
    };
    assert_eq!(
        icmp.checksum(),
        icmp.icmp_type().calc_checksum(icmp.payload())
    );
}

#[test]
fn a_changed_packet_may_wait_for_its_next_hop() {
    let family = Family::V4;
    let mut lab = lab(with_servers(links(1500)));
    open(&mut lab, family);
    say(&mut lab, family, b"PASV\r\n");
    lab.set_topology(silent_links(1500).build());
    let told = answer(family, 0, ANSWER);
    assert_eq!(lab.send(LAN, &told.sent_by_server()), []);
    lab.set_topology(with_servers(links(1500)));
    let released = lab.release();
    let expected = arriving(&told, 0, TRANSLATED).to_client();
    assert_eq!(released.len(), 1);
    assert_eq!((released[0].0, &released[0].1.bytes), (WAN, &expected));
    let sent = lab.send(LAN, &told.sent_by_server());
    assert_eq!(sent, [(WAN, expected)], "sent again");
}

fn register(port: u16, call: &str) -> Vec<u8> {
    let message = format!("REGISTER sip:x SIP/2.0\r\nCall-ID: {call}\r\n\r\n");
    let packet = Packet {
        src: Endpoint::new(client(Family::V4).ip, port),
        payload: message.into_bytes(),
        ..Packet::new(Protocol::UDP, client(Family::V4), vip(Family::V4))
    };
    packet.sent_by_client()
}

/// Sends calls from ever other ports, the first and third of one call; returns the servers they went to.
fn calls(engine: Option<Engine>) -> Vec<[u8; 4]> {
    let mut lab = Lab::new(Method::Nat);
    let key = ServiceKey::udp(vip(Family::V4));
    let made: Result<(), ConfigError> = lab.director.edit(|draft| {
        draft.remove_service(key)?;
        let options = ServiceOptions {
            persistence: Some(Persistence {
                timeout: Duration::from_secs(60),
                prefix: 32,
                engine,
            }),
            ..ServiceOptions::default()
        };
        draft.add_service(key, lvs_sched::build("rr").unwrap(), options)?;
        for last in [11, 12, 13] {
            let addr = Endpoint::new(Ip::v4([10, 0, 0, last]), 5060);
            draft.add_dest(key, addr, &DestOptions::new(Method::Nat, 1))?;
        }
        Ok(())
    });
    made.unwrap();
    let mut topology = links(1500);
    for last in [11, 12, 13] {
        topology.neighbour(3, Ip::v4([10, 0, 0, last]), crate::lab::SERVER_MAC);
    }
    lab.set_topology(topology.build());
    let mut servers = Vec::new();
    for (port, call) in [(5001, "a@x"), (5002, "b@x"), (5003, "a@x"), (5004, "b@x")] {
        let sent = lab.send(WAN, &register(port, call));
        assert_eq!(sent.len(), 1);
        servers.push(sent[0].1[14 + 16..][..4].try_into().unwrap());
    }
    servers
}

#[test]
fn a_call_stays_on_its_server() {
    let s = calls(Some(Engine::Sip));
    assert_eq!((s[0], s[1]), (s[2], s[3]), "each on its own");
    assert_ne!(s[0], s[1], "and of one client two");
    let s = calls(None);
    assert!(
        s.iter().all(|server| *server == s[0]),
        "without the engine by address"
    );
}
