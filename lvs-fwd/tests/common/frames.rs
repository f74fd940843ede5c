//! Frames from their parts.

use lvs_core::Ip;

/// An Ethernet frame around an IP packet of either version.
pub(crate) fn ethernet(dst: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let kind = if packet[0] >> 4 == 4 {
        0x0800_u16
    } else {
        0x86dd
    };
    let mut frame = [&dst[..], &[2, 0, 0, 0, 0, 9], &kind.to_be_bytes(), packet].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// What part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    First,
    Later,
}

/// An IP packet; its version follows from the addresses.
pub(crate) fn packet(src: Ip, dst: Ip, protocol: u8, part: Part, payload: &[u8]) -> Vec<u8> {
    match (src.as_v4(), dst.as_v4()) {
        (Some(s), Some(d)) => ipv4(s, d, protocol, part, payload),
        _ => ipv6(src, dst, &[], protocol, part, payload),
    }
}

fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, part: Part, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let fragment: u16 = match part {
        Part::Whole => 0x4000, // don't fragment
        Part::First => 0x2000,
        Part::Later => 0x0001,
    };
    let mut header = vec![0x45, 0];
    header.extend(total.to_be_bytes());
    header.extend([0x12, 0x34]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0]);
    header.extend(src.iter().chain(&dst));
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(payload);
    header
}

/// An IPv6 packet with extension headers (protocol numbers of eight-byte option headers) in front.
pub(crate) fn ipv6(
    src: Ip,
    dst: Ip,
    options: &[u8],
    protocol: u8,
    part: Part,
    payload: &[u8],
) -> Vec<u8> {
    let mut chain: Vec<(u8, Vec<u8>)> = options
        .iter()
        .map(|&o| (o, vec![0, 0, 1, 4, 0, 0, 0, 0]))
        .collect();
    let fragment = |field: u16| {
        let [a, b] = field.to_be_bytes();
        (44, vec![0, 0, a, b, 0, 0, 0, 7])
    };
    match part {
        Part::Whole => {}
        Part::First => chain.push(fragment(0b111)), // reserved bits set as well
        Part::Later => chain.push(fragment(1 << 3)),
    }
    let mut next = protocol;
    let mut body = Vec::new();
    for (number, mut header) in chain.into_iter().rev() {
        header[0] = next;
        next = number;
        body.splice(0..0, header);
    }
    body.extend(payload);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(src.bytes());
    packet.extend(dst.bytes());
    packet.extend(body);
    packet
}

/// The start of a TCP or UDP header with these ports: enough for whoever only looks at those.
pub(crate) fn transport(sport: u16, dport: u16) -> Vec<u8> {
    let mut bytes = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    bytes.extend([
        0, 12, 0, 0, 0x50, 0x50, 0x50, 0x50, 0x50, 0x10, 0, 0, 0, 0, 0, 0,
    ]);
    bytes
}

/// An ICMP or ICMPv6 "port unreachable" that quotes a packet, from `src` to `dst`.
pub(crate) fn unreachable(src: Ip, dst: Ip, quoted: &[u8]) -> Vec<u8> {
    let v4 = src.is_v4();
    let (protocol, kind, code) = if v4 { (1, 3, 3) } else { (58, 1, 4) };
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend(quoted);
    let sum = if v4 {
        checksum(&message)
    } else {
        let len = (message.len() as u32).to_be_bytes();
        let pseudo = [
            &src.bytes()[..],
            dst.bytes(),
            &len,
            &[0, 0, 0, 58],
            &message,
        ];
        checksum(&pseudo.concat())
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    packet(src, dst, protocol, Part::Whole, &message)
}

/// A UDP datagram with a valid checksum.
pub(crate) fn udp(src: Ip, sport: u16, dst: Ip, dport: u16, data: &[u8]) -> Vec<u8> {
    let len = (8 + data.len()) as u16;
    let mut datagram = [sport, dport, len, 0].map(u16::to_be_bytes).concat();
    datagram.extend(data);
    let ends = match (src.as_v4(), dst.as_v4()) {
        (Some(s), Some(d)) => [s, d].concat(),
        _ => [*src.bytes(), *dst.bytes()].concat(),
    };
    let pseudo = [&ends[..], &[0, 17], &len.to_be_bytes(), &datagram].concat();
    let sum = checksum(&pseudo);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    packet(src, dst, 17, Part::Whole, &datagram)
}

fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|c| u32::from(u16::from_be_bytes([c[0], *c.get(1).unwrap_or(&0)])))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}
