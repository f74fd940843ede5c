//! The HTTP endpoint: metrics and status for programs that watch over lvsd.
//!
//! | path | answers |
//! |---|---|
//! | `/metrics` | counters and states, as OpenMetrics 1.0 text |
//! | `/status.json` | what `lvsd status --json` prints |
//! | `/healthz` | 200 while all threads go round, else 503 with what stands still |
//! | `/readyz` | 200 once every check has found something, else 503 with what has not |
//!
//! It is there only if the configuration has `lvsd_http`. It changes nothing, and asks nobody who he is: that is left to the loopback
//! interface, to a Unix socket's mode, or to a proxy.
//!
//! | module | holds |
//! |---|---|
//! | [`request`] | what a client says |
//! | [`answer`] | what it is told, as HTTP |
//! | `client` | one client's course: asking, being answered, leaving |
//! | `server` | the thread: a few clients at a time |
//! | `desk` | which path is answered how |
//! | `openmetrics` | the format |
//! | `metrics` | the metrics |
//! | `load` | what threads and interfaces do |

pub mod answer;
mod client;
mod desk;
mod load;
mod metrics;
mod openmetrics;
pub mod request;
mod server;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use mio::Waker;

use crate::control::desk::Plane;
use crate::keepalived::model::Listen;
use crate::unix_socket;
use desk::Desk;
pub(crate) use load::{Interface, Load, Worker};
use server::{Limits, Listener, Server};

/// How the endpoint is started.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where it listens.
    pub(crate) listen: Listen,
    /// The group that a Unix socket belongs to; `None`: ours.
    pub(crate) group: Option<u32>,
    /// Where a warning goes.
    pub(crate) log: fn(&str),
}

/// The endpoint. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Begins to answer, about this director and what its threads do.
    ///
    /// # Errors
    ///
    /// It cannot listen there.
    pub(crate) fn start(
        options: &Options,
        plane: Arc<dyn Plane>,
        load: impl Fn() -> Load + Send + 'static,
    ) -> io::Result<Self> {
        let listener = listen(&options.listen, options.group)?;
        if let Some(warning) = exposed(&options.listen) {
            (options.log)(&warning);
        }
        Self::at(
            listener,
            Desk::new(plane, Box::new(load)),
            Limits::default(),
        )
    }

    fn at(listener: Listener, desk: Desk, limits: Limits) -> io::Result<Self> {
        let (server, waker) = Server::new(listener, desk, limits)?;
        let thread = thread::Builder::new().name("lvsd-http".to_owned());
        Ok(Self {
            waker,
            thread: Some(thread.spawn(|| server.run())?),
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(at: &Listen, group: Option<u32>) -> io::Result<Listener> {
    match at {
        Listen::Tcp(addr) => Listener::tcp(TcpListener::bind(addr)?),
        Listen::Unix(path) => {
            let taken = "another program listens there";
            let (listener, file) = unix_socket::listen(path, 0o660, group, taken)?;
            Listener::unix(listener, file)
        }
    }
}

/// What there is to say if others than this host can get there.
fn exposed(at: &Listen) -> Option<String> {
    match at {
        Listen::Tcp(addr) if !addr.ip().to_canonical().is_loopback() => Some(format!(
            "warning: the HTTP endpoint at {addr} tells whoever gets there about services and servers; 127.0.0.1, ::1 or a \
             Unix socket keep it to this host"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
