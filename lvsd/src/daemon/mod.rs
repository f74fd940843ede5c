//! The running director: threads, ports, guard, and the configuration they share.
//!
//! One *control* thread follows the kernel's interfaces, routes and neighbours, keeps the guard's entries right and
//! announces addresses. Each *worker* thread has a packet port on every interface and sleeps while nothing
//! arrives. They share the director, the topology (swapped whole when it changes), and a mailbox each.
//!
//! [`Daemon::start`] is to be called in the network namespace to work in; its threads stay in it.

mod activity;
mod apply;
mod control;
mod entries;
mod follow;
mod guard;
mod live;
mod mailbox;
mod marks;
mod memory;
mod privileges;
mod summary;
#[cfg(test)]
mod tests;
mod worker;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, io};

use arc_swap::ArcSwap;
use lvs_core::{ConfigError, Director, LocalAddr, ServiceKey, Settings, Time};
use lvs_fwd::frag::FragMemory;
use lvs_fwd::frame::PortId;
use lvs_fwd::helper::Helpers;
use lvs_fwd::helper::sip::CallIds;
use lvs_fwd::io::bpf::BpfError;
use lvs_fwd::io::netlink::{Link, Monitor};
use lvs_fwd::io::packet::{Device, OpenError, PacketConfig, PacketPort};
use lvs_fwd::pipeline::{Pipeline, Shared};

use crate::alerts::Alerts;
use crate::control::desk::Plane as _;
use crate::control::server::{self, Server};
use crate::health::{self, Health, Keeper, Source};
use crate::keepalived::model::{Config, Listen};
use crate::rules::RuleSet;
use crate::vrrp::Vrrp;
use crate::web::{self, Endpoint};
use control::Control;
use guard::Guard;
use live::Live;
use mailbox::Mailbox;
use worker::WorkerThread;

pub(crate) use apply::apply;
pub use follow::VirtualAddresses;
pub use summary::Summary;

/// First fragments remembered at a time.
const FRAGMENTS: usize = 8192;

/// How a daemon is started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The services.
    pub rules: RuleSet,
    /// The interfaces to work on; empty: every Ethernet interface that is up and not part of a bridge or bond, nor a macvlan
    /// above one of these.
    pub interfaces: Vec<String>,
    /// Worker threads, 1 to 16.
    pub workers: usize,
    /// The most connections at a time.
    pub max_connections: usize,
    /// Where it can be asked and changed while it runs; nowhere if `None`.
    pub socket: Option<server::Options>,
    /// A configuration to carry out besides, and where it was read.
    pub configuration: Option<(Config, Source)>,
    /// Where notes about the start, the guard and the like go, a line each. Nobody may have to wait for it: virtual routers would be
    /// taken for dead.
    pub log: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        let max_connections = Settings::default().max_connections;
        let log = |_: &str| {};
        Self {
            rules: RuleSet::default(),
            interfaces: Vec::new(),
            workers: 1,
            max_connections,
            socket: None,
            configuration: None,
            log,
        }
    }
}

