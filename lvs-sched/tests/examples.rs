//! The examples do what they say.

#[path = "../examples/director.rs"]
mod director;
#[expect(dead_code, reason = "its command line is not used here")]
#[path = "../examples/proxy.rs"]
mod proxy;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lvs_core::Endpoint;
use proxy::{Command, Control, Proxy};

#[test]
fn the_director_lives_through_its_packets() {
    director::main().expect("a life");
}

/// A server that greets with its number and then returns what it is sent, until the client has finished.
fn server(number: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::spawn(move || echo(client.expect("a client"), number));
        }
    });
    addr
}

fn echo(mut client: TcpStream, number: u8) -> std::io::Result<()> {
    client.write_all(&[number])?;
    let mut buffer = [0; 8192];
    loop {
        match client.read(&mut buffer)? {
            0 => return client.shutdown(Shutdown::Write),
            n => client.write_all(&buffer[..n])?,
        }
    }
}

/// A proxy in a thread of its own, stopped at the end.
struct Running {
    control: Control,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    fn new(servers: &[(SocketAddr, u32)]) -> Self {
        let servers: Vec<_> = servers.iter().map(|&(s, w)| (endpoint(s), w)).collect();
        let listen = "127.0.0.1:0".parse().expect("an address");
        let (mut proxy, control) = Proxy::new(listen, &servers).expect("a proxy");
        Self {
            control,
            thread: Some(thread::spawn(move || proxy.run())),
        }
    }

    /// A client, and the number of the server that greeted it.
    fn client(&self) -> (TcpStream, u8) {
        let mut client = TcpStream::connect(self.control.listen).expect("a connection");
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        let mut greeting = [0];
        client.read_exact(&mut greeting).expect("a greeting");
        (client, greeting[0])
    }

    /// Waits until the servers have these active and inactive connections.
    fn wait_for(&self, connections: &[(u64, u64)]) {
        let start = Instant::now();
        while self.control.connections() != connections {
            let late = start.elapsed() > Duration::from_secs(20);
            assert!(!late, "{:?}", self.control.connections());
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.control.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("no panic").expect("no error");
            }
        }
    }
}

fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint::new(addr.ip().into(), addr.port())
}

fn says_back(client: &mut TcpStream, word: &[u8]) {
    client.write_all(word).expect("room");
    let mut answer = vec![0; word.len()];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, word);
}

#[test]
fn the_proxy_balances_by_weight_and_connections() {
    let proxy = Running::new(&[(server(1), 3), (server(2), 1)]);
    let mut clients: Vec<_> = (0..8).map(|_| proxy.client()).collect();
    let order: Vec<u8> = clients.iter().map(|c| c.1).collect();
    assert_eq!(order, [1, 2, 1, 1, 1, 2, 1, 1], "wlc, the first of equals");
    proxy.wait_for(&[(6, 0), (2, 0)]);

    // Whoever leaves makes room: both of server 2's clients.
    clients.retain(|c| c.1 == 1);
    proxy.wait_for(&[(6, 0), (0, 0)]);
    assert_eq!([proxy.client().1, proxy.client().1], [2, 2]);
    for (client, _) in &mut clients {
        says_back(client, b"still here");
    }
    drop(clients);
    proxy.wait_for(&[(0, 0), (0, 0)]);
}

#[test]
fn a_quiesced_server_keeps_its_connections_and_gets_no_more() {
    let (one, two) = (server(1), server(2));
    let proxy = Running::new(&[(one, 1), (two, 1)]);
    let (mut first, second) = (proxy.client(), proxy.client());
    assert_eq!([first.1, second.1], [1, 2]);

    proxy.control.send(Command::Weight(endpoint(one), 0));
    let others: Vec<_> = (0..5).map(|_| proxy.client()).collect();
    assert!(others.iter().all(|c| c.1 == 2), "{others:?}");
    says_back(&mut first.0, b"a quiesced server's client");
    proxy.wait_for(&[(1, 0), (6, 0)]);

    proxy.control.send(Command::Weight(endpoint(one), 1));
    assert_eq!(proxy.client().1, 1);

    for server in [one, two] {
        proxy.control.send(Command::Weight(endpoint(server), 0));
    }
    let mut refused = TcpStream::connect(proxy.control.listen).expect("a listener");
    assert_eq!(refused.read(&mut [0]).expect("an end"), 0);
}

#[test]
fn bytes_arrive_and_half_a_connection_is_inactive() {
    let proxy = Running::new(&[(server(7), 1)]);
    let (mut client, _) = proxy.client();
    let mut sender = client.try_clone().expect("a clone");
    let sent: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let all = sent.clone();
    let sending = thread::spawn(move || {
        sender.write_all(&all).expect("room");
        sender.shutdown(Shutdown::Write).expect("an open socket");
    });
    let mut back = Vec::new();
    client.read_to_end(&mut back).expect("all of it");
    sending.join().expect("a sender");
    assert_eq!(back.len(), sent.len());
    assert!(back == sent);
    proxy.wait_for(&[(0, 0)]);

    // A server that does not finish when its client does: the connection stays, but counts as inactive.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = Running::new(&[(listener.local_addr().expect("an address"), 1)]);
    let client = TcpStream::connect(proxy.control.listen).expect("a listener");
    let (held, _) = listener.accept().expect("a connection");
    proxy.wait_for(&[(1, 0)]);
    client.shutdown(Shutdown::Write).expect("an open socket");
    proxy.wait_for(&[(0, 1)]);
    drop(held);
    proxy.wait_for(&[(0, 0)]);
}

#[test]
fn a_server_that_refuses_is_not_counted() {
    // A port that nobody listens on any more.
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = gone.local_addr().expect("an address");
    drop(gone);
    let proxy = Running::new(&[(addr, 1)]);
    for _ in 0..3 {
        let mut client = TcpStream::connect(proxy.control.listen).expect("a listener");
        let answer = client.read(&mut [0]);
        assert!(!matches!(answer, Ok(1..)), "{answer:?}");
    }
    proxy.wait_for(&[(0, 0)]);
}
