//! Checks of a server at an address that other hosts hold too: the virtual address, as real traffic asks for it.
//!
//! Problem: what a server of direct routing or behind a tunnel does with packets for the virtual address only such packets can find
//! out. The host's own sockets cannot send them: where the host holds the address they stay here, elsewhere the network brings them
//! to the director, and answers from an address of the host's own are refused as martians.
//!
//! Rule: the sockets of such checks live in a private network namespace without a name. Its only way out is a TUN device, and we
//! hold the other end. A probe comes from an address of the director and from a port that is its check's own; by that port we know
//! which server is meant, and send the packet there as the packet path would. What the server answers goes to that address and port,
//! where a tap takes it past the host's stack and hands it to the namespace's. So kernels speak TCP and UDP on both sides, and probes
//! do not know where they run.
//!
//! ```text
//!    health thread          relay thread                      real server
//!  probe ─ socket ┐       ┌ source port → server, next hop ─ frame →┐
//!      ┌──────────┴─┐     │                                         VIP
//!      │ namespace  ├ TUN ┤                                         │
//!      └────────────┘     └ tap ← (director's address, source port) ┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `namespace` | the thread in the namespace, which makes the sockets |
//! | `ports` | source ports that the host leaves alone |
//! | `relay` | the thread between TUN device and interfaces |

mod namespace;
mod ports;
mod relay;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use lvs_core::dest::GueChecksum;
use lvs_core::{Encapsulation, Endpoint, Ip, Protocol, Rewrite};
use lvs_fwd::route::{Resolution, Topology};
use lvs_health::check::{Delivery, Target, Via};
use lvs_health::driver::Network;
use lvs_health::probe::Transport;
use socket2::Socket;

use self::namespace::Namespace;
use self::ports::Ports;
use self::relay::Relay;
use crate::control::desk::Plane;

/// The way to servers at virtual addresses. Made when first needed.
pub(super) struct Vips {
    plane: Arc<dyn Plane>,
    log: fn(&str),
    running: Mutex<Result<Running, String>>,
}

struct Running {
    namespace: Namespace,
    ports: Ports,
    ways: Ways,
    /// Ends when this is dropped.
    _relay: Relay,
}

/// Whom the packets of which of our ports are for.
type Ways = Arc<Mutex<HashMap<(Protocol, u16), Way>>>;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Way {
    /// The director's address that they come from.
    source: Ip,
    /// The virtual address and port.
    vip: Endpoint,
    /// The server, and how they get there.
    via: Via,
}

impl Vips {
    pub(super) fn new(plane: Arc<dyn Plane>, log: fn(&str)) -> Self {
        Self {
            plane,
            log,
            running: Mutex::new(Err("it was never needed".to_owned())),
        }
    }

    /// Makes what such checks need, unless it is there, and says what is missing. They fail then, and no others.
    pub(super) fn prepare(&self) {
        let mut running = lock(&self.running);
        if running.is_ok() {
            return;
        }
        *running = self.start().map_err(|e| {
            let why = format!("virtual addresses on servers cannot be checked: {e}");
            (self.log)(&format!("warning: {why}"));
            why
        });
    }

    fn start(&self) -> io::Result<Running> {
        let topology = self.plane.topology();
        let topology = topology.ok_or_else(|| io::Error::other("nothing is sent from here"))?;
        let (namespace, tun) = Namespace::start()?;
        let ways = Ways::default();
        let relay = Relay::start(tun, &topology, ways.clone(), self.plane.clone(), self.log)?;
        Ok(Running {
            namespace,
            ports: Ports::default(),
            ways,
            _relay: relay,
        })
    }

