//! The sockets that virtual routers speak and listen by.
//!
//! Problem: interfaces and addresses come and go, and a socket belongs to one that is there.
//!
//! Rule: whenever something has changed, what should be open is worked out anew from what there is; what is open already and
//! should be stays open. Virtual routers that hear at the same place share a socket. Virtual addresses that come and go are no such
//! change: there may be thousands.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use lvs_vrrp::config::{Family, RouterConfig, Transport, Version};
use lvs_vrrp::event::RouterId;
use lvs_vrrp::io::link::Links;
use lvs_vrrp::io::socket::{AdvertSocket, Endpoint, HeaderV6, Protocol};
use lvs_vrrp::packet::{self, Received};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::seat::Seat;
use super::speaking::FIRST_SOCKET;
use crate::keepalived::model::{BufferSize, Instance, ReceiveBuffer, Vrrp};

/// Where a virtual router speaks, as far as its configuration says.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    config: Arc<RouterConfig>,
    /// The interface that advertisements go by, or the VRF; `None`: wherever the source is.
    interface: Option<String>,
    /// The interface whose address they carry.
    base: Option<String>,
    /// The source that is configured.
    source: Option<IpAddr>,
    /// It only counts while the host has it.
    track_source: bool,
    /// Addresses that it does not send from.
    virtuals: Arc<HashSet<IpAddr>>,
    /// The size of the receiving buffer, for a number of routers.
    buffer: Buffer,
}

/// How large a receiving buffer is, for each virtual router that listens by it.
#[derive(Clone, Copy, Debug)]
enum Buffer {
    System,
    Bytes(u32),
    /// So many times what the interface carries in one packet.
    Packets(u32),
}

/// A virtual router as it stands now.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) id: RouterId,
    pub(super) stand: Arc<Stand>,
    /// The address that it sends from, if the host has one.
    pub(super) source: Option<IpAddr>,
}

/// The addresses that come and go with masters: none that advertisements are sent from. Owners have theirs always, and others may
/// send from them.
pub(super) fn virtuals(vrrp: &Vrrp) -> Arc<HashSet<IpAddr>> {
    let leave = vrrp.instances.iter().filter(|i| !i.is_owner());
    let addresses = leave.flat_map(Instance::addresses).map(|a| a.addr.ip);
    let mut virtuals: HashSet<IpAddr> = addresses.collect();
    let sources = vrrp.instances.iter().filter_map(|i| i.source.as_ref());
    for source in sources {
        virtuals.remove(&source.value);
    }
    Arc::new(virtuals)
}

/// Looks for the addresses that virtual routers send from. Those that look for the same look once: there may be hundreds, and
/// thousands of addresses.
pub(super) fn stand(
    stands: impl Iterator<Item = (RouterId, Arc<Stand>)>,
    links: &Links,
) -> Vec<Standing> {
    let stands: Vec<_> = stands.collect();
    let mut found = HashMap::new();
    let mut source = |stand: &Arc<Stand>| {
        let among = (
            stand.base.clone(),
            stand.config.family,
            Arc::as_ptr(&stand.virtuals),
        );
        let entry = found.entry((stand.source, stand.track_source, among));
        *entry.or_insert_with(|| stand.source(links))
    };
    let all = stands.into_iter().map(|(id, stand)| Standing {
        id,
        source: source(&stand),
        stand,
    });
    all.collect()
}

impl Stand {
    pub(super) fn new(
        instance: &Instance,
        config: Arc<RouterConfig>,
        seat: &Seat,
        vrrp: &Vrrp,
        virtuals: &Arc<HashSet<IpAddr>>,
    ) -> Self {
        let mut virtuals = Arc::clone(virtuals);
        if instance.is_owner() {
            Arc::make_mut(&mut virtuals).extend(instance.addresses().map(|a| a.addr.ip));
        }
        let vrf = instance.vrf.as_ref().map(|v| v.value.clone());
        Self {
            interface: seat.speaks_on.clone().or(vrf),
            base: seat.base.clone(),
            source: instance.source.as_ref().map(|s| s.value),
            track_source: instance.track_source,
            virtuals,
            buffer: buffer(instance, &config, vrrp.common.receive_buffer),
            config,
        }
    }

    fn source(&self, links: &Links) -> Option<IpAddr> {
        if let Some(source) = self.source {
            return (!self.track_source || links.has(source)).then_some(source);
        }
        let base = links.named(self.base.as_deref()?)?.ifindex;
        let is_virtual = |ip: IpAddr| self.virtuals.contains(&ip);
        match self.config.family {
            Family::V4 => links.source_v4(base, is_virtual).map(IpAddr::V4),
            Family::V6 => links.source_v6(base, is_virtual).map(IpAddr::V6),
        }
    }

