//! Messages as bytes: ours to the kernel, and the kernel's to us.

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;

/// The length of a message's header: length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// NLMSG_ERROR, which is also a plain acknowledgement.
const ERROR: u16 = 2;
/// NLMSG_DONE.
const DONE: u16 = 3;
/// Types below this are netlink's own.
const FIRST_KIND: u16 = 16;

/// A message to the kernel. Its sequence number is set when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request(Vec<u8>);

impl Request {
    /// From a message of rtnetlink; the flag that makes it a request is added.
    pub fn route(message: RouteNetlinkMessage, flags: u16) -> Self {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        Self::padded(bytes)
    }

    /// From a type and what follows the header; the flag that makes it a request is added.
    pub fn raw(kind: u16, flags: u16, payload: &[u8]) -> Self {
        let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend(length.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(payload);
        Self::padded(bytes)
    }

    /// What [`Self::as_bytes`] gave. `None` if it is not one whole message.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (message, rest) = Message::split(bytes)?;
        (rest.is_empty() && message.flags() & NLM_F_REQUEST != 0).then(|| Self(bytes.to_vec()))
    }

    /// The whole message, padded to a multiple of 4.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the message to what is to be sent, with a number and further flags.
    pub(super) fn write(&self, number: u32, flags: u16, to: &mut Vec<u8>) {
        // All constructors see to it that there is a header.
        let Some((header, payload)) = self.0.split_first_chunk::<HEADER>() else {
            return;
        };
        let mut header = *header;
        let flags = u16::from_ne_bytes([header[6], header[7]]) | flags;
        header[6..8].copy_from_slice(&flags.to_ne_bytes());
        header[8..12].copy_from_slice(&number.to_ne_bytes());
        to.extend(header);
        to.extend(payload);
    }

    fn padded(mut bytes: Vec<u8>) -> Self {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        Self(bytes)
    }
}

/// A message of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    header: &'a [u8; HEADER],
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message of a datagram, and what follows it. `None` at the end and at anything that is no message.
    pub(crate) fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let header = datagram.first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_ne_bytes(*header.first_chunk()?)).ok()?;
        let bytes = datagram.get(..length).filter(|m| m.len() >= HEADER)?;
        let rest = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some((Self { header, bytes }, rest))
    }

    /// The messages of a datagram.
    pub(super) fn all(mut datagram: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let (message, rest) = Self::split(datagram)?;
            datagram = rest;
            Some(message)
        })
    }

    /// Its type.
    pub fn kind(self) -> u16 {
        u16::from_ne_bytes([self.header[4], self.header[5]])
    }

    /// Its flags.
    pub fn flags(self) -> u16 {
        u16::from_ne_bytes([self.header[6], self.header[7]])
    }

    /// The number of the request that it answers.
    pub fn number(self) -> u32 {
        let [.., a, b, c, d, _, _, _, _] = *self.header;
        u32::from_ne_bytes([a, b, c, d])
    }

    /// What follows the header.
    pub fn payload(self) -> &'a [u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }

    /// Read as a message of rtnetlink. `None` if it is not understood (a newer kernel's).
    pub fn route(self) -> Option<RouteNetlinkMessage> {
        match NetlinkMessage::deserialize(self.bytes).ok()?.payload {
            NetlinkPayload::InnerMessage(inner) => Some(inner),
            _ => None,
        }
    }

    /// What the answer to a request ends with: an error's number, or 0. `None`: there is more to come.
    pub(super) fn end(self) -> Option<i32> {
        let code = self.payload().first_chunk().map(|c| i32::from_ne_bytes(*c));
        match self.kind() {
            ERROR | DONE => Some(code.unwrap_or(0).saturating_neg()),
            _ => None,
        }
    }

    /// Whether it is of the protocol spoken, and not netlink's own.
    pub(super) fn is_content(self) -> bool {
        self.kind() >= FIRST_KIND
    }
}
