//! A probe's socket: how it is opened, and what its errors mean.
//!
//! What happens before a packet leaves is our own affair ([`Reason::Local`]) and says nothing about the server; what connect,
//! send and receive report of the network and the peer is a failure.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::options::Network;
use super::sys;
use crate::check::Target;
use crate::probe::{Failure, Reason, Transport};

/// A socket on its way to its peer.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) socket: Socket,
    /// It is connected already, which only a stream need not be.
    pub(super) connected: bool,
    /// It is a raw one, since an ICMP datagram socket was not to be had.
    pub(super) raw: bool,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There are no more descriptors: there may be when a probe has ended.
    NoDescriptor,
    /// The run has failed.
    Failed(Failure),
}

impl Refusal {
    /// What is wrong here, and says nothing about the server.
    pub(super) fn local(detail: impl Into<String>) -> Self {
        Self::Failed(Failure::new(Reason::Local, detail))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoDescriptor => Self::new(Reason::Local, "no more descriptors"),
            Refusal::Failed(failure) => failure,
        }
    }
}

/// Opens a socket and begins to connect it. Never blocks.
pub(super) fn open(
    target: &Target,
    transport: Transport,
    network: Option<&dyn Network>,
) -> Result<Opened, Refusal> {
    let (socket, raw) = match target.via {
        None => create(target.addr, transport)?,
        Some(_) => (elsewhere(target, transport, network)?, false),
    };
    prepare(&socket, target, transport)?;
    if transport == Transport::Stream {
        // The connection's last ACK is held back a little. It then goes out with the first data, or, if all we wanted was to see
        // the connection taken, never: the server's kernel sees a reset in its place, its program nothing.
        let _ = socket.set_tcp_quickack(false);
    }
    let connected = match socket.connect(&target.addr.into()) {
        Ok(()) => true,
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => false,
        Err(e) => return Err(Refusal::Failed(connect_failure(&e))),
    };
    Ok(Opened {
        socket,
        connected,
        raw,
    })
}

fn create(addr: SocketAddr, transport: Transport) -> Result<(Socket, bool), Refusal> {
    let domain = Domain::for_address(addr);
    let icmp = match addr {
        SocketAddr::V4(_) => Protocol::ICMPV4,
        SocketAddr::V6(_) => Protocol::ICMPV6,
    };
    let (kind, protocol) = match transport {
        Transport::Stream => (Type::STREAM, Protocol::TCP),
        Transport::Datagram => (Type::DGRAM, Protocol::UDP),
        Transport::Echo => (Type::DGRAM, icmp),
    };
    let new = |kind: Type| Socket::new(domain, kind.nonblocking(), Some(protocol));
    let forbidden = |e: &io::Error| {
        transport == Transport::Echo
            && matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPROTONOSUPPORT))
    };
    let created = match new(kind) {
        Err(e) if forbidden(&e) => new(Type::RAW).map(|s| (s, true)),
        created => created.map(|s| (s, false)),
    };
    created.map_err(|e| match e.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => Refusal::NoDescriptor,
        _ => local("socket", &e),
    })
}

/// A socket of another network.
fn elsewhere(
    target: &Target,
    transport: Transport,
    network: Option<&dyn Network>,
) -> Result<Socket, Refusal> {
    let Some(network) = network else {
        let detail = "there is no network to reach a server by an address of others";
        return Err(Refusal::local(detail));
    };
    match network.open(target, transport) {
        Ok(socket) => Ok(socket.into()),
        Err(e) => Err(match e.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => Refusal::NoDescriptor,
            _ => Refusal::Failed(connect_failure(&e)),
        }),
    }
}

fn prepare(socket: &Socket, target: &Target, transport: Transport) -> Result<(), Refusal> {
    if target.via.is_none() {
        place(socket, target)?;
    }
    if transport != Transport::Stream {
        // Also of errors that might pass by themselves (no route to the host) we want to hear, as TCP tells of them anyway.
        let (level, name) = match target.addr {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        };
        sys::set_option(socket.as_fd(), level, name, 1).map_err(|e| local("errors", &e))?;
    }
    Ok(())
}

