//! TCP frames of the least Ethernet size (64 bytes with the frame check sequence), and longer ones.

use lvs_core::{Endpoint, TcpFlags};
use lvs_fwd::checksum;
use lvs_fwd::route::Mac;

/// The director's address on either port.
pub const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// Everybody else's.
pub const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Length of a frame's IP packet that fills the least Ethernet frame.
pub const SMALL: usize = 46;

/// An Ethernet frame with a TCP segment in an IP packet of `len` bytes, all checksums right.
pub fn tcp(src: Endpoint, dst: Endpoint, flags: TcpFlags, len: usize) -> Vec<u8> {
    let mut f = [OWN.0, PEER.0].concat();
    let header = match (src.ip.as_v4(), dst.ip.as_v4()) {
        (Some(from), Some(to)) => {
            f.extend([8, 0, 0x45, 0]);
            f.extend((len as u16).to_be_bytes());
            f.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
            f.extend(from.iter().chain(&to));
            let sum = checksum::of(&f[14..34]);
            f[24..26].copy_from_slice(&sum.to_be_bytes());
            20
        }
        _ => {
            f.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            f.extend((len as u16 - 40).to_be_bytes());
            f.extend([6, 64]);
            f.extend(src.ip.bytes().iter().chain(dst.ip.bytes()));
            40
        }
    };
    let l4 = f.len();
    f.extend(src.port.to_be_bytes());
    f.extend(dst.port.to_be_bytes());
    f.extend([
        0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags.0, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    f.resize(14 + len, 0x55);
    let mut sum = checksum::pseudo_header(src.ip, dst.ip, 6, (len - header) as u32);
    sum.add_bytes(&f[l4..]);
    let sum = sum.finish();
    f[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
    f
}
