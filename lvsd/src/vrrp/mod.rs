//! Virtual routers: what a keepalived.conf's `vrrp_*` blocks ask for, carried out.
//!
//! Who is master is decided by `lvs-vrrp`; here are the threads that drive it and do what it says.
//!
//! ```text
//!  sockets, interfaces ──► speaking ──Deed──► hands ──► addresses, routes, rules, announcements,
//!  scripts, files,  ──► watch ──Ask──► ▲        │         the director, scripts, pipes, mails
//!  processes                                    └─Ask──► (static items that are missing)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `speaking` | the thread that speaks; nothing delays it |
//! | `hands` | the thread that does what follows |
//! | `watch` | the thread that watches scripts, files and processes |
//! | `config`, `seat` | what state machines are told, and on which interfaces virtual routers are |
//! | `ports` | sockets for advertisements |
//! | `carrier` | interfaces that are up or down for long enough |
//! | `served` | interfaces that the director must work on |
//! | `holdings`, `devices`, `host` | what is done to the host, and undone |
//! | `routing` | routes and rules that somebody takes away |
//! | `guardian` | the process that gives everything back if this one is killed |
//! | `tell` | what is said about events |
//! | `status` | how everything is |
//! | `logger`, `errand`, `urgency`, `sys` | threads that do not wait for each other |

mod carrier;
mod config;
mod devices;
mod errand;
pub mod guardian;
mod hands;
mod holdings;
mod host;
mod logger;
mod ports;
mod routing;
mod seat;
mod served;
mod speaking;
pub mod status;
mod sys;
mod tell;
#[cfg(test)]
mod testing;
mod urgency;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lvs_vrrp::io::netlink::Connection;
use mio::Poll;

use crate::daemon::{AbortOnPanic, VirtualAddresses};
use crate::health::{Herald, Silent};
use crate::keepalived::model::{Config, Instance, Prefix, Vrrp as Model};
use crate::pulse::Pulse;
use carrier::Carriers;
use devices::Devices;
use errand::Errands;
use guardian::{Guardian, Order};
use hands::{Deed, Hands, Settings};
use holdings::Holdings;
use host::journal::Journal;
use host::leftovers;
use logger::Logger;
use ports::Stand;
use seat::Seat;
use speaking::{Ask, Orders, Report, Speaking};
use status::Status;
use watch::Watch;

/// How long somebody who wants to know how everything is waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is told which virtual addresses there are, and which of them are held.
pub(crate) type Follow = Box<dyn FnMut(VirtualAddresses) + Send>;

