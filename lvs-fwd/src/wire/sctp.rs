//! SCTP (RFC 9260): the common header, and what a packet's first chunk means to a balancer.

use lvs_core::Chunk;

use super::{be16, be32, put};
use crate::checksum::Crc32c;

/// Length of the common header.
pub const HEADER_LEN: usize = 12;
/// Length of a chunk's header.
pub const CHUNK_HEADER_LEN: usize = 4;

/// Offsets.
pub mod field {
    /// Source port, 16 bits.
    pub const SRC_PORT: usize = 0;
    /// Destination port, 16 bits.
    pub const DST_PORT: usize = 2;
    /// Verification tag, 32 bits.
    pub const TAG: usize = 4;
    /// CRC32c over the packet with this field zero, 32 bits, the least significant byte first.
    pub const CHECKSUM: usize = 8;
}

/// Chunk types (RFC 9260 section 3.2).
pub mod chunk {
    /// INIT.
    pub const INIT: u8 = 1;
    /// INIT ACK.
    pub const INIT_ACK: u8 = 2;
    /// ABORT.
    pub const ABORT: u8 = 6;
    /// SHUTDOWN.
    pub const SHUTDOWN: u8 = 7;
    /// SHUTDOWN ACK.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// ERROR.
    pub const ERROR: u8 = 9;
    /// COOKIE ECHO.
    pub const COOKIE_ECHO: u8 = 10;
    /// COOKIE ACK.
    pub const COOKIE_ACK: u8 = 11;
    /// SHUTDOWN COMPLETE.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// A view of the common header and the header of the first chunk.
#[derive(Clone, Copy, Debug)]
pub struct Sctp<'a> {
    header: &'a [u8; HEADER_LEN],
    first: &'a [u8; CHUNK_HEADER_LEN],
    /// What follows the first chunk's header.
    rest: &'a [u8],
}

impl<'a> Sctp<'a> {
    /// The headers at the start of `packet`, or `None` if that is too short for them: a packet has at least one
    /// chunk.
    pub fn new(packet: &'a [u8]) -> Option<Self> {
        let (header, chunks) = packet.split_first_chunk()?;
        let (first, rest) = chunks.split_first_chunk()?;
        Some(Self {
            header,
            first,
            rest,
        })
    }

    /// Source port.
    pub fn src_port(&self) -> u16 {
        be16(self.header, field::SRC_PORT)
    }

    /// Destination port.
    pub fn dst_port(&self) -> u16 {
        be16(self.header, field::DST_PORT)
    }

    /// Verification tag.
    pub fn tag(&self) -> u32 {
        be32(self.header, field::TAG)
    }

    /// The first chunk's type.
    pub fn first_type(&self) -> u8 {
        self.first[0]
    }

    /// What comes behind the first chunk's header, further chunks included.
    pub fn first_value(&self) -> &'a [u8] {
        self.rest
    }

    /// What the packet does to a connection. That is the first chunk's affair, but for an ABORT bundled behind a
    /// COOKIE ECHO or COOKIE ACK (IPVS); one whose length cannot be, or that the packet ends in, has nothing behind
    /// it.
    pub fn chunk(&self) -> Chunk {
        match self.first_type() {
            chunk::COOKIE_ECHO | chunk::COOKIE_ACK if self.second_type() == Some(chunk::ABORT) => {
                Chunk::Abort
            }
            chunk::INIT => Chunk::Init,
            chunk::INIT_ACK => Chunk::InitAck,
            chunk::ABORT => Chunk::Abort,
            chunk::SHUTDOWN => Chunk::Shutdown,
            chunk::SHUTDOWN_ACK => Chunk::ShutdownAck,
            chunk::ERROR => Chunk::Error,
            chunk::COOKIE_ECHO => Chunk::CookieEcho,
            chunk::COOKIE_ACK => Chunk::CookieAck,
            chunk::SHUTDOWN_COMPLETE => Chunk::ShutdownComplete,
            _ => Chunk::Data,
        }
    }

    /// The type of the chunk behind the first, which is padded to whole words; its header must all be there.
    fn second_type(&self) -> Option<u8> {
        let len = usize::from(be16(self.first, 2));
        let value_len = len.next_multiple_of(4).checked_sub(CHUNK_HEADER_LEN)?;
        if len < CHUNK_HEADER_LEN {
            return None;
        }
        let second: &[u8; CHUNK_HEADER_LEN] = self.rest.get(value_len..)?.first_chunk()?;
        Some(second[0])
    }
}

/// A packet of one chunk without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Repr {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub tag: u32,
    /// The chunk's type.
    pub chunk: u8,
    /// The chunk's flags.
    pub flags: u8,
}

