use lvs_core::dest::GueChecksum;

use super::*;
use crate::frame::{HEADROOM, PortId};
use crate::wire::samples::{OWN, PEER, unhex};

/// The tunnels of servers 10.10.0.11 to 16.
const TUNNELS: [Encapsulation; 6] = [
    Encapsulation::Ipip,
    Encapsulation::Gre { checksum: false },
    gue(6080, GueChecksum::None),
    Encapsulation::Gre { checksum: true },
    gue(6081, GueChecksum::Full),
    gue(6082, GueChecksum::Remote),
];

const fn gue(port: u16, checksum: GueChecksum) -> Encapsulation {
    Encapsulation::Gue { port, checksum }
}

/// What a kernel (Linux 6.1) made of errors about its tunnel packets: the tunnel (its place in [`TUNNELS`]), the path
/// MTU it knew then, the error and what was relayed, both but for as many bytes of payload (`d`) at their end.
type Row = (usize, u32, &'static str, &'static str, usize);

#[rustfmt::skip]
const RELAYED: [Row; 17] = [
    (0, 0, "4500009c432100003f01232e0a0a00fe0a0a00010301453900000000450005b4123440003c0412f30a0a00010a0a000b450005a01234400040060daa0a0901050a0900640fa00050000003e8000000005010fffffe870000", "45c000887ab600004001e9840a0900640a0901050301453900000000450005a01234400040060daa0a0901050a0900640fa00050000003e8000000005010fffffe870000", 68),
    (1, 0, "4500009c432100003f01232e0a0a00fe0a0a00010b00fe0200000000450005b8123440003c2f12c30a0a00010a0a000c00000800450005a01234400040060daa0a0901050a0900640fa00051000003e8000000005010fffffe860000", "45c000847ab900004001e9850a0900640a0901050b00060300000000450005a01234400040060daa0a0901050a0900640fa00051000003e8000000005010fffffe860000", 64),
    (2, 0, "4500009c432100003f01232e0a0a00fe0a0a00010301e5e200000000450005c0123440003c1112d80a0a00010a0a000d9c4017c005ac000000040000450005a01234400040060daa0a0901050a0900640fa00052000003e8000000005010fffffe850000", "45c0007c7aba00004001e98c0a0900640a09010503019f9300000000450005a01234400040060daa0a0901050a0900640fa00052000003e8000000005010fffffe850000", 56),
    (3, 0, "4500009c432100003f01232e0a0a00fe0a0a000103014dc800000000450005bc123440003c2f12bd0a0a00010a0a000e8000080001020000450005a01234400040060daa0a0901050a0900640fa00053000003e8000000005010fffffe840000", "45c000807abd00004001e9850a0900640a0901050301d6ca00000000450005a01234400040060daa0a0901050a0900640fa00053000003e8000000005010fffffe840000", 60),
    (4, 0, "4500009c432100003f01232e0a0a00fe0a0a00010b00dde200000000450005c0123440003c1112d60a0a00010a0a000f9c4017c105ac000000040000450005a01234400040060daa0a0901050a0900640fa00054000003e8000000005010fffffe830000", "45c0007c7ac400004001e9820a0900640a0901050b00979400000000450005a01234400040060daa0a0901050a0900640fa00054000003e8000000005010fffffe830000", 56),
    (5, 0, "4500009c432100003f01232e0a0a00fe0a0a00010301f53000000000450005c8123440003c1112cd0a0a00010a0a00109c4017c205b40000020400018000000000140024450005a01234400040060daa0a0901050a0900640fa00055000003e8000000005010fffffe820000", "45c000747adc00004001e9720a0900640a0901050301312500000000450005a01234400040060daa0a0901050a0900640fa00055000003e8000000005010fffffe820000", 48),
    (0, 0, "4500009c432100003f01232e0a0a00fe0a0a00010400443a00000000450005b4123440003c0412f30a0a00010a0a000b450005a01234400040060daa0a0901050a0900640fa00050000003e8000000005010fffffe870000", "45c000887ae900004001e9510a0900640a0901050400443a00000000450005a01234400040060daa0a0901050a0900640fa00050000003e8000000005010fffffe870000", 68),
    (0, 0, "4500004c432100003f01237e0a0a00fe0a0a00010301e92600000000450005b4123440003c0412f30a0a00010a0a000b450005a01234400040060daa0a0901050a0900640fa00050000003e8", "45c000387af300004001e9970a0900640a0901050301e92600000000450005a01234400040060daa0a0901050a0900640fa00050000003e8", 0),
    (0, 0, "45000048432100003f0123820a0a00fe0a0a00010301ed0e00000000450005b4123440003c0412f30a0a00010a0a000b450005a01234400040060daa0a0901050a0900640fa00050", "45c000347af400004001e99a0a0900640a0901050301ed0e00000000450005a01234400040060daa0a0901050a0900640fa00050", 0),
    (0, 1400, "4500009c432100003f01232e0a0a00fe0a0a00010304218c000005aa450005d2123440003c0412d50a0a00010a0a000b450005be1234400040060d8c0a0901050a0900640fa00050000003e8000000005010ffff1c880000", "45c000887b0700004001e9330a0900640a090105030421d200000564450005be1234400040060d8c0a0901050a0900640fa00050000003e8000000005010ffff1c880000", 68),
    (1, 1400, "4500009c432100003f01232e0a0a00fe0a0a00010304e254000005aa450005d6123440003c2f12a50a0a00010a0a000c00000800450005be1234400040060d8c0a0901050a0900640fa00051000003e8000000005010ffff1c870000", "45c000847b0d00004001e9310a0900640a0901050304ea9e00000560450005be1234400040060d8c0a0901050a0900640fa00051000003e8000000005010ffff1c870000", 64),
    (2, 1400, "4500009c432100003f01232e0a0a00fe0a0a00010304c217000005aa450005de123440003c1112ba0a0a00010a0a000d9c4017c005ca000000040000450005be1234400040060d8c0a0901050a0900640fa00052000003e8000000005010ffff1c860000", "45c0007c7b1300004001e9330a0900640a09010503047c3800000558450005be1234400040060d8c0a0901050a0900640fa00052000003e8000000005010ffff1c860000", 56),
    (3, 1400, "4500009c432100003f01232e0a0a00fe0a0a000103042a1b000005aa450005da123440003c2f129f0a0a00010a0a000e8000080001020000450005be1234400040060d8c0a0901050a0900640fa00053000003e8000000005010ffff1c850000", "45c000807b1800004001e92a0a0900640a0901050304b36b0000055c450005be1234400040060d8c0a0901050a0900640fa00053000003e8000000005010ffff1c850000", 60),
    (4, 1400, "4500009c432100003f01232e0a0a00fe0a0a00010304c216000005aa450005de123440003c1112b80a0a00010a0a000f9c4017c105ca000000040000450005be1234400040060d8c0a0901050a0900640fa00054000003e8000000005010ffff1c840000", "45c0007c7b2000004001e9260a0900640a09010503047c3800000558450005be1234400040060d8c0a0901050a0900640fa00054000003e8000000005010ffff1c840000", 56),
    (5, 1400, "4500009c432100003f01232e0a0a00fe0a0a00010304d165000005aa450005e6123440003c1112af0a0a00010a0a00109c4017c205d20000020400018000000000140024450005be1234400040060d8c0a0901050a0900640fa00055000003e8000000005010ffff1c830000", "45c000747b2600004001e9280a0900640a09010503040dd200000550450005be1234400040060d8c0a0901050a0900640fa00055000003e8000000005010ffff1c830000", 48),
    (0, 552, "4500009c432100003f01232e0a0a00fe0a0a00010304273600000000450005d2123440003c0412d50a0a00010a0a000b450005be1234400040060d8c0a0901050a0900640fa00050000003e8000000005010ffff1c880000", "45c000887b3300004001e9070a0900640a0901050304252200000214450005be1234400040060d8c0a0901050a0900640fa00050000003e8000000005010ffff1c880000", 68),
    (1, 552, "4500009c432100003f01232e0a0a00fe0a0a00010304e7ae00000050450005d6123440003c2f12a50a0a00010a0a000c00000800450005be1234400040060d8c0a0901050a0900640fa00051000003e8000000005010ffff1c870000", "45c000847b3500004001e9090a0900640a0901050304edee00000210450005be1234400040060d8c0a0901050a0900640fa00051000003e8000000005010ffff1c870000", 64),
];

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&OWN.0[..], &PEER.0, &[8, 0], packet].concat()
}

