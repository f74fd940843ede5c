//! The thread that runs scripts, writes to pipes and keeps their readers running.
//!
//! At the end it still tells what waits, within bounds: each script has a second from then on or from its start, as in
//! keepalived, and none is started after five. Pipes are closed as soon as everything is written, which ends most readers; one
//! that still runs a second later is asked to end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, ErrorKind};
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::pipe;
use mio::{Events, Poll, Token};

use super::LineKind;
use super::desk::Desk;
use super::pipe::Pipe;
use super::process::{Process, Turn};
use super::program::Program;
use super::reader::Backoff;
use super::security;
use super::sys;
use crate::keepalived::host::SystemHost;
use crate::keepalived::model::{Command, Fifo, Global};

/// How long a script may run.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a script, or a reader, may run on once the end has come.
const LAST: Duration = Duration::from_secs(1);

/// For how long after the end has come scripts are still started.
const LAST_STARTS: Duration = Duration::from_secs(5);

/// How long all of that takes at most, unless the system does not answer.
pub(super) const LONGEST_END: Duration = Duration::from_secs(12);

/// Outputs that are kept open for what ended scripts have left in the background.
const LEFTOVERS: usize = 64;

/// The longest sleep, should a wake-up be lost.
const NAP: Duration = Duration::from_secs(30);

/// The thread's own.
#[derive(Debug)]
pub(super) struct Worker {
    poll: Poll,
    desk: Arc<Desk>,
    log: fn(&str),
    global: Global,
    running: HashMap<Token, Running>,
    pipes: Vec<Outlet>,
    leftovers: VecDeque<pipe::Receiver>,
    next: usize,
    /// Insecure programs that were warned of.
    warned: HashSet<String>,
    /// When the end has come.
    stopping: Option<Instant>,
}

/// A process, and what it is for.
#[derive(Debug)]
struct Running {
    process: Process,
    what: What,
    /// It may have said more than was read.
    talking: bool,
}

#[derive(Debug)]
enum What {
    /// A script about something, by its name.
    Script { about: String, name: String },
    /// A pipe's reader.
    Reader { name: String },
}

/// A pipe and its reader.
#[derive(Debug)]
struct Outlet {
    config: Fifo,
    /// The kind of lines that it gets; `None`: all.
    kind: Option<LineKind>,
    pipe: Pipe,
    reader: Option<Token>,
    backoff: Backoff,
    /// Not before then is the reader started.
    start: Instant,
}

impl Worker {
    pub(super) fn new(poll: Poll, desk: Arc<Desk>, global: Global, log: fn(&str)) -> Self {
        Self {
            poll,
            desk,
            log,
            global,
            running: HashMap::new(),
            pipes: Vec::new(),
            leftovers: VecDeque::new(),
            next: 1,
            warned: HashSet::new(),
            stopping: None,
        }
    }

