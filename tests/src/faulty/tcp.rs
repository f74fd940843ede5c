//! A TCP server: a thread that accepts, and one for each connection.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::{Conduct, State, garbage};
use crate::node::within;

/// An open port. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Listening {
    listener: TcpListener,
    accepting: Option<JoinHandle<()>>,
}

impl Listening {
    pub(super) fn start(ns: &str, port: u16, state: Arc<State>) -> Self {
        // Takes IPv4 as well.
        let listener = within(ns, || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)));
        let listener = listener.unwrap_or_else(|e| panic!("TCP port {port} in {ns}: {e}"));
        let ours = listener.try_clone().expect("a socket can be cloned");
        let accepting = thread::spawn(move || {
            while let Ok((stream, from)) = ours.accept() {
                let state = Arc::clone(&state);
                // In one step, so that nobody is treated in an old way after a turn.
                let mut inner = state.lock();
                let conduct = inner.conduct.clone();
                let number = inner.asked_by(from);
                if conduct == Conduct::Refuses {
                    reset_when_closed(&stream); // it came while the port was being closed
                    continue;
                }
                let to_shut = stream.try_clone().expect("a socket can be cloned");
                inner.connections.insert(number, to_shut);
                drop(inner);
                thread::spawn(move || {
                    let connection = Connection {
                        stream: &stream,
                        state: &state,
                        number,
                    };
                    // Most end by an error: the client has had enough, or the server turns.
                    let _ = connection.serve(&conduct);
                    state.lock().connections.remove(&number);
                });
            }
        });
        Self {
            listener,
            accepting: Some(accepting),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Wakes the thread.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

fn reset_when_closed(stream: &TcpStream) {
    let set = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    set.expect("a connection can be reset");
}

struct Connection<'a> {
    stream: &'a TcpStream,
    state: &'a State,
    number: usize,
}

impl Connection<'_> {
    fn serve(&self, conduct: &Conduct) -> io::Result<()> {
        let mut stream = self.stream;
        match conduct {
            Conduct::Answers(text) => {
                self.read_request()?;
                stream.write_all(text.as_bytes())?;
                self.finish()
            }
            Conduct::Greets(text) => {
                stream.write_all(text.as_bytes())?;
                self.read_all()
            }
            Conduct::Drips(text) => {
                self.read_request()?;
                stream.set_nodelay(true)?;
                for byte in text.bytes() {
                    stream.write_all(&[byte])?;
                    thread::sleep(Duration::from_secs(1));
                }
                self.finish()
            }
            Conduct::Hangs => self.read_all(),
            Conduct::Closes => self.finish(),
            Conduct::Resets => {
                self.read_request()?;
                reset_when_closed(stream);
                Ok(())
            }
            Conduct::Refuses => Ok(()),
            Conduct::Garbles => {
                self.read_request()?;
                stream.write_all(&garbage())?;
                self.finish()
            }
            Conduct::EndlessPage => {
                self.read_request()?;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'x'; 16 * 1024])?;
                }
            }
            Conduct::EndlessHeader => {
                self.read_request()?;
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    stream.write_all(b"X-More: and more\r\n")?;
                }
            }
        }
    }

    /// Reads some bytes, and if they begin an HTTP request, its header.
    fn read_request(&self) -> io::Result<()> {
        let mut text = Vec::new();
        let is_whole = |text: &[u8]| {
            let ended = || text.windows(4).any(|four| four == b"\r\n\r\n");
            !text.is_empty() && (!text.starts_with(b"GET ") || ended())
        };
        while !is_whole(&text) {
            let read = self.read()?;
            if read.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            text.extend(read);
        }
        Ok(())
    }

    /// Reads until the client closes.
    fn read_all(&self) -> io::Result<()> {
        while !self.read()?.is_empty() {}
        Ok(())
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 4096];
        let mut stream = self.stream;
        let length = stream.read(&mut buffer)?;
        self.state.lock().add(self.number, &buffer[..length]);
        Ok(buffer[..length].to_vec())
    }

    /// Closes in a way that does not destroy what was sent: nothing is left unread.
    fn finish(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.read_all()
    }
}