fn payload(hex: &str, len: usize) -> Vec<u8> {
    [unhex(hex), vec![b'd'; len]].concat()
}

fn frame(bytes: &[u8]) -> Frame {
    let mut frame = Frame::default();
    assert!(frame.fill(bytes, Offload::default(), PortId(3)));
    frame
}

fn read(bytes: &[u8]) -> Option<TunnelError> {
    TunnelError::read(bytes, Offload::default())
}

#[test]
fn relayed_as_by_the_kernel() {
    for (n, &(tunnel, path_mtu, error, relayed, len)) in RELAYED.iter().enumerate() {
        let mut frame = frame(&ethernet(&payload(error, len)));
        let read = read(frame.bytes()).unwrap();
        assert_eq!(read.to, Ip::v4([10, 10, 0, 1]));
        assert_eq!(read.remote, Ip::v4([10, 10, 0, 11 + tunnel as u8]));
        for (other, encapsulation) in TUNNELS.into_iter().enumerate() {
            // Of GRE it does not show whether there is to be a checksum.
            let same = tunnel == other || [tunnel, other] == [1, 3] || [tunnel, other] == [3, 1];
            assert_eq!(
                read.is_through(encapsulation),
                same,
                "row {n}, {encapsulation:?}"
            );
        }
        let (client, virt) = (&read.inner.src, &read.inner.dst);
        assert_eq!(client.to_string(), "10.9.1.5:4000");
        assert_eq!(virt.to_string(), format!("10.9.0.100:{}", 80 + tunnel));
        assert!(read.dont_fragment);

        assert!(read.relay(&mut frame, path_mtu));
        let mut expected = payload(relayed, len);
        let mut ours = frame.bytes()[14..].to_vec();
        assert_eq!(frame.bytes()[..14], ethernet(&[]));
        assert_eq!(checksum::of(&ours[..20]), 0);
        assert_eq!((ours[8], expected[8]), (65, 64), "it is forwarded yet");
        for packet in [&mut ours, &mut expected] {
            packet[4..6].fill(0); // identification, and the checksum
            packet[8] = 64;
            packet[10..12].fill(0);
        }
        assert_eq!(ours, expected, "row {n}");
    }
}

