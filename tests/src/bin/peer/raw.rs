//! Crafted frames.

use std::error::Error;
use std::io::{self, BufRead};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::tcx::interface_index;

/// Sends the frames on standard input, hexadecimal from the Ethernet header on, one a line.
pub(crate) fn send(dev: &str) -> Result<(), Box<dyn Error>> {
    let socket = open(interface_index(dev)?)?;
    for line in io::stdin().lock().lines() {
        let frame = bytes(line?.trim())?;
        // SAFETY: the buffer is valid for its length during the call.
        let sent = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error().into());
        }
    }
    Ok(())
}

/// A packet socket that only sends.
fn open(index: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zeroes is a valid value of this plain record.
    let mut addr: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    addr.sll_family = libc::AF_PACKET as u16;
    addr.sll_ifindex = index as i32;
    // SAFETY: the address is a `sockaddr_ll` of the size given.
    let bound = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const addr).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if bound == 0 {
        Ok(fd)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    (0..hex.len())
        .step_by(2)
        .map(|i| {
            let digits = hex
                .get(i..i + 2)
                .ok_or("an even number of digits expected")?;
            Ok(u8::from_str_radix(digits, 16)?)
        })
        .collect()
}
