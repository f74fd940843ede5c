//! Services in the language of keepalived, and what lvsd makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::command::{eventually, lvsd, text};
use crate::daemon::socket;
use crate::lan::{Family, Lan};
use crate::process::PATIENCE;

/// Checks that are made five times a second, and forgive one failure.
pub const QUICK: &str =
    "delay_loop 0.2\n connect_timeout 1\n retry 1\n delay_before_retry 0.1\n warmup 0\n";

/// A `virtual_server` by NAT and rr with [`QUICK`] checks; `head` is an address and port, a mark or a group, `lines` is what
/// it has besides its servers.
pub fn virtual_server(
    head: impl Display,
    protocol: &str,
    lines: &str,
    servers: &[String],
) -> String {
    let servers = servers.concat();
    let protocol = match protocol {
        "" => String::new(),
        known => format!("protocol {known}\n"),
    };
    format!(
        "virtual_server {head} {{\n {protocol} lb_algo rr\n lb_kind NAT\n {QUICK} {lines}\n{servers}}}\n"
    )
}

/// A `real_server`.
pub fn real_server(ip: IpAddr, port: u16, lines: impl Display) -> String {
    format!(" real_server {ip} {port} {{\n{lines}\n }}\n")
}

impl Lan {
    /// Runs `lvsd WORDS…` on the director, which asks the lvsd that runs there.
    ///
    /// # Panics
    /// If it fails.
    pub fn lvsd(&self, words: &[&str]) -> String {
        let variable = format!("LVSD_SOCKET={}", socket(self).display());
        let program = lvsd();
        let argv = [&["env", &variable, &program], words].concat();
        self.director.run(&argv)
    }

    /// What `lvsd status --json` says.
    pub fn status(&self) -> String {
        let (program, socket) = (lvsd(), socket(self));
        let socket = socket.to_str().expect("a path in UTF-8");
        let argv = [&*program, "status", "--json", "--socket", socket];
        // Its exit status says how things are.
        text(&self.director.output(&argv).stdout)
    }

    /// Waits until each check has found something, and nothing is just assumed any more.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn await_checked(&self) {
        let number = |status: &str, name: &str| -> Option<usize> {
            let (_, rest) = status.split_once(&format!("\"{name}\":"))?;
            rest.split(|c: char| !c.is_ascii_digit())
                .find(|n| !n.is_empty())?
                .parse()
                .ok()
        };
        let found = || {
            let status = self.status();
            let [total, found] = ["total", "found"].map(|name| number(&status, name));
            total.is_some() && total == found
        };
        assert!(eventually(PATIENCE, found), "{}", self.status());
    }

    /// The servers of a service, with their weights, as `lvsd adm -Ln` shows them; `service` is what its line begins with, such as
    /// "TCP  10.9.0.100:80 ". Servers are named by host and port, "r1:80", others by their address. `None`: there is no such
    /// service.
    pub fn listed(&self, service: &str) -> Option<BTreeMap<String, u32>> {
        let table = self.lvsd(&["adm", "-Ln"]);
        let mut lines = table.lines().skip_while(|line| !line.starts_with(service));
        lines.next()?;
        let servers = lines.map_while(|line| line.strip_prefix("  -> "));
        Some(servers.map(|line| self.listed_server(line)).collect())
    }

    fn listed_server(&self, line: &str) -> (String, u32) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [addr, _, weight, ..] = words[..] else {
            panic!("no server: {line}");
        };
        let (ip, port) = addr.rsplit_once(':').expect("an address and a port");
        let ip: IpAddr = ip.trim_matches(['[', ']']).parse().expect("an address");
        let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        let host = self
            .server_addresses(family)
            .iter()
            .position(|own| *own == ip);
        let name = match host {
            Some(host) => format!("{}:{port}", self.servers[host].title()),
            None => addr.to_owned(),
        };
        (name, weight.parse().expect("a weight"))
    }

    /// Waits until a service has just these servers, with these weights.
    ///
    /// # Panics
    /// If it does not get them.
    #[track_caller]
    pub fn await_listed(&self, service: &str, wanted: &[(&str, u32)]) {
        let named = wanted
            .iter()
            .map(|(name, weight)| ((*name).to_owned(), *weight));
        let named: BTreeMap<_, _> = named.collect();
        let mut last = None;
        let came = eventually(PATIENCE, || {
            last = self.listed(service);
            last.as_ref() == Some(&named)
        });
        assert!(came, "{service}: {last:?} instead of {wanted:?}");
    }

    /// Who serves port 80 of the VIP over a new connection; empty if nobody does.
    pub fn page(&self, family: Family) -> String {
        let page = crate::traffic::url(family.vip(), "/");
        let out = self.client.output(&["curl", "-gs", "-m", "3", &page]);
        text(&out.stdout).trim().to_owned()
    }

    /// Waits until `ask`, asked often enough for each to have its turn, is answered by just these.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn await_answers(&self, wanted: &[&str], ask: impl Fn() -> String) {
        let wanted: BTreeSet<_> = wanted.iter().map(|w| (*w).to_owned()).collect();
        let mut last = BTreeSet::new();
        let came = eventually(PATIENCE, || {
            last = (0..wanted.len() + 2).map(|_| ask()).collect();
            last == wanted
        });
        assert!(came, "{last:?} instead of {wanted:?}");
    }
}