    /// Works until it is asked to stop, and everything is told.
    pub(super) fn run(mut self) {
        self.open_pipes();
        let mut events = Events::with_capacity(64);
        loop {
            let now = Instant::now();
            self.look(now);
            self.tend(now);
            self.start_scripts(now);
            self.start_readers(now);
            if self.stopping.is_some() && self.is_idle() {
                return;
            }
            let wait = self.deadline(now).saturating_duration_since(now);
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() != ErrorKind::Interrupted => {
                    (self.log)(&format!("scripts: {e}"));
                    std::thread::sleep(LAST); // whatever it is, it would only be said again at once
                }
                _ => {}
            }
            for event in &events {
                if let Some(running) = self.running.get_mut(&event.token()) {
                    running.talking = true;
                }
            }
        }
    }

    /// Takes what was left at the desk, but for scripts.
    fn look(&mut self, now: Instant) {
        let mut waiting = self.desk.lock();
        let settings = waiting.settings.take();
        let lines = std::mem::take(&mut waiting.lines);
        let left_out = waiting.left_out.take();
        let lines_left_out = std::mem::take(&mut waiting.lines_left_out);
        let stopping = waiting.stopping;
        drop(waiting);
        for line in lines {
            for outlet in &mut self.pipes {
                if outlet.kind.is_none_or(|kind| kind == line.kind) {
                    outlet.pipe.write(&line.text);
                }
            }
        }
        if let Some((number, about)) = left_out {
            (self.log)(&format!(
                "too many scripts wait: {number} will not be run, one of them about {about}"
            ));
        }
        if lines_left_out > 0 {
            (self.log)(&format!(
                "pipes: {lines_left_out} lines were lost before they could be written"
            ));
        }
        if let Some(global) = settings {
            self.global = *global;
            self.warned.clear();
            self.open_pipes();
        }
        if stopping && self.stopping.is_none() {
            self.stopping = Some(now);
            self.pipes.clear(); // those who read them see the end
            for running in self.running.values_mut() {
                running.process.hurry(now + LAST);
            }
        }
    }

    /// Hears what runs, ends what has run for too long, and notes what has ended.
    fn tend(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for (token, running) in &mut self.running {
            running.process.tick(now);
            if !std::mem::take(&mut running.talking) {
                continue;
            }
            match running.process.ready() {
                Turn::Running => {}
                Turn::Talking => running.talking = true,
                Turn::Ended(how) => ended.push((*token, how)),
            }
        }
        for (token, how) in ended {
            if let Some(running) = self.running.remove(&token) {
                self.note(token, running, how, now);
            }
        }
        self.leftovers.retain_mut(still_open);
    }

    /// A process has ended.
    fn note(&mut self, token: Token, mut running: Running, how: Result<(), String>, now: Instant) {
        match running.what {
            What::Script { about, name } => {
                if let Err(how) = how {
                    (self.log)(&format!("script `{name}` about {about} failed: {how}"));
                }
                self.desk.lock().scripts.done(&about);
            }
            What::Reader { name } => {
                let outlet = self.pipes.iter_mut().find(|o| o.reader == Some(token));
                // Otherwise it was to end.
                if let Some(outlet) = outlet {
                    let lived = now.saturating_duration_since(running.process.began());
                    let wait = outlet.backoff.ended(lived);
                    outlet.reader = None;
                    outlet.start = now + wait;
                    let how = how
                        .err()
                        .map_or_else(String::new, |how| format!(" ({how})"));
                    let (path, wait) = (outlet.pipe.path().display(), wait.as_secs());
                    (self.log)(&format!(
                        "`{name}`, which reads pipe `{path}`, has ended{how}; it is started again in {wait} s"
                    ));
                }
            }
        }
        if let Some(output) = running.process.take_output() {
            if self.leftovers.len() >= LEFTOVERS {
                self.leftovers.pop_front();
            }
            self.leftovers.push_back(output);
        }
    }

    fn start_scripts(&mut self, now: Instant) {
        if self
            .stopping
            .is_some_and(|since| now >= since + LAST_STARTS)
        {
            let left = self.desk.lock().scripts.clear();
            if left > 0 {
                (self.log)(&format!("{left} scripts are not run any more"));
            }
            return;
        }
        loop {
            let next = self.desk.lock().scripts.start();
            let Some((about, script)) = next else { return };
            let name = name(&script.command);
            let what = What::Script {
                about: about.clone(),
                name: name.clone(),
            };
            let limit = self.stopping.map_or(LIMIT, |_| LAST);
            let started = self.program(&script.command).and_then(|program| {
                let mut command = program.command();
                for (variable, value) in &script.environment {
                    command.env(variable, value.replace('\0', ""));
                }
                let started = self.start(command, Some(limit), what, now);
                started.map_err(|e| program.explained(&e))
            });
            if let Err(why) = started {
                (self.log)(&format!("script `{name}` about {about} is not run: {why}"));
                self.desk.lock().scripts.done(&about);
            }
        }
    }

    /// Starts the readers that are missing.
    fn start_readers(&mut self, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        for i in 0..self.pipes.len() {
            let outlet = &self.pipes[i];
            let Some(reader) = outlet.config.reader.clone() else {
                continue;
            };
            if outlet.reader.is_some() || now < outlet.start || !outlet.pipe.is_open() {
                continue;
            }
            let path = outlet.pipe.path().to_owned();
            let name = name(&reader);
            let what = What::Reader { name: name.clone() };
            let started = self.program(&reader).and_then(|program| {
                let mut command = program.command();
                command.arg(&path);
                sys::tie(&mut command);
                let started = self.start(command, None, what, now);
                started.map_err(|e| program.explained(&e))
            });
            let outlet = &mut self.pipes[i];
            match started {
                Ok(token) => outlet.reader = Some(token),
                Err(why) => {
                    outlet.start = now + outlet.backoff.ended(Duration::ZERO);
                    let path = path.display();
                    (self.log)(&format!(
                        "`{name}`, which is to read pipe `{path}`, is not run: {why}"
                    ));
                }
            }
        }
    }

    fn start(
        &mut self,
        command: process::Command,
        limit: Option<Duration>,
        what: What,
        now: Instant,
    ) -> io::Result<Token> {
        let token = Token(self.next);
        self.next += 1;
        let process = Process::start(command, limit, now, self.poll.registry(), token)?;
        let running = Running {
            process,
            what,
            talking: true,
        };
        self.running.insert(token, running);
        Ok(token)
    }

    /// What a command stands for; warned of if it is insecure.
    fn program(&mut self, command: &Command) -> Result<Program, String> {
        let program = Program::new(&SystemHost, &self.global, command, sys::ourselves());
        let program = program.map_err(|refusal| refusal.to_string())?;
        if let Some(weakness) = &program.weakness {
            let name = name(command);
            if !self.warned.contains(&name) {
                (self.log)(&format!("script `{name}` runs as root, and {weakness}"));
                self.warned.insert(name);
            }
        }
        Ok(program)
    }

    /// Keeps pipes and readers that stay as they are; the others are closed, and new ones opened.
    fn open_pipes(&mut self) {
        let now = Instant::now();
        let wanted = [
            (None, &self.global.fifo),
            (Some(LineKind::Services), &self.global.lvs_fifo),
            (Some(LineKind::Vrrp), &self.global.vrrp_fifo),
        ];
        let wanted: Vec<(Option<LineKind>, Fifo)> = wanted
            .into_iter()
            .filter_map(|(kind, fifo)| Some((kind, fifo.clone()?)))
            .collect();
        let same = |o: &Outlet, (kind, w): &(Option<LineKind>, Fifo)| {
            o.kind == *kind && o.config.path == w.path && o.config.user == w.user
        };
        let (mut kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pipes)
            .into_iter()
            .partition(|o| wanted.iter().any(|w| same(o, w)));
        for outlet in gone {
            end_reader(&mut self.running, outlet.reader, now + LAST);
        }
        for wanted in wanted {
            let found = kept.iter().position(|o| same(o, &wanted));
            let (kind, config) = wanted;
            let mut outlet = match found {
                Some(i) => kept.swap_remove(i),
                None => Outlet {
                    kind,
                    pipe: Pipe::new(config.path.clone(), owner(&config, self.log), self.log),
                    config: config.clone(),
                    reader: None,
                    backoff: Backoff::default(),
                    start: now,
                },
            };
            if outlet.config.reader != config.reader {
                end_reader(&mut self.running, outlet.reader.take(), now);
                (outlet.backoff, outlet.start) = (Backoff::default(), now);
            }
            outlet.config = config;
            self.pipes.push(outlet);
        }
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.desk.lock().scripts.is_empty()
    }

    /// When there is something to do even if nothing happens.
    fn deadline(&self, now: Instant) -> Instant {
        let running = self.running.values();
        let deadlines = running.clone().filter_map(|r| r.process.deadline());
        let talking = running.filter(|r| r.talking).map(|_| now);
        let missing =
            |o: &&Outlet| o.reader.is_none() && o.config.reader.is_some() && o.pipe.is_open();
        let starts = self.pipes.iter().filter(missing).map(|o| o.start);
        let last = self.stopping.map(|since| since + LAST_STARTS);
        let last = last.filter(|last| *last > now);
        let all = deadlines.chain(talking).chain(starts).chain(last);
        all.min().map_or(now + NAP, |next| next.min(now + NAP))
    }
}

/// Reads what the background of an ended script says; whether it may say more.
fn still_open(output: &mut pipe::Receiver) -> bool {
    use std::io::Read as _;
    let mut buffer = [0; 4096];
    for _ in 0..16 {
        match output.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(e) => return matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
    true
}

fn end_reader(running: &mut HashMap<Token, Running>, reader: Option<Token>, by: Instant) {
    let reader = reader.and_then(|token| running.get_mut(&token));
    if let Some(reader) = reader {
        reader.process.hurry(by);
    }
}

/// Whose a pipe will be.
fn owner(config: &Fifo, log: fn(&str)) -> Option<(u32, u32)> {
    let numbers = security::numbers(&SystemHost, config.user.as_ref()?);
    let numbers = numbers.inspect_err(|unknown| {
        log(&format!("pipe `{}`: {unknown}", config.path.display()));
    });
    numbers.ok()
}

/// A command's name for people.
pub(super) fn name(command: &Command) -> String {
    super::visible::one_line(command.argv.first().map_or("", String::as_str))
}