impl Repr {
    /// Writes the packet with its checksum.
    pub fn emit(&self) -> [u8; HEADER_LEN + CHUNK_HEADER_LEN] {
        let mut p = [0; HEADER_LEN + CHUNK_HEADER_LEN];
        put(&mut p, field::SRC_PORT, self.src_port.to_be_bytes());
        put(&mut p, field::DST_PORT, self.dst_port.to_be_bytes());
        put(&mut p, field::TAG, self.tag.to_be_bytes());
        let len = CHUNK_HEADER_LEN as u8;
        put(&mut p, HEADER_LEN, [self.chunk, self.flags, 0, len]);
        fill_checksum(&mut p);
        p
    }
}

/// Puts the right checksum into a packet. Returns false and changes nothing if it is too short for one.
pub fn fill_checksum(packet: &mut [u8]) -> bool {
    let Some((header, chunks)) = packet.split_first_chunk_mut::<HEADER_LEN>() else {
        return false;
    };
    put(header, field::CHECKSUM, [0; 4]);
    let mut crc = Crc32c::new();
    crc.add_bytes(header);
    crc.add_bytes(chunks);
    put(header, field::CHECKSUM, crc.finish().to_le_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of chunks given by type, value and length (the true one if 0).
    fn packet(chunks: &[(u8, &[u8], u16)]) -> Vec<u8> {
        let mut p = vec![0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0];
        for (kind, value, len) in chunks {
            let len = if *len == 0 {
                4 + value.len() as u16
            } else {
                *len
            };
            p.extend([*kind, 0]);
            p.extend(len.to_be_bytes());
            p.extend(*value);
            p.resize(p.len().next_multiple_of(4), 0);
        }
        p
    }

    fn meaning(chunks: &[(u8, &[u8], u16)]) -> Chunk {
        Sctp::new(&packet(chunks)).unwrap().chunk()
    }

    #[test]
    fn every_chunk_type_has_its_meaning() {
        use Chunk::*;
        let first: [Chunk; 15] = [
            Data,
            Init,
            InitAck,
            Data,
            Data,
            Data,
            Abort,
            Shutdown,
            ShutdownAck,
            Error,
            CookieEcho,
            CookieAck,
            Data,
            Data,
            ShutdownComplete,
        ];
        for kind in 0..=255u8 {
            let want = first.get(usize::from(kind)).copied().unwrap_or(Data);
            assert_eq!(meaning(&[(kind, b"", 0)]), want, "type {kind}");
            // Whatever follows an ordinary chunk does not count.
            let cookie = kind == 10 || kind == 11;
            let want = if cookie { Abort } else { want };
            assert_eq!(meaning(&[(kind, b"", 0), (6, b"", 0)]), want, "type {kind}");
        }
    }

    #[test]
    fn an_abort_behind_a_cookie_is_found_behind_padding() {
        for cookie in [10, 11] {
            let name = if cookie == 10 {
                Chunk::CookieEcho
            } else {
                Chunk::CookieAck
            };
            for value in [&b""[..], b"c", b"co", b"coo", b"cook", b"cooki"] {
                assert_eq!(meaning(&[(cookie, value, 0), (6, b"why", 0)]), Chunk::Abort);
                assert_eq!(meaning(&[(cookie, value, 0), (0, b"data", 0)]), name);
                // The second only: an ABORT further behind is the receiver's affair.
                let third = [(cookie, value, 0), (0, &b"data"[..], 0), (6, b"", 0)];
                assert_eq!(meaning(&third), name);
            }
            for (told, found) in [
                (1, false),
                (3, false),
                (7, true),
                (9, false),
                (65535, false),
            ] {
                let lied = [(cookie, &b"cook"[..], told), (6, b"why?", 0)];
                assert_eq!(meaning(&lied) == Chunk::Abort, found, "length {told}");
            }
            let mut cut = packet(&[(cookie, b"cook", 0), (6, b"", 0)]);
            cut.pop();
            assert_eq!(Sctp::new(&cut).unwrap().chunk(), name, "half a header");
        }
    }

    #[test]
    fn a_packet_without_a_chunk_is_none() {
        let p = packet(&[(1, b"", 0)]);
        assert!(Sctp::new(&p).is_some());
        for len in 0..p.len() {
            assert!(Sctp::new(&p[..len]).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn fields_byte_for_byte() {
        let abort = Repr {
            src_port: 80,
            dst_port: 40000,
            tag: 0x0102_0304,
            chunk: chunk::ABORT,
            flags: 1,
        };
        let p = abort.emit();
        assert_eq!(p[..8], [0, 80, 0x9c, 0x40, 1, 2, 3, 4]);
        // The CRC comes from a program that has nothing in common with this one.
        assert_eq!(p[8..], [0xa0, 0x3f, 0xc0, 0xb1, 6, 1, 0, 4]);
        let view = Sctp::new(&p).unwrap();
        assert_eq!(
            (view.src_port(), view.dst_port(), view.tag()),
            (80, 40000, 0x0102_0304)
        );
        let mut again = p;
        again[8..12].fill(0xaa);
        assert!(fill_checksum(&mut again));
        assert_eq!(again, p);
        assert!(!fill_checksum(&mut again[..11]));
    }
}
