//! Datagrams in fragments that overtake each other. The servers' kernels put them together, and only if every
//! one of them has arrived does a server answer.

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, PacketBuilder,
    UdpHeader,
};
use tests::capture::{Capture, Payload};
use tests::{Family, Lan, Lvsd, Method, Plan, Rules};

/// From the client's port 40000 to the VIP's port 7000, in four fragments.
fn fragments(lan: &Lan, family: Family, id: u16) -> Vec<Vec<u8>> {
    let payload: Vec<u8> = (0..200).collect();
    let headers = |offset: usize, more| {
        let offset = IpFragOffset::try_new((offset / 8) as u16).expect("small");
        match (family.client(), family.vip()) {
            (std::net::IpAddr::V4(src), std::net::IpAddr::V4(dst)) => {
                let header = Ipv4Header {
                    identification: id,
                    time_to_live: 64,
                    source: src.octets(),
                    destination: dst.octets(),
                    fragment_offset: offset,
                    more_fragments: more,
                    dont_fragment: false,
                    ..Ipv4Header::default()
                };
                IpHeaders::Ipv4(header, Default::default())
            }
            (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) => {
                let header = Ipv6Header {
                    hop_limit: 64,
                    source: src.octets(),
                    destination: dst.octets(),
                    ..Ipv6Header::default()
                };
                let fragment = Ipv6FragmentHeader::new(IpNumber::UDP, offset, more, id.into());
                let extensions = etherparse::Ipv6Extensions {
                    fragment: Some(fragment),
                    ..Default::default()
                };
                IpHeaders::Ipv6(header, extensions)
            }
            _ => unreachable!("one family"),
        }
    };
    let udp = match headers(0, false) {
        IpHeaders::Ipv4(ip, _) => UdpHeader::with_ipv4_checksum(40_000, 7000, &ip, &payload),
        IpHeaders::Ipv6(ip, _) => UdpHeader::with_ipv6_checksum(40_000, 7000, &ip, &payload),
    };
    let datagram = [&udp.expect("short").to_bytes()[..], &payload].concat();
    let cuts = [0, 16, 64, 128, datagram.len()];
    let macs = (lan.client.mac_bytes("eth0"), lan.director.mac_bytes("eth0"));
    let fragment = |at: &[usize]| {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(macs.0, macs.1)
            .ip(headers(at[0], at[1] < datagram.len()))
            .write(&mut frame, IpNumber::UDP, &datagram[at[0]..at[1]])
            .expect("a vector takes everything");
        frame
    };
    cuts.windows(2).map(fragment).collect()
}

fn fragments_arrive_in_any_order(method: Method, family: Family) {
    let lan = Plan::of(method, 1).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    for (id, order) in [(1, [0, 1, 2, 3]), (2, [3, 2, 1, 0]), (3, [2, 0, 3, 1])] {
        let fragments = fragments(&lan, family, id);
        let capture = Capture::start(&lan.client, "eth0", "udp src port 7000");
        lan.client.inject(order.map(|i| fragments[i].as_slice()));
        let answers = capture.stop();
        let to = |p: &tests::capture::Packet| match p.payload() {
            Some(Payload::Udp { dst, .. }) => Some(*dst),
            _ => None,
        };
        let answers: Vec<_> = answers.iter().filter_map(to).collect();
        assert_eq!(answers, [40_000], "{order:?}");
    }
}

tests::for_each_method!(fragments_arrive_in_any_order);
