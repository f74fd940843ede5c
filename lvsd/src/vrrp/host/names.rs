//! Names of tables, protocols, realms and groups, as iproute2 knows them.
//!
//! Problem: the kernel knows numbers only, and what they are called stands in files that differ from system to system.
//!
//! Rule: the administrator's files (`/etc/iproute2`) come before those of packages, a file before the pieces in its `.d`
//! folder, and the first line that has a name counts. A few names exist even without files.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::keepalived::model::Named;

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Tables of routes.
    Table,
    /// Who makes routes.
    Protocol,
    /// Realms, which classify traffic.
    Realm,
    /// Groups of interfaces.
    Group,
    /// Types of service.
    Tos,
    /// Protocols above IP.
    IpProtocol,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Table,
        Self::Protocol,
        Self::Realm,
        Self::Group,
        Self::Tos,
        Self::IpProtocol,
    ];

    /// Its file in iproute2's folders.
    const fn file(self) -> Option<&'static str> {
        match self {
            Self::Table => Some("rt_tables"),
            Self::Protocol => Some("rt_protos"),
            Self::Realm => Some("rt_realms"),
            Self::Group => Some("group"),
            Self::Tos => Some("rt_dsfield"),
            Self::IpProtocol => None,
        }
    }

    /// Names that there are without files.
    const fn known(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::Table => &[("default", 253), ("main", 254), ("local", 255)],
            Self::Protocol => &[
                ("redirect", 1),
                ("kernel", 2),
                ("boot", 3),
                ("static", 4),
                ("gated", 8),
                ("ra", 9),
                ("mrt", 10),
                ("zebra", 11),
                ("bird", 12),
                ("dnrouted", 13),
                ("xorp", 14),
                ("ntk", 15),
                ("dhcp", 16),
                ("keepalived", 18),
                ("babel", 42),
                ("bgp", 186),
                ("isis", 187),
                ("ospf", 188),
                ("rip", 189),
                ("eigrp", 192),
            ],
            Self::Realm => &[("unknown", 0)],
            Self::Group => &[("default", 0)],
            Self::Tos => &[("default", 0)],
            Self::IpProtocol => &[
                ("icmp", 1),
                ("igmp", 2),
                ("tcp", 6),
                ("udp", 17),
                ("dccp", 33),
                ("gre", 47),
                ("esp", 50),
                ("ah", 51),
                ("ipv6-icmp", 58),
                ("icmpv6", 58),
                ("vrrp", 112),
                ("sctp", 132),
                ("udplite", 136),
            ],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Protocol => "routing protocol",
            Self::Realm => "realm",
            Self::Group => "group of interfaces",
            Self::Tos => "type of service",
            Self::IpProtocol => "protocol",
        })
    }
}

/// A name that stands in no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownName {
    /// What it should be the name of.
    pub(crate) kind: Kind,
    /// The name.
    pub(crate) name: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name } = self;
        match kind.file() {
            Some(file) => write!(
                f,
                "no {kind} is called {name:?} (in /etc/iproute2/{file} and the like)"
            ),
            None => write!(f, "no {kind} is called {name:?} (in /etc/protocols)"),
        }
    }
}

impl std::error::Error for UnknownName {}

/// The names of one system, as they were when it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(HashMap<(Kind, String), u32>);

impl Names {
    /// Where iproute2's files are, the weightiest first.
    const FOLDERS: [&str; 3] = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"];
    const PROTOCOLS: &str = "/etc/protocols";

    /// Reads this system's files; those that cannot be read have no names.
    pub(crate) fn read() -> Self {
        Self::read_from(&Self::FOLDERS.map(Path::new), Path::new(Self::PROTOCOLS))
    }

    fn read_from(folders: &[&Path], protocols: &Path) -> Self {
        let mut names = Self::default();
        for kind in Kind::ALL {
            if let Some(file) = kind.file() {
                for path in folders.iter().flat_map(|folder| files(folder, file)) {
                    names.learn(kind, &text(&path), Order::NumberFirst);
                }
            } else {
                names.learn(kind, &text(protocols), Order::NameFirst);
            }
            for &(name, number) in kind.known() {
                names.enter(kind, name, number);
            }
        }
        names
    }

