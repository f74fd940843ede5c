//! Routes in the kernel's tables: static ones, and those of virtual routers that are masters.
//!
//! Problem: a route is to be there exactly as it is written, and later neither it nor anything else is to be missing that was
//! there before.
//!
//! Rule: routes carry keepalived's protocol number, so that they are told from an administrator's equal ones; and the message
//! that removes a route says all that the one that added it said.

mod encapsulation;
mod message;
mod same;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use lvs_vrrp::io::netlink::core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use lvs_vrrp::io::netlink::route::RouteNetlinkMessage;
use lvs_vrrp::io::netlink::route::link::{
    InfoData, InfoVrf, LinkAttribute, LinkInfo, LinkMessage, Prop,
};
use lvs_vrrp::io::netlink::route::route::RouteMessage;
use lvs_vrrp::io::netlink::{Connection, Request};

use self::message::Purpose;
pub(crate) use self::message::{Host, Link, PROTOCOL, family};
use super::change::{Change, Refused, Why};
use super::names::Names;
use crate::keepalived::model::{Named, Placing, Route, RouteKind};

/// Adds and removes routes of one network namespace.
#[derive(Debug)]
pub(crate) struct Routes {
    connection: Connection,
    names: Names,
}

impl Routes {
    /// For the calling thread's network namespace.
    pub(crate) fn new(names: Names) -> io::Result<Self> {
        Ok(Self {
            connection: Connection::route()?,
            names,
        })
    }

    /// Adds routes in their order. Returns what became of each; it may have been there already. One that is refused does not
    /// hinder others: an interface or a name that there is not, another route in its place, or whatever the kernel says.
    pub(crate) fn add(&mut self, routes: &[Route]) -> Vec<Result<Change, Refused>> {
        let (messages, mut outcomes) = self.each(routes, Purpose::Add);
        let exists = |o: &Result<_, Why>| match o {
            Err(Why::Kernel(e)) => e.raw_os_error() == Some(libc::EEXIST),
            _ => false,
        };
        if outcomes.iter().any(exists)
            && let Ok(there) = self.there(&messages)
        {
            for (outcome, there) in outcomes.iter_mut().zip(there).filter(|(o, _)| exists(o)) {
                *outcome = match there {
                    true => Ok(Change::Already),
                    false => Err(Why::Taken),
                };
            }
        }
        named(routes, outcomes)
    }

    /// Removes routes that were added. Returns what became of each; it may have been gone already, be it with its interface.
    pub(crate) fn remove(&mut self, routes: &[Route]) -> Vec<Result<Change, Refused>> {
        let (_, outcomes) = self.each(routes, Purpose::Remove);
        let outcomes = outcomes.into_iter().map(|outcome| match outcome {
            Err(Why::NoInterface(_)) => Ok(Change::Already),
            Err(Why::Kernel(e)) if gone(&e) => Ok(Change::Already),
            outcome => outcome,
        });
        named(routes, outcomes.collect())
    }

    /// The requests that remove routes, to be kept for when that is to be done without this configuration. A route of which an
    /// interface or a name is not there cannot have been added: it has none.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub(crate) fn removals(&mut self, routes: &[Route]) -> io::Result<Vec<Request>> {
        let links = self.links()?;
        let removal = |route| {
            let m = self.message(route, &links, Purpose::Remove).ok()?;
            Some(Request::route(RouteNetlinkMessage::DelRoute(m), 0))
        };
        Ok(routes.iter().filter_map(removal).collect())
    }

    /// Which of these routes the kernel has, so that it is seen what somebody else removed.
    ///
    /// # Errors
    ///
    /// The socket's. A route of which an interface or a name is not there, is not there.
    pub(crate) fn present(&mut self, routes: &[Route]) -> io::Result<Vec<bool>> {
        let links = self.links()?;
        let messages = routes
            .iter()
            .map(|r| self.message(r, &links, Purpose::Remove).ok());
        let messages: Vec<_> = messages.collect();
        self.there(&messages)
    }

    /// Asks the kernel for each route. Returns the messages, as far as there could be any, and what came of them.
    fn each(
        &mut self,
        routes: &[Route],
        purpose: Purpose,
    ) -> (Vec<Option<RouteMessage>>, Vec<Result<Change, Why>>) {
        let links = match self.links() {
            Ok(links) => links,
            Err(e) => {
                let failed = |_| (None, Err(again(&e).into()));
                return routes.iter().map(failed).unzip();
            }
        };
        let messages = routes.iter().map(|r| self.message(r, &links, purpose));
        let messages: Vec<_> = messages.collect();
        let requests: Vec<Request> = routes
            .iter()
            .zip(&messages)
            .filter_map(|(route, m)| Some(request(m.as_ref().ok()?, route.placing, purpose)))
            .collect();
        let (mut answers, lost) = match self.connection.requests(&requests) {
            Ok(answers) => (answers.into_iter(), None),
            Err(e) => (Vec::new().into_iter(), Some(e)),
        };
        let mut answer = || match (answers.next(), &lost) {
            (Some(answer), _) => answer,
            (None, Some(e)) => Err(again(e)),
            (None, None) => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let outcome = |m: Result<RouteMessage, Why>| match m {
            Ok(m) => (Some(m), answer().map(|()| Change::Made).map_err(Why::from)),
            Err(why) => (None, Err(why)),
        };
        messages.into_iter().map(outcome).unzip()
    }

    /// Which of these the kernel has; none of what could be no message. The tables may hold very many others.
    fn there(&mut self, wanted: &[Option<RouteMessage>]) -> io::Result<Vec<bool>> {
        let all = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        let found = self.connection.dump_route(all, |m| {
            let RouteNetlinkMessage::NewRoute(m) = m else {
                return None;
            };
            let fits = |w: &Option<RouteMessage>| w.as_ref().is_some_and(|w| same::same(&m, w));
            let fitting: Vec<usize> = (0..wanted.len())
                .filter(|&i| wanted.get(i).is_some_and(fits))
                .collect();
            (!fitting.is_empty()).then_some(fitting)
        })?;
        let mut there = vec![false; wanted.len()];
        for i in found.into_iter().flatten() {
            if let Some(there) = there.get_mut(i) {
                *there = true;
            }
        }
        Ok(there)
    }

    fn message(
        &self,
        route: &Route,
        links: &HashMap<String, Link>,
        purpose: Purpose,
    ) -> Result<RouteMessage, Why> {
        let host = Host {
            names: &self.names,
            links,
        };
        message::message(route, &host, purpose)
    }

    /// All interfaces by name.
    fn links(&mut self) -> io::Result<HashMap<String, Link>> {
        let all = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let links = self.connection.dump_route(all, |m| match m {
            RouteNetlinkMessage::NewLink(m) => Some(link(&m)),
            _ => None,
        })?;
        Ok(links.into_iter().flatten().collect())
    }
}

