//! MD5 sums of pages, as `digest` and genhash write them: 32 hexadecimal digits.
//!
//! MD5 (RFC 1321) tells pages apart that differ by accident. Against somebody who wants two pages to look the same it is
//! worth nothing; it is what existing configurations hold.

use std::fmt;

use md5::{Digest as _, Md5};

/// An MD5 sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// The sum of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Sum::default();
        sum.add(bytes);
        sum.finish()
    }

    /// Reads 32 hexadecimal digits, of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut sum = [0; 16];
        if text.len() != 32 {
            return None;
        }
        for (byte, pair) in sum.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = pair.iter().try_fold(0, |high, &digit| {
                let low = char::from(digit).to_digit(16)?;
                Some(high << 4 | low as u8)
            })?;
        }
        Some(Self(sum))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A sum in the making.
#[derive(Clone, Default)]
pub(crate) struct Sum(Md5);

impl Sum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sum(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321, appendix A.5.
    #[test]
    fn test_suite_of_the_rfc() {
        for (text, sum) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ] {
            assert_eq!(Digest::of(text.as_bytes()).to_string(), sum);
            assert_eq!(Digest::from_hex(sum), Some(Digest::of(text.as_bytes())));
        }
    }

    #[test]
    fn hexadecimal_digits() {
        let upper = Digest::from_hex("D41D8CD98F00B204E9800998ECF8427E");
        assert_eq!(upper, Some(Digest::of(b"")));
        for wrong in [
            "",
            "d41d8cd98f00b204e9800998ecf8427",
            "d41d8cd98f00b204e9800998ecf8427e0",
            "d41d8cd98f00b204e9800998ecf8427g",
            "+41d8cd98f00b204e9800998ecf8427e",
            "d41d8cd98f00b204e9800998ecf84é7",
        ] {
            assert_eq!(Digest::from_hex(wrong), None, "{wrong}");
        }
    }
}
