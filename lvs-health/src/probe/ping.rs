//! An ICMP echo (RFC 792, RFC 4443), over a datagram ICMP socket.
//!
//! Such a socket gives and takes messages without their IP header. The kernel fills in the identifier and the checksum of
//! what is sent, and passes on only answers with that identifier. So an answer is known by its sequence number and its
//! payload; whatever else comes is left alone.
//!
//! Memory: none of the peer's.

use super::{Passed, Probe, Progress, Reason, Verdict};

/// One run of `PING_CHECK`.
#[derive(Clone, Debug)]
pub struct Ping {
    types: Types,
    sequence: u16,
    payload: [u8; PAYLOAD],
}

/// As long as what ping sends.
const PAYLOAD: usize = 56;

#[derive(Clone, Copy, Debug)]
struct Types {
    request: u8,
    reply: u8,
}

impl Ping {
    /// To an address of IPv6, or else of IPv4. `random` tells the answer from those to other pings.
    pub fn new(v6: bool, random: u64) -> Self {
        let types = match v6 {
            false => Types {
                request: 8,
                reply: 0,
            },
            true => Types {
                request: 128,
                reply: 129,
            },
        };
        let mut payload = *b"................lvsd health check.......................";
        for (place, byte) in payload.iter_mut().zip(random.to_be_bytes()) {
            *place = byte;
        }
        Self {
            types,
            sequence: (random >> 16 ^ random) as u16,
            payload,
        }
    }

    fn is_reply(&self, message: &[u8]) -> bool {
        let Some((&[kind, code, _, _, _, _, high, low], payload)) = message.split_first_chunk()
        else {
            return false;
        };
        kind == self.types.reply
            && code == 0
            && u16::from_be_bytes([high, low]) == self.sequence
            && payload == self.payload
    }
}

impl Probe for Ping {
    fn opened(&mut self, out: &mut Vec<u8>) -> Progress {
        let [high, low] = self.sequence.to_be_bytes();
        out.extend_from_slice(&[self.types.request, 0, 0, 0, 0, 0, high, low]);
        out.extend_from_slice(&self.payload);
        Progress::More
    }

    fn received(&mut self, message: &[u8], _: &mut Vec<u8>) -> Progress {
        match self.is_reply(message) {
            true => Progress::Done(Ok(Passed::Plainly)),
            false => Progress::More,
        }
    }

    fn closed(&mut self) -> Verdict {
        Err(Reason::Closed.into())
    }

    fn expired(&mut self) -> Verdict {
        Err(Reason::AnswerTimeout.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(v6: bool) -> (Ping, Vec<u8>) {
        let mut ping = Ping::new(v6, 0x0123_4567_89ab_cdef);
        let mut out = Vec::new();
        assert_eq!(ping.opened(&mut out), Progress::More);
        (ping, out)
    }

    #[test]
    fn echo() {
        for (v6, request, reply) in [(false, 8, 0), (true, 128, 129)] {
            let (mut ping, mut message) = asked(v6);
            assert_eq!(message.len(), 64);
            assert_eq!(message[..2], [request, 0]);
            message[0] = reply;
            // The kernel fills in checksum and identifier.
            message[2..6].copy_from_slice(&[1, 2, 3, 4]);
            let progress = ping.received(&message, &mut Vec::new());
            assert_eq!(progress, Progress::Done(Ok(Passed::Plainly)));
        }
    }

    #[test]
    fn what_is_no_answer_of_ours_is_left_alone() {
        let (mut ping, request) = asked(false);
        let mut reply = request.clone();
        reply[0] = 0;
        let mut others = vec![request, reply[..63].to_vec(), Vec::new(), vec![0; 8]];
        for at in [0, 1, 6, 7, 8, 63] {
            let mut other = reply.clone();
            other[at] ^= 1;
            others.push(other);
        }
        others.push([&reply[..], b"more"].concat());
        for other in others {
            let progress = ping.received(&other, &mut Vec::new());
            assert_eq!(progress, Progress::More, "{other:?}");
        }
        let failure = ping.expired().unwrap_err();
        assert_eq!(failure.reason, Reason::AnswerTimeout);
    }

    #[test]
    fn pings_differ() {
        let (_, one) = asked(false);
        let mut two = Vec::new();
        Ping::new(false, 2).opened(&mut two);
        assert!(one[6..8] != two[6..8] && one[8..] != two[8..]);
    }
}
