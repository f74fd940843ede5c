//! Answers to requests.
//!
//! What is behind the desk is a [`Plane`]: in the daemon the director with guard, classifier and workers that must stay in step
//! with it, elsewhere a director alone.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use lvs_core::state::State;
use lvs_core::{
    ConfigError, ConnInfo, Director, Draft, Endpoint, Method, Protocol, ServiceKey, Time,
};
use lvs_fwd::route::Topology;

use super::about::About;
use super::conns::{Connection, Count, Filter};
use super::explained::Explained;
use super::message::{MOST_REFUSALS, Refusal, Reply, Request};
use super::table::Table;
use crate::adm::execute;
use crate::adm::listing::protocol_name;
use crate::daemon::VirtualAddresses;
use crate::exit;
use crate::health::Keeper;
use crate::rules::{Command, CommandError, MarkRule, Names, parse_command, place_of};

/// Connections told at a time.
const PART: usize = 256;

/// A director, and what must be kept in step with it.
pub trait Plane: Send + Sync {
    /// The director.
    fn director(&self) -> &Director;

    /// The time as the director is told it.
    fn now(&self) -> Time;

    /// The rules for marks, in order.
    fn marks(&self) -> Vec<MarkRule>;

    /// Interfaces and routes; `None` if nothing is sent.
    fn topology(&self) -> Option<Arc<Topology>> {
        None
    }

    /// The configuration in force and the health of what is in it; `None` if the director was started without one.
    fn keeper(&self) -> Option<Arc<Keeper>> {
        None
    }

    /// Whether a service could have this server, now or later: packets may have no way to it.
    ///
    /// # Errors
    ///
    /// Why not.
    fn accepts(&self, key: ServiceKey, addr: Endpoint, method: Method) -> Result<(), Stop> {
        let _ = (key, addr, method);
        Ok(())
    }

