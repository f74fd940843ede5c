//! Sync groups: virtual routers that are master together, or not at all.
//!
//! Problem: a director's inner and outer addresses must be on the same host, though each is elected by itself.
//!
//! Rule (keepalived's `vrrp_sync_group`): a member becomes master when all members would; then they all do. When one gives way, all
//! do; while one is in fault, all are. A group's state follows what its members are told to do.

use crate::event::State;

/// A group as it is.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) state: State,
}

/// What a group looks at in a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    pub(crate) state: State,
    /// It is master, or only its group keeps it from that.
    pub(crate) wants: bool,
}

impl Group {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Init,
        }
    }

    /// Whether a member whose timer has run out may become master, from what the others are.
    pub(crate) fn may_lead(&self, others: impl IntoIterator<Item = Stand>) -> bool {
        self.state == State::Master || others.into_iter().all(|other| other.wants)
    }

    /// Its state from its members', where they agree, and otherwise from what it was: a member that has just come into a group
    /// that is master does not change that.
    pub(crate) fn settled(&self, members: impl IntoIterator<Item = Stand>) -> State {
        let states: Vec<State> = members.into_iter().map(|m| m.state).collect();
        let all = |state| states.iter().all(|s| *s == state);
        let any = |state| states.contains(&state);
        if any(State::Fault) {
            State::Fault
        } else if all(State::Init) {
            State::Init
        } else if all(State::Master) || (any(State::Master) && self.state == State::Master) {
            State::Master
        } else if any(State::Init) && self.state == State::Init {
            State::Init
        } else {
            State::Backup
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Backup, Fault, Init, Master};

    fn in_state(state: State) -> Group {
        Group {
            state,
            ..Group::new("G")
        }
    }

    fn stands<const N: usize>(states: [State; N]) -> [Stand; N] {
        states.map(|state| Stand {
            state,
            wants: state == Master,
        })
    }

    #[test]
    fn a_group_is_what_its_members_are() {
        let rows = [
            // was, members, is
            (Init, [Init, Init], Init),
            (Init, [Init, Backup], Init),
            (Init, [Backup, Backup], Backup),
            (Init, [Master, Master], Master),
            (Init, [Fault, Init], Fault),
            (Init, [Master, Backup], Backup),
            (Backup, [Init, Backup], Backup),
            (Backup, [Master, Master], Master),
            (Backup, [Master, Backup], Backup),
            (Backup, [Fault, Fault], Fault),
            (Backup, [Init, Init], Init),
            (Master, [Master, Backup], Master),
            (Master, [Master, Init], Master),
            (Master, [Backup, Backup], Backup),
            (Master, [Fault, Master], Fault),
            (Fault, [Backup, Backup], Backup),
            (Fault, [Init, Init], Init),
        ];
        for (was, members, is) in rows {
            let settled = in_state(was).settled(stands(members));
            assert_eq!(settled, is, "{was} with {members:?}");
        }
    }

    #[test]
    fn one_alone_does_not_lead() {
        let wish = Stand {
            state: Backup,
            wants: true,
        };
        let content = Stand {
            wants: false,
            ..wish
        };
        assert!(in_state(Backup).may_lead([]));
        assert!(in_state(Backup).may_lead([wish, wish]));
        assert!(!in_state(Backup).may_lead([wish, content]));
        assert!(in_state(Master).may_lead([content]));
    }
}
