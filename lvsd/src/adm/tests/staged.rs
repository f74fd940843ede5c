//! A daemon that has counted what it is told to have counted.
//!
//! A director counts by itself. So between it and the client stands somebody who lets everything pass but replaces the
//! counters of tables, and the connections.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::{fs, thread};

use serde_json::json;

use super::World;
use crate::control::conns::Connection;
use crate::control::message::{Hello, Reply, Request, VERSION};
use crate::control::table::{Counters, Key, Table};
use crate::control::testing::Desk;
use crate::rules::{Command, parse_command};

#[derive(Debug)]
pub(super) struct Stage {
    path: PathBuf,
    script: Arc<Mutex<Script>>,
    player: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Script {
    /// As `--stats` and `--rate` show them, then connections: active, inactive, templates.
    counters: [u64; 13],
    connections: Vec<Connection>,
    /// Services in the order in which they came.
    order: Vec<Key>,
    is_over: bool,
}

impl Stage {
    pub(super) fn new() -> Self {
        let desk = Desk::open();
        let path = desk.path().with_extension("staged");
        let listener = UnixListener::bind(&path).unwrap();
        let script = Arc::<Mutex<Script>>::default();
        let played = script.clone();
        let player = thread::spawn(move || {
            for stream in listener.incoming() {
                if played.lock().unwrap().is_over {
                    return;
                }
                play(stream.unwrap(), &desk, &played);
            }
        });
        Self {
            path,
            script,
            player: Some(player),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Follows a stage direction.
    pub(super) fn set(&self, direction: &str, world: &World) {
        let mut words = direction.split_whitespace();
        let mut script = self.script.lock().unwrap();
        match words.next() {
            Some("counters") => {
                let numbers = words.next().unwrap().split(',');
                let numbers: Vec<u64> = numbers.map(|n| n.parse().unwrap()).collect();
                script.counters = numbers.try_into().unwrap();
            }
            Some("hosts") => {
                let names = words.map(|word| word.split_once('=').unwrap());
                let names = names.map(|(ip, name)| (ip.parse().unwrap(), name.to_owned()));
                world.hosts.replace(names.collect());
            }
            Some("connection") => script.connections.push(connection(words)),
            _ => {}
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A test that fails while the script is held leaves a file: no matter.
        if let Ok(mut script) = self.script.lock() {
            script.is_over = true;
            drop(script);
            let _ = UnixStream::connect(&self.path);
            let _ = self.player.take().map(JoinHandle::join);
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Says to one client what the daemon says, with the script's changes.
fn play(stream: UnixStream, desk: &Desk, script: &Mutex<Script>) {
    let mut writer = stream.try_clone().unwrap();
    let mut say = |reply: &Reply| {
        let mut line = serde_json::to_vec(reply).unwrap();
        line.push(b'\n');
        // A client may have heard enough.
        let _ = writer.write_all(&line);
    };
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let hello: Hello = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(hello.protocol, VERSION);
    let lvsd = String::new();
    say(&Reply::Hello {
        protocol: VERSION,
        lvsd,
    });
    for line in lines {
        let request: Request = serde_json::from_str(&line).unwrap();
        let mut script = script.lock().unwrap();
        if let Request::Connections { .. } = request {
            let count = script.connections.len() as u64;
            for some in script.connections.chunks(3) {
                let connections = some.to_vec();
                say(&Reply::Connections { connections });
            }
            say(&Reply::End { count });
            continue;
        }
        let mut reply = desk.client().ask(&request).unwrap();
        match (&request, &mut reply) {
            (Request::Apply { commands, .. }, Reply::Done {}) => script.note(commands),
            (_, Reply::Table { table }) => script.dress(table),
            _ => {}
        }
        say(&reply);
    }
}

impl Script {
    fn note(&mut self, commands: &[Vec<String>]) {
        for words in commands {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Ok(Command::AddService(rule)) = parse_command(&words, &World::default()) {
                self.order.push(rule.key.into());
            }
        }
    }

    fn dress(&self, table: &mut Table) {
        let counters = |of: &[u64]| Counters {
            conns: of[0],
            in_packets: of[1],
            out_packets: of[2],
            in_bytes: of[3],
            out_bytes: of[4],
        };
        let (totals, rates) = (counters(&self.counters), counters(&self.counters[5..]));
        let place = |key: &Key| self.order.iter().position(|known| known == key);
        table.services.sort_by_key(|service| place(&service.key));
        for service in &mut table.services {
            (service.totals, service.rates) = (totals, rates);
            service.servers.reverse();
            for server in &mut service.servers {
                (server.totals, server.rates) = (totals, rates);
                server.active = self.counters[10];
                server.inactive = self.counters[11];
                server.persistent = self.counters[12];
            }
        }
    }
}

/// Protocol, state, seconds left, client, virtual address and server.
fn connection<'a>(words: impl Iterator<Item = &'a str>) -> Connection {
    let words: Vec<&str> = words.collect();
    let seconds: u64 = words[2].parse().unwrap();
    serde_json::from_value(json!({
        "protocol": words[0],
        "state": words[1],
        "expires": seconds,
        "client": words[3],
        "virtual_address": words[4],
        "server": words[5],
        "method": "nat",
        "template": false,
        "packets": 1,
        "service": {"protocol": "tcp", "address": "10.0.0.1", "port": 80},
    }))
    .unwrap()
}