    /// The socket that it needs.
    fn endpoint(&self, source: Option<IpAddr>, links: &Links) -> Result<Endpoint, String> {
        let interface = match &self.interface {
            Some(name) => {
                let link = links.named(name);
                let link =
                    link.ok_or_else(|| format!("there is no interface {}", name.escape_debug()))?;
                NonZeroU32::new(link.ifindex)
            }
            None => None,
        };
        Endpoint::of(&self.config, interface, source)
            .ok_or_else(|| "the host has no address to send from".to_owned())
    }

    /// Where advertisements come in that are authenticated in the other way (version 2), or sent by unicast instead of multicast or the
    /// other way round: they do not count, but somebody wants to know that they are there.
    fn others(&self, own: Endpoint, source: Option<IpAddr>) -> Vec<Endpoint> {
        let mut others = Vec::new();
        if self.config.version == Version::V2 && self.config.family == Family::V4 {
            let protocol = match own.protocol {
                Protocol::Vrrp => Protocol::Ah,
                Protocol::Ah => Protocol::Vrrp,
            };
            others.push(Endpoint { protocol, ..own });
        }
        let elsewhere = match (&self.config.transport, own.interface) {
            (Transport::Multicast { .. }, _) => source,
            (Transport::Unicast { .. }, Some(_)) => Some(match self.config.family {
                Family::V4 => Transport::GROUP_V4,
                Family::V6 => Transport::GROUP_V6,
            }),
            (Transport::Unicast { .. }, None) => None,
        };
        others.extend(elsewhere.map(|local| Endpoint { local, ..own }));
        others
    }

    fn header(&self, source: Option<IpAddr>) -> HeaderV6 {
        let source = match source {
            Some(IpAddr::V6(source)) => Some(source),
            _ => None,
        };
        let hop_limit = match self.config.transport {
            Transport::Unicast { ttl, .. } => ttl,
            Transport::Multicast { .. } => None,
        };
        HeaderV6 { source, hop_limit }
    }
}

fn buffer(instance: &Instance, config: &RouterConfig, common: ReceiveBuffer) -> Buffer {
    /// Headers of IP and AH, and keepalived's trailer.
    const AROUND: u32 = 120;
    if let Some(bytes) = instance.receive_buffer {
        return Buffer::Bytes(bytes);
    }
    let address = match config.family {
        Family::V4 => 4,
        Family::V6 => 16,
    };
    let addresses = u32::try_from(config.addresses.len()).unwrap_or(255);
    match common.size {
        BufferSize::System => Buffer::System,
        BufferSize::Bytes(bytes) => Buffer::Bytes(bytes),
        BufferSize::Mtu => Buffer::Packets(common.multiplier),
        BufferSize::Advertisement => {
            Buffer::Bytes((AROUND + address * addresses).saturating_mul(common.multiplier))
        }
    }
}

/// A socket with all who listen by it.
#[derive(Debug)]
struct Port {
    socket: AdvertSocket,
    routers: Vec<RouterId>,
}

