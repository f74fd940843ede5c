//! Mails about events, by plain SMTP.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | who gets them, from whom, and who takes them |
//! | `outbox` | which mail is sent next, and when |
//! | `message` | a mail's header and text |
//! | `delivery` | one mail to one server |
//!
//! A thread of its own sends them, one after the other, each by a connection of its own; whoever has a mail only leaves it in
//! the outbox.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Poll, Token, Waker};

use super::Mail;
use super::thread::Thread;
use crate::keepalived::host::SystemHost;
use crate::keepalived::model::Global;
use delivery::Delivery;
use outbox::{Fate, Letter, Outbox};
use settings::Settings;

mod delivery;
mod message;
mod outbox;
mod settings;
#[cfg(test)]
mod tests;

/// How long mails are still sent once the end has come.
const LAST: Duration = Duration::from_secs(5);

/// The token of what wakes the thread.
const WAKE: Token = Token(0);

/// Sends mails.
#[derive(Debug)]
pub(super) struct Mailer {
    shared: Arc<Shared>,
    thread: Thread,
    log: fn(&str),
}

/// Between those who have mails and the thread.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    waker: Waker,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    /// Whether the configuration asks for mails.
    wanted: bool,
    /// A configuration that the thread has not seen yet.
    global: Option<Box<Global>>,
    /// When the end has come.
    stopping: Option<Instant>,
}

impl Mailer {
    /// With the settings of this configuration.
    pub(super) fn start(global: &Global, log: fn(&str)) -> io::Result<Self> {
        let poll = Poll::new()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                outbox: Outbox::default(),
                wanted: is_wanted(global),
                global: Some(Box::new(global.clone())),
                stopping: None,
            }),
            waker: Waker::new(poll.registry(), WAKE)?,
        });
        let ours = shared.clone();
        let thread = Thread::start("lvsd-mail", move || run(&ours, poll, log))?;
        Ok(Self {
            shared,
            thread,
            log,
        })
    }

    /// Another mail.
    pub(super) fn send(&self, mail: Mail) {
        let mut state = self.shared.lock();
        if state.wanted {
            state.outbox.put(mail, Instant::now(), SystemTime::now());
            drop(state);
            self.shared.wake();
        }
    }

    /// From now on these settings hold, also for what waits.
    pub(super) fn configure(&self, global: &Global) {
        let mut state = self.shared.lock();
        state.wanted = is_wanted(global);
        state.global = Some(Box::new(global.clone()));
        drop(state);
        self.shared.wake();
    }

    /// What waits is to be sent, and then the thread to end; both within five seconds.
    pub(super) fn stop(&self) {
        let mut state = self.shared.lock();
        if state.stopping.is_none() {
            state.stopping = Some(Instant::now());
            state.outbox.close(SystemTime::now());
        }
        drop(state);
        self.shared.wake();
    }

    /// Waits until the thread has ended after [`Mailer::stop`], or it has taken too long.
    pub(super) fn wait(&mut self) {
        // A look-up of a name cannot be interrupted.
        if !self.thread.wait(LAST + Duration::from_secs(1)) {
            let left = self.shared.lock().outbox.clear();
            (self.log)(&format!(
                "a mail could not be sent in time, and {left} that wait are not sent"
            ));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let _ = self.waker.wake(); // it wakes for its next deadline at the latest
    }
}

/// The thread.
fn run(shared: &Shared, mut poll: Poll, log: fn(&str)) {
    let mut events = Events::with_capacity(8);
    let mut number = 0;
    let mut settings = None;
    loop {
        let now = Instant::now();
        let mut state = shared.lock();
        if let Some(global) = state.global.take() {
            drop(state);
            settings = configured(shared, &global, settings, log);
            continue;
        }
        let lost = state.outbox.lost();
        let late = state.stopping.filter(|since| now >= *since + LAST);
        let left = late.map_or(0, |_| state.outbox.clear());
        let next = state.outbox.next(now, SystemTime::now());
        let (stopping, deadline) = (state.stopping.is_some(), state.outbox.deadline(now));
        drop(state);
        if lost > 0 {
            log(&format!("too many mails wait: {lost} will not be sent"));
        }
        if left > 0 {
            log(&format!("{left} mails could not be sent in time"));
        }
        match (next, &settings) {
            (Some(letter), Some(settings)) => {
                number += 1;
                send(shared, &mut poll, settings, letter, number, log);
                continue;
            }
            _ if stopping => return,
            _ => {}
        }
        let wait = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match poll.poll(&mut events, wait) {
            Err(e) if e.kind() != ErrorKind::Interrupted => {
                log(&format!("mails: {e}"));
                std::thread::sleep(Duration::from_secs(1)); // it would only be said again at once
            }
            _ => {}
        }
    }
}

/// Whether a configuration asks for mails.
fn is_wanted(global: &Global) -> bool {
    global.smtp_server.is_some() && !global.mail_to.is_empty()
}

/// The settings of a configuration, in the place of others.
fn configured(
    shared: &Shared,
    global: &Global,
    before: Option<Settings>,
    log: fn(&str),
) -> Option<Settings> {
    let settings = Settings::new(global, &SystemHost, log);
    let mut state = shared.lock();
    let Some(now) = &settings else {
        let left = state.outbox.clear();
        drop(state);
        if left > 0 {
            log(&format!(
                "{left} mails are not sent, since the configuration has none any more"
            ));
        }
        return None;
    };
    if before.is_none_or(|before| before.server != now.server) {
        state.outbox.resume(); // the other server may well take it
    }
    settings
}

/// Sends a letter, or sees to it that it is tried again.
fn send(
    shared: &Shared,
    poll: &mut Poll,
    settings: &Settings,
    letter: Letter,
    number: u64,
    log: fn(&str),
) {
    let text = message::message(settings, &letter.mail, letter.at, number);
    let submission = match settings.submission(text) {
        Ok(submission) => submission,
        Err(e) => return log(&format!("a mail cannot be sent: {e}")),
    };
    let end = || shared.lock().stopping.map(|since| since + LAST);
    let delivered = Delivery {
        poll,
        server: &settings.server,
        timeout: settings.timeout,
        end: &end,
    }
    .deliver(&submission);
    let server = &settings.shown();
    match delivered {
        Ok(refused) => {
            for who in refused {
                log(&format!(
                    "mail server {server} does not take mails to {who}"
                ));
            }
        }
        Err(why) => {
            let subject = super::visible::one_line(&letter.mail.subject);
            let fate = shared.lock().outbox.failed(letter, Instant::now());
            let then = match fate {
                Fate::Again(after) => format!("it is tried again in {} s", after.as_secs()),
                Fate::GivenUp => "it is given up".to_owned(),
            };
            log(&format!(
                "mail \"{subject}\" could not be sent by {server}: {why}; {then}"
            ));
        }
    }
}
