//! Source ports that the host leaves alone.
//!
//! Problem: answers to probes come to an address of the host, whose stack knows nothing of the probes, would refuse what comes to a
//! port that nobody has, and might give the port to somebody.
//!
//! Rule: for each way there is a port of its own, and a socket of the host at that port which swallows whatever comes: a listening
//! one for TCP, with a filter that lets nothing through, not even to be refused. Each check keeps its port, so that what comes late
//! for one is never taken for another's. When all ports are taken, one that nobody has used for long changes hands.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use lvs_core::Protocol;
use socket2::{Domain, SockFilter, Socket, Type};

use super::Way;

/// Where source ports are taken from: below those that Linux hands out by itself.
pub(super) const RANGE: RangeInclusive<u16> = 16_384..=32_767;
/// A port that was not used for this long may be taken from a check.
const UNUSED: Duration = Duration::from_secs(600);

/// The ports that are taken.
#[derive(Debug, Default)]
pub(super) struct Ports {
    taken: HashMap<(Protocol, Way), Vec<Taken>>,
    /// How far the range was gone through.
    position: u16,
}

#[derive(Debug)]
struct Taken {
    port: u16,
    used: Instant,
    /// Keeps it.
    _sink: Socket,
}

/// A port that is newly taken.
#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) port: u16,
    /// Whose it was, if it was somebody's.
    pub(super) taken_from: Option<(Protocol, u16)>,
}

impl Ports {
    /// The ports of a way, which are used now. More than one if several checks have asked at once.
    pub(super) fn of(&mut self, protocol: Protocol, way: &Way) -> Vec<u16> {
        let taken = self.taken.get_mut(&(protocol, *way));
        let now = Instant::now();
        let used = taken.into_iter().flatten().map(|taken| {
            taken.used = now;
            taken.port
        });
        used.collect()
    }

    /// One more for a way.
    ///
    /// # Errors
    ///
    /// There is none left.
    pub(super) fn reserve(&mut self, protocol: Protocol, way: Way) -> io::Result<Reserved> {
        let source = IpAddr::from(way.source);
        let mut taken_from = None;
        let (port, sink) = match self.search(protocol, source)? {
            Some(found) => found,
            None => {
                taken_from = self.give_up_oldest();
                let again = taken_from.and_then(|(_, port)| {
                    sink(protocol, SocketAddr::new(source, port))
                        .ok()
                        .map(|s| (port, s))
                });
                again.ok_or_else(|| io::Error::other("no source ports are left"))?
            }
        };
        self.taken.entry((protocol, way)).or_default().push(Taken {
            port,
            used: Instant::now(),
            _sink: sink,
        });
        Ok(Reserved { port, taken_from })
    }

    /// The next port that nobody has.
    fn search(&mut self, protocol: Protocol, source: IpAddr) -> io::Result<Option<(u16, Socket)>> {
        for _ in RANGE {
            let port = RANGE.start() + self.position;
            self.position = (self.position + 1) % (RANGE.end() - RANGE.start() + 1);
            match sink(protocol, SocketAddr::new(source, port)) {
                Ok(socket) => return Ok(Some((port, socket))),
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    fn give_up_oldest(&mut self) -> Option<(Protocol, u16)> {
        let all = self.taken.iter();
        let oldest = all.flat_map(|(key, ports)| ports.iter().map(move |p| (p.used, *key, p.port)));
        let (used, key, port) = oldest.min_by_key(|(used, ..)| *used)?;
        if used.elapsed() < UNUSED {
            return None;
        }
        let ports = self.taken.get_mut(&key)?;
        ports.retain(|p| p.port != port);
        if ports.is_empty() {
            self.taken.remove(&key);
        }
        Some((key.0, port))
    }
}

/// A socket of the host that has this address and port, and swallows what comes there.
fn sink(protocol: Protocol, addr: SocketAddr) -> io::Result<Socket> {
    let kind = match protocol {
        Protocol::UDP => Type::DGRAM,
        _ => Type::STREAM,
    };
    let socket = Socket::new(Domain::for_address(addr), kind, None)?;
    let nothing = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
    socket.attach_filter(&[nothing])?;
    socket.bind(&addr.into())?;
    if protocol == Protocol::TCP {
        socket.listen(1)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, TcpStream, UdpSocket};

    use lvs_core::{Endpoint, Ip};
    use lvs_health::check::{Delivery, Via};

    use super::*;

    const HERE: Ip = Ip::v4([127, 0, 0, 1]);

    fn way(vip: &str) -> Way {
        Way {
            source: HERE,
            vip: vip.parse::<Endpoint>().unwrap(),
            via: Via {
                server: Ipv4Addr::LOCALHOST.into(),
                delivery: Delivery::Link,
            },
        }
    }

    #[test]
    fn each_way_keeps_a_port_of_its_own() {
        let mut ports = Ports::default();
        let (a, b) = (way("192.0.2.1:80"), way("192.0.2.2:80"));
        assert!(ports.of(Protocol::TCP, &a).is_empty());
        let first = ports.reserve(Protocol::TCP, a).unwrap().port;
        let second = ports.reserve(Protocol::TCP, b).unwrap().port;
        assert!(first != second && RANGE.contains(&first) && RANGE.contains(&second));
        assert_eq!(ports.of(Protocol::TCP, &a), [first]);
        assert_eq!(ports.of(Protocol::TCP, &b), [second]);
        assert!(ports.of(Protocol::UDP, &a).is_empty());
        // Lately used ports are nobody's to take.
        assert_eq!(ports.give_up_oldest(), None);
    }

    /// Neither a reset nor a connection: the host says nothing.
    #[test]
    fn what_comes_to_a_port_is_swallowed() {
        let mut ports = Ports::default();
        let port = ports
            .reserve(Protocol::TCP, way("192.0.2.1:80"))
            .unwrap()
            .port;
        let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let patience = Duration::from_millis(200);
        let error = TcpStream::connect_timeout(&to, patience).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        let port = ports
            .reserve(Protocol::UDP, way("192.0.2.1:80"))
            .unwrap()
            .port;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        socket.send(b"hello").unwrap();
        socket.set_read_timeout(Some(patience)).unwrap();
        let error = socket.recv(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}