/// The virtual routers of a host. They step down when this is dropped.
#[derive(Debug)]
pub(crate) struct Vrrp {
    speaker: Errands<Ask>,
    hands: Errands<Deed>,
    watch: Option<Watch>,
    guardian: Guardian,
    /// The configuration in force.
    model: Mutex<Kept>,
    pulse: Arc<Pulse>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Kept {
    model: Model,
    seats: HashMap<String, Seat>,
}

impl Vrrp {
    /// Begins to take part in what a configuration asks for. `follow` is told which virtual addresses there are and which of them
    /// are held. Nobody may have to wait for `log`: the thread that speaks would.
    ///
    /// # Errors
    ///
    /// The system has no threads, descriptors or netlink left.
    pub(crate) fn start(
        config: &Config,
        herald: Box<dyn Herald>,
        follow: Follow,
        works_on: Vec<u32>,
        seed: u64,
        log: fn(&str),
    ) -> io::Result<Self> {
        let log_later = Logger(log);
        let model = config.vrrp.clone();
        let journal = journal(&log_later);
        let mut connection = Connection::route()?;
        for line in leftovers::undo(&journal, &mut connection)? {
            log_later.log(line);
        }
        let devices = Devices::new(journal.clone(), log_later.clone())?;
        let seats = seat::seats(&model, |name| devices.is_taken(name));
        for address in leftovers::take_away(virtual_ones(&model, &seats), &mut connection)? {
            log_later.log(format!(
                "virtual address {address} was there at the start: it is taken away"
            ));
        }

        let guardian = Guardian::start(log_later.clone())?;
        if needs_guardian(&model) {
            guardian.orders().leave(Order::Begin);
        }
        let (asks, queue) = mpsc::channel();
        let (deeds, errands) = mpsc::channel();
        let poll = Poll::new()?;
        let hands = Errands::new(deeds, Hands::waker(&poll)?);
        let orders = orders(config, &seats);
        let (speaking, waker) = Speaking::new(
            orders,
            queue,
            hands.clone(),
            guardian.orders(),
            log_later.clone(),
            seed,
        )?;
        let speaker = Errands::new(asks, waker);
        hands.leave(Deed::Numbers(speaking.ids()));
        let holdings = Holdings::new(model.common.firewall.clone(), journal, log_later.clone())?;
        let settings = Settings {
            vrrp: model.clone(),
            global: config.global.clone(),
            seats: seats.clone(),
            served: served_by(config, &seats),
        };
        let observe = speaker.clone();
        let observe = Box::new(move |object, state| observe.leave(Ask::Observed(object, state)));
        // Interfaces are made here, before anybody wants to speak on them.
        let body = Hands::new(
            settings,
            devices,
            holdings,
            errands,
            poll,
            herald,
            follow,
            observe,
            works_on,
            log_later.clone(),
        )?;
        let pulse = speaking.pulse();
        let mut vrrp = Self {
            speaker,
            hands,
            watch: None,
            guardian,
            model: Mutex::new(Kept {
                model: model.clone(),
                seats,
            }),
            pulse,
            threads: Vec::new(),
        };
        vrrp.spawn("lvsd-vrrp-hands", || body.run())?;
        let urgency = model.common.urgency.clone();
        vrrp.spawn("lvsd-vrrp", move || {
            for line in urgency::claim(&urgency) {
                log_later.log(line);
            }
            speaking.run();
        })?;
        let report = vrrp.speaker.clone();
        let report = Box::new(move |object, state| report.leave(Ask::Observed(object, state)));
        vrrp.watch = Some(Watch::start(&model, &config.global, report, log)?);
        Ok(vrrp)
    }

    /// A configuration is about to be taken, and its services before its virtual routers: their addresses are not to be served
    /// before they are held. With `None` it is not taken after all.
    pub(crate) fn expect(&self, config: Option<&Config>) {
        let instances = config.into_iter().flat_map(|c| &c.vrrp.instances);
        let addresses = instances.flat_map(|i| i.addresses().map(|a| a.addr.ip.into()));
        let (done, answer) = mpsc::channel();
        self.hands.leave(Deed::Expect(addresses.collect(), done));
        let _: Result<(), _> = answer.recv_timeout(PATIENCE);
    }

    /// Takes another configuration. Virtual routers that stay stay as they are.
    pub(crate) fn reload(&self, config: &Config) {
        let mut kept = self.lock();
        let ours = |name: &str| {
            kept.seats
                .values()
                .flat_map(Seat::virtuals)
                .any(|v| v.name == name)
        };
        let seats = seat::seats(&config.vrrp, |name| !ours(name) && devices::exists(name));
        if needs_guardian(&config.vrrp) {
            self.guardian.orders().leave(Order::Begin);
        }
        let (done, answer) = mpsc::channel();
        let settings = Settings {
            vrrp: config.vrrp.clone(),
            global: config.global.clone(),
            seats: seats.clone(),
            served: served_by(config, &seats),
        };
        self.hands.leave(Deed::Settings(Box::new(settings), done));
        // Without an answer they go on by what there is.
        let _: Result<(), _> = answer.recv_timeout(PATIENCE);
        let orders = Box::new(orders(config, &seats));
        self.speaker.leave(Ask::Reload(orders));
        if let Some(watch) = &self.watch {
            watch.reload(&config.vrrp, &config.global);
        }
        *kept = Kept {
            model: config.vrrp.clone(),
            seats,
        };
    }

    /// How everything is.
    ///
    /// # Errors
    ///
    /// The thread that speaks does not answer.
    pub(crate) fn status(&self) -> Result<Status, Silent> {
        let (reply, answer): (_, Receiver<Report>) = mpsc::channel();
        self.speaker.leave(Ask::Report(reply));
        let report = answer.recv_timeout(PATIENCE);
        let report = report.map_err(|_| Silent("speaks VRRP"))?;
        let kept = self.lock();
        let watched = self.watch.as_ref().map(Watch::status);
        Ok(status::of(
            &kept.model,
            &report,
            &watched.unwrap_or_default(),
        ))
    }

