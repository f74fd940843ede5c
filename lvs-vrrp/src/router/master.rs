//! A master: it advertises, and gives way to who is better.

use std::cmp::Ordering;
use std::time::Duration;

use super::{Action, Router};
use crate::Time;
use crate::config::RouterConfig;
use crate::event::{State, Trouble, Why};
use crate::packet::Advertisement;

/// Two owners of the same addresses, which is a mistake in somebody's configuration. The one with the lower address gives way. If it does
/// not (it may be deaf to others), the one with the higher address does, so that there are not two masters for good.
#[derive(Clone, Debug)]
pub(super) struct Dispute {
    /// How often we have advertised since.
    said: u32,
    /// When we give way to a rival that still advertises; known when we have said enough.
    until: Option<Time>,
    /// When the rival was heard last, and how long it may be silent.
    heard: Time,
    patience: Duration,
}

impl Dispute {
    /// So often a rival is told that we are master.
    const ENOUGH: u32 = 2;
    /// A rival that has been silent for so many intervals has gone.
    const GONE: u32 = 3;
}

impl Router {
    /// Becomes master. The others are told first: it is they who must not take over too.
    pub(super) fn lead(&mut self, why: Why, now: Time, out: &mut Vec<Action>) {
        self.lowered = false;
        self.wish = false;
        self.preempt_at = None;
        self.dispute = None;
        self.interval = self.config.interval;
        self.advertise(now, out);
        self.enter(State::Master, why, now, out);
    }

    pub(super) fn heard_as_master(
        &mut self,
        advert: &Advertisement,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        if advert.priority == RouterConfig::RELEASE {
            // Backups have heard that too, and should not think that nobody is left.
            self.advertise(now, out);
            return;
        }
        let owners =
            self.priority() == RouterConfig::OWNER && advert.priority == RouterConfig::OWNER;
        match self.rank_of(advert) {
            Ordering::Less => {
                if owners && self.gives_way_after(advert, now, out) {
                    self.lowered = true;
                    self.give_way(advert, now, out);
                    return;
                }
                if !self.config.rivals.silent || owners {
                    self.advertise(now, out);
                }
                out.push(Action::Rival {
                    from: advert.from,
                    priority: advert.priority,
                });
            }
            Ordering::Equal => out.push(Action::Trouble {
                from: advert.from,
                trouble: Trouble::OurAddress {
                    priority: advert.priority,
                },
            }),
            Ordering::Greater => {
                if owners {
                    out.push(two_owners(advert));
                }
                self.give_way(advert, now, out);
            }
        }
    }

    /// The next advertisement is due, unless it is so late that another may have taken over.
    pub(super) fn advertise_in_time(&mut self, now: Time, out: &mut Vec<Action>) {
        let due = self.deadline.unwrap_or(now);
        let late = now.saturating_sub(due);
        if self.may_be_replaced_after(late) {
            self.listen(Why::Late { by: late }, now, out);
            return;
        }
        self.advertise(now, out);
        // The rhythm is kept: what was late by a little does not make all that follows late.
        let next = due + self.config.interval;
        if next > now {
            self.deadline = Some(next);
        }
    }

    fn advertise(&mut self, now: Time, out: &mut Vec<Action>) {
        let priority = self.priority();
        out.push(Action::Advertise { priority });
        self.deadline = Some(now + self.config.interval);
        if let Some(dispute) = &mut self.dispute {
            dispute.said += 1;
            if dispute.said >= Dispute::ENOUGH && dispute.until.is_none() {
                dispute.until = Some(now + dispute.patience.mul_f64(1.2));
            }
        }
    }

    fn give_way(&mut self, advert: &Advertisement, now: Time, out: &mut Vec<Action>) {
        if self.config.rivals.last_word {
            self.advertise(now, out);
        }
        let why = Why::Outranked {
            by: advert.from,
            priority: advert.priority,
            ours: self.priority(),
        };
        self.listen(why, now, out);
        self.accept(advert, now);
    }

    /// Whether the backup of the priority that `late` names would have taken over when our advertisement is late by so much.
    fn may_be_replaced_after(&self, late: Duration) -> bool {
        let config = &self.config;
        config.late.is_some_and(|priority| {
            let down =
                super::master_down(config.version, priority, config.interval, config.missing);
            late + config.interval >= down
        })
    }

    /// Whether another owner, with a lower address, has been told often enough that it should give way.
    fn gives_way_after(
        &mut self,
        advert: &Advertisement,
        now: Time,
        out: &mut Vec<Action>,
    ) -> bool {
        let patience = self.config.interval.max(advert.interval);
        let gone = |dispute: &Dispute| {
            now.saturating_sub(dispute.heard) > dispute.patience * Dispute::GONE
        };
        match &mut self.dispute {
            Some(dispute) if !gone(dispute) => {
                dispute.heard = now;
                dispute.patience = patience;
                dispute.until.is_some_and(|until| now >= until)
            }
            _ => {
                out.push(two_owners(advert));
                self.dispute = Some(Dispute {
                    said: 0,
                    until: None,
                    heard: now,
                    patience,
                });
                false
            }
        }
    }
}

fn two_owners(advert: &Advertisement) -> Action {
    Action::Trouble {
        from: advert.from,
        trouble: Trouble::TwoOwners,
    }
}
