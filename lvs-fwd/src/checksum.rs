//! Internet checksums: whole, partial, and by difference. And the CRC of SCTP.
//!
//! Rewriting a packet must not cost a pass over its payload. So whoever changes a few words notes what
//! they were and what they became in a [`Delta`], and applies it to the checksum (RFC 1624, equation 3).
//! What that means depends on the checksum's state:
//!
//! - **complete**: the complemented sum of everything, ports included ([`Delta::apply_full`]);
//! - **partial** ([`Offload::NEEDS_CSUM`](crate::frame::Offload::NEEDS_CSUM)): the sum of the pseudo header
//!   alone, not complemented; the kernel or the network card adds the rest ([`Delta::apply_partial`]).
//!
//! One's complement addition does not care for byte order (RFC 1071 section 2(B)): sums are kept as the
//! bytes lie in memory, and turned round only when they are read.

use lvs_core::Ip;

/// A one's complement sum in the making.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// An empty sum.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds bytes as big-endian 16-bit words, the last one padded with zero. So of several calls only the
    /// last may have an odd length.
    #[inline]
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        // Each lane takes 32 bits at a time, so it cannot overflow below 2^32 additions (16 GB); four of
        // them let the compiler use vector registers.
        let mut lanes = [0u64; 4];
        let mut blocks = bytes.chunks_exact(16);
        for block in &mut blocks {
            for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(4)) {
                *lane += u64::from(native(word));
            }
        }
        let mut words = blocks.remainder().chunks_exact(4);
        for word in &mut words {
            lanes[0] += u64::from(native(word));
        }
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(words.remainder()) {
            *to = *from;
        }
        lanes[1] += u64::from(u32::from_ne_bytes(last));
        for lane in lanes {
            self.add(lane);
        }
    }

    /// Adds a 16-bit word given in host order.
    #[inline]
    pub fn add_u16(&mut self, word: u16) {
        self.add(u64::from(word.to_be()));
    }

    /// Adds a 32-bit word given in host order.
    #[inline]
    pub fn add_u32(&mut self, word: u32) {
        self.add(u64::from(word.to_be()));
    }

    /// The sum folded to 16 bits in host order, not complemented: the form of a partial checksum.
    #[inline]
    pub const fn fold(self) -> u16 {
        u16::from_be(fold(self.0))
    }

    /// The checksum: the folded sum, complemented, in host order. Of data whose checksum is right and
    /// included it is 0.
    #[inline]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    #[inline]
    fn add(&mut self, word: u64) {
        let (sum, carry) = self.0.overflowing_add(word);
        self.0 = sum + u64::from(carry);
    }
}

fn native(word: &[u8]) -> u32 {
    word.try_into().map_or(0, u32::from_ne_bytes)
}

/// Folds a sum to 16 bits. A number added to itself with its halves exchanged has in its upper half the sum
/// of both, the carry out of it added in again.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The checksum of `bytes` taken as they are.
pub fn of(bytes: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add_bytes(bytes);
    sum.finish()
}

/// The sum of the pseudo header that TCP, UDP and ICMPv6 checksums begin with (RFC 9293 section 3.1,
/// RFC 8200 section 8.1). `len` is the length of transport header and payload.
pub fn pseudo_header(src: Ip, dst: Ip, protocol: u8, len: u32) -> Sum {
    let mut sum = Sum::new();
    for ip in [src, dst] {
        match ip.as_v4() {
            Some(b) => sum.add_bytes(&b),
            None => sum.add_bytes(ip.bytes()),
        }
    }
    sum.add_u32(u32::from(protocol));
    sum.add_u32(len);
    sum
}

/// Completes a partial checksum: sums `bytes` (transport header and payload) and puts the checksum
/// `offset` bytes into them, over the pseudo header's sum that lies there. A result of 0 is written as
/// 0xffff, which to UDP is not "no checksum" and to everyone else the same. Returns false and changes
/// nothing if there are no two bytes at `offset`.
pub fn complete(bytes: &mut [u8], offset: usize) -> bool {
    let sum = of(bytes);
    match bytes.get_mut(offset..).and_then(|b| b.first_chunk_mut()) {
        Some(field) => {
            *field = not_zero(sum).to_be_bytes();
            true
        }
        None => false,
    }
}

