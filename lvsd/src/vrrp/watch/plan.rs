//! What of a configuration is to be watched.

use std::collections::HashSet;

use crate::keepalived::model::{Global, TrackFile, TrackProcess, TrackScript, Tracked, Vrrp};

/// What is to be watched.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) scripts: Vec<TrackScript>,
    pub(super) files: Vec<TrackFile>,
    pub(super) processes: Vec<TrackProcess>,
    /// Files that something is to be written into at the start, tracked or not: checks may read them.
    pub(super) initial: Vec<TrackFile>,
    /// How scripts are run.
    pub(super) global: Global,
}

impl Plan {
    /// Only what an instance or a group tracks is watched, as with keepalived.
    pub(super) fn of(vrrp: &Vrrp, global: &Global) -> Self {
        let instances = vrrp.instances.iter().map(|i| &i.tracking);
        let groups = vrrp.groups.iter().map(|g| &g.tracking);
        let (mut scripts, mut files, mut processes) =
            (HashSet::new(), HashSet::new(), HashSet::new());
        for tracking in instances.chain(groups) {
            scripts.extend(names(&tracking.scripts));
            files.extend(names(&tracking.files));
            processes.extend(names(&tracking.processes));
        }
        let is = |names: &HashSet<&str>, name: &str| names.contains(name);
        Self {
            scripts: only(&vrrp.scripts, |s| is(&scripts, &s.name.value)),
            files: only(&vrrp.files, |f| is(&files, &f.name.value)),
            processes: only(&vrrp.processes, |p| is(&processes, &p.name.value)),
            initial: only(&vrrp.files, |f| f.init.is_some()),
            global: global.clone(),
        }
    }
}

fn names(tracked: &[Tracked]) -> impl Iterator<Item = &str> {
    tracked.iter().map(|t| t.name.value.as_str())
}

fn only<T: Clone>(all: &[T], wanted: impl Fn(&T) -> bool) -> Vec<T> {
    all.iter().filter(|one| wanted(one)).cloned().collect()
}
