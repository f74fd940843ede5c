//! Small UDP packets for the side-by-side runs.
//!
//! `udpgen send ADDR PORT SECONDS` sends as fast as it can, from 64 sockets in turn, 18 bytes of payload
//! each (the smallest Ethernet frame), and prints how many were sent.
//!
//! `udpgen sink PORT` takes them. A process that reads every packet would be the thing measured on a
//! machine of few cores. So the sink's socket has a filter that refuses everything: the kernel looks the
//! socket up, verifies the checksum, asks the filter, and counts the packet in `UdpInErrors` (a wrong
//! checksum also in `UdpInCsumErrors`), without waking anybody.

use std::error::Error;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{SockFilter, SockRef};

const FLOWS: usize = 64;
const BATCH: usize = 16;
const PAYLOAD: [u8; 18] = [0x55; 18];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["send", ip, port, seconds] => {
            let to = SocketAddr::new(ip.parse()?, port.parse()?);
            let sent = send(to, Duration::from_secs_f64(seconds.parse()?))?;
            println!("{sent}");
            Ok(())
        }
        ["sink", port] => sink(port.parse()?),
        _ => Err("usage: udpgen send ADDR PORT SECONDS | udpgen sink PORT".into()),
    }
}

/// Sends to `to` for this long; returns the number of packets.
fn send(to: SocketAddr, time: Duration) -> io::Result<usize> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut sockets = Vec::new();
    for _ in 0..FLOWS {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(to)?;
        sockets.push(socket);
    }
    let mut payload = libc::iovec {
        iov_base: PAYLOAD.as_ptr().cast_mut().cast(),
        iov_len: PAYLOAD.len(),
    };
    // SAFETY: all zeroes is a valid `mmsghdr`: no address, no payload, no control data.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    for message in &mut messages {
        message.msg_hdr.msg_iov = &raw mut payload;
        message.msg_hdr.msg_iovlen = 1;
    }
    let (end, mut sent) = (Instant::now() + time, 0);
    while Instant::now() < end {
        for socket in &sockets {
            // SAFETY: the messages and the one payload all of them point to live through the call, and
            // the kernel only reads the payload.
            let n = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    messages.as_mut_ptr(),
                    BATCH as libc::c_uint,
                    0,
                )
            };
            // An error is about an earlier packet (ICMP) or a full queue: go on.
            sent += usize::try_from(n).unwrap_or(0);
        }
    }
    Ok(sent)
}

/// Refuses every packet to `port`, for ever.
fn sink(port: u16) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    let refuse = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
    SockRef::from(&socket).attach_filter(&[refuse])?;
    loop {
        thread::sleep(Duration::MAX);
    }
}