/// Why the daemon does not start, or refuses a change. Says whose fault it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Configuration: there is no such interface, or it cannot be used.
    Interface(String, &'static str),
    /// Configuration: there is no interface to work on.
    NoInterface,
    /// Configuration: a real server of this service is this host itself, whose packets would have to be rewritten.
    LocalServer(ServiceKey, lvs_core::Endpoint),
    /// Configuration: a real server of this service is this host itself, and the guard cannot give packets back to the
    /// host.
    NoWayBack(ServiceKey, lvs_core::Endpoint),
    /// Configuration: refused by the director.
    Config(ConfigError),
    /// Configuration: no such scheduler.
    Scheduler(String),
    /// Configuration: a rule for marks names an interface that lvsd does not work on.
    MarkInterface(String),
    /// System: a privilege is missing.
    Privilege(String),
    /// Configuration: more services, servers and addresses than the BPF guard holds.
    Guard(BpfError),
    /// Configuration: a local address of FullNAT that the host itself uses.
    HostLocalAddr(LocalAddr),
    /// Configuration: the director does not take what a keepalived.conf asks for.
    Refused(String),
    /// System: another lvsd works in this network namespace.
    Running,
    /// System: the control socket cannot be listened at.
    Socket(PathBuf, io::Error),
    /// System: the HTTP endpoint cannot listen there.
    Endpoint(Listen, io::Error),
    /// System: an interface cannot be opened.
    Open(OpenError),
    /// System: something else failed.
    System(&'static str, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name, why) => write!(f, "interface {}: {why}", name.escape_debug()),
            Self::NoInterface => f.write_str(
                "there is no Ethernet interface that is up; name one with --interface or set one up",
            ),
            Self::LocalServer(service, server) => write!(
                f,
                "the real server {server} of {service} is this host itself, whose own programs get packets only as they come: \
                 use direct routing (-g, lvs_method DR), and let the program listen at the service's address and port"
            ),
            Self::NoWayBack(service, server) => write!(
                f,
                "the real server {server} of {service} is this host itself, and only the BPF guard gives packets back to the \
                 host (Linux 6.6 and CAP_BPF; the nftables guard cannot): remove the server, or move it to another host"
            ),
            Self::Config(e) => e.fmt(f),
            Self::Scheduler(name) => write!(f, "there is no scheduler {}", name.escape_debug()),
            Self::MarkInterface(name) => write!(
                f,
                "a rule for marks names the interface {}, which is none that lvsd works on (--interface)",
                name.escape_debug()
            ),
            Self::Privilege(what) => f.write_str(what),
            Self::Guard(e) => write!(f, "the guard does not take the services: {e}"),
            Self::HostLocalAddr(l) => write!(
                f,
                "the local address {} is the host's own: give it one range of ports that the host does not use \
                 (--local-address ADDR:LOW-HIGH, and net.ipv4.ip_local_reserved_ports)",
                l.ip
            ),
            Self::Refused(why) => f.write_str(why),
            Self::Running => f.write_str(
                "another lvsd works in this network namespace; two would answer and forward everything twice",
            ),
            Self::Socket(path, e) => {
                let path = path.display().to_string();
                write!(f, "cannot listen at {}: {e}", path.escape_debug())
            }
            Self::Endpoint(listen, e) => write!(f, "the HTTP endpoint cannot listen at {listen}: {e}"),
            Self::Open(e) => e.fmt(f),
            Self::System(what, e) => write!(f, "{what}: {e}"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Whether the rules are at fault, and not the system or the command line.
    pub fn is_configuration(&self) -> bool {
        use Error::{
            Config, Guard, HostLocalAddr, LocalServer, MarkInterface, NoWayBack, Refused, Scheduler,
        };
        matches!(
            self,
            Config(_)
                | Guard(_)
                | HostLocalAddr(_)
                | LocalServer(..)
                | NoWayBack(..)
                | MarkInterface(_)
                | Refused(_)
                | Scheduler(_)
        )
    }
}

impl From<health::Error> for Error {
    fn from(e: health::Error) -> Self {
        match e {
            health::Error::Refused(why) => Self::Refused(why),
            health::Error::System(e) => Self::System("cannot start to check servers", e),
        }
    }
}

impl From<ConfigError> for Error {
    fn from(e: ConfigError) -> Self {
        Self::Config(e)
    }
}

/// The clock of the process: what the library crates are told the time is.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Time {
        Time::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// A running director.
#[derive(Debug)]
pub struct Daemon {
    live: Arc<Live>,
    keeper: Option<Arc<Keeper>>,
    socket: Option<Server>,
    endpoint: Option<Endpoint>,
    mailboxes: Vec<Arc<Mailbox>>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    sources: summary::Sources,
    /// Held as long as the daemon lives.
    _only_one: UnixDatagram,
}

impl Daemon {
    /// Opens the interfaces, hides the services from the host's own stack and begins to forward.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from forwarding. A guard that cannot be had is no error: what follows from that is
    /// logged.
    pub fn start(options: Options) -> Result<Self, Error> {
        privileges::check()?;
        let only_one = only_one()?;
        let workers = options.workers.clamp(1, 16);
        let seed = random_seed()?;
        let helpers = Helpers::standard();
        let director = Director::new(&Settings {
            workers,
            max_connections: options.max_connections,
            helpers: helpers.ports(),
            seed,
            ..Settings::default()
        });
        let monitor = Monitor::new().map_err(|e| Error::System("netlink", e))?;
        let devices = choose(monitor.links(), &options.interfaces)?;
        let ports: Vec<(PortId, u32)> = (0..)
            .map(PortId)
            .zip(devices.iter().map(|d| d.index))
            .collect();
        let topology = monitor.topology(&ports);
        let names: Vec<String> = devices.iter().map(|d| d.name.clone()).collect();
        let classifier = marks::classifier(&options.rules.marks, &names)?;
        let configured = options.configuration.as_ref().map(|(config, _)| config);
        let addresses = configured.map(VirtualAddresses::of).unwrap_or_default();
        let nothing = director.config();
        director.edit(|draft| {
            apply::replace(draft, &options.rules)?;
            let standby = addresses.standby(draft.services(), &classifier);
            draft.set_standby(Arc::new(standby));
            let host = apply::Host {
                topology: &topology,
                gives_back: true, // as long as no guard has been chosen
            };
            apply::refuse_host_addresses(&nothing, draft, host)
        })?;

        // The order matters: nothing may be hidden from the host before we can receive it.
        let mut guard = Guard::choose(&devices);
        let filter = guard.filter();
        let steering = guard.steering(director.shards(), workers);
        let mut port_sets: Vec<Vec<PacketPort>> = (0..workers).map(|_| Vec::new()).collect();
        for ((port, _), device) in ports.iter().zip(&devices) {
            let mut config = PacketConfig::new(device, *port);
            config.filter = filter.as_ref();
            config.return_mark = guard.return_mark();
            let group = PacketPort::open_group(&config, workers, steering.as_ref());
            for (set, port) in port_sets.iter_mut().zip(group.map_err(Error::Open)?) {
                set.push(port);
            }
        }
        let config = director.config();
        let entries = entries::of(entries::working(&config), &classifier, &topology);
        let is_served = |key: &ServiceKey| config.service(key).is_some();
        let hidden = entries::hidden(&entries, &classifier, config.standby(), is_served);
        guard.activate(hidden).map_err(Error::Guard)?;
        let governed = !addresses.governed.is_empty();
        let notes = guard.explain(&config, &topology, governed).into_iter();
        let configured = options.configuration.iter().flat_map(|(c, _)| &c.services);
        let services = options.rules.services.iter().map(|s| s.key);
        let services = services.chain(configured.flat_map(|s| s.keys.iter().copied()));
        for line in notes.chain(marks::unmarked(&options.rules.marks, services)) {
            (options.log)(&line);
        }
        let host = apply::Host {
            topology: &topology,
            gives_back: guard.gives_back(),
        };
        entries::services(&config).try_for_each(|s| host.refuse_servers(s))?;

        let clock = Clock(Instant::now());
        let topology = Arc::new(ArcSwap::from_pointee(topology));
        let shared = Shared {
            classifier: Arc::new(ArcSwap::from_pointee(classifier)),
            hidden: guard.returnable().clone(),
            helpers,
            call_ids: CallIds::new(random_seed()?),
            ..Shared::new(topology.clone(), FragMemory::new(FRAGMENTS, seed))
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let guard = Arc::new(Mutex::new(guard));
        let (wanted, requests) = mpsc::sync_channel(1024);
        let (control, control_mail) = Control::new(
            monitor,
            ports,
            requests,
            clock,
            director.clone(),
            topology.clone(),
            shared.classifier.clone(),
            guard.clone(),
            stopping.clone(),
            options.log,
        )?;
        let mut sources = summary::Sources::new(director.clone(), names.clone(), control.pulse());

        let live = Arc::new(Live {
            director: director.clone(),
            topology,
            classifier: shared.classifier.clone(),
            guard,
            interfaces: names,
            marks: Mutex::new(options.rules.marks),
            control: control_mail.clone(),
            clock,
            addresses: ArcSwap::from_pointee(addresses),
            keeper: OnceLock::new(),
        });
        let mut daemon = Self {
            live: live.clone(),
            keeper: None,
            socket: None,
            endpoint: None,
            mailboxes: Vec::new(),
            stopping: stopping.clone(),
            threads: Vec::new(),
            sources: sources.clone(),
            _only_one: only_one,
        };
        let mut worker_mail = Vec::new();
        let mut bodies: Vec<WorkerThread> = Vec::new();
        for (n, ports) in port_sets.into_iter().enumerate() {
            let Some(worker) = director.worker() else {
                break;
            };
            let id_seed = (seed[0] as u32).wrapping_add((n as u32) << 24);
            let pipeline = Pipeline::new(worker, &shared, id_seed);
            let (body, mail) = WorkerThread::new(
                pipeline,
                ports,
                wanted.clone(),
                control_mail.clone(),
                clock,
                stopping.clone(),
            )?;
            sources.add_worker(&body);
            worker_mail.push(mail);
            bodies.push(body);
        }
        daemon.sources = sources;
        daemon.mailboxes = worker_mail.clone();
        daemon.mailboxes.push(control_mail);
        for (n, body) in bodies.into_iter().enumerate() {
            daemon.spawn(format!("lvsd-worker-{n}"), move || body.run())?;
        }
        daemon.spawn("lvsd-control".to_owned(), move || control.run(worker_mail))?;
        if let Some((config, source)) = options.configuration {
            let alerts = Alerts::start(&config.global, options.log);
            let alerts = alerts.map_err(|e| Error::System("cannot start a thread", e))?;
            let herald = Arc::new(Mutex::new(alerts));
            let http = config.global.http.clone();
            let checks = Box::new(herald.clone());
            let health = Health::start(live.clone(), config.clone(), checks, seed[1], options.log)?;
            let followed = live.clone();
            let follow = move |addresses| followed.virtual_addresses(Arc::new(addresses));
            let vrrp = Vrrp::start(
                &config,
                Box::new(herald),
                Box::new(follow),
                devices.iter().map(|d| d.index).collect(),
                seed[2],
                options.log,
            );
            let vrrp = vrrp.map_err(|e| Error::System("cannot start virtual routers", e))?;
            let keeper = Arc::new(Keeper::new(health, vrrp, source, config));
            let _ = live.keeper.set(Arc::downgrade(&keeper)); // it is set nowhere else
            daemon.keeper = Some(keeper);
            if let Some(http) = http {
                let options = web::Options {
                    listen: http.value,
                    group: options.socket.as_ref().and_then(|socket| socket.group),
                    log: options.log,
                };
                let sources = daemon.sources.clone();
                let endpoint = Endpoint::start(&options, live.clone(), move || sources.load());
                let endpoint = endpoint.map_err(|e| Error::Endpoint(options.listen, e))?;
                daemon.endpoint = Some(endpoint);
            }
        }
        if let Some(socket) = options.socket {
            let path = socket.path.clone();
            let server = Server::start(socket, live);
            daemon.socket = Some(server.map_err(|e| Error::Socket(path, e))?);
        }
        Ok(daemon)
    }

    fn spawn(&mut self, name: String, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let body = move || {
            let _half_dead = AbortOnPanic;
            body();
        };
        let thread = std::thread::Builder::new().name(name).spawn(body);
        self.threads
            .push(thread.map_err(|e| Error::System("cannot start a thread", e))?);
        Ok(())
    }

    /// Replaces the services by those of `rules`, whole or not at all. What stays keeps its connections,
    /// counts and scheduler; a scheduler starts afresh only if it is another one.
    ///
    /// # Errors
    ///
    /// Why not; then nothing has changed.
    pub fn replace_rules(&self, rules: RuleSet) -> Result<(), Error> {
        self.live.edit(|draft, marks| {
            marks.clone_from(&rules.marks);
            apply::replace(draft, &rules)
        })
    }

    /// Who keeps the configuration, if the daemon was started with one.
    pub fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_deref()
    }

    /// Services, packets, and drops by reason.
    pub fn summary(&self) -> Summary {
        self.sources.summary()
    }

    /// Stops forwarding, gives the services back to the host, and ends all threads.
    pub fn stop(mut self) -> Summary {
        self.shut_down();
        self.summary()
    }

    fn shut_down(&mut self) {
        self.socket = None;
        self.endpoint = None;
        // While there are services to be told about.
        self.keeper = None;
        // The guard goes first: between the two the host's own stack must not be cut off by a dead lvsd.
        guard::lock(&self.live.guard).detach();
        self.stopping.store(true, Relaxed);
        self.mailboxes.iter().for_each(|m| m.wake());
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // cannot fail: a thread that panics takes the process with it
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// A director that has lost a thread hides its services from the host and serves them to nobody. Better to end
/// at once: the guard ends too, and whoever supervises us starts anew.
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// The interfaces to work on.
fn choose(links: &[Link], names: &[String]) -> Result<Vec<Device>, Error> {
    let usable = |l: &&Link| l.ethernet && l.up && l.controller.is_none();
    let chosen: Vec<&Link> = if names.is_empty() {
        // What comes to a macvlan comes in by the interface below.
        let is_above = |l: &&Link| {
            let below = l
                .macvlan_of
                .and_then(|i| links.iter().find(|l| l.ifindex == i));
            below.as_ref().is_some_and(usable)
        };
        links.iter().filter(|l| usable(l) && !is_above(l)).collect()
    } else {
        let mut chosen: Vec<&Link> = Vec::new();
        for name in names {
            let found = links.iter().find(|l| l.name == *name);
            let link = found.ok_or_else(|| Error::Interface(name.clone(), "does not exist"))?;
            if !link.ethernet {
                return Err(Error::Interface(
                    name.clone(),
                    "is not an Ethernet interface",
                ));
            }
            if chosen.iter().any(|l| l.ifindex == link.ifindex) {
                return Err(Error::Interface(name.clone(), "is named twice"));
            }
            chosen.push(link);
        }
        chosen
    };
    if chosen.is_empty() {
        return Err(Error::NoInterface);
    }
    let device = |l: &&Link| {
        Device::by_index(l.ifindex).map_err(|e| Error::System("cannot read an interface", e))
    };
    chosen.iter().map(device).collect()
}

/// Takes a name that exists once in a network namespace, and goes with the process. Somebody who has just been killed is
/// waited for.
fn only_one() -> Result<UnixDatagram, Error> {
    const DYING: Duration = Duration::from_secs(1);
    let system = |e| Error::System("cannot take the name of the only lvsd", e);
    let name = SocketAddr::from_abstract_name("lvsd").map_err(system)?;
    let begin = Instant::now();
    loop {
        match UnixDatagram::bind_addr(&name) {
            Ok(socket) => return Ok(socket),
            Err(e) if e.kind() != io::ErrorKind::AddrInUse => return Err(system(e)),
            Err(_) if begin.elapsed() > DYING => return Err(Error::Running),
            Err(_) => std::thread::sleep(DYING / 50),
        }
    }
}

fn random_seed() -> Result<[u64; 4], Error> {
    use std::io::Read as _;
    let mut bytes = [0; 32];
    let source = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    source.map_err(|e| Error::System("/dev/urandom", e))?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(std::array::from_fn(|i| u64::from_ne_bytes(words[i])))
}
