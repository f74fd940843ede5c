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

/// The bucket of a source in `sh`: its [folded](lvs_core::Ip::fold) address and, if ports are to count,
/// its port (else 0).
pub const fn source(address: u32, port: u16) -> u8 {
    hash_8(address.wrapping_add(port as u32))
}

/// The bucket of a [folded](lvs_core::Ip::fold) destination address in `dh`.
pub const fn destination(address: u32) -> u8 {
    hash_8(address)
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
    fn address_and_port_are_added_modulo_2_to_the_32() {
        assert_eq!(source(u32::MAX, 1), hash_8(0));
    }
}
