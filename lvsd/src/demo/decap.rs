//! A real server's end of a tunnel, in user space.
//!
//! Tunnelling wants real servers that undo it, and not every kernel has the modules (`ipip`, `ip6_tunnel`, `sit`,
//! `ip_gre`, `fou`). So this does it with nothing but sockets, which also work inside a user namespace where a
//! tun device cannot be had. Raw sockets of protocols 4, 41 and 47 (GRE) receive what the kernel has reassembled and
//! would else refuse as an unknown protocol, UDP sockets what comes by GUE, its checksum verified (so that over IPv6
//! there must be one); the packet inside is handed back to the kernel through the
//! loopback interface, where its destination, the virtual address, must be local. All four combinations of
//! families work.
//!
//! A sender on the same machine leaves transport checksums *partial* (the pseudo header's sum only) and
//! relies on a flag that raw sockets do not show. On the way back in, the kernel would find them wrong. So a
//! checksum that is exactly the partial one is completed, and any other left for the kernel to judge:
//! a packet damaged on its way stays damaged. So it is with GRE's checksum, which has no pseudo header: 0 stands for
//! one yet to be computed. What GUE says is to be completed is.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use lvs_core::{Ip, Protocol};
use lvs_fwd::checksum;
use lvs_fwd::wire::{gre, gue, ipv4::Ipv4, ipv6, tcp, udp};
use socket2::{Domain, Socket, Type};

/// IP protocol numbers of the packets inside.
const IPV4_IN_IP: i32 = 4;
const IPV6_IN_IP: i32 = 41;
const GRE: i32 = 47;
/// Bytes that may wait to be unwrapped; the kernel grants what its limits allow.
const QUEUE: usize = 4 << 20;
/// How soon [`Decap::run`] notices that it should stop.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// The tunnels' open end: sockets of one network namespace.
#[derive(Debug)]
pub struct Decap {
    tunnels: Vec<Tunnel>,
    v4: Socket,
    v6: Socket,
}

/// Where packets wrapped in one way arrive.
#[derive(Debug)]
struct Tunnel {
    socket: Socket,
    /// Whether the socket shows the outer header: a raw one of IPv4 does, others do not.
    outer_header: bool,
    wrapping: Wrapping,
}

/// What is in front of the inner packet.
#[derive(Clone, Copy, Debug)]
enum Wrapping {
    Nothing,
    Gre,
    Gue,
}

impl Decap {
    /// Opens a tunnel end for IPIP of all four combinations, and for GRE, in the calling thread's network namespace,
    /// except that IPv4 in IPv4 is left to the kernel if it `has_ipip`. From then on nothing is lost.
    ///
    /// # Errors
    ///
    /// Without `CAP_NET_RAW` in the namespace: permission denied.
    pub fn open(has_ipip: bool) -> io::Result<Self> {
        let mut tunnels = Vec::new();
        for (domain, outer_header) in [(Domain::IPV4, true), (Domain::IPV6, false)] {
            for inner in [IPV4_IN_IP, IPV6_IN_IP, GRE] {
                if has_ipip && domain == Domain::IPV4 && inner == IPV4_IN_IP {
                    continue;
                }
                tunnels.push(Tunnel {
                    socket: listener(domain, Type::RAW, inner)?,
                    outer_header,
                    wrapping: match inner {
                        GRE => Wrapping::Gre,
                        _ => Wrapping::Nothing,
                    },
                });
            }
        }
        Ok(Self {
            tunnels,
            v4: injector(Domain::IPV4)?,
            v6: injector(Domain::IPV6)?,
        })
    }

    /// Opens a tunnel end for GUE too, at a UDP port.
    ///
    /// # Errors
    ///
    /// If the port is in use.
    pub fn with_gue(mut self, port: u16) -> io::Result<Self> {
        for domain in [Domain::IPV4, Domain::IPV6] {
            let socket = listener(domain, Type::DGRAM, libc::IPPROTO_UDP)?;
            let any = match domain {
                Domain::IPV4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
                _ => {
                    socket.set_only_v6(true)?;
                    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
                }
            };
            socket.bind(&any.into())?;
            self.tunnels.push(Tunnel {
                socket,
                outer_header: false,
                wrapping: Wrapping::Gue,
            });
        }
        Ok(self)
    }

    /// Unwraps until told to stop.
    pub fn run(&self, stop: &AtomicBool) {
        thread::scope(|s| {
            for tunnel in &self.tunnels {
                s.spawn(|| self.unwrap_all(tunnel, stop));
            }
        });
    }

