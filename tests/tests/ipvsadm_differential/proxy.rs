//! A control socket between client and daemon that tells of other counts.
//!
//! Layouts differ where numbers grow wide, and a table that has carried no traffic has none. So what the
//! daemon says of counters and connections is replaced on its way by what the line calls for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::story::{Connection, Counters};

/// What is told instead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) counters: Counters,
    pub(crate) connections: Vec<Connection>,
}

/// A socket that stands before the daemon's.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) path: PathBuf,
    told: Arc<Mutex<Told>>,
}

impl Proxy {
    /// Listens at `path` and passes on to `daemon`, as long as the test lives.
    pub(crate) fn start(path: PathBuf, daemon: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).expect("the socket can be made");
        let told = Arc::new(Mutex::new(Told::default()));
        let shared = Arc::clone(&told);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("clients can be accepted");
                let told = shared.lock().expect("nobody panics").clone();
                // A client that goes away early is its own affair.
                let _ = talk(client, &daemon, &told);
            }
        });
        Self { path, told }
    }

    /// What clients are told from now on.
    pub(crate) fn tell(&self, told: Told) {
        *self.told.lock().expect("nobody panics") = told;
    }
}

fn talk(client: UnixStream, daemon: &Path, told: &Told) -> std::io::Result<()> {
    let mut daemon = BufReader::new(UnixStream::connect(daemon)?);
    let mut client = BufReader::new(client);
    let mut line = String::new();
    while client.read_line(&mut line)? > 0 {
        let request: Value = serde_json::from_str(&line)?;
        let replies = if request["request"] == "connections" {
            connections(told)
        } else {
            daemon.get_mut().write_all(line.as_bytes())?;
            line.clear();
            daemon.read_line(&mut line)?;
            let mut reply: Value = serde_json::from_str(&line)?;
            if reply["reply"] == "table" {
                recount(&mut reply["table"], &told.counters);
            }
            vec![reply]
        };
        for reply in replies {
            writeln!(client.get_mut(), "{reply}")?;
        }
        line.clear();
    }
    Ok(())
}

fn connections(told: &Told) -> Vec<Value> {
    let all: Vec<_> = told.connections.iter().map(|c| c.told.clone()).collect();
    let end = json!({"reply": "end", "count": all.len()});
    if all.is_empty() {
        return vec![end];
    }
    vec![json!({"reply": "connections", "connections": all}), end]
}

fn recount(table: &mut Value, counters: &Counters) {
    const NAMES: [&str; 5] = [
        "conns",
        "in_packets",
        "out_packets",
        "in_bytes",
        "out_bytes",
    ];
    let five = |from: &[u64]| -> Value {
        let pairs = NAMES.iter().zip(from);
        pairs
            .map(|(name, n)| ((*name).to_owned(), json!(n)))
            .collect()
    };
    let (totals, rates) = (five(&counters[..5]), five(&counters[5..10]));
    let none = &mut Vec::new();
    for service in table["services"].as_array_mut().unwrap_or(none) {
        service["totals"] = totals.clone();
        service["rates"] = rates.clone();
        let none = &mut Vec::new();
        for server in service["servers"].as_array_mut().unwrap_or(none) {
            server["totals"] = totals.clone();
            server["rates"] = rates.clone();
            server["active"] = json!(counters[10]);
            server["inactive"] = json!(counters[11]);
            server["persistent"] = json!(counters[12]);
        }
    }
}