/// The names of an interface, and what routes need to know of it.
fn link(m: &LinkMessage) -> Vec<(String, Link)> {
    let mut names = Vec::new();
    let mut link = Link {
        index: m.header.index,
        vrf_table: None,
    };
    for attribute in &m.attributes {
        match attribute {
            LinkAttribute::IfName(name) => names.push(name.clone()),
            LinkAttribute::PropList(properties) => {
                names.extend(properties.iter().filter_map(|p| match p {
                    Prop::AltIfName(name) => Some(name.clone()),
                    _ => None,
                }));
            }
            LinkAttribute::LinkInfo(infos) => {
                link.vrf_table = infos.iter().find_map(|info| match info {
                    LinkInfo::Data(InfoData::Vrf(vrf)) => vrf.iter().find_map(|v| match v {
                        InfoVrf::TableId(table) => Some(*table),
                        _ => None,
                    }),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    names.into_iter().map(|name| (name, link)).collect()
}

fn request(m: &RouteMessage, placing: Placing, purpose: Purpose) -> Request {
    match (purpose, placing) {
        (Purpose::Remove, _) => Request::route(RouteNetlinkMessage::DelRoute(m.clone()), 0),
        (Purpose::Add, placing) => {
            let place = match placing {
                Placing::Add => NLM_F_EXCL,
                Placing::Append => NLM_F_APPEND,
                Placing::Prepend => 0,
            };
            let m = RouteNetlinkMessage::NewRoute(m.clone());
            Request::route(m, NLM_F_CREATE | place)
        }
    }
}

/// Whether the kernel says so of a route that it does not have, or whose interface it does not have.
fn gone(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ESRCH | libc::ENODEV))
}

/// An error of all for each.
fn again(e: &io::Error) -> io::Error {
    match e.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => e.kind().into(),
    }
}

fn named(routes: &[Route], outcomes: Vec<Result<Change, Why>>) -> Vec<Result<Change, Refused>> {
    let outcomes = routes.iter().zip(outcomes);
    let outcomes = outcomes.map(|(route, outcome)| outcome.map_err(|why| refused(route, why)));
    outcomes.collect()
}

fn refused(route: &Route, why: Why) -> Refused {
    Refused {
        what: format!("route {}", words(route)),
        why,
    }
}

/// What tells a route from others, as iproute2 writes it.
pub(crate) fn words(route: &Route) -> String {
    let mut words = String::new();
    if route.kind != RouteKind::Unicast {
        let _ = write!(words, "{:?} ", route.kind);
        words.make_ascii_lowercase();
    }
    match (route.to.len, route.to.ip.is_ipv4()) {
        (0, true) => words.push_str("default"),
        (0, false) => words.push_str("default inet6"),
        _ => _ = write!(words, "{}", route.to),
    }
    if let Some(via) = &route.via {
        let _ = write!(words, " via {}", via.value);
    }
    if let Some(interface) = &route.interface {
        let _ = write!(words, " dev {}", interface.value);
    }
    if let Some(tos) = &route.tos {
        let _ = write!(words, " tos {}", shown(tos));
    }
    if let Some(table) = &route.table {
        let _ = write!(words, " table {}", shown(table));
    }
    if let Some(vrf) = &route.vrf {
        let _ = write!(words, " vrf {vrf}");
    }
    if let Some(metric) = route.metric {
        let _ = write!(words, " metric {metric}");
    }
    for hop in &route.hops {
        words.push_str(" nexthop");
        if let Some(via) = hop.via {
            let _ = write!(words, " via {via}");
        }
        if let Some(interface) = &hop.interface {
            let _ = write!(words, " dev {}", interface.value);
        }
    }
    words
}

/// A number or a name as it is written.
pub(crate) fn shown(named: &Named) -> String {
    match named {
        Named::Number(number) => number.to_string(),
        Named::Name(name) => name.clone(),
    }
}