    /// The number that was meant.
    ///
    /// # Errors
    ///
    /// A name that there is not.
    pub(crate) fn number(&self, kind: Kind, named: &Named) -> Result<u32, UnknownName> {
        let name = match named {
            Named::Number(number) => return Ok(*number),
            Named::Name(name) => name.clone(),
        };
        let known = self.0.get(&(kind, name.clone())).copied();
        known.ok_or(UnknownName { kind, name })
    }

    fn learn(&mut self, kind: Kind, text: &str, order: Order) {
        for line in text.lines() {
            let said = line.split('#').next().unwrap_or_default();
            let mut words = said.split_whitespace();
            let (Some(first), Some(second)) = (words.next(), words.next()) else {
                continue;
            };
            match order {
                Order::NumberFirst => {
                    if let Named::Number(number) = Named::parse(first) {
                        self.enter(kind, second, number);
                    }
                }
                Order::NameFirst => {
                    if let Named::Number(number) = Named::parse(second) {
                        let aliases = words;
                        for name in std::iter::once(first).chain(aliases) {
                            self.enter(kind, name, number);
                        }
                    }
                }
            }
        }
    }

    fn enter(&mut self, kind: Kind, name: &str, number: u32) {
        self.0.entry((kind, name.to_owned())).or_insert(number);
    }
}

/// What stands first in a line.
#[derive(Clone, Copy)]
enum Order {
    /// iproute2's files.
    NumberFirst,
    /// `/etc/protocols`; aliases follow.
    NameFirst,
}

/// A file and the pieces in its `.d` folder, these by name.
fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut files = vec![folder.join(name)];
    if let Ok(pieces) = std::fs::read_dir(folder.join(format!("{name}.d"))) {
        let mut pieces: Vec<PathBuf> = pieces
            .filter_map(|piece| Some(piece.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "conf"))
            .collect();
        pieces.sort();
        files.append(&mut pieces);
    }
    files
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Named {
        Named::parse(name)
    }

    #[test]
    fn the_first_file_that_has_a_name_counts() {
        let folder = std::env::temp_dir().join(format!("lvsd-names-{}", std::process::id()));
        let [etc, share] = ["etc", "share"].map(|f| folder.join(f));
        for (path, text) in [
            (
                etc.join("rt_tables"),
                "# own\n100 uplink # one\n 0x65 hex\n\nbad line\n7\n",
            ),
            (etc.join("rt_tables.d/b.conf"), "102 piece\n103 later\n"),
            (etc.join("rt_tables.d/a.conf"), "104 later\n"),
            (etc.join("rt_tables.d/README"), "105 nobody\n"),
            (share.join("rt_tables"), "200 uplink\n201 package\n1 main\n"),
            (share.join("group"), "5 uplink\n"),
            (folder.join("protocols"), "ospf 89 OSPFIGP # the protocol\n"),
        ] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let names = Names::read_from(&[&etc, &share], &folder.join("protocols"));
        std::fs::remove_dir_all(&folder).unwrap();
        let number = |kind, name| names.number(kind, &named(name)).ok();
        for (name, expected) in [
            ("uplink", Some(100)),
            ("hex", Some(0x65)),
            ("piece", Some(102)),
            ("later", Some(104)),
            ("package", Some(201)),
            ("local", Some(255)),
            ("main", Some(1)),
            ("nobody", None),
            ("12", Some(12)),
            ("0x1f", Some(31)),
        ] {
            assert_eq!(number(Kind::Table, name), expected, "{name}");
        }
        assert_eq!(number(Kind::Group, "uplink"), Some(5));
        assert_eq!(number(Kind::Realm, "uplink"), None);
        assert_eq!(number(Kind::IpProtocol, "OSPFIGP"), Some(89));
        assert_eq!(number(Kind::IpProtocol, "tcp"), Some(6));
        assert_eq!(number(Kind::Protocol, "keepalived"), Some(18));
    }

    #[test]
    fn an_unknown_name_says_where_it_was_looked_for() {
        let unknown = |kind| {
            let e = Names::default().number(kind, &named("red")).unwrap_err();
            e.to_string()
        };
        assert_eq!(
            unknown(Kind::Table),
            "no table is called \"red\" (in /etc/iproute2/rt_tables and the like)"
        );
        assert_eq!(
            unknown(Kind::IpProtocol),
            "no protocol is called \"red\" (in /etc/protocols)"
        );
    }
}