/// A UDP checksum as it is sent: 0 would mean "none", so its other form 0xffff is sent (RFC 768).
#[inline]
pub const fn not_zero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// What changed in a packet, as far as a checksum minds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delta(Sum);

impl Delta {
    /// Nothing has changed.
    pub const fn new() -> Self {
        Self(Sum::new())
    }

    /// A 16-bit word in host order has changed. It must lie at an even distance from where the checksum
    /// begins.
    #[inline]
    pub fn u16(&mut self, old: u16, new: u16) {
        self.0.add_u16(!old);
        self.0.add_u16(new);
    }

    /// A 32-bit word in host order has changed.
    #[inline]
    pub fn u32(&mut self, old: u32, new: u32) {
        self.0.add_u32(!old);
        self.0.add_u32(new);
    }

    /// An address has changed to another of the same family.
    #[inline]
    pub fn ip(&mut self, old: Ip, new: Ip) {
        // The twelve bytes that all IPv4 addresses share cancel out.
        for word in old.words() {
            self.0.add(!word);
        }
        for word in new.words() {
            self.0.add(word);
        }
    }

    /// What changed elsewhere, at an even distance too, is taken in.
    #[inline]
    pub fn append(&mut self, other: Self) {
        self.0.add(other.0.0);
    }

    /// A complete checksum after the change: `~(~field + delta)`. UDP's "no checksum" (0) must not be
    /// given to it, and its result is to go through [`not_zero`] for UDP.
    #[inline]
    pub fn apply_full(self, field: u16) -> u16 {
        !self.apply_partial(!field)
    }

    /// A partial checksum after the change: `field + delta`. Only what the pseudo header holds may be in
    /// the delta (addresses and the length).
    #[inline]
    pub fn apply_partial(self, field: u16) -> u16 {
        let mut sum = self.0;
        sum.add_u16(field);
        sum.fold()
    }
}

/// CRC32c in the making: SCTP's checksum (RFC 9260 appendix A).
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32c {
    /// The CRC of nothing yet.
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Adds bytes, of any length.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        let mut blocks = bytes.chunks_exact(8);
        for block in &mut blocks {
            // Eight bytes at a time, each with the table of what it comes to behind those that follow it.
            let [a, b, c, d] = (self.0 ^ le32(&block[..4])).to_le_bytes();
            let [e, f, g, h] = le32(&block[4..]).to_le_bytes();
            self.0 = [a, b, c, d, e, f, g, h]
                .iter()
                .zip(CRC32C.iter().rev())
                .fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)]);
        }
        for byte in blocks.remainder() {
            let [low, ..] = self.0.to_le_bytes();
            self.0 = (self.0 >> 8) ^ CRC32C[0][usize::from(low ^ byte)];
        }
    }

    /// The CRC. In a packet it lies with its least significant byte first.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

fn le32(word: &[u8]) -> u32 {
    word.try_into().map_or(0, u32::from_le_bytes)
}

/// `CRC32C[n][byte]` is the remainder of `byte` followed by `n` zero bytes (bits reversed, as everywhere in SCTP).
static CRC32C: [[u32; 256]; 8] = crc32c_tables();