    /// The address that a probe comes from: one that the server can answer to, and that is no virtual one, since the server may
    /// hold that itself.
    fn source(&self, topology: &Topology, target: &Target, server: Ip) -> io::Result<Ip> {
        let vip = Ip::from(target.addr.ip());
        if let Some(source) = target.source.map(Ip::from) {
            return match topology.is_local(source) && source != vip {
                true => Ok(source),
                false => Err(io::Error::other(format!(
                    "{source} is no address of this host"
                ))),
            };
        }
        let config = self.plane.director().config();
        let fits = |ip: &Ip| {
            ip.family() == vip.family() && !ip.is_link_local_v6() && *ip != vip && !config.owns(ip)
        };
        let out = topology.next_hop(server).map(|(ifindex, _)| ifindex);
        let all = topology.interfaces().iter();
        let (near, far): (Vec<_>, Vec<_>) = all.partition(|i| Some(i.ifindex) == out);
        let others = near.into_iter().chain(far).flat_map(|i| &i.addrs).copied();
        let mut all = topology.source_for(server).into_iter().chain(others);
        all.find(fits)
            .ok_or_else(|| io::Error::other(format!("no address of this host to ask {vip} from")))
    }
}

impl Network for Vips {
    fn open(&self, target: &Target, transport: Transport) -> io::Result<OwnedFd> {
        let protocol = match transport {
            Transport::Stream => Protocol::TCP,
            Transport::Datagram => Protocol::UDP,
            Transport::Echo => return Err(io::ErrorKind::Unsupported.into()),
        };
        let via = target.via.ok_or(io::ErrorKind::InvalidInput)?;
        let mut running = lock(&self.running);
        let running = running
            .as_mut()
            .map_err(|why| io::Error::other(why.clone()))?;
        let topology = self.plane.topology();
        let topology = topology.ok_or(io::ErrorKind::NotConnected)?;
        let server = Ip::from(via.server);
        match topology.resolve(server) {
            Resolution::Ready(_) | Resolution::Unresolved { .. } => {}
            Resolution::Local => return Err(io::Error::other("the server is this host")),
            Resolution::NoRoute => return Err(io::Error::from_raw_os_error(libc::ENETUNREACH)),
        }
        let way = Way {
            source: self.source(&topology, target, server)?,
            vip: Endpoint::new(target.addr.ip().into(), target.addr.port()),
            via,
        };
        running.open(protocol, way)
    }
}

impl Running {
    /// A socket that is bound to a port of this way's own.
    fn open(&mut self, protocol: Protocol, way: Way) -> io::Result<OwnedFd> {
        let source = IpAddr::from(way.source);
        let socket: Socket = self.namespace.socket(source, protocol)?;
        let bind = |port| socket.bind(&SocketAddr::new(source, port).into());
        for port in self.ports.of(protocol, &way) {
            match bind(port) {
                // Another check asks the same at this moment.
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
                bound => return bound.map(|()| socket.into()),
            }
        }
        let reserved = self.ports.reserve(protocol, way)?;
        let mut ways = lock(&self.ways);
        if let Some(taken) = reserved.taken_from {
            ways.remove(&taken);
        }
        ways.insert((protocol, reserved.port), way);
        drop(ways);
        bind(reserved.port).map(|()| socket.into())
    }
}

impl fmt::Debug for Vips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vips").finish_non_exhaustive()
    }
}

/// How the packet path sends to this server.
fn rewrite(via: Via) -> Rewrite {
    let remote = Ip::from(via.server);
    let tunnel = |encapsulation| Rewrite::Tunnel {
        remote,
        encapsulation,
    };
    match via.delivery {
        Delivery::Ipip => tunnel(Encapsulation::Ipip),
        Delivery::Gre { checksum } => tunnel(Encapsulation::Gre { checksum }),
        Delivery::Gue {
            port,
            checksum,
            remote_checksum,
        } => tunnel(Encapsulation::Gue {
            port,
            checksum: match (checksum, remote_checksum) {
                (_, true) => GueChecksum::Remote,
                (true, false) => GueChecksum::Full,
                (false, false) => GueChecksum::None,
            },
        }),
        _ => Rewrite::Route { next_hop: remote },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
