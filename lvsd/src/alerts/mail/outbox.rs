//! Mails that wait to be sent.
//!
//! Problem: when a rack fails, thousands of things happen in a second. A mail for each would keep the mail server busy for
//! hours and be read by nobody. And a mail server that is down now may be up in a minute, while keepalived tries once.
//!
//! Rule: of the mails of a minute, which begins with the first, twenty are sent as they are; what comes on top is summed up in
//! one mail at its end. A mail that cannot be sent is tried twice more, after ten seconds and after another minute, and
//! those behind it wait. At most 256 wait; then the oldest falls out.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::message::clock;
use crate::alerts::Mail;

/// How long a burst is watched.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Mails of a minute that are sent as they are.
const SINGLE: usize = 20;

/// Events that are named in a sum.
const NAMED: usize = 500;

/// Mails that wait at most.
const MOST: usize = 256;

/// How long to wait after each failure but the last.
const DELAYS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// A mail that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) mail: Mail,
    /// When it was written.
    pub(super) at: SystemTime,
    /// How often it could not be sent.
    failures: usize,
}

/// What becomes of a letter that could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is tried again after that long.
    Again(Duration),
    /// It is not sent.
    GivenUp,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Letter>,
    burst: Option<Burst>,
    /// Until then nothing is tried, since the last try failed.
    pause: Option<Instant>,
    /// Nothing is to be waited for any more.
    closing: bool,
    lost: usize,
}

/// The mails of a minute.
#[derive(Debug)]
struct Burst {
    until: Instant,
    mails: usize,
    /// What is summed up, as far as it is named.
    text: String,
}

impl Outbox {
    /// Another mail, of this moment.
    pub(super) fn put(&mut self, mail: Mail, now: Instant, at: SystemTime) {
        self.sum_up(now, at);
        let burst = self.burst.get_or_insert_with(|| Burst {
            until: now + MINUTE,
            mails: 0,
            text: String::new(),
        });
        burst.mails += 1;
        if burst.mails <= SINGLE || self.closing {
            return self.add(mail, at);
        }
        if burst.mails <= SINGLE + NAMED {
            let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let (time, subject) = (clock(seconds), &mail.subject);
            let body = mail.body.replace('\n', " ");
            let _ = writeln!(burst.text, "{time} {subject} {body}");
        }
    }

    /// The next letter to be sent, if it is time. [`Outbox::failed`] must be told if it cannot be.
    pub(super) fn next(&mut self, now: Instant, at: SystemTime) -> Option<Letter> {
        self.sum_up(now, at);
        if self.pause.is_some_and(|until| now < until) {
            return None;
        }
        self.pause = None;
        self.waiting.pop_front()
    }

    /// This letter could not be sent.
    pub(super) fn failed(&mut self, mut letter: Letter, now: Instant) -> Fate {
        let delay = DELAYS.get(letter.failures).filter(|_| !self.closing);
        let Some(delay) = delay else {
            return Fate::GivenUp;
        };
        letter.failures += 1;
        self.waiting.push_front(letter);
        self.pause = Some(now + *delay);
        self.trim();
        Fate::Again(*delay)
    }

    /// The next may be tried at once.
    pub(super) fn resume(&mut self) {
        self.pause = None;
    }

