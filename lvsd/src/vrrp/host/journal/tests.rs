use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;

use lvs_vrrp::io::address::Address;
use proptest::prelude::*;

use super::*;

/// A folder that goes with its owner.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("lvsd-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    /// The one file in it.
    fn file(&self) -> PathBuf {
        let all: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// As after a crash of the process that writes: the file as it is now, at its place, with nobody's lock.
    fn crash(&self, journal: Journal) {
        let (path, text) = (self.file(), self.text());
        drop(journal);
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Folder) -> Journal {
    Journal::open(&folder.0, |why| panic!("{why}"))
}

fn address(last: u8) -> Item {
    Item::Address {
        interface: "eth\"0".into(),
        ifindex: 3,
        ip: [10, 0, 0, last].into(),
        len: 24,
        peer: None,
    }
}

fn one_of_each() -> Vec<Item> {
    vec![
        Item::Interface {
            name: "vrrp.51".into(),
            mac: Some([0, 0, 0x5e, 0, 1, 51]),
        },
        Item::Sysctl {
            path: "net/ipv4/conf/eth0/arp_ignore".into(),
            was: "0".into(),
            set: "1".into(),
        },
        address(1),
        Item::Address {
            interface: "a".into(),
            ifindex: 4,
            ip: "fd00::1".parse().unwrap(),
            len: 64,
            peer: Some("fd00::2".parse().unwrap()),
        },
        Item::Removable {
            what: "10.0.0.0/8 via x".into(),
            removal: Address::new(3, [10, 0, 0, 9].into(), 32).removal(),
        },
    ]
}

#[test]
fn what_is_noted_is_read_by_the_next() {
    let folder = Folder::new();
    let journal = open(&folder);
    assert_eq!(journal.left(), []);
    journal.note(one_of_each());
    journal.note([address(2), address(1)]);
    journal.forget([&address(2), &address(77)]);
    assert_eq!(journal.left(), one_of_each());
    folder.crash(journal);

    let journal = open(&folder);
    assert_eq!(journal.left(), one_of_each());
    // The numbers go on: nothing that was there is taken for something new.
    journal.note([address(3)]);
    journal.forget_where(|item| *item != address(3));
    folder.crash(journal);
    let journal = open(&folder);
    assert_eq!(journal.left(), [address(3)]);
    journal.forget([&address(3)]);
    drop(journal);
    assert_eq!(
        fs::read_dir(&folder.0).unwrap().count(),
        0,
        "a clean end leaves no file"
    );
}

#[test]
fn another_boots_and_other_files_say_nothing() {
    let folder = Folder::new();
    let journal = open(&folder);
    journal.note([address(1)]);
    let (path, text) = (folder.file(), folder.text());
    drop(journal);
    let (header, rest) = text.split_once('\n').unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let old = header.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
    assert_ne!(old, header);
    for other in [
        format!("{old}\n{rest}"),
        format!(
            "{}\n{rest}",
            header.replace("\"namespace\":", "\"namespace\":1")
        ),
        format!("{}\n{rest}", header.replace("\"cookie\":", "\"cookie\":1")),
        format!(
            "{}\n{rest}",
            header.replace("\"version\":1", "\"version\":2")
        ),
        rest.to_owned(),
        String::new(),
    ] {
        fs::write(&path, &other).unwrap();
        assert_eq!(open(&folder).left(), [], "{other}");
    }
    fs::write(&path, [0xff; 100]).unwrap();
    assert_eq!(open(&folder).left(), []);
}

#[test]
fn lines_cut_short_cost_only_themselves() {
    let folder = Folder::new();
    let journal = open(&folder);
    journal.note([address(1), address(2)]);
    let (path, text) = (folder.file(), folder.text());
    folder.crash(journal);
    let header = text.find('\n').unwrap() + 1;
    let first = header + text[header..].find('\n').unwrap() + 1;
    for cut in header..text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        let want = match cut {
            _ if cut + 1 == text.len() => 2,
            _ if cut + 1 >= first => 1,
            _ => 0,
        };
        let journal = open(&folder);
        assert_eq!(journal.left().len(), want, "{cut}: {}", &text[..cut]);
        // What is written then is not spoilt by the piece.
        journal.note([address(9)]);
        folder.crash(journal);
        let left = open(&folder).left();
        assert_eq!((left.len(), left.last()), (want + 1, Some(&address(9))));
    }
}

