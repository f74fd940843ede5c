//! From command lines to a [`RuleSet`]: what each line asks for, and whether the lines go together.

use std::collections::{HashMap, HashSet};

use lvs_core::{Endpoint, Family, Ip, Method, ServiceKey, ServiceOptions};

use super::address::HostPort;
use super::command_line::{CommandLine, Given};
use super::names::Remembered;
use super::options::{Meaning, Verb};
use super::problem::{Problem, quoted};
use super::settings::{self, Settings};
use super::words::Word;
use super::{MarkRule, Names, RuleSet, ServerRule, ServiceRule, marks, save, server, service};

/// The lines read so far. Reading goes on after a problem, to find the others.
pub(super) struct Table<'n> {
    names: Remembered<'n>,
    services: Vec<Draft>,
    by_key: HashMap<ServiceKey, usize>,
    /// Rules for marks and their lines.
    marks: Vec<(MarkRule, usize)>,
    /// Local addresses, to be compared with all virtual ones in the end.
    local_addrs: Vec<(Ip, Problem)>,
    settings: Settings,
    pub(super) problems: Vec<Problem>,
}

/// A service and what is needed to check the lines that follow.
struct Draft {
    rule: ServiceRule,
    line: usize,
    /// The lines of its servers.
    servers: HashMap<Endpoint, usize>,
    /// Whether some local address could not be read.
    lacks_local_addrs: bool,
}

impl<'n> Table<'n> {
    pub(super) fn new(names: &'n dyn Names) -> Self {
        Self {
            names: Remembered::new(names),
            services: Vec::new(),
            by_key: HashMap::new(),
            marks: Vec::new(),
            local_addrs: Vec::new(),
            settings: Settings::default(),
            problems: Vec::new(),
        }
    }

