//! Clients that never cease: one that asks for a page again and again, and one with a long download. Both note when they were
//! kept waiting.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, iter};

use crate::node::{Node, within};

/// How often a page is asked for.
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

/// A file that is read slowly.
#[derive(Debug)]
pub struct Download {
    read: Arc<AtomicU64>,
    stalls: Arc<Mutex<Vec<(Instant, Duration)>>>,
    stop: Arc<AtomicBool>,
    reading: JoinHandle<io::Result<Vec<u8>>>,
}

impl Download {
    /// Begins to fetch `/files/NAME`.
    pub fn start(client: &Node, ip: IpAddr, name: &str) -> Self {
        let download = (
            Arc::<AtomicU64>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (read, stalls, stop) = download.clone();
        let request = format!("GET /files/{name} HTTP/1.0\r\n\r\n");
        let fetch = move || -> io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect(SocketAddr::new(ip, 80))?;
            stream.set_read_timeout(Some(crate::process::PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            let (mut all, mut piece) = (Vec::new(), [0; 8 << 10]);
            while !download.2.load(Relaxed) {
                let before = Instant::now();
                let n = stream.read(&mut piece)?;
                let mut stalls = download.1.lock().expect("nobody panics with it");
                stalls.push((Instant::now(), before.elapsed()));
                drop(stalls);
                all.extend_from_slice(&piece[..n]);
                download.0.store(all.len() as u64, Relaxed);
                if n == 0 {
                    break;
                }
                thread::sleep(PACE);
            }
            Ok(all)
        };
        let reading = within(client.ns(), || thread::spawn(fetch));
        Self {
            read,
            stalls,
            stop,
            reading,
        }
    }

    /// Bytes that have come.
    pub fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// The longest wait for bytes that ended after `since`.
    ///
    /// # Panics
    /// If the download has.
    pub fn stall(&self, since: Instant) -> Duration {
        let stalls = self.stalls.lock().expect("nobody panics with it");
        let late = stalls.iter().filter(|(end, _)| *end >= since);
        late.map(|(_, stall)| *stall).max().unwrap_or_default()
    }

    /// Ends it, and sees that all that came is what the file begins with.
    ///
    /// # Panics
    /// If it is not, or the connection has broken.
    #[track_caller]
    pub fn assert_intact(self, file: &Path) {
        self.stop.store(true, Relaxed);
        let came = self.reading.join().expect("it does not panic");
        let came = came.unwrap_or_else(|e| panic!("the download broke: {e}"));
        let head = came.windows(4).position(|four| four == b"\r\n\r\n");
        let body = &came[head.expect("an HTTP answer") + 4..];
        let whole = fs::read(file).expect("the file is there");
        assert!(whole.starts_with(body), "the download is damaged");
        assert!(body.len() < whole.len(), "the download was too short a one");
    }
}
