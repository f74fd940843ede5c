//! Which shard a connection lives in.
//!
//! Both directions of a connection carry the client's address and port: as the source on the way in, as the
//! destination on the way back. So the shard comes from the client's endpoint. FullNAT replies carry a
//! local port in its place, and that port is chosen so that it names the shard.
//!
//! The rule is simple enough for a packet socket's steering program to compute as well, so that the
//! network hands each packet to the worker whose shards it needs. Nothing depends on it but speed.

use crate::addr::Ip;

/// The most shards there can be: a rule of 16 bits chooses among them.
pub const MAX_SHARDS: u32 = 1 << 16;

/// The shard of the connections of the client `ip`:`port`; `shards` is a power of two, at most
/// [`MAX_SHARDS`].
pub fn client_shard(ip: Ip, port: u16, shards: u32) -> u32 {
    let mixed = ip.fold() ^ u32::from(port).wrapping_mul(0x9e37_79b1);
    (mixed.wrapping_mul(0x85eb_ca6b) >> 16) & (shards - 1)
}

/// The shard of the FullNAT connection that uses a local port.
pub fn local_port_shard(port: u16, shards: u32) -> u32 {
    u32::from(port) & (shards - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_one_parity_still_spread() {
        let ip: Ip = "10.9.0.2".parse().unwrap();
        let mut count = [0u32; 4];
        for port in (32768..60000u16).step_by(2) {
            count[client_shard(ip, port, 4) as usize] += 1;
        }
        let (min, max) = (count.iter().min().unwrap(), count.iter().max().unwrap());
        assert!(min * 10 > max * 8, "{count:?}");
    }

    #[test]
    fn local_ports_name_their_shard() {
        for port in [0, 1, 1023, 1024, 65535] {
            assert_eq!(local_port_shard(port, 16), u32::from(port) % 16);
        }
    }
}
