//! For tests: a plane that is a director and nothing else, and a daemon's socket in front of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use lvs_core::{Director, Settings, Time};

use super::client::Client;
use super::desk::{Change, Plane, Stop};
use super::server::{Options, Server};
use crate::rules::MarkRule;

/// A director whose time stands still, and rules for marks that nobody follows.
#[derive(Debug)]
pub(crate) struct Bare {
    pub(crate) director: Arc<Director>,
    marks: Mutex<Vec<MarkRule>>,
}

impl Bare {
    /// Without services.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            director: Director::new(&Settings::default()),
            marks: Mutex::default(),
        })
    }
}

impl Plane for Bare {
    fn director(&self) -> &Director {
        &self.director
    }

    fn now(&self) -> Time {
        Time::default()
    }

    fn marks(&self) -> Vec<MarkRule> {
        self.marks.lock().unwrap().clone()
    }

    fn change(&self, change: Change<'_>) -> Result<(), Stop> {
        let mut marks = self.marks.lock().unwrap();
        let mut changed = marks.clone();
        self.director.edit(|draft| change(draft, &mut changed))?;
        *marks = changed;
        Ok(())
    }
}

/// A socket that a plane answers at, until this is dropped.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) plane: Arc<Bare>,
    path: PathBuf,
    _server: Server,
}

impl Desk {
    /// In front of a director without services.
    pub(crate) fn open() -> Self {
        Self::of(Bare::new())
    }

    /// In front of this plane.
    pub(crate) fn of(plane: Arc<Bare>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("lvsd-test-{}-{number}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let server = Server::start(Options::new(path.clone()), plane.clone()).unwrap();
        Self {
            plane,
            path,
            _server: server,
        }
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.path).unwrap()
    }

    /// Carries out commands, a line each, all of which must be right.
    pub(crate) fn apply(&self, lines: &str) {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let commands = lines.lines().map(words).collect();
        let applied = self.client().apply(commands, false).unwrap();
        assert_eq!(applied, Ok(()), "{lines}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_told() {
        let desk = Desk::open();
        desk.apply("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 3");
        let table = desk.client().table().unwrap();
        assert_eq!(table.services.len(), 1);
        assert_eq!(table.services[0].servers[0].weight, 3);
        assert_eq!(desk.plane.director.config().services().len(), 1);
        let path = desk.path().to_owned();
        drop(desk);
        assert!(!path.exists());
    }
}
