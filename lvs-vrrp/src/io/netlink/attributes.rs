//! Attributes of the kernel's messages, read one by one: what is not known or not understood hinders nothing else.

/// The bits of an attribute's type that are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
const FLAGS: u16 = 0xc000;

/// The attributes of a message, or of an attribute that holds others: types and values.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & !FLAGS, value))
    })
}

/// A number of 32 bits.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|n| u32::from_ne_bytes(*n))
}

/// A text that ends at the first zero byte or the end.
pub(crate) fn text(value: &[u8]) -> String {
    let text = value.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_where_they_are_cut() {
        let mut bytes = Vec::new();
        bytes.extend(6u16.to_ne_bytes());
        bytes.extend(3u16.to_ne_bytes());
        bytes.extend(*b"a\0\0\0");
        bytes.extend(8u16.to_ne_bytes());
        bytes.extend((4u16 | 0x8000).to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        let read: Vec<_> = attributes(&bytes).collect();
        assert_eq!(read, [(3, &b"a\0"[..]), (4, &7u32.to_ne_bytes())]);
        assert_eq!((text(read[0].1), number(read[1].1)), ("a".into(), Some(7)));
        for cut in 8..bytes.len() {
            assert_eq!(attributes(&bytes[..cut]).count(), 1, "{cut}");
        }
        // A length below the header's would never end.
        assert_eq!(attributes(&[0; 8]).count(), 0);
        assert_eq!(attributes(&[3, 0, 0, 0]).count(), 0);
    }
}
