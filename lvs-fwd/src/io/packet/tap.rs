//! A second ear and mouth at an interface: receives a little of what comes in, and sends.
//!
//! Whoever speaks with a few peers past the host's own stack needs no ring and no BPF, but a filter in the kernel that keeps
//! everything else away. It sees what the [guard](crate::io::bpf::Guard) hides from the host as well.

#![expect(unsafe_code, reason = "a filter is given by a pointer")]

use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{
    BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD,
    BPF_LDX, BPF_MSH, BPF_RET, BPF_W, sock_filter,
};

use super::socket::{self, Failed, Socket};
use super::tx::Transmitter;
use super::{Device, OpenError};
use crate::frame::{Frame, Packet, PortId};
use crate::io::Sent;

/// An interface, listened to for some ports only.
///
/// [`AsFd`] gives the descriptor to poll for reading.
#[derive(Debug)]
pub struct Tap {
    port: PortId,
    rx: Socket,
    tx: Transmitter,
}

impl Tap {
    /// Opens an interface. From now on it receives packets of TCP and UDP to these ports, to whatever address, and ICMP errors
    /// about whatever; of fragments the first ones.
    ///
    /// # Errors
    ///
    /// What the kernel says, mostly that `CAP_NET_RAW` is missing.
    pub fn open(
        device: &Device,
        port: PortId,
        ports: &RangeInclusive<u16>,
    ) -> Result<Self, OpenError> {
        let fail = |(step, source)| OpenError {
            device: device.name.clone(),
            step,
            source,
        };
        let rx = Socket::new().map_err(fail)?;
        attach(&rx, &filter(ports)).map_err(fail)?;
        rx.start_tapping(device.index).map_err(fail)?;
        let tx = Transmitter::new(device.index, false).map_err(fail)?;
        Ok(Self { port, rx, tx })
    }

    /// The port's number.
    pub fn port(&self) -> PortId {
        self.port
    }

    /// Takes the next frame, if there is one.
    pub fn receive(&mut self, into: &mut Frame) -> bool {
        self.rx.receive_big(into, self.port)
    }

    /// Sends every packet, in order. One that the network refuses does not hold up the rest.
    pub fn transmit(&mut self, packets: &mut dyn Iterator<Item = Packet<'_>>) -> Sent {
        self.tx.transmit(packets)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.rx.as_fd()
    }
}

fn attach(socket: &Socket, filter: &[sock_filter]) -> Result<(), Failed> {
    let program = libc::sock_fprog {
        len: filter.len() as libc::c_ushort,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads the program, and as many instructions as it says, which all outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    socket::check(result)
        .map(drop)
        .map_err(|e| ("SO_ATTACH_FILTER", e))
}

/// The classic BPF program: what has a VLAN tag belongs to another interface.
fn filter(ports: &RangeInclusive<u16>) -> Vec<sock_filter> {
    const VLAN_TAG_PRESENT: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_VLAN_TAG_PRESENT) as u32;
    const DROP: u32 = 0;
    const ALL: u32 = u32::MAX;
    let (first, last) = (u32::from(*ports.start()), u32::from(*ports.end()));
    let load = |size, at| op(BPF_LD | size | BPF_ABS, at);
    let indirect = |size, at| op(BPF_LD | size | BPF_IND, at);
    let ret = |value| op(BPF_RET | BPF_K, value);
    let jump = |test, value, yes, no| sock_filter {
        code: (BPF_JMP | test | BPF_K) as u16,
        jt: yes,
        jf: no,
        k: value,
    };
    vec![
        /*  0 */ load(BPF_W, VLAN_TAG_PRESENT),
        /*  1 */ jump(BPF_JEQ, 0, 0, 25),
        /*  2 */ load(BPF_H, 12),
        /*  3 */ jump(BPF_JEQ, 0x86dd, 13, 0),
        /*  4 */ jump(BPF_JEQ, 0x0800, 0, 22),
        // IPv4
        /*  5 */ op(BPF_LDX | BPF_B | BPF_MSH, 14),
        /*  6 */ load(BPF_H, 20),
        /*  7 */ jump(BPF_JSET, 0x1fff, 19, 0),
        /*  8 */ load(BPF_B, 23),
        /*  9 */ jump(BPF_JEQ, 6, 4, 0),
        /* 10 */ jump(BPF_JEQ, 17, 3, 0),
        /* 11 */ jump(BPF_JEQ, 1, 0, 15),
        /* 12 */ indirect(BPF_B, 14),
        /* 13 */ jump(BPF_JEQ, 3, 12, 13),
        /* 14 */ indirect(BPF_H, 16),
        /* 15 */ jump(BPF_JGE, first, 0, 11),
        /* 16 */ jump(BPF_JGT, last, 10, 9),
        // IPv6
        /* 17 */ load(BPF_B, 20),
        /* 18 */ jump(BPF_JEQ, 6, 4, 0),
        /* 19 */ jump(BPF_JEQ, 17, 3, 0),
        /* 20 */ jump(BPF_JEQ, 58, 0, 6),
        /* 21 */ load(BPF_B, 54),
        /* 22 */ jump(BPF_JGE, 128, 4, 3),
        /* 23 */ load(BPF_H, 56),
        /* 24 */ jump(BPF_JGE, first, 0, 2),
        /* 25 */ jump(BPF_JGT, last, 1, 0),
        /* 26 */ ret(ALL),
        /* 27 */ ret(DROP),
    ]
}

fn op(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}