    /// When there is something to do.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let sum = self.burst.as_ref().map(|burst| burst.until);
        let next = (!self.waiting.is_empty()).then(|| self.pause.unwrap_or(now));
        sum.into_iter().chain(next).min()
    }

    /// How many fell out since this was asked last.
    pub(super) fn lost(&mut self) -> usize {
        std::mem::take(&mut self.lost)
    }

    /// What waits is to be sent at once, and once.
    pub(super) fn close(&mut self, at: SystemTime) {
        self.closing = true;
        self.pause = None;
        self.end_burst(at);
    }

    /// Nothing more is sent; how many waited.
    pub(super) fn clear(&mut self) -> usize {
        let more = self
            .burst
            .take()
            .map_or(0, |b| b.mails.saturating_sub(SINGLE));
        std::mem::take(&mut self.waiting).len() + more
    }

    /// Writes the mail about what was not sent singly, once its minute is over.
    fn sum_up(&mut self, now: Instant, at: SystemTime) {
        if self.burst.as_ref().is_some_and(|burst| now >= burst.until) {
            self.end_burst(at);
        }
    }

    fn end_burst(&mut self, at: SystemTime) {
        let Some(mut burst) = self.burst.take() else {
            return;
        };
        let Some(more) = burst.mails.checked_sub(SINGLE).filter(|more| *more > 0) else {
            return;
        };
        if more > NAMED {
            let _ = writeln!(burst.text, "and {} more", more - NAMED);
        }
        let mail = Mail {
            subject: format!("{more} more events"),
            body: burst.text,
        };
        self.add(mail, at);
    }

    fn add(&mut self, mail: Mail, at: SystemTime) {
        self.waiting.push_back(Letter {
            mail,
            at,
            failures: 0,
        });
        self.trim();
    }

    fn trim(&mut self) {
        while self.waiting.len() > MOST {
            self.waiting.pop_front();
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: SystemTime = UNIX_EPOCH;

    fn mail(subject: impl ToString) -> Mail {
        Mail {
            subject: subject.to_string(),
            body: "=> so <=".to_owned(),
        }
    }

    fn next(outbox: &mut Outbox, now: Instant) -> Option<String> {
        outbox.next(now, AT).map(|letter| letter.mail.subject)
    }

    #[test]
    fn a_burst_is_summed_up() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        for i in 0..SINGLE + NAMED + 7 {
            outbox.put(mail(i), start, AT + Duration::from_secs(3661));
        }
        for i in 0..SINGLE {
            assert_eq!(next(&mut outbox, start), Some(i.to_string()));
        }
        assert_eq!(next(&mut outbox, start), None);
        assert_eq!(outbox.deadline(start), Some(start + MINUTE));
        let letter = outbox.next(start + MINUTE, AT).unwrap();
        assert_eq!(letter.mail.subject, "507 more events");
        let lines: Vec<&str> = letter.mail.body.lines().collect();
        assert_eq!(lines.len(), NAMED + 1);
        assert_eq!(lines[0], "01:01:01 20 => so <=");
        assert_eq!(lines[NAMED], "and 7 more");
        assert_eq!(outbox.deadline(start), None);
        // A new minute.
        outbox.put(mail("a"), start + MINUTE, AT);
        assert_eq!(next(&mut outbox, start + MINUTE), Some("a".to_owned()));
        assert_eq!(outbox.lost(), 0);
    }

    #[test]
    fn slow_events_are_not_summed_up() {
        let mut now = Instant::now();
        let mut outbox = Outbox::default();
        for i in 0..100 {
            outbox.put(mail(i), now, AT);
            assert_eq!(next(&mut outbox, now), Some(i.to_string()));
            assert_eq!(next(&mut outbox, now), None);
            now += MINUTE / 20;
        }
    }

    #[test]
    fn two_more_tries() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.put(mail("a"), start, AT);
        outbox.put(mail("b"), start, AT);
        let letter = outbox.next(start, AT).unwrap();
        assert_eq!(outbox.failed(letter, start), Fate::Again(DELAYS[0]));
        let later = start + DELAYS[0];
        assert_eq!(outbox.deadline(start), Some(later));
        assert_eq!(
            next(&mut outbox, later - Duration::from_millis(1)),
            None,
            "b waits too"
        );
        let letter = outbox.next(later, AT).unwrap();
        assert_eq!(outbox.failed(letter, later), Fate::Again(DELAYS[1]));
        let later = later + DELAYS[1];
        let letter = outbox.next(later, AT).unwrap();
        assert_eq!(letter.mail.subject, "a");
        assert_eq!(outbox.failed(letter, later), Fate::GivenUp);
        assert_eq!(next(&mut outbox, later), Some("b".to_owned()));
        assert_eq!(outbox.lost(), 0, "who gives up says so");
    }

    #[test]
    fn a_pause_may_be_cut_short() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        outbox.put(mail("a"), start, AT);
        let letter = outbox.next(start, AT).unwrap();
        outbox.failed(letter, start);
        assert_eq!(next(&mut outbox, start), None);
        outbox.resume();
        assert_eq!(next(&mut outbox, start), Some("a".to_owned()));
    }

    #[test]
    fn the_oldest_falls_out() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        for i in 0..MOST + 9 {
            outbox.put(mail(i), start + MINUTE * i as u32, AT);
        }
        let now = start + MINUTE * 1000;
        let letter = outbox.next(now, AT).unwrap();
        assert_eq!(letter.mail.subject, "9");
        assert_eq!((outbox.lost(), outbox.lost()), (9, 0));
        assert_eq!(outbox.clear(), MOST - 1);
        assert_eq!(next(&mut outbox, now), None);
    }

    #[test]
    fn in_the_end_there_is_no_waiting() {
        let start = Instant::now();
        let mut outbox = Outbox::default();
        for i in 0..=SINGLE {
            outbox.put(mail(i), start, AT);
        }
        let letter = outbox.next(start, AT).unwrap();
        outbox.failed(letter, start);
        outbox.close(AT);
        let letter = outbox.next(start, AT).unwrap();
        assert_eq!(letter.mail.subject, "0");
        assert_eq!(outbox.failed(letter, start), Fate::GivenUp);
        assert_eq!(outbox.clear(), SINGLE, "the others and the sum");
    }
}
