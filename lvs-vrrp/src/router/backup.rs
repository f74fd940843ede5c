//! A backup: it listens, and leads when it has heard nobody better for too long.

use std::net::IpAddr;
use std::time::Duration;

use super::{Action, Router};
use crate::Time;
use crate::config::{Preempt, RouterConfig, Version};
use crate::event::{State, Trouble, Why};
use crate::packet::Advertisement;

/// What a backup has heard since it is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Listening {
    /// Since when it listens.
    since: Time,
    /// The last advertisement that it followed.
    pub(super) heard: Option<Heard>,
    /// After that: who stepped down,
    released: Option<IpAddr>,
    /// and who was not followed.
    lower: Option<(IpAddr, u8)>,
}

/// An advertisement that was followed.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) from: IpAddr,
    priority: u8,
    at: Time,
}

impl Router {
    /// Becomes backup, and knows nothing of a master.
    pub(super) fn listen(&mut self, why: Why, now: Time, out: &mut Vec<Action>) {
        self.interval = self.config.interval;
        let since = self.opens.map_or(now, |opens| opens.max(now));
        self.listening = Listening {
            since,
            ..Listening::default()
        };
        self.preempt_at = None;
        self.dispute = None;
        self.wish = false;
        let wait = match why {
            // Nobody has a better right than the owner: it only looks whether somebody is there.
            Why::Started | Why::Recovered if self.begins_as_master() => self.interval + self.skew(),
            _ => self.master_down(),
        };
        self.deadline = Some(since + wait);
        self.enter(State::Backup, why, now, out);
    }

    pub(super) fn heard_as_backup(
        &mut self,
        advert: &Advertisement,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        if advert.priority == RouterConfig::RELEASE {
            self.listening.released = Some(advert.from);
            self.deadline = Some(now + self.skew());
        } else if self.accepts(advert.priority, now) {
            self.accept(advert, now);
        } else {
            self.listening.lower = Some((advert.from, advert.priority));
            out.push(Action::Trouble {
                from: advert.from,
                trouble: Trouble::Lower {
                    priority: advert.priority,
                    ours: self.priority(),
                },
            });
        }
    }

    /// Follows who sent it: waits from now on for the next one.
    pub(super) fn accept(&mut self, advert: &Advertisement, now: Time) {
        if self.config.version == Version::V3 && !advert.interval.is_zero() {
            self.interval = advert.interval;
        }
        self.listening.heard = Some(Heard {
            from: advert.from,
            priority: advert.priority,
            at: now,
        });
        self.listening.released = None;
        self.listening.lower = None;
        self.wish = false;
        self.deadline = Some(now + self.master_down());
        if let Preempt::After(delay) = self.config.preempt {
            match advert.priority >= self.priority() {
                true => self.preempt_at = None,
                false => {
                    self.preempt_at.get_or_insert(now + delay);
                }
            }
        }
    }

    /// Whether its timer ran out so long ago that nobody can have looked at what came, or it could not come.
    pub(super) fn has_not_listened(&self, now: Time) -> bool {
        let due = self.deadline.unwrap_or(now);
        now.saturating_sub(due) > self.master_down()
    }

    /// Why its timer has run out.
    pub(super) fn why_to_lead(&self, now: Time) -> Why {
        let heard = &self.listening;
        let since = |start: Time| -> Duration { now.saturating_sub(start) };
        match (heard.released, heard.lower, &heard.heard) {
            (Some(master), ..) => Why::Released { master },
            (None, Some((master, priority)), _) => Why::Preempted {
                master,
                priority,
                ours: self.priority(),
            },
            (None, None, Some(last)) => Why::Silence {
                master: last.from,
                priority: last.priority,
                waited: since(last.at),
            },
            (None, None, None) => Why::Alone {
                waited: since(heard.since),
            },
        }
    }

    fn accepts(&self, priority: u8, now: Time) -> bool {
        priority >= self.priority()
            || match self.config.preempt {
                Preempt::Always => false,
                Preempt::After(_) => self.preempt_at.is_none_or(|at| now < at),
                Preempt::Never => true,
            }
    }
}
