//! The hash functions of IPVS's hashing schedulers.
//!
//! Two directors agree on a client's server only if they hash alike, and people do run a kernel director
//! beside another. So these are IPVS's own functions and no better ones.

/// 2³² divided by the golden ratio's square, the multiplier of Linux's `hash_32`.
const MULTIPLIER: u32 = 0x61c8_8647;

/// Linux's `hash_32` down to 8 bits: multiplicative, keeping the top bits.
pub const fn hash_8(value: u32) -> u8 {
    let [top, ..] = value.wrapping_mul(MULTIPLIER).to_be_bytes();
    top
}

/// How many bits [`aged`] gives.
pub(crate) const AGED_BITS: u32 = 10;

/// The bucket of a [folded](lvs_core::Ip::fold) destination address in the memory of `lblc` and `lblcr`.
pub(crate) const fn aged(address: u32) -> u32 {
    address.wrapping_mul(MULTIPLIER) >> (u32::BITS - AGED_BITS)
}

/// The bucket of a source in `sh`: its [folded](lvs_core::Ip::fold) address and, if ports are to count,
/// its port (else 0).
pub const fn source(address: u32, port: u16) -> u8 {
    hash_8(address.wrapping_add(port as u32))
}

/// The bucket of a [folded](lvs_core::Ip::fold) destination address in `dh`.
pub const fn destination(address: u32) -> u8 {
    hash_8(address)
}

/// The first hash of `mh`: where a server's permutation begins, and a client's slot. The lower half of SipHash-1-3
/// (as on 64-bit kernels; those of 32 bits have another) under a fixed key.
pub const fn maglev(value: u32) -> u32 {
    siphash_1_3(2_654_435_761, value) as u32
}

/// The second hash of `mh`: how far apart a server's permutation takes the slots.
pub const fn maglev_skip(value: u32) -> u32 {
    siphash_1_3(2_654_446_892, value) as u32
}

/// SipHash-1-3 of the four bytes of `value`, least first, where both halves of the key are alike.
const fn siphash_1_3(key: u64, value: u32) -> u64 {
    let [a, b, c, d] = [
        0x736f_6d65_7073_6575,
        0x646f_7261_6e64_6f6d,
        0x6c79_6765_6e65_7261,
        0x7465_6462_7974_6573,
    ];
    // The only block is the last: the length, and what does not fill a block.
    let block = 4 << 56 | value as u64;
    let [a, b, c, d] = sip_round([a ^ key, b ^ key, c ^ key, d ^ key ^ block]);
    let [a, b, c, d] = sip_round(sip_round(sip_round([a ^ block, b, c ^ 0xff, d])));
    a ^ b ^ c ^ d
}

const fn sip_round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use lvs_core::Ip;

    use super::*;

    #[test]
    fn sources_fall_into_the_kernels_buckets() {
        for (client, without_port, with_port_40000) in [
            ("192.168.1.1", 136, 44),
            ("192.168.1.2", 234, 142),
            ("192.168.1.3", 76, 240),
            ("10.0.0.5", 174, 82),
            ("203.0.113.7", 124, 32),
            ("198.51.100.10", 208, 116),
        ] {
            let address = client.parse::<Ip>().unwrap().fold();
            assert_eq!(source(address, 0), without_port, "{client}");
            assert_eq!(source(address, 40000), with_port_40000, "{client}:40000");
            assert_eq!(destination(address), without_port, "{client}");
        }
    }

    #[test]
    fn an_ipv6_address_hashes_as_the_xor_of_its_words() {
        let v6 = "0:0:c0a8:0101::".parse::<Ip>().unwrap();
        let v4 = "192.168.1.1".parse::<Ip>().unwrap();
        assert_eq!(source(v6.fold(), 0), source(v4.fold(), 0));
    }

    #[test]
    fn maglev_hashes_are_the_kernels() {
        for (server, first, second) in [
            ("10.0.0.1", 0x439c_0cbe, 0x97b3_dc47),
            ("10.0.0.2", 0xa1cf_683b, 0xfa5d_46df),
            ("10.0.0.3", 0x2cdf_0afa, 0xedeb_33d0),
        ] {
            let value = server.parse::<Ip>().unwrap().fold() + 80;
            assert_eq!(
                (maglev(value), maglev_skip(value)),
                (first, second),
                "{server}"
            );
        }
        for (client, hash) in [
            ("192.168.1.1", 0xd3f1_b4d3),
            ("192.168.1.2", 0x0633_6950),
            ("192.168.1.3", 0xa67c_4fd1),
            ("10.9.8.7", 0xd3ca_f05a),
        ] {
            assert_eq!(
                maglev(client.parse::<Ip>().unwrap().fold()),
                hash,
                "{client}"
            );
        }
    }

    #[test]
    fn address_and_port_are_added_modulo_2_to_the_32() {
        assert_eq!(source(u32::MAX, 1), hash_8(0));
    }
}
