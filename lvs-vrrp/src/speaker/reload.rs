//! A new configuration for a speaker that speaks.
//!
//! A virtual router is the same as before if it has the same name, and goes on: its state, timers and counters stay. Another one it is
//! with another number, family, version or way of sending: the old one then steps down, and a new one begins. The same
//! configuration once more does nothing.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use super::Speaker;
use crate::Time;
use crate::config::{Config, RouterConfig, Transport};
use crate::event::{Output, RouterId, State, Why};
use crate::group::Group;

impl Speaker {
    /// From now on this configuration counts. Virtual routers that are gone, or begin anew, step down; what is sent for them is
    /// still sent as before. Those that begin have new numbers ([`Self::id`]) and wait to be told their source.
    pub fn reload(&mut self, config: Config, now: Time, out: &mut Vec<Output>) {
        if config == self.config {
            return;
        }
        self.config = config;
        let wanted: HashMap<String, Arc<RouterConfig>> = self
            .config
            .routers
            .iter()
            .map(|config| (config.name.clone(), Arc::clone(config)))
            .collect();
        let mut stays = HashSet::new();
        for id in self.ids() {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            match wanted.get(&member.config.name) {
                Some(config) if is_same_router(&member.config, config) => {
                    stays.insert(config.name.clone());
                    if member.config != *config {
                        member.set_config(Arc::clone(config), now);
                    }
                }
                Some(_) => self.remove(id, Why::Reloaded, now, out),
                None => self.remove(id, Why::Deleted, now, out),
            }
        }
        let new = self.config.routers.clone().into_iter();
        let new = new.filter(|config| !stays.contains(&config.name));
        let new: Vec<RouterId> = new.map(|config| self.insert(config)).collect();
        self.arrange_groups();
        self.assess_all(now, out);
        if self.started {
            for id in new {
                self.act(id, now, out, |router, out| router.start(now, now, out));
            }
        }
        for group in 0..self.groups.len() {
            self.end_discord(group, now, out);
        }
        self.settle_all(out);
    }

    /// Makes the groups of the configuration. One that was there keeps its state.
    pub(super) fn arrange_groups(&mut self) {
        let old = mem::take(&mut self.groups);
        let mut places = HashMap::new();
        for (place, config) in self.config.groups.iter().enumerate() {
            let known = old.iter().find(|group| group.name == config.name);
            let group = known.cloned().unwrap_or_else(|| Group::new(&config.name));
            self.groups.push(group);
            places.extend(config.members.iter().map(|name| (name.clone(), place)));
        }
        for member in self.members.values_mut() {
            member.group = places.get(&member.config.name).copied();
        }
    }

    pub(super) fn assess_all(&mut self, now: Time, out: &mut Vec<Output>) {
        for member in self.members.values_mut() {
            member.assess(&self.objects, None, out);
        }
        for group in 0..self.groups.len() {
            self.look_at_health_of_group(group, now, out);
        }
        for id in self.ids() {
            if self.group_of(id).is_none() {
                self.look_at_health(id, now, out);
            }
        }
    }

    fn remove(&mut self, id: RouterId, why: Why, now: Time, out: &mut Vec<Output>) {
        self.act_alone(id, now, out, |router, out| router.stop(why, now, out));
        self.members.remove(&id);
    }

    /// Masters whose new group is not master become backup.
    fn end_discord(&mut self, place: usize, now: Time, out: &mut Vec<Output>) {
        let members = self.members_of(place);
        let state = |id: &RouterId| self.members.get(id).map(|m| m.router.state());
        let all_lead = members.iter().all(|id| state(id) == Some(State::Master));
        let Some(group) = self.groups.get(place) else {
            return;
        };
        if all_lead || group.state == State::Master {
            return;
        }
        let why = Why::Group {
            group: group.name.clone(),
            member: None,
        };
        for id in members {
            let why = why.clone();
            let to = State::Backup;
            self.act_alone(id, now, out, |router, out| router.follow(to, why, now, out));
        }
    }
}

fn is_same_router(old: &RouterConfig, new: &RouterConfig) -> bool {
    let way = match (&old.transport, &new.transport) {
        (Transport::Multicast { group: old }, Transport::Multicast { group: new }) => old == new,
        (Transport::Unicast { .. }, Transport::Unicast { .. }) => true,
        _ => false,
    };
    way && (old.vrid, old.family, old.version) == (new.vrid, new.family, new.version)
}
