//! Real scripts, files and processes, in folders and with names of their own.

mod files;
mod processes;
mod scripts;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::board::Detail;
use super::*;
use crate::keepalived::host::FakeHost;
use crate::keepalived::model::Config;
use crate::keepalived::{Options, load};

const FILE: &str = "/etc/keepalived/keepalived.conf";

/// What all tests have logged.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn log(line: &str) {
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    logged.push(line.to_owned());
}

/// Lines with this in them.
fn logged(what: &str) -> Vec<String> {
    let logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let found = logged.iter().filter(|l| l.contains(what));
    found.cloned().collect()
}

/// Waits until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        let late = begin.elapsed() > Duration::from_secs(60);
        assert!(!late, "{what}; {:#?}", logged(""));
        thread::sleep(Duration::from_millis(1));
    }
}

/// What was reported, in order.
type Reports = Arc<Mutex<Vec<(Object, ObjectState)>>>;

/// A folder, and a thread that watches. Names are as unique as the folder's number, since tests share the log.
struct Scene {
    folder: PathBuf,
    number: u32,
    reports: Reports,
    watch: Option<Watch>,
}

impl Scene {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("lvsd-watch-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self {
            folder,
            number,
            reports: Reports::default(),
            watch: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(self.filled(name))
    }

    /// Text with this folder for `DIR` and its number for `N`.
    fn filled(&self, text: &str) -> String {
        let number = self.number.to_string();
        text.replace("DIR", self.folder.to_str().unwrap())
            .replace("_N", &number)
    }

    /// An executable file in the folder.
    fn script(&self, name: &str, body: &str) {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{}\n", self.filled(body))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// These blocks, and an instance that tracks this.
    fn config(&self, blocks: &str, tracks: &str) -> Config {
        let text = self.filled(&format!(
            "{blocks}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n 192.0.2.51/24\n }}\n{tracks}\n}}\n"
        ));
        let host = FakeHost::default().with_file(FILE, &text);
        let loaded = load(Path::new(FILE), &Options::default(), &host);
        assert_eq!(loaded.config.vrrp.instances.len(), 1, "{text}");
        loaded.config
    }

    /// Watches what an instance tracks, or does from now on.
    fn watch(&mut self, blocks: &str, tracks: &str) {
        let config = self.config(blocks, tracks);
        if let Some(watch) = &self.watch {
            return watch.reload(&config.vrrp, &config.global);
        }
        let reports = self.reports.clone();
        let report = move |object, state| reports.lock().unwrap().push((object, state));
        let watch = Watch::start(&config.vrrp, &config.global, Box::new(report), log);
        self.watch = Some(watch.unwrap());
    }

    /// All reports so far about an object of this name.
    fn reports(&self, name: &str) -> Vec<ObjectState> {
        let name = self.filled(name);
        let reports = self.reports.lock().unwrap();
        let own = reports.iter().filter(|(object, _)| match object {
            Object::Script(n) | Object::File(n) | Object::Process(n) => *n == name,
            _ => false,
        });
        own.map(|(_, state)| *state).collect()
    }

    /// Waits until these are the reports about an object.
    fn until(&self, name: &str, states: &[ObjectState]) {
        let what = format!("{name}: {states:?}");
        until(&what, || {
            let reports = self.reports(name);
            assert!(
                states.starts_with(&reports),
                "{what}, not {reports:?}; {:#?}",
                logged("")
            );
            reports == states
        });
    }

    fn logged(&self, what: &str) -> Vec<String> {
        logged(&self.filled(what))
    }

    fn status(&self) -> HashMap<Object, Watched> {
        let list = self.watch.as_ref().unwrap().status();
        list.into_iter().map(|w| (w.object.clone(), w)).collect()
    }

    /// How often a script has been started, and left out.
    fn runs(&self, name: &str) -> (u64, u64) {
        let object = Object::Script(self.filled(name));
        match self.status().get(&object).map(|w| &w.detail) {
            Some(Detail::Script { runs, skipped, .. }) => (*runs, *skipped),
            _ => (0, 0), // it has not begun to be watched
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.watch = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}
