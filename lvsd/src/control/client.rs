//! The asking side of the control socket.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{error, fmt};

use lvs_core::Endpoint;

use super::conns::{Connection, Count, Filter};
use super::explained::{Explained, Packet};
use super::message::{Hello, LONGEST_REQUEST, Refusal, Reply, Request, VERSION};
use super::table::{Key, Table};
use crate::health::Reload;
use crate::health::status::Status;
use crate::vrrp::status::Status as Routers;

/// How long a daemon may take for an answer, or a part of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

/// Why a daemon cannot be asked, or does not do what it is asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// System: there is nobody, or we may not ask.
    Connect(PathBuf, io::Error),
    /// System: the daemon has gone, or what it says makes no sense.
    Broken(PathBuf, io::Error),
    /// The request is longer than a daemon takes.
    TooLong,
    /// The daemon speaks another version of the protocol, or does not know the request.
    Unsupported(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(path, e) => {
                let path = path.display().to_string();
                let path = path.escape_debug();
                match e.kind() {
                    ErrorKind::NotFound => {
                        write!(f, "no lvsd listens at {path}: there is no such socket")
                    }
                    ErrorKind::ConnectionRefused => {
                        write!(f, "no lvsd listens at {path}: it has ended")
                    }
                    ErrorKind::PermissionDenied => {
                        write!(
                            f,
                            "Permission denied (you must be root, or in the group of {path})"
                        )
                    }
                    _ => write!(f, "cannot connect to {path}: {e}"),
                }
            }
            Self::Broken(path, e) => {
                let path = path.display().to_string();
                write!(
                    f,
                    "the lvsd at {} does not answer: {e}",
                    path.escape_debug()
                )
            }
            Self::TooLong => write!(
                f,
                "this is more than can be asked for at once: over {} MiB",
                LONGEST_REQUEST >> 20
            ),
            Self::Unsupported(message) => {
                write!(f, "lvsd refuses to talk: {}", message.escape_debug())
            }
        }
    }
}

impl error::Error for ClientError {}

