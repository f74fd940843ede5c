//! A web server small enough to be read at one sitting, on the kernel's own TCP.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the server's name |
//! | `GET /bytes/N` | N bytes |
//!
//! It speaks HTTP/1.1 with persistent connections, and closes first when the client asks for that, so that
//! the state a closed connection leaves behind stays with the servers.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// How many connections a server serves at a time; more wait in the queue.
const THREADS: usize = 32;
const BACKLOG: i32 = 1024;
/// A client that says nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest request head that is read.
const MAX_HEAD: usize = 4096;
static CHUNK: [u8; 128 * 1024] = [0; 128 * 1024];

/// A running web server.
#[derive(Debug)]
pub struct Server(Arc<TcpListener>);

impl Server {
    /// Serves on `port` of all addresses, IPv4 and IPv6, of the calling thread's network namespace.
    pub fn start(name: &str, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.set_only_v6(false)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        socket.listen(BACKLOG)?;
        let server = Self(Arc::new(socket.into()));
        for _ in 0..THREADS {
            let listener = server.0.clone();
            let name = name.to_owned();
            let builder = thread::Builder::new().stack_size(256 * 1024);
            builder.spawn(move || {
                // Fails once the listener has been shut down.
                while let Ok((stream, _)) = listener.accept() {
                    // A client that goes away is its own affair.
                    let _ = serve(stream, &name);
                }
            })?;
        }
        Ok(server)
    }
}

impl Drop for Server {
    /// Accepts no more connections: further ones are refused.
    fn drop(&mut self) {
        let _ = SockRef::from(&*self.0).shutdown(Shutdown::Both);
    }
}

fn serve(mut stream: TcpStream, name: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut pending = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut pending)? {
        let request = Request::parse(&head);
        let connection = if request.close { "close" } else { "keep-alive" };
        let (status, len) = match request.wanted {
            Wanted::Name => ("200 OK", name.len() as u64 + 1),
            Wanted::Bytes(n) => ("200 OK", n),
            Wanted::Nothing => ("404 Not Found", 0),
            Wanted::Nonsense => ("400 Bad Request", 0),
        };
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\
             Connection: {connection}\r\n\r\n"
        );
        match request.wanted {
            Wanted::Bytes(n) => {
                stream.write_all(answer.as_bytes())?;
                send_zeros(&mut stream, n)?;
            }
            Wanted::Name => {
                answer.push_str(name);
                answer.push('\n');
                stream.write_all(answer.as_bytes())?;
            }
            Wanted::Nothing | Wanted::Nonsense => stream.write_all(answer.as_bytes())?,
        }
        if request.close {
            break;
        }
    }
    Ok(())
}

fn send_zeros(stream: &mut TcpStream, mut n: u64) -> io::Result<()> {
    while n > 0 {
        let len = usize::try_from(n).map_or(CHUNK.len(), |n| n.min(CHUNK.len()));
        stream.write_all(&CHUNK[..len])?;
        n -= len as u64;
    }
    Ok(())
}

/// The next request's head, without the empty line. `None` at the end of the connection. What has been
/// read beyond it stays in `pending`.
fn read_head(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = pending.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = pending.drain(..end + 4).take(end).collect();
            return Ok(Some(head));
        }
        if pending.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            n => pending.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    wanted: Wanted,
    close: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Name,
    Bytes(u64),
    Nothing,
    Nonsense,
}

impl Request {
    fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, path, version) = (words.next(), words.next(), words.next());
        let wanted = match (method, path) {
            (Some("GET"), Some("/")) => Wanted::Name,
            (Some("GET"), Some(path)) => match path.strip_prefix("/bytes/").map(str::parse) {
                Some(Ok(n)) => Wanted::Bytes(n),
                _ => Wanted::Nothing,
            },
            _ => Wanted::Nonsense,
        };
        let mut close = version != Some("HTTP/1.1") || wanted == Wanted::Nonsense;
        for line in lines {
            if let Some((name, value)) = line.split_once(':') {
                let value = value.trim();
                close |=
                    name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
            }
        }
        Self { wanted, close }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(port: u16, requests: &str) -> String {
        let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        stream.write_all(requests.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn answers_in_order_on_one_connection_and_closes_when_asked() {
        let server = Server::start("rs1", 0).unwrap();
        let port = server.0.local_addr().unwrap().port();
        let answer = ask(
            port,
            "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /bytes/5 HTTP/1.1\r\n\r\n\
             GET /other HTTP/1.1\r\nConnection: Close\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        );
        let answers: Vec<_> = answer.split("HTTP/1.1 ").skip(1).collect();
        assert_eq!(answers.len(), 3, "{answer}");
        assert!(answers[0].starts_with("200 OK") && answers[0].ends_with("\r\n\r\nrs1\n"));
        assert!(answers[1].contains("Content-Length: 5\r\n") && answers[1].ends_with("\0\0\0\0\0"));
        assert!(answers[2].starts_with("404") && answers[2].contains("Connection: close"));
        assert!(ask(port, "GET / HTTP/1.0\r\n\r\n").ends_with("rs1\n"));
        assert!(ask(port, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
        drop(server);
        assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_err());
    }

    #[test]
    fn a_head_may_come_in_pieces_but_not_forever() {
        let mut pending = Vec::new();
        let mut pieces = (&b"GET / HT"[..])
            .chain(&b"TP/1.1\r\n\r"[..])
            .chain(&b"\nGET"[..]);
        let head = read_head(&mut pieces, &mut pending).unwrap();
        assert_eq!(head.as_deref(), Some(&b"GET / HTTP/1.1"[..]));
        assert_eq!(pending, b"GET");
        assert!(read_head(&mut io::repeat(b'x'), &mut Vec::new()).is_err());
    }
}
