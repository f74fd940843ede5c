//! Twenty thousand checks on one thread: what they cost, and how late the latest of them is.
//!
//! All addresses of 127/8 are this machine's, so each check has a server of its own address, and two listeners stand for
//! all of them: one that is only connected to, and one, in a thread of its own, that answers requests. They take a good part
//! of the machine's time, which real servers would not.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use lvs_health::Driver;
use lvs_health::agenda::Lateness;
use lvs_health::check::{Check, Http, HttpVersion, Kind, Page, Target, Timing};
use lvs_health::driver::Options;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

const CHECKS: u32 = 20_000;
const INTERVAL: Duration = Duration::from_secs(2);
/// A run's worst lateness.
const BUDGET: Duration = Duration::from_millis(100);

fn main() {
    let asked = std::env::args().find_map(|a| a.parse().ok());
    let time = Duration::from_secs(asked.unwrap_or(10));
    let taken = listen(4096);
    let pages = web_server();
    let hung = hung_listener();

    println!("{CHECKS} checks, {time:?} after a warm-up of {INTERVAL:?}");
    let tcp = |i| check(Kind::Tcp, i, taken.1);
    let http = |i| check(page(), i, pages);
    let mixed = |i| if i % 2 == 0 { tcp(i) } else { http(i) };
    // Only here: what the first has given back, the others use again.
    let memory = measure("half TCP, half HTTP, every 2 s", time, mixed);
    println!("  memory               {memory:>9} bytes a check, budget 2048");
    measure("TCP, every 2 s", time, tcp);
    measure("HTTP, every 2 s", time, http);
    measure("TCP, every second", time, |i| {
        let mut check = tcp(i);
        check.timing.interval /= 2;
        check
    });
    measure("TCP, every 2 s, no server answers within 1 s", time, |i| {
        check(Kind::Tcp, i, hung.port)
    });
}

/// Says what it costs, and returns the memory that a check takes.
fn measure(what: &str, time: Duration, check: impl Fn(u32) -> Check) -> usize {
    let before = resident();
    let mut driver = Driver::new(Options::default(), 7).expect("epoll");
    for i in 0..CHECKS {
        driver.insert(check(i));
    }
    turn(&mut driver, INTERVAL);
    let memory = resident().saturating_sub(before) / CHECKS as usize;

    let busy = processor_time();
    let start = Instant::now();
    driver.take_lateness();
    let (runs, failed) = turn(&mut driver, time);
    let took = start.elapsed();
    let busy = processor_time() - busy;
    println!("{what}");
    let a_second = runs as f64 / took.as_secs_f64();
    println!("  runs a second        {a_second:>9.0}   ({failed} of {runs} failed)");
    late(driver.lateness());
    let part = busy.as_secs_f64() / took.as_secs_f64() * 100.0;
    let each = busy.as_secs_f64() * 1e6 / runs.max(1) as f64;
    println!("  driver's thread      {part:>9.1} % of a core, {each:.1} us a run");
    while let Some(notice) = driver.notice() {
        println!("  {notice}");
    }
    memory
}

/// Counts runs, and those of them that failed.
fn turn(driver: &mut Driver, time: Duration) -> (u64, u64) {
    let start = Instant::now();
    let (mut runs, mut failed) = (0, 0);
    while start.elapsed() < time {
        let turned = driver.turn(Some(Duration::from_millis(50)), |ended| {
            runs += 1;
            let run = ended.checker.history().last();
            failed += u64::from(run.is_some_and(|r| r.verdict.is_err()));
        });
        turned.expect("epoll");
    }
    (runs, failed)
}

fn late(lateness: &Lateness) {
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    println!(
        "  lateness, worst      {:>9.2} ms, budget {} ms; 99.9 % below {:.2}, half below {:.2}",
        ms(lateness.worst()),
        ms(BUDGET),
        ms(lateness.quantile(0.999)),
        ms(lateness.quantile(0.5)),
    );
}

fn check(kind: Kind, i: u32, port: u16) -> Check {
    let ip = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + i);
    Check {
        kind,
        target: Target::new(SocketAddr::new(ip.into(), port)),
        timing: Timing {
            interval: INTERVAL,
            timeout: Duration::from_secs(1),
            warmup: INTERVAL,
            ..Timing::default()
        },
        alpha: false,
    }
}

fn page() -> Kind {
    Kind::Http(Http {
        pages: vec![Page {
            path: "/health".into(),
            host: None,
            digest: None,
            status: Vec::new(),
            pattern: None,
        }],
        version: HttpVersion::V1_0,
        tls: None,
        fast_recovery: false,
    })
}

/// Listens at all addresses, at a port of the system's choice.
fn listen(backlog: i32) -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
    socket.bind(&any.into()).expect("a port");
    socket.listen(backlog).expect("a listener");
    socket.set_nonblocking(true).expect("a socket");
    let addr = socket.local_addr().expect("an address");
    let port = addr.as_socket().map_or(0, |a| a.port());
    (socket, port)
}

/// One whose queue is full of clients that are never taken, so that it takes no more.
struct Hung {
    port: u16,
    _sockets: Vec<Socket>,
}

fn hung_listener() -> Hung {
    let (listener, port) = listen(0);
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.set_nonblocking(true).expect("a socket");
        let addr: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        let _ = client.connect(&addr.into());
        sockets.push(client);
    }
    Hung {
        port,
        _sockets: sockets,
    }
}

/// Answers each request with a small page, and closes, as servers do with HTTP/1.0.
fn web_server() -> u16 {
    let (socket, port) = listen(4096);
    thread::spawn(move || {
        let listener = TcpListener::from_std(socket.into());
        serve(listener).expect("a server");
    });
    port
}

fn serve(mut listener: TcpListener) -> std::io::Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut clients: Vec<Option<TcpStream>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match poll.poll(&mut events, None) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut client, _)) = listener.accept() {
                    let place = free.pop().unwrap_or_else(|| {
                        clients.push(None);
                        clients.len() - 1
                    });
                    poll.registry()
                        .register(&mut client, Token(place), Interest::READABLE)?;
                    clients[place] = Some(client);
                }
            } else if let Some(client) = &mut clients[event.token().0] {
                match client.read(&mut buffer) {
                    Ok(1..) => {
                        let page = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nOK\n";
                        let _ = client.write(page);
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                    _ => {}
                }
                clients[event.token().0] = None;
                free.push(event.token().0);
            }
        }
    }
}

/// What this thread has used of a core.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// This process's memory, in bytes.
fn resident() -> usize {
    let stat = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<usize> = stat.split(' ').nth(1).and_then(|n| n.parse().ok());
    pages.unwrap_or(0) * 4096
}
