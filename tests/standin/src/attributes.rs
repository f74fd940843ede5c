//! Netlink messages, read and written.
//!
//! A message is a header of 16 bytes, a generic netlink header of 4 (the command is its first byte), and
//! attributes: length, type, value, filled up to 4 bytes. Numbers are in the machine's order but for ports,
//! addresses and masks.

const MESSAGE_HEADER: usize = 16;
const GENERIC_HEADER: usize = 4;
const NESTED: u16 = 0x8000;
const TYPE: u16 = 0x3fff;

/// Attributes of a message or of a nested attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The command of a generic netlink message, whether all entries are asked for, and its attributes.
    pub fn of_message(message: &'a [u8]) -> Option<(u8, bool, Self)> {
        const NLM_F_DUMP: u16 = 0x300;
        let flags = u16::from_ne_bytes(message.get(6..8)?.try_into().ok()?);
        let command = *message.get(MESSAGE_HEADER)?;
        let rest = message.get(MESSAGE_HEADER + GENERIC_HEADER..)?;
        Some((command, flags & NLM_F_DUMP == NLM_F_DUMP, Self(rest)))
    }

    /// The value of an attribute. The last one counts, as in the kernel.
    pub fn get(self, kind: u16) -> Option<&'a [u8]> {
        let mut found = None;
        let mut rest = self.0;
        while let Some(header) = rest.first_chunk::<4>() {
            let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
            let Some(value) = rest.get(4..length) else {
                break;
            };
            if u16::from_ne_bytes([header[2], header[3]]) & TYPE == kind {
                found = Some(value);
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        found
    }

    /// The attributes inside an attribute.
    pub fn nested(self, kind: u16) -> Option<Self> {
        self.get(kind).map(Self)
    }

    /// A value of a fixed size, cut or filled up with zeros.
    pub fn bytes<const N: usize>(self, kind: u16) -> Option<[u8; N]> {
        let value = self.get(kind)?;
        Some(std::array::from_fn(|i| {
            value.get(i).copied().unwrap_or_default()
        }))
    }

    /// A number of 8 bits.
    pub fn u8(self, kind: u16) -> Option<u8> {
        self.bytes(kind).map(u8::from_ne_bytes)
    }

    /// A number of 16 bits.
    pub fn u16(self, kind: u16) -> Option<u16> {
        self.bytes(kind).map(u16::from_ne_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(self, kind: u16) -> Option<u32> {
        self.bytes(kind).map(u32::from_ne_bytes)
    }

    /// A text, up to its first zero byte.
    pub fn text(self, kind: u16) -> Option<String> {
        let value = self.get(kind)?;
        let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
        Some(String::from_utf8_lossy(&value[..end]).into_owned())
    }
}

/// A message, or a nested attribute's value, in the making.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an attribute.
    #[must_use]
    pub fn put(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).expect("attributes are short");
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Appends an attribute that ends in a zero byte.
    #[must_use]
    pub fn put_text(self, kind: u16, value: &str) -> Self {
        self.put(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Appends attributes inside an attribute.
    #[must_use]
    pub fn put_nested(self, kind: u16, inner: &Self) -> Self {
        self.put(kind | NESTED, &inner.0)
    }

    /// The whole message, from its header on.
    pub fn message(&self, command: u8) -> Vec<u8> {
        let length = MESSAGE_HEADER + GENERIC_HEADER + self.0.len();
        let mut message = Vec::with_capacity(length);
        message.extend(
            u32::try_from(length)
                .expect("messages are short")
                .to_ne_bytes(),
        );
        message.resize(MESSAGE_HEADER, 0);
        message.extend([command, 1, 0, 0]);
        message.extend(&self.0);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Writer::new().put_text(6, "wlc").put(4, &[0, 80]);
        let message = Writer::new()
            .put_nested(1, &inner)
            .put(4, &7u32.to_ne_bytes());
        let message = message.message(9);
        let (command, dump, attributes) = Attributes::of_message(&message).expect("it is whole");
        assert_eq!((command, dump), (9, false));
        assert_eq!(attributes.u32(4), Some(7));
        let inner = attributes.nested(1).expect("it is there");
        assert_eq!(inner.text(6).as_deref(), Some("wlc"));
        assert_eq!(inner.bytes(4), Some([0, 80]));
        assert_eq!(inner.get(5), None);
    }

    #[test]
    fn a_cut_message_has_no_attributes() {
        assert!(Attributes::of_message(&[0; 19]).is_none());
        assert_eq!(Attributes(&[9, 0, 1, 0, 0]).get(1), None);
    }
}
