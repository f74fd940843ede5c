//! Socket calls that no safe wrapper has.

#![expect(unsafe_code, reason = "socket calls take pointers")]

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd as _};
use std::ptr;

use socket2::SockAddr;

/// Sets an option that is a number.
pub(super) fn set_number(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set(socket, level, name, &value)
}

/// Sends multicast of IPv4 by an interface (`IP_MULTICAST_IF` by index).
pub(super) fn set_multicast_interface_v4(socket: &impl AsFd, ifindex: u32) -> io::Result<()> {
    let request = libc::ip_mreqn {
        imr_multiaddr: libc::in_addr { s_addr: 0 },
        imr_address: libc::in_addr { s_addr: 0 },
        imr_ifindex: ifindex as libc::c_int,
    };
    set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
}

/// What [`receive`] put where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// So many bytes of the buffer.
    pub(super) length: usize,
    /// So many bytes of the control buffer.
    pub(super) control: usize,
    /// Whom it came from, if that is IPv6.
    pub(super) from: Option<Ipv6Addr>,
}

/// Receives a datagram, without waiting, and what the kernel says of it.
pub(super) fn receive(
    socket: &impl AsFd,
    buffer: &mut [u8],
    control: &mut [u8],
) -> io::Result<Arrival> {
    // SAFETY: all zeros are a valid value of both, which are plain C structs.
    let (mut from, mut header): (libc::sockaddr_in6, libc::msghdr) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    header.msg_name = (&raw mut from).cast();
    header.msg_namelen = size_of_val(&from) as libc::socklen_t;
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = control.len() as _;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the header points to an address, a vector of one buffer and a control buffer that are exclusively ours, live
    // through the call and are as long as it says.
    let got = unsafe { libc::recvmsg(fd, &raw mut header, libc::MSG_DONTWAIT) };
    let length = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    let is_v6 = libc::c_int::from(from.sin6_family) == libc::AF_INET6;
    Ok(Arrival {
        length: length.min(buffer.len()),
        control: control.len().min(header.msg_controllen as _),
        from: is_v6.then(|| Ipv6Addr::from(from.sin6_addr.s6_addr)),
    })
}

/// The address of an interface, for packet sockets: where frames go out.
pub(super) fn link_address(ifindex: u32, protocol: u16) -> io::Result<SockAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::sa_family_t,
        sll_protocol: protocol.to_be(),
        sll_ifindex: ifindex as libc::c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: storage is larger than the struct, which is copied into it whole, and the length is the struct's.
    let made = unsafe {
        SockAddr::try_init(|storage, length| {
            ptr::write_unaligned(storage.cast(), address);
            *length = size_of_val(&address) as libc::socklen_t;
            Ok(())
        })
    };
    made.map(|((), address)| address)
}

fn set<T>(socket: &impl AsFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the pointer is to a value that lives through the call, and the length is its own.
    let done = unsafe { libc::setsockopt(fd, level, name, ptr::from_ref(value).cast(), length) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
