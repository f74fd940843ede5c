use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage as Rtnl;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkMessage};

use super::{Connection, Message, Request};
use crate::io::testing::in_new_network;

fn address(last: u8) -> AddressMessage {
    let mut m = AddressMessage::default();
    m.header.family = AddressFamily::Inet;
    m.header.prefix_len = 32;
    m.header.index = 1;
    m.attributes = vec![AddressAttribute::Local([10, 9, 8, last].into())];
    m
}

fn add(last: u8) -> Request {
    Request::route(Rtnl::NewAddress(address(last)), NLM_F_CREATE | NLM_F_EXCL)
}

fn local(m: Rtnl) -> Option<u8> {
    let Rtnl::NewAddress(m) = m else { return None };
    m.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(std::net::IpAddr::V4(a)) => Some(a.octets()[3]),
        _ => None,
    })
}

fn addresses(c: &mut Connection) -> Vec<u8> {
    c.dump_route(Rtnl::GetAddress(AddressMessage::default()), local)
        .unwrap()
}

#[test]
fn requests_are_kept_as_bytes() {
    let r = add(1);
    assert_eq!(Request::from_bytes(r.as_bytes()), Some(r.clone()));
    let bytes = r.as_bytes();
    assert_eq!(Request::from_bytes(&bytes[..bytes.len() - 4]), None, "cut");
    assert_eq!(Request::from_bytes(&[bytes, bytes].concat()), None, "two");
    assert_eq!(Request::from_bytes(&[]), None);
    let mut answer = bytes.to_vec();
    answer[6] = 0;
    assert_eq!(Request::from_bytes(&answer), None, "no request");

    // Five bytes of payload stand in 24, of which the header says 21.
    let r = Request::raw(0x0a10, NLM_F_CREATE, &[1, 2, 3, 4, 5]);
    let mut sent = Vec::new();
    r.write(7, 4, &mut sent);
    assert_eq!(sent.len(), 24);
    let m = Message::all(&sent).next().unwrap();
    assert_eq!((m.kind(), m.flags(), m.number()), (0x0a10, 0x405, 7));
    assert_eq!(m.payload(), [1, 2, 3, 4, 5]);
}

#[test]
fn what_is_no_message_ends_a_datagram() {
    let whole = Request::raw(20, 0, &[]);
    for tail in [&[][..], &[1], &[0; 16], &[255; 16]] {
        let bytes = [whole.as_bytes(), tail].concat();
        assert_eq!(Message::all(&bytes).count(), 1, "{tail:?}");
    }
}

#[test]
fn each_of_many_requests_has_its_outcome() {
    in_new_network(|| {
        let mut c = Connection::route().unwrap();
        let requests: Vec<_> = (0..=255).chain([3, 4]).map(add).collect();
        let outcomes = c.requests(&requests).unwrap();
        let refused: Vec<_> = (0..requests.len())
            .filter(|&i| outcomes[i].is_err())
            .collect();
        assert_eq!(refused, [256, 257]);
        let e = outcomes[256].as_ref().unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::EEXIST));
        assert_eq!(addresses(&mut c), (0..=255).collect::<Vec<_>>());
        // The next one is not confused by what went before.
        let e = c.request(&add(9)).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::EEXIST));
        assert!(c.requests(&[]).unwrap().is_empty());
    });
}

#[test]
fn changes_are_notified() {
    in_new_network(|| {
        let mut c = Connection::route().unwrap();
        let mut events = Connection::subscribe(&[5]).unwrap();
        let mut seen = Vec::new();
        assert!(!events.notifications(|_| {}).unwrap());
        c.requests(&[add(1), add(2)]).unwrap();
        while events
            .notifications(|m| seen.extend(m.route().and_then(local)))
            .unwrap()
        {}
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn a_lost_notification_is_told() {
    in_new_network(|| {
        let mut c = Connection::route().unwrap();
        let mut events = Connection::subscribe(&[1]).unwrap();
        let mut link = LinkMessage::default();
        link.header.index = 1;
        link.header.change_mask = LinkFlags::Up;
        let mut lost = false;
        for n in 0..20_000 {
            link.header.flags = if n % 2 == 0 {
                LinkFlags::Up
            } else {
                LinkFlags::empty()
            };
            c.request(&Request::route(Rtnl::SetLink(link.clone()), 0))
                .unwrap();
        }
        loop {
            match events.notifications(|_| {}) {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) => {
                    assert_eq!(e.raw_os_error(), Some(libc::ENOBUFS));
                    lost = true;
                }
            }
        }
        assert!(lost);
    });
}

/// A table of nftables, made or not by one batch: NFT_MSG_NEWTABLE of subsystem 10, family inet.
fn batch(name: &str, then: Option<Request>) -> Vec<Request> {
    let generic = |family: u8, resource: u16| {
        let [hi, lo] = resource.to_be_bytes();
        [family, 0, hi, lo]
    };
    let mut table = generic(1, 0).to_vec();
    let length = u16::try_from(4 + name.len() + 1).unwrap();
    table.extend(length.to_ne_bytes());
    table.extend(1u16.to_ne_bytes());
    table.extend(name.as_bytes());
    table.push(0);
    let begin = Request::raw(16, 0, &generic(0, 10));
    let end = Request::raw(17, 0, &generic(0, 10));
    let new = Request::raw(0x0a00, NLM_F_CREATE | NLM_F_EXCL, &table);
    [begin, new].into_iter().chain(then).chain([end]).collect()
}

#[test]
fn a_batch_of_nftables_is_done_whole_or_not_at_all() {
    in_new_network(|| {
        let mut c = match Connection::netfilter() {
            Err(e) if e.raw_os_error() == Some(libc::EPROTONOSUPPORT) => return,
            other => other.unwrap(),
        };
        let tables = |c: &mut Connection| {
            let get = Request::raw(0x0a01, 0, &[1, 0, 0, 0]);
            c.dump(&get, |m| Some(m.payload().to_vec())).unwrap().len()
        };
        c.transaction(&batch("one", None)).unwrap();
        assert_eq!(tables(&mut c), 1);
        let again = batch("one", None).swap_remove(1);
        let e = c.transaction(&batch("two", Some(again))).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::EEXIST));
        assert_eq!(tables(&mut c), 1);
    });
}