    fn unwrap_all(&self, tunnel: &Tunnel, stop: &AtomicBool) {
        let mut buffer = vec![0; 65_536];
        while !stop.load(Relaxed) {
            // An error is a time-out or an ICMP message about something sent; neither matters.
            let Ok(len) = (&tunnel.socket).read(&mut buffer) else {
                continue;
            };
            let outer = buffer.get_mut(..len).unwrap_or_default();
            let wrapped = match tunnel.outer_header {
                true => match Ipv4::new(outer).map(|h| h.header_len()) {
                    Ok(len) => outer.get_mut(len..).unwrap_or_default(),
                    Err(_) => continue,
                },
                false => outer,
            };
            if let Some((packet, dst)) = unwrap(tunnel.wrapping, wrapped).and_then(prepare) {
                let injector = if dst.is_v4() { &self.v4 } else { &self.v6 };
                let dst = SocketAddr::new(dst.into(), 0);
                // Refused if nobody here has that address: then it was not for us.
                let _ = injector.send_to(packet, &dst.into());
            }
        }
    }
}

fn listener(domain: Domain, kind: Type, protocol: i32) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, Some(protocol.into()))?;
    socket.set_read_timeout(Some(STOP_INTERVAL))?;
    socket.set_recv_buffer_size(QUEUE)?;
    Ok(socket)
}

/// The packet inside.
fn unwrap(wrapping: Wrapping, packet: &mut [u8]) -> Option<&mut [u8]> {
    match wrapping {
        Wrapping::Nothing => Some(packet),
        Wrapping::Gre => {
            let (_, len) = gre::parse(packet)?;
            let has_checksum = len > gre::HEADER_LEN;
            // It is over the inner packet as it will be.
            prepare(packet.get_mut(len..)?)?;
            let to_be_computed = || packet.get(gre::field::CHECKSUM..len) == Some(&[0; 4]);
            if has_checksum && checksum::of(packet) != 0 && !to_be_computed() {
                return None;
            }
            packet.get_mut(len..)
        }
        Wrapping::Gue => {
            let (_, len) = gue::parse(packet)?;
            let remote = gue::remote_checksum(packet);
            let inner = packet.get_mut(len..)?;
            if let Some(r) = remote {
                let summed = inner.get_mut(r.start.into()..)?;
                checksum::complete(summed, r.field.checked_sub(r.start)?.into());
            }
            Some(inner)
        }
    }
}

/// A socket that takes whole packets and sends them no farther than to this host itself.
fn injector(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(libc::IPPROTO_RAW.into()))?;
    socket.bind_device(Some(b"lo"))?;
    let any = match domain {
        Domain::IPV4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        _ => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    socket.bind(&any.into())?;
    Ok(socket)
}

/// Cuts a packet to its length, completes its checksum, and says where it goes. `None` if it is none.
fn prepare(packet: &mut [u8]) -> Option<(&[u8], Ip)> {
    let (src, dst, protocol, header_len, len, fragment);
    if packet.first()? >> 4 == 4 {
        let h = Ipv4::new(packet).ok()?;
        (src, dst, protocol) = (h.src(), h.dst(), h.protocol());
        (header_len, len) = (h.header_len(), h.total_len());
        fragment = h.fragment().is_some();
    } else {
        let (h, payload) = ipv6::Ipv6::new(packet).ok()?;
        let ext = ipv6::extensions(payload.get(..h.payload_len())?, h.next_header()).ok()?;
        (src, dst, protocol) = (h.src(), h.dst(), ext.protocol);
        header_len = ipv6::HEADER_LEN + ext.len;
        len = ipv6::HEADER_LEN + h.payload_len();
        fragment = ext.fragment.is_some();
    }
    let packet = packet.get_mut(..len)?;
    let offset = match protocol {
        Protocol::TCP => Some(tcp::field::CHECKSUM),
        Protocol::UDP => Some(udp::field::CHECKSUM),
        _ => None,
    };
    if let Some(offset) = offset.filter(|_| !fragment) {
        let segment = packet.get_mut(header_len..)?;
        let partial = checksum::pseudo_header(src, dst, protocol.0, segment.len() as u32).fold();
        if segment.get(offset..offset + 2)? == partial.to_be_bytes() {
            checksum::complete(segment, offset);
        }
    }
    Some((packet, dst))
}
