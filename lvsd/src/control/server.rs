//! The listening side of the control socket.
//!
//! Problem: whoever may connect may also hang, die half-way or talk nonsense, and must harm neither traffic nor other clients.
//!
//! Rule: a thread for each client, and few of them; a request counts only once its line is complete; a client that
//! neither speaks nor listens for long is cut off. No lock is held while a client is written to.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::desk::{self, Plane};
use super::message::{Hello, LONGEST_REQUEST, MOST_VALUES, Reply, Request, VERSION};
use crate::unix_socket::{self, SocketFile};

/// The most clients at a time.
const CLIENTS: usize = 64;

/// How a server is started.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Options {
    /// Where it listens.
    pub path: PathBuf,
    /// The group that may connect besides root, by its number.
    pub group: Option<u32>,
    /// A client that neither speaks nor listens for so long is cut off.
    pub patience: Duration,
}

impl Options {
    /// At that path, for root only, with five minutes' patience.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            group: None,
            patience: Duration::from_secs(300),
        }
    }
}

/// A socket that is listened to, until this is dropped.
#[derive(Debug)]
pub struct Server {
    listener: Arc<UnixListener>,
    clients: Arc<Clients>,
    thread: Option<JoinHandle<()>>,
    /// Removed last.
    _file: SocketFile,
}

#[derive(Debug, Default)]
struct Clients {
    stopping: AtomicBool,
    open: Mutex<HashMap<u64, (UnixStream, JoinHandle<()>)>>,
}

impl Server {
    /// Listens at a path. A socket that a dead daemon left there is replaced.
    ///
    /// # Errors
    ///
    /// If somebody listens there, something else is there, or the system does not allow it.
    pub fn start(options: Options, plane: Arc<dyn Plane>) -> io::Result<Self> {
        let Options {
            path,
            group,
            patience,
        } = options;
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        let taken = "another lvsd listens there; give this one a --socket of its own";
        let (listener, file) = unix_socket::listen(&path, mode, group, taken)?;
        let listener = Arc::new(listener);
        let clients = Arc::new(Clients::default());
        let listening = (listener.clone(), clients.clone());
        let body = move || accept(&listening.0, &listening.1, patience, &plane);
        let thread = thread::Builder::new()
            .name("lvsd-socket".to_owned())
            .spawn(body)?;
        Ok(Self {
            listener,
            clients,
            thread: Some(thread),
            _file: file,
        })
    }
}

impl Drop for Server {
    /// Ends all conversations and removes the socket. A change that is being made is made first.
    fn drop(&mut self) {
        self.clients.stopping.store(true, Relaxed);
        let _ = SockRef::from(&*self.listener).shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let open = std::mem::take(&mut *lock(&self.clients.open));
        for (stream, _) in open.values() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        for (_, thread) in open.into_values() {
            let _ = thread.join();
        }
    }
}

fn accept(
    listener: &UnixListener,
    clients: &Arc<Clients>,
    patience: Duration,
    plane: &Arc<dyn Plane>,
) {
    let mut number = 0;
    while !clients.stopping.load(Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors, most likely: others will close theirs.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        number += 1;
        // If it cannot be talked to it sees its connection closed.
        let _ = admit(number, stream, clients, patience, plane);
    }
}

fn admit(
    number: u64,
    mut stream: UnixStream,
    clients: &Arc<Clients>,
    patience: Duration,
    plane: &Arc<dyn Plane>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut open = lock(&clients.open);
    if open.len() >= CLIENTS {
        drop(open);
        let message =
            format!("{CLIENTS} clients are connected already; try again when one of them has left");
        return say(&mut stream, &Reply::Error { message });
    }
    let ours = stream.try_clone()?;
    let (clients, plane) = (clients.clone(), plane.clone());
    let body = move || {
        let _seat = Seat(clients, number);
        // What goes wrong between us and a client is nobody else's business.
        let _ = converse(&stream, &stream, &*plane);
    };
    let thread = thread::Builder::new()
        .name("lvsd-client".to_owned())
        .spawn(body)?;
    open.insert(number, (ours, thread));
    Ok(())
}

/// A client's place, given back in any case.
struct Seat(Arc<Clients>, u64);

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.0.open).remove(&self.1);
    }
}

/// Talks to a client until it leaves, or does not make sense.
///
/// # Errors
///
/// If it can't be read from or written to any more.
pub fn converse(reader: impl Read, mut writer: impl Write, plane: &dyn Plane) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    if !read_line(&mut reader, &mut line)? {
        return Ok(());
    }
    let refused = match serde_json::from_slice(&line) {
        Ok(Hello { protocol: VERSION }) => None,
        Ok(Hello { protocol }) => Some(format!(
            "protocol {protocol} is not spoken here, but {VERSION}: take the client of lvsd {}",
            env!("CARGO_PKG_VERSION")
        )),
        Err(e) => Some(format!(
            "the first line must be {{\"protocol\":{VERSION}}}: {}",
            brief(&e)
        )),
    };
    if let Some(message) = refused {
        return say(&mut writer, &Reply::Error { message });
    }
    let lvsd = env!("CARGO_PKG_VERSION").to_owned();
    say(
        &mut writer,
        &Reply::Hello {
            protocol: VERSION,
            lvsd,
        },
    )?;
    while read_line(&mut reader, &mut line)? {
        if values_in(&line) > MOST_VALUES {
            let message = format!("more than {MOST_VALUES} words and lists are too many");
            return say(&mut writer, &Reply::Error { message });
        }
        match serde_json::from_slice::<Request>(&line) {
            Ok(request) => {
                let mut failed = Ok(());
                desk::answer(plane, request, &mut |reply| {
                    failed = say(&mut writer, &reply);
                    match failed {
                        Ok(()) => ControlFlow::Continue(()),
                        Err(_) => ControlFlow::Break(()),
                    }
                });
                failed?;
            }
            Err(e) => {
                let message = format!("this is no request: {}", brief(&e));
                return say(&mut writer, &Reply::Error { message });
            }
        }
    }
    Ok(())
}

/// At least as many as there are values in a line of JSON: each takes memory, however short it is.
fn values_in(line: &[u8]) -> usize {
    let ends = line.iter().filter(|b| matches!(b, b',' | b'[' | b'{'));
    ends.count()
}

/// What is wrong with a line. It repeats the client's words, so they are cut and put into one line.
fn brief(e: &serde_json::Error) -> String {
    let text = e.to_string();
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(300).map(printable).collect()
}

/// Reads a line; `false` if there is none, or none that is complete.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    line.shrink_to(1 << 16);
    let mut limited = reader.take(LONGEST_REQUEST as u64);
    limited.read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        return Ok(true);
    }
    match line.len() >= LONGEST_REQUEST {
        true => Err(io::Error::new(
            ErrorKind::InvalidData,
            "the request is too long",
        )),
        false => Ok(false),
    }
}

fn say(writer: &mut impl Write, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    writer.write_all(&line)
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
