//! Servers that misbehave: hung, slow, refusing, wrong, endless, gone and back.
//!
//! A real server cannot be told to behave badly in a certain way at a certain time. These are threads of the test whose sockets
//! are in a host's namespace; the test tells them at any time how to go on ([`Faulty::turn`]), and sees what they were asked.

mod tcp;
mod udp;

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::node::Node;

/// How a server treats those who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Answers what is asked with these bytes, and closes. See [`http`].
    Answers(String),
    /// Says this before it is asked, as SMTP servers do, and then nothing.
    Greets(String),
    /// Answers with these bytes, but only one each second.
    Drips(String),
    /// Takes connections and whatever is asked, and never answers.
    Hangs,
    /// Its port is closed.
    Refuses,
    /// Ends each connection at once, and does not hear what is asked.
    Closes,
    /// Resets each connection as soon as something is asked.
    Resets,
    /// Answers with 4096 bytes that mean nothing, and closes.
    Garbles,
    /// Answers with a page that never ends.
    EndlessPage,
    /// Answers with header lines that never end.
    EndlessHeader,
}

/// An HTTP answer of this status with this page.
pub fn http(status: u16, page: &str) -> String {
    let length = page.len();
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    )
}

/// What was asked over one connection, or by one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asked.
    pub from: SocketAddr,
    /// What was sent; empty if it has not (yet) been read.
    pub text: String,
}

/// A misbehaving server. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Faulty {
    ns: String,
    port: u16,
    is_udp: bool,
    state: Arc<State>,
    serving: Option<Serving>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "dropped, they close the port")]
enum Serving {
    Tcp(tcp::Listening),
    Udp(udp::Listening),
}

impl Node {
    /// A TCP server at `port`, on every address of this host.
    ///
    /// # Panics
    /// If the port is taken.
    pub fn faulty(&self, port: u16, conduct: Conduct) -> Faulty {
        Faulty::start(self, port, false, conduct)
    }

    /// The same for UDP. It knows only how to answer, hang, refuse (by ICMP) and garble.
    ///
    /// # Panics
    /// If the port is taken.
    pub fn faulty_udp(&self, port: u16, conduct: Conduct) -> Faulty {
        Faulty::start(self, port, true, conduct)
    }
}

impl Faulty {
    fn start(node: &Node, port: u16, is_udp: bool, conduct: Conduct) -> Self {
        let mut server = Self {
            ns: node.ns().to_owned(),
            port,
            is_udp,
            state: Arc::default(),
            serving: None,
        };
        server.turn(conduct);
        server
    }

    /// From now on it behaves so. Connections there were are closed.
    pub fn turn(&mut self, conduct: Conduct) {
        let refuses = conduct == Conduct::Refuses;
        self.state.lock().turn(conduct);
        if refuses {
            self.serving = None;
        } else if self.serving.is_none() {
            let (ns, port, state) = (&self.ns, self.port, Arc::clone(&self.state));
            self.serving = Some(match self.is_udp {
                true => Serving::Udp(udp::Listening::start(ns, port, state)),
                false => Serving::Tcp(tcp::Listening::start(ns, port, state)),
            });
        }
    }

    /// What it has been asked so far, one for each connection or datagram, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().asked.clone()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.state.lock().turn(Conduct::Refuses);
    }
}

/// What the threads of a server share.
#[derive(Debug, Default)]
struct State(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    conduct: Conduct,
    asked: Vec<Asked>,
    /// By the number of what was asked.
    connections: BTreeMap<usize, TcpStream>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            conduct: Conduct::Refuses,
            asked: Vec::new(),
            connections: BTreeMap::new(),
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no thread panics while it holds it")
    }
}

impl Inner {
    fn turn(&mut self, conduct: Conduct) {
        self.conduct = conduct;
        for connection in std::mem::take(&mut self.connections).into_values() {
            // Whoever waits in it wakes up. It may have been closed by its client.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Notes who asks; returns the number by which what they say can be added.
    fn asked_by(&mut self, from: SocketAddr) -> usize {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let text = String::new();
        self.asked.push(Asked { from, text });
        self.asked.len() - 1
    }

    fn add(&mut self, number: usize, bytes: &[u8]) {
        self.asked[number].text += &String::from_utf8_lossy(bytes);
    }
}

/// Bytes that mean nothing, the same each time.
fn garbage() -> Vec<u8> {
    let mut seed = 1_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    (0..4096).map(|_| next()).collect()
}
