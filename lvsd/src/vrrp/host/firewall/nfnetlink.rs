//! nftables' messages as bytes.
//!
//! Changes go in batches, of which the kernel carries out all or nothing. What the messages say is in [`super::table`].

use lvs_vrrp::io::netlink::Request;
use lvs_vrrp::io::netlink::core::{NLM_F_APPEND, NLM_F_CREATE};

/// What a message asks for (NFT_MSG_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    NewTable = 0,
    GetTable = 1,
    DeleteTable = 2,
    NewChain = 3,
    NewRule = 6,
    NewSet = 9,
    NewElements = 12,
    DeleteElements = 14,
}

/// The family of a table (NFPROTO_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Protocol {
    Ip = 2,
    Ip6 = 10,
}

/// Attributes, one behind the other; numbers are in network order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// One element after the other (NFTA_LIST_ELEM).
    pub(super) fn list(elements: impl IntoIterator<Item = Self>) -> Self {
        let elements = elements.into_iter();
        elements.fold(Self::default(), |list, element| list.nested(1, element))
    }

    /// Bytes to compare with (NFTA_DATA_VALUE).
    pub(super) fn data(value: &[u8]) -> Self {
        Self::default().bytes(1, value)
    }

    /// Adds bytes.
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let len = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a number.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds a text with a zero at its end.
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds attributes that belong together.
    pub(super) fn nested(self, kind: u16, inner: Self) -> Self {
        const NESTED: u16 = 1 << 15;
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// NFNL_SUBSYS_NFTABLES.
const NFTABLES: u16 = 10;
/// NFNL_MSG_BATCH_*.
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// The part after the header that all of netfilter's messages have: family, version, subsystem.
const GENERAL: usize = 4;

/// A message about tables of a family.
pub(super) fn message(verb: Verb, protocol: Protocol, attributes: Attributes) -> Request {
    let flags = match verb {
        Verb::NewTable | Verb::NewChain | Verb::NewSet | Verb::NewElements => NLM_F_CREATE,
        Verb::NewRule => NLM_F_CREATE | NLM_F_APPEND,
        Verb::GetTable | Verb::DeleteTable | Verb::DeleteElements => 0,
    };
    let payload = [&[protocol as u8, 0, 0, 0], attributes.0.as_slice()].concat();
    Request::raw(NFTABLES << 8 | verb as u16, flags, &payload)
}

/// Messages of which all are to be carried out, or none.
pub(super) fn batch(messages: Vec<Request>) -> Vec<Request> {
    let [high, low] = NFTABLES.to_be_bytes();
    let boundary = |kind| Request::raw(kind, 0, &[0, 0, high, low]);
    let mut batch = vec![boundary(BATCH_BEGIN)];
    batch.extend(messages);
    batch.push(boundary(BATCH_END));
    batch
}

/// The value of an attribute in what the kernel tells.
pub(super) fn value(payload: &[u8], wanted: u16) -> Option<&[u8]> {
    const KIND: u16 = 0x3fff;
    let mut attributes = payload.get(GENERAL..)?;
    while let Some(&[l0, l1, k0, k1]) = attributes.first_chunk::<4>() {
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = attributes.get(4..len)?;
        if u16::from_ne_bytes([k0, k1]) & KIND == wanted {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
    None
}