impl Client {
    /// Connects to the daemon that listens at `path`.
    ///
    /// # Errors
    ///
    /// If nobody listens there, or only others may connect, or a daemon of another version listens.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path);
        let stream = stream.map_err(|e| ClientError::Connect(path.to_owned(), e))?;
        for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
            set(&stream, Some(PATIENCE)).map_err(|e| ClientError::Connect(path.to_owned(), e))?;
        }
        let mut client = Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
            line: Vec::new(),
        };
        client.send(&Hello { protocol: VERSION })?;
        match client.receive()? {
            Reply::Hello { .. } => Ok(client),
            other => Err(client.nonsense(&other)),
        }
    }

    /// Carries out commands, all or none.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked. Commands that it refuses are no error here: they are what is returned.
    pub fn apply(
        &mut self,
        commands: Vec<Vec<String>>,
        rehearse: bool,
    ) -> Result<Result<(), Vec<Refusal>>, ClientError> {
        match self.ask(&Request::Apply { commands, rehearse })? {
            Reply::Done {} => Ok(Ok(())),
            Reply::Refused { refusals } => Ok(Err(refusals)),
            other => Err(self.nonsense(&other)),
        }
    }

    /// The services, servers and counts.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked.
    pub fn table(&mut self) -> Result<Table, ClientError> {
        match self.ask(&Request::Table {})? {
            Reply::Table { table } => Ok(table),
            other => Err(self.nonsense(&other)),
        }
    }

    /// Shows `visit` the connections, some at a time, until it breaks off; then this client is of no use any more.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked.
    pub fn connections(
        &mut self,
        filter: Filter,
        mut visit: impl FnMut(Vec<Connection>) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        self.send(&Request::Connections { filter })?;
        loop {
            match self.receive()? {
                Reply::Connections { connections } => {
                    if visit(connections).is_break() {
                        return Ok(());
                    }
                }
                Reply::End { .. } => return Ok(()),
                other => return Err(self.nonsense(&other)),
            }
        }
    }

    /// How many connections there are, by service, server and state.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked.
    pub fn count(&mut self, filter: Filter) -> Result<Vec<Count>, ClientError> {
        match self.ask(&Request::Count { filter })? {
            Reply::Counts { counts } => Ok(counts),
            other => Err(self.nonsense(&other)),
        }
    }

    /// What becomes of a packet.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked.
    pub fn explain(&mut self, packet: Packet) -> Result<Explained, ClientError> {
        match self.ask(&Request::Explain { packet })? {
            Reply::Explained { explained } => Ok(*explained),
            other => Err(self.nonsense(&other)),
        }
    }

    /// Forgets connections to a server, by address and port, of a service: its persistence templates, its UDP connections, or
    /// both. Returns how many there were.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked. That it refuses is no error here: why is what is returned.
    pub fn evict(
        &mut self,
        service: Key,
        server: Endpoint,
        templates: bool,
        udp: bool,
    ) -> Result<Result<u64, Vec<Refusal>>, ClientError> {
        let request = Request::Evict {
            service,
            server: server.to_string(),
            templates,
            udp,
        };
        match self.ask(&request)? {
            Reply::Evicted { count } => Ok(Ok(count)),
            Reply::Refused { refusals } => Ok(Err(refusals)),
            other => Err(self.nonsense(&other)),
        }
    }

    /// How services, servers and checks of the configuration are.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked, or has no configuration.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        match self.ask(&Request::Status {})? {
            Reply::Status { status } => Ok(status),
            other => Err(self.nonsense(&other)),
        }
    }

    /// How the virtual routers of the configuration are.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked, or has no configuration.
    pub fn vrrp(&mut self) -> Result<Routers, ClientError> {
        match self.ask(&Request::Vrrp {})? {
            Reply::Vrrp { status } => Ok(status),
            other => Err(self.nonsense(&other)),
        }
    }

    /// Has the daemon read its configuration anew, and take it or only say what that would do. That it refuses is no error
    /// here.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked, or has no configuration.
    pub fn reload(&mut self, rehearse: bool) -> Result<Reload, ClientError> {
        match self.ask(&Request::Reload { rehearse })? {
            Reply::Reloaded { reload } => Ok(reload),
            other => Err(self.nonsense(&other)),
        }
    }

    /// A request with one reply.
    ///
    /// # Errors
    ///
    /// If the daemon cannot be asked, or does not know the request.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.send(request)?;
        self.receive()
    }

    fn send(&mut self, message: &impl serde::Serialize) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(message).map_err(|e| self.broken(e.into()))?;
        line.push(b'\n');
        if line.len() > LONGEST_REQUEST {
            return Err(ClientError::TooLong);
        }
        // A daemon that refuses says so before it closes: what it said is still to be read.
        match self.stream.get_mut().write_all(&line) {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(self.broken(e)),
            _ => Ok(()),
        }
    }

    fn receive(&mut self) -> Result<Reply, ClientError> {
        self.line.clear();
        let read = self.stream.read_until(b'\n', &mut self.line);
        read.map_err(|e| self.broken(e))?;
        if self.line.last() != Some(&b'\n') {
            let ended = io::Error::new(ErrorKind::UnexpectedEof, "it has closed the connection");
            return Err(self.broken(ended));
        }
        match serde_json::from_slice(&self.line).map_err(|e| self.broken(e.into()))? {
            Reply::Error { message } => Err(ClientError::Unsupported(message)),
            reply => Ok(reply),
        }
    }

    fn broken(&self, mut e: io::Error) -> ClientError {
        if e.kind() == ErrorKind::WouldBlock {
            let seconds = PATIENCE.as_secs();
            e = io::Error::new(ErrorKind::TimedOut, format!("nothing for {seconds} s"));
        }
        ClientError::Broken(self.path.clone(), e)
    }

    fn nonsense(&self, _: &Reply) -> ClientError {
        let what = "it gives an answer to something else";
        self.broken(io::Error::new(ErrorKind::InvalidData, what))
    }
}
