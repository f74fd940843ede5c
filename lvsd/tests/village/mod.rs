//! A control socket with a director behind it that no packet reaches but those of one client.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::{env, process};

use lvs_core::{Director, Endpoint, Protocol, Segment, Settings, TcpFlags, Time, Worker};
use lvsd::control::client::Client;
use lvsd::control::desk::{Change, Plane, Stop};
use lvsd::control::server::{Options, Server};
use lvsd::rules::MarkRule;

/// A socket that is answered at, until this is dropped.
#[derive(Debug)]
pub(crate) struct Village {
    path: PathBuf,
    _server: Server,
}

impl Village {
    /// With what these commands make, a line each.
    pub(crate) fn of(lines: &str) -> Self {
        let village = Self::new();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let commands = lines.lines().map(words).collect();
        let applied = Client::connect(&village.path)
            .unwrap()
            .apply(commands, false);
        assert_eq!(applied.unwrap(), Ok(()), "{lines}");
        village
    }

    /// Without services.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("lvsd-village-{}-{number}.sock", process::id());
        let path = env::temp_dir().join(name);
        let director = Director::new(&Settings::default());
        let plane = Arc::new(Green {
            worker: Mutex::new(director.worker().unwrap()),
            director,
            marks: Mutex::default(),
        });
        let _server = Server::start(Options::new(path.clone()), plane).unwrap();
        Self { path, _server }
    }

    /// Where the socket is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A director whose time stands still.
#[derive(Debug)]
struct Green {
    director: Arc<Director>,
    worker: Mutex<Worker>,
    marks: Mutex<Vec<MarkRule>>,
}

impl Plane for Green {
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
        drop(marks);
        self.visit();
        Ok(())
    }
}

impl Green {
    /// The client opens a connection to each TCP service, unless there is one already.
    fn visit(&self) {
        let client: Endpoint = "203.0.113.5:50000".parse().unwrap();
        let config = self.director.config();
        let addresses = config.services().into_iter().filter_map(|s| s.key().addr());
        let opening = addresses.map(|vip| Segment {
            len: 60,
            flags: TcpFlags::SYN,
            ..Segment::new(Protocol::TCP, client, vip)
        });
        if self.director.connection_count() == 0 {
            let mut worker = self.worker.lock().unwrap();
            worker.decide(self.now(), &opening.collect::<Vec<_>>(), &mut Vec::new());
        }
    }
}
