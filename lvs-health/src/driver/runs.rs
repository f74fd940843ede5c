//! The life of a run: it begins when its check is due, is carried on by events, and ends with a verdict.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::flight::{Flight, Ready, Step};
use super::script::{self, Running};
use super::socket::{self, Refusal};
use super::{CheckId, Driver, Dying, Ended, Run, entry_of, file};
use crate::agenda::Key;
use crate::check::{Check, Kind};
use crate::probe::{Failure, Reason, Verdict};

/// Probes begun in a turn.
const BATCH: usize = 256;

/// Scripts begun in a turn: to start one takes longer than a probe, and others wait meanwhile.
const SCRIPTS: usize = 8;

impl Driver {
    /// How long nothing is to be done but wait.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let kill = self.dying.iter().filter(|d| !d.killed).map(|d| d.kill_at);
        let next = [self.probes.next(), self.scripts.next(), kill.min()];
        let next = next.into_iter().flatten().min();
        let wait = next.map(|at| at.saturating_sub(self.now()));
        [wait, timeout].into_iter().flatten().min()
    }

    pub(super) fn begin_due(&mut self, on_end: &mut dyn FnMut(Ended<'_>)) {
        for _ in 0..BATCH {
            let now = self.now();
            let Some(key) = self.probes.due(now) else {
                break;
            };
            self.begin(key, now, on_end);
        }
        for _ in 0..SCRIPTS {
            let now = self.now();
            let Some(key) = self.scripts.due(now) else {
                break;
            };
            self.begin(key, now, on_end);
        }
        let now = self.now();
        if self.probes.crowded(now) {
            self.notices.crowded_probes(self.probes.limit());
        }
        if self.scripts.crowded(now) {
            self.notices.crowded_scripts(self.options.max_scripts);
        }
    }

    fn begin(&mut self, key: Key, now: Duration, on_end: &mut dyn FnMut(Ended<'_>)) {
        let Some(entry) = entry_of(&mut self.slots, key) else {
            self.probes.remove(key);
            self.scripts.remove(key);
            return;
        };
        if entry.suspended {
            self.skip(key, now);
            return;
        }
        let check = Arc::clone(&entry.check);
        let until = now.saturating_add(match &check.kind {
            Kind::Script(script) => script.timeout,
            _ => check.timing.timeout,
        });
        match &check.kind {
            Kind::Script(script) => {
                self.scripts.begin(key, now, until);
                let token = self.next_token(key);
                match Running::start(script, self.poll.registry(), token, now) {
                    Ok(running) => self.set_run(key, token, Run::Script(Box::new(running))),
                    Err(e) => {
                        let program = script.argv.first().map_or("", |p| p);
                        let failure = Failure::new(Reason::Local, format!("{program}: {e}"));
                        self.end(key, now, Err(failure), on_end);
                    }
                }
            }
            Kind::File(file) => {
                self.probes.begin(key, now, until);
                self.end(key, now, file::look(file), on_end);
            }
            _ => self.launch(key, &check, now, until, on_end),
        }
    }

    /// Begins a run over a socket.
    fn launch(
        &mut self,
        key: Key,
        check: &Check,
        now: Duration,
        until: Duration,
        on_end: &mut dyn FnMut(Ended<'_>),
    ) {
        match self.fly(key, check, now) {
            Err(Refusal::NoDescriptor) if self.probes.running() > 0 => {
                // No more than now, and then one more for each that ends: others may have given descriptors back.
                self.probes.set_limit(self.probes.running());
            }
            Err(refusal) => {
                self.probes.begin(key, now, until);
                self.end(key, now, Err(refusal.into()), on_end);
            }
            Ok((token, mut flight)) => {
                self.probes.begin(key, now, until);
                let step = flight.take_off(&mut self.buffer);
                self.set_run(key, token, Run::Flight(Box::new(flight)));
                self.step(token, step, on_end);
            }
        }
    }

    /// Opens a socket for a run and has it watched.
    fn fly(&mut self, key: Key, check: &Check, now: Duration) -> Result<(Token, Flight), Refusal> {
        let (random, token) = (self.random(), self.next_token(key));
        let entry = entry_of(&mut self.slots, key);
        let Some((Some(plan), page)) = entry.map(|e| (&e.plan, e.checker.page())) else {
            return Err(Refusal::local("no such probe"));
        };
        let plan = plan.as_ref().map_err(|f| Refusal::Failed(f.clone()))?;
        let transport = plan.transport();
        let network = self.options.network.as_deref();
        let opened = socket::open(&check.target, transport, network)?;
        let flight = Flight::new(opened, transport, plan.probe(page, random), now, random);
        let fd = flight.socket().as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry
            .register(&mut SourceFd(&fd), token, interest)
            .map_err(|e| Refusal::local(e.to_string()))?;
        Ok((token, flight))
    }

    /// Something has happened to a run, or to a script after its time.
    pub(super) fn ready(&mut self, token: Token, ready: Ready, on_end: &mut dyn FnMut(Ended<'_>)) {
        let key = key_of(token);
        let entry = entry_of(&mut self.slots, key);
        let Some((entry, run)) = entry.and_then(|entry| match &mut entry.run {
            Some((of, run)) if *of == token => Some((&entry.check, run)),
            _ => None,
        }) else {
            return self.bury(token);
        };
        match run {
            Run::Flight(flight) => {
                let step = flight.ready(ready, &mut self.buffer);
                self.step(token, step, on_end);
            }
            Run::Script(running) => match running.ready(&mut self.buffer) {
                (Some(status), _) => {
                    let verdict = match &entry.kind {
                        Kind::Script(script) => running.verdict(script, status),
                        _ => return,
                    };
                    let now = self.now();
                    self.end(key, now, verdict, on_end);
                }
                (None, true) => self.postpone(token),
                (None, false) => {}
            },
        }
    }

    fn step(&mut self, token: Token, step: Step, on_end: &mut dyn FnMut(Ended<'_>)) {
        let key = key_of(token);
        let moved = match step {
            Step::Over(verdict) => {
                let now = self.now();
                return self.end(key, now, verdict, on_end);
            }
            Step::More => {
                self.postpone(token);
                true
            }
            Step::Waits { moved } => moved,
        };
        if !moved {
            return;
        }
        let now = self.now();
        if let Some(entry) = entry_of(&mut self.slots, key)
            && entry.check.timing.each_step
        {
            let until = now.saturating_add(entry.check.timing.timeout);
            self.probes.bound(key, until);
        }
    }

    /// There is more to read, in the next turn.
    fn postpone(&mut self, token: Token) {
        if let Some(entry) = entry_of(&mut self.slots, key_of(token))
            && !std::mem::replace(&mut entry.unfinished, true)
        {
            self.unfinished.push(token);
        }
    }

    pub(super) fn end_overdue(&mut self, on_end: &mut dyn FnMut(Ended<'_>)) {
        let now = self.now();
        while let Some(key) = self.probes.overdue(now) {
            let entry = entry_of(&mut self.slots, key);
            match entry.and_then(|e| e.run.as_mut()) {
                Some((_, Run::Flight(flight))) => {
                    let verdict = flight.expired();
                    self.end(key, now, verdict, on_end);
                }
                _ => self.probes.remove(key),
            }
        }
        while let Some(key) = self.scripts.overdue(now) {
            let Some(entry) = entry_of(&mut self.slots, key) else {
                self.scripts.remove(key);
                continue;
            };
            match (&entry.check.kind, &entry.run) {
                (Kind::Script(script), Some((_, Run::Script(running)))) => {
                    let verdict = running.expired(script);
                    self.end(key, now, verdict, on_end);
                }
                _ => self.scripts.remove(key),
            }
        }
        for dying in &mut self.dying {
            if !dying.killed && dying.kill_at <= now {
                dying.script.kill();
                dying.killed = true;
            }
        }
    }

    /// A run has ended: what was found is noted, reported, and the next run planned.
    fn end(
        &mut self,
        key: Key,
        now: Duration,
        verdict: Verdict,
        on_end: &mut dyn FnMut(Ended<'_>),
    ) {
        let began = self.abandon(key).unwrap_or(now);
        let Some(slot) = self.slots.get_mut(key as usize) else {
            return;
        };
        let Some(entry) = &mut slot.entry else {
            return;
        };
        let took = now.saturating_sub(began);
        let mut report = entry.checker.report(&entry.check, now, took, verdict);
        let agenda = match entry.check.kind {
            Kind::Script(_) => &mut self.scripts,
            _ => &mut self.probes,
        };
        if let Kind::File(_) = entry.check.kind {
            report.next_at = report.next_at.min(now + file::INTERVAL);
        }
        agenda.plan(key, report.next_at);
        if self.probes.limit() < self.room {
            self.probes.set_limit(self.probes.limit() + 1);
        }
        on_end(Ended {
            id: CheckId {
                key,
                generation: slot.generation,
            },
            check: &entry.check,
            checker: &entry.checker,
            report,
        });
    }

    /// Gives up the run under way, if there is one, and says when it began.
    pub(super) fn abandon(&mut self, key: Key) -> Option<Duration> {
        let entry = entry_of(&mut self.slots, key)?;
        let (token, run) = entry.run.take()?;
        if std::mem::take(&mut entry.unfinished) {
            self.unfinished.retain(|&t| t != token);
        }
        match run {
            Run::Flight(flight) => Some(flight.began()),
            Run::Script(mut running) => {
                let began = running.began();
                if !running.over() {
                    running.terminate(self.poll.registry());
                    self.dying.push(Dying {
                        token,
                        script: running,
                        kill_at: self.now() + script::GRACE,
                        killed: false,
                    });
                    self.fit_scripts();
                }
                Some(began)
            }
        }
    }

    /// A script that was asked to end may have done so.
    fn bury(&mut self, token: Token) {
        if let Some(at) = self.dying.iter().position(|d| d.token == token)
            && self.dying[at].script.buried()
        {
            self.dying.swap_remove(at);
            self.fit_scripts();
        }
    }

    /// Scripts that were asked to end take room from others until they have.
    fn fit_scripts(&mut self) {
        let room = self.options.max_scripts.max(1);
        self.scripts
            .set_limit(room.saturating_sub(self.dying.len()));
    }

    /// The run that is due does not take place.
    pub(super) fn skip(&mut self, key: Key, now: Duration) {
        if let Some(entry) = entry_of(&mut self.slots, key) {
            let next = entry.checker.skip(&entry.check, now);
            let check = Arc::clone(&entry.check);
            self.agenda(&check.kind).plan(key, next);
        }
    }

    fn set_run(&mut self, key: Key, token: Token, run: Run) {
        if let Some(entry) = entry_of(&mut self.slots, key) {
            entry.run = Some((token, run));
        }
    }

    /// A run's token has its check's number and one of its own: an event that comes when the run has ended is then not taken
    /// for one of the next.
    fn next_token(&mut self, key: Key) -> Token {
        self.serial = self.serial.wrapping_add(1) & (u32::MAX >> 1);
        Token((self.serial as usize) << 32 | key as usize)
    }
}

pub(super) fn key_of(token: Token) -> Key {
    token.0 as Key
}
