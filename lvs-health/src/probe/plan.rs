//! From what is checked to probes: a [`Plan`] is made once for a check, and makes a probe for each run.
//!
//! What is dear to prepare is shared by all plans that one [`Plans`] has made and that say the same: patterns, and TLS
//! settings with their authorities. So 20,000 checks pay for it once.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::dns::{Dns, Name};
use super::http::{Get, Matcher, Recipe};
use super::ping::Ping;
use super::smtp::Greeting;
use super::tcp::Tcp;
use super::tls::{Library, Session};
use super::udp::Udp;
use super::{Failure, Probe, Reason};
use crate::check::{self, Kind, Page, Pattern, Target};

/// What a probe's driver is to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP connection. TLS within it is the probe's own affair.
    Stream,
    /// A UDP socket, connected.
    Datagram,
    /// A datagram ICMP socket (`SOCK_DGRAM` with `IPPROTO_ICMP` or `IPPROTO_ICMPV6`), connected.
    Echo,
}

/// How a check's probes are made.
#[derive(Clone, Debug)]
pub struct Plan {
    make: Make,
}

#[derive(Clone, Debug)]
enum Make {
    Tcp,
    Http(Vec<Arc<Recipe>>, Option<Session>),
    Smtp(Greeting),
    Dns(Name, u16),
    Udp(Arc<check::Udp>),
    Ping { v6: bool },
}

impl Plan {
    /// What is to be opened for each run.
    pub fn transport(&self) -> Transport {
        match &self.make {
            Make::Tcp | Make::Http(..) | Make::Smtp(_) => Transport::Stream,
            Make::Dns(..) | Make::Udp(_) => Transport::Datagram,
            Make::Ping { .. } => Transport::Echo,
        }
    }

    /// How many pages there are, each of which is a run of its own; 1 where there are none.
    pub fn pages(&self) -> usize {
        match &self.make {
            Make::Http(pages, _) => pages.len(),
            _ => 1,
        }
    }

    /// A probe for one run, of the page with this number (from 0, begun anew behind the last).
    ///
    /// `random` makes answers to this run differ from those to others: it must not be guessed easily by who could send
    /// false ones.
    pub fn probe(&self, page: usize, random: u64) -> Box<dyn Probe> {
        match &self.make {
            Make::Tcp => Box::new(Tcp),
            Make::Http(pages, tls) => match (pages.get(page % pages.len().max(1)), tls) {
                (Some(recipe), None) => Box::new(Get::new(Arc::clone(recipe))),
                (Some(recipe), Some(tls)) => Box::new(tls.wrap(Get::new(Arc::clone(recipe)))),
                (None, _) => Box::new(Tcp),
            },
            Make::Smtp(greeting) => Box::new(greeting.clone()),
            Make::Dns(name, record) => Box::new(Dns::new(name.clone(), *record, random as u16)),
            Make::Udp(check) => Box::new(Udp::new(Arc::clone(check))),
            Make::Ping { v6 } => Box::new(Ping::new(*v6, random)),
        }
    }
}

/// Makes plans, and knows what they share.
#[derive(Debug, Default)]
pub struct Plans {
    patterns: HashMap<Pattern, Weak<Matcher>>,
    tls: Library,
}

impl Plans {
    /// The plan for a check. Files that it names (certificates, authorities) are read now.
    ///
    /// # Errors
    ///
    /// [`Reason::Local`] with what is wrong: a name that is none, a pattern that does not compile, a file that cannot be
    /// read, a feature that this build lacks. Scripts and files have no probes.
    pub fn plan(&mut self, kind: &Kind, target: &Target) -> Result<Plan, Failure> {
        let make = match kind {
            Kind::Tcp => Make::Tcp,
            Kind::Http(http) => self.pages(http, target)?,
            Kind::Smtp { helo } => Make::Smtp(Greeting::new(helo)?),
            Kind::Dns { record, name } => {
                let name = Name::new(name).map_err(|e| local(e.to_string()))?;
                Make::Dns(name, *record)
            }
            Kind::Udp(udp) => Make::Udp(Arc::new(udp.clone())),
            Kind::Ping => Make::Ping {
                v6: target.addr.is_ipv6(),
            },
            Kind::Script(_) | Kind::File(_) => return Err(local("not asked over a network")),
        };
        Ok(Plan { make })
    }

    fn pages(&mut self, http: &check::Http, target: &Target) -> Result<Make, Failure> {
        if http.pages.is_empty() {
            return Err(local("no page to ask for"));
        }
        let recipe = |page: &Page| {
            let pattern = match &page.pattern {
                Some(pattern) => Some(self.pattern(pattern)?),
                None => None,
            };
            Recipe::new(page, http.version, target.addr, pattern).map(Arc::new)
        };
        let pages = http.pages.iter().map(recipe).collect::<Result<_, _>>()?;
        let tls = match &http.tls {
            Some(tls) => Some(self.tls.session(tls, target.addr.ip())?),
            None => None,
        };
        Ok(Make::Http(pages, tls))
    }

    fn pattern(&mut self, pattern: &Pattern) -> Result<Arc<Matcher>, Failure> {
        if let Some(made) = self.patterns.get(pattern).and_then(Weak::upgrade) {
            return Ok(made);
        }
        let made = Arc::new(Matcher::new(pattern).map_err(local)?);
        // What no plan uses any more is dropped.
        self.patterns.retain(|_, made| made.strong_count() > 0);
        self.patterns.insert(pattern.clone(), Arc::downgrade(&made));
        Ok(made)
    }
}

fn local(detail: impl Into<String>) -> Failure {
    Failure::new(Reason::Local, detail)
}
