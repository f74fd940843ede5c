//! Clients that never cease: one that asks for a page again and again, and one with a long download. Both note when they were
//! kept waiting.

use std::io::{self, Read as _, Write as _};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::node::{Node, within};
use crate::process::PATIENCE;

/// How often a page is asked for, and a piece sent.
const PACE: Duration = Duration::from_millis(10);

/// Asks a hundred times a second, each time over a new connection, whatever has become of the others: a lost packet costs one
/// request, and not the second after which it is sent again.
#[derive(Debug)]
pub struct Requests {
    answers: Arc<Mutex<Vec<Answer>>>,
    stop: Arc<AtomicBool>,
    asking: Option<JoinHandle<()>>,
}

/// One that came.
#[derive(Clone, Debug)]
struct Answer {
    at: Instant,
    by: String,
}

impl Requests {
    /// Begins to ask for the page of port 80 at `ip`.
    pub fn start(client: &Node, ip: IpAddr) -> Self {
        let (answers, stop) = (
            Arc::<Mutex<Vec<Answer>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (theirs, until) = (Arc::clone(&answers), Arc::clone(&stop));
        let ask = move || {
            while !until.load(Relaxed) {
                let answers = Arc::clone(&theirs);
                thread::spawn(move || {
                    if let Ok(by) = page(ip) {
                        let at = Instant::now();
                        let mut answers = answers.lock().expect("nobody panics with it");
                        answers.push(Answer { at, by });
                    }
                });
                thread::sleep(PACE);
            }
        };
        // Threads are in the namespace of the thread that makes them.
        let asking = within(client.ns(), || thread::spawn(ask));
        Self {
            answers,
            stop,
            asking: Some(asking),
        }
    }

    /// The longest time without an answer since `since`, up to now, and who has answered.
    ///
    /// # Panics
    /// If a request has.
    pub fn since(&self, since: Instant) -> (Duration, Vec<String>) {
        let answers = self.answers.lock().expect("nobody panics with it");
        let late: Vec<_> = answers.iter().filter(|a| a.at >= since).collect();
        let times = iter::once(since)
            .chain(late.iter().map(|a| a.at))
            .chain([Instant::now()]);
        let times: Vec<_> = times.collect();
        let gaps = times
            .windows(2)
            .map(|pair| pair[1].saturating_duration_since(pair[0]));
        let mut by: Vec<_> = late.iter().map(|a| a.by.clone()).collect();
        by.sort();
        by.dedup();
        (gaps.max().unwrap_or_default(), by)
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(asking) = self.asking.take() {
            // Its end is all that is wanted.
            let _ = asking.join();
        }
    }
}

/// The page, if it comes soon: the body of a server's answer is its name.
fn page(ip: IpAddr) -> io::Result<String> {
    let limit = Duration::from_millis(200);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, 80), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim());
    let body = body.filter(|body| !body.is_empty());
    body.map(str::to_owned)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Serves without end, a megabyte a second, to everybody who connects. It lives as long as the test program.
///
/// # Panics
/// If it cannot listen.
pub fn serve_without_end(server: &Node, port: u16) {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let serve = |mut stream: TcpStream| {
        let mut at = 0;
        loop {
            let piece: Vec<u8> = (at..at + PIECE).map(byte).collect();
            // Whoever has gone does not want more.
            if stream.write_all(&piece).is_err() {
                break;
            }
            at += PIECE;
            thread::sleep(PACE);
        }
    };
    within(server.ns(), || {
        let listener = TcpListener::bind(any).expect("the port is free");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        })
    });
}

/// What is sent every [`PACE`].
const PIECE: u64 = 10_000;

/// What stands at a place of what is sent.
fn byte(at: u64) -> u8 {
    (at / PIECE + at) as u8
}

/// A client of [`serve_without_end`].
#[derive(Debug)]
pub struct Download {
    came: Arc<Mutex<Vec<(Instant, u64)>>>,
    stop: Arc<AtomicBool>,
    reading: JoinHandle<io::Result<()>>,
}

impl Download {
    /// Begins to read.
    pub fn start(client: &Node, ip: IpAddr, port: u16) -> Self {
        let (came, stop) = (
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (theirs, until) = (Arc::clone(&came), Arc::clone(&stop));
        let read = move || {
            let mut stream = TcpStream::connect(SocketAddr::new(ip, port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let (mut at, mut piece) = (0, [0; 64 << 10]);
            while !until.load(Relaxed) {
                let n = stream.read(&mut piece)?;
                let right = piece[..n].iter().zip(at..).all(|(b, at)| *b == byte(at));
                if n == 0 || !right {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                at += n as u64;
                let mut came = theirs.lock().expect("nobody panics with it");
                came.push((Instant::now(), at));
            }
            Ok(())
        };
        Self {
            came,
            stop,
            reading: within(client.ns(), || thread::spawn(read)),
        }
    }

    /// Bytes that have come.
    ///
    /// # Panics
    /// If the download has.
    pub fn read(&self) -> u64 {
        let came = self.came.lock().expect("nobody panics with it");
        came.last().map_or(0, |(_, at)| *at)
    }

    /// The longest time without bytes that ended after `since`.
    ///
    /// # Panics
    /// If the download has.
    pub fn stall(&self, since: Instant) -> Duration {
        let came = self.came.lock().expect("nobody panics with it");
        let pairs = came.windows(2).filter(|pair| pair[1].0 >= since);
        let waits = pairs.map(|pair| pair[1].0.saturating_duration_since(pair[0].0));
        waits.max().unwrap_or_default()
    }

    /// Ends it.
    ///
    /// # Panics
    /// If something else came than was sent, or the connection has broken.
    #[track_caller]
    pub fn assert_intact(self) {
        self.stop.store(true, Relaxed);
        let read = self.reading.join().expect("it does not panic");
        read.unwrap_or_else(|e| panic!("the download broke: {e}"));
    }
}