/// Makes a server fail when the test says so, and only then, while it goes on to serve: a FILE_CHECK.
#[derive(Clone, Debug)]
pub struct Switch {
    name: String,
    file: PathBuf,
}

impl Switch {
    /// With a name of its own.
    pub fn new(lan: &Lan, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            file: lan.director.file(&format!("switch-{name}")),
        }
    }

    /// What it is, for the configuration's root.
    pub fn block(&self) -> String {
        let (name, file) = (&self.name, self.file.display());
        format!("track_file {name} {{\n file {file}\n weight 0\n}}\n")
    }

    /// For the server's block.
    pub fn check(&self) -> String {
        format!("FILE_CHECK {{\n track_file {}\n }}", self.name)
    }

    /// From now on the server counts as down.
    pub fn fail(&self) {
        self.write("1\n");
    }

    /// From now on it counts as up.
    pub fn recover(&self) {
        self.write("0\n");
    }

    fn write(&self, number: &str) {
        fs::write(&self.file, number).expect("the temporary folder can be written to");
    }
}

/// Writes a script of the shell on the director, and returns where it is.
///
/// # Panics
/// If it cannot be written.
pub fn script(lan: &Lan, name: &str, text: &str) -> PathBuf {
    let path = lan.director.file(name);
    let text = format!("#!/bin/sh\n{text}");
    fs::write(&path, text).expect("the temporary folder can be written to");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&path, mode).expect("it is ours");
    path
}

/// A script that notes how it was called.
#[derive(Clone, Debug)]
pub struct Notes {
    script: PathBuf,
    file: PathBuf,
}

impl Notes {
    /// On the director of this LAN.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn new(lan: &Lan) -> Self {
        let notes = Self {
            script: lan.director.file("note"),
            file: lan.director.file("notes"),
        };
        let text = format!(
            "variables=$(env | grep '^LVSD_' | sort | tr '\\n' ';')\necho \"$*: $variables\" >>{}\n",
            notes.file.display()
        );
        script(lan, "note", &text);
        notes
    }

    /// For a configuration: the script with these words.
    pub fn command(&self, words: &str) -> String {
        format!("\"{} {words}\"", self.script.display())
    }

    /// The notes so far, one a line: words, a colon, and the variables that begin with `LVSD_`, sorted, with a semicolon after each.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until there are so many, and returns and forgets them.
    ///
    /// # Panics
    /// If they do not come, or more do.
    #[track_caller]
    pub fn take(&self, count: usize) -> Vec<String> {
        let came = eventually(PATIENCE, || self.lines().len() >= count);
        let lines = self.lines();
        assert!(came && lines.len() == count, "{count} awaited: {lines:#?}");
        // Whatever is written meanwhile is one too many.
        let _ = fs::remove_file(&self.file);
        lines
    }
}
