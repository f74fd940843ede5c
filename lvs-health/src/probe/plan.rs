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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{FileCheck, HttpVersion, Script};

    fn page(path: &str, pattern: Option<&str>) -> Page {
        Page {
            path: path.to_owned(),
            host: None,
            digest: None,
            status: Vec::new(),
            pattern: pattern.map(|expression| Pattern {
                expression: expression.to_owned(),
                expected: true,
                caseless: false,
                dotall: false,
                multiline: false,
                extended: false,
                ungreedy: false,
                from: 0,
                to: None,
            }),
        }
    }

    fn http(pages: Vec<Page>, tls: Option<check::Tls>) -> Kind {
        Kind::Http(check::Http {
            pages,
            version: HttpVersion::V1_0,
            tls,
            fast_recovery: false,
        })
    }

    fn target(addr: &str) -> Target {
        Target::new(addr.parse().unwrap())
    }

    fn said(plan: &Plan, page: usize, random: u64) -> Vec<u8> {
        let mut out = Vec::new();
        plan.probe(page, random).opened(&mut out);
        out
    }

    #[test]
    fn pages_are_runs_of_their_own() {
        let pages = http(vec![page("/a", None), page("/b", None)], None);
        let target = target("[2001:db8::1]:8080");
        let plan = Plans::default().plan(&pages, &target).unwrap();
        assert_eq!((plan.pages(), plan.transport()), (2, Transport::Stream));
        for (number, path) in [(0, "/a"), (1, "/b"), (2, "/a")] {
            let text = String::from_utf8(said(&plan, number, 0)).unwrap();
            assert!(text.starts_with(&format!("GET {path} HTTP/1.0\r\n")));
            assert!(text.contains("Host: [2001:db8::1]:8080\r\n"));
        }
    }

    #[test]
    fn each_run_has_numbers_of_its_own() {
        let name = "example.com".to_owned();
        for (kind, transport) in [
            (Kind::Dns { record: 1, name }, Transport::Datagram),
            (Kind::Ping, Transport::Echo),
        ] {
            let plan = Plans::default().plan(&kind, &target("192.0.2.1:53"));
            let plan = plan.unwrap();
            assert_eq!((plan.pages(), plan.transport()), (1, transport));
            assert_ne!(said(&plan, 0, 1), said(&plan, 0, 2));
        }
    }

    #[test]
    fn the_address_decides_how_to_ping() {
        for (addr, request) in [("192.0.2.1:0", 8), ("[2001:db8::1]:0", 128)] {
            let plan = Plans::default().plan(&Kind::Ping, &target(addr));
            assert_eq!(said(&plan.unwrap(), 0, 0).first(), Some(&request));
        }
    }

    #[test]
    fn what_cannot_be_asked() {
        let script = Kind::Script(Script {
            argv: vec!["/bin/true".to_owned()],
            user: None,
            timeout: std::time::Duration::from_secs(1),
            dynamic: false,
        });
        let file = Kind::File(FileCheck {
            path: "/dev/null".into(),
            weight: 0,
        });
        let (helo, name) = ("a\nb".to_owned(), "a..b".to_owned());
        for kind in [
            script,
            file,
            http(Vec::new(), None),
            http(vec![page("/\r\n", None)], None),
            http(vec![page("/", Some("("))], None),
            Kind::Smtp { helo },
            Kind::Dns { record: 1, name },
        ] {
            let failure = Plans::default().plan(&kind, &target("192.0.2.1:80"));
            let failure = failure.unwrap_err();
            assert_eq!(failure.reason, Reason::Local, "{kind:?}");
            assert!(!failure.detail.is_empty());
        }
    }

    #[test]
    #[cfg(feature = "regex")]
    fn patterns_are_made_ready_once() {
        let mut plans = Plans::default();
        let kind = http(vec![page("/a", Some("x")), page("/b", Some("x"))], None);
        let many: Vec<Plan> = (0..10)
            .map(|_| plans.plan(&kind, &target("192.0.2.1:80")).unwrap())
            .collect();
        let uses: Vec<usize> = plans.patterns.values().map(Weak::strong_count).collect();
        assert_eq!(uses, [20]);
        drop(many);
        let other = http(vec![page("/", Some("y"))], None);
        let plan = plans.plan(&other, &target("192.0.2.1:80")).unwrap();
        assert_eq!(plans.patterns.len(), 1);
        drop(plan);
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn no_tls_in_this_build() {
        let kind = http(vec![page("/", None)], Some(check::Tls::default()));
        let failure = Plans::default().plan(&kind, &target("192.0.2.1:443"));
        assert!(failure.unwrap_err().detail.contains("feature"));
    }

    #[test]
    #[cfg(feature = "tls")]
    fn tls_begins_with_a_hello() {
        let kind = http(vec![page("/", None)], Some(check::Tls::default()));
        let plan = Plans::default().plan(&kind, &target("192.0.2.1:443"));
        assert_eq!(said(&plan.unwrap(), 0, 0).get(..3), Some(&[22, 3, 1][..]));
    }
}