/// An error about an IPIP packet, with a right checksum after `change` of its message.
fn changed(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let (_, _, error, _, len) = RELAYED[0];
    let mut packet = payload(error, len);
    let mut message = packet.split_off(20);
    change(&mut message);
    message[2..4].fill(0);
    let sum = checksum::of(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let len = (20 + message.len()) as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet[10..12].fill(0);
    let sum = checksum::of(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(&[packet, message].concat())
}

#[test]
fn what_is_no_such_error_is_left_alone() {
    assert!(read(&changed(|_| {})).is_some());
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let changes: [(&str, Change<'_>); 12] = [
        ("redirect", &|m| m[0] = 5),
        ("parameter problem", &|m| m[0] = 12),
        ("echo reply", &|m| m[0] = 0),
        ("sent by another", &|m| m[8 + 15] = 2),
        ("a later fragment of the tunnel packet", &|m| m[8 + 7] = 1),
        ("of another protocol", &|m| m[8 + 9] = 50),
        ("with IPv6 inside", &|m| m[8 + 9] = 41),
        ("not IP inside", &|m| m[28] = 0x55),
        ("a later fragment inside", &|m| m[28 + 7] = 1),
        ("ICMP inside", &|m| m[28 + 9] = 1),
        ("without ports", &|m| m.truncate(28 + 23)),
        ("cut in the tunnel's header", &|m| m.truncate(20)),
    ];
    for (what, change) in changes {
        assert_eq!(read(&changed(change)), None, "{what}");
    }
    let mut bytes = changed(|_| {});
    bytes[14 + 20 + 60] ^= 1;
    assert_eq!(read(&bytes), None, "wrong checksum");
    let unchecked = Offload {
        flags: Offload::NEEDS_CSUM,
        ..Offload::default()
    };
    assert!(TunnelError::read(&bytes, unchecked).is_some());
    let mut bytes = changed(|_| {});
    bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
    assert_eq!(read(&bytes), None, "not IPv4");
    let (mut bytes, change) = (changed(|_| {}), 20);
    bytes[14 + 6] = 0x20;
    bytes[14 + 10..14 + 12].fill(0);
    let sum = checksum::of(&bytes[14..14 + change]);
    bytes[14 + 10..14 + 12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(read(&bytes), None, "a fragment");
}

#[test]
fn what_follows_the_quoted_packet_is_not_relayed() {
    let extended = changed(|m| {
        m[5] = 25; // a hundred bytes are quoted
        m.resize(8 + 100, 0);
        m.extend([0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0, 0]);
    });
    let mut frame = frame(&extended);
    assert!(read(&extended).unwrap().relay(&mut frame, 0));
    assert_eq!(frame.bytes().len(), 14 + 28 + 80);
    assert_eq!(frame.bytes()[14 + 20 + 4..14 + 28], [0; 4]);
}

#[test]
fn no_more_is_quoted_than_allowed() {
    let long = changed(|m| m.resize(1400, 7));
    let mut frame = frame(&long);
    assert!(read(&long).unwrap().relay(&mut frame, 0));
    assert_eq!(frame.bytes().len(), 14 + 576);
    assert_eq!(checksum::of(&frame.bytes()[34..]), 0);
}

#[test]
fn of_another_frame_nothing_is_made() {
    let error = read(&changed(|_| {})).unwrap();
    for len in [0, 13, 14, 60, 100] {
        let bytes = &changed(|_| {})[..len];
        let mut short = frame(bytes);
        assert!(!error.relay(&mut short, 0));
        assert_eq!(short.bytes(), bytes);
    }
    let mut moved = frame(&changed(|_| {}));
    assert!(moved.move_start(-(HEADROOM as isize)));
    assert!(
        error.relay(&mut moved, 0),
        "whatever is there, within bounds"
    );
}

proptest::proptest! {
    #[test]
    fn nothing_panics(
        row in 0..RELAYED.len(),
        noise in proptest::collection::vec((14usize..120, proptest::num::u8::ANY), 0..5),
        cut in 0usize..200,
        mtu in proptest::num::u32::ANY,
    ) {
        let (_, _, error, _, len) = RELAYED[row];
        let mut bytes = ethernet(&payload(error, len));
        for (at, value) in noise {
            if let Some(b) = bytes.get_mut(at) {
                *b = value;
            }
        }
        bytes.truncate(cut.max(bytes.len().saturating_sub(cut)));
        let unchecked = Offload {
            flags: Offload::NEEDS_CSUM,
            ..Offload::default()
        };
        let mut frame = frame(&bytes);
        for offload in [Offload::default(), unchecked] {
            if let Some(error) = TunnelError::read(&bytes, offload) {
                proptest::prop_assert!(error.relay(&mut frame, mtu));
                proptest::prop_assert!(frame.bytes().len() <= 14 + 576);
                proptest::prop_assert_eq!(checksum::of(&frame.bytes()[14..34]), 0);
                frame = self::frame(&bytes);
            }
        }
    }
}
