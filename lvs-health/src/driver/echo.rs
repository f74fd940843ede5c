//! ICMP echo over a raw socket, as a datagram ICMP socket would do it.
//!
//! Datagram ICMP sockets are only for groups that `net.ipv4.ping_group_range` names, by default for none, not even root's.
//! Root may have raw ones. There the identifier and the checksum are ours to fill in, IPv4 answers come with their IP header,
//! and everybody's answers come to all.

use std::os::fd::AsFd;

use socket2::Socket;

use super::sys;

/// Linux's option of raw ICMP sockets: which types are kept out, a bit each.
const ICMP_FILTER: i32 = 1;
const ECHO_REPLY: i32 = 0;

/// The identifier that tells our answers from others.
#[derive(Debug)]
pub(super) struct Echo {
    id: [u8; 2],
    v4: bool,
}

impl Echo {
    pub(super) fn new(socket: &Socket, random: u64) -> Self {
        let v4 = socket.domain().is_ok_and(|d| d == socket2::Domain::IPV4);
        if v4 {
            let keep_out = !(1 << ECHO_REPLY);
            let _ = sys::set_option(socket.as_fd(), libc::SOL_RAW, ICMP_FILTER, keep_out);
        }
        Self {
            id: (random as u16).to_be_bytes(),
            v4,
        }
    }

    /// Fills in what a raw socket leaves to us. The kernel computes ICMPv6's checksum itself.
    pub(super) fn complete(&self, message: &mut [u8]) {
        let Some(header) = message.first_chunk_mut::<8>() else {
            return;
        };
        header[4..6].copy_from_slice(&self.id);
        if self.v4 {
            header[2..4].copy_from_slice(&[0, 0]);
            let sum = checksum(message);
            if let Some(place) = message.get_mut(2..4) {
                place.copy_from_slice(&sum);
            }
        }
    }

    /// The ICMP message of a packet, if it has our identifier.
    pub(super) fn answer<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        let message = match self.v4 {
            true => {
                let words = packet.first()? & 0x0f;
                packet.get(usize::from(words) * 4..)?
            }
            false => packet,
        };
        (message.get(4..6)? == self.id).then_some(message)
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(message: &[u8]) -> [u8; 2] {
    let words = message.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_completed_and_its_answer_known() {
        let echo = Echo {
            id: [0xab, 0xcd],
            v4: true,
        };
        // RFC 1071's rule: the sum over all, checksum included, is zero.
        for len in [8, 9, 64] {
            let mut message = vec![0x5a; len];
            echo.complete(&mut message);
            assert_eq!(message[4..6], [0xab, 0xcd]);
            assert_eq!(checksum(&message), [0, 0], "{len}");
            for words in [5, 15] {
                let mut packet = vec![0x40 | words as u8];
                packet.resize(words * 4, 0);
                packet.extend_from_slice(&message);
                assert_eq!(echo.answer(&packet), Some(&message[..]));
            }
        }
        let mut short = [1; 7];
        echo.complete(&mut short);
        assert_eq!(short, [1; 7]);
    }

    #[test]
    fn what_is_not_ours_is_none() {
        let echo = Echo {
            id: [1, 2],
            v4: true,
        };
        for packet in [&[][..], &[0x4f; 20], &[0x45; 28], &[0x45]] {
            assert_eq!(echo.answer(packet), None, "{packet:?}");
        }
        let v6 = Echo {
            id: [1, 2],
            v4: false,
        };
        assert_eq!(
            v6.answer(&[129, 0, 0, 0, 1, 2]),
            Some(&[129, 0, 0, 0, 1, 2][..])
        );
        assert_eq!(v6.answer(&[129, 0, 0, 0, 1, 3]), None);
        assert_eq!(v6.answer(&[129, 0, 0]), None);
    }
}
