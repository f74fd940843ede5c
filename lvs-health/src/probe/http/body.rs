//! The body of an answer without its framing (RFC 9112, section 7.1).

use super::head::Framing;
use crate::probe::shown::shown;
use crate::probe::{Failure, Reason};

/// How much may stand beside the data of each chunk: more is no chunk extension that anybody needs.
const MAX_CHUNK_LINE: usize = 4096;

/// What comes next of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Bytes of it.
    Data(&'a [u8]),
    /// More must come before there is more to say.
    More,
    /// It is complete.
    End,
}

impl<'a> Piece<'a> {
    fn of(data: &'a [u8]) -> Self {
        match data {
            [] => Self::More,
            data => Self::Data(data),
        }
    }
}

/// Takes the framing off.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::NoBody => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Takes the next piece from the front of `bytes`. Nothing behind the end is taken.
    ///
    /// # Errors
    ///
    /// The framing is broken.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Piece<'a>, Failure> {
        match self {
            Self::Length(0) => Ok(Piece::End),
            Self::Length(left) => Ok(Piece::of(take(bytes, left))),
            Self::Chunked(chunks) => chunks.next(bytes),
            Self::UntilClose => Ok(Piece::of(std::mem::take(bytes))),
        }
    }

    /// Whether it is complete if the peer closes here.
    pub(super) fn may_end(&self) -> bool {
        matches!(self, Self::UntilClose)
    }
}

/// At most as much as is `left`.
fn take<'a>(bytes: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let len = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    let (data, rest) = bytes.split_at(len);
    *bytes = rest;
    *left -= len as u64;
    data
}

/// Takes chunks apart. The trailer behind the last one is not waited for.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    place: Place,
    /// The size that the line names so far.
    size: Option<u64>,
    /// How much stands beside the data of this chunk so far.
    beside: usize,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the digits that a chunk begins with.
    Size,
    /// Behind them, in their line.
    Extension,
    /// In the data, of which this much is left.
    Data(u64),
    /// In the line end behind the data.
    AfterData,
    /// Behind the last chunk.
    End,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            place: Place::Size,
            size: None,
            beside: 0,
        }
    }
}

impl Chunks {
    fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Piece<'a>, Failure> {
        loop {
            match &mut self.place {
                Place::End => return Ok(Piece::End),
                Place::Data(0) => self.place = Place::AfterData,
                Place::Data(left) => return Ok(Piece::of(take(bytes, left))),
                _ => {
                    let Some((&byte, rest)) = bytes.split_first() else {
                        return Ok(Piece::More);
                    };
                    *bytes = rest;
                    self.place = self.after(byte)?;
                }
            }
        }
    }

    /// Where a byte that is no data leads to.
    fn after(&mut self, byte: u8) -> Result<Place, Failure> {
        self.beside += 1;
        if self.beside > MAX_CHUNK_LINE {
            return Err(Failure::new(
                Reason::TooLong,
                "a chunk with a long extension",
            ));
        }
        match (self.place, byte) {
            (Place::AfterData, b'\r') => Ok(Place::AfterData),
            (Place::AfterData, b'\n') => {
                *self = Self::default();
                Ok(Place::Size)
            }
            (Place::Size | Place::Extension, b'\n') => match self.size.take() {
                Some(0) => Ok(Place::End),
                Some(size) => Ok(Place::Data(size)),
                None => Err(malformed(byte)),
            },
            (Place::Size, _) => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    let size = self.size.unwrap_or(0);
                    self.size = Some(size.saturating_mul(16).saturating_add(digit.into()));
                    Ok(Place::Size)
                }
                None if self.size.is_some() && matches!(byte, b'\r' | b';' | b' ' | b'\t') => {
                    Ok(Place::Extension)
                }
                None => Err(malformed(byte)),
            },
            (Place::Extension, _) => Ok(Place::Extension),
            _ => Err(malformed(byte)),
        }
    }
}

fn malformed(byte: u8) -> Failure {
    let detail = format!("chunks of the body: {} is out of place", shown(&[byte]));
    Failure::new(Reason::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, whether it is complete, and how much follows.
    fn decode(framing: Framing, mut bytes: &[u8]) -> Result<(Vec<u8>, bool, usize), Failure> {
        let (mut body, mut data) = (Body::new(framing), Vec::new());
        loop {
            match body.next(&mut bytes)? {
                Piece::Data(more) => data.extend_from_slice(more),
                Piece::More => return Ok((data, false, bytes.len())),
                Piece::End => return Ok((data, true, bytes.len())),
            }
        }
    }

    #[test]
    fn bodies() {
        for (framing, bytes, data, complete, rest) in [
            (Framing::NoBody, "more", "", true, 4),
            (Framing::Length(4), "bodymore", "body", true, 4),
            (Framing::Length(4), "bod", "bod", false, 0),
            (Framing::Length(u64::MAX), "body", "body", false, 0),
            (Framing::UntilClose, "body", "body", false, 0),
            (Framing::Chunked, "4\r\nbody\r\n0\r\n", "body", true, 0),
            (
                Framing::Chunked,
                "2\nbo\n002\ndy\n0\nX: y\n",
                "body",
                true,
                5,
            ),
            (
                Framing::Chunked,
                "A;x=\"y\"\r\n0123456789\r\na \r\n0123456789\r\n0;\r\n",
                "01234567890123456789",
                true,
                0,
            ),
            (Framing::Chunked, "4\r\nbody\r\n", "body", false, 0),
            (Framing::Chunked, "4\r\nbo", "bo", false, 0),
        ] {
            let found = decode(framing, bytes.as_bytes()).unwrap();
            assert_eq!(found, (data.as_bytes().to_vec(), complete, rest), "{bytes}");
        }
    }

    #[test]
    fn broken_chunks() {
        for bytes in ["\r\n", "x", "-1\r\n", ";\r\n", "1\r\nab\r\n", "0x4\r\n"] {
            let failure = decode(Framing::Chunked, bytes.as_bytes()).unwrap_err();
            assert_eq!(failure.reason, Reason::Malformed, "{bytes:?}");
        }
        for endless in ["0".repeat(9000), format!("1;{}", "x".repeat(9000))] {
            let failure = decode(Framing::Chunked, endless.as_bytes()).unwrap_err();
            assert_eq!(failure.reason, Reason::TooLong);
        }
        // A size beyond all numbers is the largest.
        for huge in ["f".repeat(40), format!("1{}", "0".repeat(16))] {
            let found = decode(Framing::Chunked, format!("{huge}\r\nbody").as_bytes());
            assert_eq!(found.unwrap(), (b"body".to_vec(), false, 0));
        }
    }
}
