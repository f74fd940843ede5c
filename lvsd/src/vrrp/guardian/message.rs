//! What the guardian is told: a JSON object a packet.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use lvs_vrrp::io::socket::{Endpoint, HeaderV6, Protocol};
use serde::{Deserialize, Serialize};

/// The longest packet; the kernel's buffers hold no more either.
pub(super) const LONGEST: usize = 256 << 10;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// What is to be sent for a virtual router from now on; nothing if it is not master.
    LastWords {
        /// Its number.
        router: u32,
        /// All of them.
        words: Vec<Word>,
    },
    /// All has been given back: there is nothing to guard.
    Bye,
}

/// An advertisement by which a master steps down, and how it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::vrrp) struct Word {
    interface: Option<NonZeroU32>,
    local: IpAddr,
    source: Option<Ipv6Addr>,
    hop_limit: Option<u8>,
    pub(super) to: IpAddr,
    pub(super) bytes: Vec<u8>,
}

impl Message {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None`: it is none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl Word {
    /// That goes this way.
    pub(in crate::vrrp) fn new(
        (endpoint, header): (Endpoint, HeaderV6),
        to: IpAddr,
        bytes: Vec<u8>,
    ) -> Self {
        Self {
            interface: endpoint.interface,
            local: endpoint.local,
            source: header.source,
            hop_limit: header.hop_limit,
            to,
            bytes,
        }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint {
            protocol: Protocol::Vrrp, // those of AH have a sequence number, and cannot be made in advance
            interface: self.interface,
            local: self.local,
        }
    }

    pub(super) fn header(&self) -> HeaderV6 {
        HeaderV6 {
            source: self.source,
            hop_limit: self.hop_limit,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    pub(in crate::vrrp::guardian) fn word(last: u8) -> Word {
        let endpoint = Endpoint {
            protocol: Protocol::Vrrp,
            interface: NonZeroU32::new(7),
            local: Ipv4Addr::new(224, 0, 0, 18).into(),
        };
        let header = HeaderV6 {
            source: Some(Ipv6Addr::LOCALHOST),
            hop_limit: Some(3),
        };
        let to = Ipv4Addr::new(224, 0, 0, last).into();
        Word::new((endpoint, header), to, vec![0x31, 7, 0, last])
    }

    #[test]
    fn what_is_told_is_understood() {
        let words = vec![word(18), word(19)];
        let messages = [Message::LastWords { router: 9, words }, Message::Bye];
        for message in messages {
            let bytes = message.to_bytes();
            assert_eq!(Message::from_bytes(&bytes), Some(message));
            let cut = bytes.get(..bytes.len() - 1).unwrap();
            assert_eq!(Message::from_bytes(cut), None);
        }
        let word = word(18);
        assert_eq!(word.endpoint().interface, NonZeroU32::new(7));
        assert_eq!(word.header().source, Some(Ipv6Addr::LOCALHOST));
        assert_eq!(word.header().hop_limit, Some(3));
    }

    #[test]
    fn the_longest_last_words_fit() {
        let mut long = word(18);
        long.bytes = vec![255; 4400]; // 255 addresses of IPv6
        let words = vec![long; 10];
        let message = Message::LastWords { router: 1, words };
        assert!(message.to_bytes().len() < LONGEST);
    }
}