    /// Changes services and rules for marks: all that `change` does, or, if it or the plane refuses, nothing.
    ///
    /// # Errors
    ///
    /// What `change` returns, or why the plane cannot do it.
    fn change(&self, change: Change<'_>) -> Result<(), Stop>;

    /// Says which addresses VRRP governs, and which of them this host holds now: services of the others
    /// [stand by](lvs_core::Standby) from then on. To be called before an address is put on an interface, and after it has been
    /// taken off. Takes well below a millisecond for a hundred services, but waits for a change that is being made.
    ///
    /// A director without network serves all of them.
    fn virtual_addresses(&self, addresses: Arc<VirtualAddresses>) {
        let _ = addresses;
    }

    /// Says whether [`Self::change`] would do it, and changes nothing.
    ///
    /// # Errors
    ///
    /// What that would return.
    fn rehearse(&self, change: Change<'_>) -> Result<(), Stop> {
        let mut marks = self.marks();
        let director = self.director();
        director.rehearse(|draft| change(draft, &mut marks))
    }
}

/// What [`Plane::change`] is given to carry out.
pub type Change<'a> = &'a mut dyn FnMut(&mut Draft<'_>, &mut Vec<MarkRule>) -> Result<(), Stop>;

/// Why a change is not made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stop {
    /// These commands are refused.
    Refused(Vec<Refusal>),
    /// The commands together are refused.
    Whole {
        /// Why, one line.
        message: String,
        /// What is to blame.
        about: Option<About>,
    },
}

impl From<ConfigError> for Stop {
    fn from(e: ConfigError) -> Self {
        let about = match e {
            ConfigError::NoLocalAddress(key, addr) => Some(About::Server(key, addr)),
            ConfigError::OnePacketFullNat(key) => Some(About::Service(key)),
            ConfigError::LocalIsVirtual(ip) => Some(About::Address(ip)),
            ConfigError::BadPortRange(local) => Some(About::Address(local.ip)),
            _ => None,
        };
        let message = e.to_string();
        Self::Whole { message, about }
    }
}

/// Answers a request: whatever `say` is given goes to the client, until it asks to stop.
pub fn answer(plane: &dyn Plane, request: Request, say: &mut dyn FnMut(Reply) -> ControlFlow<()>) {
    let reply = match request {
        Request::Apply { commands, rehearse } => apply(plane, &commands, rehearse),
        Request::Table {} => Reply::Table {
            table: Table::of(plane.director(), &plane.marks()),
        },
        Request::Connections { filter } => match connections(plane, &filter, say) {
            ControlFlow::Continue(end) => end,
            ControlFlow::Break(()) => return,
        },
        Request::Count { filter } => count(plane, &filter),
        Request::Explain { packet } => Reply::Explained {
            explained: Box::new(Explained::of(plane, &packet)),
        },
        Request::Evict {
            service,
            server,
            templates,
            udp,
        } => match server.parse() {
            Ok(server) => evict(plane, service.into(), server, templates, udp),
            Err(_) => Reply::Error {
                message: format!("{server:?} is no server's address and port"),
            },
        },
        Request::Status {} => kept(plane, |keeper| match keeper.status() {
            Ok(status) => Reply::Status { status },
            Err(silent) => Reply::Error {
                message: silent.to_string(),
            },
        }),
        Request::Vrrp {} => kept(plane, |keeper| match keeper.vrrp().status() {
            Ok(status) => Reply::Vrrp { status },
            Err(silent) => Reply::Error {
                message: silent.to_string(),
            },
        }),
        Request::Reload { rehearse } => kept(plane, |keeper| Reply::Reloaded {
            reload: keeper.reload(rehearse),
        }),
    };
    let _ = say(reply);
}

/// What the keeper of a configuration has to say, if there is one.
fn kept(plane: &dyn Plane, say: impl FnOnce(&Keeper) -> Reply) -> Reply {
    match plane.keeper() {
        Some(keeper) => say(&keeper),
        None => Reply::Error {
            message: "lvsd runs without a configuration file: start it with `lvsd run -f FILE`"
                .to_owned(),
        },
    }
}

/// Tells the connections, the first at once, and returns the last reply.
fn connections(
    plane: &dyn Plane,
    filter: &Filter,
    say: &mut dyn FnMut(Reply) -> ControlFlow<()>,
) -> ControlFlow<(), Reply> {
    let (mut told, mut unsaid) = (0, Vec::new());
    walk(plane, filter, &mut |part| {
        unsaid.extend(part.iter().map(Connection::of));
        if unsaid.len() < PART && (told > 0 || unsaid.is_empty()) {
            return ControlFlow::Continue(());
        }
        told += unsaid.len() as u64;
        let connections = std::mem::take(&mut unsaid);
        say(Reply::Connections { connections })
    })?;
    told += unsaid.len() as u64;
    if !unsaid.is_empty() {
        let connections = unsaid;
        say(Reply::Connections { connections })?;
    }
    ControlFlow::Continue(Reply::End { count: told })
}

fn count(plane: &dyn Plane, filter: &Filter) -> Reply {
    let mut counts = HashMap::new();
    let _ = walk(plane, filter, &mut |part| {
        for conn in part {
            let kind = (conn.service, conn.server, conn.protocol, conn.state);
            *counts.entry(kind).or_insert(0) += 1;
        }
        ControlFlow::Continue(())
    });
    let counts = counts
        .into_iter()
        .map(|((service, server, protocol, state), count)| Count {
            service: service.into(),
            server,
            protocol: protocol_name(protocol),
            state: state.name().to_owned(),
            template: matches!(state, State::Template | State::Assured),
            count,
        });
    Reply::Counts {
        counts: counts.collect(),
    }
}

/// Shows the connections that a filter asks for, some at a time, none of them under a lock.
fn walk(
    plane: &dyn Plane,
    filter: &Filter,
    visit: &mut dyn FnMut(&[ConnInfo]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut listing = plane.director().listing();
    let mut left = filter.limit.unwrap_or(u64::MAX);
    let mut part = Vec::new();
    let mut more = true;
    while more && left > 0 {
        more = listing.next(plane.now(), &|conn| filter.fits(conn), &mut part);
        part.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= part.len() as u64;
        visit(&part)?;
        part.clear();
    }
    ControlFlow::Continue(())
}

fn evict(
    plane: &dyn Plane,
    service: ServiceKey,
    server: Endpoint,
    templates: bool,
    udp: bool,
) -> Reply {
    let is_meant = |conn: &ConnInfo| match conn.is_template() {
        true => templates,
        false => udp && conn.protocol == Protocol::UDP,
    };
    let which =
        |conn: &ConnInfo| is_meant(conn) && conn.service == service && conn.server == server;
    let count = plane.director().evict(plane.now(), &which) as u64;
    Reply::Evicted { count }
}

/// Names of hosts and ports are the client's business: the daemon must not wait for a resolver.
#[derive(Debug)]
struct NoNames;

impl Names for NoNames {
    fn has_scheduler(&self, name: &str) -> bool {
        lvs_sched::NAMES.iter().any(|known| known.name == name)
    }

    fn host(&self, _: &str) -> Result<std::net::Ipv4Addr, String> {
        Err("the daemon looks up no names".to_owned())
    }

    fn port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }
}

fn apply(plane: &dyn Plane, commands: &[Vec<String>], rehearse: bool) -> Reply {
    let words = commands;
    let commands = match read(words) {
        Ok(commands) => commands,
        Err(refusals) => return refused(refusals),
    };
    let mut change = |draft: &mut Draft<'_>, marks: &mut Vec<MarkRule>| {
        let mut refusals = Vec::new();
        for (place, command) in commands.iter().enumerate() {
            if let Err(fault) = execute::change(draft, marks, command) {
                let about = fault.about();
                let words = words.get(place).map_or(&[][..], Vec::as_slice);
                refusals.push(Refusal {
                    word: about.and_then(|option| place_of(&texts(words), option)),
                    ..refusal(place, execute::refused(command, fault))
                });
            }
        }
        match refusals.is_empty() {
            true => Ok(()),
            false => Err(Stop::Refused(refusals)),
        }
    };
    let result = match rehearse {
        true => plane.rehearse(&mut change),
        false => plane.change(&mut change),
    };
    match result {
        Ok(()) if rehearse => Reply::Done {},
        Ok(()) => {
            zero(plane.director(), &commands);
            Reply::Done {}
        }
        Err(Stop::Refused(refusals)) => refused(refusals),
        Err(Stop::Whole { message, about }) => {
            let named = about.and_then(|about| about.last_of(&commands));
            Reply::Refused {
                refusals: vec![Refusal {
                    command: named.map(|(command, _)| command),
                    exit: exit::REFUSED,
                    message,
                    word: named
                        .and_then(|(command, option)| place_of(&texts(&words[command]), option)),
                }],
            }
        }
    }
}

