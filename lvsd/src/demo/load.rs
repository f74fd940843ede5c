//! The client: requests in quantity, and what became of each.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a request may take. More than a second, so that one lost SYN is made up for by TCP.
pub const PATIENCE: Duration = Duration::from_millis(1300);

/// What became of one request.
#[derive(Debug)]
pub struct Sample {
    /// When it was begun.
    pub begun: Instant,
    /// From the first SYN to the last byte, or to the failure.
    pub took: Duration,
    /// The name of the server that answered, or what went wrong.
    pub outcome: Result<String, String>,
}

/// Clients that ask one request after the other, each on a new connection.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<Sample>>>,
}

impl Load {
    /// Starts `clients` clients in the calling thread's network namespace. Each asks the targets in turn.
    pub fn start(targets: &[SocketAddr], clients: usize) -> io::Result<Self> {
        let mut load = Self {
            stop: Arc::default(),
            done: Arc::default(),
            clients: Vec::new(),
        };
        for n in 0..clients {
            let (stop, done) = (load.stop.clone(), load.done.clone());
            let targets = targets.to_vec();
            let builder = thread::Builder::new().stack_size(256 * 1024);
            load.clients.push(builder.spawn(move || {
                let mut samples = Vec::new();
                for target in targets.iter().cycle().skip(n) {
                    if stop.load(Relaxed) {
                        break;
                    }
                    let begun = Instant::now();
                    let outcome = ask(*target).map_err(|e| e.to_string());
                    done.fetch_add(1, Relaxed);
                    samples.push(Sample {
                        begun,
                        took: begun.elapsed(),
                        outcome,
                    });
                }
                samples
            })?);
        }
        Ok(load)
    }

    /// How many requests have come to an end so far.
    pub fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Begins no more requests, waits for those under way, and hands all over.
    pub fn finish(mut self) -> Vec<Sample> {
        self.stop.store(true, Relaxed);
        let clients = std::mem::take(&mut self.clients).into_iter();
        clients.flat_map(|c| c.join().unwrap_or_default()).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// One request on a new connection. Returns the name of the server.
pub fn ask(target: SocketAddr) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::with_capacity(256);
    let mut buffer = [0; 512];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would mean forever.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(&mut buffer) {
            Ok(0) => return name(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into()),
            Ok(n) => answer.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(e) => return Err(e),
        }
    }
}

/// The server's name in a whole answer.
fn name(answer: &[u8]) -> Option<String> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let whole = head.contains(&format!("Content-Length: {}\r\n", body.len()));
    let fine = head.starts_with("HTTP/1.1 200 ") && whole;
    fine.then(|| body.trim_end().to_owned())
}

/// Downloads for a while on one connection to each target at once. Returns how many bytes came in how
/// long.
pub fn download(
    targets: &[SocketAddr],
    lasting: Duration,
    cancel: &AtomicBool,
) -> io::Result<(u64, Duration)> {
    let begun = Instant::now();
    let one = |target: SocketAddr| -> io::Result<u64> {
        let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("GET /bytes/{} HTTP/1.1\r\nHost: demo\r\n\r\n", u64::MAX);
        stream.write_all(request.as_bytes())?;
        let mut buffer = vec![0; 256 * 1024];
        let mut total = 0;
        while begun.elapsed() < lasting && !cancel.load(Relaxed) {
            match stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => total += n as u64,
            }
        }
        Ok(total)
    };
    let totals: io::Result<Vec<u64>> = thread::scope(|s| {
        let running: Vec<_> = targets.iter().map(|t| s.spawn(|| one(*t))).collect();
        let died = |_| io::Error::other("a download's thread died");
        running
            .into_iter()
            .map(|r| r.join().map_err(died)?)
            .collect()
    });
    Ok((totals?.iter().sum(), begun.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_counts() {
        let answer = |body| format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nA: b\r\n\r\n{body}");
        assert_eq!(name(answer("rs1\n").as_bytes()).as_deref(), Some("rs1"));
        assert_eq!(name(answer("rs").as_bytes()), None);
        assert_eq!(
            name(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            None
        );
        assert_eq!(name(b""), None);
    }
}