#[test]
fn one_process_at_a_time_has_it() {
    let folder = Folder::new();
    let first = open(&folder);
    first.note([address(1)]);
    let (said, heard) = mpsc::channel();
    let second = Journal::open(&folder.0, move |why| said.send(why).unwrap());
    let why = heard.try_recv().unwrap();
    assert!(why.contains("another lvsd"), "{why}");
    // It does not see, and does not spoil, what the first has noted.
    assert_eq!(second.left(), []);
    second.note([address(2)]);
    assert_eq!(second.left(), [address(2)]);
    drop(second);
    first.note([address(3)]);
    folder.crash(first);
    assert_eq!(open(&folder).left(), [address(1), address(3)]);
}

#[test]
fn a_file_that_cannot_be_written_is_complained_of_once() {
    let folder = Folder::new();
    let (said, heard) = mpsc::channel();
    let journal = Journal::open(&folder.0, move |why| said.send(why).unwrap());
    // The folder is gone: lines can still be added to the open file, but no file can be put in its place.
    fs::remove_dir_all(&folder.0).unwrap();
    journal.note([address(1)]);
    journal.forget([&address(1)]);
    journal.note([address(2), address(3)]);
    journal.forget([&address(2)]);
    journal.forget([&address(3)]);
    assert_eq!(journal.left(), []);
    journal.note([address(4)]);
    let why = heard.try_recv().unwrap();
    assert!(why.contains("cannot be noted"), "{why}");
    assert!(heard.try_recv().is_err(), "once");

    // When it can be written again, all is.
    fs::create_dir(&folder.0).unwrap();
    journal.forget([&address(4)]);
    journal.note([address(5)]);
    assert!(heard.try_recv().unwrap().contains("noted again"));
    folder.crash(journal);
    assert_eq!(open(&folder).left(), [address(5)]);
}

#[test]
fn a_full_disk_keeps_nothing_from_being_noted() {
    let (said, heard) = mpsc::channel();
    let journal = Journal::open(Path::new("/proc/nowhere"), move |why| {
        said.send(why).unwrap()
    });
    assert!(heard.try_recv().is_ok());
    journal.note([address(1)]);
    assert_eq!(journal.left(), [address(1)]);
    assert!(heard.try_recv().is_err());
}

#[test]
fn the_file_does_not_grow_without_end() {
    let folder = Folder::new();
    let journal = open(&folder);
    journal.note([address(1)]);
    for _ in 0..2000 {
        journal.note([address(2)]);
        journal.forget([&address(2)]);
    }
    let lines = folder.text().lines().count();
    assert!(lines < 1100, "{lines}");
    folder.crash(journal);
    assert_eq!(open(&folder).left(), [address(1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_is_what_was_noted_and_not_forgotten(steps in prop::collection::vec((any::<bool>(), 0..6u8, any::<bool>()), 0..60)) {
        let folder = Folder::new();
        let mut journal = open(&folder);
        let mut model: Vec<Item> = Vec::new();
        for (note, which, crash) in steps {
            let item = address(which);
            if note {
                journal.note([item.clone()]);
                if !model.contains(&item) {
                    model.push(item);
                }
            } else {
                journal.forget([&item]);
                model.retain(|i| *i != item);
            }
            if crash {
                folder.crash(journal);
                journal = open(&folder);
            }
            prop_assert_eq!(journal.left(), model.clone());
        }
    }
}