const fn crc32c_tables() -> [[u32; 256]; 8] {
    /// Castagnoli's polynomial 0x1EDC6F41, its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut n = 0;
        while n < 8 {
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ ((crc & 1) * POLYNOMIAL);
                bit += 1;
            }
            tables[n][byte] = crc;
            n += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(s: &str) -> Ip {
        s.parse().unwrap()
    }

    /// The textbook's way: one word at a time.
    fn slow(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn rfc_1071_example() {
        let mut sum = Sum::new();
        sum.add_bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.fold(), 0xddf2);
        assert_eq!(sum.finish(), !0xddf2);
    }

    #[test]
    fn rfc_1624_example() {
        // Section 4: the case that equation 2 of RFC 1141 gets wrong.
        let mut delta = Delta::new();
        delta.u16(0x5555, 0x3285);
        assert_eq!(delta.apply_full(0xdd2f), 0x0000);
    }

    #[test]
    fn tcp_syn_through_nat() {
        // 192.0.2.10:40000 -> 198.51.100.1:80 becomes -> 10.0.0.5:8080
        let tcp = [
            0x9c, 0x40, 0, 80, 0, 0, 0x03, 0xe8, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
        ];
        let mut sum = pseudo_header(ip("192.0.2.10"), ip("198.51.100.1"), 6, 20);
        sum.add_bytes(&tcp);
        assert_eq!(sum.finish(), 0x232b);
        let mut delta = Delta::new();
        delta.ip(ip("198.51.100.1"), ip("10.0.0.5"));
        delta.u16(80, 8080);
        assert_eq!(delta.apply_full(0x232b), 0x241b);
    }

    #[test]
    fn ipv4_header_through_nat() {
        // TTL 64 -> 63 shares its word with the protocol number.
        let mut delta = Delta::new();
        delta.ip(ip("198.51.100.1"), ip("10.0.0.5"));
        delta.u16(0x4006, 0x3f06);
        assert_eq!(delta.apply_full(0x3c5d), 0x5d8d);
    }

    #[test]
    fn completing_never_writes_zero() {
        let mut bytes = [0xff, 0xff, 0, 0];
        assert!(complete(&mut bytes, 2));
        assert_eq!(bytes, [0xff; 4]);
        assert!(!complete(&mut bytes, 3));
    }

    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = Crc32c::new();
        crc.add_bytes(bytes);
        crc.finish()
    }

    /// The check value every catalogue of CRCs has, and RFC 3720 appendix B.4 (iSCSI, the same CRC).
    #[test]
    fn crc32c_of_known_data() {
        assert_eq!(crc(b""), 0);
        assert_eq!(crc(b"123456789"), 0xe306_9283);
        assert_eq!(crc(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc(&[0xff; 32]), 0x62a8_ab43);
        let up: Vec<u8> = (0..32).collect();
        assert_eq!(crc(&up), 0x46dd_794e);
        let down: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc(&down), 0x113f_db5c);
    }

    /// One bit at a time.
    fn slow_crc(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                let divides = crc & 1 != 0;
                crc >>= 1;
                if divides {
                    crc ^= 0x82f6_3b78;
                }
            }
        }
        !crc
    }

    fn any_ips() -> impl Strategy<Value = [Ip; 4]> {
        prop_oneof![
            any::<[[u8; 4]; 4]>().prop_map(|a| a.map(Ip::v4)),
            any::<[[u8; 16]; 4]>().prop_map(|a| a.map(|mut b| {
                b[0] = 0xfd;
                Ip::v6(b)
            })),
        ]
    }

    proptest! {
        #[test]
        fn quick_and_slow_sums_agree(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(of(&bytes), slow(&bytes));
        }

        #[test]
        fn quick_and_slow_crcs_agree_however_taken(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut parts = Crc32c::new();
            parts.add_bytes(a);
            parts.add_bytes(b);
            prop_assert_eq!(parts.finish(), slow_crc(&bytes));
        }

        #[test]
        fn sums_may_be_taken_in_even_parts(
            bytes in prop::collection::vec(any::<u8>(), 2..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let at = cut.index(bytes.len()) & !1;
            let mut sum = Sum::new();
            sum.add_bytes(&bytes[..at]);
            sum.add_bytes(&bytes[at..]);
            prop_assert_eq!(sum.finish(), slow(&bytes));
        }

        #[test]
        fn a_difference_does_what_summing_again_would(
            [src, dst, src2, dst2] in any_ips(),
            ports in any::<[[u16; 2]; 2]>(),
            long in any::<[u32; 2]>(),
            tail in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let whole = |src, dst, side: usize, protocol| {
                let mut bytes = Vec::new();
                for port in ports[side] {
                    bytes.extend(port.to_be_bytes());
                }
                bytes.extend(long[side].to_be_bytes());
                bytes.extend(&tail);
                let mut sum = pseudo_header(src, dst, protocol, bytes.len() as u32);
                let partial = sum.fold();
                sum.add_bytes(&bytes);
                (sum.finish(), partial)
            };
            let (full, partial) = whole(src, dst, 0, 6);
            let (full2, partial2) = whole(src2, dst2, 1, 6);
            let mut delta = Delta::new();
            delta.ip(src, src2);
            delta.ip(dst, dst2);
            prop_assert_eq!(delta.apply_partial(partial), partial2);
            delta.u16(ports[0][0], ports[1][0]);
            delta.u16(ports[0][1], ports[1][1]);
            delta.u32(long[0], long[1]);
            prop_assert_eq!(delta.apply_full(full), full2);
        }
    }
}