/// How a virtual router sends.
#[derive(Debug)]
struct Voice {
    port: usize,
    header: HeaderV6,
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Ports {
    registry: Registry,
    /// By number; a number is not used again, since an event may still name it.
    ports: HashMap<usize, Port>,
    next: usize,
    voices: HashMap<RouterId, Voice>,
    /// Why others have none.
    mute: HashMap<RouterId, String>,
    /// Whose sending fails, and is known to.
    failing: HashSet<RouterId>,
}

impl Ports {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            ports: HashMap::new(),
            next: FIRST_SOCKET,
            voices: HashMap::new(),
            mute: HashMap::new(),
            failing: HashSet::new(),
        }
    }

    /// Opens what should be open, and closes what should not. Returns what is to be logged.
    pub(super) fn arrange(&mut self, all: &[Standing], links: &Links) -> Vec<String> {
        let mut wanted: HashMap<Endpoint, Vec<&Standing>> = HashMap::new();
        let mut own: HashMap<RouterId, Endpoint> = HashMap::new();
        let mut mute = HashMap::new();
        for one in all {
            match one.stand.endpoint(one.source, links) {
                Ok(endpoint) => {
                    own.insert(one.id, endpoint);
                    wanted.entry(endpoint).or_default().push(one);
                    for other in one.stand.others(endpoint, one.source) {
                        wanted.entry(other).or_default().push(one);
                    }
                }
                Err(why) => {
                    mute.insert(one.id, why);
                }
            }
        }
        self.voices.clear();
        let (registry, wants) = (&self.registry, &wanted);
        self.ports.retain(|_, port| {
            let stays = wants.contains_key(&port.socket.endpoint());
            if !stays {
                let fd = port.socket.as_raw_fd();
                let _ = registry.deregister(&mut SourceFd(&fd)); // closing does it too
            }
            stays
        });
        for (endpoint, listeners) in wanted {
            // The others only listen here.
            let speakers = listeners.iter().copied();
            let speakers = speakers.filter(|one| own.get(&one.id) == Some(&endpoint));
            let open = self.ports.iter();
            let mut open = open.filter(|(_, port)| port.socket.endpoint() == endpoint);
            let number = match open.next().map(|(number, _)| *number) {
                Some(number) => Ok(number),
                None => self.open(endpoint),
            };
            let number = match number {
                Ok(number) => number,
                Err(why) => {
                    mute.extend(speakers.map(|one| (one.id, why.clone())));
                    continue;
                }
            };
            let Some(port) = self.ports.get_mut(&number) else {
                continue;
            };
            port.routers = listeners.iter().map(|one| one.id).collect();
            make_room(&port.socket, &listeners, links);
            for one in speakers {
                let header = one.stand.header(one.source);
                let port = number;
                self.voices.insert(one.id, Voice { port, header });
            }
        }
        let news = mute
            .iter()
            .filter(|(id, why)| self.mute.get(id) != Some(why));
        let named = |id: &RouterId| all.iter().find(|one| one.id == *id);
        let lines = news.filter_map(|(id, why)| {
            let name = &named(id)?.stand.config.name;
            Some(format!("({}) cannot speak: {why}", name.escape_debug()))
        });
        let lines = lines.collect();
        self.mute = mute;
        lines
    }

    /// Whether a virtual router can speak.
    pub(super) fn is_open(&self, id: RouterId) -> bool {
        self.voices.contains_key(&id)
    }

    /// How a virtual router sends.
    pub(super) fn way(&self, id: RouterId) -> Option<(Endpoint, HeaderV6)> {
        let voice = self.voices.get(&id)?;
        let port = self.ports.get(&voice.port)?;
        Some((port.socket.endpoint(), voice.header))
    }

    /// Why virtual routers cannot speak that cannot.
    pub(super) fn mute(&self) -> HashMap<RouterId, String> {
        self.mute.clone()
    }

    /// Reads an advertisement, and hands it over with those who listen there and the number that is in it. False if none has
    /// come.
    pub(super) fn receive(
        &self,
        socket: usize,
        buffer: &mut [u8],
        hear: impl FnOnce(&[RouterId], Option<u8>, Received<'_>),
    ) -> io::Result<bool> {
        let Some(port) = self.ports.get(&socket) else {
            return Ok(false);
        };
        let Some(packet) = port.socket.recv(buffer)? else {
            return Ok(false);
        };
        let family = Family::of(packet.from);
        hear(&port.routers, packet::vrid_of(family, packet.bytes), packet);
        Ok(true)
    }

    /// Sends an advertisement.
    pub(super) fn send(&mut self, id: RouterId, to: IpAddr, bytes: &[u8]) -> io::Result<()> {
        let voice = self.voices.get(&id);
        let Some((voice, port)) = voice.and_then(|v| Some((v, self.ports.get(&v.port)?))) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        port.socket.send(to, bytes, voice.header)?;
        self.failing.remove(&id);
        Ok(())
    }

    /// Whether it is news that a virtual router's sending fails.
    pub(super) fn is_news(&mut self, id: RouterId) -> bool {
        self.failing.insert(id)
    }

    fn open(&mut self, endpoint: Endpoint) -> Result<usize, String> {
        let socket = AdvertSocket::open(endpoint).map_err(|e| e.to_string())?;
        let number = self.next;
        let fd = socket.as_raw_fd();
        let registered =
            self.registry
                .register(&mut SourceFd(&fd), Token(number), Interest::READABLE);
        registered.map_err(|e| e.to_string())?;
        self.next += 1;
        let routers = Vec::new();
        self.ports.insert(number, Port { socket, routers });
        Ok(number)
    }
}

/// Makes the receiving buffer as large as all who listen want it.
fn make_room(socket: &AdvertSocket, listeners: &[&Standing], links: &Links) {
    let mtu = socket.endpoint().interface;
    let mtu = mtu.and_then(|i| links.get(i.get())).map_or(1500, |l| l.mtu);
    let sizes = listeners.iter().filter_map(|one| match one.stand.buffer {
        Buffer::System => None,
        Buffer::Bytes(bytes) => Some(bytes),
        Buffer::Packets(packets) => Some(mtu.saturating_mul(packets)),
    });
    let size = sizes.fold(0, u32::saturating_add);
    if size > 0 {
        let _ = socket.set_receive_buffer(size); // it does with what it has
    }
}
