//! The private network namespace, and the thread in it.
//!
//! A socket is of the namespace of the thread that makes it, for good. So one thread lives there and makes sockets for whoever asks.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::{io, thread};

use lvs_core::{Family, Ip, Protocol};
use lvs_fwd::io::namespace::enter_new_network;
use lvs_fwd::io::netlink::Config;
use lvs_fwd::io::tun::Tun;
use socket2::{Domain, Socket, Type};

const DEVICE: &str = "vip0";
/// Leaves room for the headers of every kind of tunnel in an Ethernet frame, so that nothing has to be cut up.
const MTU: u32 = 1400;

/// The thread. It ends, and the namespace with it, when this is dropped.
#[derive(Debug)]
pub(super) struct Namespace(Sender<Ask>);

/// A socket is wanted.
#[derive(Debug)]
struct Ask {
    /// The address that it will be bound to.
    source: IpAddr,
    protocol: Protocol,
    reply: Sender<io::Result<Socket>>,
}

/// What the thread has.
struct Inside {
    config: Config,
    /// Addresses of the device.
    addresses: HashSet<IpAddr>,
}

impl Namespace {
    /// Makes a namespace with one TUN device, by which everything leaves.
    pub(super) fn start() -> io::Result<(Self, Tun)> {
        let (made, making) = mpsc::channel();
        let (asks, queue) = mpsc::channel();
        let thread = thread::Builder::new().name("lvsd-vip-net".to_owned());
        thread.spawn(move || match enter() {
            Ok((inside, tun)) => {
                if made.send(Ok(tun)).is_ok() {
                    inside.serve(&queue);
                }
            }
            Err(e) => drop(made.send(Err(e))),
        })?;
        let tun = making.recv().map_err(|_| ended())??;
        Ok((Self(asks), tun))
    }

    /// A socket in the namespace, which has this address from now on.
    pub(super) fn socket(&self, source: IpAddr, protocol: Protocol) -> io::Result<Socket> {
        let (reply, answer) = mpsc::channel();
        let ask = Ask {
            source,
            protocol,
            reply,
        };
        self.0.send(ask).map_err(|_| ended())?;
        answer.recv().map_err(|_| ended())?
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread of the private network has ended")
}

fn enter() -> io::Result<(Inside, Tun)> {
    let step =
        |what: &'static str| move |e: io::Error| io::Error::new(e.kind(), format!("{what}: {e}"));
    enter_new_network().map_err(step("a network namespace (needs CAP_SYS_ADMIN)"))?;
    let tun = Tun::new(DEVICE).map_err(step("/dev/net/tun"))?;
    let mut config = Config::new().map_err(step("netlink"))?;
    let mut configure = || {
        config.set_mtu(DEVICE, MTU)?;
        config.set_up(DEVICE, true)?;
        config.add_route((Ip::v4([0; 4]), 0), None, Some(DEVICE))
    };
    configure().map_err(step("the private network"))?;
    // A kernel without IPv6 says so when an address of it is needed.
    let _ = config.add_route((Ip::v6([0; 16]), 0), None, Some(DEVICE));
    let inside = Inside {
        config,
        addresses: HashSet::new(),
    };
    Ok((inside, tun))
}

impl Inside {
    fn serve(mut self, asks: &Receiver<Ask>) {
        for ask in asks {
            // Who asked may be gone.
            let _ = ask.reply.send(self.socket(&ask));
        }
    }

    fn socket(&mut self, ask: &Ask) -> io::Result<Socket> {
        if !self.addresses.contains(&ask.source) {
            let ip = Ip::from(ask.source);
            let length = match ip.family() {
                Family::V4 => 32,
                Family::V6 => 128,
            };
            self.config.add_address(DEVICE, ip, length)?;
            self.addresses.insert(ask.source);
        }
        let domain = match ask.source {
            IpAddr::V4(_) => Domain::IPV4,
            IpAddr::V6(_) => Domain::IPV6,
        };
        let (kind, protocol) = match ask.protocol {
            Protocol::UDP => (Type::DGRAM, socket2::Protocol::UDP),
            _ => (Type::STREAM, socket2::Protocol::TCP),
        };
        Socket::new(domain, kind.nonblocking(), Some(protocol))
    }
}