    /// Takes in one line.
    pub(super) fn line(&mut self, words: &[Word<'_>]) {
        if settings::is_sysctl(words) {
            let result = self.settings.sysctl(words);
            return self.note(result).unwrap_or_default();
        }
        let Some(line) = CommandLine::read(words, &mut self.problems) else {
            return;
        };
        match line.verb {
            Verb::AddService => self.add_service(&line),
            Verb::AddServer => self.add_server(&line),
            Verb::Set => {
                let result = self.settings.timeouts(&line);
                self.note(result);
            }
            Verb::Mark => self.add_mark(&line),
            Verb::ClearMarks => self.clear_marks(&line),
            _ => {}
        }
    }

    /// The result, after the checks that need the whole file.
    pub(super) fn finish(mut self) -> Result<RuleSet, Vec<Problem>> {
        let virtual_addrs: HashSet<Ip> = self
            .by_key
            .keys()
            .filter_map(|key| key.addr().map(|a| a.ip))
            .collect();
        let local = self.local_addrs.into_iter();
        let clashes = local.filter(|(ip, _)| virtual_addrs.contains(ip));
        self.problems.extend(clashes.map(|(_, problem)| problem));
        if self.problems.is_empty() {
            return Ok(RuleSet {
                services: self.services.into_iter().map(|draft| draft.rule).collect(),
                marks: self.marks.into_iter().map(|(rule, _)| rule).collect(),
                timeouts: self.settings.timeouts,
                sysctls: self.settings.sysctls,
            });
        }
        self.problems.sort_by_key(|p| (p.line, p.column));
        Err(self.problems)
    }

    /// The value, or `None` once what is wrong is noted.
    fn note<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn add_mark(&mut self, line: &CommandLine<'_>) {
        let Some(rule) = marks::read(line, &mut self.problems) else {
            return;
        };
        let same = self.marks.iter().find(|(m, _)| m.is_about_same(&rule));
        if let Some((_, first)) = same {
            let message = "no packet gets this mark: all have got theirs";
            let help = format!("line {first} is about the same packets; take one of the two out");
            self.problems.push(Problem::at(line.at, message, help));
            return;
        }
        self.marks.push((rule, line.at.line));
    }

    /// Files that are restored into a running director begin with such a line; here there is nothing to delete.
    fn clear_marks(&mut self, line: &CommandLine<'_>) {
        if let Some((_, first)) = self.marks.first() {
            let message = "`--clear-marks` would undo the marks above";
            let help = format!("line {first} is the first of them: put it above, or take it out");
            self.problems.push(Problem::at(line.at, message, help));
        }
    }

    fn add_service(&mut self, line: &CommandLine<'_>) {
        let (scheduler, flags) = service::scheduler(line, &self.names, &mut self.problems);
        let local_addrs = service::local_addrs(line, &mut self.problems);
        let written = |o: &&Given<'_>| o.meaning == Meaning::LocalAddress;
        let lacks_local_addrs = local_addrs.len() < line.options.iter().filter(written).count();
        let key = service::key(line, &self.names);
        let Some((key, word)) = self.note(key).flatten() else {
            return;
        };
        let persistence = service::persistence(line, key.family(), &mut self.problems);
        self.note(service::check_key(line, key, word));
        let timeouts = service::timeouts(line, key, &mut self.problems);
        if let Some(&first) = self.by_key.get(&key) {
            let first = self.services.get(first).map_or(0, |draft| draft.line);
            let message = format!("the service {key} is already there");
            let help = format!("line {first} adds it; put everything about it there");
            self.problems.push(Problem::at(word, message, help));
            return;
        }
        let (locals, clashes): (Vec<_>, Vec<_>) = local_addrs
            .into_iter()
            .map(|(local, clash)| (local, (local.ip, clash)))
            .unzip();
        self.local_addrs.extend(clashes);
        self.by_key.insert(key, self.services.len());
        self.services.push(Draft {
            rule: ServiceRule {
                key,
                scheduler,
                flags,
                unknown_engine: None,
                options: ServiceOptions {
                    persistence,
                    one_packet: line.option(Meaning::OnePacket).is_some(),
                    local_addrs: locals.into(),
                    timeouts,
                },
                servers: Vec::new(),
            },
            line: line.at.line,
            servers: HashMap::new(),
            lacks_local_addrs,
        });
    }

    fn add_server(&mut self, line: &CommandLine<'_>) {
        let service = service::key(line, &self.names);
        let service = self.note(service).flatten();
        let protocol = service.and_then(|(key, _)| key.protocol());
        let server = server::address(line, protocol, &self.names);
        let server = self.note(server).flatten();
        let (options, method_word) = server::options(line, &mut self.problems);
        let Some((key, service_word)) = service else {
            return;
        };
        let draft = self.by_key.get(&key).copied();
        let Some(draft) = draft.and_then(|index| self.services.get_mut(index)) else {
            let message = format!("there is no service {key} above this line");
            let help = format!(
                "add it first: {}",
                quoted(&format!("-A {}", save::written(key).join(" ")))
            );
            self.problems.push(Problem::at(service_word, message, help));
            return;
        };
        let Some((host, word)) = server else {
            return;
        };
        match draft.server(host, word, options.method, method_word) {
            Ok(addr) => draft.rule.servers.push(ServerRule { addr, options }),
            Err(problem) => self.problems.push(problem),
        }
    }
}

impl Draft {
    /// Where a new server of this service listens, if there may be such a server.
    fn server(
        &mut self,
        host: HostPort,
        word: Word<'_>,
        method: Method,
        method_word: Word<'_>,
    ) -> Result<Endpoint, Problem> {
        let key = self.rule.key;
        server::check_family(host.ip, key, method, word)?;
        let is_fixed = key.addr().is_some() && !method.translates();
        let port = match host.port {
            // Packets are not changed on their way to these, nor is their port.
            _ if is_fixed => key.port(),
            port => port.unwrap_or_else(|| key.port()),
        };
        let addr = Endpoint::new(host.ip, port);
        if method == Method::FullNat {
            if self.rule.options.one_packet {
                let message = "FullNAT does not go with one-packet scheduling";
                let help = "its replies would not be recognised; take `-o` or `--fullnat` out";
                return Err(Problem::at(method_word, message, help));
            }
            self.check_local_addrs(addr.ip.family(), method_word)?;
        }
        let line = *self.servers.entry(addr).or_insert(word.line);
        if line != word.line {
            let message = format!("{addr} is already a server of {key}");
            let help = format!("line {line} adds it; take one of the two out");
            return Err(Problem::at(word, message, help));
        }
        Ok(addr)
    }

    fn check_local_addrs(&self, family: Family, method_word: Word<'_>) -> Result<(), Problem> {
        let mut local = self.rule.options.local_addrs.iter();
        if self.lacks_local_addrs || local.any(|local| local.ip.family() == family) {
            return Ok(());
        }
        let family = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let message = format!("the service has no {family} local address for FullNAT");
        let help = format!(
            "add `--local-address ADDRESS` to its `-A` line, line {}",
            self.line
        );
        Err(Problem::at(method_word, message, help))
    }
}