    /// How long the thread that speaks has not come round.
    pub(crate) fn silence(&self) -> Duration {
        self.pulse.silence()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || {
            let _half_dead = AbortOnPanic;
            body();
        })?);
        Ok(())
    }
}

impl Drop for Vrrp {
    fn drop(&mut self) {
        self.watch = None;
        self.speaker.leave(Ask::Stop);
        // The speaker's last words are left for the hands before it ends; they end when they have done what they say.
        let mut threads = std::mem::take(&mut self.threads).into_iter();
        let (hands, speaker) = (threads.next(), threads.next());
        if let Some(speaker) = speaker {
            let _ = speaker.join();
        }
        self.hands.leave(Deed::Stop);
        if let Some(hands) = hands {
            let _ = hands.join();
        }
        self.guardian.dismiss();
    }
}

/// Whether a configuration adds anything to the host.
fn needs_guardian(model: &Model) -> bool {
    let items = [
        model.instances.len(),
        model.addresses.len(),
        model.routes.len(),
        model.rules.len(),
    ];
    items.into_iter().any(|items| items > 0)
}

/// The journal of what is added to the host; its troubles are logged.
fn journal(log: &Logger) -> Journal {
    let log = log.clone();
    Journal::open(Path::new(host::journal::DIRECTORY), move |line| {
        log.log(line)
    })
}

/// The addresses that only masters have, with their interfaces; not those of owners (priority 255), which have theirs always.
fn virtual_ones<'a>(
    model: &'a Model,
    seats: &'a HashMap<String, Seat>,
) -> impl Iterator<Item = (Prefix, &'a str)> {
    let with_seat = |i: &'a Instance| Some((i, seats.get(&i.name.value)?));
    let instances = model.instances.iter().filter(|i| !i.is_owner());
    instances
        .filter_map(with_seat)
        .flat_map(|(instance, seat)| {
            instance.addresses().filter_map(|address| {
                let (interface, _) = seat.of(address)?;
                let len = address.peer.map_or(address.addr.len, |peer| peer.len);
                let ip = address.addr.ip;
                Some((Prefix { ip, len }, interface))
            })
        })
}

/// The interfaces that the director must work on.
fn served_by(config: &Config, seats: &HashMap<String, Seat>) -> BTreeSet<String> {
    let services = served::services(config);
    let instances = config.vrrp.instances.iter();
    let with_seats = instances.filter_map(|i| Some((i, seats.get(&i.name.value)?)));
    with_seats
        .flat_map(|(i, seat)| served::interfaces(i, seat, &services))
        .collect()
}

/// What the thread that speaks works by.
fn orders(config: &Config, seats: &HashMap<String, Seat>) -> Orders {
    let model = &config.vrrp;
    let services = served::services(config);
    let needs = |instance: &Instance| {
        let seat = seats.get(&instance.name.value);
        seat.map(|seat| served::interfaces(instance, seat, &services))
            .unwrap_or_default()
    };
    let mut config = config::of(model, needs);
    config.startup_delay = config.startup_delay.max(boot_delay(model));
    let virtuals = ports::virtuals(model);
    let both = model.instances.iter().zip(&config.routers);
    let stands = both.filter_map(|(instance, router)| {
        let name = &instance.name.value;
        let stand = Stand::new(instance, router.clone(), seats.get(name)?, model, &virtuals);
        Some((name.clone(), Arc::new(stand)))
    });
    let stands = stands.collect();
    Orders {
        stands,
        config,
        carriers: Carriers::new(&model.link_delays),
        virtuals,
        log_foreign: model.common.log_unknown_vrids,
    }
}

/// How long is to be waited for the host to be ready (`vrrp_delay_after_boot`).
fn boot_delay(model: &Model) -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let up = text.split_whitespace().next();
    let up = up.and_then(|s| Duration::try_from_secs_f64(s.parse().ok()?).ok());
    let up = up.unwrap_or(Duration::MAX);
    model.common.boot_delay.saturating_sub(up)
}