fn read(commands: &[Vec<String>]) -> Result<Vec<Command>, Vec<Refusal>> {
    let mut read = Vec::with_capacity(commands.len());
    let mut refusals = Vec::new();
    for (place, words) in commands.iter().enumerate() {
        match parse_command(&texts(words), &NoNames) {
            Ok(command) => read.push(command),
            Err(e) => refusals.push(refusal(place, e)),
        }
    }
    match refusals.is_empty() {
        true => Ok(read),
        false => Err(refusals),
    }
}

/// All refusals, if they are not too many.
fn refused(mut refusals: Vec<Refusal>) -> Reply {
    if refusals.len() > MOST_REFUSALS {
        let others = refusals.len() + 1 - MOST_REFUSALS;
        refusals.truncate(MOST_REFUSALS - 1);
        refusals.push(Refusal {
            command: None,
            exit: exit::REFUSED,
            message: format!("and {others} more are refused"),
            word: None,
        });
    }
    Reply::Refused { refusals }
}

fn texts(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn refusal(place: usize, e: CommandError) -> Refusal {
    Refusal {
        command: Some(place),
        exit: e.exit,
        message: e.message,
        word: e.word,
    }
}

/// Statistics are no part of the configuration: they are zeroed once all the rest is done.
fn zero(director: &Director, commands: &[Command]) {
    for command in commands {
        if let Command::Zero(key) = command {
            director.zero(key.as_ref());
        }
    }
}
