//! One virtual router on an interface of this host, as other programs embed it: the state machines, the sockets and the interfaces
//! of this crate in an event loop.
//!
//! `speak eth0 51 150 100 192.0.2.100/24` takes part in virtual router 51 with priority 150 and an advertisement every 100 ms, and
//! holds 192.0.2.100 while it is master. It prints its states and why it is in them. Needs root; Ctrl-C ends it.

use std::env;
use std::error::Error;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lvs_vrrp::Time;
use lvs_vrrp::announce::{Held, Place, Schedule, Settings, Spacing};
use lvs_vrrp::config::{Config, Family, Object, RouterConfig, Tracked};
use lvs_vrrp::event::{Output, State};
use lvs_vrrp::io::address::{self, Address};
use lvs_vrrp::io::announcer::{Announcer, Station};
use lvs_vrrp::io::link::Links;
use lvs_vrrp::io::netlink::Connection;
use lvs_vrrp::io::socket::{AdvertSocket, Endpoint, HeaderV6};
use lvs_vrrp::packet;
use lvs_vrrp::speaker::Speaker;
use lvs_vrrp::status::ObjectState;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};

const USAGE: &str = "usage: speak INTERFACE VRID PRIORITY MILLISECONDS ADDRESS/LENGTH";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [name, vrid, priority, interval, vip] = words.as_slice() else {
        return Err(USAGE.into());
    };
    let (ip, length) = vip.split_once('/').ok_or(USAGE)?;
    let ip: IpAddr = ip.parse()?;
    let interface = Object::Interface(name.clone());
    let mut router = RouterConfig::new("speak", vrid.parse()?, vec![ip]);
    router.priority = priority.parse()?;
    router.interval = Duration::from_millis(interval.parse()?);
    router.tracking = vec![Tracked {
        object: interface.clone(),
        weight: 0,
        reverse: false,
    }];
    let (family, vrid) = (router.family, router.vrid);

    let mut links = Links::new()?;
    let link = links.named(name).ok_or("no such interface")?.clone();
    let ifindex = link.ifindex;
    let mut host = Host {
        station: Station {
            interface: ifindex,
            mac: link.mac.ok_or("not an Ethernet interface")?,
            is_router: false,
        },
        vip: Address::new(ifindex, ip, length.parse()?),
        socket: AdvertSocket::open(
            Endpoint::of(&router, NonZeroU32::new(ifindex), None).ok_or("no endpoint")?,
        )?,
        kernel: Connection::route()?,
        schedule: Schedule::new(Spacing::default()),
        announcer: Announcer::new()?,
        source: None,
    };
    let (stopping, stopped) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, stopping.try_clone()?)?;
    }
    let mut poll = Poll::new()?;
    let wait_for = [host.socket.as_fd(), links.as_fd(), stopped.as_fd()];
    for (number, descriptor) in wait_for.into_iter().enumerate() {
        let mut source = SourceFd(&descriptor.as_raw_fd());
        let registry = poll.registry();
        registry.register(&mut source, Token(number), Interest::READABLE)?;
    }

    let config = Config {
        routers: vec![Arc::new(router)],
        ..Config::default()
    };
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let start = Instant::now();
    let mut speaker = Speaker::new(config, u64::from(wall.subsec_nanos()));
    speaker.wall(wall);
    let id = speaker.id("speak").ok_or("no router")?;
    let (mut out, mut events) = (Vec::new(), Events::with_capacity(8));
    let (mut buffer, mut first) = (vec![0; 65536], true);
    loop {
        let happened = |number| events.iter().any(|e| e.token() == Token(number));
        if first || happened(1) {
            links.update()?;
            let now = start.elapsed();
            let is_up = links.get(ifindex).is_some_and(|l| l.up);
            let state = [ObjectState::Bad, ObjectState::Good][usize::from(is_up)];
            speaker.observe(&interface, state, now, &mut out);
            host.source = match family {
                Family::V4 => links.source_v4(ifindex, |a| a == ip).map(IpAddr::V4),
                Family::V6 => links.source_v6(ifindex, |a| a == ip).map(IpAddr::V6),
            };
            speaker.source(id, host.source, now, &mut out);
        }
        if first {
            speaker.start(start.elapsed(), &mut out);
            first = false;
        }
        // What has come counts before the time that has passed.
        while let Some(advert) = host.socket.recv(&mut buffer).unwrap_or_default() {
            if packet::vrid_of(family, advert.bytes) == Some(vrid) {
                speaker.received(id, &advert, start.elapsed(), &mut out);
            }
        }
        let ends = happened(2);
        let now = start.elapsed();
        if ends {
            speaker.stop(now, &mut out);
        } else {
            speaker.elapsed(now, &mut out);
        }
        for output in out.drain(..) {
            host.carry_out(output, now)?;
        }
        if ends {
            return Ok(());
        }
        host.announce(now);
        let deadlines = [speaker.next_deadline(), host.schedule.next_deadline()];
        let next = deadlines.into_iter().flatten().min();
        let wait = next.map(|next| next.saturating_sub(start.elapsed()));
        match poll.poll(&mut events, wait) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e.into()),
            _ => {}
        }
    }
}

/// What the router's outputs are carried out with.
struct Host {
    station: Station,
    vip: Address,
    socket: AdvertSocket,
    kernel: Connection,
    schedule: Schedule,
    announcer: Announcer,
    source: Option<IpAddr>,
}

impl Host {
    fn carry_out(&mut self, output: Output, now: Time) -> Result<(), Box<dyn Error>> {
        match output {
            Output::Send { to, bytes, .. } => {
                let mut header = HeaderV6::default();
                if let Some(IpAddr::V6(source)) = self.source {
                    header.source = Some(source);
                }
                let sent = self.socket.send(to, &bytes, header);
                sent.unwrap_or_else(|e| eprintln!("sending to {to}: {e}"));
            }
            Output::Entered {
                router,
                from,
                to,
                why,
                priority,
                ..
            } => {
                println!("{from} -> {to}: {why} (priority {priority})");
                if from == State::Master {
                    self.schedule.left(router);
                    address::remove(&mut self.kernel, &[self.vip.removal()])?;
                }
                if to == State::Master {
                    address::add(&mut self.kernel, slice::from_ref(&self.vip))?;
                    let (interface, addr) = (self.vip.ifindex, self.vip.ip);
                    let place = Place::Own;
                    let held = [Held {
                        interface,
                        addr,
                        place,
                    }];
                    self.schedule
                        .became_master(router, Settings::default(), held, now);
                }
            }
            Output::Reannounce { router } => self.schedule.reannounce(router, now),
            Output::Trouble { from, trouble, .. } => println!("{from}: {trouble}"),
            _ => {}
        }
        Ok(())
    }

    fn announce(&mut self, now: Time) {
        let mut due = Vec::new();
        self.schedule.elapsed(now, &mut due);
        for what in due {
            let announced = self.announcer.announce(self.station, what.addr);
            announced.unwrap_or_else(|e| eprintln!("announcing {}: {e}", what.addr));
        }
    }
}