/// Sees to where the probe comes from.
fn place(socket: &Socket, target: &Target) -> Result<(), Refusal> {
    if target.mark != 0 {
        socket
            .set_mark(target.mark)
            .map_err(|e| local("mark", &e))?;
    }
    if let Some(interface) = &target.interface {
        socket
            .bind_device(Some(interface.as_bytes()))
            .map_err(|e| local(&format!("interface {interface}"), &e))?;
    }
    if target.source.is_some() || target.source_port.is_some() {
        bind(socket, target)?;
    }
    Ok(())
}

fn bind(socket: &Socket, target: &Target) -> Result<(), Refusal> {
    let any: IpAddr = match target.addr {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let port = target.source_port.unwrap_or(0);
    match port {
        // Which port is chosen when the peer is known, so that one port can serve towards many of them. Older kernels choose at
        // once, and nothing is lost but ports.
        0 => {
            let name = libc::IP_BIND_ADDRESS_NO_PORT;
            let _ = sys::set_option(socket.as_fd(), libc::IPPROTO_IP, name, 1);
        }
        // Several checks may come from one port, as long as they go to different servers.
        _ => socket
            .set_reuse_address(true)
            .map_err(|e| local("port", &e))?,
    }
    let source = SocketAddr::new(target.source.unwrap_or(any), port);
    socket
        .bind(&source.into())
        .map_err(|e| local(&format!("source {source}"), &e))
}

fn local(what: &str, error: &io::Error) -> Refusal {
    Refusal::local(format!("{what}: {error}"))
}

/// Makes the coming close a reset.
///
/// Whoever closes a TCP connection first keeps its ports for a minute. Ten thousand checks a second would keep 600,000; a reset
/// keeps none, on neither side.
pub(super) fn reset_on_close(socket: &Socket) {
    let _ = socket.set_linger(Some(Duration::ZERO));
}

/// What it means that there is no connection.
pub(super) fn connect_failure(error: &io::Error) -> Failure {
    let reason = match error.raw_os_error() {
        Some(libc::ETIMEDOUT) => Reason::ConnectTimeout,
        code => remote(code).unwrap_or(Reason::Local),
    };
    failure(reason, error)
}

/// What it means that sending or receiving fails.
pub(super) fn transfer_failure(error: &io::Error) -> Failure {
    let reason = match error.raw_os_error() {
        Some(libc::ETIMEDOUT) => Reason::AnswerTimeout,
        code => remote(code).unwrap_or(Reason::Local),
    };
    failure(reason, error)
}

/// What the network or the peer did; `None`: neither of them did anything.
fn remote(code: Option<i32>) -> Option<Reason> {
    Some(match code? {
        libc::ECONNREFUSED => Reason::Refused,
        libc::ENETUNREACH
        | libc::EHOSTUNREACH
        | libc::ENETDOWN
        | libc::EHOSTDOWN
        | libc::ENONET
        | libc::ENOPROTOOPT
        | libc::EPROTO => Reason::Unreachable,
        libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE => Reason::Reset,
        _ => return None,
    })
}

/// The reason's own words say it all, unless several errors have them.
fn failure(reason: Reason, error: &io::Error) -> Failure {
    match reason {
        Reason::Local | Reason::Unreachable => Failure::new(reason, error.to_string()),
        _ => reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors() {
        for (code, connecting, later) in [
            (libc::ECONNREFUSED, Reason::Refused, Reason::Refused),
            (libc::ENETUNREACH, Reason::Unreachable, Reason::Unreachable),
            (libc::EHOSTUNREACH, Reason::Unreachable, Reason::Unreachable),
            (libc::EHOSTDOWN, Reason::Unreachable, Reason::Unreachable),
            (libc::ENETDOWN, Reason::Unreachable, Reason::Unreachable),
            (libc::ECONNRESET, Reason::Reset, Reason::Reset),
            (libc::ECONNABORTED, Reason::Reset, Reason::Reset),
            (libc::EPIPE, Reason::Reset, Reason::Reset),
            (
                libc::ETIMEDOUT,
                Reason::ConnectTimeout,
                Reason::AnswerTimeout,
            ),
            (libc::EADDRNOTAVAIL, Reason::Local, Reason::Local),
            (libc::EPERM, Reason::Local, Reason::Local),
            (libc::ENOBUFS, Reason::Local, Reason::Local),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(connect_failure(&error).reason, connecting, "{error}");
            assert_eq!(transfer_failure(&error).reason, later, "{error}");
        }
        assert_eq!(
            connect_failure(&io::Error::other("odd")).reason,
            Reason::Local
        );
    }
}
