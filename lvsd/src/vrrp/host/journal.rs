//! What has been added to the host is written down, so that nothing of it outlives us.
//!
//! Problem: who is killed gives nothing back. A virtual address that stays on a dead master is an address that two hosts have.
//!
//! Rule: what is to be added is noted before it is, and forgotten once it is gone. Notes are lines at the end of a file; the next
//! start reads it and removes what a predecessor has left. The file's name says the network namespace, and its first line the boot,
//! so that nothing is removed that others have added. A file that cannot be written is complained of once, and never keeps
//! anything from being done.

mod file;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lvs_vrrp::io::netlink::Request;
use serde::{Deserialize, Serialize};

use self::file::File;

/// Where the files are.
pub(crate) const DIRECTORY: &str = "/run/lvsd";

/// Something that has been added to the host, or changed there, with all that is needed to undo that.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Item {
    /// An address.
    Address {
        /// The interface: its name,
        interface: String,
        /// and its number. Both must be the same for it to be the same interface.
        ifindex: u32,
        /// The address,
        ip: IpAddr,
        /// the length of its network's prefix,
        len: u8,
        /// and the other end's.
        peer: Option<IpAddr>,
    },
    /// Something that one message of rtnetlink removes: a route or a rule.
    Removable {
        /// What it is, in the words of the configuration.
        what: String,
        /// The message.
        #[serde(with = "hex")]
        removal: Request,
    },
    /// A macvlan or ipvlan.
    Interface {
        /// Its name.
        name: String,
        /// Its MAC address, if it was given one.
        mac: Option<[u8; 6]>,
    },
    /// A sysctl.
    Sysctl {
        /// Its path below `/proc/sys`.
        path: String,
        /// What it was,
        was: String,
        /// and what it has been set to. Another value is somebody else's, and stays.
        set: String,
    },
}

/// The notes. Clones write in the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Mutex<Notes>>);

/// Somebody who is told of troubles.
type Complain = Box<dyn FnMut(String) + Send>;

struct Notes {
    /// In the order that they were made in.
    items: BTreeMap<u64, Item>,
    numbers: HashMap<Item, u64>,
    last: u64,
    /// `None`: nothing is written.
    file: Option<File>,
    complain: Complain,
    complained: bool,
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notes")
            .field("items", &self.items)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// A line of the file: an item that is noted, or a number that is forgotten.
#[derive(Serialize, Deserialize)]
struct Line {
    number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
}

impl Journal {
    /// The journal of the calling thread's network namespace, in this folder ([`DIRECTORY`]). What a predecessor has left is in it
    /// ([`Self::left`]).
    ///
    /// It never fails: without a file, which is complained of, notes are kept in memory. So it is if another process writes that
    /// file now: what it has added is in use.
    pub(crate) fn open(folder: &Path, complain: impl FnMut(String) + Send + 'static) -> Self {
        let mut notes = Notes {
            items: BTreeMap::new(),
            numbers: HashMap::new(),
            last: 0,
            file: None,
            complain: Box::new(complain),
            complained: false,
        };
        match File::open(folder) {
            Ok((file, lines)) => {
                lines.iter().for_each(|line| notes.read(line));
                notes.file = Some(file);
                notes.rewrite();
            }
            Err(e) => notes.complain(&e.to_string()),
        }
        Self(Arc::new(Mutex::new(notes)))
    }

    /// Notes what is about to be added.
    pub(crate) fn note(&self, items: impl IntoIterator<Item = Item>) {
        let mut notes = self.lock();
        let mut lines = String::new();
        for item in items {
            if notes.numbers.contains_key(&item) {
                continue;
            }
            let number = notes.add(item.clone());
            let item = Some(item);
            lines += &Line { number, item }.text();
        }
        notes.write(&lines);
    }

    /// Forgets what is gone.
    pub(crate) fn forget<'a>(&self, items: impl IntoIterator<Item = &'a Item>) {
        let mut notes = self.lock();
        let mut lines = String::new();
        for item in items {
            if let Some(number) = notes.numbers.remove(item) {
                notes.items.remove(&number);
                let item = None;
                lines += &Line { number, item }.text();
            }
        }
        notes.write(&lines);
    }

    /// Forgets all that is gone.
    pub(crate) fn forget_where(&self, gone: impl Fn(&Item) -> bool) {
        let mut left = self.left();
        left.retain(gone);
        self.forget(&left);
    }

    /// All that is noted, in the order that it was noted in.
    pub(crate) fn left(&self) -> Vec<Item> {
        self.lock().items.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn add(&mut self, item: Item) -> u64 {
        self.last += 1;
        self.items.insert(self.last, item.clone());
        self.numbers.insert(item, self.last);
        self.last
    }

    /// Takes in a line of a predecessor's. One that is not understood (the last, cut short) says nothing.
    fn read(&mut self, line: &str) {
        let Ok(Line { number, item }) = serde_json::from_str(line) else {
            return;
        };
        self.last = self.last.max(number);
        match item {
            Some(item) => {
                self.numbers.insert(item.clone(), number);
                self.items.insert(number, item);
            }
            None => {
                let gone = self.items.remove(&number);
                gone.and_then(|item| self.numbers.remove(&item));
            }
        }
    }

    /// Adds lines to the file, or writes it anew: if the last attempt failed, and if much of it has been forgotten.
    fn write(&mut self, lines: &str) {
        let Some(file) = &mut self.file else { return };
        if lines.is_empty() {
            return;
        }
        if file.is_whole() && !(self.items.is_empty() || file.is_longer_than(self.items.len())) {
            match file.append(lines) {
                Ok(()) => return,
                Err(e) => self.complain(&e.to_string()),
            }
        }
        self.rewrite();
    }

    fn rewrite(&mut self) {
        let Some(file) = &mut self.file else { return };
        let line = |(number, item): (&u64, &Item)| {
            let (number, item) = (*number, Some(item.clone()));
            Line { number, item }.text()
        };
        let all: String = self.items.iter().map(line).collect();
        match file.replace(&all) {
            Ok(()) if self.complained => {
                self.complained = false;
                (self.complain)("what is added to the host is noted again".to_owned());
            }
            Ok(()) => {}
            Err(e) => self.complain(&e.to_string()),
        }
    }

    /// Says it, unless it has been said since all went well.
    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            (self.complain)(format!(
                "what is added to the host cannot be noted, and would stay if lvsd were killed: {why}"
            ));
        }
    }
}

/// A clean end leaves no file.
impl Drop for Notes {
    fn drop(&mut self) {
        if self.items.is_empty()
            && let Some(file) = &mut self.file
        {
            file.remove();
        }
    }
}

impl Line {
    fn text(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// A message as hexadecimal digits.
mod hex {
    use lvs_vrrp::io::netlink::Request;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(request: &Request, s: S) -> Result<S::Ok, S::Error> {
        let digits = request.as_bytes().iter().map(|b| format!("{b:02x}"));
        s.serialize_str(&digits.collect::<String>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Request, D::Error> {
        let text = String::deserialize(d)?;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        let request = bytes.and_then(|bytes| Request::from_bytes(&bytes));
        request.ok_or_else(|| D::Error::custom("no message"))
    }
}
